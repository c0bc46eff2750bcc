/* Counts of durations in log-linear buckets: see histogram.h. */
#include "histogram.h"

#include <math.h>

#define STEP_BITS 7

void histogram_clear(struct histogram *h)
{
	memset(h, 0, sizeof(*h));
}

static uint32_t bucket_of(int64_t value_ns)
{
	uint64_t v = value_ns > 0 ? (uint64_t)value_ns : 0;
	if (v < HISTOGRAM_STEPS)
		return (uint32_t)v;
	uint32_t top = 63 - (uint32_t)__builtin_clzll(v);
	uint32_t shift = top - STEP_BITS;
	uint64_t index = (uint64_t)(shift + 1) * HISTOGRAM_STEPS + ((v >> shift) - HISTOGRAM_STEPS);
	return index < HISTOGRAM_BUCKETS ? (uint32_t)index : HISTOGRAM_BUCKETS - 1;
}

/* The largest value that falls into the bucket. */
static int64_t bucket_end(uint32_t bucket)
{
	if (bucket < HISTOGRAM_STEPS)
		return bucket;
	uint32_t shift = bucket / HISTOGRAM_STEPS - 1;
	uint64_t step = bucket % HISTOGRAM_STEPS + HISTOGRAM_STEPS;
	return (int64_t)(((step + 1) << shift) - 1);
}

void histogram_add(struct histogram *h, int64_t value_ns)
{
	h->counts[bucket_of(value_ns)]++;
	h->total++;
	if (value_ns > h->max_ns)
		h->max_ns = value_ns;
}

void histogram_merge(struct histogram *into, const struct histogram *from)
{
	for (uint32_t i = 0; i < HISTOGRAM_BUCKETS; i++)
		into->counts[i] += from->counts[i];
	into->total += from->total;
	if (from->max_ns > into->max_ns)
		into->max_ns = from->max_ns;
}

int64_t histogram_quantile_ns(const struct histogram *h, double quantile)
{
	if (h->total == 0)
		return 0;
	uint64_t rank = (uint64_t)ceil(quantile * (double)h->total);
	if (rank >= h->total)
		return h->max_ns;
	uint64_t seen = 0;
	for (uint32_t i = 0; i < HISTOGRAM_BUCKETS; i++) {
		seen += h->counts[i];
		if (seen >= rank)
			return bucket_end(i) < h->max_ns ? bucket_end(i) : h->max_ns;
	}
	return h->max_ns;
}

uint64_t histogram_count_below(const struct histogram *h, int64_t value_ns)
{
	uint64_t seen = 0;
	for (uint32_t i = 0, last = bucket_of(value_ns); i <= last; i++)
		seen += h->counts[i];
	return seen;
}
