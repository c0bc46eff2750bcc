/*
 * What goes wrong around migrations, on a real server: locks that are held, other runners, statements that cannot be
 * rolled back, a runner that is killed, a connection that is lost, a target that is none.
 */
#include "clock.h"
#include "mem.h"
#include "support_workflow.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <jansson.h>
#include <pthread.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
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

static void run_sql(const char *sql)
{
	assert_int_equal(pg_server_run(&server, sql), 0);
}

/* Until the query's answer is not 0, 20 s at most. */
static void await(const char *sql)
{
	for (int i = 0; i < 1000; i++) {
		if (ask(sql) > 0)
			return;
		(void)usleep(20000);
	}
	fail_msg("never came: %s", sql);
}

/* Somebody who holds a lock, until told to let it go. */
static PGconn *hold(const char *sql)
{
	PGconn *conn = pg_server_connect(&server, NULL);
	assert_non_null(conn);
	assert_int_equal(pg_server_sql(conn, "BEGIN"), 0);
	assert_int_equal(pg_server_sql(conn, sql), 0);
	return conn;
}

/* Lets it go after the first attempt has given up. */
static void *release_later(void *conn)
{
	await("SELECT count(*) FROM pg_locks WHERE NOT granted");
	(void)usleep(700000);
	(void)pg_server_sql(conn, "COMMIT");
	return NULL;
}

static void test_retries(void **state)
{
	(void)state;
	pthread_t thread;
	run_sql("CREATE TABLE t (a int)");
	workflow_test_add(&test, "00000001", "", "", "CREATE TABLE u (); ALTER TABLE t ADD b int",
			  "DROP TABLE u; ALTER TABLE t DROP b");
	test.lock_timeout_ns = 300 * NS_PER_MS;
	PGconn *holder = hold("SELECT * FROM t");
	assert_int_equal(pthread_create(&thread, NULL, release_later, holder), 0);
	assert_int_equal(workflow_test_up(&test, NULL, NULL, NULL), 0);
	(void)pthread_join(thread, NULL);
	workflow_test_expect(&test, "00000001:done", "00000001:applied");
	const struct workflow_result *result = workflow_test_result(&test, 0);
	assert_true(result->attempts >= 2 && result->attempts <= 6);
	assert_true(result->elapsed_ns > result->duration_ns);
	bool waited = false;
	for (size_t i = 0; i < result->lock_count; i++)
		waited = waited || (strcmp(result->locks[i].relation, "public.t") == 0 &&
				    result->locks[i].waited_ns >= 200 * NS_PER_MS);
	assert_true(waited);
	PQfinish(holder);
}

static void test_retries_end(void **state)
{
	(void)state;
	run_sql("CREATE TABLE t (a int)");
	workflow_test_add(&test, "00000001", "", ", \"retries\": 1, \"lock_timeout\": \"100ms\"", "DROP TABLE t",
			  "CREATE TABLE t (a int)");
	workflow_test_add(&test, "00000002", "",
			  ", \"retries\": 2, \"lock_timeout\": \"100ms\", \"transaction\": false",
			  "SET work_mem = '2MB'; ALTER TABLE t ADD b int; ALTER TABLE t ADD c int", "SELECT 1");
	PGconn *holder = hold("SELECT * FROM t");
	assert_int_equal(workflow_test_up(&test, NULL, "00000001", NULL), 0);
	workflow_test_expect(&test, "00000001:failed", "none");
	assert_int_equal(workflow_test_result(&test, 0)->attempts, 2);
	assert_string_equal(workflow_test_result(&test, 0)->sqlstate, "55P03");
	/* Without a transaction: nothing but a setting came before, so it may be tried again, and nothing is there. */
	assert_int_equal(workflow_test_up(&test, NULL, "00000002", NULL), 0);
	workflow_test_expect(&test, "00000002:failed", "empty");
	assert_int_equal(workflow_test_result(&test, 0)->attempts, 3);
	PQfinish(holder);
}

static void *run_deadlock(void *conn)
{
	await("SELECT count(*) FROM pg_locks WHERE NOT granted");
	(void)pg_server_sql(conn, "SET deadlock_timeout = '10s'; LOCK TABLE a; COMMIT");
	return NULL;
}

