/*
 * test-migration as a user calls it, with a migration that another program runs: what goes well, what fails half-way,
 * what never ends, what cannot be found, and Ctrl-C. Each has a clear verdict or an error of one line, and of the
 * clones and the tool nothing stays.
 */
#include "json_file.h"
#include "process.h"
#include "replay_builder.h"
#include "run_dir.h"
#include "strbuf.h"
#include "support_pg_server.h"
#include "support_program.h"
#include "temp_folder.h"

#include <glob.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#define SESSIONS 4
#define SPAN_MS	 2400

static struct temp_folder folder;
static struct pg_server server;
static char backup[512]; /* the data directory, with its server stopped */
static char replay[512];
static char run_dir[512];
static void record(void)
{
	char sql[100];
	uint32_t sessions[SESSIONS];
	struct replay_builder *builder = replay_builder_new(replay);
	for (int s = 0; s < SESSIONS; s++)
		sessions[s] = replay_builder_session(builder, "postgres", "postgres");
	for (int s = 0; s < SESSIONS; s++)
		replay_builder_connect(builder, sessions[s], 0);
	for (int at = 100; at < SPAN_MS; at += 20) {
		(void)snprintf(sql, sizeof(sql), "SELECT * FROM shop WHERE id = %d", at);
		replay_builder_simple(builder, sessions[at / 20 % SESSIONS], at, sql);
	}
	for (int s = 0; s < SESSIONS; s++)
		replay_builder_disconnect(builder, sessions[s], SPAN_MS);
	replay_builder_finish(builder);
}

static int set_up(void **state)
{
	(void)state;
	temp_folder_init(&folder);
	assert_int_equal(chmod(folder.path, 0711), 0);
	if (pg_server_start(&server, NULL) < 0 ||
	    pg_server_run(&server, "CREATE TABLE shop AS SELECT i AS id FROM generate_series(1, 5000) i") < 0)
		return -1;
	pg_server_halt(&server);
	(void)snprintf(backup, sizeof(backup), "%s", server.data);
	(void)snprintf(replay, sizeof(replay), "%s", temp_folder_file(&folder, "made.replay"));
	record();
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	pg_server_stop(&server);
	temp_folder_release(&folder);
	return 0;
}

/* No clone's server, folder or record, and nothing of the tool, which has this test's folder in its command line. */
static void assert_nothing_left(void)
{
	char pattern[512];
	glob_t found;
	(void)snprintf(pattern, sizeof(pattern), "%s/rehearse-", folder.path);
	assert_int_not_equal(PROGRAM_RUN("pgrep", "-f", pattern), 0);
	(void)snprintf(pattern, sizeof(pattern), "tool-of-%s", folder.path);
	assert_int_not_equal(PROGRAM_RUN("pgrep", "-f", pattern), 0);
	(void)snprintf(pattern, sizeof(pattern), "%s/rehearse-*", folder.path);
	assert_int_equal(glob(pattern, 0, NULL, &found), GLOB_NOMATCH);
	globfree(&found);
}

/* way is the option that says how the migration is run. */
static void test_migration(const char *way, const char *what, const char *timeout, int expected)
{
	static int number;
	int code = -1;
	/* A machine that was busy with something else for a moment says nothing of tools: once more. */
	for (int attempt = 0; attempt < 3; attempt++) {
		(void)snprintf(run_dir, sizeof(run_dir), "%s/run%d", folder.path, ++number);
		code = PROGRAM_RUN(REHEARSE_PROGRAM, "test-migration", "--replay", replay, "--source", backup, "-o",
				   run_dir, "--clone-folder", folder.path, "--migration-timeout", timeout, way, what);
		if (code < 2 || code > 3 || !strstr(program_said.data, "of the items were sent within"))
			break;
	}
	if (code != expected)
		fail_msg("%s: exit code %d, %d expected: %s", what, code, expected, program_said.data);
	char *text = strbuf_detach(&program_said);
	assert_nothing_left();
	strbuf_clear(&program_said);
	strbuf_add_str(&program_said, text);
	free(text);
}

static void assert_said(const char *words)
{
	if (!strstr(program_said.data, words))
		fail_msg("no '%s' in: %s", words, program_said.data);
}

static json_t *load(const char *name)
{
	struct error err = ERROR_INIT;
	json_t *document = NULL;
	char *path = run_dir_path(run_dir, name);
	if (json_file_load(path, &document, &err) < 0)
		fail_msg("%s", err.text);
	free(path);
	return document;
}

static void test_goes_well(void **state)
{
	(void)state;
	test_migration("--migration-command", "psql -qX -v ON_ERROR_STOP=1 -c 'ALTER TABLE shop ADD note text'", "1m",
		       0);
	assert_said("CLEAR");
	json_t *verdict = load("verdict.json");
	const json_t *tool = json_object_get(json_object_get(verdict, "migration_run"), "tool");
	assert_string_equal(json_string_value(json_object_get(tool, "name")), "psql");
	assert_int_equal(json_array_size(json_object_get(verdict, "migration")), 1);
	json_decref(verdict);
}

static void test_fails_half_way(void **state)
{
	(void)state;
	test_migration("--migration-command",
		       "psql -qX -v ON_ERROR_STOP=1 -c 'CREATE TABLE half (id int)' -c \"INSERT INTO half VALUES "
		       "('hunter2')\"",
		       "1m", 1);
	assert_said("HURTS: The migration failed at `INSERT INTO half VALUES (?)` with 22P02");
	assert_said("psql ended with exit status 1");
	/* psql's words hold the value: they were shown, and are in no file. */
	assert_said("hunter2");
	assert_int_not_equal(PROGRAM_RUN("grep", "-rq", "hunter2", run_dir), 0);
}

