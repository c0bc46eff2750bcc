/* The migration in production at best: what grows with rows, by how much, what is left out, and which timeouts fit. */
#include "clock.h"
#include "mem.h"
#include "production_estimate.h"
#include "timeout_advice.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define MS  NS_PER_MS
#define PID 7

static struct row_ratios ratios_of(const char *const *texts)
{
	struct row_ratios ratios;
	struct error err = ERROR_INIT;
	row_ratios_init(&ratios);
	for (; texts && *texts; texts++) {
		if (row_ratios_add(&ratios, *texts, &err) < 0)
			fail_msg("%s", err.text);
	}
	return ratios;
}

/* A statement whose rows were counted: none. */
static struct ledger_statement *add(struct ledger *ledger, enum ledger_kind kind, const char *sql, int64_t start_ns,
				    int64_t end_ns)
{
	struct ledger_statement *s = ledger_add_statement(ledger);
	s->kind = kind;
	s->sql = mem_strdup(sql);
	s->start_ns = start_ns;
	s->end_ns = s->transaction_end_ns = end_ns;
	s->backend_pid = PID;
	s->rows_scanned = s->rows_changed = 0;
	s->locks_known = LEDGER_LOCKS_BEFORE_COMMIT;
	ledger->outcome = LEDGER_OK;
	ledger->end_ns = end_ns;
	return s;
}

static struct ledger_lock *lock(struct ledger_statement *s, const char *relation, const char *mode)
{
	struct ledger_lock *l = ledger_statement_add_lock(s);
	(void)snprintf(l->relation, sizeof(l->relation), "%s", relation);
	(void)snprintf(l->mode, sizeof(l->mode), "%s", mode);
	l->acquired_ns = s->start_ns;
	l->released_ns = s->transaction_end_ns;
	return l;
}

static void test_ratios(void **state)
{
	(void)state;
	static const char *const bad[] = {"", "x", "0", "-1", "1e9", "nan", "inf", "orders=", "=3", "orders=0", "3x"};
	static const char *const good[] = {"20", "orders=120", "shop.items=0.5", "orders=60", NULL};
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		struct row_ratios ratios;
		struct error err = ERROR_INIT;
		row_ratios_init(&ratios);
		if (row_ratios_add(&ratios, bad[i], &err) != -ERR_USAGE || ratios.given)
			fail_msg("%s is taken", bad[i]);
		row_ratios_release(&ratios);
	}
	struct row_ratios ratios = ratios_of(good);
	assert_true(ratios.given);
	assert_float_equal(ratios.all, 20, 0);
	assert_int_equal(ratios.count, 2);
	assert_float_equal(row_ratios_find(&ratios, "public.orders")->ratio, 60, 0);
	assert_float_equal(row_ratios_find(&ratios, "shop.items")->ratio, 0.5, 0);
	assert_null(row_ratios_find(&ratios, "public.items"));
	assert_null(row_ratios_find(&ratios, "public.orders_old"));
	row_ratios_release(&ratios);
}