/* 40P01: the migration is the victim, and comes again. */
static void test_deadlock(void **state)
{
	(void)state;
	pthread_t thread;
	run_sql("CREATE TABLE a (); CREATE TABLE b ()");
	workflow_test_add(&test, "00000001", "", "",
			  "SET deadlock_timeout = '100ms'; LOCK TABLE a; ALTER TABLE b ADD x int", "SELECT 1");
	test.lock_timeout_ns = 0;
	PGconn *other = hold("LOCK TABLE b");
	assert_int_equal(pthread_create(&thread, NULL, run_deadlock, other), 0);
	assert_int_equal(workflow_test_up(&test, NULL, NULL, NULL), 0);
	(void)pthread_join(thread, NULL);
	workflow_test_expect(&test, "00000001:done", "00000001:applied");
	assert_true(workflow_test_result(&test, 0)->attempts >= 2);
	PQfinish(other);
}

/* A failed CREATE INDEX CONCURRENTLY leaves an index that is none: it is named, and nothing goes on until that is seen
 * to. */
static void check_invalid_index(void)
{
	run_sql("CREATE TABLE t (a int); INSERT INTO t VALUES (1), (1)");
	workflow_test_add(
		&test, "00000001", "", ", \"transaction\": false",
		"CREATE TABLE first ();\nCREATE UNIQUE INDEX CONCURRENTLY t_a ON t (a);\nCREATE TABLE last ();",
		"DROP INDEX CONCURRENTLY IF EXISTS t_a; DROP TABLE first; DROP TABLE last");
	workflow_test_add(&test, "00000002", "", "", "CREATE TABLE other ()", "DROP TABLE other");
	assert_int_equal(workflow_test_up(&test, "00000001", NULL, NULL), 0);
	workflow_test_expect(&test, "00000001:half_way", "00000001:half up");
	const struct workflow_result *result = workflow_test_result(&test, 0);
	assert_int_equal(result->statement, 2);
	assert_int_equal(result->line, 2);
	assert_int_equal(result->invalid_indexes.count, 1);
	assert_string_equal(result->invalid_indexes.items[0], "public.t_a");
	assert_int_equal(ask("SELECT count(*) FROM rehearse_migrations WHERE statement = 2 AND reason LIKE 'could not "
			     "create unique index%'"),
			 1);
	assert_int_equal(workflow_test_up(&test, NULL, NULL, NULL), -ERR_DATA);
	assert_non_null(strstr(test.err.text, "00000001 stopped half-way up at statement 2 (could not create unique"));
	assert_int_equal(workflow_test_down(&test, "00000001", 0), -ERR_DATA);
	/* Cleaned up by hand: all of it again. */
	run_sql("DROP INDEX t_a; DROP TABLE first; DELETE FROM t");
	assert_int_equal(workflow_test_mark(&test, "00000001", NULL), 0);
	assert_int_equal(workflow_test_up(&test, NULL, NULL, NULL), 0);
	workflow_test_expect(&test, "00000001:done 00000002:done", "00000001:applied 00000002:applied");
}

static void test_invalid_index(void **state)
{
	(void)state;
	check_invalid_index();
}

static void test_invalid_index_unmeasured(void **state)
{
	(void)state;
	test.unmeasured = true;
	check_invalid_index();
}

/* Taken back half-way; then finished by hand, one way and the other. */
static void test_half_down(void **state)
{
	(void)state;
	workflow_test_add(&test, "00000001", "", ", \"transaction\": false", "CREATE TABLE a (); CREATE TABLE b ()",
			  "DROP TABLE a;\nDROP TABLE missing;\nDROP TABLE b;");
	assert_int_equal(workflow_test_up(&test, NULL, NULL, NULL), 0);
	assert_int_equal(workflow_test_down(&test, NULL, 1), 0);
	workflow_test_expect(&test, "00000001:half_way", "00000001:half down");
	run_sql("CREATE TABLE a ()");
	assert_int_equal(workflow_test_mark(&test, "00000001", "put back"), 0);
	workflow_test_expect(&test, "00000001:half_way", "00000001:applied");
	workflow_test_write(&test, "00000001", "down.sql", "DROP TABLE missing");
	assert_int_equal(workflow_test_down(&test, NULL, 1), 0);
	workflow_test_expect(&test, "00000001:failed", "00000001:applied"); /* its first statement: nothing was done */
}

