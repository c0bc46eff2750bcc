/*
 * Lock waits out of a server's own log, and their merging with what the sampler saw. The records are cut from the log
 * of a PostgreSQL 15 with log_lock_waits, ALTER TABLE and DML side by side; names and numbers are changed.
 */
#include "clock.h"
#include "lock_log.h"
#include "lock_merge.h"
#include "mem.h"
#include "server_lock_waits.h"
#include "temp_folder.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>
#include <unistd.h>

/* 2026-11-22 00:00:00 UTC */
#define START_NS (INT64_C(1795305600) * NS_PER_S)

static struct temp_folder folder;

static int make_folder(void **state)
{
	(void)state;
	temp_folder_init(&folder);
	return 0;
}

static int remove_folder(void **state)
{
	(void)state;
	temp_folder_release(&folder);
	return 0;
}

/* One csvlog record of PostgreSQL 15: 26 columns. */
static char *record(const char *time, int pid, const char *severity, const char *code, const char *message,
		    const char *detail)
{
	return mem_printf("2026-11-22 00:00:%s UTC,\"app\",\"shop\",%d,\"[local]\",6920a1b2.%x,7,\"SELECT waiting\","
			  "2026-11-21 23:59:00 UTC,5/12,0,%s,%s,\"%s\",\"%s\",,,,,,,,\"web\",\"client backend\",,0\n",
			  time, pid, pid, severity, code, message, detail);
}

static char *write_log(char *const *records, size_t count)
{
	char *path = mem_printf("%s/server.csv", folder.path);
	FILE *file = fopen(path, "we");
	assert_non_null(file);
	for (size_t i = 0; i < count; i++) {
		(void)fputs(records[i], file);
		free(records[i]);
	}
	assert_int_equal(fclose(file), 0);
	return path;
}

static int convert(const char *log_path, struct lock_log *out, struct error *err)
{
	char *path = mem_printf("%s/" LOCK_LOG_SERVER_MIGRATING, folder.path);
	(void)unlink(path);
	int rc = server_lock_waits_save(log_path, "migrating", START_NS, START_NS + 60 * NS_PER_S, 50 * NS_PER_MS, path,
					err);
	if (rc == 0)
		rc = lock_log_load(path, out, err);
	else
		assert_int_not_equal(access(path, F_OK), 0);
	free(path);
	return rc;
}

static void test_waits(void **state)
{
	(void)state;
	struct error err = ERROR_INIT;
	struct lock_log log;
	char *records[] = {
		record("10.050", 41, "LOG", "00000",
		       "process 41 still waiting for AccessShareLock on relation 16390 of database 5 after 50.106 ms",
		       "Process holding the lock: 40. Wait queue: 39, 41, 42."),
		record("10.060", 42, "LOG", "00000",
		       "process 42 still waiting for RowExclusiveLock on relation 16390 of database 5 after 50.200 ms",
		       "Processes holding the lock: 40, 38. Wait queue: 39, 41, 42."),
		record("10.200", 43, "LOG", "00000",
		       "process 43 still waiting for ShareLock on transaction 777 after 50.001 ms",
		       "Process holding the lock: 42. Wait queue: 43."),
		record("10.500", 42, "ERROR", "55P03", "canceling statement due to lock timeout", ""),
		record("10.767", 41, "LOG", "00000",
		       "process 41 acquired AccessShareLock on relation 16390 of database 5 after 767.962 ms", ""),
		record("11.000", 44, "LOG", "00000",
		       "process 44 acquired ExclusiveLock on tuple (0,1) of relation 16391 of database 5 after 90.000 "
		       "ms",
		       ""),
		record("12.000", 45, "LOG", "00000", "process 45 has something else to say after 3.000 ms", ""),
	};
	char *path = write_log(records, 7);
	assert_int_equal(convert(path, &log, &err), 0);
	assert_true(log.complete);
	assert_int_equal(log.wait_count, 4);

	const struct lock_wait *w = &log.waits[0]; /* by start */
	assert_int_equal(w->pid, 41);
	assert_string_equal(w->lock_type, "relation");
	assert_string_equal(w->mode, "AccessShareLock");
	assert_int_equal(w->relation_oid, 16390);
	assert_true(llabs(w->start_ns - (10050 * NS_PER_MS - 50106000)) < 2);
	assert_int_equal(w->end_ns, 10767 * NS_PER_MS);
	assert_int_equal(w->blocker_count, 2);
	assert_int_equal(w->blockers[0].pid, 40);
	assert_int_equal(w->blockers[1].pid, 39);

	w = &log.waits[1]; /* ended by its timeout, which its backend logged */
	assert_int_equal(w->pid, 42);
	assert_int_equal(w->blocker_count, 4);
	assert_int_equal(w->end_ns, 10500 * NS_PER_MS);

	w = &log.waits[2]; /* to the end of the run */
	assert_int_equal(w->pid, 43);
	assert_string_equal(w->lock_type, "transactionid");
	assert_int_equal(w->relation_oid, 0);
	assert_int_equal(w->end_ns, 60 * NS_PER_S);

	w = &log.waits[3]; /* its beginning is known from its end */
	assert_int_equal(w->pid, 44);
	assert_string_equal(w->lock_type, "tuple");
	assert_int_equal(w->relation_oid, 16391);
	assert_int_equal(w->end_ns - w->start_ns, 90 * NS_PER_MS);
	assert_int_equal(w->blocker_count, 0);
	lock_log_release(&log);
	free(path);
}

