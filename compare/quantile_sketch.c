/* A small latency distribution: see quantile_sketch.h. */
#include "quantile_sketch.h"

#include <math.h>

#define LOG_STEP 0.0392207131532813 /* ln 1.04 */

void quantile_sketch_add(struct quantile_sketch *sketch, int64_t value_ns)
{
	double us = (double)value_ns / 1e3;
	double bucket = us > 1 ? log(us) / LOG_STEP : 0;
	sketch->counts[bucket < QUANTILE_SKETCH_BUCKETS - 1 ? (int)bucket : QUANTILE_SKETCH_BUCKETS - 1]++;
	sketch->total++;
}

double quantile_sketch_ms(const struct quantile_sketch *sketch, double quantile)
{
	if (sketch->total == 0)
		return 0;
	uint64_t rank = (uint64_t)ceil(quantile * (double)sketch->total);
	uint64_t seen = 0;
	int i = 0;
	for (; i < QUANTILE_SKETCH_BUCKETS - 1; i++) {
		seen += sketch->counts[i];
		if (seen >= rank)
			break;
	}
	return exp(((double)i + 0.5) * LOG_STEP) / 1e3;
}
