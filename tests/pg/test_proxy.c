/* Real tools through the tracing proxy, as if it were not there: what they get, and what they leave behind. */
#include "clock.h"
#include "mem.h"
#include "support_pg_server.h"
#include "support_program.h"
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

/* Runs a program of PostgreSQL's (or another) with the proxy's address in its environment; its exit code. */
static int run_tool(const char *const *argv)
{
	char *url = mem_printf("DATABASE_URL=%s", tracing_proxy_url(proxy));
	char *path = mem_printf("PATH=%s:/usr/bin:/bin", pg_server_bindir());
	char *port = mem_printf("PGPORT=%d", tracing_proxy_port(proxy));
	char *password = mem_printf("PGPASSWORD=%s", tracing_proxy_password(proxy));
	const char *const environment[] = {
		url, path, port, password, "PGHOST=127.0.0.1", "PGUSER=postgres", "PGDATABASE=postgres", NULL};
	int code = program_run(argv, environment);
	free(url);
	free(path);
	free(port);
	free(password);
	return code;
}

static char *write_script(const char *text)
{
	char *path = mem_printf("%s/script", server.folder);
	FILE *file = fopen(path, "w");
	assert_non_null(file);
	(void)fputs(text, file);
	(void)fclose(file);
	return path;
}

static int run_psql(const char *script)
{
	char *path = write_script(script);
	int code = run_tool((const char *const[]){"psql", "-X", "-A", "-t", "-q", "-v", "ON_ERROR_STOP=1", "-v",
						  "VERBOSITY=verbose", "-f", path, NULL});
	free(path);
	return code;
}

/* psql is content, and says that. */
static void expect_psql(const char *script, const char *expected)
{
	int code = run_psql(script);
	if (code != 0 || strcmp(program_said.data, expected) != 0)
		fail_msg("psql: %d\n%s", code, program_said.data);
}

static PGconn *connect_with(const char *more)
{
	char *conninfo = mem_printf("host=127.0.0.1 port=%d user=postgres dbname=postgres password=%s %s",
				    tracing_proxy_port(proxy), tracing_proxy_password(proxy), more);
	PGconn *conn = PQconnectdb(conninfo);
	free(conninfo);
	return conn;
}

static PGconn *connect_tool(void)
{
	PGconn *conn = connect_with("");
	if (PQstatus(conn) != CONNECTION_OK)
		fail_msg("%s", PQerrorMessage(conn));
	return conn;
}

static void expect_error(PGresult *result, const char *sqlstate)
{
	const char *code = PQresultErrorField(result, PG_DIAG_SQLSTATE);
	if (!code || strcmp(code, sqlstate) != 0)
		fail_msg("%s instead of %s: %s", code ? code : "no error", sqlstate, PQresultErrorMessage(result));
	PQclear(result);
}

static void expect_ok(PGresult *result)
{
	ExecStatusType status = PQresultStatus(result);
	if (status != PGRES_COMMAND_OK && status != PGRES_TUPLES_OK)
		fail_msg("%s", PQresultErrorMessage(result));
	PQclear(result);
}

static void run(PGconn *conn, const char *sql)
{
	expect_ok(PQexec(conn, sql));
}

static void expect_status(PGconn *conn, PGTransactionStatusType status)
{
	assert_int_equal(PQtransactionStatus(conn), status);
}

static void note_notice(void *context, const PGresult *result)
{
	int *count = context;
	*count += PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY) != NULL;
}

/* ---- Tools ---- */

static void test_psql_runs_a_file(void **state)
{
	(void)state;
	expect_psql("CREATE TABLE goods (id int PRIMARY KEY, name text);\n"
		    "INSERT INTO goods SELECT i, 'item ' || i FROM generate_series(1, 1000) i;\n"
		    "SELECT count(*) FROM goods;\n"
		    "ALTER TABLE goods ADD COLUMN price int DEFAULT 3;\n"
		    "CREATE INDEX CONCURRENTLY goods_name ON goods (name);\n"
		    "BEGIN; DROP INDEX goods_name; COMMIT;\n"
		    "VACUUM goods;\n"
		    "DO $$ BEGIN COMMIT; END $$;\n"
		    "\\copy goods (id, name) FROM PROGRAM 'seq -f \"%.0f\tnew\" 2001 2100'\n"
		    "COPY (SELECT 'out ' || id FROM goods WHERE id > 2098 ORDER BY id) TO STDOUT;\n"
		    "SELECT count(*), count(price) FROM goods;\n",
		    "1000\n"
		    "out 2099\nout 2100\n1100|1100\n");
}

