/*
 * The servers' health in a verdict: a run of 60 s with a migration from 30 s to 36 s, whose health is made up beside
 * what is expected. One sample a second; a quiet second has 3 active sessions and 1 MB of WAL on both lanes.
 */
#include "health_log.h"
#include "mem.h"
#include "report_html.h"
#include "run_dir.h"
#include "support_run.h"
#include "verdict.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#define SECONDS	 60
#define FROM_S	 30
#define TO_S	 36
#define SESSIONS 4
#define ORDERS	 "SELECT * FROM orders WHERE id = 1"

/* What one lane is like: added to the quiet second while the migration runs. */
struct lane_story {
	int64_t wal;
	int64_t waiting;      /* on Lock:relation */
	int64_t now_and_then; /* on IO:WALSync, in a few samples after it */
	int64_t dead;
	bool restarted; /* its counters begin anew in the middle */
	bool no_file;
	const struct health_activity *activities;
	size_t activity_count;
};

static void write_lane(const struct support_run *run, const char *lane, const char *name,
		       const struct lane_story *story)
{
	struct health_log_writer *writer = NULL;
	struct error err = ERROR_INIT;
	char *path = run_dir_path(support_run_dir(run), name);
	int64_t wal = (int64_t)1 << 40;
	if (!story->no_file) {
		assert_int_equal(health_log_writer_open(path, lane, SUPPORT_S, &writer, &err), 0);
		for (int64_t s = -1; s <= SECONDS; s++) {
			bool during = s > FROM_S && s <= TO_S;
			wal += 1000000 + (during ? story->wal : 0);
			if (story->restarted && s == 45)
				wal = 5;
			health_log_writer_begin(writer, s * SUPPORT_S);
			health_log_writer_set(writer, health_log_writer_series(writer, "sessions.active", ""), 3);
			health_log_writer_set(writer, health_log_writer_series(writer, "wait", "CPU"), 3);
			if (during && story->waiting)
				health_log_writer_set(writer, health_log_writer_series(writer, "wait", "Lock:relation"),
						      story->waiting);
			if (s > 50 && s % 3 == 0 && story->now_and_then)
				health_log_writer_set(writer, health_log_writer_series(writer, "wait", "IO:WALSync"),
						      story->now_and_then);
			health_log_writer_set(writer, health_log_writer_series(writer, "wal.bytes", ""), wal);
			health_log_writer_set(writer, health_log_writer_series(writer, "db.temp_bytes", ""), 0);
			if (s % 10 == 5) {
				health_log_writer_set(writer, health_log_writer_series(writer, "tables.dead", ""),
						      1000 + (s > FROM_S ? story->dead : 0));
				health_log_writer_set(writer,
						      health_log_writer_series(writer, "table.dead", "public.orders"),
						      900 + (s > FROM_S ? story->dead : 0));
			}
			assert_int_equal(health_log_writer_end(writer, &err), 0);
		}
		struct health_note note = {"standbys", "the role may not ask for it (42501)", 61};
		struct health_log_rest rest = {.activities = story->activities,
					       .activity_count = story->activity_count,
					       .notes = &note,
					       .note_count = 1};
		assert_int_equal(health_log_writer_commit(writer, &rest, &err), 0);
	}
	free(path);
}

static struct support_run *new_run(bool migration, const struct lane_story *baseline,
				   const struct lane_story *migrating)
{
	static const struct support_outcome quick = {.service_ns = 2 * SUPPORT_MS, .rows = 1};
	struct support_run *run = support_run_new(SESSIONS);
	for (int64_t ms = 100; ms < SECONDS * 1000; ms += 250)
		support_run_add(run, ms * SUPPORT_MS, (uint32_t)(ms / 250 % SESSIONS), ORDERS, NULL, quick, quick);
	if (migration)
		(void)support_run_migrate(run, "ALTER TABLE orders ADD COLUMN c int", "public.orders",
					  "AccessExclusiveLock", FROM_S * SUPPORT_S, TO_S * SUPPORT_S);
	support_run_write(run, SECONDS * SUPPORT_S);
	write_lane(run, "baseline", HEALTH_LOG_BASELINE, baseline);
	write_lane(run, "migrating", HEALTH_LOG_MIGRATING, migrating);
	return run;
}

static struct verdict *judge(const struct support_run *run, const char *rule, const char *level)
{
	struct error err = ERROR_INIT;
	struct verdict *verdict;
	struct thresholds thresholds;
	struct judge_options options = {.thresholds = &thresholds};
	thresholds_init(&thresholds);
	if (rule)
		assert_int_equal(thresholds_set(&thresholds, rule, level, &err), 0);
	if (verdict_judge(support_run_dir(run), &options, &verdict, &err) < 0)
		fail_msg("%s", err.text);
	thresholds_release(&thresholds);
	return verdict;
}

