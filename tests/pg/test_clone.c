/* Clones from a running server and from a stopped folder: equal, private, harmless, and gone afterwards. */
#include "clock.h"
#include "clone.h"
#include "folder_copy.h"
#include "mem.h"
#include "pg_target.h"
#include "support_clone.h"
#include "support_pg_server.h"
#include "support_program.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static struct pg_server server;
static const char *const lanes[] = {"baseline", "migrating"};

static struct clone_request make_request(const char *name, const char *source)
{
	return (struct clone_request){.name = name,
				      .source = source,
				      .lanes = lanes,
				      .lane_count = 2,
				      .folder = clone_test_folder(),
				      .pg_bindir = pg_server_bindir()};
}

#define DIGEST "SELECT md5(string_agg(t::text, ',' ORDER BY x)) FROM shop t"

static void expect_equal_clones(struct clone_set *set)
{
	PGconn *conn = pg_server_connect(&server, NULL);
	char *truth = conn ? pg_server_value(conn, DIGEST) : NULL;
	PQfinish(conn);
	for (size_t i = 0; i < set->count; i++) {
		const struct clone *clone = &set->clones[i];
		struct stat info;
		if (truth)
			clone_test_check(clone->url, DIGEST, truth);
		clone_test_check(clone->url, "SELECT count(*) FROM shop", "5000");
		clone_test_check(clone->url, "SHOW archive_mode", "off");
		clone_test_check(clone->url, "SHOW archive_command", "(disabled)");
		clone_test_check(clone->url, "SHOW max_logical_replication_workers", "0");
		clone_test_check(clone->url, "SHOW synchronous_standby_names", "");
		clone_test_check(clone->url, "SHOW listen_addresses", "127.0.0.1");
		clone_test_check(clone->url, "SHOW deadlock_timeout", "50ms");
		clone_test_check(clone->url, "SHOW log_statement", "none");
		clone_test_check(clone->url, "SHOW rehearse.clone", clone->name);
		clone_test_check(clone->url, "SHOW work_mem", "7MB");	  /* the source's file */
		clone_test_check(clone->url, "SHOW temp_buffers", "9MB"); /* the source's ALTER SYSTEM */
		clone_test_check(clone->url, "SELECT pg_is_in_recovery()", "f");
		clone_test_check(clone->url, "SELECT rolsuper::text FROM pg_roles WHERE rolname = current_user",
				 "true");
		assert_int_equal(stat(clone->folder, &info), 0);
		assert_int_equal(info.st_mode & 0777, 0700);
		assert_int_equal(info.st_uid, pg_server_uid());
		struct pg_target target;
		struct pg_target_guard guard = {.source_host = "127.0.0.1", .source_port = server.port};
		struct error err = ERROR_INIT;
		assert_int_equal(pg_target_probe(clone->url, &target, &err), 0);
		assert_int_equal(pg_target_guard(&target, &guard, &err), 0);
		pg_target_release(&target);
	}
	json_t *settings = NULL;
	struct error err = ERROR_INIT;
	assert_int_equal(pg_target_settings(set->clones[0].url, set->clones[1].url, &settings, &err), 0);
	assert_int_equal(json_array_size(json_object_get(settings, "differences")), 0);
	json_decref(settings);
	assert_ptr_equal(clone_set_find(set, "migrating"), &set->clones[1]);
	assert_int_equal(clone_test_count_entries(), 4); /* two folders, two records */
	free(truth);
}

static void expect_lock_waits_logged(const struct clone *clone)
{
	PGconn *a = PQconnectdb(clone->url), *b = PQconnectdb(clone->url);
	assert_int_equal(pg_server_sql(a, "BEGIN; LOCK TABLE shop"), 0);
	assert_int_equal(PQsendQuery(b, "SELECT 'secret' FROM shop LIMIT 1"), 1);
	clock_sleep_until_ns(clock_mono_ns() + 300 * NS_PER_MS);
	assert_int_equal(pg_server_sql(a, "COMMIT"), 0);
	PQfinish(a);
	PGresult *result;
	while ((result = PQgetResult(b)))
		PQclear(result);
	PQfinish(b);
	clock_sleep_until_ns(clock_mono_ns() + 200 * NS_PER_MS);
	char text[65536] = "";
	FILE *file = fopen(clone->log, "r");
	assert_non_null(file);
	(void)fread(text, 1, sizeof(text) - 1, file);
	(void)fclose(file);
	assert_non_null(strstr(text, "still waiting for AccessShareLock"));
	assert_non_null(strstr(text, "acquired AccessShareLock"));
	assert_null(strstr(text, "secret"));
}

