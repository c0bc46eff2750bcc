/*
 * The noise floor: kept in SQLite from runs without a migration, put beside a new run, and raising the margin of the
 * statements that are noisy by themselves.
 */
#include "clock.h"
#include "json_file.h"
#include "mem.h"
#include "noise_floor.h"
#include "noise_store.h"
#include "support_run.h"
#include "temp_folder.h"
#include "verdict.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>
#include <inttypes.h>

/* n 0: too few executions for a test. */
static json_t *verdict_of(const char *outcome, const char *fingerprint, double ratio, int n)
{
	json_t *verdict =
		json_pack("{s:s, s:[], s:{s:s}, s:[{s:s, s:i, s:f}]}", "outcome", outcome, "migration", "fidelity",
			  "grade", "A", "queries", "fingerprint", fingerprint, "n", n, "ratio", ratio);
	assert_non_null(verdict);
	(void)json_object_set_new(json_array_get(json_object_get(verdict, "queries"), 0), "p",
				  n ? json_real(0.5) : json_null());
	return verdict;
}

static void add(struct noise_store *store, const char *workload, json_t *verdict)
{
	struct error err = ERROR_INIT;
	if (noise_store_add(store, workload, "a machine", verdict, &err) < 0)
		fail_msg("%s", err.text);
	json_decref(verdict);
}

static void test_store(void **state)
{
	(void)state;
	struct error err = ERROR_INIT;
	struct temp_folder folder;
	struct noise_store *store;
	struct noise_floor floor;
	temp_folder_init(&folder);
	const char *path = temp_folder_file(&folder, "deep/er/noise.db");
	assert_int_equal(noise_store_open(path, &store, &err), 0);
	assert_int_equal(noise_store_read(store, "shop", "a machine", &floor, &err), 0);
	assert_int_equal(floor.runs, 0);
	noise_floor_release(&floor);
	add(store, "shop", verdict_of("clear", "00000000000000ff", 1.1, 100));
	add(store, "shop", verdict_of("clear", "00000000000000ff", 0.9, 100));
	add(store, "shop", verdict_of("cannot_tell", "00000000000000ff", 9.0, 0));
	add(store, "shop", verdict_of("invalid", "00000000000000ff", 5.0, 100)); /* no measure of anything */
	add(store, "other", verdict_of("hurts", "00000000000000ff", 5.0, 100));
	json_t *migrated = json_pack("{s:s, s:[{}]}", "outcome", "clear", "migration");
	assert_true(noise_store_add(store, "shop", "a machine", migrated, &err) < 0);
	assert_int_equal(err.code, ERR_USAGE);
	json_decref(migrated);
	noise_store_close(store);

	error_clear(&err);
	assert_int_equal(noise_store_open(path, &store, &err), 0); /* what is there stays */
	assert_int_equal(noise_store_read(store, "shop", "a machine", &floor, &err), 0);
	noise_store_close(store);
	assert_int_equal(floor.runs, 4);
	assert_int_equal(floor.outcomes[VERDICT_CLEAR], 2);
	assert_int_equal(floor.outcomes[VERDICT_INVALID], 1);
	assert_int_equal(floor.count, 1);
	const struct noise_statement *s = noise_floor_find(&floor, 0xff);
	assert_non_null(s);
	assert_int_equal(s->runs, 2);
	double rms = sqrt((log(1.1) * log(1.1) + log(0.9) * log(0.9)) / 2);
	assert_true(fabs(s->log_rms - rms) < 1e-12);
	assert_true(fabs(s->log_max - fabs(log(0.9))) < 1e-12);
	assert_null(noise_floor_find(&floor, 1));

	struct noise_floor again;
	path = temp_folder_file(&folder, NOISE_FLOOR_FILE);
	assert_int_equal(noise_floor_save(&floor, path, &err), 0);
	assert_int_equal(noise_floor_load(path, &again, &err), 0);
	assert_string_equal(again.workload, "shop");
	assert_int_equal(again.runs, 4);
	assert_true(fabs(noise_floor_find(&again, 0xff)->log_rms - rms) < 1e-12);
	noise_floor_release(&again);
	noise_floor_release(&floor);
	temp_folder_release(&folder);
}

