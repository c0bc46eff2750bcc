/*
 * Logs that a real PostgreSQL wrote (data/capture/make_logs.py), read into replay files: every count as the independent
 * data/capture/count.py has it, and the odd cases one by one.
 */
#include "create_replay.h"
#include "json_file.h"
#include "log_zone.h"
#include "mem.h"
#include "replay_file.h"
#include "sqlstate.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#define DATA TEST_DATA_DIR "/capture/"

static char folder[] = "/tmp/test_capture.XXXXXX";
static char output[128];

static int set_up(void **state)
{
	(void)state;
	if (!mkdtemp(folder))
		return -1;
	(void)snprintf(output, sizeof(output), "%s/out.rpl", folder);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	(void)unlink(output);
	return rmdir(folder); /* fails when anything was left behind */
}

static void create_from(const char *const *logs, size_t count, struct create_replay_result *result, size_t sort_memory)
{
	struct create_replay_options options = {
		.logs = logs, .log_count = count, .output = output, .sort_memory = sort_memory};
	struct error err = ERROR_INIT;
	if (create_replay(&options, result, NULL, &err) != 0)
		fail_msg("%s", err.text);
}

static void check_identity(const struct create_replay_result *result)
{
	uint64_t sum = 0;
	for (int i = 0; i < ITEM_KIND_COUNT; i++)
		sum += result->items[i] - result->inferred[i];
	for (int i = 0; i < SKIP_REASON_COUNT; i++)
		sum += result->skipped[i];
	assert_int_equal(sum, result->log_records);
}

/* What both have must be the same; what one has not is 0. */
static void compare_counts(const char *log, const char *where, json_t *expected, json_t *got)
{
	const char *key;
	json_t *value;
	json_object_foreach (expected, key, value) {
		json_t *other = json_object_get(got, key);
		if (json_is_object(value)) {
			compare_counts(log, key, value, other);
			continue;
		}
		if (json_integer_value(value) != json_integer_value(other))
			fail_msg("%s: %s %s: %lld expected, got %lld", log, where, key,
				 (long long)json_integer_value(value), (long long)json_integer_value(other));
	}
}

static void test_counts(void **state)
{
	(void)state;
	json_t *counts;
	struct error err = ERROR_INIT;
	assert_int_equal(json_file_load(DATA "counts.json", &counts, &err), 0);
	const char *log;
	json_t *expected;
	json_object_foreach (counts, log, expected) {
		char *path = mem_printf("%s%s", DATA, log);
		struct create_replay_result result;
		create_from((const char *const[]){path}, 1, &result, 0);
		check_identity(&result);
		json_t *got = create_replay_result_json(&result, NULL);
		compare_counts(log, "", expected, got);
		compare_counts(log, "(reverse)", json_object_get(got, "skipped"), json_object_get(expected, "skipped"));
		json_decref(got);
		free(path);
	}
	json_decref(counts);
}

/* ---- single items ---- */

struct found {
	struct item item;
	uint32_t count;
};

struct loaded {
	struct replay_file *file;
	struct replay_batch batch;
};

static void load(struct loaded *loaded)
{
	struct error err = ERROR_INIT;
	if (replay_file_open(output, &loaded->file, &err) != 0)
		fail_msg("%s", err.text);
	replay_batch_init(&loaded->batch);
	assert_true(replay_file_batch_count(loaded->file) > 0);
	assert_int_equal(replay_file_read_batch(loaded->file, 0, &loaded->batch, &err), 0);
}

static void unload(struct loaded *loaded)
{
	replay_batch_release(&loaded->batch);
	replay_file_free(loaded->file);
}

/* The last item with this text, and how many there are. */
static struct found find(struct loaded *loaded, const char *sql)
{
	struct found found = {.count = 0};
	struct strbuf text;
	strbuf_init(&text, 1000000);
	for (uint32_t i = 0; i < loaded->batch.count; i++) {
		const struct item *item = &loaded->batch.items[i];
		if (item->kind != ITEM_SIMPLE && item->kind != ITEM_EXECUTE)
			continue;
		strbuf_clear(&text);
		replay_item_sql(loaded->file, item, &text);
		if (strcmp(text.data, sql) == 0) {
			found.item = *item;
			found.count++;
		}
	}
	strbuf_release(&text);
	return found;
}

