/*
 * Any program as a migration, against a real server: psql and the shell as teams use them. What the program did is in
 * the ledger, how it ended too, and whatever it does nothing of it stays and it reaches no other server.
 */
#include "clock.h"
#include "command_runner.h"
#include "logging.h"
#include "stop_flag.h"
#include "support_pg_server.h"
#include "temp_folder.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static struct pg_server server, other;
static struct temp_folder folder;
static struct ledger ledger;
static struct tool_command command;
static struct command_runner_options options;
static char log_text[16384]; /* what the library said */

static void keep_log(enum log_level level, const char *line, void *context)
{
	(void)context;
	size_t used = strlen(log_text);
	if (level >= LOG_LEVEL_WARN)
		(void)snprintf(log_text + used, sizeof(log_text) - used, "%s\n", line);
}

static int set_up_group(void **state)
{
	(void)state;
	temp_folder_init(&folder);
	log_set_sink(keep_log, NULL);
	ledger_init(&ledger);
	if (pg_server_start(&server, NULL) < 0 || pg_server_start(&other, NULL) < 0)
		return -1;
	/* As in a CI that has production's address at hand. (Of those that libpq reads, PGHOST alone does not count for
	   a URL with a host, as ours are; test_tool_process.c has the others.) */
	(void)setenv("PGHOST", "production.example.com", 1);
	(void)setenv("DATABASE_URL", "postgresql://production.example.com/shop", 1);
	(void)setenv("FLYWAY_URL", "jdbc:postgresql://production.example.com/shop", 1);
	return 0;
}

static int tear_down_group(void **state)
{
	(void)state;
	pg_server_stop(&server);
	pg_server_stop(&other);
	temp_folder_release(&folder);
	return 0;
}

static int set_up(void **state)
{
	(void)state;
	memset(&command, 0, sizeof(command));
	memset(&options, 0, sizeof(options));
	options.url = server.url;
	options.command = &command;
	options.t0_ns = clock_mono_ns();
	options.grace_ns = 500 * NS_PER_MS;
	log_text[0] = '\0';
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	ledger_release(&ledger);
	return 0;
}

static void run(const char *shell)
{
	struct error err = ERROR_INIT;
	command.shell = shell;
	ledger_release(&ledger);
	log_text[0] = '\0';
	if (command_runner_check(&command, &err) < 0 || command_runner_run(&options, &ledger, &err) < 0)
		fail_msg("%s", err.text);
}

static void assert_outcome(enum ledger_outcome outcome, const char *problem)
{
	if (ledger.outcome != outcome)
		fail_msg("outcome %d, %d expected: %s\n%s", (int)ledger.outcome, (int)outcome,
			 ledger.problem ? ledger.problem : "", log_text);
	if (problem)
		assert_string_equal(ledger.problem ? ledger.problem : "none", problem);
	else if (ledger.problem)
		fail_msg("%s", ledger.problem);
}

/* The only statement with that text in it. */
static const struct ledger_statement *find(const char *words)
{
	const struct ledger_statement *found = NULL;
	for (size_t i = 0; i < ledger.statement_count; i++) {
		const struct ledger_statement *s = &ledger.statements[i];
		if (strstr(s->sql, words)) {
			assert_null(found);
			found = s;
		}
	}
	if (!found)
		fail_msg("no statement with '%s' among %zu", words, ledger.statement_count);
	return found;
}

static long long ask(const char *sql)
{
	PGconn *conn = pg_server_connect(&server, NULL);
	assert_non_null(conn);
	long long value = pg_server_number(conn, sql);
	PQfinish(conn);
	return value;
}

static void test_no_commit(void **state)
{
	(void)state;
	run("psql -qX \"$DATABASE_URL\" -c BEGIN -c 'CREATE TABLE never (id int)' -c 'SELECT 1'");
	assert_outcome(LEDGER_OK,
		       "psql ended inside a transaction, which the server then rolled back: of 1 of its statements "
		       "nothing is left");
	assert_true(find("CREATE TABLE never")->taken_back);
	assert_int_equal(ask("SELECT count(*) FROM pg_class WHERE relname = 'never'"), 0);
	run("psql -qX \"$DATABASE_URL\" -c BEGIN -c 'SELECT 1'");
	assert_outcome(LEDGER_OK, NULL);
}

