/*
 * Slow without a lock: a migration that drops an index and builds it anew leaves every query that used it slow for some
 * seconds, and the database overloaded, while nobody waits for a lock (incident P9). Such seconds are too short for the
 * statistics judge, whose blocks are a second and longer. So the time that paired executions lost in the migration's
 * window, lock waits apart, is summed up as query-seconds. It counts for a fingerprint only if
 *
 *  - it names a relation that the migration locked, so that a checkpoint or a neighbour cannot fail a harmless one,
 *  - it is beyond chance: sign flips over short blocks (1/24 of the migration's span, at least 100 ms), p <= 0.0005,
 * and the ratio's lower bound is above 2; either its own, or that of all statements together (a statement that takes a
 * second runs too seldom in two of them, and the next ones of its session that use the lost index may hide the table
 * behind a view or a function) where its own ratio is above 2,
 *  - and the sum is at least three times the largest that a window of the same length had before the migration.
 */
#ifndef SLOW_JUDGE_H
#define SLOW_JUDGE_H

#include "windows.h"

#define SLOW_RATIO_MIN	 2.0
#define SLOW_NOISE_TIMES 3.0

/* The evidence is service time, by the time of sending: a queue hands slowness on to statements that are not slow. */
struct slow_query {
	uint32_t fingerprint;
	double query_s; /* excess in the migration's window */
	double ratio;
	double ci_low;
	double ci_high;
	double p;
	uint64_t n;
	size_t blocks;
	bool significant;
};

struct slow_judge;
/* touches(context, fingerprint) says whether the migration locked a relation of it; asked once per fingerprint. */
struct slow_judge *slow_judge_new(const struct windows *windows, uint32_t fingerprints,
				  bool (*touches)(void *context, uint32_t fingerprint), void *context);
void slow_judge_free(struct slow_judge *judge);
void slow_judge_add(struct slow_judge *judge, const struct pair *pair, enum window_kind window, int64_t waited_ns,
		    int64_t lock_caused_ns);
void slow_judge_finish(struct slow_judge *judge);

/* Of the significant fingerprints; 0 when their sum does not stand out of the noise floor. */
double slow_judge_query_seconds(const struct slow_judge *judge);
/* The largest sum of the same fingerprints in a window of that length before; negative when there is none to look at.
 */
double slow_judge_noise_floor(const struct slow_judge *judge);
/* By excess, the most first. */
size_t slow_judge_count(const struct slow_judge *judge);
const struct slow_query *slow_judge_query(const struct slow_judge *judge, size_t index);

#endif
