/* The health log: what is written comes back, over several chunks, and a damaged file is refused wherever it was hit.
 */
#include "chunk_file.h"
#include "health_log.h"
#include "health_series.h"

#include "mem.h"
#include "temp_folder.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>
#include <unistd.h>

#define SECOND	INT64_C(1000000000)
#define SAMPLES 1500 /* more than two chunks */

static struct temp_folder folder;

static const char *path_of(const char *name)
{
	return temp_folder_file(&folder, name);
}

static struct health_log *open_log(const char *path)
{
	struct health_log *log = NULL;
	struct error err = ERROR_INIT;
	if (health_log_open(path, &log, &err) < 0)
		fail_msg("%s", err.text);
	return log;
}

/* Values that a difference could trip over, and one that is there only now and then. */
static int64_t wal_at(int64_t i)
{
	return i * 123456789;
}

static int64_t odd_at(int64_t i)
{
	return i % 3 == 0 ? INT64_MIN : i % 3 == 1 ? INT64_MAX : -i;
}

static void write_samples(struct health_log_writer *writer)
{
	struct error err = ERROR_INIT;
	for (int64_t i = 0; i < SAMPLES; i++) {
		health_log_writer_begin(writer, (i - 1) * SECOND + i);
		health_log_writer_set(writer, health_log_writer_series(writer, "wal.bytes", NULL), wal_at(i));
		health_log_writer_set(writer, health_log_writer_series(writer, "sessions.active", NULL), odd_at(i));
		if (i % 10 == 7) {
			uint32_t wait = health_log_writer_series(writer, "wait", "Lock:relation");
			health_log_writer_set(writer, wait, 1);
			health_log_writer_set(writer, wait, i); /* the last one counts */
		}
		assert_int_equal(health_log_writer_end(writer, &err), 0);
	}
}

static void write_log(const char *path)
{
	struct health_log_writer *writer = NULL;
	struct error err = ERROR_INIT;
	assert_int_equal(health_log_writer_open(path, "migrating", SECOND, &writer, &err), 0);
	write_samples(writer);
	struct health_phase phases[] = {{"building index: scanning table", 5, 2000000005, 312, 400},
					{"building index: loading tuples in tree", 3000000005, 3000000006, -1, -1}};
	struct health_activity activities[] = {{.kind = HEALTH_CREATE_INDEX,
						.pid = 4711,
						.relation = "public.\"we ird\"",
						.index = "public.i",
						.command = "CREATE INDEX CONCURRENTLY",
						.start_ns = 5,
						.end_ns = 3000000006,
						.open = true,
						.phases = phases,
						.phase_count = 2},
					       {.kind = HEALTH_CHECKPOINT, .start_ns = -7, .end_ns = -7}};
	struct health_gap gaps[] = {{1, 60 * SECOND}};
	struct health_note notes[] = {{"progress", "the role is no member of pg_read_all_stats (pg_monitor)", 1500}};
	struct health_log_rest rest = {.activities = activities,
				       .activity_count = 2,
				       .activities_lost = 3,
				       .gaps = gaps,
				       .gap_count = 1,
				       .notes = notes,
				       .note_count = 1};
	assert_int_equal(health_log_writer_commit(writer, &rest, &err), 0);
}

static void check_samples(struct health_log *log)
{
	struct error err = ERROR_INIT;
	struct health_sample sample;
	uint32_t wal = health_log_find(log, "wal.bytes", ""), active = health_log_find(log, "sessions.active", ""),
		 wait = health_log_find(log, "wait", "Lock:relation");
	assert_int_equal(health_log_find(log, "wait", ""), HEALTH_NO_SERIES);
	for (int64_t i = 0; i < SAMPLES; i++) {
		assert_int_equal(health_log_next(log, &sample, &err), 1);
		assert_int_equal(sample.time_ns, (i - 1) * SECOND + i);
		assert_int_equal(sample.count, i % 10 == 7 ? 3 : 2);
		assert_int_equal(sample.values[0].series, wal);
		assert_true(sample.values[0].value == wal_at(i));
		assert_int_equal(sample.values[1].series, active);
		assert_true(sample.values[1].value == odd_at(i));
		if (sample.count == 3) {
			assert_int_equal(sample.values[2].series, wait);
			assert_int_equal(sample.values[2].value, i);
		}
	}
	assert_int_equal(health_log_next(log, &sample, &err), 0);
}

