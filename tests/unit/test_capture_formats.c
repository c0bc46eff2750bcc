/*
 * One run of a server, logged as csvlog, jsonlog and stderr at once (data/capture/trio_*, make_logs.py), must give the
 * same items whichever of the three is read; and what single lines of stderr and jsonlog logs mean.
 */
#include "create_replay.h"
#include "json_file.h"
#include "log_line_prefix.h"
#include "log_reader.h"
#include "mem.h"
#include "pg_jsonlog.h"
#include "pg_stderr.h"
#include "replay_file.h"
#include "sqlstate.h"

#include <setjmp.h>
#include <stdarg.h>
#include <unistd.h>

#include <cmocka.h>

#define DATA   TEST_DATA_DIR "/capture/"
#define RDS    "%t:%r:%u@%d:[%p]:"
#define AURORA "%m:%r:%u@%d:[%p]:%l:%e:%s:%v:%x:%c:%q%a"
#define PADDED "%n|%-12u|%10d|%-6p|%-18a|%i|%h|%b|%e|%Q|%%|%q%c> "

static char folder[] = "/tmp/test_formats.XXXXXX";
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
	return rmdir(folder);
}

static json_t *capture(const char *log, const char *prefix, struct create_replay_result *result)
{
	struct create_replay_options options = {
		.logs = &log, .log_count = 1, .output = output, .log_line_prefix = prefix};
	struct error err = ERROR_INIT;
	if (create_replay(&options, result, NULL, &err) != 0)
		fail_msg("%s", err.text);
	return create_replay_result_json(result, NULL);
}

static void same_numbers(const char *log, json_t *expected, json_t *got)
{
	static const char *const keys[] = {"log_records", "sessions", "statements", "items", "inferred", "skipped"};
	for (size_t i = 0; i < sizeof(keys) / sizeof(*keys); i++) {
		json_t *a = json_object_get(expected, keys[i]);
		json_t *b = json_object_get(got, keys[i]);
		char *left = json_dumps(a, JSON_SORT_KEYS | JSON_ENCODE_ANY);
		char *right = json_dumps(b, JSON_SORT_KEYS | JSON_ENCODE_ANY);
		if (!json_equal(a, b))
			fail_msg("%s: %s\n%s\n%s", log, keys[i], left, right);
		free(left);
		free(right);
	}
}

static void add_value(struct strbuf *out, struct span value)
{
	if (!value.p) {
		strbuf_add_str(out, " NULL");
		return;
	}
	strbuf_add_str(out, " '");
	strbuf_add(out, value.p, value.len);
	strbuf_add_str(out, "'");
}

/* All items of the output, session by session, as text: kinds, texts, names, values, errors; who they are. */
static void describe(struct strbuf *out, bool with_codes)
{
	struct error err = ERROR_INIT;
	struct replay_file *file;
	struct replay_batch batch;
	assert_int_equal(replay_file_open(output, &file, &err), 0);
	replay_batch_init(&batch);
	assert_int_equal(replay_file_read_batch(file, 0, &batch, &err), 0);
	strbuf_clear(out);
	for (uint32_t row = 0; row < replay_file_session_count(file); row++) {
		const struct replay_session *session = replay_file_session(file, row);
		strbuf_addf(out, "session %.*s %.*s %.*s\n", (int)session->user.len, session->user.p,
			    (int)session->database.len, session->database.p, (int)session->client.len,
			    session->client.p);
		for (uint32_t i = 0; i < batch.count; i++) {
			const struct item *item = &batch.items[i];
			char code[SQLSTATE_TEXT_MAX];
			if (item->session != row)
				continue;
			sqlstate_unpack(item->sqlstate, code);
			strbuf_addf(out, "%s %s ", item_kind_name(item->kind),
				    with_codes ? code
				    : *code    ? "error"
					       : "");
			if (item->kind == ITEM_SIMPLE || item->kind == ITEM_EXECUTE)
				replay_item_sql(file, item, out);
			add_value(out, item->statement_name);
			for (uint32_t n = 0; n < item->parameter_count; n++)
				add_value(out, item->parameters[n]);
			strbuf_add_str(out, "\n");
		}
	}
	replay_batch_release(&batch);
	replay_file_free(file);
}