static void test_running(void **state)
{
	(void)state;
	struct clone_request request = make_request("run1", server.url);
	struct clone_set *set = clone_test_create(&clone_local, &request);
	expect_equal_clones(set);
	expect_lock_waits_logged(&set->clones[1]);
	/* what happens on one is not on the other, nor on the source */
	free(clone_test_ask(set->clones[1].url, "DELETE FROM shop"));
	clone_test_check(set->clones[0].url, "SELECT count(*) FROM shop", "5000");
	assert_int_equal(pg_server_ask(&server, "SELECT count(*) FROM shop"), 5000);
	clone_test_destroy(set);
	clone_test_expect_nothing();
}

static void test_stopped(void **state)
{
	(void)state;
	struct clone_request request = make_request("run2", server.data);
	struct clone_set *set = NULL;
	struct error err = ERROR_INIT;
	assert_int_equal(clone_set_create(&clone_local, &request, &set, &err), -ERR_DATA);
	assert_non_null(strstr(err.text, "is in use by PID"));
	clone_test_expect_nothing();
	pg_server_halt(&server);
	set = clone_test_create(&clone_local, &request);
	expect_equal_clones(set);
	assert_true(set->clones[0].size_bytes > 1024 * 1024);
	struct clone_set *second = NULL; /* the same name at the same time; the first is not harmed */
	assert_int_equal(clone_set_create(&clone_local, &request, &second, &err), -ERR_USAGE);
	assert_non_null(strstr(err.text, "is there already"));
	clone_test_check(set->clones[0].url, "SELECT count(*) FROM shop", "5000");
	clone_test_destroy(set);
	clone_test_expect_nothing();
	assert_int_equal(pg_server_restart(&server), 0);
}

static void test_refused(void **state)
{
	(void)state;
	char url[200];
	(void)snprintf(url, sizeof(url), "postgresql://me:s3cret@127.0.0.1:%d/x", pg_server_free_port());
	struct clone_request request = make_request("bad", url);
	clone_test_refused(&clone_local, &request, -ERR_UNAVAILABLE, "cannot connect");
	request.source = "/no/such/folder";
	clone_test_refused(&clone_local, &request, -ERR_DATA, "no such data directory");
	request.source = "/usr";
	clone_test_refused(&clone_local, &request, -ERR_DATA, "no PostgreSQL data directory");
	request.name = "../x";
	clone_test_refused(&clone_local, &request, -ERR_USAGE, "letters, digits");
	request = make_request("bad", server.url);
	request.point_in_time_wall_ns = 1;
	clone_test_refused(&clone_local, &request, -ERR_USAGE, "point in time");
	request = make_request("bad", server.url);
	request.pg_bindir = "/usr/bin";
	clone_test_refused(&clone_local, &request, -ERR_DATA, "server found in /usr/bin");
	request = make_request("bad", server.url);
	bool cancelled = true;
	request.cancelled = &cancelled;
	clone_test_refused(&clone_local, &request, -ERR_INTERRUPTED, "interrupted");
	request = make_request("bad", server.url);
	request.database = "nowhere"; /* fails at the very end, with servers up */
	clone_test_refused(&clone_local, &request, -ERR_UNAVAILABLE, "nowhere");
}

/* A data directory whose server cannot start; one of a version that is not installed; one with a link in it. */
static void test_broken_folder(void **state)
{
	(void)state;
	char folder[100], path[160];
	(void)snprintf(folder, sizeof(folder), "%s", clone_test_path("source"));
	struct folder_copy_options options = {.uid = (uid_t)-1};
	struct folder_copy_stats stats;
	struct error err = ERROR_INIT;
	pg_server_halt(&server);
	assert_int_equal(folder_copy(server.data, folder, &options, &stats, &err), 0);
	assert_int_equal(pg_server_restart(&server), 0);
	(void)snprintf(path, sizeof(path), "%s/postgresql.conf", folder);
	FILE *file = fopen(path, "a");
	(void)fputs("shared_preload_libraries = 'no_such_library, pglogical'\n", file);
	(void)fclose(file);
	struct clone_request request = make_request("broken", folder);
	clone_test_refused(&clone_local, &request, -ERR_DATA, "no_such_library");
	(void)snprintf(path, sizeof(path), "%s/pg_tblspc/4711", folder);
	assert_int_equal(symlink("/usr", path), 0);
	clone_test_refused(&clone_local, &request, -ERR_DATA, "symbolic link");
	(void)snprintf(path, sizeof(path), "%s/PG_VERSION", folder);
	file = fopen(path, "w");
	(void)fputs("13\n", file);
	(void)fclose(file);
	request.pg_bindir = NULL;
	clone_test_refused(&clone_local, &request, -ERR_DATA,
			   "was made by PostgreSQL 13; no PostgreSQL 13 server found in");
	assert_int_equal(folder_remove(folder, &err), 0);
}

