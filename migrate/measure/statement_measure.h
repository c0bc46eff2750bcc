/*
 * What one statement did, found out around it and written into its ledger entry: locks, rewrites, rows scanned, sizes,
 * indexes, triggers. Carries over, from statement to statement of one transaction, what the earlier ones hold already.
 */
#ifndef STATEMENT_MEASURE_H
#define STATEMENT_MEASURE_H

#include "code_table.h"
#include "ledger.h"
#include "relation_table.h"
#include "span.h"
#include "trace_probe.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* ledger_lock.released_ns of a lock that is held to the end of the transaction, which is yet to come. */
#define LOCK_STILL_HELD INT64_MAX

struct statement_measure {
	struct trace_probe probe;
	struct relation_table relations;
	struct code_table code;
	int64_t t0_ns;
	/* See statement_tracer.h. */
	int (*ask)(void *context, const char *const *statements, size_t count, PGresult **results, struct error *err);
	void *ask_context;
};

void statement_measure_init(struct statement_measure *measure);
void statement_measure_release(struct statement_measure *measure);
/* Once, while the backend is idle outside of a transaction: what is asked later is quicker the second time. */
void statement_measure_prepare(struct statement_measure *measure);
/* While the backend is idle, before a transaction: what it counts, counts from here. */
void statement_measure_begin(struct statement_measure *measure);
/* Relations, triggers and functions as they are now, and sizes; named_only: see relation_table_measure(). */
void statement_measure_look(struct statement_measure *measure, struct span sql, bool catalogs, bool only_named);
/* Functions and triggers as they are now: which queries are plain ones. */
void statement_measure_look_at_code(struct statement_measure *measure);
/*
 * After a statement that went well, while its transaction is open: asks its own backend. False when that could not be
 * had, and samples had to do. statement NULL: for what is known alone, nothing is reported.
 */
bool statement_measure_inside(struct statement_measure *measure, struct ledger_statement *statement);
/*
 * After a statement that went well, while its transaction is open: its locks alone, from outside, for a tenth of the
 * time. False when they could not be had.
 */
bool statement_measure_locks(struct statement_measure *measure, struct ledger_statement *statement);
/* After a statement that ran outside of a transaction: files and sizes as they are now. */
void statement_measure_outside(struct statement_measure *measure, struct ledger_statement *statement, struct span sql);
/*
 * Locks as sampled from outside: for statements that cannot run inside a transaction, and for those that failed.
 * in_transaction: what it had, and was not seen to go, is held on.
 */
void statement_measure_sampled(struct statement_measure *measure, struct ledger_statement *statement,
			       bool in_transaction);
/*
 * ROLLBACK TO SAVEPOINT: what was taken after it is let go. Those of the locks in statements[0..count), the
 * transaction's, that are gone are released at now_ns.
 */
void statement_measure_rolled_back_to(struct statement_measure *measure, struct ledger_statement *statements,
				      size_t count, int64_t now_ns);
/* The transaction is over: nothing is held any more. */
void statement_measure_end_transaction(struct statement_measure *measure);

#endif