static void test_pgbench_in_all_its_manners(void **state)
{
	(void)state;
	static const char *const manners[] = {"simple", "extended", "prepared"};
	assert_int_equal(run_tool((const char *const[]){"pgbench", "-i", "-q", "-s", "1", NULL}), 0);
	for (size_t i = 0; i < 3; i++) {
		int code =
			run_tool((const char *const[]){"pgbench", "-M", manners[i], "-c", "3", "-t", "20", "-n", NULL});
		if (code != 0 || !strstr(program_said.data, "transactions actually processed: 60/60"))
			fail_msg("%s: %d\n%s", manners[i], code, program_said.data);
	}
	assert_int_equal(pg_server_ask(&server, "SELECT count(*) FROM pgbench_history"), 180);
}

static void test_psycopg2(void **state)
{
	(void)state;
	char *path =
		write_script("import psycopg2, os\n"
			     "c = psycopg2.connect(os.environ['DATABASE_URL'])\n"
			     "k = c.cursor()\n"
			     "k.execute('CREATE TABLE snake (id int)')\n"
			     "k.execute('INSERT INTO snake SELECT generate_series(1, %s)', (5,))\n"
			     "k.execute('SELECT sum(id) FROM snake')\n"
			     "print(k.fetchone())\n"
			     "c.commit()\n"
			     "n = c.cursor('named')\n"
			     "n.itersize = 2\n"
			     "n.execute('SELECT id FROM snake ORDER BY id')\n"
			     "print([row[0] for row in n])\n"
			     "c.rollback()\n"
			     "c.autocommit = True\n"
			     "k.execute('ALTER TABLE snake ADD COLUMN b int; ALTER TABLE snake ADD COLUMN c int')\n"
			     "k.execute('CREATE INDEX CONCURRENTLY ON snake (b)')\n"
			     "try:\n"
			     "    k.execute('SELEC')\n"
			     "except psycopg2.errors.SyntaxError as e:\n"
			     "    print(e.diag.statement_position)\n");
	int code = run_tool((const char *const[]){"/usr/bin/python3", path, NULL});
	free(path);
	if (code != 0 || strcmp(program_said.data, "(15,)\n[1, 2, 3, 4, 5]\n1\n") != 0)
		fail_msg("%d: %s", code, program_said.data);
}

/* ---- Logging in ---- */

static void test_who_gets_in(void **state)
{
	(void)state;
	char *conninfo = mem_printf("host=127.0.0.1 port=%d user=postgres dbname=postgres password=guess",
				    tracing_proxy_port(proxy));
	PGconn *conn = PQconnectdb(conninfo);
	assert_int_equal(PQstatus(conn), CONNECTION_BAD);
	assert_non_null(strstr(PQerrorMessage(conn), "not the password"));
	PQfinish(conn);
	free(conninfo);
	conn = connect_with("dbname=nowhere");
	assert_int_equal(PQstatus(conn), CONNECTION_BAD);
	assert_non_null(strstr(PQerrorMessage(conn), "FATAL:  database \"nowhere\" does not exist"));
	PQfinish(conn);
	conn = connect_with("sslmode=require");
	assert_int_equal(PQstatus(conn), CONNECTION_BAD);
	PQfinish(conn);
}

