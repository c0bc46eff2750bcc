/* The migration runner's ledger, statement by statement, on a real server. */
#include "clock.h"
#include "mem.h"
#include "sql_runner.h"
#include "strbuf.h"
#include "support_pg_server.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <pthread.h>

static struct pg_server server;
static struct ledger ledger;

static enum ledger_outcome run_limited(const char *sql, int64_t timeout_ns, const volatile bool *cancelled)
{
	struct error err = ERROR_INIT;
	struct migration migration;
	migration_init(&migration);
	if (migration_add_text(&migration, "m.sql", sql, strlen(sql), &err) != 0)
		fail_msg("%s", err.text);
	ledger_release(&ledger);
	struct sql_runner_options options = {.url = server.url,
					     .migration = &migration,
					     .t0_ns = clock_mono_ns() - 5 * NS_PER_S,
					     .timeout_ns = timeout_ns,
					     .cancelled = cancelled};
	if (sql_runner_run(&options, &ledger, &err) != 0)
		fail_msg("%s", err.text);
	migration_release(&migration);
	assert_int_equal(pg_server_ask(&server, "SELECT count(*) FROM pg_stat_activity WHERE state LIKE 'idle in%'"),
			 0);
	return ledger.outcome;
}

static enum ledger_outcome run(const char *sql)
{
	return run_limited(sql, 0, NULL);
}

static const struct ledger_lock *find_lock(size_t statement, const char *relation)
{
	const struct ledger_statement *from = &ledger.statements[statement];
	for (size_t i = 0; i < from->lock_count; i++) {
		if (strcmp(from->locks[i].relation, relation) == 0)
			return &from->locks[i];
	}
	return NULL;
}

static void expect_lock(size_t statement, const char *relation, const char *mode)
{
	const struct ledger_lock *lock = find_lock(statement, relation);
	if (!lock)
		fail_msg("no lock on %s", relation);
	else
		assert_string_equal(lock->mode, mode);
}

static bool has_rewrite(size_t statement, const char *relation)
{
	const struct ledger_statement *from = &ledger.statements[statement];
	for (size_t i = 0; i < from->rewrite_count; i++) {
		if (strcmp(from->rewrites[i], relation) == 0)
			return true;
	}
	return false;
}

static void make_table(void)
{
	assert_int_equal(
		pg_server_run(&server,
			      "DROP TABLE IF EXISTS big, other CASCADE;"
			      "CREATE TABLE big (id int PRIMARY KEY, v int NOT NULL, t text);"
			      "INSERT INTO big SELECT i, i % 100, repeat('x', 50) FROM generate_series(1, 200000) i;"
			      "CREATE INDEX big_v ON big (v); CREATE TABLE other (id int PRIMARY KEY);"
			      "ALTER TABLE big SET (autovacuum_enabled = off)"),
		0);
	assert_int_equal(pg_server_run(&server, "VACUUM ANALYZE big"), 0);
}

static void test_rewrite(void **state)
{
	(void)state;
	make_table();
	assert_int_equal(run("ALTER TABLE big ALTER v TYPE bigint; ALTER TABLE big ADD c text DEFAULT 'secret'"),
			 LEDGER_OK);
	assert_int_equal(ledger.statement_count, 2);
	const struct ledger_statement *rewrite = &ledger.statements[0], *add = &ledger.statements[1];
	expect_lock(0, "public.big", "AccessExclusiveLock");
	assert_int_equal(rewrite->lock_count, 1);
	assert_true(has_rewrite(0, "public.big"));
	assert_true(rewrite->rows_scanned >= 200000); /* the table, and again for its indexes, less what workers did */
	assert_true(rewrite->wal_bytes > 0);
	assert_true(rewrite->size_delta_bytes > 0); /* 200,000 rows wider by 4 to 8 bytes */
	assert_true(rewrite->size_delta_bytes < 8 * 1024 * 1024);
	assert_true(rewrite->end_ns - rewrite->start_ns > 20 * NS_PER_MS);
	assert_true(rewrite->start_ns >= 5 * NS_PER_S);
	assert_true(rewrite->transaction_end_ns >= rewrite->end_ns);
	assert_int_equal(rewrite->locks[0].released_ns, rewrite->transaction_end_ns);
	assert_true(rewrite->locks[0].acquired_ns - rewrite->start_ns < 15 * NS_PER_MS);
	assert_int_equal(rewrite->locks[0].waited_ns, 0);
	assert_true(rewrite->backend_pid > 0);
	assert_int_equal(ledger.start_ns, rewrite->start_ns);

	expect_lock(1, "public.big", "AccessExclusiveLock");
	assert_int_equal(add->rewrite_count, 0);
	assert_int_equal(add->rows_scanned, 0);
	assert_int_equal(add->size_delta_bytes, 0);
	assert_true(add->end_ns - add->start_ns < 50 * NS_PER_MS);
	assert_null(strstr(add->sql, "secret"));
	assert_string_equal(add->sql, "ALTER TABLE big ADD c text DEFAULT ?");
	assert_int_equal(ledger.end_ns, add->transaction_end_ns);
}

