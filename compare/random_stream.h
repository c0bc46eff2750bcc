/*
 * Random numbers for permutation tests: SplitMix64 (Steele, Lea, Flood 2014), small, good enough for resampling, and
 * the same on every machine for the same seed, so that a run judged twice gets the same verdict.
 */
#ifndef RANDOM_STREAM_H
#define RANDOM_STREAM_H

#include <stdint.h>

struct random_stream {
	uint64_t state;
};

static inline uint64_t random_stream_next(struct random_stream *r)
{
	uint64_t z = (r->state += UINT64_C(0x9e3779b97f4a7c15));
	z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
	return z ^ (z >> 31);
}

/* From 0 to n - 1; the bias of the multiplication is below n / 2^32. */
static inline uint32_t random_stream_below(struct random_stream *r, uint32_t n)
{
	return (uint32_t)(((random_stream_next(r) >> 32) * n) >> 32);
}

#endif
