/* What the tracing proxy finds out about statements: the same ledger, whichever tool sends them and however. */
#include "clock.h"
#include "mem.h"
#include "process.h"
#include "sql_runner.h"
#include "support_pg_server.h"
#include "support_program.h"
#include "tracing_proxy.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <pthread.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

static struct pg_server server;
static struct ledger ledger;
static char *database_url;

static const char *const migration[] = {
	"ALTER TABLE goods ADD COLUMN price int DEFAULT 3",
	"ALTER TABLE goods ALTER COLUMN id TYPE bigint",
	"UPDATE goods SET price = 4 WHERE id < 10",
	"CREATE INDEX goods_name ON goods (name)",
	"CREATE INDEX CONCURRENTLY goods_price ON goods (price)",
	"ALTER TABLE orders ADD FOREIGN KEY (goods_id) REFERENCES goods (id) NOT VALID",
	"ALTER TABLE orders VALIDATE CONSTRAINT orders_goods_id_fkey",
	"DO $$ BEGIN ALTER TABLE orders ADD COLUMN note text; END $$",
	"CREATE TABLE extra (id int PRIMARY KEY)",
	"DROP TABLE extra",
	"SELECT count(*) FROM goods",
};
#define MIGRATION_COUNT (sizeof(migration) / sizeof(*migration))

/* A database like the one before. */
static void begin_anew(void)
{
	static int number;
	char *sql = mem_printf("CREATE DATABASE fresh%d", ++number);
	assert_int_equal(pg_server_run(&server, sql), 0);
	free(sql);
	free(database_url);
	database_url = mem_printf("postgresql://postgres@127.0.0.1:%d/fresh%d", server.port, number);
	PGconn *conn = PQconnectdb(database_url);
	assert_int_equal(pg_server_sql(conn, "CREATE TABLE goods (id int PRIMARY KEY, name text);"
					     "INSERT INTO goods SELECT i, 'item ' || i FROM generate_series(1, 5000) i;"
					     "CREATE TABLE orders (goods_id bigint);"
					     "INSERT INTO orders SELECT 1 + i % 5000 FROM generate_series(1, 5000) i;"
					     "ANALYZE"),
			 0);
	PQfinish(conn);
	ledger_release(&ledger);
	ledger_init(&ledger);
}

static struct tracing_proxy *start_proxy(void)
{
	struct error err = ERROR_INIT;
	struct tracing_proxy *proxy = NULL;
	struct tracing_proxy_options options = {.url = database_url, .t0_ns = clock_mono_ns() - NS_PER_S};
	if (tracing_proxy_start(&options, &proxy, &err) != 0)
		fail_msg("%s", err.text);
	return proxy;
}

static void stop_proxy(struct tracing_proxy *proxy)
{
	struct error err = ERROR_INIT;
	if (tracing_proxy_stop(proxy, &ledger, &err) != 0)
		fail_msg("%s", err.text);
}

static void run_tool(struct tracing_proxy *proxy, const char *const *argv)
{
	char *url = mem_printf("DATABASE_URL=%s", tracing_proxy_url(proxy));
	const char *const environment[] = {url, NULL};
	program_require(program_run(argv, environment), 0);
	free(url);
}

static char *write_file(const char *name, const char *first, const char *format, const char *last)
{
	char *path = mem_printf("%s/%s", server.folder, name);
	FILE *file = fopen(path, "w");
	assert_non_null(file);
	(void)fputs(first, file);
	for (size_t i = 0; i < MIGRATION_COUNT; i++) {
		(void)fprintf(file, "%s", format);
		(void)fprintf(file, "%s", migration[i]);
		(void)fputs(last, file);
	}
	(void)fclose(file);
	return path;
}

/* ---- Ways to run it ---- */

static void run_by_files(void)
{
	struct error err = ERROR_INIT;
	struct migration files;
	migration_init(&files);
	for (size_t i = 0; i < MIGRATION_COUNT; i++)
		assert_int_equal(migration_add_text(&files, "m.sql", migration[i], strlen(migration[i]), &err), 0);
	struct sql_runner_options options = {
		.url = database_url, .migration = &files, .t0_ns = clock_mono_ns() - NS_PER_S};
	if (sql_runner_run(&options, &ledger, &err) != 0)
		fail_msg("%s", err.text);
	assert_int_equal(ledger.outcome, LEDGER_OK);
	migration_release(&files);
}

