/*
 * How many times as many rows production has as the clone, for all tables and for single ones: --row-ratio 20,
 * --row-ratio orders=120.
 */
#ifndef ROW_RATIO_H
#define ROW_RATIO_H

#include "error.h"

#include <stdbool.h>
#include <stddef.h>

#define ROW_RATIO_MIN 0.001
#define ROW_RATIO_MAX 1e6

struct row_ratio {
	char *table; /* bare or qualified */
	double ratio;
};

struct row_ratios {
	double all; /* of tables without one of their own */
	bool given; /* any was: else nobody has said what production has */
	struct row_ratio *tables;
	size_t count;
	size_t capacity;
};

void row_ratios_init(struct row_ratios *ratios); /* as many rows as the clone */
void row_ratios_release(struct row_ratios *ratios);
/* "20" or "orders=120"; a later one for the same table holds. ERR_USAGE says what is wrong with it. */
int row_ratios_add(struct row_ratios *ratios, const char *text, struct error *err);
/* The entry of a relation ("schema.table"), NULL without one of its own: then ->all holds. */
const struct row_ratio *row_ratios_find(const struct row_ratios *ratios, const char *relation);

#endif
