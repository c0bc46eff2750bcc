/*
 * Clones by the user's own commands: real ones, which wrap pg_basebackup and pg_ctl as docs/clones.md shows it, and bad
 * ones: that fail, hang, print nonsense, or hand out the source itself.
 */
#include "clock.h"
#include "mem.h"
#include "support_clone.h"
#include "support_pg_server.h"
#include "support_program.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static struct pg_server server;
static const char *const lanes[] = {"baseline", "migrating"};
static char create_script[300], ready_script[300], destroy_script[300], place[256];

static struct clone_request make_request(const char *name)
{
	return (struct clone_request){.name = name,
				      .source = server.url,
				      .lanes = lanes,
				      .lane_count = 2,
				      .time_to_live_ns = 3600 * NS_PER_S,
				      .commands = {.create = create_script,
						   .ready = ready_script,
						   .destroy = destroy_script,
						   .timeout_ns = 60 * NS_PER_S}};
}

static void write_script(char *path, size_t size, const char *name, const char *text)
{
	(void)snprintf(path, size, "%s", clone_test_path(name));
	FILE *file = fopen(path, "w");
	assert_non_null(file);
	(void)fprintf(file, "#!/bin/sh\n%s", text);
	(void)fclose(file);
	assert_int_equal(chmod(path, 0755), 0);
}

static size_t count_clones(void)
{
	return clone_test_count(place, false);
}

static void test_real(void **state)
{
	(void)state;
	struct clone_request request = make_request("own");
	struct clone_set *set = clone_test_create(&clone_command, &request);
	for (size_t i = 0; i < 2; i++)
		clone_test_check(set->clones[i].url, "SELECT sum(x) FROM shop", "5050");
	free(clone_test_ask(set->clones[1].url, "DELETE FROM shop RETURNING 1"));
	clone_test_check(set->clones[0].url, "SELECT count(*) FROM shop", "100");
	assert_int_equal(count_clones(), 2);
	assert_int_equal(clone_test_count(clone_test_records(), true), 2);
	/* What the record says, and what it must not. */
	char command[600];
	(void)snprintf(command, sizeof(command), "cat '%s'/own-*.json", clone_test_records());
	assert_int_equal(PROGRAM_RUN("sh", "-c", command), 0);
	assert_non_null(strstr(program_said.data, "\"state\": \"up\""));
	assert_null(strstr(program_said.data, "s3cret"));
	assert_non_null(strstr(set->clones[0].url, "s3cret"));
	clone_test_destroy(set);
	assert_int_equal(count_clones(), 0);
	clone_test_expect_nothing();
}

/* Everything that the contract promises to a script. */
static void test_environment(void **state)
{
	(void)state;
	char create[600];
	struct clone_request request = make_request("told");
	(void)snprintf(create, sizeof(create),
		       "env | grep ^REHEARSE_CLONE_ | sort >'%s'; test -f \"$REHEARSE_CLONE_RECORD\" || exit 9;"
		       " echo '{\"url\": \"mysql://host/db\", \"more\": 1}'",
		       clone_test_path("told.txt"));
	request.commands.create = create;
	request.commands.ready = "test \"$REHEARSE_CLONE_URL\" = mysql://host/db";
	request.commands.destroy = "true";
	request.point_in_time_wall_ns = INT64_C(1763755200) * NS_PER_S;
	request.lane_count = 1;
	struct clone_set *set = clone_test_create(&clone_command, &request);
	assert_string_equal(set->clones[0].url, "mysql://host/db");
	assert_int_equal(PROGRAM_RUN("cat", clone_test_path("told.txt")), 0);
	static const char *const said[] = {"NAME=told-baseline\n",
					   "SET=told\n",
					   "LANE=baseline\n",
					   "TTL=3600\n",
					   "SOURCE=postgresql://",
					   "EXPIRES=20",
					   "POINT_IN_TIME=2025-11-21T20:00:00.000000Z\n",
					   "ID=",
					   "OWNER=",
					   "RECORD=/"};
	for (size_t i = 0; i < sizeof(said) / sizeof(*said); i++) {
		char line[200];
		(void)snprintf(line, sizeof(line), "REHEARSE_CLONE_%s", said[i]);
		if (!strstr(program_said.data, line))
			fail_msg("%s is not in %s", line, program_said.data);
	}
	clone_test_destroy(set);
	clone_test_expect_nothing();
}

static void test_bad_commands(void **state)
{
	(void)state;
	struct clone_request request = make_request("bad");
	request.commands.create = "echo no room >&2; exit 5";
	clone_test_refused(&clone_command, &request, -ERR_UNAVAILABLE, "ended with 5: no room");
	request.commands.create = "echo done";
	clone_test_refused(&clone_command, &request, -ERR_DATA, "has to print the clone's URL");
	request.commands.create = "echo '{\"uri\": 3}'";
	clone_test_refused(&clone_command, &request, -ERR_DATA, "has to print the clone's URL");
	request = make_request("bad");
	request.commands.create = "yes 'nothing to see' | head -c 3000000; sleep 60";
	request.commands.timeout_ns = NS_PER_S;
	clone_test_refused(&clone_command, &request, -ERR_UNAVAILABLE, "did not end within 1 s");
	request = make_request("bad");
	request.commands.create = "echo postgresql://127.0.0.1:1/x";
	request.commands.destroy = "true";
	request.commands.timeout_ns = NS_PER_S;
	request.commands.ready = "false";
	clone_test_refused(&clone_command, &request, -ERR_UNAVAILABLE, "was not ready within 1 s");
	request.commands.ready = NULL;
	clone_test_refused(&clone_command, &request, -ERR_UNAVAILABLE, "was not ready within 1 s");
	request.commands.destroy = NULL;
	clone_test_refused(&clone_command, &request, -ERR_USAGE, "both a create and a destroy command");
	bool cancelled = true;
	request = make_request("bad");
	request.commands.create = "sleep 60";
	request.cancelled = &cancelled;
	clone_test_refused(&clone_command, &request, -ERR_INTERRUPTED, "interrupted");
}