/* CONCURRENTLY waits for an old transaction for as long as that takes: a time limit would leave an invalid index. */
static void test_patient(void **state)
{
	(void)state;
	pthread_t thread;
	run_sql("CREATE TABLE t (a int)");
	workflow_test_add(&test, "00000001", "", ", \"transaction\": false", "CREATE INDEX CONCURRENTLY t_a ON t (a)",
			  "DROP INDEX CONCURRENTLY t_a");
	test.lock_timeout_ns = 50 * NS_PER_MS;
	PGconn *holder = hold("INSERT INTO t VALUES (1)");
	assert_int_equal(pthread_create(&thread, NULL, release_later, holder), 0);
	assert_int_equal(workflow_test_up(&test, NULL, NULL, NULL), 0);
	(void)pthread_join(thread, NULL);
	workflow_test_expect(&test, "00000001:done", "00000001:applied");
	assert_int_equal(workflow_test_result(&test, 0)->attempts, 1);
	PQfinish(holder);
}

static pid_t start_program(const char *const *words)
{
	extern char **environ;
	const char *argv[24] = {REHEARSE_PROGRAM, "migrate"};
	size_t count = 2;
	pid_t pid = 0;
	for (; *words; words++)
		argv[count++] = *words;
	argv[count++] = "--target";
	argv[count++] = server.url;
	argv[count++] = "--directory";
	argv[count++] = test.folder.path;
	assert_int_equal(posix_spawn(&pid, REHEARSE_PROGRAM, NULL, NULL, (char *const *)(uintptr_t)argv, environ), 0);
	return pid;
}

static int wait_program(pid_t pid)
{
	int status = 0;
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

/* Two programs at once: the second is told who is there, or waits. Nothing runs twice. */
static void test_two_runners(void **state)
{
	(void)state;
	static const char *const up[] = {"up", "--for-real", NULL};
	static const char *const patient[] = {"up", "--for-real", "--wait", "30s", NULL};
	workflow_test_add(&test, "00000001", "", "", "CREATE TABLE a (); SELECT pg_sleep(2)", "DROP TABLE a");
	workflow_test_add(&test, "00000002", "00000001", ", \"transaction\": false",
			  "CREATE INDEX CONCURRENTLY ON a ((1))", "SELECT 1");
	pid_t first = start_program(up);
	await("SELECT count(*) FROM pg_stat_activity WHERE query LIKE '%pg_sleep(2)%' AND state = 'active' AND pid <> "
	      "pg_backend_pid()");
	pid_t waiting = start_program(patient);
	assert_int_equal(wait_program(start_program(up)), ERR_UNAVAILABLE);
	assert_int_equal(workflow_test_up(&test, NULL, NULL, NULL), -ERR_UNAVAILABLE);
	assert_non_null(strstr(test.err.text, "another runner is at work (process "));
	assert_non_null(strstr(test.err.text, ", user postgres, from 127.0.0.1, since "));
	assert_int_equal(wait_program(first), 0);
	assert_int_equal(wait_program(waiting), 0);
	workflow_test_expect(&test, "", "00000001:applied 00000002:applied");
}

/* A runner that is killed in the middle: in a transaction nothing is left, without one the truth. */
static void test_killed(void **state)
{
	(void)state;
	static const char *const up[] = {"up", "--for-real", "--only", "00000001", NULL};
	static const char *const up_two[] = {"up", "--for-real", "--only", "00000002", NULL};
	static const char sleeping[] =
		"SELECT count(*) FROM pg_stat_activity WHERE query LIKE '%pg_sleep(30)%' AND state "
		"= 'active' AND pid <> pg_backend_pid()";
	workflow_test_add(&test, "00000001", "", "", "CREATE TABLE a (); SELECT pg_sleep(30)", "DROP TABLE a");
	workflow_test_add(&test, "00000002", "", ", \"transaction\": false",
			  "CREATE TABLE b ();\nSELECT pg_sleep(30);\nCREATE TABLE c ();", "DROP TABLE b");
	pid_t pid = start_program(up);
	await(sleeping);
	assert_int_equal(kill(pid, SIGKILL), 0);
	assert_int_equal(wait_program(pid), 128 + SIGKILL);
	run_sql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE '%pg_sleep(30)%' AND pid <> "
		"pg_backend_pid()");
	workflow_test_expect(&test, "", "none");
	pid = start_program(up_two);
	await(sleeping);
	assert_int_equal(kill(pid, SIGKILL), 0);
	assert_int_equal(wait_program(pid), 128 + SIGKILL);
	run_sql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE '%pg_sleep(30)%' AND pid <> "
		"pg_backend_pid()");
	await("SELECT 1 - count(*) FROM pg_locks WHERE locktype = 'advisory'");
	workflow_test_expect(&test, "", "00000002:half up");
	assert_int_equal(ask("SELECT count(*) FROM rehearse_migrations WHERE statement = 2"), 1);
	assert_int_equal(workflow_test_up(&test, NULL, NULL, NULL), -ERR_DATA);
	assert_non_null(strstr(test.err.text, "00000002 stopped half-way up at statement 2 (its runner ended)"));
}

