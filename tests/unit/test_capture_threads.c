/*
 * Threads and blocks never show: the same logs, read with any number of threads and cut into blocks of any size, down
 * to some bytes, give the same records at the same lines, and the same replay file byte for byte. Damage, multi-line
 * literals and log lines inside literals are in the logs, so that many cuts are wrong ones.
 */
#include "create_replay.h"
#include "json_file.h"
#include "log_reader.h"
#include "mem.h"
#include "pg_csvlog.h"
#include "pg_jsonlog.h"
#include "strbuf.h"
#include "temp_folder.h"
#include "text_table.h"

#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include <zlib.h>

#include <cmocka.h>

#define DATA TEST_DATA_DIR "/capture/"

static struct temp_folder folder;

#define STAMP "2026-11-21 20:08:01.123 UTC"
#define HEAD  STAMP ",\"u\",\"d\",7,\"[local]\",65f00000.7,1,\"idle\"," STAMP ",1/1,0,LOG,00000,"
#define TAIL  ",,,,,,,,,\"app\"\n"
/* As a literal holds it, with its quotes doubled: looks like the beginning of a record, and is none. */
#define INSIDE                                                                   \
	STAMP ",\"\"u\"\",\"\"d\"\",7,\"\"[local]\"\",65f0.7,1,\"\"i\"\"," STAMP \
	      ",1/1,0,LOG,00000,\"\"x\"\",,,,,,,,,\"\"a\"\"\n"

static const char odd_log[] =
	"the end of a record\",,,\n" HEAD "\"statement: SELECT 1\"" TAIL HEAD "\"statement: SELECT '\n" INSIDE INSIDE
	"' AS \"\"q\"\"\"" TAIL "\n\n" HEAD "\"statement: SELECT 2" TAIL HEAD "\"statement: SELECT 3\"" TAIL
	"a memory context dump\nof two lines\n" HEAD "\"execute <unnamed>: SELECT $1\",\"parameters: $1 = 'a\nb'\"" TAIL
	"\0\0\0\n" HEAD "\"statement: UPDATE t SET a = 'x\n\n\ny', b = 1.5\"" TAIL HEAD
	"\"statement: SELECT 4\"" TAIL HEAD "\"cut in its te";

static void write_file(const char *path, const char *bytes, size_t len)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, bytes, len), (ssize_t)len);
	(void)close(fd);
}

static struct strbuf read_file(const char *path)
{
	struct strbuf out;
	char buffer[65536];
	ssize_t got;
	int fd = open(path, O_RDONLY);
	assert_true(fd >= 0);
	strbuf_init(&out, (size_t)256 * 1024 * 1024);
	while ((got = read(fd, buffer, sizeof(buffer))) > 0)
		strbuf_add(&out, buffer, (size_t)got);
	(void)close(fd);
	return out;
}

/* Everything that is read of a log, as text. threads 0: the reader without threads. */
static struct strbuf describe(const char *path, unsigned threads, size_t block_bytes)
{
	struct error err = ERROR_INIT;
	struct log_zone *zone;
	struct log_reader *reader;
	struct strbuf out;
	strbuf_init(&out, (size_t)64 * 1024 * 1024);
	assert_int_equal(log_zone_open(NULL, &zone, &err), 0);
	const struct log_format *format = strstr(path, ".json") ? &pg_jsonlog_format : &pg_csvlog_format;
	assert_int_equal(log_reader_open(path, 3, format, zone, &reader, &err), 0);
	if (threads > 0)
		log_reader_use_threads(reader, threads, block_bytes);
	for (;;) {
		const struct log_record *record;
		int rc = log_reader_next(reader, &record, &err);
		if (rc < 0)
			strbuf_add_str(&out, err.text);
		else if (rc == LOG_READ_END)
			strbuf_addf(&out, "%lld bytes\n", (long long)log_reader_text_bytes(reader));
		if (rc <= 0)
			break;
		strbuf_addf(&out, "%d %u:%llu ", rc, record->file, (unsigned long long)record->line);
		if (rc == LOG_READ_RECORD) {
			strbuf_addf(&out, "%lld %u ", (long long)record->time_ns, record->pid);
			strbuf_add(&out, record->message.p, record->message.len);
			strbuf_add_char(&out, '|');
			strbuf_add(&out, record->detail.p, record->detail.len);
			strbuf_add_char(&out, '|');
			strbuf_add(&out, record->query.p, record->query.len);
		}
		strbuf_add_char(&out, '\n');
	}
	log_reader_free(reader);
	log_zone_free(zone);
	return out;
}

