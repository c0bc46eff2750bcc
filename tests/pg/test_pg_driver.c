/*
 * A lane against a real PostgreSQL: every kind of item, and what happens to it when the server refuses, cancels, hangs
 * up or changes a plan.
 */
#include "clock.h"
#include "sqlstate.h"
#include "support_lane.h"
#include "support_pg_server.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static struct pg_server server;

static void replay(int64_t drain_timeout_ns, void (*during)(int64_t t0_ns))
{
	trial_replay(&(struct lane_trial){.url = server.url, .drain_timeout_ns = drain_timeout_ns, .during = during});
}

static void test_every_kind_of_statement(void **state)
{
	(void)state;
	static const char *const insert[] = {"1", "it's\n", NULL};
	static const char *const with_null[] = {"2", "\\N", NULL};
	static const char *const wrong[] = {"x", "y", NULL};
	struct replay_builder *b = trial_begin(1);					     /* 0 */
	replay_builder_simple(b, 0, 50, "CREATE TEMP TABLE k (id int PRIMARY KEY, t text)"); /* 1 */
	replay_builder_execute(b, 0, 51, "", "INSERT INTO k VALUES ($1, $2)", insert);	     /* 2 */
	replay_builder_execute(b, 0, 52, "S_1", "INSERT INTO k VALUES ($1, $2)", with_null); /* 3 */
	replay_builder_execute(b, 0, 53, "S_1", "INSERT INTO k VALUES ($1, $2)", with_null); /* 4: 23505 */
	replay_builder_execute(b, 0, 54, "S_1", "INSERT INTO k VALUES ($1, $2)", wrong);     /* 5: 22P02 */
	replay_builder_simple(b, 0, 55, "SELECT * FROM k; SELECT 1; UPDATE k SET t = 'u'");  /* 6: 2 + 1 + 2 rows */
	replay_builder_simple(b, 0, 56, "SELECT nonsense FROM k");			     /* 7: 42703 */
	replay_builder_simple(b, 0, 57, "BEGIN; SELECT 1/0");				     /* 8: 22012 */
	replay_builder_simple(b, 0, 58, "SELECT 1");					     /* 9: 25P02 */
	replay_builder_simple(b, 0, 59, "ROLLBACK");					     /* 10 */
	replay_builder_simple(b, 0, 60, "");						     /* 11 */
	replay_builder_simple(b, 0, 61, "COPY k TO STDOUT");				     /* 12 */
	replay_builder_simple(b, 0, 62, "COPY k FROM STDIN");				     /* 13: 57014 */
	replay_builder_execute(b, 0, 63, "S_1", "SELECT count(*) FROM k", NULL);	     /* 14: other text */
	replay_builder_simple(b, 0, 64, "DEALLOCATE \"S_1\"");				     /* 15 */
	replay_builder_execute(b, 0, 65, "S_1", "SELECT count(*) FROM k", NULL);	     /* 16 */
	replay_builder_simple(b, 0, 66, "DISCARD ALL");					     /* 17 */
	replay_builder_execute(b, 0, 67, "S_1", "SELECT generate_series(1, 5000)", NULL);    /* 18 */
	replay_builder_execute(b, 0, 68, "", "", NULL);					     /* 19 */
	replay_builder_disconnect(b, 0, 69);						     /* 20 */
	replay_builder_finish(b);
	replay(NS_PER_S, NULL);
	static const struct {
		const char *sqlstate;
		uint32_t rows;
	} expected[21] = {
		[2] = {NULL, 1},    [3] = {NULL, 1},	[4] = {"23505", 0}, [5] = {"22P02", 0}, [6] = {NULL, 5},
		[7] = {"42703", 0}, [8] = {"22012", 0}, [9] = {"25P02", 0}, [12] = {NULL, 2},	[13] = {"57014", 0},
		[14] = {NULL, 1},   [16] = {NULL, 1},	[18] = {NULL, 5000}};
	for (uint32_t i = 0; i < 21; i++) {
		trial_assert(i, expected[i].sqlstate ? RUN_ERROR : RUN_OK,
			     expected[i].sqlstate ? expected[i].sqlstate : "");
		assert_int_equal(trial_records[i].rows, expected[i].rows);
	}
	assert_true(trial_records[9].flags & RUN_FAILED_TRANSACTION);
	assert_int_equal(trial_stats.items_sent, 21);
	assert_int_equal(trial_stats.items_error, 6);
}