static void test_never_ends(void **state)
{
	(void)state;
	char tool[600];
	test_migration("--migration-command", "psql -qX -c 'SELECT pg_sleep(1000)'", "2s", 1);
	assert_said("The migration did not end in the time that it was given");
	(void)snprintf(tool, sizeof(tool), "sh -c 'sleep 1000; : tool-of-%s'", folder.path);
	test_migration("--migration-command", tool, "2s", 1);
	assert_said("The migration did not end in the time that it was given");
	(void)snprintf(tool, sizeof(tool),
		       "trap '' TERM; while :; do psql -qXc 'SELECT pg_sleep(1000)'; sleep 0.1; done; : tool-of-%s",
		       folder.path);
	test_migration("--migration-command", tool, "2s", 1);
	assert_said("The migration did not end in the time that it was given");
}

static void test_sends_nothing(void **state)
{
	(void)state;
	test_migration("--migration-command", "true", "1m", 2);
	assert_said("CANNOT TELL: True ended well, and sent no statement to the clone.");
}

static void test_cannot_be_found(void **state)
{
	(void)state;
	test_migration("--migration-command", "no-such-tool migrate", "1m", 69);
	assert_string_equal(program_said.data,
			    "rehearse: test-migration: --migration-command: no-such-tool cannot be found\n");
	/* What only the run shows. */
	test_migration("--migration-command", "X=1 no-such-tool migrate", "1m", 69);
	assert_said("rehearse: test-migration: migration: the command cannot be found (exit status 127): ");
	assert_int_not_equal(access(run_dir, F_OK), 0);
}

static void test_interrupted(void **state)
{
	(void)state;
	struct error err = ERROR_INIT;
	struct process_options options = PROCESS_OPTIONS_INIT;
	char tool[1000], mark[512];
	int status;
	pid_t pid;
	(void)snprintf(run_dir, sizeof(run_dir), "%s/interrupted", folder.path);
	(void)snprintf(mark, sizeof(mark), "%s", temp_folder_file(&folder, "begun"));
	(void)snprintf(tool, sizeof(tool), "touch '%s'; psql -qXc 'SELECT pg_sleep(1000)'; : tool-of-%s", mark,
		       folder.path);
	const char *const argv[] = {REHEARSE_PROGRAM,
				    "test-migration",
				    "--replay",
				    replay,
				    "--source",
				    backup,
				    "-o",
				    run_dir,
				    "--clone-folder",
				    folder.path,
				    "--migration-command",
				    tool,
				    NULL};
	options.argv = argv;
	assert_int_equal(process_start(&options, &pid, &err), 0);
	for (int i = 0; i < 600 && access(mark, F_OK) != 0; i++)
		(void)usleep(100000);
	(void)usleep(500000);
	assert_int_equal(kill(pid, SIGINT), 0);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 130);
	assert_nothing_left();
	json_t *run = load("run.json");
	assert_true(json_is_true(json_object_get(run, "interrupted")));
	json_decref(run);
}

static void write_file(const char *name, const char *text)
{
	FILE *file = fopen(temp_folder_file(&folder, name), "w");
	assert_non_null(file);
	(void)fputs(text, file);
	(void)fclose(file);
}

static void test_alembic(void **state)
{
	(void)state;
	char command[600];
	char *program = process_find_program("alembic");
	if (!program)
		skip();
	free(program);
	assert_int_equal(mkdir(temp_folder_file(&folder, "scripts"), 0755), 0);
	assert_int_equal(mkdir(temp_folder_file(&folder, "scripts/versions"), 0755), 0);
	write_file("alembic.ini", "[alembic]\nscript_location = %(here)s/scripts\n");
	write_file("scripts/env.py", "import os\n"
				     "from alembic import context\n"
				     "from sqlalchemy import create_engine\n"
				     "with create_engine(os.environ['DATABASE_URL']).connect() as connection:\n"
				     "    context.configure(connection=connection)\n"
				     "    with context.begin_transaction():\n"
				     "        context.run_migrations()\n");
	write_file("scripts/versions/a1.py", "from alembic import op\n"
					     "revision = 'a1'\ndown_revision = None\n"
					     "def upgrade():\n    op.execute('ALTER TABLE shop ADD note text')\n");
	test_migration("--alembic", folder.path, "1m", 0);
	(void)snprintf(command, sizeof(command), "cd '%s' && alembic upgrade heads", folder.path);
	test_migration("--migration-command", command, "1m", 0);
	write_file("scripts/versions/a2.py", "from alembic import op\n"
					     "revision = 'a2'\ndown_revision = 'a1'\n"
					     "def upgrade():\n    op.execute('ALTER TABLE shop ADD COLMN x int')\n");
	test_migration("--alembic", folder.path, "1m", 1);
	assert_said("HURTS: The migration failed at `ALTER TABLE shop ADD COLMN x int` with 42601");
	assert_said("alembic ended with exit status 1");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_goes_well),	cmocka_unit_test(test_fails_half_way),
		cmocka_unit_test(test_never_ends),	cmocka_unit_test(test_sends_nothing),
		cmocka_unit_test(test_cannot_be_found), cmocka_unit_test(test_interrupted),
		cmocka_unit_test(test_alembic),
	};
	return cmocka_run_group_tests(tests, set_up, tear_down);
}