static void test_indexes(void **state)
{
	(void)state;
	make_table();
	assert_int_equal(run("CREATE INDEX big_t ON big (t, v);\nCREATE INDEX CONCURRENTLY big_tv ON big (v, t);\n"
			     "DROP INDEX big_t;\nVACUUM FULL big; REINDEX INDEX big_v"),
			 LEDGER_OK);
	expect_lock(0, "public.big", "ShareLock");
	assert_int_equal(ledger.statements[0].rewrite_count, 0);
	assert_true(ledger.statements[0].size_delta_bytes > 1024 * 1024);
	expect_lock(1, "public.big", "ShareUpdateExclusiveLock");
	assert_int_equal(ledger.statements[1].line, 2);
	assert_int_equal(ledger.statements[1].rows_scanned, -1);
	assert_true(ledger.statements[1].size_delta_bytes > 1024 * 1024);
	assert_int_equal(ledger.statements[1].transaction_end_ns, ledger.statements[1].end_ns);
	assert_true(find_lock(1, "public.big")->released_ns > find_lock(1, "public.big")->acquired_ns);
	expect_lock(2, "public.big", "AccessExclusiveLock");
	assert_true(ledger.statements[2].size_delta_bytes < -1024 * 1024);
	expect_lock(3, "public.big", "AccessExclusiveLock");
	assert_true(has_rewrite(3, "public.big"));
	expect_lock(4, "public.big", "ShareLock");
	expect_lock(4, "public.big_v", "AccessExclusiveLock");
	assert_true(has_rewrite(4, "public.big_v"));
	assert_false(has_rewrite(4, "public.big"));
	assert_int_equal(pg_server_ask(&server, "SELECT count(*) FROM pg_index WHERE indisvalid AND indexrelid ="
						" 'big_tv'::regclass"),
			 1);
}

/* Locks of a block last to its COMMIT, and each statement shows what it added. */
static void test_block(void **state)
{
	(void)state;
	make_table();
	assert_int_equal(run("BEGIN; SET TRANSACTION ISOLATION LEVEL SERIALIZABLE; LOCK TABLE other IN SHARE MODE;"
			     "ALTER TABLE big ADD COLUMN o int REFERENCES other; SELECT pg_sleep(0.1);"
			     "DROP TABLE other CASCADE; CREATE TABLE young (x serial); COMMIT; SELECT 1"),
			 LEDGER_OK);
	assert_int_equal(ledger.statement_count, 9);
	expect_lock(2, "public.other", "ShareLock");
	expect_lock(3, "public.other", "ShareRowExclusiveLock");
	expect_lock(3, "public.big", "AccessExclusiveLock");
	assert_int_equal(ledger.statements[4].lock_count, 0);
	expect_lock(5, "public.other", "AccessExclusiveLock");
	expect_lock(6, "public.young", "AccessExclusiveLock");
	int64_t end_ns = ledger.statements[7].transaction_end_ns;
	for (size_t i = 0; i < 8; i++)
		assert_int_equal(ledger.statements[i].transaction_end_ns, end_ns);
	assert_int_equal(find_lock(3, "public.big")->released_ns, end_ns);
	assert_true(end_ns - find_lock(3, "public.big")->acquired_ns > 100 * NS_PER_MS);
	/* … and not to the end of what is looked up after it. */
	assert_int_equal(end_ns, ledger.statements[7].end_ns);
	assert_true(ledger.statements[8].start_ns > end_ns);
	assert_int_equal(ledger.statements[8].lock_count, 0);
	assert_int_equal(pg_server_ask(&server, "SELECT count(*) FROM pg_class WHERE relname = 'young'"), 1);
	assert_int_equal(run("DROP TABLE young; BEGIN; CREATE TABLE left_open ()"), LEDGER_OK);
	assert_int_equal(pg_server_ask(&server, "SELECT count(*) FROM pg_class WHERE relname = 'left_open'"), 0);
}