static void test_round_trip(void **state)
{
	(void)state;
	const char *path = path_of("whole");
	write_log(path);
	struct health_log *log = open_log(path);
	assert_string_equal(log->lane, "migrating");
	assert_int_equal(log->interval_ns, SECOND);
	assert_int_equal(log->samples, SAMPLES);
	assert_int_equal(log->start_ns, -SECOND);
	assert_int_equal(log->series_count, 3);
	assert_int_equal(log->activities_lost, 3);
	check_samples(log);
	health_log_rewind(log);
	check_samples(log);
	assert_int_equal(log->activity_count, 2);
	const struct health_activity *build = &log->activities[0];
	assert_int_equal(build->kind, HEALTH_CREATE_INDEX);
	assert_int_equal(build->pid, 4711);
	assert_string_equal(build->relation, "public.\"we ird\"");
	assert_string_equal(build->command, "CREATE INDEX CONCURRENTLY");
	assert_true(build->open);
	assert_int_equal(build->phase_count, 2);
	assert_string_equal(build->phases[0].name, "building index: scanning table");
	assert_int_equal(build->phases[0].done, 312);
	assert_int_equal(build->phases[1].total, -1);
	assert_int_equal(log->activities[1].start_ns, -7);
	assert_int_equal(log->gap_count, 1);
	assert_int_equal(log->gaps[0].end_ns, 60 * SECOND);
	assert_string_equal(log->notes[0].group, "progress");
	assert_int_equal(log->notes[0].samples, 1500);
	health_log_free(log);
}

/* A run of twelve hours, 60 series: small on disk. */
static void test_size(void **state)
{
	(void)state;
	struct health_log_writer *writer = NULL;
	struct error err = ERROR_INIT;
	const char *path = path_of("long");
	char key[16];
	assert_int_equal(health_log_writer_open(path, "baseline", SECOND, &writer, &err), 0);
	for (int64_t i = 0; i < 43200; i++) {
		health_log_writer_begin(writer, i * SECOND + i % 1000 * 7);
		for (int k = 0; k < 60; k++) {
			(void)snprintf(key, sizeof(key), "%d", k);
			health_log_writer_set(writer, health_log_writer_series(writer, "table.dead", key),
					      k < 30 ? i * k + i * i % (k + 3) : k);
		}
		assert_int_equal(health_log_writer_end(writer, &err), 0);
	}
	assert_int_equal(health_log_writer_commit(writer, &(struct health_log_rest){0}, &err), 0);
	FILE *file = fopen(path, "rb");
	assert_non_null(file);
	assert_int_equal(fseek(file, 0, SEEK_END), 0);
	assert_true(ftell(file) < 8L * 1024 * 1024);
	(void)fclose(file);
	(void)unlink(path);
}

static void test_too_many_series(void **state)
{
	(void)state;
	struct health_log_writer *writer = NULL;
	struct error err = ERROR_INIT;
	const char *path = path_of("many");
	char key[16];
	assert_int_equal(health_log_writer_open(path, "baseline", SECOND, &writer, &err), 0);
	health_log_writer_begin(writer, 0);
	for (uint32_t i = 0; i < HEALTH_SERIES_MAX + 5; i++) {
		(void)snprintf(key, sizeof(key), "%u", i);
		uint32_t row = health_log_writer_series(writer, "wait", key);
		assert_int_equal(row, i < HEALTH_SERIES_MAX ? i : HEALTH_NO_SERIES);
		health_log_writer_set(writer, row, i);
	}
	assert_int_equal(health_log_writer_end(writer, &err), 0);
	assert_int_equal(health_log_writer_commit(writer, &(struct health_log_rest){0}, &err), 0);
	struct health_log *log = open_log(path);
	assert_int_equal(log->series_count, HEALTH_SERIES_MAX);
	assert_int_equal(log->series_lost, 5);
	health_log_free(log);
}

static char *read_whole(const char *path, size_t *len)
{
	FILE *file = fopen(path, "rb");
	assert_non_null(file);
	char *data = mem_alloc((size_t)1 << 20);
	*len = fread(data, 1, (size_t)1 << 20, file);
	(void)fclose(file);
	return data;
}

static void write_whole(const char *path, const char *data, size_t len)
{
	FILE *file = fopen(path, "wb");
	assert_non_null(file);
	assert_int_equal(fwrite(data, 1, len, file), len);
	(void)fclose(file);
}

