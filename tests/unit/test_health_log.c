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
#define LOOKS	1700 /* ... */

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

/* Look i of LOOKS: none to eleven processes, told in any order; two of one pid are a backend and its parallel worker.
 */
static size_t looked_at(struct health_log_writer *writer, int64_t i, struct health_active *active)
{
	size_t count = (size_t)(i % 12);
	for (size_t k = 0; k < count; k++) {
		char name[40];
		(void)snprintf(name, sizeof(name), "IO:Event%d", (int)((i + (int64_t)k) % 9));
		active[k] = (struct health_active){(int32_t)(5000 - 100 * (int64_t)(k / 2) + i % 7),
						   writer ? health_log_writer_event(writer, name) : 0};
	}
	return count;
}

static int64_t asked_at(int64_t i)
{
	return (i - 10) * SECOND / 10 + i * 1000;
}

static void write_looks(struct health_log_writer *writer)
{
	struct error err = ERROR_INIT;
	for (int64_t i = 0; i < LOOKS; i++) {
		struct health_active active[12];
		size_t count = looked_at(writer, i, active);
		/* Not whole microseconds: they are rounded outwards. */
		assert_int_equal(
			health_log_writer_look(writer, asked_at(i) + 1, asked_at(i) + 1999999, active, count, &err), 0);
	}
}

static void check_looks(struct health_log *log)
{
	struct error err = ERROR_INIT;
	struct health_look look;
	assert_true(log->has_looks);
	assert_int_equal(log->looks, LOOKS);
	assert_int_equal(log->event_count, 9);
	for (int64_t i = 0; i < LOOKS; i++) {
		struct health_active active[12];
		size_t count = looked_at(NULL, i, active);
		assert_int_equal(health_log_next_look(log, &look, &err), 1);
		assert_int_equal(look.asked_ns, asked_at(i));
		assert_int_equal(look.answered_ns, asked_at(i) + 2000000);
		assert_int_equal(look.count, count);
		unsigned sum = 0;
		for (size_t k = 0; k < count; k++) {
			assert_true(k == 0 || look.active[k].pid >= look.active[k - 1].pid);
			/* Sorted: pairs of workers come in the reverse order of their telling. */
			assert_int_equal(look.active[k].pid, 5000 - 100 * (int64_t)((count - 1 - k) / 2) + i % 7);
			sum += (unsigned)(log->events[look.active[k].event].name[strlen("IO:Event")] - '0');
		}
		unsigned expected = 0;
		for (size_t k = 0; k < count; k++)
			expected += (unsigned)((i + (int64_t)k) % 9);
		assert_int_equal(sum, expected);
	}
	assert_int_equal(health_log_next_look(log, &look, &err), 0);
}

