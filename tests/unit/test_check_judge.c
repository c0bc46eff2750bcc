/* What the checks found, as rules, verdict and data_checks[]: each run is quiet, and the checks decide. */
#include "support_run.h"
#include "verdict.h"

#include "check_results.h"
#include "mem.h"
#include "report_html.h"
#include "run_dir.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static struct check_results results;

static void step(struct check_step *of, enum ledger_outcome outcome, int64_t duration_ns)
{
	*of = (struct check_step){true, outcome, duration_ns, json_array()};
}

static void difference(struct check_differences *list, enum check_change change, bool mild, const char *kind,
		       const char *object, const char *attribute)
{
	struct check_difference *made = check_differences_add(list);
	*made = (struct check_difference){change,
					  mild,
					  mem_strdup(kind),
					  mem_strdup(object),
					  mem_strdup(attribute),
					  *attribute ? mem_strdup("yes") : NULL,
					  *attribute ? mem_strdup("no") : NULL};
}

static struct check_data *data(enum check_phase phase, const char *relation, const char *column, const char *kind,
			       int64_t changed, int64_t lost)
{
	struct check_data *made = check_results_add_data(&results, phase, relation, column, kind);
	made->state = changed || lost ? CHECK_DIFFERS : CHECK_SAME;
	made->changed = changed;
	made->lost = lost;
	return made;
}

/* A rollback that went well, on tables that are all the same. */
static void begin(void)
{
	check_results_init(&results);
	results.with_rollback = results.with_data = true;
	step(&results.up, LEDGER_OK, 20000000);
	step(&results.down, LEDGER_OK, 30000000);
	step(&results.again, LEDGER_OK, 20000000);
	for (int phase = CHECK_MIGRATION; phase <= CHECK_LANES; phase++)
		(void)data((enum check_phase)phase, "public.orders", NULL, "table", 0, 0);
}

/* The verdict on a quiet run of two seconds with these checks. */
static struct verdict *judge(const struct judge_options *options)
{
	struct error err = ERROR_INIT;
	struct verdict *verdict;
	static const struct support_outcome quick = {.service_ns = 2 * SUPPORT_MS, .rows = 1};
	struct support_run *run = support_run_new(4);
	for (int64_t t = 100 * SUPPORT_MS; t < 20 * SUPPORT_S; t += 100 * SUPPORT_MS) {
		for (uint32_t s = 0; s < 4; s++)
			support_run_add(run, t + s * 10 * SUPPORT_MS, s, "SELECT * FROM orders WHERE id = 1", NULL,
					quick, quick);
	}
	support_run_migrate(run, "ALTER TABLE orders ADD x int", "public.orders", "AccessExclusiveLock", 10 * SUPPORT_S,
			    10 * SUPPORT_S + 5 * SUPPORT_MS);
	support_run_write(run, 20 * SUPPORT_S);
	char *path = run_dir_path(support_run_dir(run), CHECKS_FILE);
	assert_int_equal(check_results_save(&results, path, &err), 0);
	if (verdict_judge(support_run_dir(run), options, &verdict, &err) < 0)
		fail_msg("%s", err.text);
	free(path);
	support_run_free(run);
	check_results_release(&results);
	return verdict;
}

static void expect(enum verdict_outcome outcome, const char *words)
{
	struct verdict *verdict = judge(NULL);
	if (verdict->outcome != outcome || !strstr(verdict->reason, words))
		fail_msg("%s, not %s: %s", verdict_outcome_name(verdict->outcome), verdict_outcome_name(outcome),
			 verdict->reason);
	verdict_free(verdict);
}

static const json_t *find(const struct verdict *verdict, const char *list, const char *key, const char *value)
{
	size_t i;
	const json_t *entry;
	json_array_foreach (json_object_get(verdict->document, list), i, entry) {
		const char *text = json_string_value(json_object_get(entry, key));
		if (text && strcmp(text, value) == 0)
			return entry;
	}
	return NULL;
}

static const char *text_of(const json_t *object, const char *key)
{
	const char *text = json_string_value(json_object_get(object, key));
	return text ? text : "";
}

/* What the traffic writes can have digits that nothing before it had; two rows that are others differ by more. */
static void test_lost_under_traffic(void **state)
{
	(void)state;
	for (int chance = 0; chance < 2; chance++) {
		begin();
		struct check_data *total = data(CHECK_LANES, "public.orders", "total", "type_change", 200, 200);
		total->type_before = mem_strdup("numeric(12,2)");
		total->type_after = mem_strdup("numeric(12,1)");
		check_data_add_class(total, "rounded", chance ? 100 : 195);
		check_data_add_class(total, "changed", chance ? 100 : 5);
		results.data[2].writes[0].inserted = results.data[2].writes[1].inserted = 300;
		if (chance)
			expect(VERDICT_CLEAR, "");
		else
			expect(VERDICT_HURTS,
			       "loses 195 values of public.orders.total that the traffic wrote, numeric(12,2)");
	}
}