static void run_by_psql(void)
{
	struct tracing_proxy *proxy = start_proxy();
	char *path = write_file("m.sql", "", "", ";\n"), *psql = mem_printf("%s/psql", pg_server_bindir());
	run_tool(proxy,
		 (const char *const[]){"sh", "-c", "exec \"$0\" -Xq -v ON_ERROR_STOP=1 -f \"$1\" \"$DATABASE_URL\"",
				       psql, path, NULL});
	free(psql);
	free(path);
	stop_proxy(proxy);
}

static void run_by_psycopg2(void)
{
	struct tracing_proxy *proxy = start_proxy();
	char *path = write_file("m.py",
				"import os, psycopg2\nc = psycopg2.connect(os.environ['DATABASE_URL'])\n"
				"c.autocommit = True\nk = c.cursor()\n",
				"k.execute('''", "''')\n");
	run_tool(proxy, (const char *const[]){"/usr/bin/python3", path, NULL});
	free(path);
	stop_proxy(proxy);
}

static void run_extended(void)
{
	struct tracing_proxy *proxy = start_proxy();
	PGconn *conn = PQconnectdb(tracing_proxy_url(proxy));
	for (size_t i = 0; i < MIGRATION_COUNT; i++) {
		PGresult *result = PQexecParams(conn, migration[i], 0, NULL, NULL, NULL, NULL, 0);
		if (PQresultStatus(result) != PGRES_COMMAND_OK && PQresultStatus(result) != PGRES_TUPLES_OK)
			fail_msg("%s", PQresultErrorMessage(result));
		PQclear(result);
	}
	PQfinish(conn);
	stop_proxy(proxy);
}

