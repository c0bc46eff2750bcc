/*
 * Locks, work and blocking of many kinds of DDL, each on a database of its own, as the SQL runner's ledger tells them;
 * and proven: while a second session holds the statement's transaction open, a third tries to read, lock rows, write,
 * build an index and alter, with a lock_timeout.
 */
#include "lock_effect.h"
#include "mem.h"
#include "support_ddl.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void trace_as_file(const char *url, const struct ddl_case *c, struct ledger *ledger)
{
	struct error err = ERROR_INIT;
	struct migration migration;
	const struct migration_way way = {.files = &migration};
	migration_init(&migration);
	assert_int_equal(migration_add_text(&migration, "ddl.sql", c->sql, strlen(c->sql), &err), 0);
	ddl_trace(url, c, &way, ledger);
	migration_release(&migration);
}

/*
 * What clients do, and the lock on the table that each needs. A query locks the table's indexes too (AccessShare or
 * RowExclusive), to plan it, and so waits for who holds one of them exclusively; other statements do not.
 */
static const struct attempt {
	int rank;
	bool is_planned;
	const char *kinds;  /* pg_class.relkind that it is tried on */
	const char *before; /* of the relation's name */
	const char *after;
} attempts[] = {
	{1, true, "rpmv", "SELECT 1 FROM ", " LIMIT 1"},
	{2, true, "rp", "SELECT 1 FROM ", " LIMIT 1 FOR UPDATE SKIP LOCKED"},
	{3, true, "rp", "DELETE FROM ", " WHERE random() < 0"},
	{3, false, "S", "SELECT nextval('", "')"},
	{5, false, "rpm", "CREATE INDEX ON ", " ((1))"},
	{8, false, "rp", "ALTER TABLE ", " ADD tried int"},
};

/* True when the statement waits for a lock. */
static bool is_kept_out(PGconn *conn, const struct attempt *attempt, const char *relation)
{
	char *sql = mem_printf("%s%s%s", attempt->before, relation, attempt->after);
	PGresult *result = PQexec(conn, "BEGIN");
	PQclear(result);
	result = PQexec(conn, sql);
	const char *sqlstate = PQresultErrorField(result, PG_DIAG_SQLSTATE);
	bool out = sqlstate && strcmp(sqlstate, "55P03") == 0;
	PQclear(result);
	PQclear(PQexec(conn, "ROLLBACK"));
	free(sql);
	return out;
}

/* One table that the statement locked, itself or by an index: held by whom, and how strongly, as pg_locks says. */
struct locked_table {
	const char *name;
	int holder;
	int reader; /* that keeps it waiting, and holds locks too; 0 for none */
	char kind;
	int rank;	/* on the table */
	int index_rank; /* the strongest on one of its indexes */
};

static int ask_rank(PGconn *conn, const struct locked_table *table, const char *relations)
{
	char *sql = mem_printf("SELECT max(array_position(ARRAY['AccessShareLock', 'RowShareLock', 'RowExclusiveLock',"
			       " 'ShareUpdateExclusiveLock', 'ShareLock', 'ShareRowExclusiveLock', 'ExclusiveLock',"
			       " 'AccessExclusiveLock'], mode)) FROM pg_locks WHERE pid IN (%d, %d)"
			       " AND granted AND relation IN (%s'%s'::regclass)",
			       table->holder, table->reader, relations, table->name);
	long long rank = pg_server_number(conn, sql);
	free(sql);
	return rank > 0 ? (int)rank : 0;
}

static bool look_at_table(PGconn *conn, struct locked_table *table)
{
	char *ask = mem_printf("SELECT ascii(relkind::text) FROM pg_class WHERE oid = to_regclass('%s')", table->name);
	long long kind = pg_server_number(conn, ask);
	free(ask);
	table->kind = kind > 0 ? (char)kind : 0;
	if (kind <= 0)
		return false; /* it is known to its own transaction alone */
	table->rank = ask_rank(conn, table, "");
	table->index_rank = ask_rank(conn, table, "SELECT indexrelid FROM pg_index WHERE indrelid = ");
	return true;
}