static const json_t *health_of(const struct verdict *verdict)
{
	return json_object_get(verdict->document, "health");
}

static const json_t *named(const json_t *list, const char *key, const char *name)
{
	size_t i;
	const json_t *entry;
	json_array_foreach (list, i, entry) {
		if (strcmp(json_string_value(json_object_get(entry, key)), name) == 0)
			return entry;
	}
	return NULL;
}

static double stat_of(const struct verdict *verdict, const char *figure, const char *lane, const char *window,
		      const char *which)
{
	const json_t *entry = named(json_object_get(health_of(verdict), "figures"), "name", figure);
	assert_non_null(entry);
	const json_t *value = json_object_get(json_object_get(json_object_get(entry, lane), window), which);
	assert_true(json_is_number(value));
	return json_number_value(value);
}

static void assert_near(double value, double expected)
{
	if (value < expected * 0.99 - 1e-9 || value > expected * 1.01 + 1e-9)
		fail_msg("%g, not %g", value, expected);
}

static const struct lane_story quiet = {0};

static void test_figures(void **state)
{
	(void)state;
	struct lane_story busy = {.wal = 9000000, .waiting = 5, .now_and_then = 2, .dead = 50000};
	struct support_run *run = new_run(true, &quiet, &busy);
	struct verdict *verdict = judge(run, NULL, NULL);
	assert_near(stat_of(verdict, "wal_bytes_per_s", "migrating", "before", "mean"), 1e6);
	assert_near(stat_of(verdict, "wal_bytes_per_s", "migrating", "during", "max"), 1e7);
	assert_near(stat_of(verdict, "wal_bytes_per_s", "baseline", "during", "max"), 1e6);
	assert_near(stat_of(verdict, "wal_bytes_per_s", "migrating", "after", "max"), 1e6);
	assert_near(stat_of(verdict, "dead_tuples", "migrating", "after", "max"), 51000);
	assert_near(stat_of(verdict, "active_sessions", "baseline", "before", "mean"), 3);
	const json_t *waits = json_object_get(health_of(verdict), "waits");
	const json_t *lock = json_array_get(waits, 0); /* what grew comes first */
	assert_string_equal(json_string_value(json_object_get(lock, "event")), "Lock:relation");
	assert_true(json_is_true(json_object_get(lock, "grew")));
	assert_false(json_is_true(json_object_get(named(waits, "event", "CPU"), "grew")));
	assert_false(json_is_true(json_object_get(named(waits, "event", "IO:WALSync"), "grew")));
	const json_t *table = named(json_object_get(health_of(verdict), "tables"), "relation", "public.orders");
	assert_non_null(table);
	const json_t *lane = json_object_get(json_object_get(health_of(verdict), "lanes"), "migrating");
	assert_string_equal(json_string_value(json_object_get(
				    named(json_object_get(lane, "unknown"), "what", "standbys"), "reason")),
			    "the role may not ask for it (42501)");
	assert_true(json_is_null(named(json_object_get(health_of(verdict), "figures"), "name", "standby_lag_s")) ||
		    !named(json_object_get(health_of(verdict), "figures"), "name", "standby_lag_s"));
	/* No limit is set: nothing of it is a rule, and nothing changes the outcome. */
	assert_null(named(json_object_get(verdict->document, "rules"), "name", "health.wal_bytes_per_s"));
	verdict_free(verdict);
	support_run_free(run);
}

static const json_t *rule_of(const struct verdict *verdict, const char *name)
{
	return named(json_object_get(verdict->document, "rules"), "name", name);
}

static void assert_rule(const struct support_run *run, const char *rule, const char *level, const char *result,
			enum verdict_outcome outcome)
{
	struct verdict *verdict = judge(run, rule, level);
	const json_t *entry = rule_of(verdict, rule);
	assert_non_null(entry);
	assert_string_equal(json_string_value(json_object_get(entry, "result")), result);
	if (verdict->outcome != outcome)
		fail_msg("%s: %s", verdict_outcome_name(verdict->outcome), verdict->reason);
	verdict_free(verdict);
}