static void test_empty_and_damaged(void **state)
{
	(void)state;
	struct error err = ERROR_INIT;
	struct lock_log log;
	char *path = write_log(NULL, 0);
	assert_int_equal(convert(path, &log, &err), 0);
	assert_true(log.complete);
	assert_int_equal(log.wait_count, 0);
	lock_log_release(&log);
	free(path);
	char *records[] = {record("10.050", 41, "LOG", "00000", "x", ""), mem_strdup("half a rec")};
	path = write_log(records, 2);
	assert_true(convert(path, &log, &err) < 0);
	assert_int_equal(err.code, ERR_DATA);
	assert_non_null(strstr(err.text, "the migrating clone's log: line 2 is no record"));
	free(path);
}

static struct lock_wait wait_of(int32_t pid, uint32_t oid, const char *relation, int64_t start_ms, int64_t end_ms)
{
	struct lock_wait w = {.pid = pid,
			      .lock_type = "relation",
			      .mode = "AccessShareLock",
			      .relation_oid = oid,
			      .start_ns = start_ms * NS_PER_MS,
			      .end_ns = end_ms * NS_PER_MS};
	(void)snprintf(w.relation, sizeof(w.relation), "%s", relation);
	w.blockers = mem_zalloc(1, sizeof(*w.blockers));
	w.blockers[0].pid = 9000;
	w.blocker_count = 1;
	return w;
}

static void test_merge(void **state)
{
	(void)state;
	struct ledger ledger;
	ledger_init(&ledger);
	struct lock_log sampled = {.complete = true};
	struct lock_log server = {.complete = true};
	size_t capacity = 0;
	MEM_GROW(sampled.waits, sampled.wait_count, capacity);
	sampled.waits[sampled.wait_count++] = wait_of(41, 16390, "public.orders", 1000, 1500);
	capacity = 0;
	for (int i = 0; i < 3; i++)
		MEM_GROW(server.waits, server.wait_count, capacity);
	server.waits[server.wait_count++] = wait_of(41, 16390, "", 998, 1507); /* the same */
	server.waits[server.wait_count++] = wait_of(41, 16390, "", 500, 600);  /* between two looks */
	server.waits[server.wait_count++] = wait_of(42, 17000, "", 2000, 2100);
	lock_merge(&sampled, &server, &ledger);
	assert_int_equal(sampled.wait_count, 3);
	assert_int_equal(sampled.waits[0].start_ns, 500 * NS_PER_MS);
	assert_string_equal(sampled.waits[0].relation, "public.orders");
	assert_int_equal(sampled.waits[0].witnesses, LOCK_SEEN_BY_SERVER);
	assert_int_equal(sampled.waits[1].witnesses, LOCK_SEEN_BY_SERVER | LOCK_SEEN_BY_SAMPLER);
	assert_int_equal(sampled.waits[1].end_ns, 1500 * NS_PER_MS);
	assert_string_equal(sampled.waits[2].relation, "relation 17000");
	lock_log_release(&sampled);
	lock_log_release(&server);
	ledger_release(&ledger);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_waits),
		cmocka_unit_test(test_empty_and_damaged),
		cmocka_unit_test(test_merge),
	};
	return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
