/* Clones from a running server and from a stopped folder: equal, private, harmless, and gone afterwards. */
#include "clock.h"
#include "clone.h"
#include "folder_copy.h"
#include "mem.h"
#include "pg_target.h"
#include "support_pg_server.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <dirent.h>
#include <errno.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static struct pg_server server;
static char base[64], state_dir[80];
static const char *const lanes[] = {"baseline", "migrating"};

static struct clone_request make_request(const char *name, const char *source)
{
	return (struct clone_request){.name = name,
				      .source = source,
				      .lanes = lanes,
				      .lane_count = 2,
				      .folder = base,
				      .pg_bindir = pg_server_bindir()};
}

static size_t count_in(const char *folder)
{
	size_t count = 0;
	DIR *dir = opendir(folder);
	for (const struct dirent *entry; dir && (entry = readdir(dir));)
		count += entry->d_name[0] != '.';
	if (dir)
		(void)closedir(dir);
	return count;
}

static size_t count_records(void)
{
	char folder[128];
	(void)snprintf(folder, sizeof(folder), "%s/clones", state_dir);
	return count_in(folder);
}

static size_t count_entries(void)
{
	return count_in(base) + count_records();
}

/* Processes whose working folder lies in ours. */
static size_t count_processes(void)
{
	size_t count = 0;
	DIR *dir = opendir("/proc");
	for (const struct dirent *entry; dir && (entry = readdir(dir));) {
		char link[300], cwd[300];
		(void)snprintf(link, sizeof(link), "/proc/%s/cwd", entry->d_name);
		ssize_t len = readlink(link, cwd, sizeof(cwd) - 1);
		if (len <= 0)
			continue;
		cwd[len] = '\0';
		count += strncmp(cwd, base, strlen(base)) == 0;
	}
	if (dir)
		(void)closedir(dir);
	return count;
}

static void expect_nothing_left(void)
{
	for (int i = 0; i < 100 && count_processes() > 0; i++)
		clock_sleep_until_ns(clock_mono_ns() + 50 * NS_PER_MS);
	assert_int_equal(count_processes(), 0);
	assert_int_equal(count_entries(), 0);
}

static struct clone_set *create(const struct clone_request *request)
{
	struct clone_set *set = NULL;
	struct error err = ERROR_INIT;
	if (clone_set_create(&clone_local, request, &set, &err) != 0)
		fail_msg("%s", err.text);
	return set;
}

static void destroy(struct clone_set *set)
{
	struct error err = ERROR_INIT;
	if (clone_set_destroy(set, &err) != 0)
		fail_msg("%s", err.text);
}

static char *ask(const struct clone *clone, const char *sql)
{
	PGconn *conn = PQconnectdb(clone->url);
	if (PQstatus(conn) != CONNECTION_OK)
		fail_msg("%s", PQerrorMessage(conn));
	char *value = pg_server_value(conn, sql);
	PQfinish(conn);
	return value;
}

static void check_value(const struct clone *clone, const char *sql, const char *expected)
{
	char *value = ask(clone, sql);
	if (!value || strcmp(value, expected) != 0)
		fail_msg("%s: %s, not %s", sql, value ? value : "NULL", expected);
	free(value);
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
			check_value(clone, DIGEST, truth);
		check_value(clone, "SELECT count(*) FROM shop", "5000");
		check_value(clone, "SHOW archive_mode", "off");
		check_value(clone, "SHOW archive_command", "(disabled)");
		check_value(clone, "SHOW max_logical_replication_workers", "0");
		check_value(clone, "SHOW synchronous_standby_names", "");
		check_value(clone, "SHOW listen_addresses", "127.0.0.1");
		check_value(clone, "SHOW deadlock_timeout", "50ms");
		check_value(clone, "SHOW log_statement", "none");
		check_value(clone, "SHOW rehearse.clone", clone->name);
		check_value(clone, "SHOW work_mem", "7MB");	/* the source's file */
		check_value(clone, "SHOW temp_buffers", "9MB"); /* the source's ALTER SYSTEM */
		check_value(clone, "SELECT pg_is_in_recovery()", "f");
		check_value(clone, "SELECT rolsuper::text FROM pg_roles WHERE rolname = current_user", "true");
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
	assert_int_equal(count_entries(), 4); /* two folders, two records */
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
	struct clone_set *set = create(&request);
	expect_equal_clones(set);
	expect_lock_waits_logged(&set->clones[1]);
	/* what happens on one is not on the other, nor on the source */
	free(ask(&set->clones[1], "DELETE FROM shop"));
	check_value(&set->clones[0], "SELECT count(*) FROM shop", "5000");
	assert_int_equal(pg_server_ask(&server, "SELECT count(*) FROM shop"), 5000);
	destroy(set);
	expect_nothing_left();
}