/* Ctrl-C: the statement is cancelled, its transaction rolled back. */
static void test_ctrl_c(void **state)
{
	(void)state;
	static const char *const up[] = {"up", "--for-real", "--json", NULL};
	workflow_test_add(&test, "00000001", "", "", "CREATE TABLE a (); SELECT pg_sleep(40)", "DROP TABLE a");
	pid_t pid = start_program(up);
	await("SELECT count(*) FROM pg_stat_activity WHERE query LIKE '%pg_sleep(40)%' AND state = 'active' AND pid <> "
	      "pg_backend_pid()");
	assert_int_equal(kill(pid, SIGINT), 0);
	assert_int_equal(wait_program(pid), 130);
	await("SELECT 1 - count(*) FROM pg_stat_activity WHERE query LIKE '%pg_sleep(40)%' AND pid <> "
	      "pg_backend_pid()");
	workflow_test_expect(&test, "", "none");
}

/* Its backend is ended by somebody else: in a transaction a failure like any other. */
static void *terminate_soon(void *argument)
{
	(void)argument;
	await("SELECT count(*) FROM pg_stat_activity WHERE query LIKE '%pg_sleep(50)%' AND state = 'active' AND pid <> "
	      "pg_backend_pid()");
	run_sql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE '%pg_sleep(50)%' AND pid <> "
		"pg_backend_pid()");
	return NULL;
}

static void test_terminated(void **state)
{
	(void)state;
	pthread_t thread;
	workflow_test_add(&test, "00000001", "", "", "CREATE TABLE a (); SELECT pg_sleep(50)", "DROP TABLE a");
	assert_int_equal(pthread_create(&thread, NULL, terminate_soon, NULL), 0);
	assert_int_equal(workflow_test_up(&test, NULL, NULL, NULL), 0);
	(void)pthread_join(thread, NULL);
	workflow_test_expect(&test, "00000001:failed", "none");
	assert_string_equal(workflow_test_result(&test, 0)->sqlstate, "57P01");
}

/* The program's one JSON object, to be released. */
static json_t *program_json(const char *words, int expected)
{
	char command[1200];
	(void)snprintf(command, sizeof(command), "'%s' migrate %s --json --for-real --target '%s' --directory '%s'",
		       REHEARSE_PROGRAM, words, server.url, test.folder.path);
	if (strncmp(words, "up", 2) != 0 && strncmp(words, "skip", 4) != 0) {
		char *option = strstr(command, " --for-real");
		memset(option, ' ', strlen(" --for-real"));
	}
	FILE *out = popen(command, "r");
	assert_non_null(out);
	json_t *root = json_loadf(out, 0, NULL);
	int status = pclose(out);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), expected);
	return root;
}