static void test_trio(void **state)
{
	(void)state;
	static const struct {
		const char *name;
		const char *prefix;
		bool codes;
		double uncertainty_ms;
	} runs[] = {{"trio_rds", NULL, false, 1000},
		    {"trio_aurora", NULL, true, 1},
		    {"trio_debian", NULL, true, 1},
		    {"trio_padded", PADDED, true, 1}};
	struct strbuf csv, other;
	strbuf_init(&csv, 10000000);
	strbuf_init(&other, 10000000);
	for (size_t i = 0; i < sizeof(runs) / sizeof(*runs); i++) {
		struct create_replay_result result;
		char *name = mem_printf(DATA "%s.csv", runs[i].name);
		json_t *expected = capture(name, NULL, &result);
		describe(&csv, true);
		free(name);
		name = mem_printf(DATA "%s.json", runs[i].name);
		json_t *got = capture(name, NULL, &result);
		same_numbers(name, expected, got);
		describe(&other, true);
		assert_string_equal(csv.data, other.data);
		json_decref(got);
		free(name);
		name = mem_printf(DATA "%s.log", runs[i].name);
		got = capture(name, runs[i].prefix, &result);
		same_numbers(name, expected, got);
		describe(&other, runs[i].codes);
		if (!runs[i].codes) {
			char *json = mem_printf(DATA "%s.json", runs[i].name);
			json_decref(capture(json, NULL, &result));
			describe(&csv, false);
			free(json);
		}
		if (strcmp(csv.data, other.data) != 0) {
			size_t at = 0;
			while (csv.data[at] == other.data[at])
				at++;
			fail_msg("%s differs:\n%.300s\n---\n%.300s", name, csv.data + at, other.data + at);
		}
		double uncertainty_ms = json_real_value(json_object_get(got, "time_uncertainty_ms"));
		assert_true(uncertainty_ms == runs[i].uncertainty_ms);
		json_decref(got);
		json_decref(expected);
		free(name);
	}
	strbuf_release(&csv);
	strbuf_release(&other);
}

/* ---- prefixes ---- */

static void expect_field(const struct prefix_match *match, char escape, const char *expected)
{
	struct span got = prefix_field(match, escape);
	if (!span_equal_str(got, expected))
		fail_msg("%%%c is '%.*s', expected '%s'", escape, (int)got.len, got.p ? got.p : "", expected);
}

static void match_line(const char *prefix_text, const char *line, struct prefix_match *match,
		       struct prefix_names *names)
{
	struct error err = ERROR_INIT;
	/* the match points into the line alone */
	struct log_line_prefix prefix;
	if (log_line_prefix_init(&prefix, prefix_text, &err) != 0)
		fail_msg("%s", err.text);
	if (!log_line_prefix_match(&prefix, names, span_from_str(line), match))
		fail_msg("no match: %s", line);
}

