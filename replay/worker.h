/*
 * A worker: one thread of a lane, with an event base of its own, that takes the replay file's items when they are due
 * and hands each to its session. A lane has one worker, or several on bigger machines, with the sessions spread among
 * them by their row. For lane.c, worker.c and session.c only.
 */
#ifndef WORKER_H
#define WORKER_H

#include "batch_feed.h"
#include "canceller.h"
#include "clock.h"
#include "lane.h"
#include "session.h"
#include "strbuf.h"

#include <event2/event.h>
#include <pthread.h>
#include <stdatomic.h>

/* What a worker's thread tells others while it runs. */
struct worker_live {
	_Atomic uint64_t items;
	_Atomic uint64_t statements;
	_Atomic uint64_t errors;
	_Atomic uint32_t busy;
	_Atomic int64_t position_ns;
	_Atomic int64_t latency_p99_ns; /* of the last second */
	_Atomic int64_t lag_p99_ns;
	_Atomic bool failed; /* valid once finished */
	_Atomic bool finished;
};

struct worker {
	const struct lane_options *options;
	struct lane_log *log; /* the lane's, shared by its workers */
	struct driver_target *target;
	uint32_t index; /* takes the sessions whose row modulo count is this */
	uint32_t count;
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
	uint64_t open_items;	      /* handed to a session, without an outcome */
	uint64_t sent_since_progress; /* items sent since one was last finished */
	int64_t last_progress_ns;
	int64_t last_hold_ns; /* last tick at which the timeouts were held off */
	bool paused;	      /* everything is due at once, and enough is waiting */
	bool stalled;	      /* the lane is given up */

	struct session **sessions; /* by row of the session table; NULL for other workers' */
	struct pending *spare_pending;
	struct pending_block *pending_blocks;
	struct canceller *canceller;

	/* A request's text and parameters while it is being sent. */
	struct strbuf sql;
	struct strbuf values;
	const char **parameters;
	size_t parameter_capacity;

	struct lane_stats stats;
	struct error error;		 /* our own failure: a full disk, a damaged replay file */
	enum run_skip_reason end_reason; /* why what is left has no outcome of its own */

	struct worker_live live;
	struct histogram recent_latency; /* since the last second began */
	struct histogram recent_lag;
	int64_t recent_since_ns;
};

/* The run log of the lane, behind a lock. */
struct lane_log {
	pthread_mutex_t lock;
	struct run_log_writer *writer;
};

int worker_init(struct worker *worker, const struct lane_options *options, struct lane_log *log,
		struct driver_target *target, uint32_t index, uint32_t count, struct error *err);
int worker_start(struct worker *worker, int64_t t0_ns, struct error *err);
/* Joins the thread. Its stats and error are then the caller's to read. */
void worker_join(struct worker *worker);
void worker_release(struct worker *worker);

static inline int64_t worker_now_ns(const struct worker *worker)
{
	return clock_mono_ns() - worker->t0_ns;
}

/* The item's outcome: into the run log, the counts and the batch's. Every item comes here exactly once. */
void worker_record(struct worker *worker, const struct pending *pending, const struct run_record *record);
/* A connection that came about and has ended. */
void worker_record_session(struct worker *worker, const struct run_session *session);
void worker_submit_cancel(struct worker *worker, struct driver_cancel *cancel);
struct pending *worker_take_pending(struct worker *worker);
void worker_return_pending(struct worker *worker, struct pending *pending);

#endif