static void test_what_a_startup_packet_asks_for(void **state)
{
	(void)state;
	PGconn *conn = connect_with("application_name='my tool' client_encoding=LATIN1 "
				    "options='-c DateStyle=German,\\\\ DMY -c work_mem=7MB'");
	if (PQstatus(conn) != CONNECTION_OK)
		fail_msg("%s", PQerrorMessage(conn));
	assert_string_equal(PQparameterStatus(conn, "client_encoding"), "LATIN1");
	assert_string_equal(PQparameterStatus(conn, "application_name"), "my tool");
	char *path = pg_server_value(conn, "SELECT current_setting('DateStyle') || current_setting('work_mem') || "
					   "current_setting('application_name')");
	assert_string_equal(path, "German, DMY7MBmy tool");
	free(path);
	assert_int_equal(PQbackendPID(conn), pg_server_number(conn, "SELECT pg_backend_pid()"));
	PQfinish(conn);
	assert_int_equal(setenv("PGTZ", "Asia/Tokyo", 1), 0);
	conn = connect_tool();
	(void)unsetenv("PGTZ");
	assert_string_equal(PQparameterStatus(conn, "TimeZone"), "Asia/Tokyo");
	PQfinish(conn);
}

/* ---- The protocol's corners ---- */

static void test_a_pipeline(void **state)
{
	(void)state;
	PGconn *conn = connect_tool();
	run(conn, "CREATE TABLE piped (id int PRIMARY KEY)");
	assert_int_equal(PQenterPipelineMode(conn), 1);
	for (int round = 0; round < 3; round++) { /* the second fails in its middle */
		const char *const texts[] = {"INSERT INTO piped VALUES (1 + 10 * $1::int)",
					     "INSERT INTO piped SELECT CASE $1::int WHEN 1 THEN 1 ELSE 2 + 10 * $1 END",
					     "ALTER TABLE piped ADD COLUMN IF NOT EXISTS c int DEFAULT 0"};
		char number[16];
		(void)snprintf(number, sizeof(number), "%d", round);
		const char *const values[] = {number};
		for (size_t i = 0; i < 3; i++)
			assert_int_equal(PQsendQueryParams(conn, texts[i], i < 2, NULL, values, NULL, NULL, 0), 1);
		assert_int_equal(PQpipelineSync(conn), 1);
	}
	for (int round = 0; round < 3; round++) {
		for (size_t i = 0; i < 3; i++) {
			PGresult *result = PQgetResult(conn);
			ExecStatusType expected = round != 1 || i == 0 ? PGRES_COMMAND_OK
						  : i == 1	       ? PGRES_FATAL_ERROR
								       : PGRES_PIPELINE_ABORTED;
			if (PQresultStatus(result) != expected)
				fail_msg("round %d, %zu: %s", round, i, PQresultErrorMessage(result));
			PQclear(result);
			assert_null(PQgetResult(conn));
		}
		PGresult *result = PQgetResult(conn);
		assert_int_equal(PQresultStatus(result), PGRES_PIPELINE_SYNC);
		PQclear(result);
	}
	assert_int_equal(PQexitPipelineMode(conn), 1);
	expect_status(conn, PQTRANS_IDLE);
	/* a pipeline up to its Sync is one transaction */
	assert_int_equal(pg_server_number(conn, "SELECT sum(id) FROM piped"), 1 + 2 + 21 + 22);
	PQfinish(conn);
}

