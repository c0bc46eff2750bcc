/* The proxy logs in to a clone that wants TLS and SCRAM; the tool behind it needs neither. */
#include "clock.h"
#include "mem.h"
#include "support_pg_server.h"
#include "tracing_proxy.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <sys/stat.h>
#include <unistd.h>

static struct pg_server server;

static void write_file(const char *path, const char *text, uid_t uid)
{
	FILE *file = fopen(path, "w");
	assert_non_null(file);
	(void)fputs(text, file);
	(void)fclose(file);
	assert_int_equal(chmod(path, 0600), 0);
	assert_int_equal(chown(path, uid, (gid_t)-1), 0);
}

/* On TCP the server wants a password over TLS from now on. */
static void demand_tls(void)
{
	assert_int_equal(pg_server_run(&server, "CREATE ROLE mover LOGIN SUPERUSER PASSWORD 'pass word'"), 0);
	char *command =
		mem_printf("openssl req -new -x509 -days 2 -nodes -subj /CN=localhost -keyout '%s/server.key' -out "
			   "'%s/server.crt' 2>/dev/null && chmod 600 '%s/server.key' && chown %d '%s/server.key'",
			   server.data, server.data, server.data, (int)pg_server_uid(), server.data);
	assert_int_equal(system(command), 0);
	free(command);
	char *path = mem_printf("%s/pg_hba.conf", server.data);
	write_file(path, "local all all trust\nhostssl all all 127.0.0.1/32 scram-sha-256\n", pg_server_uid());
	free(path);
	pg_server_halt(&server);
	path = mem_printf("%s/postgresql.auto.conf", server.data);
	write_file(path, "ssl = on\n", pg_server_uid());
	free(path);
}

static struct tracing_proxy *start_proxy(char *url)
{
	struct error err = ERROR_INIT;
	struct tracing_proxy *proxy = NULL;
	struct tracing_proxy_options options = {.url = url, .t0_ns = clock_mono_ns()};
	if (tracing_proxy_start(&options, &proxy, &err) != 0)
		fail_msg("%s", err.text);
	assert_null(strstr(tracing_proxy_url(proxy), "pass"));
	free(url);
	return proxy;
}

static void stop_proxy(struct tracing_proxy *proxy, size_t statements)
{
	struct error err = ERROR_INIT;
	struct ledger ledger;
	ledger_init(&ledger);
	assert_int_equal(tracing_proxy_stop(proxy, &ledger, &err), 0);
	assert_int_equal(ledger.statement_count, statements);
	ledger_release(&ledger);
}

/* Enough to fill several TLS records and buffers, both ways. */
static void use(struct tracing_proxy *proxy, int encrypted)
{
	PGconn *conn = PQconnectdb(tracing_proxy_url(proxy));
	if (PQstatus(conn) != CONNECTION_OK)
		fail_msg("%s", PQerrorMessage(conn));
	assert_int_equal(PQsslInUse(conn), 0);
	assert_int_equal(pg_server_number(conn, "SELECT ssl::int FROM pg_stat_ssl WHERE pid = pg_backend_pid()"),
			 encrypted);
	size_t len = (size_t)3 * 1024 * 1024;
	char *large = mem_alloc(len + 1);
	memset(large, 'z', len);
	large[len] = '\0';
	const char *const values[] = {large};
	PGresult *result = PQexecParams(conn, "SELECT $1::text || $1", 1, NULL, values, NULL, NULL, 0);
	assert_int_equal(PQresultStatus(result), PGRES_TUPLES_OK);
	assert_int_equal(PQgetlength(result, 0, 0), 2 * len);
	PQclear(result);
	result = PQexec(conn, "SELECT generate_series(1, 200000)");
	assert_int_equal(PQntuples(result), 200000);
	PQclear(result);
	assert_int_equal(pg_server_sql(conn, "CREATE TABLE made (id int); DROP TABLE made"), 0);
	PGcancel *cancel = PQgetCancel(conn);
	char why[256];
	assert_int_equal(PQsendQuery(conn, "SELECT pg_sleep(60)"), 1);
	clock_sleep_until_ns(clock_mono_ns() + 300 * NS_PER_MS);
	assert_int_equal(PQcancel(cancel, why, sizeof(why)), 1);
	result = PQgetResult(conn);
	assert_string_equal(PQresultErrorField(result, PG_DIAG_SQLSTATE), "57014");
	PQclear(result);
	PQfreeCancel(cancel);
	PQfinish(conn);
	free(large);
}

static void test_tls_and_scram(void **state)
{
	(void)state;
	struct tracing_proxy *proxy = start_proxy(mem_printf(
		"postgresql://mover:pass%%20word@127.0.0.1:%d/postgres?sslmode=require&channel_binding=require",
		server.port));
	assert_string_equal(tracing_proxy_user(proxy), "mover");
	use(proxy, 1);
	stop_proxy(proxy, 6);
}

static void test_a_passfile(void **state)
{
	(void)state;
	char *passfile = mem_printf("%s/pgpass", server.folder),
	     *line = mem_printf("*:%d:*:mover:pass word\n", server.port);
	write_file(passfile, line, getuid());
	struct tracing_proxy *proxy = start_proxy(mem_printf(
		"host=127.0.0.1 port=%d user=mover dbname=postgres sslmode=prefer passfile=%s", server.port, passfile));
	use(proxy, 1);
	stop_proxy(proxy, 6);
	free(passfile);
	free(line);
}

static void test_a_unix_socket(void **state)
{
	(void)state;
	struct tracing_proxy *proxy =
		start_proxy(mem_printf("host=%s port=%d user=mover dbname=postgres", server.folder, server.port));
	use(proxy, 0);
	stop_proxy(proxy, 6);
}

static void test_a_clone_that_does_not_let_us_in(void **state)
{
	(void)state;
	struct error err = ERROR_INIT;
	struct tracing_proxy *proxy = NULL;
	char *url = mem_printf("postgresql://mover:wrong@127.0.0.1:%d/postgres", server.port);
	struct tracing_proxy_options options = {.url = url, .t0_ns = clock_mono_ns()};
	assert_int_equal(tracing_proxy_start(&options, &proxy, &err), -ERR_UNAVAILABLE);
	assert_null(strstr(err.text, "wrong"));
	assert_null(proxy);
	free(url);
}

static int start(void **state)
{
	(void)state;
	if (pg_server_start(&server, NULL) < 0)
		return -1;
	demand_tls();
	(void)snprintf(server.url, sizeof(server.url), "host=%s port=%d user=mover dbname=postgres", server.folder,
		       server.port);
	return pg_server_restart(&server);
}

static int stop(void **state)
{
	(void)state;
	pg_server_stop(&server);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_tls_and_scram),
		cmocka_unit_test(test_a_passfile),
		cmocka_unit_test(test_a_unix_socket),
		cmocka_unit_test(test_a_clone_that_does_not_let_us_in),
	};
	return cmocka_run_group_tests(tests, start, stop);
}
