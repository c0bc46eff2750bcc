/* The three-way error table, and the thresholds' syntax: small runs, each error placed by hand. */
#include "error_judge.h"
#include "sqlstate.h"
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

/* Judges, and says what the first failing rule of that name has found; NULL if none of that name fails. */
static void expect_finding(struct support_run *run, enum verdict_outcome outcome, const char *name, const char *words)
{
	size_t i;
	const json_t *rule;
	const char *found = NULL;
	struct verdict *verdict = judge(run);
	if (verdict->outcome != outcome)
		fail_msg("%s: %s", verdict_outcome_name(verdict->outcome), verdict->reason);
	json_array_foreach (json_object_get(verdict->document, "rules"), i, rule) {
		if (!found && strcmp(json_string_value(json_object_get(rule, "name")), name) == 0)
			found = json_string_value(json_object_get(rule, "finding"));
	}
	if (words && !(found && strstr(found, words)))
		fail_msg("no '%s' in: %s", words, found ? found : "no finding");
	if (!words && found)
		fail_msg("%s", found);
	verdict_free(verdict);
	support_run_free(run);
}

/* n executions from 6 s on by `sessions` sessions, which all fail; before the migration 30 go well. */
static struct support_run *make_break(const char *sql, const char *code, uint32_t sessions, int64_t n)
{
	struct support_run *run = make_run();
	for (int64_t i = 0; i < 30; i++)
		support_run_add(run, SUPPORT_S + i * 100 * SUPPORT_MS + 50 * SUPPORT_MS, (uint32_t)i % sessions, sql,
				NULL, fine, fine);
	for (int64_t i = 0; i < n; i++)
		add_at(run, i, (uint32_t)i % sessions, sql, NULL, NULL, code);
	return run;
}

/* A statement that worked and never does again, whatever it fails with, and however few sessions there are. */
static void test_never_well_again(void **state)
{
	(void)state;
	static const char call[] = "SELECT total_of(7)";
	/* A trigger that raises, a view that takes no rows, a generated column, a right that is gone, a stack too deep.
	 */
	static const char *const codes[] = {"P0001", "55000", "428C9", "23505", "42501", "54001", "22012"};
	for (size_t i = 0; i < sizeof(codes) / sizeof(*codes); i++) {
		expect_finding(make_break(INSERT, codes[i], 1, 3), VERDICT_HURTS,
			       strcmp(codes[i], "54001") == 0 ? "errors.other" : "errors.new", codes[i]);
		expect_finding(make_break(INSERT, codes[i], 8, 30), VERDICT_HURTS,
			       strcmp(codes[i], "54001") == 0 ? "errors.other" : "errors.new", "`insert into orders");
	}
	/* Inside a function, with one session; two executions are too few to say. */
	expect_finding(make_break(call, "42703", 1, 3), VERDICT_HURTS, "errors.new", "42703");
	expect_finding(make_break(call, "42703", 1, 2), VERDICT_CLEAR, "errors.new", NULL);
	/* What may come of rows needs a table that the migration touched, or three sessions, or eleven executions. */
	expect_finding(make_break(call, "P0001", 1, 10), VERDICT_CLEAR, "errors.new", NULL);
	expect_finding(make_break(call, "P0001", 1, 11), VERDICT_HURTS, "errors.new", "11 times");
	expect_finding(make_break(call, "23505", 2, 10), VERDICT_CLEAR, "errors.new", NULL);
	expect_finding(make_break(call, "23505", 3, 3), VERDICT_HURTS, "errors.new", "3 times");
	/* What has rules of its own: cancelled, serialization, the server. */
	static const char *const others[] = {"57014", "40001", "40P01", "55P03", "53100", "XX000", "26000"};
	for (size_t i = 0; i < sizeof(others) / sizeof(*others); i++)
		expect_finding(make_break(INSERT, others[i], 3, 20), VERDICT_CLEAR, "errors.other", NULL);
}

