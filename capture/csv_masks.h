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

static inline uint64_t csv_masks_of(const __m128i bytes[4], char c)
{
	const __m128i wanted = _mm_set1_epi8(c);
	uint64_t a = (unsigned)_mm_movemask_epi8(_mm_cmpeq_epi8(bytes[0], wanted));
	uint64_t b = (unsigned)_mm_movemask_epi8(_mm_cmpeq_epi8(bytes[1], wanted));
	uint64_t d = (unsigned)_mm_movemask_epi8(_mm_cmpeq_epi8(bytes[2], wanted));
	uint64_t e = (unsigned)_mm_movemask_epi8(_mm_cmpeq_epi8(bytes[3], wanted));
	return a | b << 16 | d << 32 | e << 48;
}

/* p: 64 bytes that can be read. */
static inline void csv_masks_load(const char *p, struct csv_masks *out)
{
	const __m128i *from = (const __m128i *)(const void *)p;
	const __m128i bytes[4] = {_mm_loadu_si128(from), _mm_loadu_si128(from + 1), _mm_loadu_si128(from + 2),
				  _mm_loadu_si128(from + 3)};
	out->quotes = csv_masks_of(bytes, '"');
	out->commas = csv_masks_of(bytes, ',');
	out->line_ends = csv_masks_of(bytes, '\n');
}

/* Bit n: the number of bits set in 0..n is odd. */
static inline uint64_t csv_masks_parity(uint64_t bits)
{
	bits ^= bits << 1;
	bits ^= bits << 2;
	bits ^= bits << 4;
	bits ^= bits << 8;
	bits ^= bits << 16;
	return bits ^ bits << 32;
}
#else
#define CSV_MASKS 0
#endif

#endif