static void test_psql(void **state)
{
	(void)state;
	run("psql -qX -v ON_ERROR_STOP=1 -c 'CREATE TABLE one (id int)' -c 'ALTER TABLE one ADD x int DEFAULT 7'");
	assert_outcome(LEDGER_OK, NULL);
	assert_string_equal(ledger.tool.name, "psql");
	assert_int_equal(ledger.tool.exit_status, 0);
	assert_int_equal(ledger.statement_count, 2);
	const struct ledger_statement *alter = find("ALTER TABLE one");
	assert_string_equal(alter->sqlstate, "");
	assert_null(strchr(alter->sql, '7'));
	assert_int_equal(alter->lock_count, 1);
	assert_string_equal(alter->locks[0].relation, "public.one");
	assert_string_equal(alter->locks[0].mode, "AccessExclusiveLock");
	assert_true(ledger.start_ns > 0 && ledger.end_ns >= alter->end_ns);
	assert_int_equal(ask("SELECT count(*) FROM pg_attribute WHERE attrelid = 'one'::regclass AND attname = 'x'"),
			 1);
}

static void test_without_a_shell(void **state)
{
	(void)state;
	struct error err = ERROR_INIT;
	const char *const argv[] = {"psql", "-qX", "-c", "CREATE TABLE argv_made (id int)", NULL};
	command.argv = argv;
	assert_int_equal(command_runner_check(&command, &err), 0);
	assert_int_equal(command_runner_run(&options, &ledger, &err), 0);
	assert_outcome(LEDGER_OK, NULL);
	assert_string_equal(ledger.tool.name, "psql");
	(void)find("CREATE TABLE argv_made");
}

static void test_environment(void **state)
{
	(void)state;
	static const char *const names[] = {"SHOP_DB"};
	command.url_variables = names;
	command.url_variable_count = 1;
	run("psql -qX \"$DATABASE_URL\" -c 'SELECT 1 AS by_url' && psql -qX \"$SHOP_DB\" -c 'SELECT 1 AS by_variable' "
	    "&& "
	    "test \"$FLYWAY_URL\" = \"jdbc:postgresql://127.0.0.1:$PGPORT/postgres?sslmode=disable\" && "
	    "test \"$FLYWAY_USER/$FLYWAY_PASSWORD\" = \"$PGUSER/$PGPASSWORD\" && test -z \"$PGSERVICE$PGHOSTADDR\""
	    /* and no other of libpq's: a driver that does not know it may end with an error */
	    " && test $(env | grep -c ^PG) = 6");
	assert_outcome(LEDGER_OK, NULL);
	assert_string_equal(ledger.tool.name, "sh");
	assert_int_equal(ledger.statement_count, 2);
	command.url_scheme = "postgresql+asyncpg";
	run("case $DATABASE_URL in postgresql+asyncpg://*@127.0.0.1:$PGPORT/postgres*) psql -qXc 'SELECT 1';; *) exit "
	    "9;; "
	    "esac");
	assert_outcome(LEDGER_OK, NULL);
	assert_string_equal(ledger.tool.name, "sh");
	run("exec psql -qX -c 'SELECT 1; SELECT 2'");
	assert_string_equal(ledger.tool.name, "psql");
}

static void test_fails_half_way(void **state)
{
	(void)state;
	run("printf 'CREATE TABLE half (id int);\\nALTER TABLE half ADD COLMN x int;\\nDROP TABLE half;\\n' | "
	    "psql -qX -v ON_ERROR_STOP=1");
	assert_outcome(LEDGER_FAILED, "sh ended with exit status 3");
	assert_int_equal(ledger.tool.exit_status, 3);
	assert_int_equal(ledger.statement_count, 2);
	assert_string_equal(find("CREATE TABLE half")->sqlstate, "");
	assert_string_equal(find("COLMN")->sqlstate, "42601");
	assert_non_null(strstr(log_text, "syntax error")); /* psql's own words, for the user alone */
	run("kill -9 $$ ;");
	assert_outcome(LEDGER_FAILED, "sh died of signal 9 (Killed)");
	assert_int_equal(ledger.tool.signal, 9);
	assert_int_equal(ledger.tool.exit_status, -1);
}