/* One that went well in between ends the row; eleven in a row are enough whatever comes behind. */
static void test_well_again(void **state)
{
	(void)state;
	for (int64_t n = 10; n <= 11; n++) {
		struct support_run *run = make_break(INSERT, "P0001", 3, n);
		add_at(run, n, 0, INSERT, NULL, NULL, NULL);
		expect_finding(run, n < 11 ? VERDICT_CLEAR : VERDICT_HURTS, "errors.new", n < 11 ? NULL : "11 times");
	}
	/* The baseline and the recording have the code too, but not where the migrating lane fails. */
	struct support_run *run = make_break(INSERT, "23505", 1, 3);
	support_run_add(run, 4 * SUPPORT_S + 50 * SUPPORT_MS, 2, INSERT, "23505", fails("23505"), fails("23505"));
	expect_finding(run, VERDICT_HURTS, "errors.new", "3 times");
	/* The replay fails it on one lane alone every now and then: six of sixty are (7 / 62)^3 = 0.0014. */
	run = make_break(INSERT, "23505", 3, 3);
	for (int64_t i = 0; i < 6; i++)
		support_run_add(run, 4100 * SUPPORT_MS + (i * 100 + 50) * SUPPORT_MS, 5, INSERT, NULL, fails("23505"),
				fine);
	expect_finding(run, VERDICT_CLEAR, "errors.new", NULL);
	/* It was so before the migration began; once is not enough to say so. */
	for (int64_t n = 1; n <= 3; n += 2) {
		run = make_break(INSERT, "55000", 1, 5);
		for (int64_t i = 0; i < n; i++)
			support_run_add(run, (4050 + i * 100) * SUPPORT_MS, 2, INSERT, NULL, fine, fails("55000"));
		expect_finding(run, n < 3 ? VERDICT_HURTS : VERDICT_CLEAR, "errors.new", n < 3 ? "5 times" : NULL);
	}
}

/* One row on both lanes before; from 6 s on b rows on the baseline and m on the other, n times, one on both at `but`.
 */
static struct support_run *make_rows(const char *sql, uint32_t b, uint32_t m, int64_t n, int64_t but)
{
	struct support_run *run = make_run();
	struct support_outcome baseline = fine;
	struct support_outcome migrating = fine;
	baseline.rows = b;
	migrating.rows = m;
	for (int64_t i = 0; i < 30; i++)
		support_run_add(run, SUPPORT_S + i * 100 * SUPPORT_MS + 50 * SUPPORT_MS, (uint32_t)i % 5, sql, NULL,
				fine, fine);
	for (int64_t i = 0; i < n; i++)
		support_run_add(run, 6 * SUPPORT_S + i * 100 * SUPPORT_MS + 50 * SUPPORT_MS, (uint32_t)i % 5, sql, NULL,
				i == but ? fine : baseline, i == but ? fine : migrating);
	return run;
}

static void test_rows_that_are_gone(void **state)
{
	(void)state;
	static const char select[] = "SELECT * FROM orders WHERE id = 1";
	static const char elsewhere[] = "SELECT * FROM notes WHERE id = 1";
	expect_finding(make_rows(select, 1, 0, 3, -1), VERDICT_HURTS, "rows.lost",
		       "returns no rows any more on the migrating lane: 3 times, first at 6.05 s");
	expect_finding(make_rows("UPDATE orders SET a = 1 WHERE id = 1", 1, 0, 20, -1), VERDICT_HURTS, "rows.lost",
		       "affects no rows any more");
	expect_finding(make_rows(select, 1, 2, 20, -1), VERDICT_HURTS, "rows.changed", "another number of rows");
	/* Two are too few; a table that the migration left alone is a warning; scatter is neither. */
	expect_finding(make_rows(select, 1, 0, 2, -1), VERDICT_CLEAR, "rows.lost", NULL);
	expect_finding(make_rows(elsewhere, 1, 0, 20, -1), VERDICT_CLEAR, "rows.lost", "20 times");
	expect_finding(make_rows(select, 1, 2, 20, 10), VERDICT_CLEAR, "rows.changed", NULL);
	expect_finding(make_rows(select, 1, 0, 10, 9), VERDICT_CLEAR, "rows.lost", NULL);
	expect_finding(make_rows(select, 1, 0, 12, 11), VERDICT_HURTS, "rows.lost", "11 times");
	/* One of 31 differed before: that could be the replay's, but not eleven rows that are gone at a stretch. */
	struct support_outcome none = fine;
	none.rows = 0;
	for (int64_t n = 10; n <= 11; n++) {
		struct support_run *run = make_rows(select, 1, 0, n, -1);
		support_run_add(run, 4 * SUPPORT_S + 50 * SUPPORT_MS, 9, select, NULL, fine, none);
		expect_finding(run, n < 11 ? VERDICT_CLEAR : VERDICT_HURTS, "rows.lost", n < 11 ? NULL : "11 times");
	}
}

