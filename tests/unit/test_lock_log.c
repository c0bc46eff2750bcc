/* The lock log: what is written comes back, and a damaged file is refused with its line. */
#include "lock_log.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <unistd.h>

static char folder[] = "/tmp/rehearse-lock-log-XXXXXX";
static char path[64];

static void write_log(void)
{
	struct lock_log_writer *writer = NULL;
	struct error err = ERROR_INIT;
	assert_int_equal(lock_log_writer_open(path, "migrating", 10000000, &writer, &err), 0);
	struct lock_blocker blockers[] = {{.pid = 7, .first_ns = 100, .last_ns = 250000001}, {.pid = 0, .last_ns = 5}};
	struct lock_wait late = {.pid = 42,
				 .lock_type = "relation",
				 .relation = "public.\"we \\ ird\"\n",
				 .relation_oid = 4000000000U,
				 .mode = "AccessExclusiveLock",
				 .start_ns = 86400123456789,
				 .end_ns = 86400223456789,
				 .samples = 11,
				 .blockers = blockers,
				 .blocker_count = 2};
	struct lock_wait early = {.pid = 43, .lock_type = "transactionid", .mode = "ShareLock", .start_ns = -5};
	assert_int_equal(lock_log_writer_add(writer, &late, &err), 0);
	assert_int_equal(lock_log_writer_add(writer, &early, &err), 0);
	struct lock_gap gaps[] = {{.start_ns = 1, .end_ns = 60000000}};
	assert_int_equal(lock_log_writer_commit(writer, -1500000000, 90000000000000, 123456, gaps, 1, &err), 0);
}

static void test_round_trip(void **state)
{
	(void)state;
	struct lock_log log;
	struct error err = ERROR_INIT;
	write_log();
	assert_int_equal(lock_log_load(path, &log, &err), 0);
	assert_true(log.complete);
	assert_int_equal(log.interval_ns, 10000000);
	assert_int_equal(log.start_ns, -1500000000);
	assert_int_equal(log.end_ns, 90000000000000);
	assert_int_equal(log.samples, 123456);
	assert_int_equal(log.gap_count, 1);
	assert_int_equal(log.gaps[0].end_ns, 60000000);
	assert_int_equal(log.wait_count, 2);
	assert_int_equal(log.waits[0].pid, 43); /* sorted by start */
	assert_int_equal(log.waits[0].start_ns, -5);
	const struct lock_wait *wait = &log.waits[1];
	assert_int_equal(wait->start_ns, 86400123456789);
	assert_int_equal(wait->end_ns, 86400223456789);
	assert_string_equal(wait->relation, "public.\"we \\ ird\"\n");
	assert_string_equal(wait->mode, "AccessExclusiveLock");
	assert_int_equal(wait->relation_oid, 4000000000U);
	assert_int_equal(wait->blocker_count, 2);
	assert_int_equal(wait->blockers[0].last_ns, 250000001);
	lock_log_release(&log);
}

static void expect_refused(const char *content, const char *message)
{
	FILE *file = fopen(path, "w");
	assert_non_null(file);
	(void)fputs(content, file);
	(void)fclose(file);
	struct lock_log log;
	struct error err = ERROR_INIT;
	assert_int_equal(lock_log_load(path, &log, &err), -ERR_DATA);
	assert_non_null(strstr(err.text, message));
}

#define HEADER "{\"schema\": \"rehearse.lock-log/1\", \"lane\": \"x\", \"interval_ms\": 10}\n"

static void test_refused(void **state)
{
	(void)state;
	struct error err = ERROR_INIT;
	struct lock_log log;
	assert_int_equal(lock_log_load("/no/such/file", &log, &err), -ERR_DATA);
	expect_refused("", "empty");
	expect_refused("hello\n", ":1: not a JSON object");
	expect_refused("{\"schema\": \"other\"}\n", ":1: not a lock log");
	expect_refused(HEADER "{\"pid\": 1", ":2: the line is cut");
	expect_refused(HEADER "{\"pid\": \"1\"}\n", ":2: a wait with a member");
	expect_refused(HEADER
		       "{\"end\": true, \"start_s\": 0, \"end_s\": 1, \"samples\": 1, \"waits\": 3, \"gaps\": []}\n",
		       ":2: the last line counts other waits");
	expect_refused(
		HEADER
		"{\"end\": true, \"start_s\": 0, \"end_s\": 1, \"samples\": 1, \"waits\": 0, \"gaps\": []}\n{}\n",
		":3: a line behind the last one");
}

static void test_cut_is_incomplete(void **state)
{
	(void)state;
	FILE *file = fopen(path, "w");
	assert_non_null(file);
	(void)fputs(HEADER, file);
	(void)fclose(file);
	struct lock_log log;
	struct error err = ERROR_INIT;
	assert_int_equal(lock_log_load(path, &log, &err), 0);
	assert_false(log.complete);
	lock_log_release(&log);
}

static void test_abort_leaves_nothing(void **state)
{
	(void)state;
	(void)unlink(path);
	struct lock_log_writer *writer = NULL;
	struct error err = ERROR_INIT;
	assert_int_equal(lock_log_writer_open(path, "baseline", 1, &writer, &err), 0);
	lock_log_writer_abort(writer);
	assert_int_equal(access(path, F_OK), -1);
	assert_int_equal(lock_log_writer_open("/no/such/folder/x", "baseline", 1, &writer, &err), -ERR_USAGE);
}

static int set_up(void **state)
{
	(void)state;
	if (!mkdtemp(folder))
		return -1;
	(void)snprintf(path, sizeof(path), "%s/locks.jsonl", folder);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	(void)unlink(path);
	return rmdir(folder);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_round_trip),
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_cut_is_incomplete),
		cmocka_unit_test(test_abort_leaves_nothing),
	};
	return cmocka_run_group_tests(tests, set_up, tear_down);
}
