/*
 * The migration ledger for people, on a terminal: for each statement what it locks, whom that blocks and for how long,
 * what work it was, and what to look out for; then each relation's longest time out of reach.
 */
#ifndef TRACE_TABLE_H
#define TRACE_TABLE_H

#include "ledger.h"
#include "strbuf.h"

#include <stdbool.h>

#define TRACE_TABLE_WIDTH_MIN 60

struct trace_table_options {
	int width;	/* of the terminal, in columns */
	bool whole_sql; /* statements are not cut to the width */
};

/* Appends to out. Text of the migration's is shown without control characters. */
void trace_table_format(const struct ledger *ledger, const struct trace_table_options *options, struct strbuf *out);

#endif
