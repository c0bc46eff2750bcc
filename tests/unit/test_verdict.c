/*
 * Whole runs through the judges to a verdict. Each run is made by hand (support_run.h), so the numbers expected here
 * are worked out beside it. A "quiet" run: ten sessions, each sends one statement every 100 ms that takes 2 ms on both
 * lanes, for 20 s; a migration, where there is one, starts at 10 s.
 */
#include "support_run.h"
#include "verdict.h"

#include "mem.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#define SESSIONS 10
#define ORDERS	 "SELECT * FROM orders WHERE id = 1"
#define STOCK	 "SELECT * FROM stock WHERE id = 1"

static const struct support_outcome quick = {.service_ns = 2 * SUPPORT_MS, .rows = 1};

static struct verdict *judge(struct support_run *run, int64_t end_ns)
{
	struct error err = ERROR_INIT;
	struct verdict *verdict;
	support_run_write(run, end_ns);
	if (verdict_judge(support_run_dir(run), NULL, &verdict, &err) < 0)
		fail_msg("%s", err.text);
	return verdict;
}

static void assert_outcome(const struct verdict *verdict, enum verdict_outcome expected)
{
	if (verdict->outcome != expected)
		fail_msg("%s, not %s: %s", verdict_outcome_name(verdict->outcome), verdict_outcome_name(expected),
			 verdict->reason);
}

static void assert_reason_has(const struct verdict *verdict, const char *words)
{
	if (!strstr(verdict->reason, words))
		fail_msg("no '%s' in: %s", words, verdict->reason);
}

static double number_at(const json_t *array, size_t index, const char *key)
{
	return json_number_value(json_object_get(json_array_get(array, index), key));
}

static const char *text_at(const json_t *array, size_t index, const char *key)
{
	const char *text = json_string_value(json_object_get(json_array_get(array, index), key));
	return text ? text : "";
}

static const json_t *find_rule(const struct verdict *verdict, const char *name)
{
	size_t i;
	const json_t *rule;
	json_array_foreach (json_object_get(verdict->document, "rules"), i, rule) {
		if (strcmp(json_string_value(json_object_get(rule, "name")), name) == 0)
			return rule;
	}
	return NULL;
}

/* Statements of all sessions from start to end, every 100 ms, session s 10 ms after session s - 1. */
static void add_traffic(struct support_run *run, int64_t start_ns, int64_t end_ns, const char *sql)
{
	for (int64_t t = start_ns; t < end_ns; t += 100 * SUPPORT_MS) {
		for (uint32_t s = 0; s < SESSIONS; s++)
			support_run_add(run, t + s * 10 * SUPPORT_MS, s, sql, NULL, quick, quick);
	}
}

static void test_no_migration_is_clear(void **state)
{
	(void)state;
	struct support_run *run = support_run_new(SESSIONS);
	add_traffic(run, 100 * SUPPORT_MS, 20 * SUPPORT_S, ORDERS);
	struct verdict *verdict = judge(run, 20 * SUPPORT_S);
	assert_outcome(verdict, VERDICT_CLEAR);
	assert_int_equal(json_array_size(json_object_get(verdict->document, "stalls")), 0);
	/* 199 rounds of ten. */
	assert_int_equal(number_at(json_object_get(verdict->document, "queries"), 0, "n"), 199 * 10 - 190);
	verdict_free(verdict);
	support_run_free(run);
}

/*
 * ALTER TABLE holds AccessExclusiveLock from 10.000 s to 12.000 s. Session s sends at 10.000 + 0.010 s and waits to the
 * end: blocked 2.00 - 0.01 s each, 2.000 + 1.990 + … + 1.910 = 19.55 query-seconds of ten victims. The last sample is
 * 5 ms before the end; the ledger knows better.
 */