static void expect_same_records(const char *path, unsigned threads, size_t block_bytes, const struct strbuf *expected)
{
	struct strbuf got = describe(path, threads, block_bytes);
	size_t same = 0;
	size_t line = 0; /* where the first line that differs begins */
	while (same < got.len && same < expected->len && got.data[same] == expected->data[same]) {
		if (got.data[same++] == '\n')
			line = same;
	}
	if (same < got.len || same < expected->len)
		fail_msg("%s, %u threads, blocks of %zu: got\n%.300s\nexpected\n%.300s", path, threads, block_bytes,
			 got.data + line, expected->data + line);
	strbuf_release(&got);
}

static void test_every_block_size(void **state)
{
	(void)state;
	const char *path = temp_folder_file(&folder, "odd.csv");
	write_file(path, odd_log, sizeof(odd_log) - 1);
	struct strbuf expected = describe(path, 0, 0);
	assert_non_null(strstr(expected.data, "UPDATE"));
	for (size_t block = 1; block < 700; block++)
		expect_same_records(path, 1 + (unsigned)(block % 3), block, &expected);
	expect_same_records(path, 4, sizeof(odd_log) - 1, &expected);
	expect_same_records(path, 4, 0, &expected);
	strbuf_release(&expected);
}

/* Logs of a real server. */
static void test_real_logs(void **state)
{
	(void)state;
	static const char *const logs[] = {DATA "statement_all.csv", DATA "min_duration.csv", DATA "all_duration.csv",
					   DATA "statement_all.v12.csv", DATA "trio_rds.json"};
	for (size_t i = 0; i < sizeof(logs) / sizeof(*logs); i++) {
		struct strbuf expected = describe(logs[i], 0, 0);
		for (size_t block = 300; block < 6000; block += 419)
			expect_same_records(logs[i], 2, block, &expected);
		strbuf_release(&expected);
	}
}

/* Damage at many places of a log. */
static void expect_same_when_hurt(const char *from, const char *to)
{
	struct strbuf log = read_file(from);
	const char *path = temp_folder_file(&folder, to);
	for (size_t n = 0; n < 40; n++) {
		struct strbuf hurt;
		strbuf_init(&hurt, log.len);
		strbuf_add(&hurt, log.data, log.len);
		for (size_t at = n * 37 + 11; at < hurt.len; at += 7919)
			hurt.data[at] = "\"\n,x"[(at + n) % 4];
		write_file(path, hurt.data, hurt.len);
		struct strbuf expected = describe(path, 0, 0);
		expect_same_records(path, 2, 1 + n * 97, &expected);
		expect_same_records(path, 3, 5000 + n * 997, &expected);
		strbuf_release(&expected);
		strbuf_release(&hurt);
	}
	strbuf_release(&log);
}

static void test_hurt_logs(void **state)
{
	(void)state;
	expect_same_when_hurt(DATA "statement_all.csv", "hurt.csv");
	expect_same_when_hurt(DATA "trio_rds.json", "hurt.json");
}

