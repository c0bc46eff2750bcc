/* The lock sampler against the truth: a LOCK TABLE of known length, chains, names, a lost connection. */
#include "clock.h"
#include "lock_log.h"
#include "lock_watch.h"
#include "support_pg_server.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <unistd.h>

static struct pg_server server;
static char path[300];

static struct lock_watch *start_watch(int64_t t0_ns)
{
	struct lock_watch_options options = {.url = server.url, .lane = "migrating", .out_path = path, .t0_ns = t0_ns};
	struct lock_watch *watch = NULL;
	struct error err = ERROR_INIT;
	if (lock_watch_start(&options, &watch, &err) != 0)
		fail_msg("%s", err.text);
	return watch;
}

static void stop_watch(struct lock_watch *watch, struct lock_log *log)
{
	struct error err = ERROR_INIT;
	if (lock_watch_stop(watch, &err) != 0 || lock_log_load(path, log, &err) != 0)
		fail_msg("%s", err.text);
	assert_true(log->complete);
}

static void pause_ms(int64_t ms)
{
	clock_sleep_until_ns(clock_mono_ns() + ms * NS_PER_MS);
}

static void finish(PGconn *conn)
{
	PGresult *result;
	while ((result = PQgetResult(conn)))
		PQclear(result);
}

static const struct lock_wait *find_wait(const struct lock_log *log, int pid)
{
	for (size_t i = 0; i < log->wait_count; i++) {
		if (log->waits[i].pid == pid)
			return &log->waits[i];
	}
	return NULL;
}

static bool has_blocker(const struct lock_wait *wait, int pid)
{
	for (size_t i = 0; i < wait->blocker_count; i++) {
		if (wait->blockers[i].pid == pid)
			return true;
	}
	return false;
}

/* A holds AccessShare in a transaction, B wants AccessExclusive behind it, C wants to read behind B: two levels. */
static void test_chain(void **state)
{
	(void)state;
	PGconn *a = pg_server_connect(&server, NULL), *b = pg_server_connect(&server, NULL),
	       *c = pg_server_connect(&server, NULL);
	int64_t t0_ns = clock_mono_ns() + 50 * NS_PER_MS;
	struct lock_watch *watch = start_watch(t0_ns);
	pause_ms(60);
	assert_int_equal(pg_server_sql(a, "BEGIN; SELECT count(*) FROM app.\"Order\""), 0);
	int64_t b_start_ns = clock_mono_ns() - t0_ns;
	assert_int_equal(PQsendQuery(b, "BEGIN; LOCK TABLE app.\"Order\"; COMMIT"), 1);
	pause_ms(100);
	int64_t c_start_ns = clock_mono_ns() - t0_ns;
	assert_int_equal(PQsendQuery(c, "SELECT count(*) FROM app.\"Order\""), 1);
	pause_ms(150);
	assert_int_equal(lock_watch_waiting(watch), 2);
	pause_ms(50);
	assert_int_equal(pg_server_sql(a, "COMMIT"), 0);
	int64_t end_ns = clock_mono_ns() - t0_ns;
	finish(b);
	finish(c);
	pause_ms(40);
	assert_int_equal(lock_watch_waiting(watch), 0);
	struct lock_log log;
	stop_watch(watch, &log);
	assert_int_equal(log.wait_count, 2);
	const struct lock_wait *wait_b = find_wait(&log, PQbackendPID(b)), *wait_c = find_wait(&log, PQbackendPID(c));
	assert_non_null(wait_b);
	assert_non_null(wait_c);
	assert_true(llabs(wait_b->start_ns - b_start_ns) < 20 * NS_PER_MS);
	assert_true(llabs(wait_c->start_ns - c_start_ns) < 20 * NS_PER_MS);
	assert_true(llabs(wait_b->end_ns - end_ns) < 20 * NS_PER_MS);
	assert_true(llabs((wait_b->end_ns - wait_b->start_ns) - (end_ns - b_start_ns)) < 20 * NS_PER_MS);
	assert_string_equal(wait_b->mode, "AccessExclusiveLock");
	assert_string_equal(wait_c->mode, "AccessShareLock");
	assert_string_equal(wait_b->relation, "app.\"Order\"");
	assert_string_equal(wait_b->lock_type, "relation");
	assert_true(has_blocker(wait_b, PQbackendPID(a)));
	assert_true(has_blocker(wait_c, PQbackendPID(b)));
	assert_false(has_blocker(wait_b, PQbackendPID(c)));
	assert_true(wait_b->samples > 20);
	assert_true(log.samples > 30);
	lock_log_release(&log);
	PQfinish(a);
	PQfinish(b);
	PQfinish(c);
}