/* As JDBC does it: BEGIN and the first statement before one Sync. */
static void test_a_pipeline_with_its_own_begin(void **state)
{
	(void)state;
	static const char *const texts[] = {"CREATE TABLE begun (id int)", "BEGIN", "INSERT INTO begun VALUES (1)",
					    "SELECT 1", "INSERT INTO begun VALUES (2)"};
	PGconn *conn = connect_tool();
	int notices = 0;
	(void)PQsetNoticeReceiver(conn, note_notice, &notices);
	for (size_t first = 0; first < 2; first++) { /* with a statement before the BEGIN, which becomes part of it */
		for (int commit = 0; commit < 2; commit++) {
			run(conn, "DROP TABLE IF EXISTS begun");
			if (first)
				run(conn, texts[0]);
			notices = 0;
			assert_int_equal(PQenterPipelineMode(conn), 1);
			for (size_t i = first; i < 5; i++)
				assert_int_equal(PQsendQueryParams(conn, texts[i], 0, NULL, NULL, NULL, NULL, 0), 1);
			assert_int_equal(PQpipelineSync(conn), 1);
			for (size_t i = first; i < 5; i++) {
				expect_ok(PQgetResult(conn));
				assert_null(PQgetResult(conn));
			}
			PQclear(PQgetResult(conn));
			assert_int_equal(PQexitPipelineMode(conn), 1);
			assert_int_equal(notices, 0);
			expect_status(conn, PQTRANS_INTRANS); /* it is the tool's transaction */
			run(conn, commit ? "COMMIT" : "ROLLBACK");
			assert_int_equal(
				pg_server_number(conn, "SELECT count(*) FROM pg_class WHERE relname = 'begun'"),
				first || commit);
			if (commit)
				assert_int_equal(pg_server_number(conn, "SELECT count(*) FROM begun"), 2);
		}
	}
	PQfinish(conn);
}

static void test_what_has_no_name_survives(void **state)
{
	(void)state;
	PGconn *conn = connect_tool();
	run(conn, "CREATE TABLE unnamed (id int)");
	expect_ok(PQprepare(conn, "", "INSERT INTO unnamed VALUES ($1)", 0, NULL));
	for (int i = 0; i < 3; i++) /* between these the proxy asks its own questions */
		expect_ok(PQexecPrepared(conn, "", 1, (const char *const[]){"4"}, NULL, NULL, 0));
	run(conn, "BEGIN");
	expect_ok(PQprepare(conn, "", "INSERT INTO unnamed VALUES ($1)", 0, NULL));
	for (int i = 0; i < 3; i++)
		expect_ok(PQexecPrepared(conn, "", 1, (const char *const[]){"5"}, NULL, NULL, 0));
	run(conn, "COMMIT");
	assert_int_equal(pg_server_number(conn, "SELECT sum(id) FROM unnamed"), 27);
	run(conn, "DISCARD ALL");
	run(conn, "BEGIN");
	run(conn, "INSERT INTO unnamed VALUES (1)");
	run(conn, "DO $$ BEGIN EXECUTE 'DEALLOCATE ALL'; END $$"); /* ours too, and nobody said so */
	run(conn, "INSERT INTO unnamed VALUES (1)");
	run(conn, "INSERT INTO unnamed VALUES (1)");
	run(conn, "COMMIT");
	assert_int_equal(pg_server_number(conn, "SELECT sum(id) FROM unnamed"), 30);
	PQfinish(conn);
}

static void test_large_values_go_through(void **state)
{
	(void)state;
	PGconn *conn = connect_tool();
	size_t len = (size_t)20 * 1024 * 1024;
	char *large = mem_alloc(len + 1);
	memset(large, 'x', len);
	large[len] = '\0';
	run(conn, "CREATE TABLE large (t text)");
	const char *const values[] = {large};
	expect_ok(PQexecParams(conn, "INSERT INTO large VALUES ($1)", 1, NULL, values, NULL, NULL, 0));
	char *query = mem_printf("INSERT INTO large VALUES ('%s')", large);
	run(conn, query);
	PGresult *result = PQexec(conn, "SELECT t FROM large");
	assert_int_equal(PQntuples(result), 2);
	assert_int_equal(PQgetlength(result, 0, 0), len);
	assert_int_equal(PQgetlength(result, 1, 0), len);
	PQclear(result);
	free(query);
	free(large);
	PQfinish(conn);
}

static void put_copy(PGconn *conn, int rows, const char *error)
{
	for (int i = 0; i < rows; i++) {
		char row[32];
		int len = snprintf(row, sizeof(row), "%d\n", i);
		assert_int_equal(PQputCopyData(conn, row, len), 1);
	}
	assert_int_equal(PQputCopyEnd(conn, error), 1);
}

