/*
 * A lane: one clone under replay. A thread with an event base of its own takes the replay file's items when they are
 * due and hands each to its session; sessions never wait for one another. Every item ends in the lane's run log,
 * whatever happens to its connection.
 *
 * Life: lane_open(), lane_start() with the common start, lane_wait(), lane_free().
 */
#ifndef LANE_H
#define LANE_H

#include "driver.h"
#include "error.h"
#include "lane_stats.h"
#include "replay_file.h"
#include "schedule.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

/* Names that differ between the server of the log and the target: users or databases. */
struct lane_name_map {
	const char *const *pairs; /* from, to, from, to, … */
	size_t count;		  /* pairs */
};
struct span lane_map_name(const struct lane_name_map *map, struct span name);

#define LANE_TURN_NS INT64_C(30000) /* 30 us: a fraction of a round trip, and far below a lag that matters */

struct lane_options {
	const char *name; /* "baseline" or "migrating" */
	const struct driver *driver;
	const char *url;
	const struct replay_file *file; /* these two outlive the lane */
	const struct schedule *schedule;
	struct lane_name_map user_map;
	struct lane_name_map database_map;
	bool check_results; /* digest the rows of every result */
	/*
	 * With two lanes on one machine, whoever sends first has it for itself for a moment. So they take turns: the
	 * item's ordinal decides whose turn it is, and the other one sends LANE_TURN_NS later. 0 or 1; -1 for a single
	 * lane.
	 */
	int turn;
	uint32_t workers; /* threads; 0 means 1 */
	const char *run_log_path;
	/* Once all items are due: the run ends when none has finished for so long; what is under way is censored. */
	int64_t drain_timeout_ns;
	/* The lane is given up when items are sent and none finishes for so long (a frozen server); 0: never. */
	int64_t stall_timeout_ns;
	const atomic_bool *hold;	/* while true (the migration runs) neither timeout counts; may be NULL */
	const volatile bool *cancelled; /* looked at every 50 ms */
};

/* Where a lane is, for people: read at any time from any thread. */
struct lane_progress {
	uint64_t items_done; /* with an outcome, skipped ones included */
	uint64_t statements_done;
	uint64_t errors;
	int64_t latency_p99_ns; /* of the last second; the slowest worker's */
	int64_t lag_p99_ns;
	uint32_t busy;	     /* sessions that wait for the server */
	int64_t position_ns; /* time in the schedule that was reached */
	bool finished;
	bool failed; /* the harness itself, in a part of the lane: a full disk */
};

struct lane;

int lane_open(const struct lane_options *options, struct lane **out, struct error *err);
/* Starts the thread; item times count from t0_ns (monotonic), which should lie a little ahead. */
int lane_start(struct lane *lane, int64_t t0_ns, struct error *err);
void lane_get_progress(const struct lane *lane, struct lane_progress *out);
/* Waits for the end, writes the run log and hands out the counts, whose identities were checked. */
int lane_wait(struct lane *lane, struct lane_stats *stats, struct error *err);
/* After lane_wait(), or instead of lane_start(). */
void lane_free(struct lane *lane);

#endif
