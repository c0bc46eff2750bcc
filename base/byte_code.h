/*
 * Bytes in, bytes out: little-endian integers and varints (LEB128, zigzag for signed ones) for the files' payloads. The
 * reader is bounded: a read past the end gives zeros and sets `failed`, to be checked once after a run of reads.
 */
#ifndef BYTE_CODE_H
#define BYTE_CODE_H

#include "span.h"
#include "strbuf.h"

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

struct byte_reader {
	const unsigned char *p;
	const unsigned char *end;
	bool failed;
};

static inline void byte_reader_init(struct byte_reader *r, const void *data, size_t len)
{
	r->p = data;
	r->end = r->p + len;
	r->failed = false;
}

static inline size_t byte_reader_left(const struct byte_reader *r)
{
	return (size_t)(r->end - r->p);
}

static inline uint64_t byte_get_varint(struct byte_reader *r)
{
	uint64_t value = 0;
	for (unsigned shift = 0; shift < 64; shift += 7) {
		if (r->p == r->end)
			break;
		unsigned char b = *r->p++;
		value |= (uint64_t)(b & 0x7f) << shift;
		if (!(b & 0x80))
			return value;
	}
	r->failed = true;
	return 0;
}

static inline int64_t byte_get_signed(struct byte_reader *r)
{
	uint64_t v = byte_get_varint(r);
	return (int64_t)(v >> 1) ^ -(int64_t)(v & 1);
}

static inline struct span byte_get_span(struct byte_reader *r)
{
	uint64_t len = byte_get_varint(r);
	if (r->failed || len > byte_reader_left(r)) {
		r->failed = true;
		return (struct span){NULL, 0};
	}
	struct span got = {(const char *)r->p, (size_t)len};
	r->p += len;
	return got;
}

static inline void byte_get_fixed(struct byte_reader *r, void *out, size_t len)
{
	if (len > byte_reader_left(r)) {
		r->failed = true;
		memset(out, 0, len);
		return;
	}
	memcpy(out, r->p, len);
	r->p += len;
}

static inline uint32_t byte_get_u32(struct byte_reader *r)
{
	unsigned char b[4];
	byte_get_fixed(r, b, 4);
	return (uint32_t)b[0] | (uint32_t)b[1] << 8 | (uint32_t)b[2] << 16 | (uint32_t)b[3] << 24;
}

static inline uint64_t byte_get_u64(struct byte_reader *r)
{
	uint64_t low = byte_get_u32(r);
	return low | (uint64_t)byte_get_u32(r) << 32;
}

static inline void byte_put_varint(struct strbuf *out, uint64_t value)
{
	unsigned char b[10];
	size_t n = 0;
	do {
		b[n] = (unsigned char)(value & 0x7f);
		value >>= 7;
		if (value)
			b[n] |= 0x80;
		n++;
	} while (value);
	strbuf_add(out, b, n);
}

static inline void byte_put_signed(struct strbuf *out, int64_t value)
{
	byte_put_varint(out, ((uint64_t)value << 1) ^ (uint64_t)(value >> 63));
}

static inline void byte_put_span(struct strbuf *out, struct span data)
{
	byte_put_varint(out, data.len);
	strbuf_add(out, data.p, data.len);
}

static inline void byte_put_u32(struct strbuf *out, uint32_t value)
{
	unsigned char b[4] = {(unsigned char)value, (unsigned char)(value >> 8), (unsigned char)(value >> 16),
			      (unsigned char)(value >> 24)};
	strbuf_add(out, b, 4);
}

static inline void byte_put_u64(struct strbuf *out, uint64_t value)
{
	byte_put_u32(out, (uint32_t)value);
	byte_put_u32(out, (uint32_t)(value >> 32));
}

#endif