static int compare_texts(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static void add_names(struct strbuf *out, const char *what, char *const *items, size_t count)
{
	for (size_t i = 0; i < count; i++)
		strbuf_addf(out, "  %s %s\n", what, items[i]);
}

/* All of the ledger that does not depend on the time it took, or on which tool it was. */
static char *describe_but(enum ledger_kind left_out)
{
	struct strbuf out;
	strbuf_init(&out, 100000);
	for (size_t i = 0; i < ledger.statement_count; i++) {
		const struct ledger_statement *s = &ledger.statements[i];
		if (s->kind == left_out)
			continue;
		strbuf_addf(&out, "%s | %d, locks known %d, rows %ld, scanned %ld, changed %ld, code %d, %s\n", s->sql,
			    (int)s->kind, (int)s->locks_known, (long)s->rows_affected, (long)s->rows_scanned,
			    (long)s->rows_changed, s->runs_code, s->sqlstate);
		char *locks[64];
		size_t count = 0;
		for (; s->locks_known == LEDGER_LOCKS_BEFORE_COMMIT && count < s->lock_count && count < 64; count++)
			locks[count] = mem_printf("%s %s", s->locks[count].relation, s->locks[count].mode);
		qsort(locks, count, sizeof(*locks), compare_texts);
		add_names(&out, "lock", locks, count);
		for (size_t j = 0; j < count; j++)
			free(locks[j]);
		add_names(&out, "rewrite", s->rewrites, s->rewrite_count);
		add_names(&out, "built", s->indexes_built.items, s->indexes_built.count);
		add_names(&out, "created", s->relations_created.items, s->relations_created.count);
		add_names(&out, "dropped", s->relations_dropped.items, s->relations_dropped.count);
		if (s->end_ns < s->start_ns || s->transaction_end_ns < s->end_ns)
			fail_msg("%s: times are out of order", s->sql);
	}
	return strbuf_detach(&out);
}

static char *describe(void)
{
	return describe_but(LEDGER_KIND_UNKNOWN);
}

static void test_every_way_gives_the_same_ledger(void **state)
{
	(void)state;
	static void (*const ways[])(void) = {run_by_psql, run_by_psycopg2, run_extended};
	begin_anew();
	run_by_files();
	char *expected = describe();
	for (size_t i = 0; i < 3; i++) {
		begin_anew();
		ways[i]();
		char *got = describe();
		if (strcmp(expected, got) != 0)
			fail_msg("way %zu: expected:\n%s\ngot:\n%s", i, expected, got);
		free(got);
	}
	assert_non_null(strstr(expected, "lock public.goods AccessExclusiveLock"));
	free(expected);
}

/* ---- All of it in one transaction ---- */

static bool fits_in(size_t i)
{
	return !strstr(migration[i], "CONCURRENTLY");
}

static char *join(const char *before, const char *after)
{
	struct strbuf text;
	strbuf_init(&text, 100000);
	strbuf_add_str(&text, before);
	for (size_t i = 0; i < MIGRATION_COUNT; i++) {
		if (fits_in(i))
			strbuf_addf(&text, "%s;\n", migration[i]);
	}
	strbuf_add_str(&text, after);
	return strbuf_detach(&text);
}

static void one_by_files(void)
{
	struct error err = ERROR_INIT;
	struct migration files;
	char *text = join("BEGIN;\n", "COMMIT;\n");
	migration_init(&files);
	assert_int_equal(migration_add_text(&files, "m.sql", text, strlen(text), &err), 0);
	struct sql_runner_options options = {
		.url = database_url, .migration = &files, .t0_ns = clock_mono_ns() - NS_PER_S};
	if (sql_runner_run(&options, &ledger, &err) != 0)
		fail_msg("%s", err.text);
	migration_release(&files);
	free(text);
}

static void run_text(const char *argv0, const char *script, const char *text)
{
	struct tracing_proxy *proxy = start_proxy();
	char *path = mem_printf("%s/one", server.folder);
	FILE *file = fopen(path, "w");
	assert_non_null(file);
	(void)fputs(text, file);
	(void)fclose(file);
	run_tool(proxy, (const char *const[]){"sh", "-c", script, argv0, path, NULL});
	free(path);
	stop_proxy(proxy);
}

static void one_by_psql(void)
{
	char *text = join("", ""), *psql = mem_printf("%s/psql", pg_server_bindir());
	run_text(psql, "exec \"$0\" -Xq1 -v ON_ERROR_STOP=1 -f \"$1\" \"$DATABASE_URL\"", text);
	free(psql);
	free(text);
}

static void one_by_psycopg2(void)
{
	struct strbuf text;
	strbuf_init(&text, 100000);
	strbuf_add_str(&text,
		       "import os, psycopg2\nc = psycopg2.connect(os.environ['DATABASE_URL'])\nk = c.cursor()\n");
	for (size_t i = 0; i < MIGRATION_COUNT; i++) {
		if (fits_in(i))
			strbuf_addf(&text, "k.execute('''%s''')\n", migration[i]);
	}
	strbuf_add_str(&text, "c.commit()\n");
	run_text("/usr/bin/python3", "exec \"$0\" \"$1\"", text.data);
	strbuf_release(&text);
}

static void one_query(const char *before, const char *after)
{
	struct tracing_proxy *proxy = start_proxy();
	PGconn *conn = PQconnectdb(tracing_proxy_url(proxy));
	char *text = join(before, after);
	assert_int_equal(pg_server_sql(conn, text), 0);
	free(text);
	PQfinish(conn);
	stop_proxy(proxy);
}

static void one_query_with_begin(void)
{
	one_query("SET lock_timeout = '5s'; BEGIN;\n", "COMMIT;\n");
}

static void one_query_without(void)
{
	one_query("", "");
}

static void one_pipeline(void)
{
	struct tracing_proxy *proxy = start_proxy();
	PGconn *conn = PQconnectdb(tracing_proxy_url(proxy));
	assert_int_equal(PQenterPipelineMode(conn), 1);
	for (size_t i = 0; i < MIGRATION_COUNT; i++)
		assert_true(!fits_in(i) || PQsendQueryParams(conn, migration[i], 0, NULL, NULL, NULL, NULL, 0));
	assert_int_equal(PQpipelineSync(conn), 1);
	for (PGresult *result; (result = PQgetResult(conn)) || (result = PQgetResult(conn));) {
		ExecStatusType status = PQresultStatus(result);
		PQclear(result);
		if (status == PGRES_PIPELINE_SYNC)
			break;
		assert_true(status == PGRES_COMMAND_OK || status == PGRES_TUPLES_OK);
	}
	PQfinish(conn);
	stop_proxy(proxy);
}

static void test_one_transaction_gives_the_same_ledger(void **state)
{
	(void)state;
	static void (*const ways[])(void) = {one_by_psql, one_by_psycopg2, one_query_with_begin, one_query_without,
					     one_pipeline};
	begin_anew();
	one_by_files();
	char *expected = describe_but(LEDGER_KIND_CONTROL);
	for (size_t i = 0; i < sizeof(ways) / sizeof(*ways); i++) {
		begin_anew();
		ways[i]();
		char *got = describe_but(LEDGER_KIND_CONTROL);
		if (strcmp(expected, got) != 0)
			fail_msg("way %zu: expected:\n%s\ngot:\n%s", i, expected, got);
		free(got);
		/* what is locked first is held to the end of all */
		const struct ledger_statement *last = &ledger.statements[ledger.statement_count - 1];
		for (size_t j = 0; j < ledger.statement_count; j++) {
			if (ledger.statements[j].lock_count > 0)
				assert_true(ledger.statements[j].transaction_end_ns == last->transaction_end_ns);
		}
	}
	free(expected);
}

static const struct ledger_lock *find_lock(size_t statement, const char *relation)
{
	const struct ledger_statement *from = &ledger.statements[statement];
	for (size_t i = 0; i < from->lock_count; i++) {
		if (strcmp(from->locks[i].relation, relation) == 0)
			return &from->locks[i];
	}
	fail_msg("statement %zu (%s) has no lock on %s", statement, from->sql, relation);
	return NULL;
}

/* What Go's and Rust's tools do: a file in one query. */
static void test_a_file_in_one_query(void **state)
{
	(void)state;
	begin_anew();
	struct tracing_proxy *proxy = start_proxy();
	PGconn *conn = PQconnectdb(tracing_proxy_url(proxy));
	assert_int_equal(pg_server_sql(conn, "ALTER TABLE goods ADD COLUMN b int; SELECT pg_sleep(0.2);"
					     "CREATE INDEX ON orders (goods_id);"),
			 0);
	assert_int_equal(pg_server_sql(conn, "BEGIN; DROP TABLE orders; COMMIT"), 0);
	PQfinish(conn);
	stop_proxy(proxy);
	assert_int_equal(ledger.statement_count, 6);
	assert_string_equal(find_lock(0, "public.goods")->mode, "AccessExclusiveLock");
	assert_string_equal(find_lock(2, "public.orders")->mode, "ShareLock");
	assert_string_equal(find_lock(4, "public.orders")->mode, "AccessExclusiveLock");
	/* one transaction: the first lock is held through the sleep, to the end of all */
	const struct ledger_lock *lock = find_lock(0, "public.goods");
	assert_true(lock->released_ns - lock->acquired_ns > 200 * NS_PER_MS);
	assert_true(lock->released_ns == ledger.statements[2].transaction_end_ns);
	assert_int_equal(ledger.statements[0].locks_known, LEDGER_LOCKS_BEFORE_COMMIT);
}

static void test_a_pipeline(void **state)
{
	(void)state;
	begin_anew();
	struct tracing_proxy *proxy = start_proxy();
	PGconn *conn = PQconnectdb(tracing_proxy_url(proxy));
	assert_int_equal(PQenterPipelineMode(conn), 1);
	static const char *const texts[] = {"ALTER TABLE goods ADD COLUMN b int", "SELECT count(*) FROM orders",
					    "CREATE INDEX ON orders (goods_id)"};
	for (size_t i = 0; i < 3; i++)
		assert_int_equal(PQsendQueryParams(conn, texts[i], 0, NULL, NULL, NULL, NULL, 0), 1);
	assert_int_equal(PQpipelineSync(conn), 1);
	for (size_t i = 0; i < 3; i++) {
		PGresult *result = PQgetResult(conn);
		assert_true(PQresultStatus(result) == PGRES_COMMAND_OK || PQresultStatus(result) == PGRES_TUPLES_OK);
		PQclear(result);
		assert_null(PQgetResult(conn));
	}
	PQclear(PQgetResult(conn));
	PQfinish(conn);
	stop_proxy(proxy);
	assert_int_equal(ledger.statement_count, 3);
	assert_string_equal(find_lock(0, "public.goods")->mode, "AccessExclusiveLock");
	assert_string_equal(find_lock(2, "public.orders")->mode, "ShareLock");
	for (size_t i = 0; i < 3; i++) {
		assert_int_equal(ledger.statements[i].locks_known, LEDGER_LOCKS_BEFORE_COMMIT);
		assert_true(ledger.statements[i].transaction_end_ns == ledger.statements[2].transaction_end_ns);
	}
}

/* Tools make databases, and go there. */
static void test_another_database(void **state)
{
	(void)state;
	begin_anew();
	struct tracing_proxy *proxy = start_proxy();
	PGconn *conn = PQconnectdb(tracing_proxy_url(proxy));
	assert_int_equal(pg_server_sql(conn, "CREATE DATABASE \"it's new\""), 0);
	PQfinish(conn);
	char *conninfo = mem_printf("host=127.0.0.1 port=%d user=postgres password=%s dbname='it\\'s new'",
				    tracing_proxy_port(proxy), tracing_proxy_password(proxy));
	conn = PQconnectdb(conninfo);
	free(conninfo);
	if (PQstatus(conn) != CONNECTION_OK)
		fail_msg("%s", PQerrorMessage(conn));
	assert_int_equal(pg_server_sql(conn, "CREATE TABLE there (id int)"), 0);
	assert_int_equal(pg_server_sql(conn, "ALTER TABLE there ADD COLUMN b int"), 0);
	PQfinish(conn);
	stop_proxy(proxy);
	assert_int_equal(ledger.statement_count, 3);
	assert_string_equal(find_lock(2, "public.there")->mode, "AccessExclusiveLock");
}

static void test_failures(void **state)
{
	(void)state;
	begin_anew();
	struct tracing_proxy *proxy = start_proxy();
	PGconn *conn = PQconnectdb(tracing_proxy_url(proxy));
	PQclear(PQexec(conn, "ALTER TABLE goods ADD COLUMN name text"));
	PQclear(PQexec(conn, "SELECT 'secret literal' + 1"));
	PQclear(PQexecParams(conn, "ALTER TABLE nothing ADD COLUMN name text", 0, NULL, NULL, NULL, NULL, 0));
	PQclear(PQexec(conn, "CREATE TABLE late (id int REFERENCES goods DEFERRABLE INITIALLY DEFERRED)"));
	PQclear(PQexec(conn, "INSERT INTO late VALUES (-1)"));
	PQclear(PQexecParams(conn, "INSERT INTO late VALUES (-1)", 0, NULL, NULL, NULL, NULL, 0));
	PQfinish(conn);
	stop_proxy(proxy);
	static const char *const codes[] = {"42701", "22P02", "42P01", "", "23503", "23503"};
	assert_int_equal(ledger.statement_count, 6);
	for (size_t i = 0; i < 6; i++) {
		assert_string_equal(ledger.statements[i].sqlstate, codes[i]);
		assert_null(strstr(ledger.statements[i].sql, "secret"));
		if (ledger.statements[i].message)
			assert_null(strstr(ledger.statements[i].message, "secret"));
	}
}

static void *cancel_soon(void *proxy)
{
	clock_sleep_until_ns(clock_mono_ns() + 700 * NS_PER_MS);
	tracing_proxy_cancel(proxy);
	return NULL;
}

static void test_the_run_is_cancelled(void **state)
{
	(void)state;
	begin_anew();
	struct tracing_proxy *proxy = start_proxy();
	PGconn *conn = PQconnectdb(tracing_proxy_url(proxy));
	pthread_t thread;
	assert_int_equal(pg_server_sql(conn, "BEGIN"), 0);
	assert_int_equal(pg_server_sql(conn, "ALTER TABLE goods ADD COLUMN b int"), 0);
	assert_int_equal(pthread_create(&thread, NULL, cancel_soon, proxy), 0);
	PGresult *result = PQexec(conn, "UPDATE goods SET b = 1 FROM pg_sleep(60)");
	assert_int_equal(PQresultStatus(result), PGRES_FATAL_ERROR);
	PQclear(result);
	assert_int_equal(PQstatus(conn), CONNECTION_BAD);
	PQfinish(conn);
	(void)pthread_join(thread, NULL);
	conn = PQconnectdb(tracing_proxy_url(proxy)); /* nothing new begins */
	PQclear(PQexec(conn, "CREATE TABLE fresh (id int)"));
	PQfinish(conn);
	stop_proxy(proxy);
	assert_int_equal(ledger.statement_count, 3);
	assert_string_equal(ledger.statements[2].sqlstate, "57014");
	/* the transaction was rolled back, and its locks held until then */
	assert_true(find_lock(1, "public.goods")->released_ns >= ledger.statements[2].end_ns);
}

static void test_a_tool_killed_in_mid_transaction(void **state)
{
	(void)state;
	begin_anew();
	struct tracing_proxy *proxy = start_proxy();
	pid_t child = fork();
	if (child == 0) {
		PGconn *conn = PQconnectdb(tracing_proxy_url(proxy));
		PQclear(PQexec(conn, "BEGIN"));
		PQclear(PQexec(conn, "ALTER TABLE goods ADD COLUMN b int"));
		PQclear(PQexec(conn, "SELECT pg_sleep(60)"));
		_exit(0);
	}
	clock_sleep_until_ns(clock_mono_ns() + NS_PER_S);
	assert_int_equal(kill(child, SIGKILL), 0);
	(void)waitpid(child, NULL, 0);
	clock_sleep_until_ns(clock_mono_ns() + 500 * NS_PER_MS);
	stop_proxy(proxy);
	assert_int_equal(ledger.statement_count, 3);
	assert_string_equal(ledger.statements[2].sqlstate, "57014");
	const struct ledger_lock *lock = find_lock(1, "public.goods");
	assert_true(lock->released_ns >= ledger.statements[2].end_ns);
	PGconn *conn = PQconnectdb(database_url);
	assert_int_equal(pg_server_number(conn, "SELECT count(*) FROM pg_attribute WHERE attname = 'b'"), 0);
	assert_int_equal(
		pg_server_number(conn, "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND "
				       "pid <> pg_backend_pid()"),
		0);
	PQfinish(conn);
}

/* Stopped while seven sessions are at work, one of them asleep. */
static void test_stopped_in_the_middle(void **state)
{
	(void)state;
	begin_anew();
	struct tracing_proxy *proxy = start_proxy();
	pid_t children[2];
	char *pgbench = mem_printf("%s/pgbench", pg_server_bindir()),
	     *script = mem_printf("%s/work.sql", server.folder);
	FILE *file = fopen(script, "w");
	assert_non_null(file);
	(void)fputs("\\set id random(1, 5000)\nUPDATE goods SET name = 'x' WHERE id = :id;\nBEGIN;\nSELECT 1;\n"
		    "INSERT INTO orders VALUES (:id);\nSELECT pg_sleep(0.01);\nCOMMIT;\n",
		    file);
	(void)fclose(file);
	for (size_t i = 0; i < 2; i++) {
		struct error err = ERROR_INIT;
		struct process_options options = PROCESS_OPTIONS_INIT;
		const char *const busy[] = {
			pgbench, "-n", "-c", "6", "-j", "2", "-T", "60", "-f", script, tracing_proxy_url(proxy), NULL};
		const char *const asleep[] = {
			"sh", "-c", "exec \"$0\" -Xc 'SELECT pg_sleep(60)' \"$1\"", "psql", tracing_proxy_url(proxy),
			NULL};
		options.argv = i == 0 ? busy : asleep;
		if (process_start(&options, &children[i], &err) != 0)
			fail_msg("%s", err.text);
	}
	PGconn *conn = PQconnectdb(database_url);
	for (int i = 0; i < 600 && pg_server_number(conn, "SELECT count(*) FROM orders") < 5010; i++)
		clock_sleep_until_ns(clock_mono_ns() + 50 * NS_PER_MS);
	int64_t begin_ns = clock_mono_ns();
	stop_proxy(proxy);
	assert_true(clock_mono_ns() - begin_ns < 10 * NS_PER_S);
	for (size_t i = 0; i < 2; i++)
		(void)waitpid(children[i], NULL, 0);
	assert_true(ledger.statement_count > 20);
	for (size_t i = 1; i < ledger.statement_count; i++)
		assert_true(ledger.statements[i].start_ns >= ledger.statements[i - 1].start_ns);
	assert_int_equal(
		pg_server_number(conn, "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND "
				       "pid <> pg_backend_pid()"),
		0);
	PQfinish(conn);
	free(pgbench);
	free(script);
}

static int start(void **state)
{
	(void)state;
	ledger_init(&ledger);
	return pg_server_start(&server, NULL) < 0 ? -1 : 0;
}

static int stop(void **state)
{
	(void)state;
	ledger_release(&ledger);
	free(database_url);
	pg_server_stop(&server);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_every_way_gives_the_same_ledger),
		cmocka_unit_test(test_one_transaction_gives_the_same_ledger),
		cmocka_unit_test(test_a_file_in_one_query),
		cmocka_unit_test(test_a_pipeline),
		cmocka_unit_test(test_another_database),
		cmocka_unit_test(test_failures),
		cmocka_unit_test(test_the_run_is_cancelled),
		cmocka_unit_test(test_a_tool_killed_in_mid_transaction),
		cmocka_unit_test(test_stopped_in_the_middle),
	};
	cmocka_set_test_filter(getenv("TEST_FILTER"));
	return cmocka_run_group_tests(tests, start, stop);
}
