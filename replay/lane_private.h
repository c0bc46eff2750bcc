/* What a lane and its sessions share. For lane.c, session.c and canceller.c only. */
#ifndef LANE_PRIVATE_H
#define LANE_PRIVATE_H

#include "batch_feed.h"
#include "canceller.h"
#include "clock.h"
#include "lane.h"
#include "session.h"
#include "strbuf.h"

#include <event2/event.h>
#include <pthread.h>
#include <stdatomic.h>

struct lane {
	struct lane_options options;
	struct driver_target *target;
	struct event_base *base;
	pthread_t thread;
	bool started;
	int64_t t0_ns; /* monotonic; all times below count from it */

	/* Dispatch: the next item of the schedule. */
	struct batch_feed *feed;
	struct feed_batch *batch;
	uint32_t batch_pos;
	int timer_fd;
	bool all_dispatched;
	uint64_t open_items; /* handed to a session, without an outcome */
	int64_t last_progress_ns;
	uint64_t sent_since_progress; /* items sent since one was last finished */
	bool paused;		      /* everything is due at once, and enough is waiting */
	bool stalled;		      /* the lane gave up */
	int64_t last_hold_ns;	      /* last tick at which the drain timeout was held off */

	struct session **sessions; /* by row of the session table */
	struct pending *spare_pending;
	struct pending_block *pending_blocks;
	struct canceller *canceller;

	/* A request's text and parameters while it is being sent. */
	struct strbuf sql;
	struct strbuf values;
	const char **parameters;
	size_t parameter_capacity;

	struct run_log_writer *run_log;
	struct lane_stats stats;
	struct error error; /* the lane's own failure: a full disk, a damaged replay file */

	_Atomic uint64_t live_done;
	_Atomic uint64_t live_statements;
	_Atomic uint64_t live_errors;
	_Atomic uint32_t live_busy;
	_Atomic int64_t live_position_ns;
	_Atomic bool live_finished;
};

static inline int64_t lane_now_ns(const struct lane *lane)
{
	return clock_mono_ns() - lane->t0_ns;
}

/* The item's outcome: into the run log, the counts and the batch's. Every item comes here exactly once. */
void lane_record(struct lane *lane, const struct pending *pending, const struct run_record *record);
void lane_submit_cancel(struct lane *lane, struct driver_cancel *cancel);
struct pending *lane_take_pending(struct lane *lane);
void lane_return_pending(struct lane *lane, struct pending *pending);

#endif