static void test_clean(void **state)
{
	(void)state;
	begin();
	expect(VERDICT_CLEAR, "The rollback took 0.03 s and left schema and data as they were.");
	begin();
	difference(&results.rollback, CHECK_CHANGED, true, "table", "public.orders", "column order");
	expect(VERDICT_CLEAR, "and left small differences");
	begin();
	results.data[1].state = CHECK_NOT_CHECKED;
	results.data[1].reason = mem_strdup("too big");
	struct verdict *verdict = judge(NULL);
	assert_int_equal(verdict->outcome, VERDICT_CLEAR);
	const json_t *untested = find(verdict, "untested", "why", "too big");
	assert_string_equal(text_of(untested, "what"), "what a rollback brings back: public.orders");
	assert_non_null(find(verdict, "data_checks", "result", "not_checked"));
	const json_t *down = json_object_get(json_object_get(verdict->document, "rollback"), "down");
	assert_true(json_number_value(json_object_get(down, "duration_s")) > 0.029);
	verdict_free(verdict);
}

static void test_rollback(void **state)
{
	(void)state;
	begin();
	results.down.outcome = LEDGER_FAILED;
	(void)json_array_append_new(results.down.statements,
				    json_pack("{s:s, s:{s:s, s:s}}", "sql", "DROP TABLE x", "error", "sqlstate",
					      "42P01", "message", "no such table"));
	expect(VERDICT_HURTS, "The rollback failed at `DROP TABLE x` with 42P01: no such table.");
	begin();
	results.again.outcome = LEDGER_FAILED;
	expect(VERDICT_HURTS, "After its rollback the migration failed.");
	begin();
	difference(&results.rollback, CHECK_REMOVED, false, "index", "public.orders_at", "");
	expect(VERDICT_HURTS, "After the rollback index public.orders_at is missing.");
	begin();
	difference(&results.repeat, CHECK_ADDED, false, "column", "public.orders.y", "");
	expect(VERDICT_HURTS, "The second time the migration ends elsewhere: column public.orders.y is there.");
	begin();
	check_data_add_class(data(CHECK_ROLLBACK, "public.orders", "note", "column", 750, 750), "nulled", 750);
	expect(VERDICT_HURTS, "The rollback does not bring back 750 values of public.orders.note (750 nulled).");
	begin();
	(void)data(CHECK_ROLLBACK, "public.orders_id_seq", NULL, "sequence", 1, 1);
	expect(VERDICT_HURTS, "The rollback does not bring back the position of sequence public.orders_id_seq.");
	/* Rows that were not there before: another tool's history, or a forgotten DELETE. */
	begin();
	results.data[1].state = CHECK_DIFFERS;
	results.data[1].changed = 2;
	struct verdict *left = judge(NULL);
	assert_int_equal(left->outcome, VERDICT_CLEAR);
	assert_string_equal(text_of(find(left, "rules", "name", "rollback.leftover"), "finding"),
			    "the rollback leaves 2 rows of public.orders behind that were not there before");
	verdict_free(left);
	begin();
	results.down.duration_ns = 5000000000;
	struct verdict *verdict = judge(NULL);
	assert_int_equal(verdict->outcome, VERDICT_CLEAR);
	assert_string_equal(text_of(find(verdict, "rules", "name", "rollback.duration"), "result"), "warn");
	verdict_free(verdict);
	/* Asked for, and not seen. */
	begin();
	json_decref(results.down.statements);
	json_decref(results.again.statements);
	results.down = results.again = (struct check_step){0};
	results.up.outcome = LEDGER_FAILED;
	expect(VERDICT_CANNOT_TELL, "The rollback was not run: on the scratch clone the migration itself failed.");
}

static void test_migration(void **state)
{
	(void)state;
	begin();
	struct check_data *price = data(CHECK_MIGRATION, "public.orders", "price", "type_change", 500, 500);
	price->type_before = mem_strdup("numeric(10,2)");
	price->type_after = mem_strdup("integer");
	check_data_add_class(price, "rounded", 500);
	expect(VERDICT_HURTS,
	       "The migration loses 500 values of public.orders.price, numeric(10,2) to integer (500 rounded).");
	/* Values that moved by hours: a warning. */
	begin();
	(void)data(CHECK_MIGRATION, "public.orders", "at", "type_change", 1000, 0);
	struct verdict *verdict = judge(NULL);
	assert_int_equal(verdict->outcome, VERDICT_CLEAR);
	assert_string_equal(text_of(find(verdict, "rules", "name", "data.changed"), "result"), "warn");
	assert_non_null(find(verdict, "data_checks", "result", "warn"));
	verdict_free(verdict);
	/* What its own UPDATE did is told. */
	begin();
	results.data[0].writes[1].updated = 10;
	(void)data(CHECK_MIGRATION, "public.orders", "state", "column", 10, 10);
	(void)data(CHECK_MIGRATION, "public.orders", "old", "removed_column", 0, 99);
	verdict = judge(NULL);
	assert_int_equal(verdict->outcome, VERDICT_CLEAR);
	assert_string_equal(text_of(find(verdict, "data_checks", "column", "state"), "result"), "told");
	assert_string_equal(text_of(find(verdict, "data_checks", "column", "old"), "result"), "told");
	verdict_free(verdict);
	/* Rows that are gone, and no statement deleted them. */
	begin();
	results.data[0].lost = 7;
	results.data[0].state = CHECK_DIFFERS;
	expect(VERDICT_HURTS, "The migration loses 7 rows of public.orders.");
	begin();
	difference(&results.changes, CHECK_CHANGED, false, "trigger", "public.orders.audit", "enabled");
	verdict = judge(NULL);
	assert_string_equal(text_of(find(verdict, "rules", "name", "triggers.lost"), "finding"),
			    "the migration disables the trigger public.orders.audit");
	verdict_free(verdict);
}

