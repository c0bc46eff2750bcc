/*
 * The statistics judge: did a fingerprint become slower? Per block of time and fingerprint the mean log ratio of the
 * two lanes' paired latencies; sign flips of whole blocks against the largest of all fingerprints; a margin; an
 * interval. It accuses only what is beyond noise *and* large, and says of the rest how large an effect it would have
 * seen. docs/verdict.md has the formulas and their figures. Executions that the migration's locks held up are not its
 * business: they are counted as blocked_share and left to the evidence judge.
 *
 * Two figures of each execution are judged. Latency, queue and service, is what the user felt. Service alone says whose
 * doing it was: a session's queue hands the slowness of one statement to all that follow, and a lock's to everything
 * that its session does until it has caught up. So service is judged also of executions that queued behind a lock's
 * victim, and in blocks where the baseline queued; and who only queued behind a slow statement is not accused.
 *
 * Memory: sums per fingerprint and block, a sketch of 2 KB per fingerprint, window and lane. Never the executions.
 */
#ifndef LATENCY_JUDGE_H
#define LATENCY_JUDGE_H

#include "windows.h"

#define LATENCY_ALPHA	       0.0005
#define LATENCY_TAU	       0.10  /* a slowdown of less than this is nobody's business */
#define LATENCY_OFFSET_NS      50000 /* x + 50 us: below that a ratio is about the clock */
#define LATENCY_MIN_EXECUTIONS 15
#define LATENCY_NOISE_TIMES    3.0  /* so many times what runs without a migration differ by is noise */
#define LATENCY_TESTED_MAX     1000 /* fingerprints tested, by their share of the time */

enum latency_result {
	LATENCY_CLEAR, /* the interval's upper end is below the margin */
	LATENCY_CANNOT_TELL,
	LATENCY_QUEUED, /* its latency grew, its service time did not: it waited for its session's slow statement */
	LATENCY_SLOWER, /* beyond noise, and too small to hurt */
	LATENCY_HURTS
};
const char *latency_result_name(enum latency_result result);

/* Service time S alone. */
struct latency_service {
	uint64_t n; /* executions that no lock held up themselves; they may have queued behind such a one */
	size_t blocks;
	bool tested;
	double p;
	double ratio;
	double ci_low;
	double ci_high;
	double p95_ms[JUDGE_LANES];
	double total_s[JUDGE_LANES];
	double extra_share; /* of the service time of all statements of the window */
};

struct latency_query {
	uint32_t fingerprint;
	enum window_kind window;
	uint64_t n;	  /* paired executions that the test used */
	uint64_t all;	  /* … of so many */
	uint64_t blocked; /* left out: held up by the migration's locks, or queued behind such a one */
	size_t blocks;
	bool tested;
	double p;
	double ratio; /* exp of the mean log ratio; 0 when n is 0 */
	double ci_low;
	double ci_high;
	double baseline_p95_ms;
	double migrating_p95_ms;
	double extra_share;	/* time that the difference costs, as a share of the window's time in statements */
	double margin;		/* that ci_low has to pass to hurt */
	double smallest_effect; /* the ratio that this run would have seen; 0: none, there are too few blocks */
	struct latency_service service;
	bool by_service; /* SLOWER or HURTS for its service time alone: n, ratio, p95 and so on are those */
	enum latency_result result;
	const char *why; /* of CANNOT_TELL and QUEUED */
};

/* What executions took since the migration began (without one: since the warm-up), what locks cost them taken off. */
struct latency_total {
	uint64_t n;
	double s[JUDGE_LANES];
	double service_s[JUDGE_LANES];
	uint32_t fingerprint; /* whose service time grew by the most seconds */
};
#define LATENCY_GROSS_TIMES   3.0
#define LATENCY_GROSS_SERVICE 1.5
#define LATENCY_GROSS_S	      10.0 /* as slow.query_seconds */

struct latency_judge;
/* margin: the ratio that the interval's lower end has to pass to hurt (latency.ratio's fail level). */
struct latency_judge *latency_judge_new(const struct windows *windows, uint32_t fingerprints, double margin);
void latency_judge_free(struct latency_judge *judge);
/*
 * Runs without a migration (noise_floor.h) saw this statement's lanes apart by log_rms: its margin is at least
 * LATENCY_NOISE_TIMES that. Before the first pair.
 */
void latency_judge_know_noise(struct latency_judge *judge, uint32_t fingerprint, double log_rms);
/* waited_ns and lock_caused_ns as stall_judge_add says them. */
void latency_judge_add(struct latency_judge *judge, const struct pair *pair, enum window_kind window, int64_t waited_ns,
		       int64_t lock_caused_ns);
void latency_judge_finish(struct latency_judge *judge);

/* Worst first. */
size_t latency_judge_count(const struct latency_judge *judge);
const struct latency_query *latency_judge_query(const struct latency_judge *judge, size_t index);
/* Blocks in which most executions had to queue on the baseline, and were therefore not used; and all blocks. */
void latency_judge_saturation(const struct latency_judge *judge, uint64_t *saturated, uint64_t *blocks);
/* A fingerprint on which the lanes differ, in either direction, before there is a migration; NULL when there is none.
 */
const struct latency_query *latency_judge_before(const struct latency_judge *judge);
/*
 * True when the migrating lane took LATENCY_GROSS_TIMES as long as the baseline and LATENCY_GROSS_S more: whatever of
 * it can be proven, such a run is not one in which nothing became slower. On an overloaded machine queues differ by as
 * much without any reason, so the service times must have grown too, LATENCY_GROSS_SERVICE times.
 */
bool latency_judge_gross(const struct latency_judge *judge, struct latency_total *total);
/* Fingerprints that were left out because there were more than LATENCY_TESTED_MAX. */
uint64_t latency_judge_untested(const struct latency_judge *judge);

#endif
