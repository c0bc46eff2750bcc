/*
 * Did the harness do its part? Only a replay that sent what was recorded, when it was due, on two lanes that behaved
 * the same until the migration, can be judged. Grade A or B; unfit makes the run invalid, with the reason in words.
 */
#ifndef FIDELITY_H
#define FIDELITY_H

#include "histogram.h"
#include "windows.h"

enum fidelity_grade {
	FIDELITY_A,
	FIDELITY_B,
	FIDELITY_UNFIT
};
const char *fidelity_grade_name(enum fidelity_grade grade);

/* One figure against its bands. */
struct fidelity_figure {
	const char *name;
	double value;
	double grade_a; /* the band's edge for A, and for unfit; for shares of punctual items higher is better */
	double unfit;
	enum fidelity_grade grade;
};
#define FIDELITY_FIGURES 8

/* Items that a lane sent, and how many of them in time. */
struct fidelity_punctual {
	uint64_t sent;
	uint64_t within_1ms;
	uint64_t within_10ms;
};

/*
 * Whether the machine is fast enough shows before the migration. From then on the migration itself may overload a
 * machine that both clones and the harness share; that takes from what can be said of latencies, and nothing from a
 * lock.
 */
enum fidelity_span {
	FIDELITY_BEFORE, /* all of it without a migration */
	FIDELITY_SINCE,
	FIDELITY_SPANS
};

struct fidelity_divergence;

struct fidelity {
	/* counted by add */
	uint64_t items;
	uint64_t statements; /* that both lanes sent */
	struct fidelity_punctual punctual[FIDELITY_SPANS][JUDGE_LANES];
	uint64_t order_violations;
	uint64_t unaccounted;
	uint64_t connects;
	uint64_t connects_failed[JUDGE_LANES];
	uint64_t diverged; /* baseline against capture */
	uint64_t skipped_baseline;
	uint64_t before_items; /* before the migration: errors on one lane alone */
	uint64_t before_one_sided;
	uint32_t connect_code;		   /* the first one's */
	struct fidelity_divergence *worst; /* hash of (SQLSTATE) -> count */
	struct histogram *skew;
	int64_t *last_done_ns[JUDGE_LANES]; /* by session */
	uint32_t sessions;
	/* set by finish */
	struct fidelity_figure figures[FIDELITY_FIGURES];
	enum fidelity_grade grade;
	char reason[512]; /* why it is unfit, "" when it is not */
	char late[256];	  /* how far the harness fell behind while the migration ran, "" when it did not */
};

void fidelity_init(struct fidelity *fidelity, uint32_t sessions);
void fidelity_release(struct fidelity *fidelity);
void fidelity_add(struct fidelity *fidelity, const struct pair *pair, enum window_kind window);
void fidelity_finish(struct fidelity *fidelity);

#endif
