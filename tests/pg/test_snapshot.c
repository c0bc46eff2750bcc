/*
 * The commands around clones, as a user calls them: a snapshot that stays, is listed, replayed upon and removed; and
 * the whole of test-migration on clones of the moment at which the recording began. Its inserts have keys, so clones of
 * any later moment would fail.
 */
#include "clock.h"
#include "json_file.h"
#include "mem.h"
#include "run_dir.h"
#include "support_clone.h"
#include "support_pg_server.h"
#include "support_program.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <glob.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define ROWS 60

static struct pg_server server;
static char backup[256], archive[256], log_file[512], replay[256], migration[256];

static void require(int code, int expected)
{
	if (code != expected)
		fail_msg("exit code %d, not %d: %s", code, expected, program_said.data);
}

/* Any verdict will do: a second of traffic on a busy machine says nothing of latencies. */
static void require_verdict(int code)
{
	if (code < 0 || code > 3)
		fail_msg("exit code %d: %s", code, program_said.data);
}

#define REHEARSE(...) PROGRAM_RUN(REHEARSE_PROGRAM, __VA_ARGS__)

static json_t *load(const char *run, const char *name)
{
	struct error err = ERROR_INIT;
	json_t *document = NULL;
	char *path = run_dir_path(run, name);
	if (json_file_load(path, &document, &err) < 0)
		fail_msg("%s", err.text);
	free(path);
	return document;
}

static const json_t *at(const json_t *object, const char *a, const char *b)
{
	return json_object_get(json_object_get(object, a), b);
}

static void test_of_the_recording(void **state)
{
	(void)state;
	char run[256];
	(void)snprintf(run, sizeof(run), "%s", clone_test_path("run"));
	require_verdict(REHEARSE("test-migration", log_file, "--source", backup, "--wal-archive", archive,
				 "--migration", migration, "--clone-folder", clone_test_folder(), "-o", run,
				 "--keep-replay", replay));
	json_t *document = load(run, RUN_FILE_RUN);
	const json_t *clones = at(document, "environment", "clones");
	assert_string_equal(json_string_value(json_object_get(clones, "provider")), "local");
	assert_string_equal(json_string_value(json_object_get(clones, "point_in_time")),
			    json_string_value(json_object_get(at(document, "replay_file", "capture"), "first_time")));
	assert_non_null(json_object_get(clones, "last_transaction"));
	const char *lane;
	json_t *figures;
	json_object_foreach (json_object_get(document, "lanes"), lane, figures)
		assert_int_equal(json_integer_value(json_object_get(figures, "items_error")), 0);
	json_decref(document);
	clone_test_expect_nothing();
	/* The same on clones of the archive's end: every row is there already. */
	require_verdict(REHEARSE("test-migration", "--replay", replay, "--source", backup, "--wal-archive", archive,
				 "--point-in-time", "latest", "--clone-folder", clone_test_folder(), "-o", run,
				 "--replace", "--cold-cache"));
	document = load(run, RUN_FILE_RUN);
	assert_true(json_is_true(json_object_get(at(document, "environment", "clones"), "cold_cache")));
	json_object_foreach (json_object_get(document, "lanes"), lane, figures)
		assert_int_equal(json_integer_value(json_object_get(figures, "items_error")), ROWS);
	json_decref(document);
	clone_test_expect_nothing();
}

/* The list as JSON; its only set's clones. To be released. */
static json_t *list_snapshots(void)
{
	require(REHEARSE("list-snapshots", "--json"), 0);
	json_error_t why;
	json_t *list = json_loads(program_said.data, 0, &why);
	assert_non_null(list);
	return list;
}

