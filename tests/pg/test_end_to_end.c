/*
 * The whole chain on real traffic: pgbench's TPC-B with 16 clients, simple and prepared, recorded by a real server's
 * csvlog, replayed on two clones, with and without a migration. What pgreplay hangs on must run to its end here, with
 * every item accounted for, and the stall must be as long as the server's own log says.
 */
#include "clock.h"
#include "clone.h"
#include "json_file.h"
#include "lock_log.h"
#include "log_zone.h"
#include "mem.h"
#include "migration.h"
#include "process.h"
#include "rehearsal.h"
#include "run_dir.h"
#include "server_lock_waits.h"
#include "strbuf.h"
#include "support_pg_server.h"
#include "support_program.h"
#include "temp_folder.h"
#include "verdict.h"

#include <glob.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#define CLIENTS "16"
#define SECONDS "5"
#define SCALE	"10"

static struct temp_folder folder;
static struct pg_server server;
static char backup[512];  /* the data directory as it was before the traffic */
static char logs[2][512]; /* one for each of pgbench's modes */
static char replays[2][520];
static const char *const modes[2] = {"simple", "prepared"};

static void pgbench(const char *const *more)
{
	char program[300];
	char port[16];
	const char *argv[32] = {program, "-h", "127.0.0.1", "-p", port, "-U", "postgres"};
	int n = 7;
	(void)snprintf(program, sizeof(program), "%s/pgbench", pg_server_bindir());
	(void)snprintf(port, sizeof(port), "%d", server.port);
	while (*more)
		argv[n++] = *more++;
	argv[n] = "postgres";
	program_require(program_run(argv, NULL), 0);
}

/* The log that the server wrote since it was last started. */
static void take_log(char *out, size_t size, const char *name)
{
	glob_t found;
	char pattern[512];
	(void)snprintf(pattern, sizeof(pattern), "%s/log/*.csv", server.data);
	assert_int_equal(glob(pattern, 0, NULL, &found), 0);
	assert_int_equal(found.gl_pathc, 1);
	(void)snprintf(out, size, "%s", temp_folder_file(&folder, name));
	program_require(PROGRAM_RUN("mv", found.gl_pathv[0], out), 0);
	globfree(&found);
}

static void record(int mode)
{
	char name[64];
	assert_int_equal(pg_server_restart(&server), 0);
	pgbench((const char *const[]){"-n", "-c", CLIENTS, "-j", "2", "-T", SECONDS, "-M", modes[mode], NULL});
	pg_server_halt(&server);
	(void)snprintf(name, sizeof(name), "%s.csv", modes[mode]);
	take_log(logs[mode], sizeof(logs[mode]), name);
	(void)snprintf(replays[mode], sizeof(replays[mode]), "%s.rpl", logs[mode]);
	program_require(PROGRAM_RUN(REHEARSE_PROGRAM, "create-replay", logs[mode], "-o", replays[mode]), 0);
}

static int set_up(void **state)
{
	(void)state;
	temp_folder_init(&folder);
	assert_int_equal(chmod(folder.path, 0711), 0);
	if (pg_server_start(&server, "logging_collector = on\nlog_destination = csvlog\nlog_rotation_size = 0\n"
				     "log_statement = all\nlog_connections = on\nlog_disconnections = on\n"
				     "shared_buffers = 256MB\nmax_wal_size = 4GB\n") < 0)
		return -1;
	pgbench((const char *const[]){"-i", "-q", "-s", SCALE, NULL});
	pg_server_halt(&server);
	char unwanted[64];
	take_log(unwanted, sizeof(unwanted), "initial.csv");
	(void)snprintf(backup, sizeof(backup), "%s", temp_folder_file(&folder, "backup"));
	program_require(PROGRAM_RUN("cp", "-a", server.data, backup), 0);
	/* Both modes begin from the same data: the second one's log must not depend on the first one's traffic. */
	record(0);
	program_require(PROGRAM_RUN("rm", "-rf", server.data), 0);
	program_require(PROGRAM_RUN("cp", "-a", backup, server.data), 0);
	record(1);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	pg_server_stop(&server);
	temp_folder_release(&folder);
	return 0;
}

