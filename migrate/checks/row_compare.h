/*
 * Values compared one by one: both servers stream a table's rows in the order of its key, and are merged here. Values
 * live as long as their row; what is kept is how many fell into which class.
 */
#ifndef ROW_COMPARE_H
#define ROW_COMPARE_H

#include "check_server.h"
#include "data_tables.h"
#include "value_class.h"

#include <stdint.h>

/* A column under its name on either side. */
struct row_column {
	const struct data_column *before;
	const struct data_column *after;
	int64_t compared;
	int64_t classes[VALUE_CLASS_COUNT];
};

struct row_compare {
	struct check_server *before;
	struct check_server *after;
	const struct data_table *before_table;
	const struct data_table *after_table;
	struct row_column *columns;
	size_t column_count; /* at most ROW_COLUMNS_MAX */
	const struct check_limits *limits;
	int64_t rows_removed; /* whose key is there before alone */
	int64_t rows_added;
};
#define ROW_COLUMNS_MAX 80

/* The keys are comparable: the same columns on both sides, of types whose order agrees. */
bool row_compare_has_key(const struct data_table *before, const struct data_table *after);
/* Fills in the counts. */
enum check_answer row_compare_run(struct row_compare *compare, char why[100], struct error *err);
/*
 * Without a key: the values of columns[0] alone, as a multiset. rows_removed is how many are there before alone,
 * rows_added how many after alone; which row has which is not looked at.
 */
enum check_answer row_compare_values(struct row_compare *compare, char why[100], struct error *err);

/* Appends FROM ONLY "schema"."table", without ONLY where the partitions belong to it. */
void row_compare_add_from(struct strbuf *query, const struct data_table *table);

#endif
