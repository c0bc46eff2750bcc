/* The three-way error table, and the thresholds' syntax: small runs, each error placed by hand. */
#include "support_run.h"
#include "thresholds.h"
#include "touched.h"
#include "verdict.h"

#include "mem.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#define SESSIONS 20
#define INSERT	 "INSERT INTO orders (id, customer) VALUES (1, 2)"

static const struct support_outcome fine = {.service_ns = 2 * SUPPORT_MS, .rows = 1};

/* Twenty sessions, one quiet statement every 100 ms each, and a short migration of orders at 5 s of 10 s. */
static struct support_run *make_run(void)
{
	struct support_run *run = support_run_new(SESSIONS);
	for (int64_t t = 0; t < 100; t++) {
		for (uint32_t s = 0; s < SESSIONS; s++)
			support_run_add(run, t * 100 * SUPPORT_MS + s * SUPPORT_MS + 1, s,
					"SELECT * FROM stock WHERE id = 1", NULL, fine, fine);
	}
	support_run_migrate(run, "ALTER TABLE orders ADD CONSTRAINT c UNIQUE (customer)", "public.orders",
			    "AccessExclusiveLock", 5 * SUPPORT_S, 5010 * SUPPORT_MS);
	return run;
}

static struct verdict *judge(struct support_run *run)
{
	struct error err = ERROR_INIT;
	struct verdict *verdict;
	support_run_write(run, 10 * SUPPORT_S);
	if (verdict_judge(support_run_dir(run), NULL, &verdict, &err) < 0)
		fail_msg("%s", err.text);
	return verdict;
}

/* Judges, checks outcome and the first entry's kind and result, and frees. */
static void expect(struct support_run *run, enum verdict_outcome outcome, const char *kind, const char *result)
{
	struct verdict *verdict = judge(run);
	if (verdict->outcome != outcome)
		fail_msg("%s: %s", verdict_outcome_name(verdict->outcome), verdict->reason);
	const json_t *first = json_array_get(json_object_get(verdict->document, "errors"), 0);
	assert_string_equal(json_string_value(json_object_get(first, "kind")), kind);
	assert_string_equal(json_string_value(json_object_get(first, "result")), result);
	verdict_free(verdict);
	support_run_free(run);
}

static struct support_outcome fails(const char *code)
{
	return (struct support_outcome){.service_ns = SUPPORT_MS, .sqlstate = code};
}

/* at 6 s plus 10 ms a number, between the sessions' other statements */
static void add_at(struct support_run *run, int64_t n, uint32_t session, const char *sql, const char *capture,
		   const char *baseline, const char *migrating)
{
	support_run_add(run, 6 * SUPPORT_S + n * 100 * SUPPORT_MS + 50 * SUPPORT_MS, session, sql, capture,
			baseline ? fails(baseline) : fine, migrating ? fails(migrating) : fine);
}

static void test_own_errors_are_the_same(void **state)
{
	(void)state;
	struct support_run *run = make_run();
	add_at(run, 0, 1, INSERT, "23505", "23505", "23505");
	expect(run, VERDICT_CLEAR, "constraint", "same");
}

/* An untainted session, a touched table, a code that this statement gives nowhere else: one is enough. */
static void test_first_constraint_break_counts(void **state)
{
	(void)state;
	struct support_run *run = make_run();
	add_at(run, 0, 1, INSERT, NULL, NULL, "23505");
	expect(run, VERDICT_HURTS, "constraint", "migration");
}

/* … not on a table that the migration left alone, not before it, not where the application meets it anyway, not in a
   session whose data are others already. */
static void test_first_constraint_break_conditions(void **state)
{
	(void)state;
	struct support_run *run = make_run();
	add_at(run, 0, 1, "INSERT INTO notes VALUES (1)", NULL, NULL, "23505");
	expect(run, VERDICT_CLEAR, "constraint", "noise");
	run = make_run();
	support_run_add(run, 3 * SUPPORT_S + 50 * SUPPORT_MS, 1, INSERT, NULL, fine, fails("23505"));
	expect(run, VERDICT_CLEAR, "constraint", "noise");
	run = make_run();
	add_at(run, 0, 1, INSERT, NULL, NULL, "23505");
	add_at(run, 0, 2, INSERT, "23505", "23505", "23505");
	expect(run, VERDICT_CLEAR, "constraint", "noise");
	run = make_run();
	struct support_outcome more = fine;
	more.rows = 2;
	support_run_add(run, 3 * SUPPORT_S + 50 * SUPPORT_MS, 1, "SELECT 1 FROM stock", NULL, fine, more);
	add_at(run, 0, 1, INSERT, NULL, NULL, "23505");
	expect(run, VERDICT_CLEAR, "constraint", "noise");
	/* A value that does not fit its column needs no other session's rows: there taint is no excuse. */
	run = make_run();
	support_run_add(run, 3 * SUPPORT_S + 50 * SUPPORT_MS, 1, "SELECT 1 FROM stock", NULL, fine, more);
	add_at(run, 0, 1, INSERT, NULL, NULL, "22001");
	expect(run, VERDICT_HURTS, "constraint", "migration");
}

