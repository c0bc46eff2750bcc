/*
 * What kind of statement a migration's statement is, as far as its words tell: enough to refuse a COMMIT inside of a
 * transaction that is ours, and to point out what amends data beside DDL (B14). A function that is called may do
 * anything; nothing is said about it.
 */
#ifndef WORKFLOW_SQL_H
#define WORKFLOW_SQL_H

#include "span.h"

enum workflow_sql_kind {
	WORKFLOW_SQL_DATA = 1,	   /* INSERT, UPDATE, DELETE, MERGE, TRUNCATE, COPY … FROM, also under WITH or in a DO
				      block's body */
	WORKFLOW_SQL_DDL = 2,	   /* CREATE, ALTER, DROP, … */
	WORKFLOW_SQL_ALL_ROWS = 4, /* an UPDATE or DELETE without WHERE */
	WORKFLOW_SQL_TRANSACTION = 8,	/* BEGIN, COMMIT, ROLLBACK, … (not savepoints) */
	WORKFLOW_SQL_OUTSIDE = 16,	/* the server refuses it inside of a transaction */
	WORKFLOW_SQL_CONCURRENTLY = 32, /* waits for other transactions, while it blocks nobody */
	WORKFLOW_SQL_BY_STEPS = 64,	/* may have done part of its work when it fails */
	WORKFLOW_SQL_FIRST = 128,	/* SET TRANSACTION: only before anything else in a transaction */
	WORKFLOW_SQL_BEGIN = 256,	/* a transaction is open after it: BEGIN, COMMIT AND CHAIN */
	WORKFLOW_SQL_CONTROL = 512	/* changes nothing but its session: SET, BEGIN, … */
};

/* Flags of enum workflow_sql_kind; 0 for what is none of these. */
unsigned workflow_sql_look(struct span sql);

#endif