/* The superuser has an unusual name: single-user mode tells it. */
static void test_superuser_name(void **state)
{
	(void)state;
	assert_int_equal(pg_server_run(&server, "CREATE ROLE chief SUPERUSER LOGIN"), 0);
	char conninfo[200];
	(void)snprintf(conninfo, sizeof(conninfo), "host=127.0.0.1 port=%d user=chief dbname=postgres", server.port);
	PGconn *conn = PQconnectdb(conninfo);
	assert_int_equal(pg_server_sql(conn, "ALTER ROLE postgres RENAME TO \"Big Boss\""), 0);
	PQfinish(conn);
	struct clone_request request = make_request("boss", server.data);
	pg_server_halt(&server);
	struct clone_set *set = clone_test_create(&clone_local, &request);
	for (size_t i = 0; i < 2; i++)
		clone_test_check(set->clones[i].url, "SELECT current_user || ' ' || current_database()",
				 "Big Boss postgres");
	clone_test_destroy(set);
	clone_test_expect_nothing();
	(void)pg_server_restart(&server);
	conn = PQconnectdb(conninfo);
	assert_int_equal(pg_server_sql(conn, "ALTER ROLE \"Big Boss\" RENAME TO postgres"), 0);
	PQfinish(conn);
	assert_int_equal(pg_server_run(&server, "DROP ROLE chief"), 0);
}

/* kill -9 of the owner at several moments: the guardian leaves nothing. */
static void test_killed(void **state)
{
	(void)state;
	const int64_t moments_ms[] = {30, 150, 400, 800, 1500, 3000};
	for (size_t i = 0; i < sizeof(moments_ms) / sizeof(*moments_ms); i++) {
		pid_t pid = fork();
		assert_true(pid >= 0);
		if (pid == 0) {
			struct clone_request request = make_request("doomed", server.url);
			struct clone_set *set = NULL;
			struct error err = ERROR_INIT;
			(void)clone_set_create(&clone_local, &request, &set, &err);
			for (;;)
				(void)pause();
		}
		clock_sleep_until_ns(clock_mono_ns() + moments_ms[i] * NS_PER_MS);
		assert_int_equal(kill(pid, SIGKILL), 0);
		assert_int_equal(waitpid(pid, NULL, 0), pid);
		for (int j = 0; j < 200 && clone_test_count_entries() > 0; j++)
			clock_sleep_until_ns(clock_mono_ns() + 50 * NS_PER_MS);
		clone_test_expect_nothing();
	}
}

/* Four runs at once from one source: names, ports and folders never meet. */
static void test_side_by_side(void **state)
{
	(void)state;
	pid_t pids[4];
	for (int i = 0; i < 4; i++) {
		pids[i] = fork();
		assert_true(pids[i] >= 0);
		if (pids[i] > 0)
			continue;
		char name[16], value[8];
		struct clone_set *set = NULL;
		struct error err = ERROR_INIT;
		(void)snprintf(name, sizeof(name), "side%d", i);
		struct clone_request request = make_request(name, server.url);
		int rc = clone_set_create(&clone_local, &request, &set, &err);
		(void)snprintf(value, sizeof(value), "%d", i);
		for (size_t lane = 0; rc == 0 && lane < 2; lane++) {
			char sql[200];
			(void)snprintf(sql, sizeof(sql),
				       "UPDATE shop SET y = '%d'; SELECT string_agg(DISTINCT y, ',')"
				       " || count(*) FROM shop",
				       i);
			PGconn *conn = PQconnectdb(set->clones[lane].url);
			PGresult *result = PQexec(conn, sql);
			char expected[32];
			(void)snprintf(expected, sizeof(expected), "%d5000", i);
			if (PQntuples(result) != 1 || strcmp(PQgetvalue(result, 0, 0), expected) != 0)
				rc = -1;
			PQclear(result);
			PQfinish(conn);
		}
		if (rc)
			(void)fprintf(stderr, "%s\n", err.text);
		rc = clone_set_destroy(set, &err) || rc;
		_exit(rc ? 1 : 0);
	}
	for (int i = 0; i < 4; i++) {
		int status = -1;
		assert_int_equal(waitpid(pids[i], &status, 0), pids[i]);
		assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
	}
	clone_test_expect_nothing();
}