static void test_copy_in(void **state)
{
	(void)state;
	PGconn *conn = connect_tool();
	run(conn, "CREATE TABLE copied (id int CHECK (id < 100000))");
	for (int extended = 0; extended < 2; extended++) {
		static const char sql[] = "COPY copied FROM STDIN";
		for (int how = 0; how < 3; how++) { /* well, given up by the tool, refused by the server */
			PGresult *result =
				extended ? PQexecParams(conn, sql, 0, NULL, NULL, NULL, NULL, 0) : PQexec(conn, sql);
			assert_int_equal(PQresultStatus(result), PGRES_COPY_IN);
			PQclear(result);
			put_copy(conn, how == 2 ? 200000 : 1000, how == 1 ? "enough" : NULL);
			result = PQgetResult(conn);
			if (how == 0)
				expect_ok(result);
			else
				expect_error(result, how == 1 ? "57014" : "23514");
			assert_null(PQgetResult(conn));
			expect_status(conn, PQTRANS_IDLE);
		}
	}
	assert_int_equal(pg_server_number(conn, "SELECT count(*) FROM copied"), 2000);
	PQfinish(conn);
}

static void test_copy_out(void **state)
{
	(void)state;
	PGconn *conn = connect_tool();
	PGresult *result = PQexec(conn, "COPY (SELECT repeat('y', 1000) FROM generate_series(1, 20000)) TO STDOUT");
	assert_int_equal(PQresultStatus(result), PGRES_COPY_OUT);
	PQclear(result);
	char *row;
	int rows = 0;
	while (PQgetCopyData(conn, &row, 0) > 0) {
		PQfreemem(row);
		rows++;
	}
	assert_int_equal(rows, 20000);
	expect_ok(PQgetResult(conn));
	assert_null(PQgetResult(conn));
	PQfinish(conn);
}

static void test_deferred_constraints(void **state)
{
	(void)state;
	PGconn *conn = connect_tool();
	run(conn, "CREATE TABLE parent (id int PRIMARY KEY)");
	run(conn, "CREATE TABLE child (id int REFERENCES parent DEFERRABLE INITIALLY DEFERRED)");
	expect_error(PQexec(conn, "INSERT INTO child VALUES (1)"), "23503");
	expect_status(conn, PQTRANS_IDLE);
	expect_error(PQexecParams(conn, "INSERT INTO child VALUES (1)", 0, NULL, NULL, NULL, NULL, 0), "23503");
	expect_status(conn, PQTRANS_IDLE);
	run(conn, "BEGIN");
	run(conn, "INSERT INTO child VALUES (1)");
	expect_error(PQexec(conn, "COMMIT"), "23503");
	expect_status(conn, PQTRANS_IDLE);
	assert_int_equal(pg_server_number(conn, "SELECT count(*) FROM child"), 0);
	PQfinish(conn);
}

static void test_what_must_not_be_in_a_transaction(void **state)
{
	(void)state;
	PGconn *conn = connect_tool();
	run(conn, "CREATE TABLE outside (id int)");
	run(conn, "CREATE INDEX CONCURRENTLY outside_id ON outside (id)");
	expect_ok(PQexecParams(conn, "CREATE INDEX CONCURRENTLY outside_2 ON outside (id)", 0, NULL, NULL, NULL, NULL,
			       0));
	expect_ok(PQexecParams(conn, "VACUUM outside", 0, NULL, NULL, NULL, NULL, 0));
	run(conn, "CREATE DATABASE elsewhere");
	run(conn, "DROP DATABASE elsewhere");
	run(conn, "CREATE PROCEDURE commits() LANGUAGE plpgsql AS 'BEGIN INSERT INTO outside VALUES (1); COMMIT; END'");
	run(conn, "CALL commits()");
	run(conn, "DO $$ BEGIN CALL commits(); END $$"); /* known only when the server says so */
	assert_int_equal(pg_server_number(conn, "SELECT count(*) FROM outside"), 2);
	/* and what must be in one */
	expect_error(PQexec(conn, "LOCK TABLE outside"), "25P01");
	expect_error(PQexec(conn, "DECLARE c CURSOR FOR SELECT 1"), "25P01");
	expect_error(PQexec(conn, "SAVEPOINT s"), "25P01");
	expect_error(PQexec(conn, "CREATE INDEX CONCURRENTLY outside_3 ON outside (id); SELECT 1"), "25001");
	run(conn, "BEGIN");
	expect_error(PQexec(conn, "VACUUM outside"), "25001");
	expect_status(conn, PQTRANS_INERROR);
	run(conn, "ROLLBACK");
	PQfinish(conn);
}