static struct item find_one(struct loaded *loaded, const char *sql)
{
	struct found found = find(loaded, sql);
	if (found.count != 1)
		fail_msg("%s: found %u times", sql, found.count);
	return found.item;
}

static void check_odd_items(struct loaded *loaded)
{
	struct item item = find_one(loaded, "SELECT $1::text, $2::text, $3::int");
	assert_int_equal(item.kind, ITEM_EXECUTE);
	assert_int_equal(item.statement_name.len, 0);
	assert_int_equal(item.parameter_count, 3);
	assert_true(span_equal_str(item.parameters[0], "it's"));
	assert_null(item.parameters[1].p);
	assert_true(span_equal_str(item.parameters[2], "7"));
	item = find_one(loaded, "SELECT n FROM notes WHERE n = $1");
	assert_true(span_equal_str(item.statement_name, "name with blanks: and colon"));
	item = find_one(loaded, "SELECT g FROM generate_series(1, $1) AS g");
	assert_true(span_equal_str(item.statement_name, "S_2"));
	item = find_one(loaded, "SELECT count(*) FROM notes");
	assert_int_equal(item.statement_name.len, 1500);
	assert_int_equal(find(loaded, "SELECT 'never executed'").count, 0);
	assert_int_equal(find(loaded, "DELETE FROM orders").count, 0);
	assert_int_equal(find(loaded, "DROP TABLE orders").count, 0);
	assert_int_equal(find_one(loaded, "SELECT 1; SELECT 2; SELECT 'three;'").kind, ITEM_SIMPLE);
	assert_int_equal(find(loaded, "SELECT 1/0").count, 2);
	assert_int_equal(find(loaded, "SELECT 1/0").item.sqlstate, sqlstate_pack("22012"));
	assert_int_equal(find_one(loaded, "SELEC 1").sqlstate, sqlstate_pack("42601"));
	item = find_one(loaded, "SELECT 1 / $1::int");
	assert_int_equal(item.sqlstate, sqlstate_pack("22012"));
	assert_int_equal(item.kind, ITEM_EXECUTE);
	assert_true(span_equal_str(item.parameters[0], "0"));
	assert_int_equal(find_one(loaded, "SELECT pg_sleep(30)").sqlstate, sqlstate_pack("57014"));
	assert_int_equal(find_one(loaded, "SELECT pg_sleep(60)").sqlstate, sqlstate_pack("57P01"));
	assert_int_equal(find_one(loaded, "EXECUTE p1 (41)").parameter_count, 0);
	struct found notes = find(loaded, "INSERT INTO notes (body, n) VALUES ($1, $2)");
	assert_int_equal(notes.count, 4);
	assert_true(span_equal_str(notes.item.parameters[0], "$2 = 'x', $3 = NULL"));
}

/* Times within a session never go back, a session begins with its connect and ends with its disconnect. */
static void check_sessions(struct loaded *loaded)
{
	uint32_t count = replay_file_session_count(loaded->file);
	enum item_kind *last = mem_zalloc(count, sizeof(*last));
	int64_t time_ns = 0;
	for (uint32_t i = 0; i < loaded->batch.count; i++) {
		const struct item *item = &loaded->batch.items[i];
		assert_true(item->time_ns >= time_ns);
		time_ns = item->time_ns;
		if (item->kind == ITEM_CONNECT)
			assert_int_equal(last[item->session], 0);
		else
			assert_true(last[item->session] != 0 && last[item->session] != ITEM_DISCONNECT);
		last[item->session] = item->kind;
	}
	uint32_t refused = 0;
	for (uint32_t i = 0; i < count; i++)
		refused += last[i] != ITEM_DISCONNECT;
	assert_int_equal(refused, 1); /* no_such_database */
	free(last);
}