static void test_prefixes(void **state)
{
	(void)state;
	struct prefix_names names = {.count = 0};
	struct prefix_match m;
	match_line(RDS, "2026-11-21 20:08:01 UTC:10.0.0.1(5432):u@d:[77]:LOG:  x", &m, &names);
	expect_field(&m, 'r', "10.0.0.1(5432)");
	expect_field(&m, 'p', "77");
	assert_true(m.known && !m.secondary);
	match_line(RDS, "2026-11-21 20:08:01 +03:fe80::1(5432):u:v@d:[x]:[77]:DETAIL:  x", &m, &names);
	expect_field(&m, 'r', "fe80::1(5432)");
	expect_field(&m, 'u', "u:v");
	expect_field(&m, 'd', "d:[x]");
	assert_true(m.secondary);
	match_line(RDS, "2026-11-21 20:08:01 UTC::@:[77]:LOG:  x", &m, &names);
	expect_field(&m, 'u', "");
	/* a process without a client stops at %q */
	match_line("%m [%p] %q%u@%d ", "2026-11-21 20:08:01.123 CET [77] LOG:  x", &m, &names);
	assert_null(prefix_field(&m, 'u').p);
	match_line("%m [%p] %q%u@%d ", "2026-11-21 20:08:01.123 CET [77] a b@[c] d LOG:  x", &m, &names);
	expect_field(&m, 'u', "a b");
	expect_field(&m, 'd', "[c] d");
	/* names that the prefix alone would cut wrongly */
	prefix_names_learn(&names, span_from_str("a@b"));
	match_line("%m [%p] %q%u@%d ", "2026-11-21 20:08:01.123 CET [77] a@b@c LOG:  x", &m, &names);
	expect_field(&m, 'u', "a@b");
	match_line("%t %-6u|%6d|%p ", "2026-11-21 20:08:01 UTC ab    |    cd|7 FATAL:  x", &m, &names);
	expect_field(&m, 'u', "ab");
	expect_field(&m, 'd', "cd");
	/* log_hostname; a host's name with dashes */
	match_line(RDS, "2026-11-21 20:08:01 UTC:ip-10-0-0-1.ec2.internal(99):u@d:[7]:LOG:  x", &m, &names);
	expect_field(&m, 'r', "ip-10-0-0-1.ec2.internal(99)");
	match_line("%t-%c-", "2026-11-21 20:08:01 UTC-65f0c1d2.1a23-FEHLER:  x", &m, &names);
	expect_field(&m, 'c', "65f0c1d2.1a23");
	assert_false(m.known);
	struct log_line_prefix prefix;
	struct error err = ERROR_INIT;
	assert_int_equal(log_line_prefix_init(&prefix, "%u@%d ", &err), -ERR_USAGE);
	assert_int_equal(log_line_prefix_init(&prefix, "%m %u ", &err), -ERR_USAGE);
	assert_int_equal(log_line_prefix_init(&prefix, "%m [%p] ", &err), 0);
	assert_false(log_line_prefix_match(&prefix, &names, span_from_str("2026-11-21 20:08:01.1 UTC [7] text"), &m));
	assert_false(
		log_line_prefix_match(&prefix, &names, span_from_str("\t2026-11-21 20:08:01.1 UTC [7] LOG:  x"), &m));
	prefix_names_release(&names);
}

/* ---- records ---- */

/* What a log reads as: "message|detail|context|query@line" for a record, "-@line" for damage. */
static void read_all(const struct log_format *format, const char *content, size_t len, struct strbuf *out)
{
	char path[] = "/tmp/test_formats_log.XXXXXX";
	int fd = mkstemp(path);
	assert_int_equal(write(fd, content, len), len);
	(void)close(fd);
	struct error err = ERROR_INIT;
	struct log_zone *zone;
	struct log_reader *reader;
	assert_int_equal(log_zone_open(NULL, &zone, &err), 0);
	assert_int_equal(log_reader_open(path, 0, format, zone, &reader, &err), 0);
	strbuf_clear(out);
	for (;;) {
		const struct log_record *record;
		int rc = log_reader_next(reader, &record, &err);
		if (rc < 0)
			fail_msg("%s", err.text);
		if (rc == LOG_READ_END)
			break;
		if (rc == LOG_READ_RECORD)
			strbuf_addf(out, "%.*s|%.*s|%.*s|%.*s", (int)record->message.len, record->message.p,
				    (int)record->detail.len, record->detail.p, (int)record->context.len,
				    record->context.p, (int)record->query.len, record->query.p);
		else
			strbuf_add_str(out, "-");
		strbuf_addf(out, "@%llu ", (unsigned long long)record->line);
	}
	log_reader_free(reader);
	log_zone_free(zone);
	(void)unlink(path);
}

static void expect(const struct log_format *format, const char *content, const char *expected)
{
	struct strbuf got;
	strbuf_init(&got, 65536);
	read_all(format, content, strlen(content), &got);
	if (strcmp(got.data, expected) != 0)
		fail_msg("%s\ngot      %s\nexpected %s", content, got.data, expected);
	strbuf_release(&got);
}

#define P "2026-11-21 20:08:01 UTC:10.0.0.1(5):u@d:[7]:"
#define Q "2026-11-21 20:08:01 UTC:10.0.0.1(6):u@d:[8]:"