static void test_limits(void **state)
{
	(void)state;
	struct lane_story busy = {.wal = 9000000, .dead = 50000};
	struct support_run *run = new_run(true, &quiet, &busy);
	assert_rule(run, "health.wal_bytes_per_s", "fail >= 8MB", "fail", VERDICT_HURTS);
	assert_rule(run, "health.wal_bytes_per_s", "warn >= 8MB", "warn", VERDICT_CLEAR);
	assert_rule(run, "health.wal_bytes_per_s", "fail >= 1GB", "pass", VERDICT_CLEAR);
	/* What the baseline does too is not the migration's. */
	assert_rule(run, "health.wal_bytes_per_s", "fail >= 500kB", "pass", VERDICT_CLEAR);
	assert_rule(run, "health.dead_tuples", "fail > 40000", "fail", VERDICT_HURTS);
	assert_rule(run, "health.dead_tuples", "fail > 60000", "pass", VERDICT_CLEAR);
	/* A limit that fails a run, and a series that is not there: that cannot be called clear. A warning can. */
	struct verdict *verdict = judge(run, "health.standby_lag_s", "fail >= 1s");
	assert_int_equal(verdict->outcome, VERDICT_CANNOT_TELL);
	assert_non_null(strstr(verdict->reason, "health.standby_lag_s"));
	assert_non_null(named(json_object_get(verdict->document, "untested"), "what", "health.standby_lag_s"));
	assert_null(named(json_object_get(verdict->document, "untested"), "what", "lock waits"));
	verdict_free(verdict);
	verdict = judge(run, "health.standby_lag_s", "warn >= 1s");
	assert_int_equal(verdict->outcome, VERDICT_CLEAR);
	verdict_free(verdict);
	support_run_free(run);
}

static void test_restart_is_no_rate(void **state)
{
	(void)state;
	struct lane_story restarted = {.restarted = true};
	struct support_run *run = new_run(true, &quiet, &restarted);
	struct verdict *verdict = judge(run, "health.wal_bytes_per_s", "fail >= 2MB");
	assert_int_equal(verdict->outcome, VERDICT_CLEAR);
	assert_near(stat_of(verdict, "wal_bytes_per_s", "migrating", "after", "max"), 1e6);
	verdict_free(verdict);
	support_run_free(run);
}

static void test_noise(void **state)
{
	(void)state;
	struct health_phase phase = {"writing", 10 * SUPPORT_S, 14 * SUPPORT_S, 700, -1};
	struct health_activity both = {
		.kind = HEALTH_CHECKPOINT, .command = "timed", .start_ns = 50 * SUPPORT_S, .end_ns = 52 * SUPPORT_S};
	struct health_activity late = both;
	late.start_ns += 2 * SUPPORT_S;
	late.end_ns += 2 * SUPPORT_S;
	struct health_activity migrating[] = {
		{.kind = HEALTH_CHECKPOINT,
		 .command = "timed",
		 .start_ns = 10 * SUPPORT_S,
		 .end_ns = 14 * SUPPORT_S,
		 .phases = &phase,
		 .phase_count = 1},
		{.kind = HEALTH_AUTOVACUUM,
		 .relation = "public.orders",
		 .pid = 77,
		 .start_ns = 40 * SUPPORT_S,
		 .end_ns = 42 * SUPPORT_S},
		{.kind = HEALTH_CREATE_INDEX,
		 .relation = "public.orders",
		 .index = "public.<i>",
		 .command = "CREATE INDEX",
		 .pid = SUPPORT_MIGRATION_PID,
		 .start_ns = 31 * SUPPORT_S,
		 .end_ns = 35 * SUPPORT_S},
		{.kind = HEALTH_VACUUM,
		 .relation = "public.orders",
		 .pid = SUPPORT_MIGRATION_PID,
		 .start_ns = 35 * SUPPORT_S,
		 .end_ns = 36 * SUPPORT_S},
		late,
	};
	struct lane_story other = {.activities = &both, .activity_count = 1},
			  story = {.activities = migrating, .activity_count = 5};
	struct support_run *run = new_run(true, &other, &story);
	struct verdict *verdict = judge(run, NULL, NULL);
	const json_t *noise = json_object_get(health_of(verdict), "noise");
	assert_int_equal(json_array_size(noise), 3);
	assert_string_equal(json_string_value(json_object_get(named(noise, "kind", "checkpoint"), "cause")), "other");
	assert_string_equal(json_string_value(json_object_get(named(noise, "kind", "autovacuum"), "cause")),
			    "perhaps_the_migration");
	assert_string_equal(json_string_value(json_object_get(named(noise, "kind", "vacuum"), "cause")), "migration");
	assert_int_equal(json_integer_value(json_object_get(health_of(verdict), "background_total")), 5);
	const json_t *progress = json_object_get(health_of(verdict), "progress");
	assert_int_equal(json_array_size(progress), 1);
	assert_int_equal(verdict->outcome, VERDICT_CLEAR);
	verdict_free(verdict);
	support_run_free(run);
}

static void assert_page(const struct verdict *verdict, const char *const *words)
{
	struct strbuf page;
	struct error err = ERROR_INIT;
	strbuf_init(&page, REPORT_HTML_MAX);
	assert_int_equal(report_html_write(verdict, &page, &err), 0);
	for (; *words; words++) {
		if (!strstr(page.data, *words))
			fail_msg("the page does not say '%s'", *words);
	}
	assert_null(strstr(page.data, "public.<i>"));
	assert_null(strstr(page.data, "nan"));
	strbuf_release(&page);
}