static void check_log(const char *log, bool with_durations)
{
	struct create_replay_result result;
	create_from(&log, 1, &result, 0);
	struct loaded loaded;
	load(&loaded);
	check_odd_items(&loaded);
	check_sessions(&loaded);
	struct item item = find_one(&loaded, "SELECT 1; SELECT 2; SELECT 'three;'");
	assert_true(with_durations ? item.duration_ns > 0 : item.duration_ns == -1);
	item = find_one(&loaded, "SELECT g FROM generate_series(1, $1) AS g");
	assert_true(with_durations ? item.duration_ns > 0 : item.duration_ns == -1);
	/* the application's name, which connect does not have yet */
	bool odd = false;
	for (uint32_t i = 0; i < replay_file_session_count(loaded.file); i++) {
		const struct replay_session *session = replay_file_session(loaded.file, i);
		assert_true(span_equal_str(session->user, "postgres"));
		assert_true(span_equal_str(session->client, "127.0.0.1"));
		odd = odd || span_equal_str(session->application, "odd \"app\", with: [things]");
	}
	assert_true(odd);
	unload(&loaded);
}

static void test_statement_all(void **state)
{
	(void)state;
	check_log(DATA "statement_all.csv", false);
	check_log(DATA "statement_all.v12.csv", false);
}

static void test_durations(void **state)
{
	(void)state;
	check_log(DATA "min_duration.csv", true);
	check_log(DATA "min_duration.v13.csv", true);
	check_log(DATA "min_duration.v16.csv", true);
	check_log(DATA "all_duration.csv", true);
	check_log(DATA "all_min_duration.csv", true);
}

/* The triple is one item: it begins where its parse began and lasts as long as all three. */
static void test_triple(void **state)
{
	(void)state;
	char *path = mem_printf("%s/log.csv", folder);
	FILE *log = fopen(path, "w");
	assert_non_null(log);
	static const char *const lines[] = {
		"duration: 100.000 ms  parse S_1/x: SELECT $1", "duration: 200.000 ms  bind S_1/x/C_1: SELECT $1",
		"duration: 300.000 ms  execute S_1/x: SELECT $1", "duration: 50.000 ms  bind S_1/x: SELECT $1",
		"duration: 60.000 ms  execute S_1/x: SELECT $1"};
	for (int i = 0; i < 5; i++)
		(void)fprintf(
			log,
			"2026-11-21 20:08:0%d.500 +01,\"u\",\"d\",7,\"[local]\",65f00000.7,%d,\"SELECT\",2026-11-21 "
			"20:00:00 +01,1/1,0,LOG,00000,\"%s\",\"parameters: $1 = 'a'\",,,,,,,,\"app\"\n",
			i, i, lines[i]);
	assert_int_equal(fclose(log), 0);
	struct create_replay_result result;
	create_from((const char *const[]){path}, 1, &result, 0);
	struct loaded loaded;
	load(&loaded);
	assert_int_equal(loaded.batch.count, 4); /* connect, two executions, disconnect */
	assert_int_equal(result.inferred[ITEM_CONNECT], 1);
	assert_int_equal(result.inferred[ITEM_DISCONNECT], 1);
	const struct item *item = &loaded.batch.items[1];
	assert_int_equal(item->kind, ITEM_EXECUTE);
	assert_true(span_equal_str(item->statement_name, "S_1/x"));
	/* the connect that no record shows stands a second before */
	assert_int_equal(replay_file_start_wall_ns(loaded.file), INT64_C(1795288079400000000));
	assert_int_equal(result.first_ns, INT64_C(1795288080400000000));
	assert_int_equal(item->time_ns, 1000000000);
	/* the name holds a slash, which the parse told, and the bind's portal stands behind another */
	assert_int_equal(item->duration_ns, 600000000);
	item = &loaded.batch.items[2];
	assert_int_equal(item->time_ns, 4050000000);
	assert_int_equal(item->duration_ns, 110000000);
	unload(&loaded);
	(void)unlink(path);
	free(path);
}

