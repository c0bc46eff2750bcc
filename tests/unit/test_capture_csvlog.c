/* The csvlog reader and damage: what is lost, what is counted, at which line it begins again. */
#include "log_reader.h"
#include "mem.h"
#include "pg_csvlog.h"
#include "strbuf.h"

#include <setjmp.h>
#include <stdarg.h>
#include <unistd.h>

#include <cmocka.h>

#define STAMP "2026-11-21 20:08:01.123 UTC"
#define HEAD  STAMP ",\"u\",\"d\",7,\"[local]\",65f00000.7,1,\"idle\"," STAMP ",1/1,0,LOG,00000,"
#define TAIL  ",,,,,,,,,\"app\""

/* What a log reads as: "message@line" for a record, "-@line" for damage, one blank between. */
static void read_all(const char *content, size_t len, struct strbuf *out)
{
	char path[] = "/tmp/test_csvlog.XXXXXX";
	int fd = mkstemp(path);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, content, len), len);
	(void)close(fd);
	struct error err = ERROR_INIT;
	struct log_zone *zone;
	struct log_reader *reader;
	assert_int_equal(log_zone_open(NULL, &zone, &err), 0);
	assert_int_equal(log_reader_open(path, 3, &pg_csvlog_format, zone, &reader, &err), 0);
	strbuf_clear(out);
	for (;;) {
		const struct log_record *record;
		int rc = log_reader_next(reader, &record, &err);
		if (rc < 0)
			fail_msg("%s", err.text);
		if (rc == LOG_READ_END)
			break;
		assert_int_equal(record->file, 3);
		size_t shown = record->message.len > 40 ? 40 : record->message.len;
		if (rc == LOG_READ_RECORD)
			strbuf_add(out, record->message.p, shown);
		else
			strbuf_add_str(out, "-");
		strbuf_addf(out, "@%llu ", (unsigned long long)record->line);
	}
	log_reader_free(reader);
	log_zone_free(zone);
	(void)unlink(path);
}

static void expect(const char *content, size_t len, const char *expected)
{
	struct strbuf got;
	strbuf_init(&got, 65536);
	read_all(content, len, &got);
	if (strcmp(got.data, expected) != 0)
		fail_msg("%s\ngot      %s\nexpected %s", content, got.data, expected);
	strbuf_release(&got);
}

#define EXPECT(content, expected) expect(content, sizeof(content) - 1, expected)
#define RECORD(message)		  HEAD "\"" message "\"" TAIL "\n"

static void test_records(void **state)
{
	(void)state;
	EXPECT(RECORD("a") RECORD("b"), "a@1 b@2 ");
	EXPECT(RECORD("two\nlines \"\"quoted\"\"") RECORD("b"), "two\nlines \"quoted\"@1 b@3 ");
	EXPECT(RECORD("\"\"\n\"\"\n") RECORD("b"), "\"\n\"\n@1 b@4 ");
	EXPECT(HEAD "bare" TAIL "\r\n" RECORD("b"), "bare@1 b@2 ");
	EXPECT("\n\n" RECORD("a") "\n\0\0" RECORD("b"), "a@3 b@5 ");
	EXPECT(RECORD("a") HEAD "\"no line end\"" TAIL, "a@1 no line end@2 ");
	/* more columns than any version has */
	EXPECT(HEAD "\"a\"" TAIL ",,,,\"new\",,7\n" RECORD("b"), "a@1 b@2 ");
}

static void test_cut(void **state)
{
	(void)state;
	EXPECT("of a record\",,,\n" RECORD("a"), "-@1 a@2 ");
	EXPECT("of a\nliteral\",,\"x\ny\",,\n" RECORD("a") RECORD("b"), "-@1 a@4 b@5 ");
	EXPECT(RECORD("a") HEAD "\"cut in its te", "a@1 -@2 ");
	EXPECT(RECORD("a") STAMP ",\"u\"", "a@1 -@2 ");
	EXPECT(RECORD("a") "2026", "a@1 -@2 ");
}

static void test_damage(void **state)
{
	(void)state;
	/* a closing quote is missing: what follows it is another record's */
	EXPECT(RECORD("a") HEAD "\"lost" TAIL "\n" RECORD("b") RECORD("c"), "a@1 -@2 b@3 c@4 ");
	EXPECT(RECORD("a") "a memory context dump\nof two lines\n" RECORD("b"), "a@1 -@2 b@4 ");
	EXPECT(RECORD("a") STAMP ",too,few\n" RECORD("b"), "a@1 -@2 b@3 ");
	/* what has the shape of a stamp, and is none */
	EXPECT("2026-13-41 20:08:01.123 UTC,,,7,,65f00000.7"
	       ",,,,,,,,,,,,,,,,,\n" RECORD("b"),
	       "-@1 b@2 ");
	EXPECT(STAMP ",,,pid,,65f00000.7"
		     ",,,,,,,,,,,,,,,,,\n" RECORD("b"),
	       "-@1 b@2 ");
}

/* A log line inside a literal stays there, also where the record around it lost its beginning. */
static void test_embedded(void **state)
{
	(void)state;
#define INSIDE                                                                   \
	STAMP ",\"\"u\"\",\"\"d\"\",7,\"\"[local]\"\",65f0.7,1,\"\"i\"\"," STAMP \
	      ",1/1,0,LOG,00000,\"\"x\"\",,,,,,,,,\"\"a\"\"\n"
	EXPECT(RECORD("a\n" INSIDE "b") RECORD("c"), "a\n" STAMP ",\"u\",\"d\",7,@1 c@4 ");
	EXPECT("lost its head\n" INSIDE "b\"" TAIL "\n" RECORD("c"), "-@1 c@4 ");
}

static void test_long_records(void **state)
{
	(void)state;
	struct strbuf log, got;
	strbuf_init(&log, 64 * 1024 * 1024);
	strbuf_init(&got, 65536);
	char *fill = mem_alloc(LOG_RECORD_MAX);
	memset(fill, 'x', LOG_RECORD_MAX);
	strbuf_add_str(&log, RECORD("a") HEAD "\"");
	strbuf_add(&log, fill, LOG_RECORD_MAX - 1000);
	strbuf_add_str(&log, "\"" TAIL "\n" HEAD "\"");
	strbuf_add(&log, fill, LOG_RECORD_MAX);
	strbuf_add_str(&log, "\n\n\"" TAIL "\n" RECORD("b"));
	read_all(log.data, log.len, &got);
	assert_string_equal(got.data, "a@1 xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx@2 -@3 b@6 ");
	free(fill);
	strbuf_release(&log);
	strbuf_release(&got);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_records),	 cmocka_unit_test(test_cut),	      cmocka_unit_test(test_damage),
		cmocka_unit_test(test_embedded), cmocka_unit_test(test_long_records),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
