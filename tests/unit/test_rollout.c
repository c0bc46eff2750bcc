/*
 * What a verdict says of the roll-out in production: rules that warn and fail only where somebody asked, and what of
 * the calendar a recording has seen.
 */
#include "report_formats.h"
#include "support_report.h"

#include "mem.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#define END_NS	 (40 * SUPPORT_S)
#define START_NS (20 * SUPPORT_S)

/* A quiet run with an UPDATE of 2 s that shuts nobody out. */
static struct support_run *make_run(void)
{
	struct support_run *run = support_run_new(4);
	struct support_outcome quick = {.service_ns = 2 * SUPPORT_MS, .rows = 1};
	for (int64_t t = 200 * SUPPORT_MS; t < END_NS; t += 200 * SUPPORT_MS)
		support_run_add(run, t, (uint32_t)(t / 200 / SUPPORT_MS % 4), "SELECT 1", NULL, quick, quick);
	struct ledger_statement *s = support_run_migrate(run, "UPDATE orders SET x = ?", "public.orders",
							 "RowExclusiveLock", START_NS, START_NS + 2 * SUPPORT_S);
	s->kind = LEDGER_KIND_DATA;
	s->rows_changed = s->rows_scanned = 1000;
	s->measuring_ns = 500 * SUPPORT_MS;
	(void)json_object_set_new(
		json_object_get(support_run_json(run), "replay_file"), "capture",
		json_pack("{s:s, s:s}", "first_time", "2026-01-01T02:30:00Z", "last_time", "2026-01-01T02:45:00Z"));
	support_run_write(run, END_NS);
	return run;
}

struct plan {
	const char *ratio;
	int64_t deploy_s;
	const char *calendar; /* of one rule, UTC */
	const char *planned_at;
	struct threshold_setting setting;
};

static struct verdict *judge(struct support_run *run, const struct plan *plan)
{
	struct error err = ERROR_INIT;
	struct thresholds thresholds;
	struct rollout rollout;
	struct verdict *verdict = NULL;
	struct judge_options options = {.thresholds = &thresholds, .rollout = &rollout};
	int rc = 0;
	thresholds_init(&thresholds);
	rollout_init(&rollout);
	rollout.deploy_timeout_ns = plan->deploy_s * SUPPORT_S;
	rollout.planned = plan->planned_at != NULL;
	if (plan->setting.name)
		rc = thresholds_apply(&thresholds, &plan->setting, 1, &err);
	if (rc == 0 && plan->ratio)
		rc = row_ratios_add(&rollout.ratios, plan->ratio, &err);
	if (rc == 0)
		rc = blackout_calendar_set(&rollout.calendar, "time_zone", "UTC", &err);
	if (rc == 0 && plan->calendar)
		rc = blackout_calendar_set(&rollout.calendar, "batch", plan->calendar, &err);
	if (rc == 0 && plan->planned_at)
		rc = blackout_calendar_parse_time(&rollout.calendar, plan->planned_at, &rollout.planned_ns, &err);
	if (rc == 0)
		rc = verdict_judge(support_run_dir(run), &options, &verdict, &err);
	if (rc < 0)
		fail_msg("%s", err.text);
	rollout_release(&rollout);
	thresholds_release(&thresholds);
	return verdict;
}

/* The result of a rule, "" where it was not judged. */
static const char *result_of(const struct verdict *verdict, const char *name)
{
	size_t i;
	const json_t *rule;
	json_array_foreach (json_object_get(verdict->document, "rules"), i, rule) {
		if (strcmp(json_string_value(json_object_get(rule, "name")), name) == 0)
			return json_string_value(json_object_get(rule, "result"));
	}
	return "";
}

static double number(const struct verdict *verdict, const char *object, const char *key)
{
	return json_number_value(json_object_get(json_object_get(verdict->document, object), key));
}