static void test_goes_on_after_an_error(void **state)
{
	(void)state;
	run("printf 'ALTER TABLE nowhere ADD x int;\\nCREATE TABLE after_it (id int);\\n' >\"$$.sql\"; psql -qX "
	    "<\"$$.sql\"; "
	    "code=$?; rm -f \"$$.sql\"; exit $code");
	assert_outcome(LEDGER_OK, "1 statement failed, and sh ended as if all had gone well");
	assert_int_equal(ledger.statement_count, 2);
	/* A question that fails is how some tools look whether their table is there; a retry that works is fine. */
	run("psql -qX -c 'SELECT 1 FROM nowhere' || psql -qX -c 'SELECT 1'");
	assert_outcome(LEDGER_OK, NULL);
	run("printf 'BEGIN;\\nSAVEPOINT a;\\nALTER TABLE nowhere ADD x int;\\nROLLBACK TO a;\\nCREATE TABLE undone "
	    "();\\n"
	    "COMMIT;\\n' | psql -qX");
	assert_outcome(LEDGER_OK, NULL);
	run("psql -qX -c 'CREATE INDEX retried_x ON retried (x)' || psql -qX -c 'CREATE TABLE retried (x int)' -c "
	    "'CREATE "
	    "INDEX retried_x ON retried (x)'");
	assert_outcome(LEDGER_OK, NULL);
	assert_int_equal(ledger.statement_count, 3);
}

static void test_sends_nothing(void **state)
{
	(void)state;
	run("true");
	assert_outcome(LEDGER_OK, "true ended well, and sent no statement to the clone");
	assert_int_equal(ledger.statement_count, 0);
	assert_true(ledger.end_ns >= ledger.start_ns && ledger.start_ns > 0);
}

static void assert_no_backend(void)
{
	for (int i = 0; i < 50; i++) {
		if (ask("SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend' AND pid <> "
			"pg_backend_pid()") == 0)
			return;
		(void)usleep(100000);
	}
	fail_msg("a backend is left");
}

static void test_never_ends(void **state)
{
	(void)state;
	options.timeout_ns = 1500 * NS_PER_MS;
	int64_t begin_ns = clock_mono_ns();
	run("psql -qX -c 'CREATE TABLE before_it (id int)' -c 'SELECT pg_sleep(100)'");
	assert_outcome(LEDGER_TIMEOUT, NULL);
	assert_int_equal(ledger.statement_count, 2);
	assert_string_equal(find("pg_sleep")->sqlstate, "57014");
	assert_no_backend();
	/* Without a statement. */
	run("sleep 100");
	assert_outcome(LEDGER_TIMEOUT, NULL);
	assert_int_equal(ledger.statement_count, 0);
	assert_true(ledger.end_ns - ledger.start_ns > NS_PER_S);
	/* It does not listen, and goes on when its statement is cancelled. */
	run("trap '' TERM; while :; do psql -qX -c 'SELECT pg_sleep(100)'; sleep 0.1; done");
	assert_outcome(LEDGER_TIMEOUT, NULL);
	assert_int_equal(ledger.tool.signal, 9);
	assert_no_backend();
	assert_true(clock_mono_ns() - begin_ns < 20 * NS_PER_S);
}

static volatile bool cancelled;

static void *cancel_soon(void *context)
{
	(void)context;
	(void)usleep(1000000);
	stop_flag_set(&cancelled);
	return NULL;
}