static void test_cancel_hits_the_statement_before_it(void **state)
{
	(void)state;
	struct replay_builder *b = trial_begin(2);		/* 0, 1 */
	replay_builder_simple(b, 0, 50, "SELECT pg_sleep(20)"); /* 2 */
	replay_builder_simple(b, 1, 51, "SELECT 1");		/* 3 */
	replay_builder_cancel(b, 1, 60);			/* 4: nothing to cancel */
	replay_builder_cancel(b, 0, 150);			/* 5 */
	replay_builder_simple(b, 0, 160, "SELECT 1");		/* 6 */
	replay_builder_finish(b);
	replay(NS_PER_S, NULL);
	trial_assert(2, RUN_ERROR, "57014");
	assert_true(trial_records[2].service_ns > 90 * NS_PER_MS && trial_records[2].service_ns < 2 * NS_PER_S);
	trial_assert(3, RUN_OK, "");
	assert_int_equal(trial_records[4].outcome, RUN_SKIPPED);
	assert_int_equal(trial_records[4].reason, RUN_SKIP_NOTHING_TO_CANCEL);
	trial_assert(5, RUN_OK, "");
	trial_assert(6, RUN_OK, "");
}

/* The second session waits for the first one's lock; the third goes on all the while. */
static void test_a_waiting_session_stops_no_other(void **state)
{
	(void)state;
	assert_int_equal(pg_server_run(&server, "CREATE TABLE w (id int); INSERT INTO w VALUES (1)"), 0);
	struct replay_builder *b = trial_begin(3);		/* 0, 1, 2 */
	replay_builder_simple(b, 0, 50, "BEGIN; LOCK TABLE w"); /* 3 */
	replay_builder_simple(b, 1, 60, "SELECT * FROM w");	/* 4: waits until 400 */
	replay_builder_simple(b, 1, 70, "SELECT 2");		/* 5: queues behind it */
	for (int i = 0; i < 10; i++)
		replay_builder_simple(b, 2, 80 + i * 10, "SELECT 3"); /* 6 … 15 */
	replay_builder_simple(b, 0, 400, "COMMIT");		      /* 16 */
	replay_builder_finish(b);
	replay(NS_PER_S, NULL);
	assert_int_equal(trial_stats.items_ok, 17);
	assert_true(trial_records[4].service_ns > 300 * NS_PER_MS);
	/* Item 5 was late by the database's fault, not ours: queue, not lag. */
	assert_true(trial_records[5].late_ns > 300 * NS_PER_MS);
	assert_true(trial_records[5].lag_us < 100000);
	assert_true(run_record_latency_ns(&trial_records[5]) > 300 * NS_PER_MS);
	for (int i = 6; i < 16; i++)
		assert_true(run_record_latency_ns(&trial_records[i]) < 200 * NS_PER_MS);
	assert_int_equal(pg_server_run(&server, "DROP TABLE w"), 0);
}

static void test_a_lock_that_is_never_released(void **state)
{
	(void)state;
	assert_int_equal(pg_server_run(&server, "CREATE TABLE n (id int)"), 0);
	struct replay_builder *b = trial_begin(2);		/* 0, 1 */
	replay_builder_simple(b, 0, 50, "BEGIN; LOCK TABLE n"); /* 2 */
	replay_builder_simple(b, 1, 60, "SELECT * FROM n");	/* 3: never ends */
	replay_builder_simple(b, 1, 70, "SELECT 2");		/* 4: never sent */
	replay_builder_finish(b);
	replay(300 * NS_PER_MS, NULL);
	trial_assert(3, RUN_ERROR, SQLSTATE_UNFINISHED);
	assert_true(trial_records[3].flags & RUN_CENSORED);
	assert_int_equal(trial_records[4].reason, RUN_SKIP_BEHIND_UNFINISHED);
	assert_int_equal(trial_stats.censored, 1);
	assert_int_equal(pg_server_run(&server, "DROP TABLE n"), 0);
}

static void terminate_sleepers(int64_t t0_ns)
{
	clock_sleep_until_ns(t0_ns + 200 * NS_PER_MS);
	assert_int_equal(pg_server_run(&server, "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
						"WHERE application_name = 'test' AND query LIKE '%/* victim */%'"),
			 0);
}

static void test_terminated_backends(void **state)
{
	(void)state;
	struct replay_builder *b = trial_begin(3);			     /* 0, 1, 2 */
	replay_builder_simple(b, 0, 50, "SELECT pg_sleep(30) /* victim */"); /* 3: dies at work */
	replay_builder_simple(b, 1, 60, "SELECT 1 /* victim */");	     /* 4: its session dies idle */
	replay_builder_simple(b, 0, 400, "SELECT 2");			     /* 5 */
	replay_builder_simple(b, 1, 400, "SELECT 2");			     /* 6 */
	replay_builder_simple(b, 2, 400, "SELECT 2");			     /* 7 */
	replay_builder_disconnect(b, 0, 410);				     /* 8 */
	replay_builder_finish(b);
	replay(NS_PER_S, terminate_sleepers);
	trial_assert(3, RUN_ERROR, "57P01");
	trial_assert(4, RUN_OK, "");
	for (int i = 5; i <= 8; i++) {
		if (i != 7)
			assert_int_equal(trial_records[i].reason, RUN_SKIP_SESSION_LOST);
	}
	trial_assert(7, RUN_OK, "");
	assert_non_null(strstr(trial_stats.lost_reason, "terminat"));
}