static long long integer_at(const json_t *object, const char *name)
{
	const json_t *value = json_object_get(object, name);
	assert_true(json_is_integer(value));
	return (long long)json_integer_value(value);
}

/* sent + skipped = items, ok + error = sent, on both lanes; nothing skipped, and hardly anything failed. */
static void check_counts(const char *run_dir)
{
	struct error err = ERROR_INIT;
	json_t *run;
	char *path = run_dir_path(run_dir, RUN_FILE_RUN);
	assert_int_equal(json_file_load(path, &run, &err), 0);
	free(path);
	long long items = integer_at(json_object_get(run, "replay_file"), "items");
	const json_t *lanes = json_object_get(run, "lanes");
	assert_int_equal(json_object_size(lanes), 2);
	const char *name;
	json_t *lane;
	json_object_foreach ((json_t *)lanes, name, lane) {
		assert_int_equal(integer_at(lane, "items_sent") + integer_at(lane, "items_skipped"), items);
		assert_int_equal(integer_at(lane, "items_ok") + integer_at(lane, "items_error"),
				 integer_at(lane, "items_sent"));
		assert_int_equal(integer_at(lane, "items_skipped"), 0);
		/* A type that changed: each session prepares once more. All else is a handful at most. */
		const json_t *errors = json_object_get(lane, "errors");
		long long other =
			integer_at(lane, "items_error") - json_integer_value(json_object_get(errors, "0A000"));
		char *listed = json_dumps(errors, 0);
		if (other * 1000 >= items)
			fail_msg("of %lld items failed %s", items, listed);
		free(listed);
	}
	json_decref(run);
}

static const char *new_run(const char *name)
{
	static char path[512];
	(void)snprintf(path, sizeof(path), "%s", temp_folder_file(&folder, name));
	return path;
}

/* No clone's server, and no clone's folder: both have this test's own folder in their names. */
static void assert_nothing_left(void)
{
	char pattern[512];
	glob_t found;
	(void)snprintf(pattern, sizeof(pattern), "%s/rehearse-", folder.path);
	assert_int_not_equal(PROGRAM_RUN("pgrep", "-f", pattern), 0);
	(void)snprintf(pattern, sizeof(pattern), "%s/rehearse-*", folder.path);
	assert_int_equal(glob(pattern, 0, NULL, &found), GLOB_NOMATCH);
	globfree(&found);
}

static void test_without_a_migration(int mode)
{
	const char *run = new_run(modes[mode]);
	program_require(PROGRAM_RUN(REHEARSE_PROGRAM, "test-migration", "--replay", replays[mode], "--source", backup,
				    "-o", run, "--clone-folder", folder.path),
			0);
	check_counts(run);
	assert_non_null(strstr(program_said.data, "CLEAR"));
	assert_nothing_left();
}

static void test_simple_statements_without_a_migration(void **state)
{
	(void)state;
	test_without_a_migration(0);
}

static void test_prepared_statements_without_a_migration(void **state)
{
	(void)state;
	test_without_a_migration(1);
}

/* The longest "acquired … after N ms" of a clone's own log for that relation. */
static double longest_wait_in_log(const char *log)
{
	struct error err = ERROR_INIT;
	double longest = 0;
	char line[8192];
	FILE *file = fopen(log, "r");
	if (!file)
		fail_msg("%s: %s", log, err.text);
	while (fgets(line, sizeof(line), file)) {
		const char *after = strstr(line, " after ");
		if (!strstr(line, "acquired ") || !strstr(line, "on relation") || !after)
			continue;
		double ms = strtod(after + 7, NULL);
		longest = ms > longest ? ms : longest;
	}
	(void)fclose(file);
	return longest;
}

