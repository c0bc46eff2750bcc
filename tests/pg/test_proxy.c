/* Real tools through the tracing proxy, as if it were not there: what they get, and what they leave behind. */
#include "clock.h"
#include "mem.h"
#include "process.h"
#include "support_pg_server.h"
#include "tracing_proxy.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

static struct pg_server server;
static struct tracing_proxy *proxy;
static struct ledger ledger;
static struct strbuf said; /* by the program that ran last */

/* Runs a program of PostgreSQL's (or another) with the proxy's URL in DATABASE_URL; its exit code. */
static int run_tool(const char *const *argv)
{
	struct error err = ERROR_INIT;
	char *url = mem_printf("DATABASE_URL=%s", tracing_proxy_url(proxy));
	char *path = mem_printf("PATH=%s:/usr/bin:/bin", pg_server_bindir());
	char *port = mem_printf("PGPORT=%d", tracing_proxy_port(proxy));
	char *password = mem_printf("PGPASSWORD=%s", tracing_proxy_password(proxy));
	const char *const environment[] = {
		url,	      path, port, password, "PGHOST=127.0.0.1", "PGUSER=postgres", "PGDATABASE=postgres",
		"PGOPTIONS=", NULL};
	struct process_options options = PROCESS_OPTIONS_INIT;
	options.argv = argv;
	options.environment = environment;
	int code = -1;
	strbuf_clear(&said);
	if (process_run(&options, NULL, &said, &code, &err) != 0)
		fail_msg("%s", err.text);
	free(url);
	free(path);
	free(port);
	free(password);
	return code;
}

static int run_psql(const char *script)
{
	char path[300];
	(void)snprintf(path, sizeof(path), "%s/script.sql", server.folder);
	FILE *file = fopen(path, "w");
	assert_non_null(file);
	(void)fputs(script, file);
	(void)fclose(file);
	char program[300];
	(void)snprintf(program, sizeof(program), "%s/psql", pg_server_bindir());
	return run_tool(
		(const char *const[]){program, "-X", "-A", "-t", "-q", "-v", "ON_ERROR_STOP=1", "-f", path, NULL});
}

static void test_psql_runs_a_file(void **state)
{
	(void)state;
	assert_int_equal(run_psql("CREATE TABLE shop (id int PRIMARY KEY, name text);\n"
				  "INSERT INTO shop SELECT i, 'item ' || i FROM generate_series(1, 1000) i;\n"
				  "SELECT count(*) FROM shop;\n"
				  "ALTER TABLE shop ADD COLUMN price int DEFAULT 3;\n"
				  "CREATE INDEX CONCURRENTLY shop_name ON shop (name);\n"
				  "BEGIN; DROP INDEX shop_name; COMMIT;\n"),
			 0);
	assert_string_equal(said.data, "1000\n");
}

static int start(void **state)
{
	(void)state;
	struct error err = ERROR_INIT;
	strbuf_init(&said, (size_t)16 * 1024 * 1024);
	ledger_init(&ledger);
	if (pg_server_start(&server, NULL) < 0)
		return -1;
	struct tracing_proxy_options options = {.url = server.url, .t0_ns = clock_mono_ns()};
	return tracing_proxy_start(&options, &proxy, &err);
}

static int stop(void **state)
{
	(void)state;
	struct error err = ERROR_INIT;
	(void)tracing_proxy_stop(proxy, &ledger, &err);
	ledger_release(&ledger);
	strbuf_release(&said);
	pg_server_stop(&server);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_psql_runs_a_file),
	};
	return cmocka_run_group_tests(tests, start, stop);
}
