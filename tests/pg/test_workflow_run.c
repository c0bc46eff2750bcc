/* `migrate up`, `down`, `skip` and `reset` on a real server: what runs, in which order, and what is remembered. */
#include "clock.h"
#include "stop_flag.h"
#include "support_workflow.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <pthread.h>
#include <unistd.h>

static struct pg_server server;
static struct workflow_test test;

static int start_server(void **state)
{
	(void)state;
	return pg_server_start(&server, NULL);
}

static int stop_server(void **state)
{
	(void)state;
	pg_server_stop(&server);
	return 0;
}

static int set_up(void **state)
{
	(void)state;
	workflow_test_init(&test, &server);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	workflow_test_release(&test);
	return 0;
}

static long long ask(const char *sql)
{
	return pg_server_ask(&server, sql);
}

static bool has_table(const char *name)
{
	char sql[200];
	(void)snprintf(sql, sizeof(sql),
		       "SELECT count(*) FROM pg_tables WHERE schemaname = 'public' AND tablename = '%s'", name);
	return ask(sql) == 1;
}

/* B9's four. */
static void add_example(void)
{
	workflow_test_add(&test, "325aeb43", "", "", "CREATE TABLE orders (id int PRIMARY KEY, a int);",
			  "DROP TABLE orders;");
	workflow_test_add(&test, "712ccb88", "325aeb43", "", "ALTER TABLE orders ADD status text;",
			  "ALTER TABLE orders DROP status;");
	workflow_test_add(&test, "aae3b790", "325aeb43", ", \"transaction\": false",
			  "CREATE INDEX CONCURRENTLY orders_a ON orders (a);", "DROP INDEX CONCURRENTLY orders_a;");
	workflow_test_add(&test, "b1b3605f", "712ccb88", ", \"data\": true",
			  "INSERT INTO orders SELECT i, i, 'new' FROM generate_series(1, 7) i;",
			  "DELETE FROM orders WHERE id <= 7;");
}

static void test_up_down_up(void **state)
{
	(void)state;
	add_example();
	for (int round = 0; round < 3; round++) {
		test.unmeasured = round == 2;
		assert_int_equal(workflow_test_up(&test, NULL, NULL, NULL), 0);
		workflow_test_expect(&test, "325aeb43:done 712ccb88:done aae3b790:done b1b3605f:done",
				     "325aeb43:applied 712ccb88:applied aae3b790:applied b1b3605f:applied");
		assert_int_equal(workflow_test_result(&test, 0)->batch, 0);
		assert_int_equal(workflow_test_result(&test, 1)->batch, 1);
		assert_int_equal(workflow_test_result(&test, 2)->batch, 1);
		assert_int_equal(workflow_test_result(&test, 3)->batch, 2);
		assert_int_equal(workflow_test_result(&test, 3)->rows_changed, test.unmeasured ? 0 : 7);
		assert_int_equal(workflow_test_result(&test, 1)->lock_count > 0, !test.unmeasured);
		assert_int_equal(ask("SELECT count(*) FROM orders WHERE status = 'new'"), 7);
		assert_int_equal(ask("SELECT count(*) FROM rehearse_migrations WHERE duration_ms >= 0 AND statement IS "
				     "NULL AND checksum ~ '^[0-9a-f]{32}$' AND applied_by LIKE 'postgres (%@%'"),
				 4);
		assert_int_equal(ask("SELECT max(batch) - min(batch) FROM rehearse_migrations"), 2);

		assert_int_equal(workflow_test_up(&test, NULL, NULL, NULL), 0);
		assert_int_equal(test.results.count, 0);

		assert_int_equal(workflow_test_down(&test, "325aeb43", 0), 0);
		workflow_test_expect(&test, "b1b3605f:done 712ccb88:done aae3b790:done 325aeb43:done", "empty");
		assert_false(has_table("orders"));
	}
}

static void test_down_steps(void **state)
{
	(void)state;
	add_example();
	assert_int_equal(workflow_test_up(&test, "b1b3605f", NULL, NULL), 0);
	workflow_test_expect(&test, "325aeb43:done 712ccb88:done b1b3605f:done",
			     "325aeb43:applied 712ccb88:applied b1b3605f:applied");
	assert_int_equal(workflow_test_down(&test, NULL, 2), 0);
	workflow_test_expect(&test, "b1b3605f:done 712ccb88:done", "325aeb43:applied");
	assert_int_equal(workflow_test_down(&test, "712ccb88", 0), -ERR_USAGE);
	assert_string_equal(test.err.text, "712ccb88 is not applied");
}

