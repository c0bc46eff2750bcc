/*
 * A latency distribution in 2 KB, for a tail quantile per query and window: logarithmic buckets 4 % wide, so that a
 * quantile is within 2 % (the idea of DDSketch, Masson, Rim, Lee 2019). base/histogram.h is finer and twenty times
 * larger: too much for thousands of fingerprints.
 */
#ifndef QUANTILE_SKETCH_H
#define QUANTILE_SKETCH_H

#include <stdint.h>

#define QUANTILE_SKETCH_BUCKETS 540 /* 1 us · 1.04^539 = 25 minutes */

struct quantile_sketch {
	uint32_t counts[QUANTILE_SKETCH_BUCKETS];
	uint64_t total;
};

void quantile_sketch_add(struct quantile_sketch *sketch, int64_t value_ns);
/* The middle of the bucket in which the quantile lies, 0 when empty. */
double quantile_sketch_ms(const struct quantile_sketch *sketch, double quantile);

#endif
