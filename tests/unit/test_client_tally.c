/*
 * Who is hurt: two applications beside each other, of which the migration locks out one. A round every 100 ms for 20 s;
 * sessions 0 to 3 are web's, 4 the nightly export's under a user of its own.
 */
#include "support_run.h"
#include "verdict.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static const struct support_outcome quick = {.service_ns = 2 * SUPPORT_MS, .rows = 1};

static const json_t *find_client(const json_t *who, const char *application)
{
	size_t i;
	const json_t *entry;
	json_array_foreach (who, i, entry) {
		if (strcmp(json_string_value(json_object_get(entry, "application")), application) == 0)
			return entry;
	}
	fail_msg("nobody is %s", application);
	return NULL;
}

static double number_of(const json_t *object, const char *key)
{
	const json_t *value = json_object_get(object, key);
	assert_true(json_is_number(value));
	return json_number_value(value);
}

/* The export's two statements wait from 10.0 s and 10.1 s to 12.0 s: 3.9 query-seconds; one more fails. */
static void test_the_export_is_named(void **state)
{
	(void)state;
	struct error err = ERROR_INIT;
	struct verdict *verdict;
	struct support_run *run = support_run_new(6);
	support_run_client(run, 4, "etl", "export");
	support_run_client(run, 5, "etl", "export");
	for (int64_t t = 100 * SUPPORT_MS; t < 20 * SUPPORT_S; t += 100 * SUPPORT_MS) {
		for (uint32_t s = 0; s < 4; s++)
			support_run_add(run, t + s * 10 * SUPPORT_MS, s, "SELECT 1 FROM stock", NULL, quick, quick);
	}
	support_run_migrate(run, "ALTER TABLE orders ALTER total TYPE bigint", "public.orders", "AccessExclusiveLock",
			    10 * SUPPORT_S, 12 * SUPPORT_S);
	for (uint32_t s = 4; s < 6; s++) {
		int64_t sent = 10 * SUPPORT_S + (s - 4) * 100 * SUPPORT_MS;
		struct support_outcome blocked = {.service_ns = 12 * SUPPORT_S - sent, .rows = 1};
		support_run_add(run, sent, s, "SELECT 1 FROM orders", NULL, quick, blocked);
		support_run_wait(run, SUPPORT_MIGRATING_PID(s), "public.orders", "AccessShareLock", sent,
				 12 * SUPPORT_S - 5 * SUPPORT_MS, SUPPORT_MIGRATION_PID);
	}
	struct support_outcome broken = {.service_ns = SUPPORT_MS, .sqlstate = "42703"};
	support_run_add(run, 15 * SUPPORT_S, 4, "SELECT note FROM orders", NULL, quick, broken);
	/* Before the migration: not its doing. */
	support_run_add(run, 5 * SUPPORT_S, 4, "SELECT note FROM orders WHERE id = 1", NULL, quick, broken);
	support_run_write(run, 20 * SUPPORT_S);
	assert_int_equal(verdict_judge(support_run_dir(run), NULL, &verdict, &err), 0);
	const json_t *who = json_object_get(verdict->document, "who");
	assert_int_equal(json_array_size(who), 2);
	assert_int_equal(json_integer_value(json_object_get(verdict->document, "who_total")), 2);
	const json_t *export = find_client(who, "export");
	assert_ptr_equal(export, json_array_get(who, 0)); /* the most hurt first */
	assert_string_equal(json_string_value(json_object_get(export, "user")), "etl");
	assert_float_equal(number_of(export, "sessions"), 2, 0);
	assert_float_equal(number_of(export, "statements"), 3, 0);
	assert_float_equal(number_of(export, "blocked_statements"), 2, 0);
	assert_float_equal(number_of(export, "blocked_query_s"), 3.9, 0.001);
	assert_float_equal(number_of(export, "longest_blocked_ms"), 2000, 0.01);
	assert_float_equal(number_of(export, "errors_only_migrating"), 1, 0);
	assert_float_equal(number_of(export, "errors_only_baseline"), 0, 0);
	/* 1.998 + 1.898 s; one that failed on a lane has no latency there. */
	assert_float_equal(number_of(export, "extra_latency_s"), 3.896, 0.001);
	const json_t *web = find_client(who, "web");
	assert_float_equal(number_of(web, "sessions"), 4, 0);
	assert_float_equal(number_of(web, "blocked_statements"), 0, 0);
	assert_float_equal(number_of(web, "errors_only_migrating"), 0, 0);
	verdict_free(verdict);
	support_run_free(run);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_the_export_is_named)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
