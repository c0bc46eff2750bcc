/*
 * Many files, and a part of what they hold: overlaps, cuts, folders, a log in two formats, filters by time, session and
 * text; sessions that no id tells apart.
 */
#include "create_replay.h"
#include "mem.h"
#include "replay_file.h"

#include <setjmp.h>
#include <stdarg.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#define DATA TEST_DATA_DIR "/capture/"

static char folder[] = "/tmp/test_files.XXXXXX";
static char output[128];

static int set_up(void **state)
{
	(void)state;
	if (!mkdtemp(folder))
		return -1;
	(void)snprintf(output, sizeof(output), "%s.rpl", folder);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	(void)unlink(output);
	return rmdir(folder);
}

/* A file in the folder; the name is the caller's to remove and free. */
static char *put(const char *name, const char *content, size_t len)
{
	char *path = mem_printf("%s/%s", folder, name);
	FILE *file = fopen(path, "w");
	assert_non_null(file);
	assert_int_equal(fwrite(content, 1, len, file), len);
	assert_int_equal(fclose(file), 0);
	return path;
}

static void drop(char *path)
{
	(void)unlink(path);
	free(path);
}

static char *slurp(const char *path, size_t *len)
{
	FILE *file = fopen(path, "r");
	assert_non_null(file);
	char *text = mem_alloc(1024 * 1024);
	*len = fread(text, 1, 1024 * 1024 - 1, file);
	text[*len] = '\0';
	(void)fclose(file);
	return text;
}

static void create(struct create_replay_options *options, struct create_replay_result *result)
{
	struct error err = ERROR_INIT;
	options->output = output;
	if (create_replay(options, result, NULL, &err) != 0)
		fail_msg("%s", err.text);
	uint64_t sum = 0;
	for (int i = 0; i < ITEM_KIND_COUNT; i++)
		sum += result->items[i] - result->inferred[i];
	for (int i = 0; i < SKIP_REASON_COUNT; i++)
		sum += result->skipped[i];
	assert_int_equal(sum, result->log_records);
	sum = 0;
	for (int i = 0; i < FILTER_REASON_COUNT; i++)
		sum += result->filtered[i];
	assert_int_equal(sum, result->skipped[SKIP_FILTERED]);
}

static void create_from(const char *const *logs, size_t count, struct create_replay_result *result)
{
	struct create_replay_options options = {.logs = logs, .log_count = count};
	create(&options, result);
}

/* Two files that share the middle of a log, the second cut in a record: everything counts once. */
static void check_overlap(const char *log, uint64_t unparsed)
{
	size_t len;
	char *text = slurp(log, &len);
	struct create_replay_result whole, result;
	create_from(&log, 1, &whole);
	char *end = strchr(text + len * 2 / 3, '\n') + 1;
	char *first = put("first", text, (size_t)(end - text));
	char *start = strchr(text + len / 3, '\n') + 30;
	char *second = put("second", start, len - (size_t)(start - text));
	create_from((const char *const[]){second, first}, 2, &result);
	assert_int_equal(result.statements, whole.statements);
	assert_int_equal(result.sessions, whole.sessions);
	for (int i = 0; i < ITEM_KIND_COUNT; i++)
		assert_int_equal(result.items[i], whole.items[i]);
	assert_true(result.skipped[SKIP_DUPLICATE] > whole.log_records / 5);
	assert_int_equal(result.skipped[SKIP_UNPARSED], unparsed);
	assert_int_equal(result.log_records,
			 whole.log_records + result.skipped[SKIP_DUPLICATE] + result.skipped[SKIP_UNPARSED]);
	drop(first);
	drop(second);
	free(text);
}

static void test_overlaps(void **state)
{
	(void)state;
	check_overlap(DATA "trio_aurora.csv", 1);
	check_overlap(DATA "trio_aurora.json", 1);
	check_overlap(DATA "trio_aurora.log", 1);
	check_overlap(DATA "trio_rds.csv", 1);
	check_overlap(DATA "trio_rds.log", 1);
}