static void test_failures(void **state)
{
	(void)state;
	make_table();
	assert_int_equal(run("CREATE TABLE one ();\n\nALTER TABEL\n  big ADD x int; SELECT 1; SELECT 2"),
			 LEDGER_FAILED);
	assert_int_equal(ledger.statement_count, 2);
	assert_int_equal(ledger.statements_not_run, 2);
	assert_string_equal(ledger.statements[0].sqlstate, "");
	assert_string_equal(ledger.statements[1].sqlstate, "42601");
	assert_non_null(strstr(ledger.statements[1].message, "syntax error at or near \"TABEL\""));
	assert_non_null(strstr(ledger.statements[1].message, "line 3"));
	assert_int_equal(pg_server_ask(&server, "SELECT count(*) FROM pg_class WHERE relname = 'one'"), 1);

	assert_int_equal(
		run("DROP TABLE one; BEGIN; ALTER TABLE big ADD y int; ALTER TABLE big ADD z int DEFAULT 'geheim'"),
		LEDGER_FAILED);
	assert_string_equal(ledger.statements[3].sqlstate, "22P02");
	assert_null(strstr(ledger.statements[3].message, "geheim"));
	expect_lock(2, "public.big", "AccessExclusiveLock");
	assert_int_equal(ledger.statements[2].transaction_end_ns, ledger.statements[3].transaction_end_ns);
	assert_int_equal(run("ALTER TABLE big ADD CONSTRAINT small CHECK (v < 50)"), LEDGER_FAILED);
	assert_string_equal(ledger.statements[0].sqlstate, "23514");
	assert_non_null(strstr(ledger.statements[0].message, "\"small\""));
	assert_int_equal(run("DO $$ BEGIN RAISE EXCEPTION 'customer 4711'; END $$"), LEDGER_FAILED);
	assert_null(strstr(ledger.statements[0].message, "4711"));
	assert_int_equal(run("SELECT 1 FROM 'O''Neill'"), LEDGER_FAILED);
	assert_null(strstr(ledger.statements[0].message, "Neill"));

	/* a deferred constraint fails at our COMMIT */
	assert_int_equal(run("CREATE TABLE d (x int REFERENCES other DEFERRABLE INITIALLY DEFERRED);"
			     "INSERT INTO d VALUES (7); SELECT 1"),
			 LEDGER_FAILED);
	assert_string_equal(ledger.statements[1].sqlstate, "23503");
	assert_int_equal(ledger.statements_not_run, 1);
	assert_int_equal(run("DROP TABLE d"), LEDGER_OK);

	assert_int_equal(run("SELECT pg_terminate_backend(pg_backend_pid()); SELECT 1"), LEDGER_FAILED);
	assert_int_equal(ledger.statements_not_run, 1);
	assert_true(ledger.statements[0].sqlstate[0] != '\0');
}

/* What psql allows: blocks that commit themselves, procedures, COPY to the client. */
static void test_bare(void **state)
{
	(void)state;
	make_table();
	assert_int_equal(run("CREATE PROCEDURE p() LANGUAGE plpgsql AS $$ BEGIN INSERT INTO other VALUES (1); COMMIT;"
			     " INSERT INTO other VALUES (2); END $$; CALL p();"
			     "DO $$ BEGIN INSERT INTO other VALUES (3); COMMIT; END $$; COPY other TO STDOUT;"
			     "SET lock_timeout = '5s'; SHOW lock_timeout; DROP PROCEDURE p"),
			 LEDGER_OK);
	assert_int_equal(pg_server_ask(&server, "SELECT count(*) FROM other"), 3);
	assert_int_equal(ledger.statement_count, 7);
}

