/*
 * Locks, work and blocking of many kinds of DDL (support_ddl_cases.c), each on a database of its own: as the SQL
 * runner's ledger tells them, and proven: while a second session holds the statement's transaction open, a third tries
 * to read, lock rows, write, build an index and drop, with a lock_timeout.
 *
 * With REHEARSE_DDL_PRINT=1 the table's right-hand side is printed as observed, for whoever adds a case.
 */
#include "clock.h"
#include "lock_effect.h"
#include "mem.h"
#include "sql_runner.h"
#include "strbuf.h"
#include "support_ddl_cases.h"
#include "support_pg_server.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <pthread.h>

#define TEXT_MAX ((size_t)64 * 1024)

static struct pg_server server;

/* A database like the template, and its URL. */
static char *make_database(void)
{
	assert_int_equal(pg_server_run(&server, "DROP DATABASE IF EXISTS ddl WITH (FORCE)"), 0);
	assert_int_equal(pg_server_run(&server, "CREATE DATABASE ddl TEMPLATE ddl_base STRATEGY wal_log"), 0);
	return mem_printf("postgresql://postgres@127.0.0.1:%d/ddl", server.port);
}

static void prepare_case(const struct ddl_case *c)
{
	PGconn *conn = pg_server_connect(&server, "ddl");
	assert_non_null(conn);
	if (c->before)
		assert_int_equal(pg_server_sql(conn, c->before), 0);
	PQfinish(conn);
}

static bool runs_concurrently(const struct ddl_case *c)
{
	return strstr(c->sql, "CONCURRENTLY") && !strstr(c->sql, "REFRESH");
}

/*
 * A reader with an old snapshot: what runs concurrently has to wait for its end, and so lives long enough to be seen.
 */
static PGconn *begin_reader(void)
{
	PGconn *conn = pg_server_connect(&server, "ddl");
	assert_int_equal(pg_server_sql(conn, "BEGIN ISOLATION LEVEL REPEATABLE READ;"
					     "SELECT FROM big LIMIT 1; SELECT FROM part LIMIT 1"),
			 0);
	return conn;
}

static void end_reader(PGconn *conn)
{
	(void)pg_server_sql(conn, "COMMIT");
	PQfinish(conn);
}

static void *end_reader_soon(void *context)
{
	clock_sleep_until_ns(clock_mono_ns() + 200 * NS_PER_MS);
	end_reader(context);
	return NULL;
}

static void trace_sql(const char *url, const struct ddl_case *c, struct ledger *ledger)
{
	struct error err = ERROR_INIT;
	struct migration migration;
	pthread_t holder;
	migration_init(&migration);
	ledger_init(ledger);
	assert_int_equal(migration_add_text(&migration, "ddl.sql", c->sql, strlen(c->sql), &err), 0);
	if (runs_concurrently(c))
		assert_int_equal(pthread_create(&holder, NULL, end_reader_soon, begin_reader()), 0);
	struct sql_runner_options options = {
		.url = url, .migration = &migration, .t0_ns = clock_mono_ns(), .interval_ns = 2 * NS_PER_MS};
	if (sql_runner_run(&options, ledger, &err) != 0)
		fail_msg("%s: %s", c->name, err.text);
	if (runs_concurrently(c))
		(void)pthread_join(holder, NULL);
	migration_release(&migration);
}

static bool has_name(const struct ledger_names *names, const char *name)
{
	for (size_t i = 0; i < names->count; i++) {
		if (strcmp(names->items[i], name) == 0)
			return true;
	}
	return false;
}

static bool is_new(const struct ledger_statement *statement, const struct ledger_lock *lock)
{
	return has_name(&statement->relations_created, lock->relation) ||
	       has_name(&statement->indexes_built, lock->relation);
}

/* An index that nobody uses any more, or yet, while it is dropped or built concurrently: seen or not, by chance. */
static bool is_passing(const struct ledger_statement *statement, const struct ledger_lock *lock)
{
	return statement->locks_known == LEDGER_LOCKS_SAMPLED && has_name(&statement->indexes_dropped, lock->relation);
}

static int by_relation(const void *a, const void *b)
{
	return strcmp(((const struct ledger_lock *)a)->relation, ((const struct ledger_lock *)b)->relation);
}

static const char *plain(const char *name)
{
	return strncmp(name, "public.", 7) == 0 ? name + 7 : name;
}