static void test_lanes(void **state)
{
	(void)state;
	begin();
	(void)data(CHECK_LANES, "public.orders", "total", "column", 3, 1);
	expect(VERDICT_HURTS,
	       "3 values of public.orders.total differ between the lanes, and nobody wrote to the table.");
	/* The traffic wrote, on either lane; or the migration alone does the same. */
	for (int lane = 0; lane < 2; lane++) {
		begin();
		results.data[2].writes[lane].updated = 5;
		(void)data(CHECK_LANES, "public.orders", "total", "column", 3, 1);
		struct verdict *verdict = judge(NULL);
		assert_int_equal(verdict->outcome, VERDICT_CLEAR);
		assert_string_equal(text_of(find(verdict, "data_checks", "column", "total"), "result"), "told");
		verdict_free(verdict);
	}
	begin();
	(void)data(CHECK_LANES, "public.orders", "at", "type_change", 30, 0);
	(void)data(CHECK_MIGRATION, "public.orders", "at", "type_change", 30, 0);
	struct verdict *verdict = judge(NULL);
	assert_int_equal(verdict->outcome, VERDICT_CLEAR);
	verdict_free(verdict);
}

static void test_thresholds(void **state)
{
	(void)state;
	struct thresholds thresholds;
	struct error err = ERROR_INIT;
	struct judge_options options = {.thresholds = &thresholds};
	thresholds_init(&thresholds);
	assert_int_equal(thresholds_set(&thresholds, "data.lost", "off", &err), 0);
	assert_int_equal(thresholds_set(&thresholds, "rollback.data{table=orders}", "warn > 0", &err), 0);
	assert_int_equal(thresholds_set(&thresholds, "rollback.duration", "fail >= 10ms", &err), 0);
	begin();
	(void)data(CHECK_MIGRATION, "public.orders", "price", "type_change", 500, 500);
	(void)data(CHECK_ROLLBACK, "public.orders", "price", "column", 500, 500);
	struct verdict *verdict = judge(&options);
	assert_int_equal(verdict->outcome, VERDICT_HURTS);
	assert_string_equal(verdict->reason, "The rollback took 0.03 s.");
	assert_string_equal(text_of(find(verdict, "data_checks", "name", "data.rollback"), "result"), "warn");
	verdict_free(verdict);
	thresholds_release(&thresholds);
}

/* The page shows what was found, in words, whatever a relation is called. */
static void test_page(void **state)
{
	(void)state;
	struct strbuf page;
	struct error err = ERROR_INIT;
	begin();
	difference(&results.rollback, CHECK_REMOVED, false, "index", "public.\"<script>\"", "");
	difference(&results.changes, CHECK_CHANGED, false, "column", "public.orders.total", "type");
	check_data_add_class(data(CHECK_ROLLBACK, "public.\"a&b\"", "c", "column", 7, 7), "trailing_spaces", 7);
	struct verdict *verdict = judge(NULL);
	strbuf_init(&page, REPORT_HTML_MAX);
	assert_int_equal(report_html_write(verdict, &page, &err), 0);
	assert_non_null(strstr(page.data, "What the rollback leaves behind"));
	assert_non_null(strstr(page.data, "&lt;script&gt;"));
	assert_null(strstr(page.data, "<script"));
	assert_non_null(strstr(page.data, "a&amp;b"));
	assert_non_null(strstr(page.data, "7 trailing spaces"));
	assert_non_null(strstr(page.data, "public.orders.total"));
	assert_non_null(strstr(page.data, "migration once more"));
	strbuf_release(&page);
	verdict_free(verdict);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_clean),	 cmocka_unit_test(test_lost_under_traffic),
		cmocka_unit_test(test_rollback), cmocka_unit_test(test_migration),
		cmocka_unit_test(test_lanes),	 cmocka_unit_test(test_thresholds),
		cmocka_unit_test(test_page),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