static void test_what_grows(void **state)
{
	(void)state;
	static const char *const texts[] = {"10", NULL};
	struct row_ratios ratios = ratios_of(texts);
	struct ledger ledger;
	struct production_estimate e;
	ledger_init(&ledger);
	size_t n = 0;
	const char *expected[20];
	struct ledger_statement *s;
#define CASE(kind, sql, work)                                                                 \
	expected[n] = work;                                                                   \
	s = add(&ledger, kind, sql, (int64_t)n * NS_PER_S, (int64_t)n * NS_PER_S + 100 * MS); \
	n++
	CASE(LEDGER_KIND_DDL, "ALTER TABLE orders ADD x int", "metadata");
	CASE(LEDGER_KIND_DDL, "ALTER TABLE orders ALTER x TYPE bigint", "rewrite");
	ledger_statement_add_rewrite(s, "public.orders");
	CASE(LEDGER_KIND_DDL, "CREATE INDEX CONCURRENTLY i ON orders (x)", "index build");
	s->rows_scanned = -1;
	ledger_names_add(&s->indexes_built, "public.i");
	CASE(LEDGER_KIND_DDL, "CREATE TABLE fresh (id int PRIMARY KEY)", "metadata");
	ledger_names_add(&s->indexes_built, "public.fresh_pkey");
	ledger_names_add(&s->relations_created, "public.fresh");
	CASE(LEDGER_KIND_DDL, "ALTER TABLE orders VALIDATE CONSTRAINT c", "scan");
	s->rows_scanned = 1000;
	CASE(LEDGER_KIND_DATA, "UPDATE orders SET x = ?", "rows changed");
	s->rows_changed = 1000;
	CASE(LEDGER_KIND_DATA, "UPDATE version SET n = ?", "one row");
	s->rows_changed = 1;
	CASE(LEDGER_KIND_DATA, "TRUNCATE audit", "empties");
	ledger_statement_add_rewrite(s, "public.audit");
	CASE(LEDGER_KIND_DDL, "ANALYZE orders", "sample");
	s->rows_scanned = -1;
	CASE(LEDGER_KIND_CONTROL, "COMMIT", "control");
	s->rows_scanned = -1;
	CASE(LEDGER_KIND_DDL, "VACUUM orders", "not counted");
	s->rows_scanned = -1;
	CASE(LEDGER_KIND_DDL, "DROP INDEX CONCURRENTLY i", "metadata");
	s->rows_scanned = -1;
	ledger_names_add(&s->indexes_dropped, "public.i");
	CASE(LEDGER_KIND_READ, "SELECT * FROM pg_class", "metadata");
	s->rows_scanned = -1;
	CASE(LEDGER_KIND_DDL, "ALTER TABLE a ADD FOREIGN KEY (b) REFERENCES c", "not counted");
	s->end_ns += 600 * MS; /* too long for a look into the catalog: it read an index */
	CASE(LEDGER_KIND_DDL, "ALTER TABLE orders ADD y int", "failed");
	(void)snprintf(s->sqlstate, sizeof(s->sqlstate), "42701");
	production_estimate_make(&ledger, NULL, &ratios, &e);
	for (size_t i = 0; i < n; i++) {
		const struct production_statement *p = &e.statements[i];
		bool grows = statement_work_grows(p->growth.work);
		if (strcmp(statement_work_name(p->growth.work), expected[i]) != 0 ||
		    p->best_ns != p->took_ns * (grows ? 10 : 1))
			fail_msg("%s: %s, %lld", ledger.statements[i].sql, statement_work_name(p->growth.work),
				 (long long)p->best_ns);
	}
	production_estimate_release(&e);
	ledger_release(&ledger);
	row_ratios_release(&ratios);
}

/* One row at a time is one row, until it is a loop over rows. */
static void test_row_by_row(void **state)
{
	(void)state;
	static const char *const texts[] = {"100", NULL};
	struct row_ratios ratios = ratios_of(texts);
	for (int rounds = 9; rounds <= 10; rounds++) {
		struct ledger ledger;
		struct production_estimate e;
		ledger_init(&ledger);
		for (int i = 0; i < rounds; i++)
			add(&ledger, LEDGER_KIND_DATA, "UPDATE orders SET x = ? WHERE id = ?", i * MS, (i + 1) * MS)
				->rows_changed = 1;
		production_estimate_make(&ledger, NULL, &ratios, &e);
		assert_int_equal(e.best_ns, rounds * MS * (rounds == 10 ? 100 : 1));
		production_estimate_release(&e);
		ledger_release(&ledger);
	}
	row_ratios_release(&ratios);
}