static unsigned attempt_on(const struct ddl_case *c, PGconn *conn, const struct locked_table *table, unsigned *tried)
{
	unsigned wrong = 0;
	for (size_t a = 0; a < sizeof(attempts) / sizeof(*attempts); a++) {
		const struct attempt *attempt = &attempts[a];
		if (!strchr(attempt->kinds, table->kind))
			continue;
		bool expected = lock_ranks_conflict(table->rank, attempt->rank) ||
				(attempt->is_planned && table->index_rank == LOCK_RANK_MAX);
		(*tried)++;
		if (is_kept_out(conn, attempt, table->name) == expected)
			continue;
		print_error("%s: %s%s%s %s wait\n", c->name, attempt->before, table->name, attempt->after,
			    expected ? "does not" : "does");
		wrong++;
	}
	return wrong;
}

/* What pg_locks shows while it is held must be what the ledger said (where that was asked, not sampled). */
static unsigned compare_ranks(const struct ddl_case *c, const struct ledger_statement *statement,
			      const struct ledger_lock *lock, const struct locked_table *table)
{
	int rank = lock_mode_rank(lock->mode);
	int shown = lock->index_of[0] ? table->index_rank : table->rank;
	if (statement->locks_known != LEDGER_LOCKS_BEFORE_COMMIT || rank == shown)
		return 0;
	print_error("%s: %s: pg_locks shows %s, the ledger %s\n", c->name, lock->relation, lock_mode_name(shown),
		    lock->mode);
	return 1;
}

static unsigned attempt_all(const struct ddl_case *c, const struct ledger_statement *statement, int holder, int reader,
			    unsigned *tried)
{
	PGconn *conn = pg_server_connect(&ddl_server, "ddl");
	unsigned wrong = 0;
	assert_int_equal(pg_server_sql(conn, "SET lock_timeout = '30ms'"), 0);
	for (size_t i = 0; i < statement->lock_count; i++) {
		const struct ledger_lock *lock = &statement->locks[i];
		struct locked_table table = {.name = lock->index_of[0] ? lock->index_of : lock->relation,
					     .holder = holder,
					     .reader = reader};
		if (ddl_is_new(statement, lock) || !look_at_table(conn, &table))
			continue;
		wrong += compare_ranks(c, statement, lock, &table);
		wrong += attempt_on(c, conn, &table, tried);
	}
	PQfinish(conn);
	return wrong;
}

/* Holds the statement's transaction open, or, for what runs concurrently, keeps it waiting. NULL: it ran at once. */
static PGconn *hold_statement(const struct ddl_case *c, PGconn **reader)
{
	PGconn *conn = pg_server_connect(&ddl_server, "ddl");
	*reader = NULL;
	if (!ddl_runs_concurrently(c)) {
		assert_int_equal(pg_server_sql(conn, "BEGIN"), 0);
		PGresult *result = PQexec(conn, c->sql);
		bool held = PQresultStatus(result) != PGRES_FATAL_ERROR;
		PQclear(result);
		if (held)
			return conn;
		PQfinish(conn); /* VACUUM: not in a transaction */
		return NULL;
	}
	*reader = ddl_begin_reader();
	assert_int_equal(PQsendQuery(conn, c->sql), 1);
	ddl_wait_for_waiter();
	return conn;
}

static unsigned prove_case(const struct ddl_case *c, const struct ledger_statement *statement, unsigned *tried)
{
	PGconn *reader;
	PGconn *conn = hold_statement(c, &reader);
	if (!conn)
		return 0;
	unsigned wrong = attempt_all(c, statement, PQbackendPID(conn), reader ? PQbackendPID(reader) : 0, tried);
	if (reader)
		ddl_end_reader(reader);
	PGresult *result;
	while ((result = PQgetResult(conn)))
		PQclear(result);
	PQfinish(conn);
	return wrong;
}

/* Each attempt that the ledger's locks say is kept out is, and no other. */
static void test_sql_files(void **state)
{
	unsigned wrong = 0, tried = 0;
	(void)state;
	for (size_t i = 0; i < ddl_case_count; i++) {
		struct ledger ledger;
		char *url = ddl_make_database();
		ddl_prepare_case(&ddl_cases[i]);
		trace_as_file(url, &ddl_cases[i], &ledger);
		free(url);
		wrong += ddl_check_case(&ddl_cases[i], &ledger);
		free(ddl_make_database());
		ddl_prepare_case(&ddl_cases[i]);
		if (ledger.statement_count == 1)
			wrong += prove_case(&ddl_cases[i], &ledger.statements[0], &tried);
		ledger_release(&ledger);
	}
	print_message("%zu statements, %u attempts\n", ddl_case_count, tried);
	assert_int_equal(wrong, 0);
	assert_true(tried > 250);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_sql_files),
	};
	return cmocka_run_group_tests(tests, ddl_set_up, ddl_tear_down);
}