static bool has_name(const struct ledger_names *names, const char *name)
{
	for (size_t i = 0; i < names->count; i++) {
		if (strcmp(names->items[i], name) == 0)
			return true;
	}
	return false;
}

/* What was taken after a savepoint is let go by ROLLBACK TO, and what was rewritten there was not. */
static void test_savepoints(void **state)
{
	(void)state;
	make_table();
	assert_int_equal(run("BEGIN; LOCK TABLE other IN SHARE MODE; SAVEPOINT s; ALTER TABLE big ALTER v TYPE bigint;"
			     "CREATE TABLE passing (); SELECT pg_sleep(0.05); ROLLBACK TO SAVEPOINT s;"
			     "SELECT pg_sleep(0.1); ALTER TABLE big ADD x int; CREATE TABLE passing (); COMMIT"),
			 LEDGER_OK);
	expect_lock(3, "public.big", "AccessExclusiveLock");
	assert_true(has_rewrite(3, "public.big"));
	int64_t rolled_back_ns = ledger.statements[6].end_ns, end_ns = ledger.statements[10].end_ns;
	assert_true(end_ns - rolled_back_ns > 100 * NS_PER_MS);
	assert_int_equal(find_lock(1, "public.other")->released_ns, end_ns);
	assert_int_equal(find_lock(3, "public.big")->released_ns, rolled_back_ns);
	assert_true(find_lock(4, "public.passing")->released_ns == rolled_back_ns);
	expect_lock(8, "public.big", "AccessExclusiveLock");
	assert_int_equal(ledger.statements[8].rewrite_count, 0);
	assert_int_equal(find_lock(8, "public.big")->released_ns, end_ns);
	assert_true(has_name(&ledger.statements[4].relations_created, "public.passing"));
	assert_true(has_name(&ledger.statements[9].relations_created, "public.passing"));
	for (size_t i = 0; i < ledger.statement_count; i++)
		assert_int_equal(ledger.statements[i].transaction_end_ns, end_ns);
	assert_int_equal(run("DROP TABLE passing"), LEDGER_OK);
	assert_true(has_name(&ledger.statements[0].relations_dropped, "public.passing"));
}

static void test_left_behind(void **state)
{
	(void)state;
	make_table();
	assert_int_equal(run("CREATE UNIQUE INDEX CONCURRENTLY big_unique ON big (v); SELECT 1"), LEDGER_FAILED);
	const struct ledger_statement *failed = &ledger.statements[0];
	assert_string_equal(failed->sqlstate, "23505");
	assert_int_equal(failed->locks_known, LEDGER_LOCKS_SAMPLED);
	assert_true(has_name(&failed->indexes_invalid, "public.big_unique"));
	expect_lock(0, "public.big", "ShareUpdateExclusiveLock");
	/* the retry that misfires: the name is taken, and the index as useless as before, but not left by this one */
	assert_int_equal(run("CREATE UNIQUE INDEX CONCURRENTLY IF NOT EXISTS big_unique ON big (v)"), LEDGER_OK);
	assert_int_equal(ledger.statements[0].indexes_invalid.count, 0);
	assert_int_equal(ledger.statements[0].indexes_built.count, 0);
	assert_int_equal(run("DROP INDEX big_unique"), LEDGER_OK);
	assert_true(has_name(&ledger.statements[0].indexes_dropped, "public.big_unique"));
}

/* A file without its COMMIT: nothing of it is left, so the traffic met the old schema. */
static void test_no_commit(void **state)
{
	(void)state;
	make_table();
	assert_int_equal(run("CREATE TABLE stays (); BEGIN; ALTER TABLE big ADD never int; SELECT 1"), LEDGER_OK);
	assert_non_null(strstr(ledger.problem, "end inside a transaction, which is rolled back then"));
	assert_false(ledger.statements[0].taken_back);
	assert_true(ledger.statements[2].taken_back);
	assert_int_equal(ledger_count_taken_back(&ledger), 1);
	assert_int_equal(run("ALTER TABLE big ADD never int; DROP TABLE stays; BEGIN; SELECT 1"), LEDGER_OK);
	assert_null(ledger.problem);
}

static enum ledger_kind kind_of(size_t statement)
{
	return ledger.statements[statement].kind;
}