static void test_largest_ratio_of_its_tables(void **state)
{
	(void)state;
	static const char *const texts[] = {"2", "orders=120", "items=30", "ordrs=7", NULL};
	struct row_ratios ratios = ratios_of(texts);
	struct ledger ledger;
	struct production_estimate e;
	ledger_init(&ledger);
	static const double expected[] = {120, 30, 2, 30, 1, 120, 120};
	struct ledger_statement *s = add(&ledger, LEDGER_KIND_DDL, "ALTER TABLE items ADD FOREIGN KEY …", 0, MS);
	s->rows_scanned = 5;
	s->transaction_end_ns = 3 * MS;
	(void)lock(s, "public.items", "ShareRowExclusiveLock");
	(void)lock(s, "public.orders", "ShareRowExclusiveLock");
	/* In the same transaction: its lock is there already, so the ledger says no more of it. */
	s = add(&ledger, LEDGER_KIND_DATA, "UPDATE items SET x = ?", MS, 2 * MS);
	s->rows_changed = 5;
	s->transaction_end_ns = 3 * MS;
	/* A table without a ratio of its own; the transaction before is over. */
	s = add(&ledger, LEDGER_KIND_DATA, "UPDATE customers SET x = ?", 3 * MS, 4 * MS);
	s->rows_changed = 5;
	(void)lock(s, "public.customers", "RowExclusiveLock");
	/* By the lock on an index, whose table counts. */
	s = add(&ledger, LEDGER_KIND_DDL, "REINDEX INDEX something", 4 * MS, 5 * MS);
	ledger_statement_add_rewrite(s, "public.something");
	struct ledger_lock *l = lock(s, "public.something", "AccessExclusiveLock");
	(void)snprintf(l->index_of, sizeof(l->index_of), "public.items");
	/* A table that is made from another has as many rows, and so has its index. */
	s = add(&ledger, LEDGER_KIND_DDL, "CREATE TABLE orders_new (LIKE …)", 5 * MS, 6 * MS);
	ledger_names_add(&s->relations_created, "public.fresh");
	s = add(&ledger, LEDGER_KIND_DATA, "INSERT INTO fresh SELECT * FROM orders", 6 * MS, 7 * MS);
	s->rows_changed = 5;
	(void)lock(s, "public.fresh", "RowExclusiveLock");
	(void)lock(s, "public.orders", "AccessShareLock");
	s = add(&ledger, LEDGER_KIND_DDL, "CREATE INDEX ON fresh (x)", 7 * MS, 8 * MS);
	ledger_names_add(&s->indexes_built, "public.fresh_x_idx");
	(void)lock(s, "public.fresh", "ShareLock");
	production_estimate_make(&ledger, NULL, &ratios, &e);
	for (size_t i = 0; i < e.count; i++) {
		if (e.statements[i].growth.ratio != expected[i])
			fail_msg("%s: %g", ledger.statements[i].sql, e.statements[i].growth.ratio);
	}
	assert_true(e.ratio_used[0]);
	assert_true(e.ratio_used[1]);
	assert_false(e.ratio_used[2]);
	production_estimate_release(&e);
	ledger_release(&ledger);
	row_ratios_release(&ratios);
}

/* Waits for locks, measuring, and what a tool does between. */
static void test_what_is_left_out(void **state)
{
	(void)state;
	static const char *const texts[] = {"10", NULL};
	struct row_ratios ratios = ratios_of(texts);
	for (int tool = 0; tool < 2; tool++) {
		struct ledger ledger;
		struct production_estimate e;
		struct lock_wait waits[] = {
			{.pid = PID, .lock_type = "transactionid", .start_ns = 1100 * MS, .end_ns = 1400 * MS},
			{.pid = 99, .lock_type = "relation", .start_ns = 1100 * MS, .end_ns = 1900 * MS},
		};
		struct lock_log locks = {.waits = waits, .wait_count = 2, .complete = true};
		ledger_init(&ledger);
		struct ledger_statement *s = add(&ledger, LEDGER_KIND_DATA, "UPDATE orders SET a = ?", 0, 500 * MS);
		s->rows_changed = 5;
		s->measuring_ns = 100 * MS;
		lock(s, "public.orders", "RowExclusiveLock")->waited_ns = 200 * MS;
		s = add(&ledger, LEDGER_KIND_DATA, "UPDATE orders SET b = ?", 1000 * MS, 2000 * MS);
		s->rows_changed = 5;
		s->measuring_ns = 50 * MS;
		ledger.end_ns = 2500 * MS;
		ledger.tool.name = tool ? mem_strdup("flyway") : NULL;
		production_estimate_make(&ledger, &locks, &ratios, &e);
		assert_int_equal(e.statements[0].waited_ns, 200 * MS);
		assert_int_equal(e.statements[0].best_ns, 3000 * MS);
		assert_int_equal(e.statements[1].waited_ns, 300 * MS);
		assert_int_equal(e.statements[1].best_ns, 7000 * MS);
		assert_int_equal(e.took_ns, 2500 * MS);
		assert_int_equal(e.waited_ns, 500 * MS);
		assert_int_equal(e.measuring_ns, 150 * MS);
		/* 500 ms between less 100, and 500 behind less 50. */
		assert_int_equal(e.between_ns, tool ? 850 * MS : 0);
		assert_int_equal(e.best_ns, 10000 * MS + e.between_ns);
		assert_int_equal(e.longest, 1);
		production_estimate_release(&e);
		ledger_release(&ledger);
	}
	row_ratios_release(&ratios);
}