/* What a query of several statements says and leaves, straight and through the proxy. */
static char *answers_of(PGconn *conn, const char *sql)
{
	struct strbuf text;
	strbuf_init(&text, 100000);
	assert_int_equal(PQsendQuery(conn, sql), 1);
	for (PGresult *result; (result = PQgetResult(conn)); PQclear(result)) {
		const char *code = PQresultErrorField(result, PG_DIAG_SQLSTATE);
		const char *at = PQresultErrorField(result, PG_DIAG_STATEMENT_POSITION);
		strbuf_addf(&text, "%s %s %s %s\n", PQcmdStatus(result), code ? code : "-", at ? at : "-",
			    PQntuples(result) ? PQgetvalue(result, 0, 0) : "-");
	}
	strbuf_addf(&text, "%d\n", (int)PQtransactionStatus(conn));
	PQclear(PQexec(conn, "ROLLBACK"));
	char *left = pg_server_value(conn, "SELECT string_agg(id::text, ',' ORDER BY id) FROM several");
	strbuf_addf(&text, "%s\n", left ? left : "nothing");
	free(left);
	run(conn, "TRUNCATE several, late");
	return strbuf_detach(&text);
}

static void test_several_statements_in_one_query(void **state)
{
	(void)state;
	static const char *const queries[] = {
		"INSERT INTO several VALUES (1); INSERT INTO several VALUES (2)",
		"INSERT INTO several VALUES (1); SELECT 'ä', 1/0; INSERT INTO several VALUES (2)",
		"INSERT INTO several VALUES (1); SELECT 'ä'; SELEC 2",
		"SELECT 'ä'; SELECT nothing FROM several",
		"BEGIN; INSERT INTO several VALUES (1); COMMIT; INSERT INTO several VALUES (2)",
		"BEGIN; INSERT INTO several VALUES (1); COMMIT; INSERT INTO several VALUES (2); SELECT 1/0",
		"INSERT INTO several VALUES (1); COMMIT; INSERT INTO several VALUES (2); SELECT 1/0",
		"INSERT INTO several VALUES (1); BEGIN; INSERT INTO several VALUES (2)",
		"BEGIN; INSERT INTO several VALUES (1); SAVEPOINT s; SELECT 1/0; ROLLBACK TO s; COMMIT",
		"BEGIN; INSERT INTO several VALUES (1)",
		"SET statement_timeout = 77000; BEGIN; INSERT INTO several VALUES (1); COMMIT; SHOW statement_timeout",
		"SET statement_timeout = 78000; BEGIN; SELECT 1/0; COMMIT",
		"SHOW statement_timeout; RESET statement_timeout",
		"INSERT INTO several VALUES (1); SAVEPOINT s",
		"INSERT INTO several VALUES (1); ROLLBACK; INSERT INTO several VALUES (2)",
		"BEGIN; INSERT INTO several VALUES (1); ROLLBACK AND CHAIN; INSERT INTO several VALUES (2); COMMIT",
		"SET TRANSACTION ISOLATION LEVEL SERIALIZABLE; SELECT current_setting('transaction_isolation')",
		"INSERT INTO several VALUES (1); SELECT count(*) FROM several; COPY several TO STDOUT",
		"INSERT INTO several VALUES (1); VACUUM several",
		"INSERT INTO several VALUES (3) RETURNING id; INSERT INTO late VALUES (9)",
		";;SELECT 7;;",
		"",
		"/* nothing */",
	};
	PGconn *straight = pg_server_connect(&server, NULL), *through = connect_tool();
	run(straight, "CREATE TABLE several (id int UNIQUE)");
	run(straight, "CREATE TABLE late (id int REFERENCES several (id) DEFERRABLE INITIALLY DEFERRED)");
	run(straight, "SET client_min_messages = error");
	run(through, "SET client_min_messages = error");
	for (size_t i = 0; i < sizeof(queries) / sizeof(*queries); i++) {
		if (strstr(queries[i], "TO STDOUT"))
			continue;
		for (int open = 0; open < 2; open++) {
			if (open) {
				run(straight, "BEGIN");
				run(through, "BEGIN");
			}
			char *expected = answers_of(straight, queries[i]), *got = answers_of(through, queries[i]);
			if (strcmp(expected, got) != 0)
				fail_msg("%s (%d)\nexpected:\n%sgot:\n%s", queries[i], open, expected, got);
			free(expected);
			free(got);
		}
	}
	PQfinish(straight);
	PQfinish(through);
}