static struct support_run *make_stall(void)
{
	struct support_run *run = support_run_new(SESSIONS);
	add_traffic(run, 100 * SUPPORT_MS, 10 * SUPPORT_S, ORDERS);
	add_traffic(run, 13 * SUPPORT_S, 20 * SUPPORT_S, ORDERS);
	support_run_migrate(run, "ALTER TABLE orders ALTER total TYPE numeric(?,?)", "public.orders",
			    "AccessExclusiveLock", 10 * SUPPORT_S, 12 * SUPPORT_S);
	for (uint32_t s = 0; s < SESSIONS; s++) {
		int64_t sent = 10 * SUPPORT_S + s * 10 * SUPPORT_MS;
		struct support_outcome blocked = {.service_ns = 12 * SUPPORT_S - sent + 2 * SUPPORT_MS, .rows = 1};
		if (s == 9) {
			/* This one has a timeout of its own, at the very end. */
			blocked.sqlstate = "57014";
			blocked.rows = 0;
		}
		support_run_add(run, sent, s, ORDERS, NULL, quick, blocked);
		support_run_wait(run, SUPPORT_MIGRATING_PID(s), "public.orders", "AccessShareLock", sent,
				 12 * SUPPORT_S - 5 * SUPPORT_MS, SUPPORT_MIGRATION_PID);
	}
	return run;
}

/* Of the two seconds 1.2 went into asking its backend: the stall is one of 0.8 s, which only warns. */
static void test_measuring_is_deducted(void **state)
{
	(void)state;
	struct support_run *run = make_stall();
	struct ledger_statement *alter = &support_run_ledger(run)->statements[0];
	alter->end_ns = 10 * SUPPORT_S + 700 * SUPPORT_MS;
	alter->measuring_ns = 1200 * SUPPORT_MS;
	struct verdict *verdict = judge(run, 20 * SUPPORT_S);
	const json_t *stalls = json_object_get(verdict->document, "stalls");
	assert_float_equal(number_at(stalls, 0, "duration_ms"), 800, 0.01);
	assert_float_equal(number_at(stalls, 0, "measuring_ms"), 1200, 0.01);
	assert_float_equal(number_at(stalls, 0, "blocked_query_s"), 19.55 - 10 * 1.2, 0.001);
	assert_string_equal(text_at(stalls, 0, "lock"), "relation");
	assert_string_equal(json_string_value(json_object_get(find_rule(verdict, "stall.max"), "result")), "warn");
	const json_t *migration = json_object_get(verdict->document, "migration");
	const json_t *locks = json_object_get(json_array_get(migration, 0), "locks");
	assert_float_equal(number_at(locks, 0, "held_ms"), 800, 0.01);
	assert_float_equal(number_at(locks, 0, "measuring_ms"), 1200, 0.01);
	const json_t *ran = json_object_get(verdict->document, "migration_run");
	assert_float_equal(json_number_value(json_object_get(ran, "measuring_s")), 1.2, 1e-6);
	assert_float_equal(json_number_value(json_object_get(find_rule(verdict, "migration.duration"), "value")), 0.8,
			   1e-6);
	verdict_free(verdict);
	support_run_free(run);
}

static void test_stall_hurts(void **state)
{
	(void)state;
	struct support_run *run = make_stall();
	struct verdict *verdict = judge(run, 20 * SUPPORT_S);
	assert_outcome(verdict, VERDICT_HURTS);
	assert_reason_has(verdict, "blocked all access to public.orders for 2.00 s");
	assert_reason_has(verdict, "10 statements waited 19.6 query-seconds; 1 timed out");
	const json_t *stalls = json_object_get(verdict->document, "stalls");
	assert_int_equal(json_array_size(stalls), 1);
	assert_string_equal(text_at(stalls, 0, "mode"), "AccessExclusiveLock");
	assert_float_equal(number_at(stalls, 0, "duration_ms"), 2000, 0.01);
	assert_float_equal(number_at(stalls, 0, "victims"), 10, 0);
	assert_float_equal(number_at(stalls, 0, "blocked_query_s"), 19.55, 0.001);
	assert_int_equal(json_array_size(json_object_get(json_array_get(stalls, 0), "channels")), 3);
	const json_t *chain = json_object_get(json_array_get(stalls, 0), "chain");
	assert_int_equal(json_array_size(chain), 1);
	assert_string_equal(text_at(chain, 0, "who"), "migration");
	assert_string_equal(json_string_value(json_object_get(find_rule(verdict, "stall.max"), "result")), "fail");
	/* Saved and read back it is the same. */
	struct error err = ERROR_INIT;
	struct verdict *again;
	assert_int_equal(verdict_save(verdict, support_run_dir(run), &err), 0);
	assert_int_equal(verdict_load(support_run_dir(run), &again, &err), 0);
	assert_int_equal(again->outcome, VERDICT_HURTS);
	assert_string_equal(again->reason, verdict->reason);
	struct strbuf summary;
	strbuf_init(&summary, 1 << 16);
	verdict_print_summary(again, &summary);
	assert_non_null(strstr(summary.data, "HURTS: "));
	assert_non_null(strstr(summary.data, "public.orders"));
	assert_non_null(strstr(summary.data, "  who      "));
	strbuf_release(&summary);
	verdict_free(again);
	verdict_free(verdict);
	support_run_free(run);
}