static void test_errors_are_the_same(void **state)
{
	(void)state;
	static const char *const logs[] = {"", "not a log\n", "a,b,c\n1,2,3\n"};
	for (size_t i = 0; i < sizeof(logs) / sizeof(*logs); i++) {
		const char *path = temp_folder_file(&folder, "foreign.csv");
		write_file(path, logs[i], strlen(logs[i]));
		struct strbuf expected = describe(path, 0, 0);
		for (size_t block = 1; block < 30; block++)
			expect_same_records(path, 2, block, &expected);
		strbuf_release(&expected);
	}
	/* a zone that nobody knows, in the middle */
	static const char zone[] = HEAD "\"a\"" TAIL "2026-11-21 20:08:01.123 XYZ,\"u\",\"d\",7,\"[local]\",65f00000.7,"
					"1,\"idle\"," STAMP ",1/1,0,LOG,00000,\"b\"" TAIL;
	const char *path = temp_folder_file(&folder, "zone.csv");
	write_file(path, zone, sizeof(zone) - 1);
	for (size_t block = 50; block < 500; block += 50) {
		struct strbuf got = describe(path, 2, block);
		assert_non_null(strstr(got.data, "zone.csv:2: time zone XYZ"));
		strbuf_release(&got);
	}
}

/* A gzip stream that is cut gives what was in it, and then the error. */
static void test_cut_gzip(void **state)
{
	(void)state;
	struct strbuf log = read_file(DATA "statement_all.csv");
	char path[512];
	(void)snprintf(path, sizeof(path), "%s", temp_folder_file(&folder, "cut.csv.gz"));
	gzFile gz = gzopen(path, "wb1");
	assert_int_equal(gzwrite(gz, log.data, (unsigned)log.len), (int)log.len);
	assert_int_equal(gzclose(gz), Z_OK);
	struct strbuf whole = describe(path, 0, 0);
	expect_same_records(path, 2, 4096, &whole);
	struct stat st;
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(truncate(path, st.st_size / 2), 0);
	struct strbuf got = describe(path, 2, 4096);
	assert_non_null(strstr(got.data, "cut off"));
	strbuf_release(&got);
	strbuf_release(&whole);
	strbuf_release(&log);
}

/* Whoever stops in the middle leaves no thread behind (the sanitizers would see it). */
static void test_stopped_early(void **state)
{
	(void)state;
	struct error err = ERROR_INIT;
	for (unsigned n = 0; n < 50; n++) {
		struct log_zone *zone;
		struct log_reader *reader;
		const struct log_record *record;
		assert_int_equal(log_zone_open(NULL, &zone, &err), 0);
		assert_int_equal(log_reader_open(DATA "statement_all.csv", 0, &pg_csvlog_format, zone, &reader, &err),
				 0);
		log_reader_use_threads(reader, 3, 2000);
		for (unsigned i = 0; i < n; i++)
			assert_int_equal(log_reader_next(reader, &record, &err), LOG_READ_RECORD);
		log_reader_free(reader);
		log_zone_free(zone);
	}
}

/* ---- the whole command ---- */

static int create(const char *log, const char *output, unsigned threads, size_t block_bytes, size_t sort_memory,
		  struct create_replay_result *result, struct error *err)
{
	struct create_replay_options options = {.logs = &log,
						.log_count = 1,
						.output = output,
						.threads = threads,
						.block_bytes = block_bytes,
						.sort_memory = sort_memory};
	return create_replay(&options, result, NULL, err);
}

static void test_same_file(void **state)
{
	(void)state;
	static const char *const logs[] = {DATA "statement_all.csv", DATA "min_duration.csv",
					   DATA "cut_parameters.csv"};
	struct error err = ERROR_INIT;
	struct create_replay_result first, again;
	char output[512];
	(void)snprintf(output, sizeof(output), "%s", temp_folder_file(&folder, "same.rpl"));
	for (size_t i = 0; i < sizeof(logs) / sizeof(*logs); i++) {
		assert_int_equal(create(logs[i], output, 1, 0, 0, &first, &err), 0);
		struct strbuf expected = read_file(output);
		for (unsigned threads = 1; threads <= 4; threads++) {
			for (size_t block = 0; block < 40000; block = block * 3 + 500) {
				assert_int_equal(create(logs[i], output, threads, block, block, &again, &err), 0);
				struct strbuf got = read_file(output);
				assert_int_equal(got.len, expected.len);
				assert_memory_equal(got.data, expected.data, got.len);
				strbuf_release(&got);
				again.elapsed_ns = first.elapsed_ns;
				assert_memory_equal(&again, &first, sizeof(first));
			}
		}
		strbuf_release(&expected);
	}
}