static void test_interrupted(void **state)
{
	(void)state;
	pthread_t thread;
	options.cancelled = &cancelled;
	assert_int_equal(pthread_create(&thread, NULL, cancel_soon, NULL), 0);
	run("psql -qX -c 'SELECT pg_sleep(100)'");
	(void)pthread_join(thread, NULL);
	assert_outcome(LEDGER_CANCELLED, NULL);
	assert_no_backend();
	/* Before it began. */
	options.start_at_ns = clock_mono_ns() + 100 * NS_PER_S;
	run("psql -qX -c 'CREATE TABLE too_late (id int)'");
	assert_outcome(LEDGER_CANCELLED, NULL);
	assert_int_equal(ledger.statement_count, 0);
	assert_int_equal(ask("SELECT (to_regclass('too_late') IS NULL)::int"), 1);
	stop_flag_clear(&cancelled);
}

static void test_leaves_nobody_behind(void **state)
{
	(void)state;
	run("psql -qX -c 'SELECT pg_sleep(100)' >/dev/null 2>&1 & sleep 1");
	assert_int_equal(ledger.outcome, LEDGER_OK);
	assert_no_backend();
	/* Out of its group: its connection ends all the same. */
	run("setsid psql -qX -c 'SELECT pg_sleep(100)' >/dev/null 2>&1 & sleep 1");
	assert_no_backend();
}

static int check(const char *shell, char *text, size_t size)
{
	struct error err = ERROR_INIT;
	command.shell = shell;
	int rc = command_runner_check(&command, &err);
	(void)snprintf(text, size, "%s", err.text);
	return rc;
}

static void test_what_cannot_be_run(void **state)
{
	(void)state;
	char text[ERROR_TEXT_MAX];
	struct error err = ERROR_INIT;
	assert_int_equal(check("no-such-tool migrate", text, sizeof(text)), -ERR_UNAVAILABLE);
	assert_string_equal(text, "no-such-tool cannot be found");
	assert_int_equal(check("/no/such/tool migrate", text, sizeof(text)), -ERR_UNAVAILABLE);
	assert_int_equal(check("  ", text, sizeof(text)), -ERR_USAGE);
	assert_int_equal(check("if true; then", text, sizeof(text)), -ERR_USAGE);
	assert_non_null(strstr(text, "the shell does not understand it: "));
	assert_int_equal(check("cd /tmp && X=1 psql", text, sizeof(text)), 0);
	assert_int_equal(check("X=1 no-such-tool", text, sizeof(text)), 0);
	/* Known only when it is run. */
	assert_int_equal(command_runner_run(&options, &ledger, &err), -ERR_UNAVAILABLE);
	assert_non_null(strstr(err.text, "cannot be found (exit status 127)"));
	const char *const argv[] = {"no-such-tool", NULL};
	command = (struct tool_command){.argv = argv};
	assert_int_equal(command_runner_check(&command, &err), -ERR_UNAVAILABLE);
	assert_int_equal(command_runner_run(&options, &ledger, &err), -ERR_UNAVAILABLE);
	options.url = "postgresql://127.0.0.1:1/nowhere";
	command = (struct tool_command){.shell = "psql"};
	assert_int_equal(command_runner_run(&options, &ledger, &err), -ERR_UNAVAILABLE);
}

/* The danger: a tool with a setting of its own. */
static void test_reaches_no_other_server(void **state)
{
	(void)state;
	char shell[600];
	(void)snprintf(shell, sizeof(shell), "psql -qX -d '%s' -c 'CREATE TABLE astray (id int)'", other.url);
	run(shell);
	if (strstr(log_text, "may reach other servers")) {
		print_message("%s", log_text);
		skip();
	}
	assert_outcome(LEDGER_FAILED, "psql ended with exit status 2");
	assert_int_equal(ledger.statement_count, 0);
	command.open_network = true;
	run(shell);
	assert_outcome(LEDGER_OK, "psql ended well, and sent no statement to the clone");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_no_commit, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_psql, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_without_a_shell, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_environment, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_fails_half_way, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_goes_on_after_an_error, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_sends_nothing, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_never_ends, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_interrupted, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_leaves_nobody_behind, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_what_cannot_be_run, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_reaches_no_other_server, set_up, tear_down),
	};
	return cmocka_run_group_tests(tests, set_up_group, tear_down_group);
}