static void test_only_and_skip(void **state)
{
	(void)state;
	add_example();
	assert_int_equal(workflow_test_up(&test, NULL, "712ccb88", NULL), -ERR_USAGE);
	assert_string_equal(test.err.text, "712ccb88 needs 325aeb43, which is not applied; --to runs both");
	assert_int_equal(workflow_test_up(&test, NULL, "325aeb43", NULL), 0);
	workflow_test_expect(&test, "325aeb43:done", "325aeb43:applied");
	/* What needs a skipped one does not run either. */
	assert_int_equal(workflow_test_up(&test, NULL, NULL, "712ccb88"), 0);
	workflow_test_expect(&test, "aae3b790:done", "325aeb43:applied aae3b790:applied");
	assert_int_equal(workflow_test_up(&test, NULL, NULL, "325aeb43"), -ERR_USAGE);
	assert_string_equal(test.err.text, "--skip: 325aeb43 is applied already");
	/* Done by other means, and said so: what needs it may run. */
	assert_int_equal(pg_server_run(&server, "ALTER TABLE orders ADD status text"), 0);
	assert_int_equal(workflow_test_mark(&test, "712ccb88", "gh-ost"), 0);
	assert_int_equal(workflow_test_mark(&test, "712ccb88", "gh-ost"), -ERR_USAGE);
	assert_int_equal(workflow_test_up(&test, NULL, NULL, NULL), 0);
	workflow_test_expect(&test, "b1b3605f:done",
			     "325aeb43:applied 712ccb88:skipped aae3b790:applied b1b3605f:applied");
	assert_int_equal(workflow_test_down(&test, "325aeb43", 0), -ERR_DATA);
	assert_non_null(strstr(test.err.text, "712ccb88 was not run by us (skipped: gh-ost)"));
	assert_int_equal(workflow_test_mark(&test, "712ccb88", NULL), 0);
	workflow_test_expect(&test, "", "325aeb43:applied aae3b790:applied b1b3605f:applied");
}

/* Left to gh-ost or a downtime in its meta file. */
static void test_left(void **state)
{
	(void)state;
	workflow_test_add(&test, "00000001", "", ", \"skip\": \"gh-ost\"", "CREATE TABLE a ()", "DROP TABLE a");
	workflow_test_add(&test, "00000002", "00000001", "", "CREATE TABLE b ()", "DROP TABLE b");
	workflow_test_add(&test, "00000003", "", "", "CREATE TABLE c ()", "DROP TABLE c");
	assert_int_equal(workflow_test_up(&test, NULL, NULL, NULL), 0);
	workflow_test_expect(&test, "00000003:done", "00000003:applied");
	assert_int_equal(workflow_test_up(&test, NULL, "00000001", NULL), 0); /* named, so meant */
	assert_int_equal(workflow_test_up(&test, NULL, NULL, NULL), 0);
	workflow_test_expect(&test, "00000002:done", "00000001:applied 00000002:applied 00000003:applied");
}

static void test_failure(void **state)
{
	(void)state;
	workflow_test_add(&test, "00000001", "", "",
			  "CREATE TABLE a (id int PRIMARY KEY);\nINSERT INTO a VALUES (1);\nINSERT INTO a VALUES (1);",
			  "DROP TABLE a");
	workflow_test_add(&test, "00000002", "", "", "CREATE TABLE b ()", "DROP TABLE b");
	workflow_test_add(&test, "00000003", "00000001", "", "CREATE TABLE c ()", "DROP TABLE c");
	assert_int_equal(workflow_test_up(&test, NULL, NULL, NULL), 0);
	/* The history table was to be made in that transaction, so nothing at all is left. */
	workflow_test_expect(&test, "00000001:failed 00000002:not_started 00000003:not_started", "none");
	const struct workflow_result *result = workflow_test_result(&test, 0);
	assert_int_equal(result->line, 3);
	assert_int_equal(result->statement, 3);
	assert_string_equal(result->sqlstate, "23505");
	assert_string_equal(result->message, "duplicate key value violates unique constraint \"a_pkey\"");
	assert_int_equal(result->attempts, 1);
	assert_false(has_table("a"));
}

/* A constraint that is checked at COMMIT. */
static void test_deferred(void **state)
{
	(void)state;
	assert_int_equal(pg_server_run(&server,
				       "CREATE TABLE p (id int PRIMARY KEY); CREATE TABLE c (p int REFERENCES p "
				       "DEFERRABLE INITIALLY DEFERRED)"),
			 0);
	workflow_test_add(&test, "00000001", "", "", "INSERT INTO c VALUES (1)", "DELETE FROM c");
	assert_int_equal(workflow_test_up(&test, NULL, NULL, NULL), 0);
	workflow_test_expect(&test, "00000001:failed", "none");
	assert_non_null(strstr(workflow_test_result(&test, 0)->message, "at COMMIT: "));
	assert_int_equal(ask("SELECT count(*) FROM c"), 0);
}

