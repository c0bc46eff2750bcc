/*
 * Pages of fixed-size rows, stored column by column: a column of like numbers deflates far better than rows do, and a
 * page is read and written with one pass per column. Little-endian, which the build checks.
 */
#ifndef COLUMNS_H
#define COLUMNS_H

#include <stddef.h>
#include <string.h>

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "pages are stored as little-endian columns");

struct column {
	size_t offset; /* of the field within its row */
	size_t size;
};

#define COLUMN(type, field)                                       \
	{                                                         \
		offsetof(type, field), sizeof(((type *)0)->field) \
	}

/* Bytes that a row takes in a page. */
static inline size_t columns_row_size(const struct column *columns, size_t column_count)
{
	size_t size = 0;
	for (size_t c = 0; c < column_count; c++)
		size += columns[c].size;
	return size;
}

static inline void columns_pack(const struct column *columns, size_t column_count, const void *rows, size_t stride,
				size_t row_count, unsigned char *out)
{
	for (size_t c = 0; c < column_count; c++) {
		const unsigned char *from = (const unsigned char *)rows + columns[c].offset;
		for (size_t i = 0; i < row_count; i++, from += stride, out += columns[c].size)
			memcpy(out, from, columns[c].size);
	}
}

static inline void columns_unpack(const struct column *columns, size_t column_count, const unsigned char *in,
				  void *rows, size_t stride, size_t row_count)
{
	for (size_t c = 0; c < column_count; c++) {
		unsigned char *to = (unsigned char *)rows + columns[c].offset;
		for (size_t i = 0; i < row_count; i++, to += stride, in += columns[c].size)
			memcpy(to, in, columns[c].size);
	}
}

#endif