static void test_report(void **state)
{
	(void)state;
	struct health_activity activities[] = {
		{.kind = HEALTH_CREATE_INDEX,
		 .relation = "public.orders",
		 .index = "public.<i>",
		 .command = "CREATE INDEX CONCURRENTLY",
		 .start_ns = 31 * SUPPORT_S,
		 .end_ns = 35 * SUPPORT_S,
		 .open = true},
		{.kind = HEALTH_CHECKPOINT, .command = "timed", .start_ns = 3 * SUPPORT_S, .end_ns = 5 * SUPPORT_S},
	};
	struct lane_story busy = {
		.wal = 9000000, .waiting = 5, .dead = 50000, .activities = activities, .activity_count = 2};
	struct support_run *run = new_run(true, &quiet, &busy);
	struct verdict *verdict = judge(run, NULL, NULL);
	static const char *const words[] = {"Health of the servers",
					    "WAL written",
					    "Lock:relation",
					    "grew by",
					    "CREATE INDEX CONCURRENTLY",
					    "public.&lt;i&gt;",
					    "under way",
					    "checkpoint",
					    "Nothing was seen of: Temporary files",
					    "the role may not ask for it",
					    "9.5 MB/s",
					    NULL};
	assert_page(verdict, words);
	verdict_free(verdict);
	support_run_free(run);
}

/* Runs without health, with that of one lane, or with a damaged file, are judged like any other. */
static void test_missing(void **state)
{
	(void)state;
	struct lane_story none = {.no_file = true}, busy = {.waiting = 5};
	static const char *const no_samples[] = {"The run has no samples", NULL};
	static const char *const one_lane[] = {"health.migrating", NULL};
	struct support_run *run = new_run(true, &none, &none);
	struct verdict *verdict = judge(run, NULL, NULL);
	assert_true(json_is_null(health_of(verdict)));
	assert_int_equal(verdict->outcome, VERDICT_CLEAR);
	assert_page(verdict, no_samples);
	verdict_free(verdict);
	support_run_free(run);
	run = new_run(false, &none, &none);
	verdict = judge(run, "health.dead_tuples", "fail > 1");
	assert_int_equal(verdict->outcome, VERDICT_CLEAR);
	verdict_free(verdict);
	support_run_free(run);
	run = new_run(true, &quiet, &busy);
	char *path = run_dir_path(support_run_dir(run), HEALTH_LOG_MIGRATING);
	FILE *file = fopen(path, "r+");
	assert_non_null(file);
	assert_int_equal(fseek(file, 300, SEEK_SET), 0);
	(void)fputs("damage", file);
	(void)fclose(file);
	free(path);
	verdict = judge(run, NULL, NULL);
	const json_t *lanes = json_object_get(health_of(verdict), "lanes");
	assert_true(json_is_true(json_object_get(json_object_get(lanes, "baseline"), "known")));
	assert_false(json_is_true(json_object_get(json_object_get(lanes, "migrating"), "known")));
	assert_int_equal(verdict->outcome, VERDICT_CLEAR);
	assert_page(verdict, one_lane);
	verdict_free(verdict);
	support_run_free(run);
	/* Against a lane that told nothing, nothing grew. */
	run = new_run(true, &none, &busy);
	verdict = judge(run, NULL, NULL);
	assert_false(json_is_true(json_object_get(
		named(json_object_get(health_of(verdict), "waits"), "event", "Lock:relation"), "grew")));
	assert_int_equal(json_array_size(json_object_get(health_of(verdict), "noise")), 0);
	verdict_free(verdict);
	support_run_free(run);
}

static void test_levels_of_bytes(void **state)
{
	(void)state;
	struct error err = ERROR_INIT;
	struct thresholds thresholds;
	struct strbuf text;
	thresholds_init(&thresholds);
	strbuf_init(&text, 200);
	assert_int_equal(thresholds_set(&thresholds, "health.size_growth_bytes", "warn >= 512MB, fail > 2GB", &err), 0);
	const struct threshold *rule = thresholds_find(&thresholds, "health.size_growth_bytes", "");
	assert_true(rule->fail.value == 2.0 * 1024 * 1024 * 1024);
	threshold_format(rule, &text);
	assert_string_equal(text.data, "warn >= 512MB, fail > 2GB");
	assert_true(thresholds_set(&thresholds, "health.size_growth_bytes", "fail > 2 apples", &err) < 0);
	strbuf_release(&text);
	thresholds_release(&thresholds);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_figures),
		cmocka_unit_test(test_limits),
		cmocka_unit_test(test_restart_is_no_rate),
		cmocka_unit_test(test_noise),
		cmocka_unit_test(test_report),
		cmocka_unit_test(test_missing),
		cmocka_unit_test(test_levels_of_bytes),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
