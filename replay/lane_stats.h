/*
 * What a lane counted, with the identities that hold at the end of every run:
 *   sent + skipped = items of the replay file,   ok + error = sent.
 */
#ifndef LANE_STATS_H
#define LANE_STATS_H

#include "error.h"
#include "histogram.h"
#include "run_log.h"

#include <jansson.h>
#include <stdint.h>

#define LANE_ERROR_CODES 256 /* distinct SQLSTATEs counted apart; what comes after is in the last row */

struct lane_error_count {
	uint32_t sqlstate;
	uint64_t count;
};

struct lane_stats {
	uint64_t items_sent;
	uint64_t items_ok;
	uint64_t items_error;
	uint64_t items_skipped;
	uint64_t skipped_by_reason[RUN_SKIP_REASON_COUNT];
	uint64_t statements; /* simple and execute items sent */
	uint64_t censored;   /* errors that are only "not finished when the run ended" */
	uint64_t replans;
	uint64_t sessions; /* connections that came about */
	uint64_t rows;
	struct lane_error_count errors[LANE_ERROR_CODES];
	struct histogram lag;	  /* every item sent */
	struct histogram latency; /* statements: queue + service */
	int64_t elapsed_ns;	  /* from the run's start to the lane's last completion */
	int64_t cpu_ns;		  /* of the lane's threads */
	int64_t max_rss_bytes;	  /* of the whole process */
	char lost_reason[256];	  /* the server's words when a connection was first lost or refused; "" for none */
};

void lane_stats_count_error(struct lane_stats *stats, uint32_t sqlstate);
/* Adds a worker's counts to the lane's. */
void lane_stats_merge(struct lane_stats *into, const struct lane_stats *from);
/* ERR_INTERNAL when an identity does not hold for item_count items. */
int lane_stats_check(const struct lane_stats *stats, uint64_t item_count, struct error *err);
/* A lane's object of run.json: a new reference. */
json_t *lane_stats_to_json(const struct lane_stats *stats);

#endif