static void test_foreign_files(void **state)
{
	(void)state;
	struct error err = ERROR_INIT;
	struct temp_folder folder;
	struct noise_store *store;
	struct noise_floor floor;
	temp_folder_init(&folder);
	const char *path = temp_folder_file(&folder, "text");
	FILE *file = fopen(path, "we");
	assert_non_null(file);
	(void)fputs("{\"schema\": \"rehearse.noise/1\", \"workload\": \"w\", \"machine\": \"m\", \"runs\": -1}\n",
		    file);
	assert_int_equal(fclose(file), 0);
	assert_true(noise_store_open(path, &store, &err) < 0);
	assert_int_equal(err.code, ERR_DATA);
	error_clear(&err);
	assert_true(noise_floor_load(path, &floor, &err) < 0);
	assert_int_equal(err.code, ERR_DATA);
	temp_folder_release(&folder);
}

/* A statement that takes 1.6 times as long after the migration; its own noise is log_rms. */
static enum verdict_outcome judge_with_noise(double log_rms)
{
	struct error err = ERROR_INIT;
	struct support_run *run = support_run_new(4);
	static const char sql[] = "SELECT a FROM quiet WHERE id = 1";
	for (int i = 0; i < 6000; i++) {
		int64_t due = (int64_t)i * 10 * SUPPORT_MS;
		bool after = due > 20 * SUPPORT_S;
		int64_t ms = 20 + i % 3;
		support_run_add(run, due, (uint32_t)i % 4, sql, NULL,
				(struct support_outcome){.service_ns = ms * SUPPORT_MS},
				(struct support_outcome){.service_ns = ms * SUPPORT_MS * (after ? 16 : 10) / 10});
	}
	(void)support_run_migrate(run, "ALTER TABLE other ADD c int", "public.other", "AccessExclusiveLock",
				  20 * SUPPORT_S, 20 * SUPPORT_S + SUPPORT_MS);
	support_run_write(run, 61 * SUPPORT_S);
	struct verdict *verdict;
	if (verdict_judge(support_run_dir(run), NULL, &verdict, &err) < 0)
		fail_msg("%s", err.text);
	enum verdict_outcome without = verdict->outcome;
	assert_int_equal(without, VERDICT_HURTS);
	assert_true(json_is_null(json_object_get(json_object_get(verdict->document, "noise_floor"), "calibration")));
	const char *hash = json_string_value(
		json_object_get(json_array_get(json_object_get(verdict->document, "queries"), 0), "fingerprint"));
	struct noise_statement statement = {.hash = strtoull(hash, NULL, 16), .runs = 9, .log_rms = log_rms};
	char workload[] = "w";
	char machine[] = "m";
	struct noise_floor floor = {
		.workload = workload, .machine = machine, .runs = 9, .statements = &statement, .count = 1};
	floor.outcomes[VERDICT_CLEAR] = 9;
	char *path = mem_printf("%s/" NOISE_FLOOR_FILE, support_run_dir(run));
	assert_int_equal(noise_floor_save(&floor, path, &err), 0);
	free(path);
	verdict_free(verdict);
	if (verdict_judge(support_run_dir(run), NULL, &verdict, &err) < 0)
		fail_msg("%s", err.text);
	const json_t *noise = json_object_get(verdict->document, "noise_floor");
	assert_int_equal(json_integer_value(json_object_get(json_object_get(noise, "calibration"), "runs")), 9);
	assert_non_null(strstr(json_string_value(json_object_get(noise, "alarm_rate_note")), "None of 9 runs"));
	enum verdict_outcome outcome = verdict->outcome;
	verdict_free(verdict);
	support_run_free(run);
	return outcome;
}

static void test_the_margin(void **state)
{
	(void)state;
	assert_int_equal(judge_with_noise(0.05), VERDICT_HURTS);
	assert_int_equal(judge_with_noise(0.25), VERDICT_CLEAR); /* exp(3 · 0.25) = 2.1 */
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_store),
		cmocka_unit_test(test_foreign_files),
		cmocka_unit_test(test_the_margin),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
