/*
 * What a statement of the migration would have more of to do where tables have more rows, by what it was seen to do
 * (never by a list of commands), and how many times as many rows the tables have that it concerns.
 */
#ifndef STATEMENT_GROWTH_H
#define STATEMENT_GROWTH_H

#include "ledger.h"
#include "row_ratio.h"

enum statement_work {
	/* Grows with rows. */
	WORK_REWRITE,
	WORK_INDEX_BUILD,
	WORK_SCAN,
	WORK_ROWS,	  /* changes rows */
	WORK_NOT_COUNTED, /* nobody could count its rows, or it took longer than a look into the catalog does */
	/* Does not. */
	WORK_METADATA,
	WORK_EMPTY,  /* TRUNCATE: a new file */
	WORK_SAMPLE, /* ANALYZE reads as many rows of any table */
	WORK_ONE_ROW,
	WORK_CONTROL, /* transactions, settings */
	WORK_FAILED
};
/* "rewrite", "index build", "scan", "rows changed", "not counted", "metadata", … */
const char *statement_work_name(enum statement_work work);
bool statement_work_grows(enum statement_work work);

struct statement_growth {
	enum statement_work work;
	double ratio; /* 1 for work that does not grow */
};

/*
 * Of every statement of the ledger; busy_ns[i] is how long it worked. The ratio is the largest of the tables that it
 * locked, or that its transaction had locked and it names; a table that the migration made has the ratio of those that
 * it was filled from. used[i] of ratios->tables is set where a statement concerns that table. The result is to be
 * freed.
 */
struct statement_growth *statement_growth_find(const struct ledger *ledger, const struct row_ratios *ratios,
					       const int64_t *busy_ns, bool *used);

#endif