static enum lock_effect describe_locks(const struct ledger_statement *statement, struct strbuf *out)
{
	enum lock_effect strongest = LOCK_EFFECT_NONE;
	if (statement->lock_count > 1)
		qsort(statement->locks, statement->lock_count, sizeof(*statement->locks), by_relation);
	for (size_t i = 0; i < statement->lock_count; i++) {
		const struct ledger_lock *lock = &statement->locks[i];
		enum lock_effect effect = lock_effect_of(lock_mode_rank(lock->mode));
		if (is_new(statement, lock) || is_passing(statement, lock))
			continue;
		strongest = effect > strongest ? effect : strongest;
		strbuf_addf(out, "%s%s=%.*s", out->len ? " " : "", plain(lock->relation), (int)(strlen(lock->mode) - 4),
			    lock->mode);
	}
	return strongest;
}

static void describe_work(const struct ledger_statement *statement, struct strbuf *out)
{
	for (size_t i = 0; i < statement->rewrite_count; i++)
		strbuf_addf(out, "%s%s", i ? " " : "rewrite ", plain(statement->rewrites[i]));
	if (statement->rewrite_count == 0)
		strbuf_add_str(out, statement->rows_scanned > 0	   ? "scan"
				    : statement->rows_scanned == 0 ? "metadata"
								   : "-");
}

/* OIDs in names differ from run to run. */
static void add_without_oids(struct strbuf *out, const char *name)
{
	while (*name) {
		size_t digits = strspn(name, "0123456789");
		if (digits >= 5)
			strbuf_add_char(out, 'N');
		else
			strbuf_add(out, name, digits ? digits : 1);
		name += digits ? digits : 1;
	}
}

static void add_marks(struct strbuf *out, const char *mark, const struct ledger_names *names)
{
	for (size_t i = 0; i < names->count; i++) {
		strbuf_addf(out, "%s%s", out->len ? " " : "", mark);
		add_without_oids(out, plain(names->items[i]));
	}
}

static void describe_marks(const struct ledger_statement *statement, struct strbuf *out)
{
	add_marks(out, "+", &statement->relations_created);
	add_marks(out, "-", &statement->relations_dropped);
	add_marks(out, "+index ", &statement->indexes_built);
	add_marks(out, "-index ", &statement->indexes_dropped);
	add_marks(out, "invalid ", &statement->indexes_invalid);
	add_marks(out, "+trigger ", &statement->triggers_added);
	add_marks(out, "-trigger ", &statement->triggers_dropped);
	add_marks(out, "off ", &statement->triggers_disabled);
	add_marks(out, "on ", &statement->triggers_enabled);
	add_marks(out, "ran ", &statement->functions);
	if (statement->rows_changed > 0)
		strbuf_addf(out, "%s%lld rows", out->len ? " " : "", (long long)statement->rows_changed);
}

struct observed {
	struct strbuf locks, work, marks;
	enum lock_effect blocks;
	const char *kind;
};

static void observe(const struct ledger_statement *statement, struct observed *seen)
{
	strbuf_init(&seen->locks, TEXT_MAX);
	strbuf_init(&seen->work, TEXT_MAX);
	strbuf_init(&seen->marks, TEXT_MAX);
	seen->blocks = describe_locks(statement, &seen->locks);
	describe_work(statement, &seen->work);
	describe_marks(statement, &seen->marks);
	seen->kind = ledger_kind_name(statement->kind);
}

static void observed_release(struct observed *seen)
{
	strbuf_release(&seen->locks);
	strbuf_release(&seen->work);
	strbuf_release(&seen->marks);
}

static unsigned check_text(const struct ddl_case *c, const char *what, const char *seen, const char *expected)
{
	if (strcmp(seen, expected ? expected : "") == 0)
		return 0;
	print_error("%s: %s: \"%s\", expected \"%s\"\n", c->name, what, seen, expected ? expected : "");
	return 1;
}

static unsigned check_case(const struct ddl_case *c, const struct ledger *ledger)
{
	struct observed seen;
	unsigned wrong = 0;
	if (ledger->outcome != LEDGER_OK || ledger->statement_count != 1) {
		print_error("%s: failed: %s\n", c->name,
			    ledger->statement_count ? ledger->statements[0].message : "no statement");
		return 1;
	}
	observe(&ledger->statements[0], &seen);
	const char *blocks = lock_effect_words(seen.blocks);
	if (getenv("REHEARSE_DDL_PRINT")) {
		(void)printf("%s\t\"%s\", \"%s\", \"%s\", \"%s\", %s%s%s\n", c->name, seen.locks.data, seen.work.data,
			     blocks, seen.kind, seen.marks.len ? "\"" : "", seen.marks.len ? seen.marks.data : "NULL",
			     seen.marks.len ? "\"" : "");
	} else {
		if (strcmp(c->locks, "?") != 0)
			wrong += check_text(c, "locks", seen.locks.data, c->locks);
		wrong += check_text(c, "work", seen.work.data, c->work);
		if (strcmp(c->blocks, "?") != 0)
			wrong += check_text(c, "blocks", blocks, c->blocks);
		wrong += check_text(c, "kind", seen.kind, c->kind);
		wrong += check_text(c, "marks", seen.marks.data, c->marks);
	}
	observed_release(&seen);
	return wrong;
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
	char kind;
	int rank;	/* on the table */
	int index_rank; /* the strongest on one of its indexes */
};