/*
 * A report query of session 0 runs from 9.5 s to 11.5 s. At 10.0 s an ALTER of 1 ms queues behind it, and sessions 1 to
 * 9 behind the ALTER from 10.1 s to 11.5 s: the ALTER amplifies, the report is the root. The stall is 1.4 s long.
 */
static void test_amplifier_and_root(void **state)
{
	(void)state;
	struct support_run *run = support_run_new(SESSIONS);
	struct support_outcome report = {.service_ns = 2 * SUPPORT_S, .rows = 7};
	add_traffic(run, 100 * SUPPORT_MS, 9400 * SUPPORT_MS, ORDERS);
	support_run_add(run, 9500 * SUPPORT_MS, 0, "SELECT sum(total) FROM orders", NULL, report, report);
	struct ledger_statement *alter = support_run_migrate(run, "ALTER TABLE orders ADD note text", "public.orders",
							     "AccessExclusiveLock", 10 * SUPPORT_S, 11501 * SUPPORT_MS);
	alter->locks[0].waited_ns = 1500 * SUPPORT_MS;
	alter->locks[0].acquired_ns = 11500 * SUPPORT_MS;
	support_run_wait(run, SUPPORT_MIGRATION_PID, "public.orders", "AccessExclusiveLock", 10 * SUPPORT_S,
			 11495 * SUPPORT_MS, SUPPORT_MIGRATING_PID(0));
	for (uint32_t s = 1; s < SESSIONS; s++) {
		struct support_outcome blocked = {.service_ns = 1403 * SUPPORT_MS, .rows = 1};
		support_run_add(run, 10100 * SUPPORT_MS, s, ORDERS, NULL, quick, blocked);
		support_run_wait(run, SUPPORT_MIGRATING_PID(s), "public.orders", "AccessShareLock", 10100 * SUPPORT_MS,
				 11495 * SUPPORT_MS, SUPPORT_MIGRATION_PID);
	}
	add_traffic(run, 13 * SUPPORT_S, 20 * SUPPORT_S, ORDERS);
	struct verdict *verdict = judge(run, 20 * SUPPORT_S);
	assert_outcome(verdict, VERDICT_HURTS);
	const json_t *stalls = json_object_get(verdict->document, "stalls");
	assert_int_equal(json_array_size(stalls), 1);
	assert_float_equal(number_at(stalls, 0, "duration_ms"), 1401, 0.01);
	const json_t *chain = json_object_get(json_array_get(stalls, 0), "chain");
	assert_int_equal(json_array_size(chain), 2);
	assert_string_equal(text_at(chain, 0, "role"), "root");
	assert_string_equal(text_at(chain, 0, "sql"), "select sum(total) from orders");
	assert_string_equal(text_at(chain, 1, "role"), "amplifier");
	assert_reason_has(verdict, "it had queued behind `select sum(total) from orders`");
	verdict_free(verdict);
	support_run_free(run);
}