static void test_rules(void **state)
{
	(void)state;
	static const struct {
		struct plan plan;
		const char *best_case, *blackout;
		enum verdict_outcome outcome;
		double best_s;
	} cases[] = {
		{{NULL, 0, NULL, NULL, {NULL, NULL}}, "", "", VERDICT_CLEAR, 2},
		{{"100", 0, NULL, NULL, {NULL, NULL}}, "", "", VERDICT_CLEAR, 200},
		{{"100", 200, NULL, NULL, {NULL, NULL}}, "pass", "", VERDICT_CLEAR, 200},
		{{"100", 199, NULL, NULL, {NULL, NULL}}, "warn", "", VERDICT_CLEAR, 200},
		{{NULL, 1, NULL, NULL, {NULL, NULL}}, "warn", "", VERDICT_CLEAR, 2},
		{{"100", 199, NULL, NULL, {"migration.best_case", "fail > 1"}}, "fail", "", VERDICT_HURTS, 200},
		{{"100", 300, NULL, NULL, {"migration.best_case", "fail > 0.5"}}, "fail", "", VERDICT_HURTS, 200},
		{{"items=9", 1, NULL, NULL, {"migration.best_case", "off"}}, "pass", "", VERDICT_CLEAR, 2},
		/* The calendar alone judges nothing; a time alone is in no blackout. */
		{{NULL, 0, "1st", NULL, {NULL, NULL}}, "", "", VERDICT_CLEAR, 2},
		{{NULL, 0, NULL, "2026-02-01 12:00", {NULL, NULL}}, "", "pass", VERDICT_CLEAR, 2},
		{{NULL, 0, "1st", "2026-02-01 12:00", {NULL, NULL}}, "", "warn", VERDICT_CLEAR, 2},
		{{NULL, 0, "1st", "2026-02-02 12:00", {NULL, NULL}}, "", "pass", VERDICT_CLEAR, 2},
		/* By how long it takes. */
		{{"100", 0, "1st", "2026-01-31 23:56", {NULL, NULL}}, "", "pass", VERDICT_CLEAR, 200},
		{{"100", 0, "1st", "2026-01-31 23:57", {NULL, NULL}}, "", "warn", VERDICT_CLEAR, 200},
		{{"100", 0, "1st", "2026-01-31 23:57", {"migration.blackout", "fail > 0"}},
		 "",
		 "fail",
		 VERDICT_HURTS,
		 200},
	};
	struct support_run *run = make_run();
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		struct verdict *verdict = judge(run, &cases[i].plan);
		const char *best_case = result_of(verdict, "migration.best_case");
		const char *blackout = result_of(verdict, "migration.blackout");
		double best_s = number(verdict, "production", "best_case_s");
		if (strcmp(best_case, cases[i].best_case) != 0 || strcmp(blackout, cases[i].blackout) != 0 ||
		    verdict->outcome != cases[i].outcome || best_s != cases[i].best_s)
			fail_msg("%zu: '%s' '%s' %s %g: %s", i, best_case, blackout,
				 verdict_outcome_name(verdict->outcome), best_s, verdict->reason);
		verdict_free(verdict);
	}
	support_run_free(run);
}

/* Years of a migration, planned for the end of time: one finding for each rule of the calendar. */
static void test_a_very_long_one(void **state)
{
	(void)state;
	struct support_run *run = make_run();
	struct verdict *verdict =
		judge(run, &(struct plan){"1000000", 1, "daily 02:00-04:00, 1st", "2200-12-31 23:00", {NULL, NULL}});
	size_t i;
	size_t found = 0;
	const json_t *rule;
	json_array_foreach (json_object_get(verdict->document, "rules"), i, rule)
		found += strcmp(json_string_value(json_object_get(rule, "name")), "migration.blackout") == 0;
	assert_int_equal(found, 2);
	assert_string_equal(result_of(verdict, "migration.best_case"), "warn");
	verdict_free(verdict);
	support_run_free(run);
}