/* What is gone when the lock is: XX000 of a sequence that was replaced, to those that had waited for it. */
static void test_failures_behind_the_lock(void **state)
{
	(void)state;
	for (int waited = 0; waited < 2; waited++) {
		struct support_run *run = make_run();
		int64_t sent = 5004 * SUPPORT_MS;
		struct support_outcome gone = fails("XX000");
		gone.service_ns = 6 * SUPPORT_MS;
		support_run_add(run, sent, 1, "SELECT nextval('orders_id')", NULL, fine, gone);
		if (waited)
			support_run_wait(run, SUPPORT_MIGRATING_PID(1), "public.orders", "AccessShareLock", sent,
					 5009 * SUPPORT_MS, SUPPORT_MIGRATION_PID);
		expect_finding(run, waited ? VERDICT_HURTS : VERDICT_CLEAR, "errors.other",
			       waited ? "failed with XX000 after it had waited for the migration's lock: 1 time"
				      : NULL);
	}
}

/* A clear verdict does not say that none failed where some did. */
static void test_clear_names_failures(void **state)
{
	(void)state;
	struct support_run *run = make_run();
	struct support_outcome replan = fails("0A000");
	replan.flags = RUN_REPLAN;
	for (uint32_t s = 0; s < 4; s++)
		support_run_add(run, 6 * SUPPORT_S + 50 * SUPPORT_MS, s, INSERT, NULL, fine, replan);
	add_at(run, 1, 1, "SELECT total_of(7)", NULL, NULL, "23505");
	struct verdict *verdict = judge(run);
	assert_int_equal(verdict->outcome, VERDICT_CLEAR);
	assert_null(strstr(verdict->reason, "none failed"));
	assert_non_null(strstr(verdict->reason, "4 executions failed because of it"));
	assert_non_null(strstr(verdict->reason, "0A000"));
	assert_non_null(strstr(verdict->reason, "1 more error than on the baseline"));
	verdict_free(verdict);
	support_run_free(run);
}

/* Rows of a table that the migration left alone only warn, and are named all the same; so is what a lock held up. */
static void test_clear_names_what_warns(void **state)
{
	(void)state;
	struct support_run *run = make_rows("SELECT * FROM notes WHERE id = 1", 1, 0, 20, -1);
	int64_t sent = 5004 * SUPPORT_MS;
	struct support_outcome late = fails("23505");
	late.service_ns = 6 * SUPPORT_MS;
	support_run_add(run, sent, 1, "SELECT total_of(7)", NULL, fine, late);
	support_run_wait(run, SUPPORT_MIGRATING_PID(1), "public.orders", "AccessShareLock", sent, 5009 * SUPPORT_MS,
			 SUPPORT_MIGRATION_PID);
	struct verdict *verdict = judge(run);
	assert_int_equal(verdict->outcome, VERDICT_CLEAR);
	assert_non_null(strstr(verdict->reason, "1 execution failed behind its locks with 23505"));
	assert_non_null(strstr(verdict->reason, "`select * from notes where id = ?` returns no rows any more"));
	verdict_free(verdict);
	support_run_free(run);
}

static void test_kinds(void **state)
{
	(void)state;
	static const struct {
		const char *code;
		enum error_kind kind;
	} cases[] = {{"428C9", ERROR_SCHEMA},	      {"42601", ERROR_SCHEMA},	       {"42P05", ERROR_OTHER},
		     {"3F000", ERROR_SCHEMA},	      {"22012", ERROR_CONSTRAINT},     {"23000", ERROR_CONSTRAINT},
		     {"P0001", ERROR_REFUSED},	      {"55000", ERROR_REFUSED},	       {"0A000", ERROR_REFUSED},
		     {"44000", ERROR_REFUSED},	      {"55P03", ERROR_LOCK_VICTIM},    {"40001", ERROR_CONCURRENCY},
		     {"57P01", ERROR_INFRASTRUCTURE}, {"XX000", ERROR_INFRASTRUCTURE}, {"25P02", ERROR_CASCADE},
		     {"26000", ERROR_OTHER},	      {"28000", ERROR_OTHER}};
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++)
		assert_int_equal(error_kind_of(sqlstate_pack(cases[i].code), 0), cases[i].kind);
	assert_int_equal(error_kind_of(sqlstate_pack("0A000"), RUN_REPLAN), ERROR_REPLAN);
	assert_string_equal(error_kind_name(ERROR_REFUSED), "refused");
	assert_string_equal(error_kind_name(ERROR_OTHER), "other");
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
		cmocka_unit_test(test_never_well_again),
		cmocka_unit_test(test_well_again),
		cmocka_unit_test(test_rows_that_are_gone),
		cmocka_unit_test(test_failures_behind_the_lock),
		cmocka_unit_test(test_clear_names_failures),
		cmocka_unit_test(test_clear_names_what_warns),
		cmocka_unit_test(test_kinds),
		cmocka_unit_test(test_touched_names),
		cmocka_unit_test(test_thresholds),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