/* The lock is held 3 s and nobody recorded came by: told, and no reason to fail. */
static void test_exposure_is_clear(void **state)
{
	(void)state;
	struct support_run *run = support_run_new(SESSIONS);
	add_traffic(run, 100 * SUPPORT_MS, 20 * SUPPORT_S, STOCK);
	support_run_migrate(run, "ALTER TABLE orders ADD x int", "public.orders", "AccessExclusiveLock", 10 * SUPPORT_S,
			    13 * SUPPORT_S);
	struct verdict *verdict = judge(run, 20 * SUPPORT_S);
	assert_outcome(verdict, VERDICT_CLEAR);
	const json_t *exposures = json_object_get(verdict->document, "exposures");
	assert_int_equal(json_array_size(exposures), 1);
	assert_string_equal(text_at(exposures, 0, "relation"), "public.orders");
	assert_float_equal(number_at(exposures, 0, "held_ms"), 3000, 0.01);
	/* … and public.orders is told to be without traffic. */
	size_t i;
	const json_t *entry;
	bool told = false;
	json_array_foreach (json_object_get(verdict->document, "untested"), i, entry)
		told |= strcmp(json_string_value(json_object_get(entry, "what")), "public.orders") == 0;
	assert_true(told);
	verdict_free(verdict);
	support_run_free(run);
}

static void test_blind_sampler_cannot_tell(void **state)
{
	(void)state;
	struct support_run *run = support_run_new(SESSIONS);
	add_traffic(run, 100 * SUPPORT_MS, 20 * SUPPORT_S, STOCK);
	support_run_migrate(run, "ALTER TABLE orders ADD x int", "public.orders", "AccessExclusiveLock", 10 * SUPPORT_S,
			    10500 * SUPPORT_MS);
	support_run_gap(run, 10100 * SUPPORT_MS, 10200 * SUPPORT_MS);
	struct verdict *verdict = judge(run, 20 * SUPPORT_S);
	assert_outcome(verdict, VERDICT_CANNOT_TELL);
	assert_reason_has(verdict, "saw nothing for 100 ms");
	verdict_free(verdict);
	support_run_free(run);
	/* What hurts all the same, hurts. */
	run = make_stall();
	support_run_gap(run, 10100 * SUPPORT_MS, 10200 * SUPPORT_MS);
	verdict = judge(run, 20 * SUPPORT_S);
	assert_outcome(verdict, VERDICT_HURTS);
	verdict_free(verdict);
	support_run_free(run);
	/* A gap before the migration says nothing about it. */
	run = support_run_new(SESSIONS);
	add_traffic(run, 100 * SUPPORT_MS, 20 * SUPPORT_S, STOCK);
	support_run_migrate(run, "ALTER TABLE orders ADD x int", "public.orders", "AccessExclusiveLock", 10 * SUPPORT_S,
			    10500 * SUPPORT_MS);
	support_run_gap(run, 5 * SUPPORT_S, 6 * SUPPORT_S);
	verdict = judge(run, 20 * SUPPORT_S);
	assert_outcome(verdict, VERDICT_CLEAR);
	verdict_free(verdict);
	support_run_free(run);
}

static void test_failed_migration_hurts(void **state)
{
	(void)state;
	struct support_run *run = support_run_new(SESSIONS);
	add_traffic(run, 100 * SUPPORT_MS, 20 * SUPPORT_S, ORDERS);
	struct ledger_statement *s = support_run_migrate(run, "ALTER TABEL orders ADD x int", "public.orders",
							 "AccessShareLock", 10 * SUPPORT_S, 10001 * SUPPORT_MS);
	s->lock_count = 0;
	memcpy(s->sqlstate, "42601", 6);
	s->message = mem_strdup("syntax error at or near \"TABEL\"");
	support_run_ledger(run)->outcome = LEDGER_FAILED;
	struct verdict *verdict = judge(run, 20 * SUPPORT_S);
	assert_outcome(verdict, VERDICT_HURTS);
	assert_reason_has(verdict, "`ALTER TABEL orders ADD x int` with 42601");
	verdict_free(verdict);
	support_run_free(run);
}