static void test_notices_and_notifications(void **state)
{
	(void)state;
	int notices = 0;
	PGconn *conn = connect_tool();
	(void)PQsetNoticeReceiver(conn, note_notice, &notices);
	run(conn, "DO $$ BEGIN RAISE NOTICE 'one'; RAISE WARNING 'two'; END $$");
	assert_int_equal(notices, 2);
	run(conn, "DROP TABLE IF EXISTS never_was");
	assert_int_equal(notices, 3);
	run(conn, "COMMIT");
	assert_int_equal(notices, 4); /* there is no transaction */
	run(conn, "LISTEN bell");
	assert_int_equal(pg_server_run(&server, "NOTIFY bell, 'rings'"), 0);
	int64_t deadline_ns = clock_mono_ns() + 10 * NS_PER_S;
	PGnotify *notify = NULL;
	while (!(notify = PQnotifies(conn)) && clock_mono_ns() < deadline_ns) {
		clock_sleep_until_ns(clock_mono_ns() + 20 * NS_PER_MS);
		assert_int_equal(PQconsumeInput(conn), 1);
	}
	assert_non_null(notify);
	assert_string_equal(notify->extra, "rings");
	PQfreemem(notify);
	PQfinish(conn);
}

static void test_a_function_by_its_number(void **state)
{
	(void)state;
	PGconn *conn = connect_tool();
	int value = 0, len = 0;
	PQArgBlock argument = {.len = 4, .isint = 1, .u.integer = -5};
	expect_ok(PQfn(conn, 1251 /* int4abs */, &value, &len, 1, &argument, 1));
	assert_int_equal(value, 5);
	PQfinish(conn);
}

/* ---- Ends ---- */

static void test_a_cancel_request(void **state)
{
	(void)state;
	char why[256];
	PGconn *conn = connect_tool();
	PGcancel *cancel = PQgetCancel(conn);
	assert_int_equal(PQsendQuery(conn, "SELECT pg_sleep(60)"), 1);
	clock_sleep_until_ns(clock_mono_ns() + 300 * NS_PER_MS);
	assert_int_equal(PQcancel(cancel, why, sizeof(why)), 1);
	expect_error(PQgetResult(conn), "57014");
	assert_null(PQgetResult(conn));
	expect_status(conn, PQTRANS_IDLE);
	assert_int_equal(PQcancel(cancel, why, sizeof(why)), 1); /* nothing runs */
	run(conn, "SELECT 1");
	PQfreeCancel(cancel);
	PQfinish(conn);
}

static void wait_for(const char *sql, long long value)
{
	int64_t deadline_ns = clock_mono_ns() + 15 * NS_PER_S;
	while (pg_server_ask(&server, sql) != value) {
		if (clock_mono_ns() > deadline_ns)
			fail_msg("%s is not %lld", sql, value);
		clock_sleep_until_ns(clock_mono_ns() + 50 * NS_PER_MS);
	}
}