/* A script that hands out the source, or one database for both lanes. */
static void test_not_clones(void **state)
{
	(void)state;
	char create[600];
	struct clone_request request = make_request("not");
	(void)snprintf(create, sizeof(create), "echo '%s'", server.url);
	request.commands = (struct clone_commands){.create = create, .destroy = "true"};
	clone_test_refused(&clone_command, &request, -ERR_USAGE, "on the source's own server");
	request.source = "a-snapshot-of-the-service";
	clone_test_refused(&clone_command, &request, -ERR_USAGE, "are the same database");
}

/* Killed while the scripts run, guardian and all: cleanup ends them, and calls destroy. */
static void test_killed(void **state)
{
	(void)state;
	for (int round = 0; round < 2; round++) {
		pid_t pid = fork();
		assert_true(pid >= 0);
		if (pid == 0) {
			(void)setpgid(0, 0);
			struct clone_request request = make_request("doomed");
			struct clone_set *set = NULL;
			struct error err = ERROR_INIT;
			if (round == 0)
				request.commands.create = "sleep 4711; exit 1";
			(void)clone_set_create(&clone_command, &request, &set, &err);
			for (;;)
				(void)pause();
		}
		for (int i = 0; i < 200 && clone_test_count(clone_test_records(), false) < 2; i++)
			clock_sleep_until_ns(clock_mono_ns() + 50 * NS_PER_MS);
		clock_sleep_until_ns(clock_mono_ns() + (round == 0 ? 500 : 1500) * NS_PER_MS);
		char command[200];
		/* The guardian is a child of it, in a session of its own. */
		(void)snprintf(command, sizeof(command), "kill -9 $(pgrep -P %ld -x rehearse-guard) %ld", (long)pid,
			       (long)pid);
		assert_int_equal(PROGRAM_RUN("sh", "-c", command), 0);
		assert_int_equal(waitpid(pid, NULL, 0), pid);
		assert_int_equal(clone_test_count(clone_test_records(), true), 2);
		if (PROGRAM_RUN(REHEARSE_PROGRAM, "cleanup") != 0)
			fail_msg("%s", program_said.data);
		assert_int_equal(count_clones(), 0);
		assert_int_not_equal(PROGRAM_RUN("pgrep", "-f", "^sleep 4711"), 0);
		clone_test_expect_nothing();
	}
}

static int set_up(void **state)
{
	(void)state;
	char text[2048];
	if (clone_test_begin("command") != 0)
		return -1;
	(void)snprintf(place, sizeof(place), "%s", clone_test_path("clones"));
	if (mkdir(place, 0755) != 0 || chown(place, pg_server_uid(), pg_server_gid()) != 0)
		return -1;
	if (pg_server_start(&server, "wal_level = replica\nmax_wal_senders = 20\nwal_keep_size = 256MB\n") ||
	    pg_server_run(&server, "CREATE TABLE shop AS SELECT x FROM generate_series(1, 100) x"))
		return -1;
	const char *as_postgres = geteuid() == 0 ? "setpriv --reuid postgres --regid postgres --clear-groups" : "";
	(void)snprintf(
		text, sizeof(text),
		"set -e\ncd /\nport=$(python3 -c 'import socket; s = socket.socket(); s.bind((\"127.0.0.1\", 0));"
		" print(s.getsockname()[1])')\nd=%s/$REHEARSE_CLONE_NAME\n"
		"%s %s/pg_basebackup -d \"$REHEARSE_CLONE_SOURCE\" -D \"$d\" -c fast >&2\n"
		"%s %s/pg_ctl -D \"$d\" -l \"$d/log\" -o \"-p $port -c rehearse.clone=$REHEARSE_CLONE_NAME\""
		" start >&2\necho postgresql://postgres:s3cret@127.0.0.1:$port/postgres\n",
		place, as_postgres, pg_server_bindir(), as_postgres, pg_server_bindir());
	write_script(create_script, sizeof(create_script), "create.sh", text);
	(void)snprintf(text, sizeof(text), "exec %s/pg_isready -q -d \"$REHEARSE_CLONE_URL\"\n", pg_server_bindir());
	write_script(ready_script, sizeof(ready_script), "ready.sh", text);
	(void)snprintf(text, sizeof(text),
		       "cd /\nd=%s/$REHEARSE_CLONE_NAME\n[ ! -f \"$d/postmaster.pid\" ] ||"
		       " %s %s/pg_ctl -D \"$d\" -m immediate stop >&2\nrm -rf \"$d\"\n",
		       place, as_postgres, pg_server_bindir());
	write_script(destroy_script, sizeof(destroy_script), "destroy.sh", text);
	return 0;
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
		cmocka_unit_test(test_real),	     cmocka_unit_test(test_environment),
		cmocka_unit_test(test_bad_commands), cmocka_unit_test(test_not_clones),
		cmocka_unit_test(test_killed),
	};
	return cmocka_run_group_tests(tests, set_up, tear_down);
}