static char full_folder[] = "/tmp/test_capture_full.XXXXXX";

/* In a child whose files may not grow beyond `limit` bytes; returns the error's code. */
static int create_with_limit(const char *output, rlim_t limit, size_t sort_memory)
{
	pid_t child = fork();
	if (child == 0) {
		struct rlimit size = {limit, limit};
		struct error err = ERROR_INIT;
		struct create_replay_result result;
		(void)signal(SIGXFSZ, SIG_IGN);
		(void)setrlimit(RLIMIT_FSIZE, &size);
		_exit(-create(DATA "statement_all.csv", output, 2, 5000, sort_memory, &result, &err));
	}
	int status = 0;
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFEXITED(status));
	return WEXITSTATUS(status);
}

/* A disk that is full, at the temporary file of the sorter or at the replay file: nothing is left. */
static void test_disk_full(void **state)
{
	(void)state;
	char output[512];
	(void)snprintf(output, sizeof(output), "%s/out.rpl", full_folder);
	for (rlim_t limit = 0; limit < 3000; limit += 500) {
		assert_int_equal(create_with_limit(output, limit, 0), ERR_INTERNAL);
		assert_int_equal(create_with_limit(output, limit, 2000), ERR_INTERNAL);
		assert_int_equal(access(output, F_OK), -1);
	}
	assert_int_equal(create_with_limit(output, RLIM_INFINITY, 2000), 0);
	assert_int_equal(unlink(output), 0);
	/* fails when anything was left behind */
	assert_int_equal(rmdir(full_folder), 0);
	assert_int_equal(mkdir(full_folder, 0700), 0);
}

/* Killed at any moment: no file under the final name, or the whole one. */
static void test_killed(void **state)
{
	(void)state;
	char output[512];
	struct error err = ERROR_INIT;
	(void)snprintf(output, sizeof(output), "%s/out.rpl", full_folder);
	unsigned killed = 0;
	for (unsigned n = 0; n < 60; n++) {
		struct create_replay_result result;
		pid_t child = fork();
		if (child == 0)
			_exit(-create(DATA "statement_all.csv", output, 2, 5000, 2000, &result, &err));
		(void)usleep(n * 300);
		(void)kill(child, SIGKILL);
		int status = 0;
		assert_int_equal(waitpid(child, &status, 0), child);
		killed += WIFSIGNALED(status) ? 1U : 0U;
		struct replay_file *file;
		if (access(output, F_OK) == 0) {
			assert_int_equal(replay_file_open(output, &file, &err), 0);
			replay_file_free(file);
			assert_int_equal(unlink(output), 0);
		}
	}
	assert_true(killed > 0);
}

static int set_up(void **state)
{
	(void)state;
	temp_folder_init(&folder);
	return mkdtemp(full_folder) ? 0 : -1;
}

static int tear_down(void **state)
{
	(void)state;
	struct strbuf command;
	strbuf_init(&command, 4096);
	/* a killed writer's temporary file */
	strbuf_addf(&command, "rm -f '%s'/out.rpl.*.tmp && rmdir '%s'", full_folder, full_folder);
	int rc = system(command.data);
	strbuf_release(&command);
	temp_folder_release(&folder);
	return rc;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_every_block_size), cmocka_unit_test(test_real_logs),
		cmocka_unit_test(test_hurt_logs),	 cmocka_unit_test(test_errors_are_the_same),
		cmocka_unit_test(test_cut_gzip),	 cmocka_unit_test(test_stopped_early),
		cmocka_unit_test(test_same_file),	 cmocka_unit_test(test_disk_full),
		cmocka_unit_test(test_killed),
	};
	return cmocka_run_group_tests(tests, set_up, tear_down);
}