/* A file system without room for the clones is told before the copying; one that fills up on the way, in one line. */
static void test_full_disk(void **state)
{
	(void)state;
	char folder[300], mounting[800];
	if (geteuid() != 0)
		skip();
	(void)snprintf(folder, sizeof(folder), "%s", clone_test_path("small"));
	(void)snprintf(mounting, sizeof(mounting), "mkdir '%s' && mount -t tmpfs -o size=30m,mode=755 tmpfs '%s' 2>&1",
		       folder, folder);
	if (PROGRAM_RUN("sh", "-c", mounting) != 0) {
		print_message("no tmpfs can be mounted here: %s\n", program_said.data);
		skip();
	}
	struct clone_request request = make_request("full", server.url);
	request.folder = folder;
	struct clone_set *set = NULL;
	struct error err = ERROR_INIT;
	int rc = clone_set_create(&clone_local, &request, &set, &err);
	size_t left = clone_test_count(folder, true);
	/* Room by the estimate, and not in truth: the data directory of the source grows by a file that nobody counts.
	 */
	struct error late = ERROR_INIT;
	(void)snprintf(mounting, sizeof(mounting), "mount -o remount,size=%dm '%s'", 66, folder);
	int remounted = PROGRAM_RUN("sh", "-c", mounting);
	char ballast[800];
	(void)snprintf(ballast, sizeof(ballast),
		       "dd if=/dev/zero of='%s/ballast' bs=1M count=64 2>&1 && chmod 644 '%s/ballast'", server.data,
		       server.data);
	int grown = PROGRAM_RUN("sh", "-c", ballast);
	request.lane_count = 1;
	int late_rc = clone_set_create(&clone_local, &request, &set, &late);
	size_t late_left = clone_test_count(folder, true);
	(void)snprintf(ballast, sizeof(ballast), "rm '%s/ballast'; umount '%s'", server.data, folder);
	(void)PROGRAM_RUN("sh", "-c", ballast);
	assert_int_equal(remounted | grown, 0);
	if (rc != -ERR_INTERNAL || !strstr(err.text, "choose another place with --clone-folder"))
		fail_msg("%d: %s", rc, err.text);
	if (late_rc == 0 || !strstr(late.text, "No space left on device"))
		fail_msg("%d: %s", late_rc, late.text);
	assert_int_equal(left + late_left, 0);
	clone_test_expect_nothing();
}

/* Shared blocks, where there is a file system that can: xfs on a loop device, made for the test. */
static void test_reflink(void **state)
{
	(void)state;
	char folder[300], script[2400];
	(void)snprintf(folder, sizeof(folder), "%s", clone_test_path("xfs"));
	(void)snprintf(
		script, sizeof(script),
		"command -v mkfs.xfs >/dev/null && mkdir '%s' && truncate -s 600M '%s.img' && mkfs.xfs -q '%s.img' &&"
		" mount -o loop '%s.img' '%s' && chmod 755 '%s'",
		folder, folder, folder, folder, folder, folder);
	if (geteuid() != 0 || PROGRAM_RUN("sh", "-c", script) != 0) {
		print_message("no file system with shared blocks can be made here (mkfs.xfs, a loop device, root)\n");
		skip();
	}
	struct clone_request request = make_request("reflink", server.url);
	request.folder = folder;
	struct clone_set *set = NULL;
	struct error err = ERROR_INIT;
	int rc = clone_set_create(&clone_local, &request, &set, &err);
	bool shared = rc == 0 && set->clones[1].reflinked;
	rc = clone_set_destroy(set, &err) || rc;
	(void)snprintf(script, sizeof(script), "umount '%s'; rm -f '%s.img'", folder, folder);
	(void)PROGRAM_RUN("sh", "-c", script);
	assert_int_equal(rc, 0);
	assert_true(shared);
}

static int set_up(void **state)
{
	(void)state;
	if (clone_test_begin("clones") != 0)
		return -1;
	if (pg_server_start(&server,
			    "work_mem = '7MB'\nwal_level = replica\nmax_wal_senders = 4\nlog_statement = 'all'\n"
			    "synchronous_standby_names = ''\n"))
		return -1;
	return pg_server_run(&server,
			     "CREATE TABLE shop AS SELECT i AS x, md5(i::text) AS y FROM generate_series(1, 5000) i") ||
	       pg_server_run(&server, "ALTER SYSTEM SET temp_buffers = '9MB'") ||
	       pg_server_run(&server, "ALTER SYSTEM SET archive_command = 'touch /tmp/rehearse-must-not-be-there'") ||
	       pg_server_run(&server, "SELECT pg_reload_conf()");
}

static int tear_down(void **state)
{
	(void)state;
	pg_server_stop(&server);
	return clone_test_end();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_running),	       cmocka_unit_test(test_stopped),
		cmocka_unit_test(test_refused),	       cmocka_unit_test(test_broken_folder),
		cmocka_unit_test(test_superuser_name), cmocka_unit_test(test_killed),
		cmocka_unit_test(test_side_by_side),   cmocka_unit_test(test_full_disk),
		cmocka_unit_test(test_reflink),
	};
	return cmocka_run_group_tests(tests, set_up, tear_down);
}
