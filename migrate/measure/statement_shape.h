/*
 * What a PostgreSQL statement is by its text, as far as the tracer has to know before it runs: whether it changes the
 * schema, rows or nothing, whether other statements run inside of it, and whether it may end transactions. No grammar:
 * the first words, and which names stand in front of a parenthesis. What a text cannot tell (what a DO block does) is
 * left open, to be told by what was measured.
 */
#ifndef STATEMENT_SHAPE_H
#define STATEMENT_SHAPE_H

#include "ledger.h"
#include "span.h"

#include <stdbool.h>

struct statement_shape {
	enum ledger_kind kind;	/* LEDGER_KIND_UNKNOWN: to be told by what it does */
	bool runs_code;		/* DO, CALL, or it names a function of a user */
	bool ends_transactions; /* may do so: CALL, a DO block with COMMIT or ROLLBACK in it, VACUUM … */
	bool begins_transaction;
	bool needs_transaction; /* LOCK TABLE: refused outside of one, which wrapping it would hide */
	bool commits;		/* COMMIT, END, PREPARE TRANSACTION: its WAL is worth knowing */
	bool returns_to_savepoint;
	bool is_control;       /* nothing to measure */
	bool is_plain_read;    /* a query that takes no locks but those of reading, and calls no function of a user */
	bool defines_function; /* what it defines is not among the known functions yet */
};

/* is_user_function() is asked for names in front of a parenthesis, unquoted ones in lower case. */
struct statement_shape statement_shape_of(struct span sql,
					  bool (*is_user_function)(const void *context, struct span name),
					  const void *context);

#endif