/* Two backends side by side take as long as the one that has more to do; a rollback is not the migration. */
static void test_side_by_side_and_rollback(void **state)
{
	(void)state;
	static const char *const texts[] = {"10", NULL};
	struct row_ratios ratios = ratios_of(texts);
	struct ledger ledger;
	struct production_estimate e;
	ledger_init(&ledger);
	add(&ledger, LEDGER_KIND_DATA, "UPDATE a SET x = ?", 0, 100 * MS)->rows_changed = 5;
	struct ledger_statement *s = add(&ledger, LEDGER_KIND_DATA, "UPDATE b SET x = ?", 10 * MS, 50 * MS);
	s->rows_changed = 5;
	s->backend_pid = 8;
	s = add(&ledger, LEDGER_KIND_DATA, "UPDATE b SET y = ?", 50 * MS, 90 * MS);
	s->rows_changed = 5;
	s->backend_pid = 8;
	add(&ledger, LEDGER_KIND_DATA, "UPDATE c SET x = ?", 200 * MS, 201 * MS)->rows_changed = 5;
	struct ledger down;
	ledger_init(&down);
	down.start_ns = 300 * MS;
	add(&down, LEDGER_KIND_DATA, "UPDATE c SET y = ?", 300 * MS, 400 * MS)->rows_changed = 5;
	ledger_add_rollback(&ledger, &down);
	production_estimate_make(&ledger, NULL, &ratios, &e);
	assert_int_equal(e.best_ns, 1000 * MS + 10 * MS);
	assert_int_equal(e.longest, 0);
	assert_true(e.statements[4].of_rollback);
	assert_int_equal(e.statements[4].best_ns, 1000 * MS);
	production_estimate_release(&e);
	ledger_release(&down);
	ledger_release(&ledger);
	row_ratios_release(&ratios);
}

/* Years are not told apart from centuries, and nothing overflows. */
static void test_no_overflow(void **state)
{
	(void)state;
	static const char *const texts[] = {"1000000", NULL};
	struct row_ratios ratios = ratios_of(texts);
	struct ledger ledger;
	struct production_estimate e;
	ledger_init(&ledger);
	for (int i = 0; i < 20; i++)
		add(&ledger, LEDGER_KIND_DATA, "UPDATE a SET x = ?", i * 100000 * NS_PER_S, (i + 1) * 100000 * NS_PER_S)
			->rows_changed = 5;
	production_estimate_make(&ledger, NULL, &ratios, &e);
	assert_true(e.best_ns > 0);
	production_estimate_release(&e);
	ledger_release(&ledger);
	row_ratios_release(&ratios);
}

static char *head(const char *sql)
{
	return mem_strdup(sql);
}

/* ALTER TABLE of 3 ms, then an UPDATE of 1 s in its transaction: the lock lasts to the end of both. */
static void test_locks_and_timeouts(void **state)
{
	(void)state;
	static const struct {
		const char *ratio;
		bool in_transaction;
		int64_t deploy_s;
		int64_t shut_ms, lock_ms, statement_s;
		const char *lock_why, *statement_why;
	} cases[] = {
		{"1", false, 0, 3, 50, 2, "a wait of 50ms stays below that", "twice that"},
		{"1", true, 0, 1003, 50, 2, "no lock_timeout helps against that", "twice that"},
		{"100", true, 0, 100003, 50, 300,
		 "`ALTER TABLE orders ADD x int` itself keeps others out of "
		 "`public.orders` for 1 min 40 s at best, to the end of its transaction,",
		 "`UPDATE orders SET x = ?` takes 1 min 40 s at best"},
		{"100", false, 150, 3, 50, 150, "stays below", "less than twice"},
		{"100", false, 60, 3, 50, 0, "stays below", "no statement_timeout fits both"},
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		const char *const texts[] = {cases[i].ratio, NULL};
		struct row_ratios ratios = ratios_of(texts);
		struct thresholds thresholds;
		struct ledger ledger;
		struct production_estimate e;
		struct timeout_advice advice;
		thresholds_init(&thresholds);
		ledger_init(&ledger);
		struct ledger_statement *s = add(&ledger, LEDGER_KIND_DDL, "ALTER TABLE orders ADD x int", 0, 3 * MS);
		if (cases[i].in_transaction)
			s->transaction_end_ns = 1100 * MS;
		(void)lock(s, "public.orders", "AccessExclusiveLock");
		s = add(&ledger, LEDGER_KIND_DATA, "UPDATE orders SET x = ?", 4 * MS, 1004 * MS);
		s->rows_changed = 5;
		s->transaction_end_ns = 1100 * MS;
		production_estimate_make(&ledger, NULL, &ratios, &e);
		timeout_advice_make(&e, &ledger, &thresholds, cases[i].deploy_s * NS_PER_S, head, &advice);
		assert_int_equal(e.shutting, 0);
		assert_string_equal(e.shut_out, "public.orders");
		assert_int_equal(e.statements[0].shut_ns, cases[i].shut_ms * MS);
		assert_int_equal(advice.lock_ns, cases[i].lock_ms * MS);
		assert_int_equal(advice.statement_ns, cases[i].statement_s * NS_PER_S);
		if (!strstr(advice.lock_why, cases[i].lock_why) ||
		    !strstr(advice.statement_why, cases[i].statement_why))
			fail_msg("%s\n%s", advice.lock_why, advice.statement_why);
		timeout_advice_release(&advice);
		production_estimate_release(&e);
		ledger_release(&ledger);
		thresholds_release(&thresholds);
		row_ratios_release(&ratios);
	}
}