static void change_the_plan(int64_t t0_ns)
{
	clock_sleep_until_ns(t0_ns + 150 * NS_PER_MS);
	assert_int_equal(pg_server_run(&server, "ALTER TABLE p ADD COLUMN more int"), 0);
}

static void test_an_outdated_plan_fails_once(void **state)
{
	(void)state;
	assert_int_equal(pg_server_run(&server, "CREATE TABLE p (id int)"), 0);
	struct replay_builder *b = trial_begin(1);			 /* 0 */
	replay_builder_execute(b, 0, 100, "q", "SELECT * FROM p", NULL); /* 1 */
	replay_builder_execute(b, 0, 300, "q", "SELECT * FROM p", NULL); /* 2: 0A000 */
	replay_builder_execute(b, 0, 310, "q", "SELECT * FROM p", NULL); /* 3: prepared again */
	replay_builder_finish(b);
	replay(NS_PER_S, change_the_plan);
	trial_assert(1, RUN_OK, "");
	trial_assert(2, RUN_ERROR, "0A000");
	assert_true(trial_records[2].flags & RUN_REPLAN);
	trial_assert(3, RUN_OK, "");
	assert_int_equal(trial_stats.replans, 1);
	assert_int_equal(pg_server_run(&server, "DROP TABLE p"), 0);
}

static void test_a_refused_login(void **state)
{
	(void)state;
	struct replay_builder *b = trial_begin_empty();
	uint32_t nobody = replay_builder_session(b, "nobody_of_that_name", "postgres");
	uint32_t nowhere = replay_builder_session(b, "postgres", "dbname=postgres host=203.0.113.1");
	uint32_t good = replay_builder_session(b, "postgres", "postgres");
	replay_builder_connect(b, nobody, 0);		  /* 0 */
	replay_builder_connect(b, nowhere, 0);		  /* 1: a name, never a connection string */
	replay_builder_connect(b, good, 0);		  /* 2 */
	replay_builder_simple(b, nobody, 1, "SELECT 1");  /* 3 */
	replay_builder_simple(b, nowhere, 1, "SELECT 1"); /* 4 */
	replay_builder_simple(b, good, 1, "SELECT 1");	  /* 5 */
	replay_builder_finish(b);
	replay(NS_PER_S, NULL);
	trial_assert(0, RUN_ERROR, "28000");
	trial_assert(1, RUN_ERROR, "3D000");
	trial_assert(2, RUN_OK, "");
	assert_int_equal(trial_records[3].reason, RUN_SKIP_SESSION_LOST);
	assert_int_equal(trial_records[4].reason, RUN_SKIP_SESSION_LOST);
	trial_assert(5, RUN_OK, "");
}

static void kill_the_server(int64_t t0_ns)
{
	clock_sleep_until_ns(t0_ns + 200 * NS_PER_MS);
	pg_server_halt(&server);
}

/* Last: the server goes down. */
static void test_a_server_that_goes_down(void **state)
{
	(void)state;
	struct replay_builder *b = trial_begin(2);		/* 0, 1 */
	replay_builder_simple(b, 0, 50, "SELECT pg_sleep(30)"); /* 2 */
	uint32_t late = replay_builder_session(b, "postgres", "postgres");
	replay_builder_connect(b, late, 1500);	       /* 3 */
	replay_builder_simple(b, 1, 1500, "SELECT 1"); /* 4 */
	replay_builder_finish(b);
	replay(NS_PER_S, kill_the_server);
	assert_int_equal(trial_records[2].outcome, RUN_ERROR);
	trial_assert(3, RUN_ERROR, SQLSTATE_CANNOT_CONNECT);
	assert_int_equal(trial_records[4].reason, RUN_SKIP_SESSION_LOST);
	assert_int_equal(trial_stats.items_sent + trial_stats.items_skipped, 5);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_every_kind_of_statement),
		cmocka_unit_test(test_cancel_hits_the_statement_before_it),
		cmocka_unit_test(test_a_waiting_session_stops_no_other),
		cmocka_unit_test(test_a_lock_that_is_never_released),
		cmocka_unit_test(test_terminated_backends),
		cmocka_unit_test(test_an_outdated_plan_fails_once),
		cmocka_unit_test(test_a_refused_login),
		cmocka_unit_test(test_a_server_that_goes_down),
	};
	if (pg_server_start(&server, NULL) < 0)
		return 1;
	int failed = cmocka_run_group_tests(tests, NULL, NULL);
	pg_server_stop(&server);
	trial_clean_up();
	return failed;
}