/* 40001 counts by McNemar only: ten sessions of twenty are p = 0.00098, eleven 0.00049. One session counts once. */
static void test_concurrency_needs_mcnemar(void **state)
{
	(void)state;
	for (uint32_t n = 10; n <= 11; n++) {
		struct support_run *run = make_run();
		for (uint32_t s = 0; s < n; s++)
			add_at(run, s, s, INSERT, NULL, NULL, "40001");
		for (int64_t i = 0; i < 5; i++)
			add_at(run, 20 + i, 0, INSERT, NULL, NULL, "40001");
		expect(run, n < 11 ? VERDICT_CLEAR : VERDICT_HURTS, "concurrency", n < 11 ? "noise" : "migration");
	}
}

/* Behind a root in the same transaction everything fails with 25P02: told, never accused. */
static void test_cascades_are_folded(void **state)
{
	(void)state;
	struct support_run *run = make_run();
	for (int64_t i = 0; i < 30; i++) {
		struct support_outcome cascade = fails("25P02");
		cascade.flags = RUN_FAILED_TRANSACTION;
		support_run_add(run, 6 * SUPPORT_S + i * 100 * SUPPORT_MS + 50 * SUPPORT_MS, (uint32_t)i % SESSIONS,
				INSERT, NULL, fine, cascade);
	}
	expect(run, VERDICT_CLEAR, "cascade", "noise");
}

static void test_replan_warns(void **state)
{
	(void)state;
	struct support_run *run = make_run();
	struct support_outcome replan = fails("0A000");
	replan.flags = RUN_REPLAN;
	support_run_add(run, 6 * SUPPORT_S + 50 * SUPPORT_MS, 1, INSERT, NULL, fine, replan);
	expect(run, VERDICT_CLEAR, "replan", "migration");
}

/* A clone's server that dies before the migration, or under it: the first is no verdict on the migration. */
static void test_server_that_dies(void **state)
{
	(void)state;
	for (int before = 0; before < 2; before++) {
		struct support_run *run = make_run();
		int64_t at_ns = (before ? 4 : 6) * SUPPORT_S + 50 * SUPPORT_MS;
		for (uint32_t s = 0; s < 3; s++)
			support_run_add(run, at_ns, s, INSERT, NULL, fine, fails("08006"));
		struct ledger *ledger = support_run_ledger(run);
		(void)snprintf(ledger->statements[0].sqlstate, sizeof(ledger->statements[0].sqlstate), "08006");
		ledger->outcome = LEDGER_FAILED;
		expect(run, before ? VERDICT_INVALID : VERDICT_HURTS, "infrastructure", "noise");
	}
	/* Long after a migration that went well: who knows why. */
	struct support_run *late = make_run();
	for (uint32_t s = 0; s < SESSIONS; s++)
		support_run_add(late, 14 * SUPPORT_S, s, INSERT, NULL, fine, fails("08006"));
	struct verdict *why = judge(late);
	assert_int_equal(why->outcome, VERDICT_INVALID);
	assert_non_null(strstr(why->reason, "after the migration had ended"));
	verdict_free(why);
	support_run_free(late);
	/* Sessions that one lane alone has lost are a difference too. */
	struct support_run *run = make_run();
	struct support_outcome lost = {.skipped = true};
	for (int64_t i = 0; i < 10; i++) {
		for (uint32_t s = 0; s < SESSIONS; s++)
			support_run_add(run, 4 * SUPPORT_S + (100 * i + 50 + s) * SUPPORT_MS, s, INSERT, NULL, fine,
					lost);
	}
	struct verdict *verdict = judge(run);
	assert_int_equal(verdict->outcome, VERDICT_INVALID);
	assert_non_null(strstr(verdict->reason, "200 of "));
	verdict_free(verdict);
	support_run_free(run);
}

/* A function's statement names no table. If it never works again for anybody, the schema broke under it. */
static void test_break_inside_a_function(void **state)
{
	(void)state;
	static const char call[] = "SELECT total_of(7)";
	for (int again = 0; again < 2; again++) {
		struct support_run *run = make_run();
		for (uint32_t s = 0; s < 3; s++) {
			support_run_add(run, 3 * SUPPORT_S + 50 * SUPPORT_MS, s, call, NULL, fine, fine);
			add_at(run, (int64_t)s, s, call, NULL, NULL, "42703");
		}
		if (again)
			add_at(run, 5, 3, call, NULL, NULL, NULL);
		expect(run, again ? VERDICT_CLEAR : VERDICT_HURTS, "schema", again ? "noise" : "migration");
	}
	/* One session alone may be in a state of its own. */
	struct support_run *run = make_run();
	add_at(run, 0, 1, call, NULL, NULL, "42703");
	expect(run, VERDICT_CLEAR, "schema", "noise");
}