/* A column that an old statement still names is gone at 10 s: the first error is enough. */
static void test_schema_break_hurts(void **state)
{
	(void)state;
	struct support_run *run = support_run_new(SESSIONS);
	struct support_outcome broken = {.service_ns = SUPPORT_MS, .sqlstate = "42703"};
	add_traffic(run, 100 * SUPPORT_MS, 20 * SUPPORT_S, STOCK);
	support_run_migrate(run, "ALTER TABLE orders DROP note", "public.orders", "AccessExclusiveLock", 10 * SUPPORT_S,
			    10010 * SUPPORT_MS);
	support_run_add(run, 9 * SUPPORT_S + 5 * SUPPORT_MS, 3, "SELECT note FROM orders WHERE id = 3", NULL, quick,
			quick);
	support_run_add(run, 15 * SUPPORT_S + 5 * SUPPORT_MS, 4, "SELECT note FROM orders WHERE id = 4", NULL, quick,
			broken);
	struct verdict *verdict = judge(run, 20 * SUPPORT_S);
	assert_outcome(verdict, VERDICT_HURTS);
	assert_reason_has(verdict, "fails with 42703");
	const json_t *errors = json_object_get(verdict->document, "errors");
	assert_string_equal(text_at(errors, 0, "kind"), "schema");
	assert_string_equal(text_at(errors, 0, "sql"), "select note from orders where id = ?");
	verdict_free(verdict);
	support_run_free(run);
}

/*
 * Incident P9. An index of orders is dropped at 10.0 s and built anew until 13.0 s, in two transactions: nobody waits.
 * Each read of orders takes 300 ms instead of 2 ms meanwhile: 10 sessions, every 500 ms, for 3 s, are 60 reads and
 * 60 · 0.298 = 17.9 query-seconds. Reads of stock, and the same slowness without a lock on orders, accuse nobody.
 */
static void test_index_rebuilt_hurts(void **state)
{
	(void)state;
	for (int locked = 1; locked >= 0; locked--) {
		struct support_run *run = support_run_new(SESSIONS);
		struct support_outcome slow = {.service_ns = 300 * SUPPORT_MS, .rows = 1};
		for (int64_t t = 0; t < 40; t++) {
			for (uint32_t s = 0; s < SESSIONS; s++) {
				int64_t due = t * 500 * SUPPORT_MS + s * 50 * SUPPORT_MS + SUPPORT_MS;
				bool rebuilding = t >= 20 && t < 26;
				support_run_add(run, due, s, ORDERS, NULL, quick, rebuilding ? slow : quick);
				support_run_add(run, due + 400 * SUPPORT_MS, s, STOCK, NULL, quick, quick);
			}
		}
		support_run_migrate(run, "DROP INDEX orders_total", locked ? "public.orders" : "public.other",
				    "AccessExclusiveLock", 10 * SUPPORT_S, 10 * SUPPORT_S + SUPPORT_MS);
		support_run_migrate(run, "CREATE INDEX orders_total ON orders (total)",
				    locked ? "public.orders" : "public.other", "ShareLock", 10 * SUPPORT_S + SUPPORT_MS,
				    13 * SUPPORT_S);
		struct verdict *verdict = judge(run, 21 * SUPPORT_S);
		const json_t *rule = find_rule(verdict, "slow.query_seconds");
		if (locked) {
			assert_outcome(verdict, VERDICT_HURTS);
			assert_float_equal(json_number_value(json_object_get(rule, "value")), 17.88, 0.01);
			assert_reason_has(verdict, "without waiting for a lock");
			assert_string_equal(text_at(json_object_get(verdict->document, "queries"), 0, "sql"),
					    "select * from orders where id = ?");
		} else {
			/* Twenty times the time, of statements that the migration did not touch: nothing to accuse. */
			const json_t *total = json_object_get(verdict->document, "latency_total");
			assert_outcome(verdict, VERDICT_CANNOT_TELL);
			assert_reason_has(verdict, "most of it went into `select * from orders where id = ?`");
			assert_true(json_is_true(json_object_get(total, "gross")));
			assert_float_equal(json_number_value(json_object_get(rule, "value")), 0, 0);
		}
		verdict_free(verdict);
		support_run_free(run);
	}
}

/*
 * The same with statements so slow that each is sent in six bins of a rebuild's 24 only, the second by way of a view:
 * neither could prove anything alone, all together do. What names the table is accused.
 */