/* The clone's own log as a witness, as test-migration takes it. */
static void save_server_waits(const char *log, const json_t *run, const char *run_dir)
{
	struct error err = ERROR_INIT;
	int64_t start_ns;
	char *path = run_dir_path(run_dir, LOCK_LOG_SERVER_MIGRATING);
	assert_true(log_zone_parse_given(NULL, json_string_value(json_object_get(run, "start_time")), &start_ns));
	if (server_lock_waits_save(log, "migrating", start_ns, clock_wall_ns(), LOCK_LOG_SERVER_INTERVAL_NS, path,
				   &err) < 0)
		fail_msg("%s", err.text);
	free(path);
}

static bool has_channel(const json_t *stall, const char *name)
{
	size_t i;
	json_t *channel;
	json_array_foreach (json_object_get(stall, "channels"), i, channel) {
		if (strcmp(json_string_value(channel), name) == 0)
			return true;
	}
	return false;
}

static void test_a_rewrite_under_traffic(void **state)
{
	(void)state;
	static const char *const lanes[] = {"baseline", "migrating"};
	static const char sql[] = "ALTER TABLE pgbench_accounts ALTER abalance TYPE bigint;\n";
	struct error err = ERROR_INIT;
	struct migration migration;
	struct migration_way way = {.files = &migration};
	struct clone_set *clones;
	struct clone_request request = {
		.name = "e2e", .source = backup, .lanes = lanes, .lane_count = 2, .folder = folder.path};
	migration_init(&migration);
	assert_int_equal(migration_add_text(&migration, "wider.sql", sql, strlen(sql), &err), 0);
	if (clone_set_create(&clone_local, &request, &clones, &err) < 0)
		fail_msg("%s", err.text);
	struct rehearsal_options options = {.replay_path = replays[1],
					    .baseline_url = clone_set_find(clones, "baseline")->url,
					    .migrating_url = clone_set_find(clones, "migrating")->url,
					    .run_dir = new_run("rewrite"),
					    .way = &way,
					    .migrate_at_ns = -1,
					    .speed = 1,
					    .drain_timeout_ns = 30 * NS_PER_S};
	json_t *run = NULL;
	if (rehearsal_run(&options, &run, &err) < 0)
		fail_msg("%s", err.text);
	double logged_ms = longest_wait_in_log(clone_set_find(clones, "migrating")->log);
	save_server_waits(clone_set_find(clones, "migrating")->log, run, options.run_dir);
	json_decref(run);
	assert_int_equal(clone_set_destroy(clones, &err), 0);
	migration_release(&migration);
	check_counts(options.run_dir);

	struct verdict *verdict;
	assert_int_equal(verdict_judge(options.run_dir, NULL, &verdict, &err), 0);
	assert_int_equal(verdict->outcome, VERDICT_HURTS);
	const json_t *stalls = json_object_get(verdict->document, "stalls");
	assert_true(json_array_size(stalls) >= 1);
	const json_t *stall = json_array_get(stalls, 0);
	assert_string_equal(json_string_value(json_object_get(stall, "relation")), "public.pgbench_accounts");
	assert_string_equal(json_string_value(json_object_get(stall, "mode")), "AccessExclusiveLock");
	/* The server knows nothing of measuring: its log has the whole wait. */
	double stall_ms = json_number_value(json_object_get(stall, "duration_ms")) +
			  json_number_value(json_object_get(stall, "measuring_ms"));
	print_message("stall %.0f ms, the clone's log says %.0f ms\n", stall_ms, logged_ms);
	assert_true(logged_ms > 0 && stall_ms > 0.8 * logged_ms && stall_ms < 1.2 * logged_ms);
	assert_true(has_channel(stall, "ledger") && has_channel(stall, "sampler") && has_channel(stall, "server_log") &&
		    has_channel(stall, "victims"));
	/* All 16 clients stand before the table in the end: each has one statement that waits. */
	assert_in_range(integer_at(stall, "victims"), 16, 20);
	verdict_free(verdict);
	assert_nothing_left();
}