/* A file cut in two in the middle of a record, given in the wrong order, sorted through many small runs. */
static void test_cut_files(void **state)
{
	(void)state;
	FILE *in = fopen(DATA "min_duration.csv", "r");
	assert_non_null(in);
	static char text[1024 * 1024];
	size_t len = fread(text, 1, sizeof(text), in);
	(void)fclose(in);
	struct create_replay_result whole;
	create_from((const char *const[]){DATA "min_duration.csv"}, 1, &whole, 0);
	char *first = mem_printf("%s/first.csv", folder);
	char *second = mem_printf("%s/second.csv", folder);
	/* in the middle of a quoted field */
	const char *cut = strstr(text + len / 2, "  statement: ");
	assert_non_null(cut);
	size_t at = (size_t)(cut - text) + 15;
	FILE *out = fopen(first, "w");
	assert_int_equal(fwrite(text, 1, at, out), at);
	(void)fclose(out);
	out = fopen(second, "w");
	assert_int_equal(fwrite(text + at, 1, len - at, out), len - at);
	(void)fclose(out);
	struct create_replay_result result;
	create_from((const char *const[]){second, first}, 2, &result, 4096);
	check_identity(&result);
	assert_int_equal(result.skipped[SKIP_UNPARSED], 2);
	assert_int_equal(result.log_records, whole.log_records + 1);
	assert_int_equal(result.statements + 1, whole.statements);
	assert_int_equal(result.first_ns, whole.first_ns);
	struct loaded loaded;
	load(&loaded);
	check_sessions(&loaded);
	unload(&loaded);
	(void)unlink(first);
	(void)unlink(second);
	free(first);
	free(second);
}

/* The line and file of an item lead back to its record. */
static void test_lines(void **state)
{
	(void)state;
	struct create_replay_result result;
	create_from((const char *const[]){DATA "statement_all.csv"}, 1, &result, 0);
	struct loaded loaded;
	load(&loaded);
	struct item item = find_one(&loaded, "ROLLBACK");
	assert_string_equal(replay_file_source(loaded.file, item.source_file), DATA "statement_all.csv");
	FILE *in = fopen(DATA "statement_all.csv", "r");
	char *line = NULL;
	size_t capacity = 0;
	for (uint64_t i = 0; i < item.source_line; i++)
		assert_true(getline(&line, &capacity, in) > 0);
	assert_non_null(strstr(line, "statement: ROLLBACK"));
	free(line);
	(void)fclose(in);
	unload(&loaded);
}

static void test_filters(void **state)
{
	(void)state;
	struct create_replay_result result;
	const char *log = DATA "statement_all.csv";
	const char *include = "pgbench_(accounts|tellers)";
	const char *exclude = "^(SELECT|select)";
	struct create_replay_options options = {.logs = &log,
						.log_count = 1,
						.output = output,
						.filter = {.include = {&include, 1}, .exclude = {&exclude, 1}},
						.source_host = "db.example:5432"};
	struct error err = ERROR_INIT;
	assert_int_equal(create_replay(&options, &result, NULL, &err), 0);
	check_identity(&result);
	/* 2 * 12 transactions of an update of each */
	assert_int_equal(result.statements, 48);
	struct loaded loaded;
	load(&loaded);
	assert_string_equal(json_string_value(json_object_get(replay_file_capture(loaded.file), "source_host")),
			    "db.example:5432");
	unload(&loaded);
	include = "(";
	assert_int_equal(create_replay(&options, &result, NULL, &err), -ERR_USAGE);
	struct create_replay_options onto = {.logs = &log, .log_count = 1, .output = log};
	assert_int_equal(create_replay(&onto, &result, NULL, &err), -ERR_USAGE);
	include = "nothing like it";
	assert_int_equal(create_replay(&options, &result, NULL, &err), -ERR_DATA);
	assert_non_null(strstr(err.text, "include"));
}

/* ---- bad input ---- */