static void test_index_rebuilt_under_few_statements_hurts(void **state)
{
	(void)state;
	for (int slowed = 1; slowed >= 0; slowed--) {
		struct support_run *run = support_run_new(12);
		struct support_outcome slow = {.service_ns = 1900 * SUPPORT_MS, .rows = 1};
		for (int64_t t = 0; t < 40; t++) {
			bool rebuilding = slowed && t >= 20 && t < 26;
			int64_t due = t * 500 * SUPPORT_MS + SUPPORT_MS;
			uint32_t session = (uint32_t)(t % 6);
			support_run_add(run, due, session, ORDERS, NULL, quick, rebuilding ? slow : quick);
			support_run_add(run, due + 250 * SUPPORT_MS, 6 + session, STOCK, NULL, quick,
					rebuilding ? slow : quick);
		}
		support_run_migrate(run, "CREATE INDEX orders_total ON orders (total)", "public.orders", "ShareLock",
				    10 * SUPPORT_S, 13 * SUPPORT_S);
		struct verdict *verdict = judge(run, 23 * SUPPORT_S);
		const json_t *rule = find_rule(verdict, "slow.query_seconds");
		assert_outcome(verdict, slowed ? VERDICT_HURTS : VERDICT_CLEAR);
		assert_float_equal(json_number_value(json_object_get(rule, "value")), slowed ? 11.4F : 0, 0.02);
		const json_t *queries = json_object_get(verdict->document, "queries");
		if (slowed) {
			assert_string_equal(text_at(queries, 0, "sql"), "select * from orders where id = ?");
			assert_string_equal(text_at(queries, 0, "judged"), "service");
		}
		verdict_free(verdict);
		support_run_free(run);
	}
}

/*
 * The same with an index built CONCURRENTLY that outlasts the traffic by a minute: the recorded statements end at 20 s,
 * the migration at 80 s. 1/24 of it would be 2.9 s, and four such bins could show nothing.
 */
static void test_a_rebuild_that_outlasts_the_traffic_hurts(void **state)
{
	(void)state;
	struct support_run *run = support_run_new(SESSIONS);
	struct support_outcome slow = {.service_ns = 300 * SUPPORT_MS, .rows = 1};
	for (int64_t t = 0; t < 40; t++) {
		for (uint32_t s = 0; s < SESSIONS; s++)
			support_run_add(run, t * 500 * SUPPORT_MS + s * 50 * SUPPORT_MS + SUPPORT_MS, s, ORDERS, NULL,
					quick, t >= 20 ? slow : quick);
	}
	support_run_migrate(run, "CREATE INDEX CONCURRENTLY orders_total ON orders (total)", "public.orders",
			    "ShareUpdateExclusiveLock", 10 * SUPPORT_S, 80 * SUPPORT_S);
	struct verdict *verdict = judge(run, 81 * SUPPORT_S);
	assert_outcome(verdict, VERDICT_HURTS);
	/* 10 s of 20 reads a second, 298 ms each. */
	assert_float_equal(json_number_value(json_object_get(find_rule(verdict, "slow.query_seconds"), "value")), 59.6,
			   0.01);
	verdict_free(verdict);
	support_run_free(run);
}

static void test_unfit_runs_are_invalid(void **state)
{
	(void)state;
	struct support_outcome refused = {.sqlstate = "28000"};
	struct support_run *run = support_run_new(SESSIONS);
	add_traffic(run, 100 * SUPPORT_MS, 20 * SUPPORT_S, ORDERS);
	(void)json_object_set_new(support_run_json(run), "interrupted", json_true());
	struct verdict *verdict = judge(run, 20 * SUPPORT_S);
	assert_outcome(verdict, VERDICT_INVALID);
	assert_reason_has(verdict, "interrupted");
	verdict_free(verdict);
	support_run_free(run);
	/* Two hundred statements that went well in production fail on both lanes. */
	run = support_run_new(SESSIONS);
	add_traffic(run, 100 * SUPPORT_MS, 10 * SUPPORT_S, ORDERS);
	for (int i = 0; i < 200; i++)
		support_run_add(run, 12 * SUPPORT_S + i * 10 * SUPPORT_MS, 1, STOCK, NULL, refused, refused);
	verdict = judge(run, 20 * SUPPORT_S);
	assert_outcome(verdict, VERDICT_INVALID);
	assert_reason_has(verdict, "with 28000");
	verdict_free(verdict);
	support_run_free(run);
}