static void test_touched_names(void **state)
{
	(void)state;
	struct ledger ledger;
	ledger_init(&ledger);
	struct ledger_statement *s = ledger_add_statement(&ledger);
	s->sql = mem_strdup("ALTER TABLE IF EXISTS ONLY shop.orders RENAME TO purchases");
	struct ledger_lock *lock = ledger_statement_add_lock(s);
	(void)snprintf(lock->relation, sizeof(lock->relation), "shop.\"Order Lines\"");
	(void)snprintf(lock->mode, sizeof(lock->mode), "AccessExclusiveLock");
	lock = ledger_statement_add_lock(s);
	(void)snprintf(lock->relation, sizeof(lock->relation), "shop.customers");
	(void)snprintf(lock->mode, sizeof(lock->mode), "AccessShareLock");
	struct touched *touched = touched_new(&ledger);
	assert_true(touched_by_lock(touched, "select * from \"Order Lines\" where id = ?"));
	assert_true(touched_by_lock(touched, "select * from shop.\"Order Lines\""));
	assert_false(touched_by_lock(touched, "select * from order lines"));
	assert_false(touched_by_lock(touched, "select * from customers"));
	assert_false(touched_by_lock(touched, "select * from orders"));
	assert_true(touched_at_all(touched, "select * from ORDERS o"));
	assert_true(touched_at_all(touched, "select * from purchases"));
	assert_false(touched_at_all(touched, "select * from orders_2024"));
	assert_false(touched_at_all(touched, "select exists (select ?)"));
	assert_true(touched_names_relation("update shop.orders set x = ?", "public.orders"));
	assert_true(touched_names_relation("select * from \"a \"\" b.c\"", "\"x.y\".\"a \"\" b.c\""));
	assert_false(touched_names_relation("select * from y", "\"x.y\".\"z\""));
	touched_free(touched);
	ledger_release(&ledger);
}

static void test_thresholds(void **state)
{
	(void)state;
	struct error err = ERROR_INIT;
	struct thresholds t;
	struct strbuf text;
	strbuf_init(&text, 200);
	thresholds_init(&t);
	const struct threshold *rule = thresholds_find(&t, "stall.max", "public.orders");
	assert_int_equal(thresholds_judge(&t, rule, "public.orders", 0.099), THRESHOLD_PASS);
	assert_int_equal(thresholds_judge(&t, rule, "public.orders", 0.1), THRESHOLD_WARN);
	assert_int_equal(thresholds_judge(&t, rule, "public.orders", 1), THRESHOLD_FAIL);
	assert_int_equal(thresholds_set(&t, "stall.max{table=orders}", "fail >= 50ms", &err), 0);
	rule = thresholds_find(&t, "stall.max", "public.orders");
	assert_int_equal(thresholds_judge(&t, rule, "public.orders", 0.06), THRESHOLD_FAIL);
	rule = thresholds_find(&t, "stall.max", "public.stock");
	assert_int_equal(thresholds_judge(&t, rule, "public.stock", 0.2), THRESHOLD_WARN);
	assert_int_equal(thresholds_set(&t, "hot_tables", "stock, customers", &err), 0);
	assert_int_equal(thresholds_judge(&t, rule, "public.stock", 0.2), THRESHOLD_FAIL);
	threshold_format(rule, &text);
	assert_string_equal(text.data, "warn >= 100ms, fail >= 1s");
	assert_int_equal(thresholds_set(&t, "errors.new", "off", &err), 0);
	rule = thresholds_find(&t, "errors.new", "");
	assert_int_equal(thresholds_judge(&t, rule, "", 5), THRESHOLD_PASS);
	assert_int_equal(thresholds_apply_preset(&t, "strict-4s", &err), 0);
	rule = thresholds_find(&t, "migration.duration", "");
	assert_int_equal(thresholds_judge(&t, rule, "", 4), THRESHOLD_PASS);
	assert_int_equal(thresholds_judge(&t, rule, "", 4.01), THRESHOLD_FAIL);
	static const char *const bad[][2] = {{"stall.most", "fail > 1"},	  {"stall.max", "fail 1s"},
					     {"stall.max", "break >= 1s"},	  {"stall.max", "fail >= soon"},
					     {"stall.max{orders}", "fail >= 1s"}, {"stall.max", "fail >= 1s,,"},
					     {"errors.new", "fail > -1"},	  {"hot_tables", ","}};
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++)
		assert_int_equal(thresholds_set(&t, bad[i][0], bad[i][1], &err), -ERR_USAGE);
	assert_int_equal(thresholds_apply_preset(&t, "lenient", &err), -ERR_USAGE);
	thresholds_release(&t);
	strbuf_release(&text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_own_errors_are_the_same),
		cmocka_unit_test(test_first_constraint_break_counts),
		cmocka_unit_test(test_first_constraint_break_conditions),
		cmocka_unit_test(test_concurrency_needs_mcnemar),
		cmocka_unit_test(test_cascades_are_folded),
		cmocka_unit_test(test_replan_warns),
		cmocka_unit_test(test_server_that_dies),
		cmocka_unit_test(test_break_inside_a_function),
		cmocka_unit_test(test_touched_names),
		cmocka_unit_test(test_thresholds),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