/* A file that begins in the middle of a record longer than what is looked at first, and an empty one beside it. */
static void test_long_beginning(void **state)
{
	(void)state;
	struct strbuf text;
	strbuf_init(&text, 1 << 24);
	for (int i = 0; i < 300000; i++)
		strbuf_add_char(&text, 'x');
	size_t len;
	char *log = slurp(DATA "trio_aurora.log", &len);
	strbuf_add_char(&text, '\n');
	strbuf_add(&text, log, len);
	char *first = put("first", text.data, text.len);
	char *second = put("second", "", 0);
	struct create_replay_result result;
	create_from((const char *const[]){first, second}, 2, &result);
	assert_int_equal(result.skipped[SKIP_UNPARSED], 1);
	assert_int_equal(result.statements, 251);
	drop(first);
	drop(second);
	free(log);
	strbuf_release(&text);
}

/* A log in all three formats, in a folder with other files: one of them is read. */
static void test_two_formats(void **state)
{
	(void)state;
	size_t len;
	struct create_replay_result whole, result;
	const char *log = DATA "trio_rds.csv";
	create_from(&log, 1, &whole);
	char *text = slurp(log, &len);
	char *csv = put("a.csv", text, len);
	free(text);
	text = slurp(DATA "trio_rds.log", &len);
	char *plain = put("a.log", text, len);
	char *readme = put("README", "words\n", 6);
	char *empty = put("empty.log", "", 0);
	const char *place = folder;
	create_from(&place, 1, &result);
	assert_int_equal(result.log_records, whole.log_records);
	assert_int_equal(result.items[ITEM_EXECUTE], whole.items[ITEM_EXECUTE]);
	/* files that do not begin together */
	char *middle = strchr(text + len / 2, '\n') + 1;
	drop(plain);
	plain = put("a.log", middle, strlen(middle));
	struct error err = ERROR_INIT;
	struct create_replay_options options = {.logs = &place, .log_count = 1, .output = output};
	assert_int_equal(create_replay(&options, &result, NULL, &err), -ERR_DATA);
	assert_non_null(strstr(err.text, "the same log in two formats"));
	drop(csv);
	drop(plain);
	drop(readme);
	drop(empty);
	free(text);
}

/* ---- filters ---- */

static void test_session_filters(void **state)
{
	(void)state;
	static const char *const shop = "shop";
	static const char *const odd = "o@d:d, [us\"er]";
	static const char *const pgbench = "pgbench";
	for (int format = 0; format < 2; format++) {
		const char *log = format ? DATA "trio_aurora.log" : DATA "trio_aurora.csv";
		struct create_replay_result all, result;
		create_from(&log, 1, &all);
		struct create_replay_options options = {
			.logs = &log, .log_count = 1, .filter.exclude_database = {&shop, 1}};
		create(&options, &result);
		/* of all the sessions one is in another database, and one in none */
		assert_int_equal(result.sessions, 2);
		assert_int_equal(result.statements, 2);
		assert_true(result.filtered[FILTER_DATABASE] > 0);
		options.filter = (struct log_filter_options){.user = {&odd, 1}};
		create(&options, &result);
		assert_int_equal(result.sessions, 1);
		assert_int_equal(result.items[ITEM_CONNECT], 1);
		assert_int_equal(result.items[ITEM_DISCONNECT], 1);
		assert_int_equal(result.items[ITEM_EXECUTE], 1);
		struct create_replay_result without;
		options.filter = (struct log_filter_options){.application = {&pgbench, 1}};
		create(&options, &result);
		options.filter = (struct log_filter_options){.exclude_application = {&pgbench, 1}};
		create(&options, &without);
		assert_true(result.statements > 100 && without.statements > 50);
		assert_int_equal(result.statements + without.statements, all.statements);
		assert_int_equal(result.sessions + without.sessions, all.sessions);
		options.filter = (struct log_filter_options){.read_only = true};
		create(&options, &result);
		assert_true(result.filtered[FILTER_READ_ONLY] > 80);
	}
}

static void test_time_filter(void **state)
{
	(void)state;
	const char *log = DATA "trio_aurora.csv";
	struct create_replay_result all, early, late;
	create_from(&log, 1, &all);
	struct create_replay_options options = {.logs = &log, .log_count = 1};
	options.filter.to = "2026-11-21T22:28:39.500Z";
	create(&options, &early);
	options.filter = (struct log_filter_options){.from = "2026-11-21 23:28:39.500+01:00"};
	create(&options, &late);
	assert_int_equal(early.statements + late.statements, all.statements);
	assert_true(early.statements > 0 && late.statements > 0);
	/* who was connected then is connected in both */
	assert_true(early.sessions + late.sessions > all.sessions);
	assert_true(late.inferred[ITEM_CONNECT] > 0 && early.inferred[ITEM_DISCONNECT] > 0);
	assert_true(late.first_ns >= early.last_ns);
	struct error err = ERROR_INIT;
	options.filter.from = "yesterday";
	assert_int_equal(create_replay(&options, &late, NULL, &err), -ERR_USAGE);
	options.filter.from = "2026-11-21T22:28:40Z";
	options.filter.to = "2026-11-21T22:28:39Z";
	assert_int_equal(create_replay(&options, &late, NULL, &err), -ERR_USAGE);
}