static void test_snapshot(void **state)
{
	(void)state;
	char urls[2][300], run[256];
	(void)snprintf(run, sizeof(run), "%s", clone_test_path("run2"));
	require(REHEARSE("create-snapshot", "--source", backup, "--wal-archive", archive, "--replay", replay, "--name",
			 "friday", "--clone-folder", clone_test_folder(), "--lanes", "3", "--ttl", "1h"),
		0);
	assert_non_null(strstr(program_said.data, "rehearse destroy-snapshot friday"));
	json_t *list = list_snapshots();
	const json_t *snapshots = json_object_get(list, "snapshots");
	assert_int_equal(json_array_size(snapshots), 3);
	for (size_t i = 0; i < 2; i++) {
		const json_t *one = json_array_get(snapshots, i);
		assert_string_equal(json_string_value(json_object_get(one, "state")), "running");
		assert_string_equal(json_string_value(json_object_get(one, "life")), "snapshot");
		assert_true(json_integer_value(json_object_get(one, "size_bytes")) > 1000000);
		(void)snprintf(urls[i], sizeof(urls[i]), "%s", json_string_value(json_object_get(one, "url")));
		clone_test_check(urls[i], "SELECT count(*) FROM shop", "1");
	}
	json_decref(list);
	/* the commands that write take them for the clones that they are */
	require(REHEARSE("run-pgreplay", replay, "--baseline", urls[0], "--migrating", urls[1], "--migration",
			 migration, "-o", run),
		0);
	clone_test_check(urls[0], "SELECT count(*) FROM shop", "61");
	/* a second one of that name is refused, and harms nothing */
	require(REHEARSE("create-snapshot", "--source", backup, "--name", "friday", "--clone-folder",
			 clone_test_folder()),
		64);
	require(REHEARSE("cleanup"), 0);
	assert_non_null(strstr(program_said.data, "0 removed, 3 kept, 0 failed"));
	clone_test_check(urls[0], "SELECT count(*) FROM shop", "61");
	require(REHEARSE("destroy-snapshot", "friday-migrating"), 0);
	require(REHEARSE("cleanup", "--name", "friday", "--dry-run"), 0);
	assert_non_null(strstr(program_said.data, "2 to remove, 0 kept, 0 failed"));
	require(REHEARSE("destroy-snapshot", "friday"), 0);
	clone_test_expect_nothing();
}

/* A snapshot whose time is over goes with the next cleanup; so does one whose making was interrupted. */
static void test_ends(void **state)
{
	(void)state;
	require(REHEARSE("create-snapshot", "--source", backup, "--wal-archive", archive, "--name", "brief", "--lanes",
			 "only", "--clone-folder", clone_test_folder(), "--ttl", "1s"),
		0);
	clock_sleep_until_ns(clock_mono_ns() + 1100 * NS_PER_MS);
	json_t *list = list_snapshots();
	const json_t *one = json_array_get(json_object_get(list, "snapshots"), 0);
	assert_string_equal(json_string_value(json_object_get(one, "state")), "expired");
	assert_string_equal(json_string_value(json_object_get(one, "lane")), "only");
	json_decref(list);
	require(REHEARSE("cleanup"), 0);
	assert_non_null(strstr(program_said.data, "removed brief-only: its time to live is over"));
	clone_test_expect_nothing();
	const int64_t moments_ms[] = {100, 600, 1500};
	for (size_t i = 0; i < sizeof(moments_ms) / sizeof(*moments_ms); i++) {
		pid_t pid = fork();
		assert_true(pid >= 0);
		if (pid == 0) {
			(void)execl(REHEARSE_PROGRAM, REHEARSE_PROGRAM, "create-snapshot", "--source", backup,
				    "--wal-archive", archive, "--name", "stopped", "--clone-folder",
				    clone_test_folder(), "--quiet", (char *)NULL);
			_exit(127);
		}
		clock_sleep_until_ns(clock_mono_ns() + moments_ms[i] * NS_PER_MS);
		assert_int_equal(kill(pid, SIGINT), 0);
		int status = 0;
		assert_int_equal(waitpid(pid, &status, 0), pid);
		if (WIFEXITED(status) && WEXITSTATUS(status) == 0) /* a fast machine: it was finished */
			require(REHEARSE("destroy-snapshot", "stopped"), 0);
		else if (WIFEXITED(status))
			assert_int_equal(WEXITSTATUS(status), 130);
		else /* a slow one: it had not begun */
			assert_int_equal(WTERMSIG(status), SIGINT);
		clone_test_expect_nothing();
	}
}