static void refuse(const char *content, size_t len, const char *zone, int code, const char *expected)
{
	char *path = mem_printf("%s/bad.csv", folder);
	(void)unlink(output);
	if (content) {
		FILE *out = fopen(path, "w");
		assert_int_equal(fwrite(content, 1, len, out), len);
		(void)fclose(out);
	}
	const char *log = path;
	struct create_replay_options options = {.logs = &log, .log_count = 1, .output = output, .log_timezone = zone};
	struct create_replay_result result;
	struct error err = ERROR_INIT;
	assert_int_equal(create_replay(&options, &result, NULL, &err), -code);
	if (!strstr(err.text, expected))
		fail_msg("\"%s\" is not in \"%s\"", expected, err.text);
	assert_null(strchr(err.text, '\n'));
	assert_int_equal(access(output, F_OK), -1);
	(void)unlink(path);
	free(path);
}

#define RECORD(stamp, message)                                                                        \
	stamp ",\"u\",\"d\",7,\"[local]\",65f00000.7,1,\"idle\"," stamp ",1/1,0,LOG,00000,\"" message \
	      "\",,,,,,,,,\"app\"\n"

static void test_bad_input(void **state)
{
	(void)state;
	refuse(NULL, 0, NULL, ERR_DATA, "bad.csv");
	refuse("", 0, NULL, ERR_DATA, "bad.csv: is empty");
	refuse("a,b,c\nd\n", 8, NULL, ERR_DATA,
	       "bad.csv:1: is no PostgreSQL log record: neither csvlog nor jsonlog nor stderr with a usual prefix");
	static const char none[] = RECORD("2026-11-21 20:08:01.123 UTC", "hello");
	refuse(none, sizeof(none) - 1, NULL, ERR_DATA,
	       "none of 1 records is a statement; the log needs log_statement=all or log_min_duration_statement=0");
	static const char cet[] = "\n" RECORD("2026-11-21 20:08:01.123 CET", "statement: SELECT 1");
	refuse(cet, sizeof(cet) - 1, NULL, ERR_DATA, "bad.csv:2: time zone CET names no offset");
	refuse(cet, sizeof(cet) - 1, "Europe/Nowhere", ERR_USAGE, "Europe/Nowhere is no time zone");
	refuse(cet, sizeof(cet) - 1, "America/New_York", ERR_DATA, "time zone CET does not occur in America/New_York");
}

static void test_time_zones(void **state)
{
	(void)state;
	static const struct {
		const char *stamp, *zone;
		int64_t seconds;
	} cases[] = {
		{"2026-11-21 20:08:01.500 UTC", NULL, 1795291681},
		{"2026-11-21 20:08:01.500 -03", NULL, 1795291681 + 3 * 3600},
		{"2026-11-21 20:08:01.500 +0530", NULL, 1795291681 - 19800},
		{"2026-11-21 20:08:01.500 CET", "Europe/Berlin", 1795291681 - 3600},
		/* the hour that comes twice */
		{"2026-10-25 02:30:00.500 CEST", "Europe/Berlin", 1792888200},
		{"2026-10-25 02:30:00.500 CET", "Europe/Berlin", 1792888200 + 3600},
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		struct log_zone *zone;
		struct error err = ERROR_INIT;
		int64_t ns = 0;
		assert_int_equal(log_zone_open(cases[i].zone, &zone, &err), 0);
		assert_int_equal(log_zone_parse(zone, span_from_str(cases[i].stamp), &ns, &err), 0);
		assert_int_equal(ns, cases[i].seconds * 1000000000 + 500000000);
		log_zone_free(zone);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_counts),	cmocka_unit_test(test_statement_all), cmocka_unit_test(test_durations),
		cmocka_unit_test(test_triple),	cmocka_unit_test(test_cut_files),     cmocka_unit_test(test_lines),
		cmocka_unit_test(test_filters), cmocka_unit_test(test_bad_input),     cmocka_unit_test(test_time_zones),
	};
	return cmocka_run_group_tests(tests, set_up, tear_down);
}