/* ---- sessions without ids ---- */

static void count_sessions(const char *text, int64_t idle_ns, uint64_t sessions, uint64_t statements)
{
	char *path = put("log", text, strlen(text));
	const char *log = path;
	struct create_replay_options options = {.logs = &log, .log_count = 1, .session_idle_ns = idle_ns};
	struct create_replay_result result;
	create(&options, &result);
	assert_int_equal(result.sessions, sessions);
	assert_int_equal(result.statements, statements);
	assert_int_equal(result.items[ITEM_CONNECT], sessions);
	assert_int_equal(result.items[ITEM_DISCONNECT], sessions);
	drop(path);
}

#define AT(time, rest) "2026-11-21 " time " UTC:" rest "\n"

static void test_without_ids(void **state)
{
	(void)state;
	static const char one[] = AT("20:00:00", "[local]:u@d:[7]:LOG:  statement: SELECT 1")
		AT("21:00:00", "[local]:u@d:[7]:LOG:  statement: SELECT 2");
	count_sessions(one, 0, 1, 2);
	count_sessions(one, 600 * INT64_C(1000000000), 2, 2);
	/* another port, another user */
	count_sessions(AT("20:00:00", "10.0.0.1(5):u@d:[7]:LOG:  statement: SELECT 1")
			       AT("20:00:01", "10.0.0.1(6):u@d:[7]:LOG:  statement: SELECT 2"),
		       0, 2, 2);
	count_sessions(AT("20:00:00", "[local]:u@d:[7]:LOG:  statement: SELECT 1")
			       AT("20:00:01", "[local]:v@d:[7]:LOG:  statement: SELECT 2"),
		       0, 2, 2);
	/* a new connection, with and without the end of the old one */
	static const char received[] =
		AT("20:00:02", "[local]:[unknown]@[unknown]:[7]:LOG:  connection received: host=[local]")
			AT("20:00:02", "[local]:u@d:[7]:LOG:  connection authorized: user=u database=d")
				AT("20:00:03", "[local]:u@d:[7]:LOG:  statement: SELECT 2");
	static const char before[] = AT("20:00:00", "[local]:u@d:[7]:LOG:  statement: SELECT 1");
	static const char gone[] =
		AT("20:00:01", "[local]:u@d:[7]:LOG:  disconnection: session time: 0:00:00.010 user=u "
			       "database=d host=[local]");
	char *text = mem_printf("%s%s", before, received);
	count_sessions(text, 0, 2, 2);
	free(text);
	text = mem_printf("%s%s%s", before, gone, received);
	count_sessions(text, 0, 2, 2);
	free(text);
	text = mem_printf("%s%s%s", before, gone, before);
	count_sessions(text, 0, 2, 2);
	free(text);
}

/* A line that RDS has cut is no statement to replay. */
static void test_cut_lines(void **state)
{
	(void)state;
	static const char text[] = AT("20:00:00", "[local]:u@d:[7]:LOG:  statement: SELECT 1")
		AT("20:00:00",
		   "[local]:u@d:[7]:LOG:  statement: INSERT INTO t VALUES ('x [Your log message was truncated]");
	char *path = put("log", text, sizeof(text) - 1);
	struct create_replay_result result;
	create_from((const char *const[]){path}, 1, &result);
	assert_int_equal(result.statements, 1);
	assert_int_equal(result.skipped[SKIP_TRUNCATED], 1);
	char *example = mem_printf("%s:2", path);
	assert_string_equal(result.examples[SKIP_TRUNCATED], example);
	free(example);
	drop(path);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_overlaps),       cmocka_unit_test(test_two_formats),
		cmocka_unit_test(test_long_beginning), cmocka_unit_test(test_session_filters),
		cmocka_unit_test(test_time_filter),    cmocka_unit_test(test_without_ids),
		cmocka_unit_test(test_cut_lines),
	};
	return cmocka_run_group_tests(tests, set_up, tear_down);
}