static void test_one_lane_is_a_usage_error(void **state)
{
	(void)state;
	struct error err = ERROR_INIT;
	struct verdict *verdict;
	struct support_run *run = support_run_new(SESSIONS);
	(void)json_object_del(json_object_get(support_run_json(run), "lanes"), "migrating");
	support_run_write(run, SUPPORT_S);
	assert_int_equal(verdict_judge(support_run_dir(run), NULL, &verdict, &err), -ERR_USAGE);
	assert_non_null(strstr(err.text, "has no migrating lane"));
	support_run_free(run);
	assert_int_equal(verdict_judge("/nonexistent", NULL, &verdict, &err), -ERR_DATA);
}

/* Like add_traffic(), but the baseline's items of odd sessions are sent 15 ms late: half of the lane. */
static void add_late_traffic(struct support_run *run, int64_t start_ns, int64_t end_ns)
{
	struct support_outcome late = quick;
	late.lag_ns = 15 * SUPPORT_MS;
	for (int64_t t = start_ns; t < end_ns; t += 100 * SUPPORT_MS) {
		for (uint32_t s = 0; s < SESSIONS; s++)
			support_run_add(run, t + s * 10 * SUPPORT_MS, s, ORDERS, NULL, s % 2 ? late : quick, quick);
	}
}

/* A slow machine shows before the migration: nothing can be judged. */
static void test_a_late_harness_is_invalid(void **state)
{
	(void)state;
	struct support_run *run = support_run_new(SESSIONS);
	add_late_traffic(run, 100 * SUPPORT_MS, 20 * SUPPORT_S);
	struct verdict *verdict = judge(run, 20 * SUPPORT_S);
	assert_outcome(verdict, VERDICT_INVALID);
	assert_reason_has(verdict, "too slow");
	verdict_free(verdict);
	support_run_free(run);
}

/* A machine that only the migration overloads: what it locked is told, and if it locked nothing, nothing can be told.
 */
static void test_an_overload_by_the_migration(void **state)
{
	(void)state;
	for (int with_stall = 0; with_stall <= 1; with_stall++) {
		struct support_run *run = support_run_new(SESSIONS);
		add_traffic(run, 100 * SUPPORT_MS, 10 * SUPPORT_S, ORDERS);
		add_late_traffic(run, 13 * SUPPORT_S, 20 * SUPPORT_S);
		support_run_migrate(run, "ALTER TABLE orders ALTER total TYPE numeric(?,?)", "public.orders",
				    "AccessExclusiveLock", 10 * SUPPORT_S, 12 * SUPPORT_S);
		if (with_stall) {
			struct support_outcome blocked = {.service_ns = 1990 * SUPPORT_MS, .rows = 1};
			support_run_add(run, 10 * SUPPORT_S + 10 * SUPPORT_MS, 0, ORDERS, NULL, quick, blocked);
			support_run_wait(run, SUPPORT_MIGRATING_PID(0), "public.orders", "AccessShareLock",
					 10 * SUPPORT_S + 10 * SUPPORT_MS, 12 * SUPPORT_S - 5 * SUPPORT_MS,
					 SUPPORT_MIGRATION_PID);
		}
		struct verdict *verdict = judge(run, 20 * SUPPORT_S);
		assert_outcome(verdict, with_stall ? VERDICT_HURTS : VERDICT_CANNOT_TELL);
		assert_reason_has(verdict, with_stall ? "public.orders" : "overloaded");
		verdict_free(verdict);
		support_run_free(run);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_no_migration_is_clear),
		cmocka_unit_test(test_a_late_harness_is_invalid),
		cmocka_unit_test(test_an_overload_by_the_migration),
		cmocka_unit_test(test_measuring_is_deducted),
		cmocka_unit_test(test_stall_hurts),
		cmocka_unit_test(test_amplifier_and_root),
		cmocka_unit_test(test_exposure_is_clear),
		cmocka_unit_test(test_blind_sampler_cannot_tell),
		cmocka_unit_test(test_failed_migration_hurts),
		cmocka_unit_test(test_schema_break_hurts),
		cmocka_unit_test(test_index_rebuilt_hurts),
		cmocka_unit_test(test_index_rebuilt_under_few_statements_hurts),
		cmocka_unit_test(test_a_rebuild_that_outlasts_the_traffic_hurts),
		cmocka_unit_test(test_unfit_runs_are_invalid),
		cmocka_unit_test(test_one_lane_is_a_usage_error),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
