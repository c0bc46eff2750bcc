/*
 * Where the quotes, commas and line ends of 64 bytes are, as bit masks, and which of them a quoted field holds: what
 * lets a scanner step from field to field instead of from byte to byte. The way with prefix-XOR over the quotes is that
 * of Langdale and Lemire, "Parsing Gigabytes of JSON per Second" (2019). SSE2 is part of x86-64; elsewhere
 * CSV_MASKS is 0 and the caller goes byte by byte.
 */
#ifndef CSV_MASKS_H
#define CSV_MASKS_H

#include <stdint.h>
#include <string.h>

#if defined(__SSE2__)
#define CSV_MASKS 1
#include <emmintrin.h>

struct csv_masks {
	uint64_t quotes;
	uint64_t commas;
	uint64_t line_ends;
};

/* p: 64 bytes that can be read. */
static inline void csv_masks_load(const char *p, struct csv_masks *out)
{
	const __m128i quote = _mm_set1_epi8('"');
	const __m128i comma = _mm_set1_epi8(',');
	const __m128i line_end = _mm_set1_epi8('\n');
	*out = (struct csv_masks){0, 0, 0};
	for (unsigned i = 0; i < 64; i += 16) {
		__m128i bytes = _mm_loadu_si128((const __m128i *)(const void *)(p + i));
		out->quotes |= (uint64_t)(unsigned)_mm_movemask_epi8(_mm_cmpeq_epi8(bytes, quote)) << i;
		out->commas |= (uint64_t)(unsigned)_mm_movemask_epi8(_mm_cmpeq_epi8(bytes, comma)) << i;
		out->line_ends |= (uint64_t)(unsigned)_mm_movemask_epi8(_mm_cmpeq_epi8(bytes, line_end)) << i;
	}
}

/* Bit n: the number of bits set in 0..n is odd. */
static inline uint64_t csv_masks_parity(uint64_t bits)
{
	for (unsigned shift = 1; shift < 64; shift *= 2)
		bits ^= bits << shift;
	return bits;
}
#else
#define CSV_MASKS 0
#endif

#endif