static const char *text_at(const json_t *list, size_t at, const char *key)
{
	return json_string_value(json_object_get(json_array_get(list, at), key));
}

/* What programs read. */
static void test_json(void **state)
{
	(void)state;
	run_sql("CREATE TABLE orders (a int)");
	workflow_test_add(&test, "00000001", "", ", \"hot_path\": true", "ALTER TABLE orders ADD b int",
			  "ALTER TABLE orders DROP b");
	workflow_test_add(&test, "00000002", "00000001", "", "ALTER TABLE missing ADD b int", "SELECT 1");
	workflow_test_add(&test, "00000003", "00000002", ", \"skip\": \"gh-ost\"", "SELECT 1", "SELECT 1");
	json_t *root = program_json("plan", 0);
	assert_int_equal(json_array_size(json_object_get(root, "batches")), 2);
	assert_string_equal(text_at(json_object_get(root, "held"), 0, "reason"), "gh-ost");
	json_decref(root);
	root = program_json("up", 1);
	assert_string_equal(json_string_value(json_object_get(root, "outcome")), "failed");
	json_t *list = json_object_get(root, "migrations");
	assert_string_equal(text_at(list, 0, "outcome"), "done");
	json_t *lock = json_array_get(json_object_get(json_array_get(list, 0), "locks"), 0);
	assert_string_equal(json_string_value(json_object_get(lock, "mode")), "AccessExclusiveLock");
	assert_true(json_is_true(json_object_get(lock, "hot_path")));
	assert_string_equal(text_at(list, 1, "outcome"), "failed");
	json_t *error = json_object_get(json_array_get(list, 1), "error");
	assert_string_equal(json_string_value(json_object_get(error, "sqlstate")), "42P01");
	assert_int_equal(json_integer_value(json_object_get(error, "line")), 1);
	json_decref(root);
	root = program_json("status", 0);
	list = json_object_get(root, "migrations");
	assert_string_equal(text_at(list, 0, "state"), "applied");
	assert_string_equal(text_at(list, 1, "state"), "pending");
	assert_string_equal(text_at(list, 2, "state"), "left");
	assert_int_equal(json_integer_value(json_object_get(json_object_get(root, "counts"), "pending")), 1);
	json_decref(root);
	json_decref(program_json("skip 0000 --reason x", ERR_USAGE)); /* begins several */
	json_decref(program_json("skip 00000002 --reason x", 0));
}

/* Not a clone, and not meant; a table that is another one; a server that is not there. */
static void test_targets(void **state)
{
	(void)state;
	static const char *const up[] = {"up", NULL};
	struct workflow_session *session = NULL;
	struct error err = ERROR_INIT;
	struct workflow_session_options options = {.url = server.url, .table = WORKFLOW_TABLE_STANDARD};
	assert_int_equal(workflow_session_open(&options, &session, &err), -ERR_USAGE);
	assert_non_null(strstr(err.text, "is not marked as a clone"));
	workflow_test_add(&test, "00000001", "", "", "SELECT 1", "SELECT 1");
	assert_int_equal(wait_program(start_program(up)), ERR_USAGE);
	run_sql("CREATE TABLE rehearse_clone ()");
	assert_int_equal(wait_program(start_program(up)), 0);
	run_sql("CREATE TABLE other (id text)");
	options.table = "other";
	options.for_real = true;
	assert_int_equal(workflow_session_open(&options, &session, &err), -ERR_DATA);
	options.table = "a.b.c";
	assert_int_equal(workflow_session_open(&options, &session, &err), -ERR_USAGE);
	options.url = "postgresql://me:hunter2@127.0.0.1:1/x";
	options.table = WORKFLOW_TABLE_STANDARD;
	assert_int_equal(workflow_session_open(&options, &session, &err), -ERR_UNAVAILABLE);
	assert_null(strstr(err.text, "hunter2"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_retries, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_retries_end, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_deadlock, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_invalid_index, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_invalid_index_unmeasured, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_half_down, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_patient, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_two_runners, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_killed, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_ctrl_c, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_terminated, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_json, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_targets, set_up, tear_down),
	};
	return cmocka_run_group_tests(tests, start_server, stop_server);
}