static void test_kinds_and_code(void **state)
{
	(void)state;
	make_table();
	assert_int_equal(run("CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS"
			     " $$ BEGIN INSERT INTO other VALUES (NEW.id); RETURN NEW; END $$;"
			     "CREATE TRIGGER note_it AFTER UPDATE ON big FOR EACH ROW EXECUTE FUNCTION note();"
			     "UPDATE big SET t = 'y' WHERE id <= 10;"
			     "CREATE FUNCTION count_big() RETURNS bigint LANGUAGE plpgsql AS"
			     " $$ BEGIN RETURN (SELECT sum(length(t)) FROM big); END $$;"
			     "SELECT count_big(); SELECT count(*) FROM big;"
			     "ALTER TABLE big DISABLE TRIGGER ALL; ALTER TABLE big ENABLE TRIGGER note_it;"
			     "DO $$ BEGIN DELETE FROM other WHERE id < 5; END $$;"
			     "DO $$ BEGIN DROP TRIGGER note_it ON big; CREATE INDEX big_t ON big (t); END $$;"
			     "BEGIN; CREATE FUNCTION unseen() RETURNS void LANGUAGE sql AS 'DELETE FROM other';"
			     "SELECT unseen(); COMMIT; DROP FUNCTION note, count_big, unseen; LOCK TABLE big"),
			 LEDGER_FAILED); /* psql: LOCK TABLE can only be used in transaction blocks */
	assert_string_equal(ledger.statements[15].sqlstate, "25P01");
	assert_true(has_name(&ledger.statements[1].triggers_added, "note_it on public.big"));
	const struct ledger_statement *update = &ledger.statements[2];
	assert_int_equal(update->kind, LEDGER_KIND_DATA);
	assert_int_equal(update->rows_affected, 10);
	assert_int_equal(update->rows_changed, 20); /* the trigger's rows too */
	assert_true(update->runs_code);
	assert_true(has_name(&update->functions, "public.note"));
	assert_int_equal(update->locks_known, LEDGER_LOCKS_BEFORE_COMMIT);
	assert_int_equal(kind_of(4), LEDGER_KIND_READ);
	assert_true(ledger.statements[4].runs_code);
	assert_true(ledger.statements[4].rows_scanned > 0);
	assert_true(has_name(&ledger.statements[4].functions, "public.count_big"));
	assert_int_equal(kind_of(5), LEDGER_KIND_READ);
	assert_int_equal(ledger.statements[5].locks_known,
			 LEDGER_LOCKS_SAMPLED); /* a plain one: not in a transaction */
	assert_int_equal(ledger.statements[5].rows_affected, 1);
	assert_true(has_name(&ledger.statements[6].triggers_disabled, "note_it on public.big"));
	assert_true(has_name(&ledger.statements[7].triggers_enabled, "note_it on public.big"));
	assert_int_equal(kind_of(8), LEDGER_KIND_DATA);
	assert_int_equal(ledger.statements[8].rows_changed, 4);
	assert_int_equal(kind_of(9), LEDGER_KIND_DDL);
	assert_true(has_name(&ledger.statements[9].triggers_dropped, "note_it on public.big"));
	assert_true(has_name(&ledger.statements[9].indexes_built, "public.big_t"));
	assert_int_equal(kind_of(10), LEDGER_KIND_CONTROL);
	assert_int_equal(kind_of(12), LEDGER_KIND_DATA); /* by what it did: its function was not known before */
	assert_int_equal(ledger.statements[12].rows_changed, 6);
}

struct holder {
	PGconn *conn;
	int64_t hold_ns;
};

static void *hold_lock(void *context)
{
	struct holder *holder = context;
	clock_sleep_until_ns(clock_mono_ns() + holder->hold_ns);
	(void)pg_server_sql(holder->conn, "COMMIT");
	return NULL;
}