static void test_a_tool_that_vanishes(void **state)
{
	(void)state;
	run_psql("CREATE TABLE abandoned (id int)");
	for (int busy = 0; busy < 2; busy++) {
		pid_t child = fork();
		if (child == 0) {
			PGconn *conn = connect_with("application_name=vanishing");
			PQclear(PQexec(conn, "BEGIN"));
			PQclear(PQexec(conn, "INSERT INTO abandoned VALUES (1)"));
			PQclear(PQexec(conn, busy ? "SELECT pg_sleep(60)" : "SELECT 1"));
			(void)pause();
			_exit(0);
		}
		wait_for(
			busy ? "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'vanishing' AND query ~ "
			       "'sleep' AND state = 'active'"
			     : "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'vanishing' AND state = "
			       "'idle in "
			       "transaction'",
			1);
		assert_int_equal(kill(child, SIGKILL), 0);
		(void)waitpid(child, NULL, 0);
		wait_for("SELECT count(*) FROM pg_stat_activity WHERE application_name = 'vanishing'", 0);
	}
	assert_int_equal(pg_server_ask(&server, "SELECT count(*) FROM abandoned"), 0);
}

static void test_a_server_that_goes(void **state)
{
	(void)state;
	PGconn *conn = connect_tool();
	assert_int_equal(PQsendQuery(conn, "SELECT pg_sleep(60)"), 1);
	wait_for("SELECT count(*) FROM pg_stat_activity WHERE query = 'SELECT pg_sleep(60)' AND state = 'active'", 1);
	assert_int_equal(pg_server_run(&server, "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query = "
						"'SELECT pg_sleep(60)'"),
			 0);
	expect_error(PQgetResult(conn), "57P01");
	PQclear(PQgetResult(conn));
	assert_int_equal(PQstatus(conn), CONNECTION_BAD);
	PQfinish(conn);
	conn = connect_tool(); /* the proxy lives on */
	run(conn, "SELECT 1");
	char *sql = mem_printf("SELECT pg_terminate_backend(%d)", PQbackendPID(conn)); /* while it is idle */
	assert_int_equal(pg_server_run(&server, sql), 0);
	clock_sleep_until_ns(clock_mono_ns() + 200 * NS_PER_MS);
	PQclear(PQexec(conn, "SELECT 1"));
	assert_non_null(strstr(PQerrorMessage(conn), "terminating connection due to administrator command"));
	free(sql);
	PQfinish(conn);
}

static void test_many_sessions(void **state)
{
	(void)state;
	PGconn *conns[40];
	for (size_t i = 0; i < 40; i++)
		conns[i] = connect_tool();
	for (size_t i = 0; i < 40; i++)
		run(conns[i], "SELECT 1");
	for (size_t i = 0; i < 40; i++)
		PQfinish(conns[i]);
}

static int start(void **state)
{
	(void)state;
	struct error err = ERROR_INIT;
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
	pg_server_stop(&server);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_psql_runs_a_file),
		cmocka_unit_test(test_pgbench_in_all_its_manners),
		cmocka_unit_test(test_psycopg2),
		cmocka_unit_test(test_who_gets_in),
		cmocka_unit_test(test_what_a_startup_packet_asks_for),
		cmocka_unit_test(test_a_pipeline),
		cmocka_unit_test(test_a_pipeline_with_its_own_begin),
		cmocka_unit_test(test_what_has_no_name_survives),
		cmocka_unit_test(test_large_values_go_through),
		cmocka_unit_test(test_copy_in),
		cmocka_unit_test(test_copy_out),
		cmocka_unit_test(test_deferred_constraints),
		cmocka_unit_test(test_what_must_not_be_in_a_transaction),
		cmocka_unit_test(test_several_statements_in_one_query),
		cmocka_unit_test(test_notices_and_notifications),
		cmocka_unit_test(test_a_function_by_its_number),
		cmocka_unit_test(test_a_cancel_request),
		cmocka_unit_test(test_a_tool_that_vanishes),
		cmocka_unit_test(test_a_server_that_goes),
		cmocka_unit_test(test_many_sessions),
	};
	cmocka_set_test_filter(getenv("TEST_FILTER"));
	return cmocka_run_group_tests(tests, start, stop);
}