static void test_stopped(void **state)
{
	(void)state;
	struct clone_request request = make_request("run2", server.data);
	struct clone_set *set = NULL;
	struct error err = ERROR_INIT;
	assert_int_equal(clone_set_create(&clone_local, &request, &set, &err), -ERR_DATA);
	assert_non_null(strstr(err.text, "is in use by PID"));
	expect_nothing_left();
	pg_server_halt(&server);
	set = create(&request);
	expect_equal_clones(set);
	assert_true(set->clones[0].size_bytes > 1024 * 1024);
	struct clone_set *second = NULL; /* the same name at the same time; the first is not harmed */
	assert_int_equal(clone_set_create(&clone_local, &request, &second, &err), -ERR_USAGE);
	assert_non_null(strstr(err.text, "is there already"));
	check_value(&set->clones[0], "SELECT count(*) FROM shop", "5000");
	destroy(set);
	expect_nothing_left();
	assert_int_equal(pg_server_restart(&server), 0);
}

static void expect_refused(const struct clone_request *request, int code, const char *message)
{
	struct clone_set *set = NULL;
	struct error err = ERROR_INIT;
	assert_int_equal(clone_set_create(&clone_local, request, &set, &err), code);
	if (!strstr(err.text, message))
		fail_msg("\"%s\" is not in \"%s\"", message, err.text);
	expect_nothing_left();
}

static void test_refused(void **state)
{
	(void)state;
	char url[200];
	(void)snprintf(url, sizeof(url), "postgresql://me:s3cret@127.0.0.1:%d/x", pg_server_free_port());
	struct clone_request request = make_request("bad", url);
	expect_refused(&request, -ERR_UNAVAILABLE, "cannot connect");
	request.source = "/no/such/folder";
	expect_refused(&request, -ERR_DATA, "no such data directory");
	request.source = "/usr";
	expect_refused(&request, -ERR_DATA, "no PostgreSQL data directory");
	request.name = "../x";
	expect_refused(&request, -ERR_USAGE, "letters, digits");
	request = make_request("bad", server.url);
	request.point_in_time_wall_ns = 1;
	expect_refused(&request, -ERR_USAGE, "point in time");
	request = make_request("bad", server.url);
	request.pg_bindir = "/usr/bin";
	expect_refused(&request, -ERR_DATA, "server found in /usr/bin");
	request = make_request("bad", server.url);
	bool cancelled = true;
	request.cancelled = &cancelled;
	expect_refused(&request, -ERR_INTERRUPTED, "interrupted");
	request = make_request("bad", server.url);
	request.database = "nowhere"; /* fails at the very end, with servers up */
	expect_refused(&request, -ERR_UNAVAILABLE, "nowhere");
}

/* A data directory whose server cannot start; one of a version that is not installed; one with a link in it. */
static void test_broken_folder(void **state)
{
	(void)state;
	char folder[100], path[160];
	(void)snprintf(folder, sizeof(folder), "%s-source", base);
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
	expect_refused(&request, -ERR_DATA, "no_such_library");
	(void)snprintf(path, sizeof(path), "%s/pg_tblspc/4711", folder);
	assert_int_equal(symlink("/usr", path), 0);
	expect_refused(&request, -ERR_DATA, "symbolic link");
	(void)snprintf(path, sizeof(path), "%s/PG_VERSION", folder);
	file = fopen(path, "w");
	(void)fputs("13\n", file);
	(void)fclose(file);
	request.pg_bindir = NULL;
	expect_refused(&request, -ERR_DATA, "was made by PostgreSQL 13; no PostgreSQL 13 server found in");
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
	struct clone_set *set = create(&request);
	for (size_t i = 0; i < 2; i++)
		check_value(&set->clones[i], "SELECT current_user || ' ' || current_database()", "Big Boss postgres");
	destroy(set);
	expect_nothing_left();
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
		for (int j = 0; j < 200 && count_entries() > 0; j++)
			clock_sleep_until_ns(clock_mono_ns() + 50 * NS_PER_MS);
		expect_nothing_left();
	}
}

static int set_up(void **state)
{
	(void)state;
	(void)snprintf(base, sizeof(base), "/tmp/rehearse-clones-%d", (int)getpid());
	(void)snprintf(state_dir, sizeof(state_dir), "%s-state", base);
	if (mkdir(base, 0755) != 0 || setenv("REHEARSE_STATE_DIR", state_dir, 1) != 0)
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
	struct error err = ERROR_INIT;
	pg_server_stop(&server);
	return folder_remove(base, &err) || folder_remove(state_dir, &err);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_running),	       cmocka_unit_test(test_stopped),
		cmocka_unit_test(test_refused),	       cmocka_unit_test(test_broken_folder),
		cmocka_unit_test(test_superuser_name), cmocka_unit_test(test_killed),
	};
	return cmocka_run_group_tests(tests, set_up, tear_down);
}
