/* One lane against a server of the test's own: builds a replay file, replays it, and hands out what became of each
 * item. */
#ifndef SUPPORT_LANE_H
#define SUPPORT_LANE_H

#include "lane_stats.h"
#include "replay_builder.h"
#include "run_log.h"

#include <stdint.h>

struct lane_trial {
	const char *url;
	int64_t drain_timeout_ns;
	int64_t stall_timeout_ns;
	bool check_results;
	void (*during)(int64_t t0_ns); /* runs beside the lane, in the test's thread; may be NULL */
};

/* Of the last trial, by ordinal. */
extern struct run_record trial_records[RUN_LOG_PAGE];
extern struct lane_stats trial_stats;

/* A new replay file with so many sessions of postgres@postgres; they take ordinals 0 to sessions-1 to connect. */
struct replay_builder *trial_begin(int sessions);
/* The same without sessions. */
struct replay_builder *trial_begin_empty(void);
/* Replays what was built. Fails the test on an error of the harness, or identities that do not hold. */
void trial_replay(const struct lane_trial *trial);
/* sqlstate "" for none. */
void trial_assert(uint32_t ordinal, enum run_outcome outcome, const char *sqlstate);
/* The folder that everything goes to, made at first use and removed by this. */
void trial_clean_up(void);

#endif