/* What the migration makes itself keeps nobody out, and neither does what is built concurrently. */
static void test_no_lock_that_matters(void **state)
{
	(void)state;
	struct row_ratios ratios = ratios_of(NULL);
	struct thresholds thresholds;
	struct ledger ledger;
	struct production_estimate e;
	struct timeout_advice advice;
	thresholds_init(&thresholds);
	ledger_init(&ledger);
	struct ledger_statement *s = add(&ledger, LEDGER_KIND_DDL, "CREATE TABLE fresh (id int)", 0, MS);
	ledger_names_add(&s->relations_created, "public.fresh");
	(void)lock(s, "public.fresh", "AccessExclusiveLock");
	s = add(&ledger, LEDGER_KIND_DDL, "ALTER TABLE fresh ADD x int", MS, 2 * MS);
	(void)lock(s, "public.fresh", "AccessExclusiveLock");
	s = add(&ledger, LEDGER_KIND_DDL, "CREATE INDEX CONCURRENTLY i ON orders (x)", 2 * MS, 3 * MS);
	(void)lock(s, "public.orders", "ShareUpdateExclusiveLock");
	s = add(&ledger, LEDGER_KIND_DDL, "DROP INDEX CONCURRENTLY k", 3 * MS, 4 * MS);
	s->locks_known = LEDGER_LOCKS_SAMPLED;
	ledger_names_add(&s->indexes_dropped, "public.k");
	(void)lock(s, "public.k", "AccessExclusiveLock");
	production_estimate_make(&ledger, NULL, &ratios, &e);
	assert_true(e.shutting == PRODUCTION_NONE);
	timeout_advice_make(&e, &ledger, &thresholds, 0, head, &advice);
	assert_int_equal(advice.lock_ns, 0);
	assert_non_null(strstr(advice.lock_why, "matters little"));
	timeout_advice_release(&advice);
	production_estimate_release(&e);
	ledger_release(&ledger);
	thresholds_release(&thresholds);
}

static void test_settings(void **state)
{
	(void)state;
	static const struct {
		int64_t ns;
		const char *text;
	} cases[] = {{50 * MS, "50ms"},	      {NS_PER_S, "1s"},		 {1500 * MS, "1500ms"},
		     {90 * NS_PER_S, "90s"},  {600 * NS_PER_S, "10min"}, {7200 * NS_PER_S, "2h"},
		     {86400 * NS_PER_S, "1d"}};
	char text[TIMEOUT_SETTING_MAX];
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		timeout_advice_format(cases[i].ns, text);
		assert_string_equal(text, cases[i].text);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_ratios),
		cmocka_unit_test(test_what_grows),
		cmocka_unit_test(test_row_by_row),
		cmocka_unit_test(test_largest_ratio_of_its_tables),
		cmocka_unit_test(test_what_is_left_out),
		cmocka_unit_test(test_side_by_side_and_rollback),
		cmocka_unit_test(test_no_overflow),
		cmocka_unit_test(test_locks_and_timeouts),
		cmocka_unit_test(test_no_lock_that_matters),
		cmocka_unit_test(test_settings),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