static void test_parallel(void **state)
{
	(void)state;
	workflow_test_add(&test, "00000001", "", "", "CREATE TABLE a (); SELECT pg_sleep(1)", "DROP TABLE a");
	workflow_test_add(&test, "00000002", "", "", "CREATE TABLE b (); SELECT pg_sleep(1)", "DROP TABLE b");
	workflow_test_add(&test, "00000003", "", "", "SELECT 1 / 0", "DROP TABLE x");
	workflow_test_add(&test, "00000004", "00000001", "", "CREATE TABLE d ()", "DROP TABLE d");
	test.parallel = 4;
	assert_int_equal(workflow_test_up(&test, NULL, NULL, NULL), 0);
	/* Those that run beside one that fails come to their end; what would come after does not begin. */
	workflow_test_expect(&test, "00000001:done 00000002:done 00000003:failed 00000004:not_started",
			     "00000001:applied 00000002:applied");
	assert_true(test.results.elapsed_ns < 1900 * NS_PER_MS); /* side by side: a second and a little */
	assert_int_equal(ask("SELECT count(DISTINCT batch) FROM rehearse_migrations"), 1);
	workflow_test_write(&test, "00000003", "up.sql", "SELECT 1");
	assert_int_equal(workflow_test_up(&test, NULL, NULL, NULL), 0);
	workflow_test_expect(&test, "00000003:done 00000004:done",
			     "00000001:applied 00000002:applied 00000003:applied 00000004:applied");
}

static void test_changed_and_missing(void **state)
{
	(void)state;
	add_example();
	assert_int_equal(workflow_test_up(&test, "712ccb88", NULL, NULL), 0);
	workflow_test_write(&test, "325aeb43", "up.sql", "CREATE TABLE orders (id int PRIMARY KEY, a int); ");
	assert_int_equal(workflow_test_up(&test, NULL, NULL, NULL), -ERR_DATA);
	assert_non_null(strstr(test.err.text, "325aeb43/up.sql: was changed since 325aeb43 was applied"));
	test.allow_changed = true;
	assert_int_equal(workflow_test_up(&test, NULL, "aae3b790", NULL), 0);
	workflow_test_remove(&test, "325aeb43");
	assert_int_equal(workflow_test_up(&test, NULL, NULL, NULL), -ERR_DATA);
	assert_non_null(strstr(test.err.text, "has 1 migration whose files are not there (325aeb43)"));
	test.skip_missing = true;
	assert_int_equal(workflow_test_up(&test, NULL, NULL, NULL), 0);
	workflow_test_expect(&test, "b1b3605f:done",
			     "325aeb43:applied 712ccb88:applied aae3b790:applied b1b3605f:applied");
	/* Whether the one without files needs what is to go cannot be told. */
	workflow_test_remove(&test, "b1b3605f");
	test.skip_missing = false;
	assert_int_equal(workflow_test_down(&test, "712ccb88", 0), -ERR_DATA);
	assert_non_null(strstr(test.err.text, "has no files of b1b3605f"));
	assert_int_equal(workflow_test_down(&test, NULL, 1), -ERR_DATA);
}

static void test_no_way_back(void **state)
{
	(void)state;
	workflow_test_add(&test, "00000001", "", ", \"reversible\": false", "CREATE TABLE a ()", NULL);
	workflow_test_add(&test, "00000002", "", "", "CREATE TABLE b ()", "-- to be written");
	assert_int_equal(workflow_test_up(&test, NULL, NULL, NULL), 0);
	assert_int_equal(workflow_test_down(&test, "00000001", 0), -ERR_DATA);
	assert_non_null(strstr(test.err.text, "there is no way back: its \"reversible\" is false"));
	assert_int_equal(workflow_test_down(&test, "00000002", 0), -ERR_DATA);
	assert_non_null(strstr(test.err.text, "down.sql: holds no statement"));
	assert_int_equal(workflow_test_down(&test, NULL, 2), -ERR_DATA); /* before any of them has run */
	workflow_test_expect(&test, "", "00000001:applied 00000002:applied");
}

static void test_reset(void **state)
{
	(void)state;
	add_example();
	assert_int_equal(workflow_test_reset(&test, "b1b3605f"), 0);
	workflow_test_expect(&test, "", "325aeb43:applied 712ccb88:applied b1b3605f:applied");
	assert_int_equal(ask("SELECT count(*) FROM rehearse_migrations WHERE reason = 'reset' AND duration_ms IS NULL"),
			 3);
	assert_false(has_table("orders"));
	workflow_test_remove(&test, "b1b3605f");
	assert_int_equal(workflow_test_reset(&test, "aae3b790"), 0);
	workflow_test_expect(&test, "", "325aeb43:applied aae3b790:applied");
	assert_int_equal(workflow_test_reset(&test, NULL), 0);
	workflow_test_expect(&test, "", "empty");
	assert_int_equal(workflow_test_up(&test, NULL, NULL, NULL), 0);
	assert_true(has_table("orders"));
}