static void test_waits(void **state)
{
	(void)state;
	make_table();
	struct holder holder = {.conn = pg_server_connect(&server, NULL), .hold_ns = 1 * NS_PER_S};
	pthread_t thread;
	assert_int_equal(pg_server_sql(holder.conn, "BEGIN; SELECT count(*) FROM other"), 0);
	int64_t start_ns = clock_mono_ns();
	assert_int_equal(pthread_create(&thread, NULL, hold_lock, &holder), 0);
	/* "state LIKE 'idle in%'" of run() is looked at after the end: the holder has committed by then */
	assert_int_equal(run("ALTER TABLE other ADD x int"), LEDGER_OK);
	(void)pthread_join(thread, NULL);
	assert_true(clock_mono_ns() - start_ns > 1 * NS_PER_S);
	const struct ledger_lock *lock = find_lock(0, "public.other");
	assert_non_null(lock);
	assert_string_equal(lock->mode, "AccessExclusiveLock");
	assert_true(lock->waited_ns > 150 * NS_PER_MS); /* connecting takes its part of the second */
	assert_true(lock->waited_ns < 1010 * NS_PER_MS);
	assert_true(lock->acquired_ns >= ledger.statements[0].start_ns + lock->waited_ns - NS_PER_MS);
	assert_true(lock->released_ns - lock->acquired_ns < 150 * NS_PER_MS);

	/* never had: it waited, and blocked those behind it, until its lock_timeout */
	assert_int_equal(pg_server_sql(holder.conn, "BEGIN; SELECT count(*) FROM other"), 0);
	holder.hold_ns = 1 * NS_PER_S;
	assert_int_equal(pthread_create(&thread, NULL, hold_lock, &holder), 0);
	struct error err = ERROR_INIT;
	struct migration migration;
	migration_init(&migration);
	const char *sql = "SET lock_timeout = '200ms'; ALTER TABLE other ADD y int";
	assert_int_equal(migration_add_text(&migration, "m.sql", sql, strlen(sql), &err), 0);
	ledger_release(&ledger);
	struct sql_runner_options options = {.url = server.url, .migration = &migration, .t0_ns = clock_mono_ns()};
	assert_int_equal(sql_runner_run(&options, &ledger, &err), 0);
	migration_release(&migration);
	(void)pthread_join(thread, NULL);
	assert_int_equal(ledger.outcome, LEDGER_FAILED);
	assert_string_equal(ledger.statements[1].sqlstate, "55P03");
	lock = find_lock(1, "public.other");
	assert_non_null(lock);
	assert_string_equal(lock->mode, "AccessExclusiveLock");
	assert_true(lock->waited_ns > 120 * NS_PER_MS && lock->waited_ns < 260 * NS_PER_MS);
	assert_int_equal(lock->released_ns, lock->acquired_ns);
	PQfinish(holder.conn);
}

static volatile bool cancelled;

static void *cancel_soon(void *unused)
{
	(void)unused;
	clock_sleep_until_ns(clock_mono_ns() + 300 * NS_PER_MS);
	cancelled = true;
	return NULL;
}

static void test_limits(void **state)
{
	(void)state;
	make_table();
	int64_t start_ns = clock_mono_ns();
	assert_int_equal(run_limited("BEGIN; LOCK TABLE big; SELECT pg_sleep(20); SELECT 1", 300 * NS_PER_MS, NULL),
			 LEDGER_TIMEOUT);
	assert_true(clock_mono_ns() - start_ns < 3 * NS_PER_S);
	assert_int_equal(ledger.statement_count, 3);
	assert_int_equal(ledger.statements_not_run, 1);
	assert_string_equal(ledger.statements[2].sqlstate, "57014");
	assert_int_equal(find_lock(1, "public.big")->released_ns, ledger.statements[2].transaction_end_ns);
	pthread_t thread;
	cancelled = false;
	assert_int_equal(pthread_create(&thread, NULL, cancel_soon, NULL), 0);
	assert_int_equal(
		run_limited("CREATE INDEX CONCURRENTLY i ON big (t); SELECT pg_sleep(20); SELECT 1", 0, &cancelled),
		LEDGER_CANCELLED);
	(void)pthread_join(thread, NULL);
	assert_int_equal(run_limited("SELECT 1; SELECT 2", 0, &cancelled), LEDGER_CANCELLED);
	assert_int_equal(ledger.statements_not_run, 2);
	struct error err = ERROR_INIT;
	struct migration none;
	migration_init(&none);
	struct sql_runner_options options = {.url = "postgresql://127.0.0.1:1/x", .migration = &none};
	assert_int_equal(sql_runner_run(&options, &ledger, &err), -ERR_UNAVAILABLE);
}