static void test_stderr_records(void **state)
{
	(void)state;
	struct error err = ERROR_INIT;
	struct log_format *rds;
	assert_int_equal(pg_stderr_new(RDS, &rds, &err), 0);
	expect(rds, P "LOG:  a\n" P "LOG:  b", "a|||@1 b|||@2 ");
	expect(rds, P "LOG:  a\n\tb\n\t\tc\n\t\n" P "DETAIL:  d\n\te\n" P "LOG:  f\n", "a\nb\n\tc\n|d\ne||@1 f|||@7 ");
	expect(rds, P "ERROR:  a at character 12\n" P "CONTEXT:  c\n" P "STATEMENT:  s\n", "a||c|s@1 ");
	/* somebody else's DETAIL, and lines that nobody wrote under the prefix */
	expect(rds, P "LOG:  a\n" Q "DETAIL:  d\n" Q "LOG:  b\n", "a|||@1 -@2 b|||@3 ");
	expect(rds, "\tof a record\n" P "STATEMENT:  s\n" P "LOG:  a\nout of memory\nand so on\n" P "LOG:  b\n",
	       "-@1 a|||@3 -@4 b|||@6 ");
	/* a whole line inside a literal follows a tab */
	expect(rds, P "LOG:  statement: SELECT '\n\t" P "LOG:  statement: DROP'\n" P "LOG:  b\n",
	       "statement: SELECT '\n" P "LOG:  statement: DROP'|||@1 b|||@3 ");
	/* log_error_verbosity=verbose is told by the LOCATION */
	expect(rds, P "ERROR:  42P01: a\n" P "LOCATION:  f, x.c:1\n" P "ERROR:  42P01: a\n", "a|||@1 42P01: a|||@3 ");
	expect(rds, P "LOG:  a\r\n" P "LOG:  b\r\n", "a|||@1 b|||@2 ");
	pg_stderr_free(rds);
}

/* The records of one second lie in it, in their order. */
static void test_spread(void **state)
{
	(void)state;
	struct error err = ERROR_INIT;
	struct log_format *rds;
	struct log_zone *zone;
	assert_int_equal(pg_stderr_new(RDS, &rds, &err), 0);
	assert_int_equal(log_zone_open(NULL, &zone, &err), 0);
	char text[] = P "LOG:  a\n" P "DETAIL:  d\n" Q "LOG:  b\n" P "LOG:  c\n" P "LOG:  d\n"
			"2026-11-21 20:08:02 UTC:10.0.0.1(6):u@d:[8]:LOG:  e\n";
	struct log_parser *parser = rds->open(rds, zone);
	static const int64_t expected_ms[] = {1125, 1375, 1625, 1875, 2500};
	size_t at = 0;
	for (size_t i = 0; i < 5; i++) {
		struct log_record record = {0};
		size_t used = 0;
		assert_int_equal(rds->scan(parser, text + at, sizeof(text) - 1 - at, true, &used, &record, &err),
				 LOG_SCAN_RECORD);
		assert_int_equal(record.time_ns / 1000000 - 1795291680000, expected_ms[i]);
		at += used;
	}
	rds->free(parser);
	log_zone_free(zone);
	pg_stderr_free(rds);
}

static void test_sqlstates(void **state)
{
	(void)state;
	struct span none = {"", 0};
	assert_string_equal(pg_stderr_guess_sqlstate(span_from_str("division by zero"), none), "22012");
	assert_string_equal(pg_stderr_guess_sqlstate(span_from_str("my own words"), none), "");
	assert_string_equal(pg_stderr_guess_sqlstate(span_from_str("deadlock detected"),
						     span_from_str("PL/pgSQL function f() line 1 at RAISE")),
			    "");
}

#define J                                           \
	"{\"timestamp\":\"2026-11-21 20:08:01.123 " \
	"UTC\",\"pid\":7,\"session_id\":\"65f0.7\",\"error_severity\":\"LOG\","