static int ask_rank(PGconn *conn, const struct locked_table *table, const char *relations)
{
	char *sql = mem_printf("SELECT max(array_position(ARRAY['AccessShareLock', 'RowShareLock', 'RowExclusiveLock',"
			       " 'ShareUpdateExclusiveLock', 'ShareLock', 'ShareRowExclusiveLock', 'ExclusiveLock',"
			       " 'AccessExclusiveLock'], mode)) FROM pg_locks WHERE pid = %d AND granted"
			       " AND relation IN (%s'%s'::regclass)",
			       table->holder, relations, table->name);
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

static unsigned attempt_all(const struct ddl_case *c, const struct ledger_statement *statement, int holder,
			    unsigned *tried)
{
	PGconn *conn = pg_server_connect(&server, "ddl");
	unsigned wrong = 0;
	assert_int_equal(pg_server_sql(conn, "SET lock_timeout = '30ms'"), 0);
	for (size_t i = 0; i < statement->lock_count; i++) {
		const struct ledger_lock *lock = &statement->locks[i];
		struct locked_table table = {.name = lock->index_of[0] ? lock->index_of : lock->relation,
					     .holder = holder};
		if (is_new(statement, lock) || !look_at_table(conn, &table))
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
	PGconn *conn = pg_server_connect(&server, "ddl");
	*reader = NULL;
	if (!runs_concurrently(c)) {
		assert_int_equal(pg_server_sql(conn, "BEGIN"), 0);
		PGresult *result = PQexec(conn, c->sql);
		bool held = PQresultStatus(result) != PGRES_FATAL_ERROR;
		PQclear(result);
		if (held)
			return conn;
		PQfinish(conn); /* VACUUM: not in a transaction */
		return NULL;
	}
	*reader = begin_reader();
	char *ask = mem_printf("SELECT count(*) FROM pg_stat_activity WHERE pid = %d AND wait_event_type = 'Lock'",
			       PQbackendPID(conn));
	assert_int_equal(PQsendQuery(conn, c->sql), 1);
	while (pg_server_ask(&server, ask) == 0)
		clock_sleep_until_ns(clock_mono_ns() + 5 * NS_PER_MS);
	free(ask);
	return conn;
}

static unsigned prove_case(const struct ddl_case *c, const struct ledger_statement *statement, unsigned *tried)
{
	PGconn *reader;
	PGconn *conn = hold_statement(c, &reader);
	if (!conn)
		return 0;
	unsigned wrong = attempt_all(c, statement, PQbackendPID(conn), tried);
	if (reader)
		end_reader(reader);
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
		char *url = make_database();
		prepare_case(&ddl_cases[i]);
		trace_sql(url, &ddl_cases[i], &ledger);
		free(url);
		wrong += check_case(&ddl_cases[i], &ledger);
		free(make_database());
		prepare_case(&ddl_cases[i]);
		if (ledger.statement_count == 1)
			wrong += prove_case(&ddl_cases[i], &ledger.statements[0], &tried);
		ledger_release(&ledger);
	}
	print_message("%zu statements, %u attempts\n", ddl_case_count, tried);
	assert_int_equal(wrong, 0);
	assert_true(tried > 250);
}

static int set_up(void **state)
{
	(void)state;
	if (pg_server_start(&server, "autovacuum = off\nclient_min_messages = error\nmax_wal_size = '2GB'\n") != 0 ||
	    pg_server_run(&server, "CREATE ROLE ddl_owner") != 0 ||
	    pg_server_run(&server, "CREATE DATABASE ddl_base") != 0)
		return -1;
	PGconn *conn = pg_server_connect(&server, "ddl_base");
	int rc = conn ? pg_server_sql(conn, ddl_schema) : -1;
	PQfinish(conn);
	return rc;
}

static int tear_down(void **state)
{
	(void)state;
	pg_server_stop(&server);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_sql_files),
	};
	return cmocka_run_group_tests(tests, set_up, tear_down);
}
