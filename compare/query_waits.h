/*
 * What each statement's executions waited for (requirement I3): the health sampler looks several times a second which
 * backends are active and what each waits for (health_log.h); here each of those is joined to the execution that its
 * session had under way at that moment, on the same lane, and so to a statement and a window. A share of the samples is
 * then a share of the time that executions of the statement took.
 *
 * The server saw what it told at some moment between the question and the answer. So a sample is an execution's only if
 * no other execution of that session, of another statement or window, was under way in that span; else it is counted
 * as ambiguous. It explains why a statement was slow. It decides nothing.
 *
 * Memory: what is under way or queued at the moment of one look, and counters; it does not grow with the run's length.
 */
#ifndef QUERY_WAITS_H
#define QUERY_WAITS_H

#include "health_log.h"
#include "windows.h"

#include <jansson.h>

/* A share of fewer samples is not told: of 20 it is within 22 percentage points (95 %). */
#define QUERY_WAITS_MIN 20

/* A lane's looks: its log, which may be NULL, and then why. */
struct query_waits_lane {
	struct health_log *log;
	const char *reason;
};

struct query_waits;
/* The logs stay the caller's, and live as long as this; nobody else walks over their looks meanwhile. */
struct query_waits *query_waits_new(const struct run_data *data, const struct query_waits_lane lanes[JUDGE_LANES]);
void query_waits_free(struct query_waits *waits);
/* The next pair, in order of ordinal. */
void query_waits_add(struct query_waits *waits, const struct pair *pair, enum window_kind window);
void query_waits_finish(struct query_waits *waits);

/* queries[].waits of verdict.json: a new reference; null when no sample is of that statement. */
json_t *query_waits_of(const struct query_waits *waits, uint32_t fingerprint);
/* The verdict's query_waits: how it was sampled, and what became of each sample. A new reference. */
json_t *query_waits_to_json(const struct query_waits *waits);

#endif