static const char *migration_file(const char *name, const char *sql)
{
	static char path[512];
	(void)snprintf(path, sizeof(path), "%s", temp_folder_file(&folder, name));
	FILE *file = fopen(path, "w");
	assert_non_null(file);
	(void)fputs(sql, file);
	(void)fclose(file);
	return path;
}

static void test_a_migration_that_fails_is_a_verdict(void **state)
{
	(void)state;
	const char *file =
		migration_file("broken.sql", "CREATE TABLE fine (id int);\nALTER TABLE fine ADD COLMN x int;\n");
	const char *run = new_run("broken");
	program_require(PROGRAM_RUN(REHEARSE_PROGRAM, "test-migration", "--replay", replays[0], "--stop-at", "2s",
				    "--source", backup, "--migration", file, "-o", run, "--clone-folder", folder.path),
			1);
	assert_non_null(strstr(program_said.data, "HURTS"));
	assert_non_null(strstr(program_said.data, "ADD COLMN"));
	assert_non_null(strstr(program_said.data, "42601"));
	assert_nothing_left();
}

static void test_interrupted(void **state)
{
	(void)state;
	struct error err = ERROR_INIT;
	const char *run = new_run("interrupted");
	const char *const argv[] = {REHEARSE_PROGRAM, "test-migration", "--replay", replays[0],
				    "--source",	      backup,		"-o",	    run,
				    "--clone-folder", folder.path,	NULL};
	struct process_options options = PROCESS_OPTIONS_INIT;
	pid_t pid;
	int status;
	json_t *document;
	options.argv = argv;
	assert_int_equal(process_start(&options, &pid, &err), 0);
	char *index = run_dir_path(run, "items.idx");
	for (int i = 0; i < 300 && access(index, F_OK) != 0; i++)
		(void)usleep(100000);
	(void)sleep(2); /* the replay has begun */
	assert_int_equal(kill(pid, SIGINT), 0);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 130);
	free(index);
	char *path = run_dir_path(run, RUN_FILE_RUN);
	assert_int_equal(json_file_load(path, &document, &err), 0);
	assert_true(json_is_true(json_object_get(document, "interrupted")));
	json_decref(document);
	free(path);
	assert_nothing_left();
}

/* A full disk, as a limit on the size of files: said, and nothing hangs or stays. */
static void test_a_full_disk(void **state)
{
	(void)state;
	char command[2048];
	const char *run = new_run("full");
	(void)snprintf(command, sizeof(command),
		       "ulimit -f 40; exec '%s' run-pgreplay '%s' --baseline null: -o '%s' --speed max",
		       REHEARSE_PROGRAM, replays[0], run);
	program_require(PROGRAM_RUN("sh", "-c", command), 70);
	assert_non_null(strstr(program_said.data, "cannot write"));
}

static void test_too_few_open_files(void **state)
{
	(void)state;
	char command[2048];
	const char *run = new_run("files");
	(void)snprintf(command, sizeof(command), "ulimit -n 70; exec '%s' run-pgreplay '%s' --baseline null: -o '%s'",
		       REHEARSE_PROGRAM, replays[0], run);
	program_require(PROGRAM_RUN("sh", "-c", command), 64);
	assert_non_null(strstr(program_said.data, "ulimit -n"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_simple_statements_without_a_migration),
		cmocka_unit_test(test_prepared_statements_without_a_migration),
		cmocka_unit_test(test_a_rewrite_under_traffic),
		cmocka_unit_test(test_a_migration_that_fails_is_a_verdict),
		cmocka_unit_test(test_interrupted),
		cmocka_unit_test(test_a_full_disk),
		cmocka_unit_test(test_too_few_open_files),
	};
	return cmocka_run_group_tests(tests, set_up, tear_down);
}