/* B11: what was locked for how long, and whether that was on the hot path. */
static void test_locks(void **state)
{
	(void)state;
	assert_int_equal(pg_server_run(&server, "CREATE TABLE orders (a int); CREATE TABLE notes (a int)"), 0);
	workflow_test_add(&test, "00000001", "", ", \"hot_path\": [\"orders\"]",
			  "CREATE TABLE fresh (a int);\nALTER TABLE orders ALTER a TYPE bigint;\n"
			  "CREATE INDEX ON notes (a);\nSELECT pg_sleep(0.3);",
			  "SELECT 1");
	assert_int_equal(workflow_test_up(&test, NULL, NULL, NULL), 0);
	const struct workflow_result *result = workflow_test_result(&test, 0);
	const struct workflow_lock *orders = NULL, *notes = NULL;
	for (size_t i = 0; i < result->lock_count; i++) {
		const struct workflow_lock *lock = &result->locks[i];
		assert_null(strstr(lock->relation, "fresh")); /* nobody waits for what was not there */
		assert_null(strstr(lock->relation, "rehearse_migrations"));
		if (strcmp(lock->relation, "public.orders") == 0)
			orders = lock;
		if (strcmp(lock->relation, "public.notes") == 0)
			notes = lock;
	}
	assert_non_null(orders);
	assert_string_equal(orders->mode, "AccessExclusiveLock");
	assert_true(orders->hot && orders->blocks_reads && orders->blocks_writes);
	assert_true(orders->held_ns >= 300 * NS_PER_MS);
	assert_non_null(notes);
	assert_string_equal(notes->mode, "ShareLock");
	assert_true(!notes->hot && !notes->blocks_reads && notes->blocks_writes);
	assert_int_equal(result->rewrites.count, 1);
	assert_string_equal(result->rewrites.items[0], "public.orders");
	assert_true(result->wal_bytes > 0);
}

/* A migration that changes its role: its row is still written by who connected. */
static void test_role(void **state)
{
	(void)state;
	assert_int_equal(pg_server_run(&server, "CREATE ROLE owner; CREATE SCHEMA own AUTHORIZATION owner"), 0);
	workflow_test_add(&test, "00000001", "", "", "SET ROLE owner; CREATE TABLE own.a ()", "DROP TABLE own.a");
	workflow_test_add(&test, "00000002", "", ", \"transaction\": false", "SET ROLE owner; CREATE TABLE own.b ()",
			  "DROP TABLE own.b");
	assert_int_equal(workflow_test_up(&test, NULL, NULL, NULL), 0);
	workflow_test_expect(&test, "00000001:done 00000002:done", "00000001:applied 00000002:applied");
	assert_int_equal(ask("SELECT count(*) FROM pg_tables WHERE schemaname = 'own' AND tableowner = 'owner'"), 2);
}

static volatile bool cancelled;

static void *cancel_soon(void *argument)
{
	(void)argument;
	for (int i = 0;
	     i < 200 && ask("SELECT count(*) FROM pg_stat_activity WHERE query LIKE '%pg_sleep(60)%' AND pid "
			    "<> pg_backend_pid() AND state = 'active'") < 1;
	     i++)
		(void)usleep(20000);
	stop_flag_set(&cancelled);
	return NULL;
}

static void test_interrupted(void **state)
{
	(void)state;
	pthread_t thread;
	workflow_test_add(&test, "00000001", "", "", "CREATE TABLE a (); SELECT pg_sleep(60)", "SELECT 1");
	workflow_test_add(&test, "00000002", "00000001", "", "SELECT 1", "SELECT 1");
	test.cancelled = &cancelled;
	assert_int_equal(pthread_create(&thread, NULL, cancel_soon, NULL), 0);
	assert_int_equal(workflow_test_up(&test, NULL, NULL, NULL), -ERR_INTERRUPTED);
	(void)pthread_join(thread, NULL);
	workflow_test_expect(&test, "00000001:failed 00000002:not_started", "none");
	assert_true(workflow_test_result(&test, 0)->interrupted);
	assert_false(has_table("a"));
	stop_flag_clear(&cancelled);
	test.cancelled = NULL;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_up_down_up, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_down_steps, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_only_and_skip, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_left, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_failure, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_deferred, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_parallel, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_changed_and_missing, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_no_way_back, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_reset, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_locks, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_role, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_interrupted, set_up, tear_down),
	};
	return cmocka_run_group_tests(tests, start_server, stop_server);
}