static void write_log(const char *path)
{
	struct health_log_writer *writer = NULL;
	struct error err = ERROR_INIT;
	assert_int_equal(health_log_writer_open(path, "migrating", SECOND, &writer, &err), 0);
	write_samples(writer);
	write_looks(writer);
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
	check_looks(log);
	health_log_rewind(log);
	check_looks(log);
	check_samples(log);
	assert_int_equal(log->active_lost, 0);
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

/* An hour of 200 of 400 sessions at work, each time others, ten looks a second: the most that a file grows by. */
static void test_size_of_looks(void **state)
{
	(void)state;
	static const char *const events[] = {"CPU", "IO:DataFileRead", "LWLock:WALWrite", "Client:ClientRead",
					     "Lock:transactionid"};
	struct health_log_writer *writer = NULL;
	struct error err = ERROR_INIT;
	const char *path = path_of("looks");
	unsigned seed = 7;
	assert_int_equal(health_log_writer_open(path, "baseline", SECOND, &writer, &err), 0);
	for (int64_t i = 0; i < 3600; i++) { /* six minutes stand for the hour */
		struct health_active active[400];
		size_t count = 0;
		for (int32_t pid = 0; pid < 400; pid++) {
			if (rand_r(&seed) % 2 == 0)
				active[count++] = (struct health_active){
					1000000 + pid,
					health_log_writer_event(writer,
								events[rand_r(&seed) % 3 ? 0 : rand_r(&seed) % 5])};
		}
		assert_int_equal(health_log_writer_look(writer, i * SECOND / 10 + rand_r(&seed) % 1000000,
							i * SECOND / 10 + 2000000, active, count, &err),
				 0);
	}
	assert_int_equal(health_log_writer_commit(writer, &(struct health_log_rest){0}, &err), 0);
	FILE *file = fopen(path, "rb");
	assert_non_null(file);
	assert_int_equal(fseek(file, 0, SEEK_END), 0);
	double mb = 10 * (double)ftell(file) / 1e6;
	print_message("200 sessions at work: %.1f MB an hour\n", mb);
	assert_true(mb < 10);
	(void)fclose(file);
	(void)unlink(path);
}

/* More processes than a look holds, more events than a log does, pids that are none: counted, and the rest is there. */
static void test_too_many_active(void **state)
{
	(void)state;
	static struct health_active active[HEALTH_LOOK_MAX + 10];
	struct health_log_writer *writer = NULL;
	struct error err = ERROR_INIT;
	struct health_look look;
	const char *path = path_of("crowd");
	char name[300];
	assert_int_equal(health_log_writer_open(path, "baseline", SECOND, &writer, &err), 0);
	for (int i = 0; i < HEALTH_EVENTS_MAX + 3; i++) {
		(void)snprintf(name, sizeof(name), "Extension:%d", i);
		assert_int_equal(health_log_writer_event(writer, name),
				 i < HEALTH_EVENTS_MAX ? (uint32_t)i : HEALTH_NO_EVENT);
	}
	for (int i = 0; i < HEALTH_LOOK_MAX + 10; i++)
		active[i] = (struct health_active){INT32_MAX - i, (uint32_t)i % HEALTH_EVENTS_MAX};
	assert_int_equal(health_log_writer_look(writer, 5, 5, active, HEALTH_LOOK_MAX + 10, &err), 0);
	active[0] = (struct health_active){7, HEALTH_NO_EVENT};
	active[1] = (struct health_active){-7, 0};
	active[2] = (struct health_active){8, 1};
	assert_int_equal(health_log_writer_look(writer, 5, 6, active, 3, &err), 0);
	health_log_writer_lose(writer, 100);
	assert_int_equal(health_log_writer_commit(writer, &(struct health_log_rest){0}, &err), 0);
	struct health_log *log = open_log(path);
	assert_int_equal(log->active_lost, 112);
	assert_int_equal(log->event_count, HEALTH_EVENTS_MAX);
	assert_int_equal(health_log_next_look(log, &look, &err), 1);
	assert_int_equal(look.count, HEALTH_LOOK_MAX);
	assert_int_equal(look.active[HEALTH_LOOK_MAX - 1].pid, INT32_MAX);
	assert_int_equal(health_log_next_look(log, &look, &err), 1);
	assert_int_equal(look.count, 1);
	assert_int_equal(look.active[0].pid, 8);
	assert_string_equal(log->events[look.active[0].event].name, "Extension:1");
	assert_int_equal(health_log_next_look(log, &look, &err), 0);
	health_log_free(log);
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
	struct health_look look;
	int64_t last_ns = INT64_MIN;
	int looks_rc;
	while ((looks_rc = health_log_next_look(log, &look, &err)) > 0) {
		assert_true(look.asked_ns >= last_ns && look.answered_ns >= look.asked_ns);
		last_ns = look.asked_ns;
		for (size_t i = 0; i < look.count; i++)
			assert_true(look.active[i].event < log->event_count && look.active[i].pid >= 0);
	}
	health_log_free(log);
	return rc == 0 && looks_rc == 0;
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

/* Numbers as chunks have them: small ones more often, because they are counts and lengths. */
static size_t any_bytes(unsigned *seed, unsigned char *bytes, size_t max)
{
	size_t len = (size_t)rand_r(seed) % max;
	for (size_t i = 0; i < len; i++)
		bytes[i] = (unsigned char)(rand_r(seed) % (rand_r(seed) % 4 ? 6 : 256));
	return len;
}

/* Any bytes as chunks of a sound container, of either version: refused or read, never past their end. */
static void test_any_chunks(void **state)
{
	(void)state;
	static const char *const types[] = {"SAMP", "LOOK", "SERS", "EVNT", "ACTV", "GAPS", "NOTE", "SUMM"};
	static const unsigned char events[] = {1, 'a', 1, 'b', 1, 'c', 1, 'd', 1, 'e', 1, 'f'};
	static const unsigned char summary[] = {1, 'x', 2, 3, 0, 0, 0, 0, 2, 0};
	const char *path = path_of("any");
	struct error err = ERROR_INIT;
	unsigned seed = 1;
	unsigned sound = 0;
	for (int round = 0; round < 600; round++) {
		struct chunk_writer *writer = NULL;
		unsigned char bytes[300];
		uint32_t version = rand_r(&seed) % 4 ? 2 : 1;
		assert_int_equal(chunk_writer_open(path, "HLTH", version, &writer, &err), 0);
		for (size_t t = 0; t < sizeof(types) / sizeof(*types); t++) {
			const void *data = bytes;
			size_t len = any_bytes(&seed, bytes, t < 2 ? 20 : sizeof(bytes));
			uint32_t count = (uint32_t)(rand_r(&seed) % (t < 2 ? 4 : 20));
			/* Mostly sound tables, so that what lies behind them is reached. */
			bool plain = rand_r(&seed) % 8;
			if (version == 1 && (t == 1 || t == 3) && plain)
				continue;
			if (t > 1 && plain) {
				count = t == 3 ? 6 : t == 7;
				len = t == 3 ? sizeof(events) : t == 7 ? sizeof(summary) - (version == 1 ? 2 : 0) : 0;
				data = t == 3 ? events : summary;
			}
			assert_int_equal(chunk_writer_add(writer, types[t], count, 0, data, len, &err), 0);
		}
		assert_int_equal(chunk_writer_commit(writer, &err), 0);
		sound += readable(path);
	}
	assert_true(sound < 100); /* some are, by chance */
}

/* One look of hand-made bytes, in a file that is sound beside it. */
static bool look_is_read(const unsigned char *bytes, size_t len, uint32_t count)
{
	static const unsigned char events[] = {1, 'a', 1, 'b'};
	unsigned char summary[] = {1, 'x', 2, 0, 0, 0, 0, 0, (unsigned char)count, 0};
	const char *path = path_of("hostile");
	struct chunk_writer *writer = NULL;
	struct error err = ERROR_INIT;
	assert_int_equal(chunk_writer_open(path, "HLTH", 2, &writer, &err), 0);
	assert_int_equal(chunk_writer_add(writer, "LOOK", count, 0, bytes, len, &err), 0);
	assert_int_equal(chunk_writer_add(writer, "SERS", 0, 0, "", 0, &err), 0);
	assert_int_equal(chunk_writer_add(writer, "EVNT", 2, 0, events, sizeof(events), &err), 0);
	assert_int_equal(chunk_writer_add(writer, "ACTV", 0, 0, "", 0, &err), 0);
	assert_int_equal(chunk_writer_add(writer, "GAPS", 0, 0, "", 0, &err), 0);
	assert_int_equal(chunk_writer_add(writer, "NOTE", 0, 0, "", 0, &err), 0);
	assert_int_equal(chunk_writer_add(writer, "SUMM", 1, 0, summary, sizeof(summary), &err), 0);
	assert_int_equal(chunk_writer_commit(writer, &err), 0);
	return readable(path);
}
#define LOOK_IS_READ(count, ...) \
	look_is_read((const unsigned char[]){__VA_ARGS__}, sizeof((const unsigned char[]){__VA_ARGS__}), count)

static void test_hostile_looks(void **state)
{
	(void)state;
	assert_true(LOOK_IS_READ(1, 2, 5, 2, 7, 1, 0, 0));
	assert_true(LOOK_IS_READ(2, 2, 5, 0, 0, 5, 0));				    /* asked twice in one microsecond */
	assert_false(LOOK_IS_READ(1, 2, 5, 2, 7, 2, 0, 0));			    /* event 2 of 2 */
	assert_false(LOOK_IS_READ(1, 2, 5, 3, 7, 1, 0, 0));			    /* a process less than it says */
	assert_false(LOOK_IS_READ(1, 2, 5, 1, 7, 1, 0, 0));			    /* ... and more */
	assert_false(LOOK_IS_READ(2, 2, 5, 0, 1, 5, 0));			    /* back in time */
	assert_false(LOOK_IS_READ(1, 2, 5, 0x81, 0x20, 1, 0, 1, 0));		    /* 4,097 processes */
	assert_false(LOOK_IS_READ(1, 2, 5, 2, 0xff, 0xff, 0xff, 0xff, 7, 0, 1, 0)); /* a pid of 2^31 */
	/* Times that would overflow, alone or as a sum. */
	assert_false(LOOK_IS_READ(1, 0xfe, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1, 0, 0));
	assert_false(LOOK_IS_READ(1, 0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1, 0));
	assert_false(LOOK_IS_READ(2, 0xfe, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x07, 0, 0, 0xfe, 0xff, 0xff, 0xff, 0xff,
				  0xff, 0xff, 0x07, 0, 0));
}

/* A file from before sessions were looked at is read, and says that it has none; one from after us is refused. */
static void test_versions(void **state)
{
	(void)state;
	static const unsigned char summary[] = {1, 'x', 2, 0, 0, 0, 0, 0};
	const char *path = path_of("version");
	for (uint32_t version = 1; version <= 3; version += 2) {
		struct chunk_writer *writer = NULL;
		struct error err = ERROR_INIT;
		struct health_log *log = NULL;
		struct health_look look;
		assert_int_equal(chunk_writer_open(path, "HLTH", version, &writer, &err), 0);
		assert_int_equal(chunk_writer_add(writer, "SERS", 0, 0, "", 0, &err), 0);
		assert_int_equal(chunk_writer_add(writer, "ACTV", 0, 0, "", 0, &err), 0);
		assert_int_equal(chunk_writer_add(writer, "GAPS", 0, 0, "", 0, &err), 0);
		assert_int_equal(chunk_writer_add(writer, "NOTE", 0, 0, "", 0, &err), 0);
		assert_int_equal(chunk_writer_add(writer, "SUMM", 1, 0, summary, sizeof(summary), &err), 0);
		assert_int_equal(chunk_writer_commit(writer, &err), 0);
		if (version == 3) {
			assert_true(health_log_open(path, &log, &err) < 0);
			assert_non_null(strstr(err.text, "version 3 at offset 8, this program reads 2"));
			continue;
		}
		log = open_log(path);
		assert_false(log->has_looks);
		assert_int_equal(health_log_next_look(log, &look, &err), 0);
		health_log_free(log);
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
		cmocka_unit_test(test_names),		cmocka_unit_test(test_size_of_looks),
		cmocka_unit_test(test_too_many_active), cmocka_unit_test(test_hostile_looks),
		cmocka_unit_test(test_versions),
	};
	return cmocka_run_group_tests(tests, set_up, tear_down);
}