/* The recording: the 1st of January 2026, from 02:30 to 02:45. */
static void test_what_was_recorded(void **state)
{
	(void)state;
	static const struct {
		const char *rule;
		double start_s, stop_s, recorded_s;
	} cases[] = {
		{"1st", 0, 0, 900},
		{"15th", 0, 0, 0},
		{"daily 02:00-02:40", 0, 0, 600},
		{"daily 02:40-04:00", 0, 0, 300},
		{"daily 02:45-04:00", 0, 0, 0},
		{"12-24..01-02", 0, 0, 900},
		/* What was not replayed was not seen. */
		{"1st", 600, 0, 300},
		{"1st", 0, 120, 120},
		{"daily 02:40-04:00", 0, 120, 0},
	};
	struct support_run *run = make_run();
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		json_t *file = json_object_get(support_run_json(run), "replay_file");
		(void)json_object_set_new(file, "start_at_s", json_real(cases[i].start_s));
		(void)json_object_set_new(file, "stop_at_s",
					  cases[i].stop_s > 0 ? json_real(cases[i].stop_s) : json_null());
		char *path = mem_printf("%s/run.json", support_run_dir(run));
		assert_int_equal(json_dump_file(support_run_json(run), path, 0), 0);
		free(path);
		struct verdict *verdict = judge(run, &(struct plan){.calendar = cases[i].rule});
		const json_t *entries = json_object_get(json_object_get(verdict->document, "blackouts"), "entries");
		assert_int_equal(json_array_size(entries), 1);
		assert_float_equal(json_number_value(json_object_get(json_array_get(entries, 0), "recorded_s")),
				   cases[i].recorded_s, 0.001);
		verdict_free(verdict);
	}
	support_run_free(run);
}

static void test_nothing_known(void **state)
{
	(void)state;
	struct support_run *run = make_run();
	struct verdict *verdict = judge(run, &(struct plan){0});
	assert_true(json_is_null(json_object_get(verdict->document, "blackouts")));
	assert_true(
		json_is_false(json_object_get(json_object_get(verdict->document, "production"), "row_ratio_given")));
	assert_string_equal(
		json_string_value(json_object_get(json_object_get(verdict->document, "production"), "rows")),
		"with as many rows as the clone");
	assert_float_equal(number(verdict, "production", "measuring_s"), 0.5, 0.001);
	verdict_free(verdict);
	support_run_free(run);
}

static void find_in(const struct verdict *verdict, const char *format, const char *const *texts)
{
	struct error err = ERROR_INIT;
	struct strbuf out;
	assert_int_equal(report_format_make(report_format_find(format), verdict, NULL, &out, &err), 0);
	for (; *texts; texts++) {
		if (!strstr(out.data, *texts))
			fail_msg("%s does not say '%s'", format, *texts);
	}
	strbuf_release(&out);
}

static void test_reports_say_it(void **state)
{
	(void)state;
	static const char *const html[] = {"with up to 350 times the clone&#39;s rows",
					   "rewrite × 350",
					   "<em>best case</em>",
					   "Timeouts that fit",
					   "tables that no statement concerns: <code>ordrs</code>",
					   "runs into the blackout <code>payroll</code>",
					   "<dt>Planned for</dt>",
					   "Thu 2026-01-15 19:55",
					   "Blackouts of the 30 days",
					   NULL};
	static const char *const markdown[] = {"| In production, best case | ",	   "**Roll-out:** in production",
					       "runs into the blackout `payroll`", "`lock_timeout` 50ms",
					       "| books | quarter end |",	   NULL};
	static const char *const junit[] = {"name=\"migration.best_case\"", "name=\"migration.blackout of payroll\"",
					    NULL};
	static const char *const slack[] = {"*Roll-out*", "`payroll`", NULL};
	struct verdict *verdict;
	struct support_run *run = support_report_make(&support_reports[0], &verdict);
	find_in(verdict, "html", html);
	find_in(verdict, "markdown", markdown);
	find_in(verdict, "junit", junit);
	find_in(verdict, "slack", slack);
	struct strbuf summary;
	strbuf_init(&summary, 1 << 16);
	verdict_print_summary(verdict, &summary);
	assert_non_null(strstr(summary.data,
			       "  in production at best 19 min 15 s, with up to 350 times the clone's rows; "
			       "deploy timeout 10 min 00 s\n"));
	assert_non_null(strstr(summary.data, "  blackout the roll-out planned for 2026-01-15 19:55"));
	strbuf_release(&summary);
	verdict_free(verdict);
	support_run_free(run);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_rules),
		cmocka_unit_test(test_a_very_long_one),
		cmocka_unit_test(test_what_was_recorded),
		cmocka_unit_test(test_nothing_known),
		cmocka_unit_test(test_reports_say_it),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
