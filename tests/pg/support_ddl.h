/*
 * What the tests of many kinds of DDL (support_ddl_cases.h) share: a server with a database for each statement to start
 * from, the statement traced in whatever way, and its ledger held against the table.
 */
#ifndef SUPPORT_DDL_H
#define SUPPORT_DDL_H

#include "migration_runner.h"
#include "support_ddl_cases.h"
#include "support_pg_server.h"

#include <stdbool.h>

extern struct pg_server ddl_server;

/* For cmocka: the server, with the database that the others are copied from. */
int ddl_set_up(void **state);
int ddl_tear_down(void **state);

/* The database "ddl" made anew, and its URL, to be freed. */
char *ddl_make_database(void);
/* Runs what the case needs before. */
void ddl_prepare_case(const struct ddl_case *c);

/* True for what waits for others' transactions to end. */
bool ddl_runs_concurrently(const struct ddl_case *c);
/* A reader with an old snapshot: what runs concurrently has to wait for its end, and so lives long enough to be seen.
 */
PGconn *ddl_begin_reader(void);
void ddl_end_reader(PGconn *conn);
/* Until some statement in the database waits for a lock. */
void ddl_wait_for_waiter(void);

/* Runs the case in that way on the database; *ledger is to be released. */
void ddl_trace(const char *url, const struct ddl_case *c, const struct migration_way *way, struct ledger *ledger);
/* Made by the statement itself. */
bool ddl_is_new(const struct ledger_statement *statement, const struct ledger_lock *lock);
/*
 * How often the ledger differs from the table; each is printed. With REHEARSE_DDL_PRINT=1 in the environment the
 * table's right-hand side is printed as observed, for whoever adds a case.
 */
unsigned ddl_check_case(const struct ddl_case *c, const struct ledger *ledger);

#endif
