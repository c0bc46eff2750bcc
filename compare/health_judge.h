/*
 * What the servers' health says beside the latencies: figures of both lanes before, during and after the migration,
 * wait events that grew, background work that ran on one lane alone, and limits (requirements I1, I3, I4, V6).
 *
 * It decides nothing by itself. Limits are off until somebody sets them, because no number fits all databases, and even
 * then a level that the baseline reaches in the same time is not the migration's doing.
 */
#ifndef HEALTH_JUDGE_H
#define HEALTH_JUDGE_H

#include "health_lane.h"
#include "health_noise.h"
#include "ledger.h"
#include "windows.h"

#include <jansson.h>

struct health_judge;

/* Reads both lanes' files in the run directory; a file that is missing or damaged is not known, never an error. */
struct health_judge *health_judge_new(const char *run_dir, const struct windows *windows, const struct ledger *ledger,
				      int64_t end_ns);
void health_judge_free(struct health_judge *judge);

/* That lane's log, NULL when it cannot be read: then *reason says why. It stays the judge's. */
struct health_log *health_judge_log(const struct health_judge *judge, enum judge_lane lane, const char **reason);

/* A rule that can be limited: its value is the worst since the migration began. */
struct health_limit {
	const char *rule; /* as in thresholds.h */
	const char *what; /* for a sentence: "WAL was written at %s" */
	bool known;	  /* on the migrating lane */
	double migrating;
	double baseline; /* 0 when it is not known */
};
size_t health_judge_limit_count(void);
struct health_limit health_judge_limit(const struct health_judge *judge, size_t index);

/* Beside a latency of that window: see noise_list_sentence(). */
char *health_judge_noise(const struct health_judge *judge, const struct window *window);

/* The verdict's "health": a new reference; null when neither lane has a file. */
json_t *health_judge_to_json(const struct health_judge *judge);

#endif