/* 300 ms of LOCK TABLE, seen from the waiter: within 20 ms of the truth. */
static void test_length(void **state)
{
	(void)state;
	PGconn *holder = pg_server_connect(&server, NULL), *reader = pg_server_connect(&server, NULL);
	int64_t t0_ns = clock_mono_ns();
	struct lock_watch *watch = start_watch(t0_ns);
	assert_int_equal(pg_server_sql(holder, "BEGIN; LOCK TABLE t"), 0);
	int64_t start_ns = clock_mono_ns();
	assert_int_equal(PQsendQuery(reader, "SELECT count(*) FROM t"), 1);
	clock_sleep_until_ns(start_ns + 300 * NS_PER_MS);
	assert_int_equal(pg_server_sql(holder, "COMMIT"), 0);
	int64_t truth_ns = clock_mono_ns() - start_ns;
	finish(reader);
	struct lock_log log;
	stop_watch(watch, &log);
	assert_int_equal(log.wait_count, 1);
	int64_t seen_ns = log.waits[0].end_ns - log.waits[0].start_ns;
	assert_true(llabs(seen_ns - truth_ns) < 20 * NS_PER_MS);
	assert_string_equal(log.waits[0].relation, "public.t");
	lock_log_release(&log);
	PQfinish(holder);
	PQfinish(reader);
}

/* A table that is gone at the end keeps its name; one younger than the watch gets its name; rows have none. */
static void test_names(void **state)
{
	(void)state;
	PGconn *a = pg_server_connect(&server, NULL), *b = pg_server_connect(&server, NULL);
	struct lock_watch *watch = start_watch(clock_mono_ns());
	const char *tables[] = {"gone", "young"};
	assert_int_equal(pg_server_sql(a, "CREATE TABLE young (x int)"), 0);
	for (size_t i = 0; i < 2; i++) {
		char sql[100];
		(void)snprintf(sql, sizeof(sql), "BEGIN; DROP TABLE %s", tables[i]);
		assert_int_equal(pg_server_sql(a, sql), 0);
		(void)snprintf(sql, sizeof(sql), "SELECT count(*) FROM %s", tables[i]);
		assert_int_equal(PQsendQuery(b, sql), 1);
		pause_ms(60);
		assert_int_equal(pg_server_sql(a, "COMMIT"), 0);
		finish(b);
	}
	assert_int_equal(pg_server_sql(a, "BEGIN; UPDATE t SET x = x"), 0);
	assert_int_equal(PQsendQuery(b, "UPDATE t SET x = x"), 1);
	pause_ms(60);
	assert_int_equal(pg_server_sql(a, "COMMIT"), 0);
	finish(b);
	struct lock_log log;
	stop_watch(watch, &log);
	assert_int_equal(log.wait_count, 3);
	assert_string_equal(log.waits[0].relation, "public.gone");
	assert_string_equal(log.waits[1].relation, "public.young");
	assert_string_equal(log.waits[2].lock_type, "transactionid");
	assert_string_equal(log.waits[2].relation, "");
	assert_true(has_blocker(&log.waits[2], PQbackendPID(a)));
	lock_log_release(&log);
	PQfinish(a);
	PQfinish(b);
}

static void test_lost_connection(void **state)
{
	(void)state;
	struct lock_watch *watch = start_watch(clock_mono_ns());
	pause_ms(100);
	assert_int_equal(pg_server_run(&server, "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
						" WHERE application_name = 'rehearse lock watch'"),
			 0);
	pg_server_halt(&server);
	pause_ms(300);
	assert_int_equal(pg_server_restart(&server), 0);
	pause_ms(400);
	assert_int_equal(pg_server_ask(&server, "SELECT count(*) FROM pg_stat_activity"
						" WHERE application_name = 'rehearse lock watch'"),
			 1);
	struct lock_log log;
	stop_watch(watch, &log);
	assert_true(log.gap_count >= 1);
	int64_t blind_ns = 0;
	for (size_t i = 0; i < log.gap_count; i++)
		blind_ns += log.gaps[i].end_ns - log.gaps[i].start_ns;
	assert_true(blind_ns > 250 * NS_PER_MS);
	lock_log_release(&log);
}

static void test_server_gone(void **state)
{
	(void)state;
	struct lock_watch *watch = start_watch(clock_mono_ns());
	pause_ms(50);
	pg_server_halt(&server);
	pause_ms(200);
	struct lock_log log;
	stop_watch(watch, &log);
	assert_true(log.gap_count >= 1);
	assert_true(log.gaps[log.gap_count - 1].end_ns > 200 * NS_PER_MS);
	lock_log_release(&log);
	struct lock_watch_options options = {.url = server.url, .lane = "baseline", .out_path = path};
	struct error err = ERROR_INIT;
	assert_int_equal(lock_watch_start(&options, &watch, &err), -ERR_UNAVAILABLE);
	assert_int_equal(pg_server_restart(&server), 0);
	watch = start_watch(clock_mono_ns());
	(void)unlink(path);
	lock_watch_abort(watch);
	assert_int_equal(access(path, F_OK), -1);
}

static int set_up(void **state)
{
	(void)state;
	if (pg_server_start(&server, NULL))
		return -1;
	(void)snprintf(path, sizeof(path), "%s/locks.jsonl", server.folder);
	return pg_server_run(&server,
			     "CREATE SCHEMA app; CREATE TABLE app.\"Order\" (x int); CREATE TABLE t AS SELECT 1 AS x;"
			     "CREATE TABLE gone (x int)");
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
		cmocka_unit_test(test_chain),	    cmocka_unit_test(test_length),
		cmocka_unit_test(test_names),	    cmocka_unit_test(test_lost_connection),
		cmocka_unit_test(test_server_gone),
	};
	return cmocka_run_group_tests(tests, set_up, tear_down);
}