/* Past a thousand tables only those that a statement names are measured. */
static void test_many_tables(void **state)
{
	(void)state;
	make_table();
	assert_int_equal(pg_server_run(&server, "CREATE SCHEMA many; DO $$ BEGIN FOR i IN 1..1100 LOOP EXECUTE"
						" format('CREATE TABLE many.t%s ()', i); END LOOP; END $$"),
			 0);
	assert_int_equal(run("CREATE INDEX i1 ON BIG (t); CREATE INDEX i2 ON \"big\" (t)"), LEDGER_OK);
	assert_true(ledger.statements[0].size_delta_bytes > 1024 * 1024);
	assert_true(ledger.statements[1].size_delta_bytes > 1024 * 1024);
}

static int set_up(void **state)
{
	(void)state;
	ledger_init(&ledger);
	return pg_server_start(&server, "max_wal_size = '2GB'\nclient_min_messages = error\n");
}

static int tear_down(void **state)
{
	(void)state;
	ledger_release(&ledger);
	pg_server_stop(&server);
	return 0;
}

/* A thousand rows one by one: after a hundred quick ones a look at the locks has to do, and no lock is missed. */
static void test_many_rows(void **state)
{
	(void)state;
	struct strbuf sql;
	size_t quick = 0;
	make_table();
	strbuf_init(&sql, (size_t)1 << 20);
	for (int i = 0; i < 500; i++)
		strbuf_addf(&sql, "UPDATE big SET t = 'secret' WHERE id = %d;\n", i + 1);
	strbuf_add_str(&sql, "BEGIN;\n");
	for (int i = 0; i < 500; i++)
		strbuf_addf(&sql, "UPDATE big SET t = 'secret' WHERE id = %d;\n", i + 501);
	strbuf_add_str(&sql, "INSERT INTO other VALUES (1);\nSELECT pg_sleep(0.05);\n"
			     "UPDATE big SET t = 'secret' WHERE id = 1 AND pg_sleep(0.01) IS NOT NULL;\n"
			     "UPDATE big SET t = 'secret' WHERE id < 3;\nCOMMIT;\n");
	assert_int_equal(run(sql.data), LEDGER_OK);
	strbuf_release(&sql);
	assert_int_equal(ledger.statement_count, 1006);
	for (size_t i = 0; i < 1001; i++) {
		const struct ledger_statement *s = &ledger.statements[i];
		if (i == 500) /* BEGIN */
			continue;
		assert_int_equal(s->kind, LEDGER_KIND_DATA);
		assert_int_equal(s->rows_affected, 1);
		assert_int_equal(s->rows_changed, 1);
		if (i < 100)
			assert_int_equal(s->locks_known, LEDGER_LOCKS_BEFORE_COMMIT);
		quick += s->rows_scanned < 0;
	}
	print_message("%zu of 1000 were quick\n", quick);
	assert_true(quick > 0);
	expect_lock(1001, "public.other", "RowExclusiveLock");
	const struct ledger_lock *lock = find_lock(1001, "public.other");
	assert_int_equal(lock->released_ns, ledger.statements[1005].transaction_end_ns);
	assert_true(lock->released_ns - lock->acquired_ns >= 50 * NS_PER_MS);
	/* Behind one that was not quick all is measured again, and what the quick ones did is not told of it. */
	assert_int_equal(ledger.statements[1004].rows_changed, 2);
	assert_int_equal(ledger.statements[1004].rows_scanned, 0); /* by its index */
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_rewrite),	       cmocka_unit_test(test_indexes),
		cmocka_unit_test(test_block),	       cmocka_unit_test(test_savepoints),
		cmocka_unit_test(test_left_behind),    cmocka_unit_test(test_no_commit),
		cmocka_unit_test(test_kinds_and_code), cmocka_unit_test(test_failures),
		cmocka_unit_test(test_bare),	       cmocka_unit_test(test_waits),
		cmocka_unit_test(test_limits),	       cmocka_unit_test(test_many_tables),
		cmocka_unit_test(test_many_rows),
	};
	return cmocka_run_group_tests(tests, set_up, tear_down);
}
