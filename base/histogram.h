/*
 * Counts of durations in log-linear buckets, after HdrHistogram: 128 linear steps within each power of two, so that a
 * value read back is within 0.8 % of the one recorded. Fixed size (about 40 KB), mergeable, no allocation.
 */
#ifndef HISTOGRAM_H
#define HISTOGRAM_H

#include <stdint.h>

#define HISTOGRAM_STEPS	  128
#define HISTOGRAM_BUCKETS (HISTOGRAM_STEPS * 41) /* up to 2^47 ns, 39 hours */

struct histogram {
	uint64_t total;
	int64_t max_ns;
	uint64_t counts[HISTOGRAM_BUCKETS];
};

void histogram_clear(struct histogram *h);
/* A negative value counts as 0, one past the range as the range's end. */
void histogram_add(struct histogram *h, int64_t value_ns);
void histogram_merge(struct histogram *into, const struct histogram *from);
/* The value that a share of 0 < quantile <= 1 does not exceed; 0 when empty, the exact maximum for 1. */
int64_t histogram_quantile_ns(const struct histogram *h, double quantile);
/* How many values lie at or below value_ns (to the width of a bucket). */
uint64_t histogram_count_below(const struct histogram *h, int64_t value_ns);

#endif
