/*
 * The arithmetic of the statistics judge (docs/verdict.md): executions near each other in time share their noise, so
 * the unit is a block of time, not an execution. A series holds one figure per block: the mean log ratio of the two
 * lanes.
 */
#ifndef BLOCK_TEST_H
#define BLOCK_TEST_H

#include <stddef.h>
#include <stdint.h>

#define BLOCK_TEST_DRAWS 9999
#define BLOCK_TEST_MIN	 11 /* fewer blocks cannot reach 0.0005 by signs: 2^-10 */

struct block_series {
	const double *x; /* one figure a block, with the margin taken off; 0 for a block without executions */
	size_t blocks;
	unsigned group; /* series of one group share their blocks, and so the flips */
};

#define BLOCK_TEST_GROUPS 8

/*
 * One-sided p values by flipping the sign of whole blocks, the same flips for all series of a group, against the
 * largest statistic of any series (Westfall and Young's max-T): T = Σx / √Σx². The sum of squares does not change with
 * the signs. p[i] = (1 + #{max T* >= T_i}) / (draws + 1).
 */
void block_test_sign_flips(const struct block_series *series, size_t count, uint64_t seed, double *p);

/* 95 % interval of the mean of d[0..n) by drawing blocks with replacement. */
void block_test_bootstrap(const double *d, size_t n, uint64_t seed, double *low, double *high);

/* A ratio of the lanes with its 95 % interval; all 0 without blocks. */
struct block_ratio {
	double ratio;
	double low;
	double high;
};
/* Of n mean log ratios. */
struct block_ratio block_test_ratio(const double *d, size_t n, uint64_t seed);

/* P(X >= k) for X ~ Binomial(n, share), exactly. */
double block_test_binomial_tail(uint64_t k, uint64_t n, double share);

/*
 * Exact one-sided McNemar: only_migrating and only_baseline are the discordant pairs; under "no difference" either lane
 * is as likely to be the one that fails.
 */
double block_test_mcnemar(uint64_t only_migrating, uint64_t only_baseline);

#endif