static void test_jsonlog_records(void **state)
{
	(void)state;
	const struct log_format *json = &pg_jsonlog_format;
	expect(json, J "\"message\":\"a\"}\n" J "\"message\":\"b\"}", "a|||@1 b|||@2 ");
	expect(json,
	       J "\"message\":\"a\\n\\\"\\\\\\/\\b\\f\\r\\t\\u0041\\u00e9\\ud83d\\ude00\\ud83d\"}\n" J
		 "\"message\":\"b\"}\n",
	       "a\n\"\\/\b\f\r\tA\xc3\xa9\xf0\x9f\x98\x80\xef\xbf\xbd|||@1 b|||@2 ");
	expect(json, J "\"message\":\"a\",\"new\":[1,{\"x\":[]}],\"detail\":\"d\",\"statement\":\"s\"} \n",
	       "a|d||s@1 ");
	expect(json,
	       "x\"}\nmore\n" J "\"message\":\"a\"}\n{\"message\":\"cut\n" J "\"message\":\"b\"} x\n" J
	       "\"message\":\"c\"}\n",
	       "-@1 a|||@3 -@4 -@5 c|||@6 ");
	/* CloudNativePG */
	expect(json,
	       "{\"level\":\"info\",\"ts\":1.5,\"logger\":\"postgres\",\"msg\":\"record\",\"record\":{\"log_time\":"
	       "\"2026-11-21 20:08:01.123 "
	       "UTC\",\"user_name\":\"u\",\"process_id\":\"7\",\"connection_from\":\"10.0.0.1:5\","
	       "\"session_id\":\"65f0.7\",\"error_severity\":\"LOG\",\"message\":\"a\",\"query\":\"q\"},\"logging_"
	       "pod\":\"p\"}\n"
	       "{\"level\":\"info\",\"ts\":\"2026-11-21T20:08:02.5Z\",\"logger\":\"instance-manager\",\"msg\":\"said\"}"
	       "\n",
	       "a|||q@1 |||@2 ");
}

static void refuse_language(const char *text)
{
	char *path = mem_printf("%s/log", folder);
	FILE *log = fopen(path, "w");
	assert_non_null(log);
	(void)fputs(text, log);
	(void)fclose(log);
	const char *name = path;
	struct create_replay_options options = {.logs = &name, .log_count = 1, .output = output};
	struct create_replay_result result;
	struct error err = ERROR_INIT;
	assert_int_equal(create_replay(&options, &result, NULL, &err), -ERR_DATA);
	if (!strstr(err.text, "not in English"))
		fail_msg("%s", err.text);
	(void)unlink(path);
	free(path);
}

/* Servers that do not speak English: said, not guessed. */
static void test_other_languages(void **state)
{
	(void)state;
	refuse_language("2026-11-21 20:08:01.100 UTC [7] u@d LOG:  Anweisung: SELECT 1\n");
	refuse_language("2026-11-21 20:08:01.100 UTC [7] u@d LOG:  durée : 0.1 ms, instruction : SELECT 1\n"
			"2026-11-21 20:08:01.200 UTC [7] u@d ERREUR:  division par zéro\n"
			"2026-11-21 20:08:01.200 UTC [7] u@d INSTRUCTION :  SELECT 1/0\n");
	refuse_language("2026-11-21 20:08:01.100 UTC [7] u@d СООБЩЕНИЕ:  оператор: SELECT 1\n");
	refuse_language(J "\"user\":\"u\",\"message\":\"sentencia: SELECT 1\"}\n");
}

/* pgaudit's records, of which there is no server here: known by their beginning, no statements. */
static void test_pgaudit(void **state)
{
	(void)state;
	char *path = mem_printf("%s/log", folder);
	FILE *log = fopen(path, "w");
	assert_non_null(log);
	(void)fputs(J "\"user\":\"u\",\"message\":\"AUDIT: SESSION,1,1,WRITE,INSERT,,,insert into t values ($1),<not "
		      "logged>\"}\n" J "\"user\":\"u\",\"message\":\"statement: SELECT 1\"}\n",
		    log);
	(void)fclose(log);
	struct create_replay_result result;
	json_decref(capture(path, NULL, &result));
	assert_int_equal(result.statements, 1);
	assert_int_equal(result.skipped[SKIP_PGAUDIT], 1);
	(void)unlink(path);
	free(path);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_trio),
		cmocka_unit_test(test_prefixes),
		cmocka_unit_test(test_stderr_records),
		cmocka_unit_test(test_spread),
		cmocka_unit_test(test_sqlstates),
		cmocka_unit_test(test_jsonlog_records),
		cmocka_unit_test(test_other_languages),
		cmocka_unit_test(test_pgaudit),
	};
	return cmocka_run_group_tests(tests, set_up, tear_down);
}
