/*
 * What one statement did, found out around it and written into its ledger entry: locks, rewrites, rows scanned, sizes.
 * Carries over, from statement to statement of one transaction, what the earlier ones hold already.
 */
#ifndef STATEMENT_MEASURE_H
#define STATEMENT_MEASURE_H

#include "ledger.h"
#include "relation_table.h"
#include "span.h"
#include "statement_run.h"

#include <stddef.h>
#include <stdint.h>

/* The strongest mode on a relation that the open transaction holds. */
struct held_lock {
	uint32_t oid;
	int rank;
};

struct statement_measure {
	struct statement_runner *run;
	struct relation_table relations;
	int64_t t0_ns;
	struct held_lock *held; /* freed by the owner */
	size_t held_count;
	size_t held_capacity;
};

/* Before a transaction: rows scanned count from here. */
void statement_measure_begin(struct statement_measure *measure);
/* After a statement that went well, while its transaction is open: asks its own backend. */
void statement_measure_inside(struct statement_measure *measure, struct ledger_statement *statement);
/* After a statement that ran outside of a transaction: files and sizes as they are now. */
void statement_measure_outside(struct statement_measure *measure, struct ledger_statement *statement, struct span sql);
/* Locks as sampled from outside: for statements that cannot run inside a transaction, and for those that failed. */
void statement_measure_sampled(struct statement_measure *measure, struct ledger_statement *statement);
/* The transaction is over: nothing is held any more. */
void statement_measure_end_transaction(struct statement_measure *measure);

#endif