/* True when the file opens and every sample of it can be read. */
static bool readable(const char *path)
{
	struct health_log *log = NULL;
	struct error err = ERROR_INIT;
	struct health_sample sample;
	if (health_log_open(path, &log, &err) < 0) {
		assert_int_equal(err.code, ERR_DATA);
		return false;
	}
	int rc;
	while ((rc = health_log_next(log, &sample, &err)) > 0)
		;
	health_log_free(log);
	return rc == 0;
}

static void test_damage_is_refused(void **state)
{
	(void)state;
	size_t len;
	write_log(path_of("sound"));
	char *data = read_whole(path_of("sound"), &len);
	const char *path = path_of("damaged");
	for (size_t cut = 0; cut < len; cut += cut < 200 || cut + 200 > len ? 1 : 97) {
		write_whole(path, data, cut);
		assert_false(readable(path));
	}
	for (size_t i = 0; i < len; i += 13) {
		if (i >= 12 && i < 16)
			continue; /* the header's reserved bytes */
		data[i] = (char)(data[i] ^ 0x10);
		write_whole(path, data, len);
		if (readable(path))
			fail_msg("a flipped bit at %zu of %zu was not found", i, len);
		data[i] = (char)(data[i] ^ 0x10);
	}
	write_whole(path, data, len);
	assert_true(readable(path));
	free(data);
}

/* Any bytes as chunks of a sound container: refused or read, never past their end. */
static void test_any_chunks(void **state)
{
	(void)state;
	static const char *const types[] = {"SAMP", "SERS", "ACTV", "GAPS", "NOTE", "SUMM"};
	const char *path = path_of("any");
	struct error err = ERROR_INIT;
	unsigned seed = 1;
	for (int round = 0; round < 200; round++) {
		struct chunk_writer *writer = NULL;
		unsigned char bytes[300];
		assert_int_equal(chunk_writer_open(path, "HLTH", 1, &writer, &err), 0);
		for (size_t t = 0; t < sizeof(types) / sizeof(*types); t++) {
			size_t len = (size_t)rand_r(&seed) % sizeof(bytes);
			for (size_t i = 0; i < len; i++) /* small numbers more often: they are counts and lengths */
				bytes[i] = (unsigned char)(rand_r(&seed) % (rand_r(&seed) % 4 ? 6 : 256));
			/* An empty table is always sound, so that what lies behind it is reached. */
			bool empty = t > 0 && t < 5 && rand_r(&seed) % 3;
			uint32_t count = (uint32_t)(rand_r(&seed) % 20);
			static const unsigned char summary[] = {1, 'x', 2, 3, 0, 0, 0, 0};
			bool sum = t == 5 && rand_r(&seed) % 3;
			assert_int_equal(chunk_writer_add(writer, types[t],
							  empty ? 0
							  : sum ? 1
								: count,
							  0, sum ? summary : bytes,
							  empty ? 0
							  : sum ? sizeof(summary)
								: len,
							  &err),
					 0);
		}
		assert_int_equal(chunk_writer_commit(writer, &err), 0);
		(void)readable(path);
	}
}

static void test_abort_leaves_nothing(void **state)
{
	(void)state;
	struct health_log_writer *writer = NULL;
	struct error err = ERROR_INIT;
	const char *path = path_of("aborted");
	assert_int_equal(health_log_writer_open(path, "baseline", SECOND, &writer, &err), 0);
	write_samples(writer);
	health_log_writer_abort(writer);
	assert_int_equal(access(path, F_OK), -1);
}

static void test_names(void **state)
{
	(void)state;
	assert_true(health_series_find("wal.bytes")->counter);
	assert_true(health_series_find("wait")->keyed);
	assert_null(health_series_find("nonsense"));
	for (size_t i = 0; i < health_series_count(); i++)
		assert_ptr_equal(health_series_find(health_series_at(i)->name), health_series_at(i));
	for (int kind = 0; kind < HEALTH_ACTIVITY_KINDS; kind++)
		assert_non_null(health_activity_name(kind));
}

static int set_up(void **state)
{
	(void)state;
	temp_folder_init(&folder);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	temp_folder_release(&folder);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_round_trip),	cmocka_unit_test(test_size),
		cmocka_unit_test(test_too_many_series), cmocka_unit_test(test_damage_is_refused),
		cmocka_unit_test(test_any_chunks),	cmocka_unit_test(test_abort_leaves_nothing),
		cmocka_unit_test(test_names),
	};
	return cmocka_run_group_tests(tests, set_up, tear_down);
}