/* Statements a tenth of a second apart, so that the log, and nothing before it, has them. */
static int record(void)
{
	if (pg_server_restart(&server) != 0)
		return -1;
	PGconn *conn = pg_server_connect(&server, NULL);
	for (int i = 1; conn && i <= ROWS; i++) {
		char sql[100];
		(void)snprintf(sql, sizeof(sql), "INSERT INTO shop VALUES (%d)", i);
		if (pg_server_sql(conn, sql) != 0)
			return -1;
		clock_sleep_until_ns(clock_mono_ns() + 20 * NS_PER_MS);
	}
	PQfinish(conn);
	return pg_server_run(&server, "SELECT pg_switch_wal()");
}

static int take_log(void)
{
	glob_t found;
	char pattern[512];
	(void)snprintf(pattern, sizeof(pattern), "%s/log/*.csv", server.data);
	if (glob(pattern, 0, NULL, &found) != 0)
		return -1;
	(void)snprintf(log_file, sizeof(log_file), "%s", found.gl_pathv[found.gl_pathc - 1]);
	globfree(&found);
	return 0;
}

static int set_up(void **state)
{
	(void)state;
	char settings[1400], program[300], remove[600];
	if (clone_test_begin("snapshot") != 0)
		return -1;
	(void)snprintf(backup, sizeof(backup), "%s", clone_test_path("backup"));
	(void)snprintf(archive, sizeof(archive), "%s", clone_test_path("wal"));
	(void)snprintf(replay, sizeof(replay), "%s", clone_test_path("day.replay"));
	(void)snprintf(migration, sizeof(migration), "%s", clone_test_path("add.sql"));
	FILE *file = fopen(migration, "w");
	if (!file || fputs("ALTER TABLE shop ADD COLUMN note text;\n", file) < 0 || fclose(file) != 0)
		return -1;
	if (mkdir(archive, 0755) != 0 || chmod(archive, 0777) != 0)
		return -1;
	(void)snprintf(settings, sizeof(settings),
		       "wal_level = replica\nmax_wal_senders = 4\narchive_mode = on\nlogging_collector = on\n"
		       "log_destination = csvlog\nlog_rotation_size = 0\nlog_statement = all\nlog_connections = on\n"
		       "log_disconnections = on\nlog_min_duration_statement = 0\n"
		       "archive_command = 'cp \"%%p\" \"%s/%%f\" && chmod 644 \"%s/%%f\"'\n",
		       archive, archive);
	(void)snprintf(program, sizeof(program), "%s/pg_basebackup", pg_server_bindir());
	if (pg_server_start(&server, settings) || pg_server_run(&server, "CREATE TABLE shop (x int PRIMARY KEY)") ||
	    pg_server_run(&server, "INSERT INTO shop VALUES (0)") ||
	    PROGRAM_RUN(program, "-d", server.url, "-D", backup, "-c", "fast", "-X", "none") != 0 ||
	    pg_server_run(&server, "CREATE TABLE after_the_backup (x int)"))
		return -1;
	/* What was logged so far is not the recording. */
	pg_server_halt(&server);
	(void)snprintf(remove, sizeof(remove), "sleep 2; rm '%s'/log/*", server.data);
	if (PROGRAM_RUN("sh", "-c", remove) != 0 || record() != 0)
		return -1;
	pg_server_halt(&server); /* the archiver ends its work first */
	return take_log();
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
		cmocka_unit_test(test_of_the_recording),
		cmocka_unit_test(test_snapshot),
		cmocka_unit_test(test_ends),
	};
	return cmocka_run_group_tests(tests, set_up, tear_down);
}
