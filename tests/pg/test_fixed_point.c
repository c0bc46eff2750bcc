/*
 * The fixed point: traffic is logged and captured as F, F is replayed on the same server, what that logs is captured
 * again, and the items of both are the same, session by session: kinds, texts, names, values, errors, in their order.
 * Once for log_statement=all and once for the durations' shape; pgbench with both protocols, and the odd cases.
 */
#include "clock.h"
#include "create_replay.h"
#include "lane.h"
#include "mem.h"
#include "schedule.h"
#include "sqlstate.h"
#include "support_pg_server.h"
#include "temp_folder.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <unistd.h>

#include <cmocka.h>

static struct pg_server server;
static struct temp_folder folder;

#define CONF                                                                                                  \
	"logging_collector = on\nlog_destination = 'csvlog,stderr'\nlog_rotation_age = 0\n"                   \
	"log_rotation_size = 0\nlog_filename = 'server.log'\nlog_connections = on\nlog_disconnections = on\n" \
	"log_parameter_max_length_on_error = -1\nlog_timezone = UTC\nlog_line_prefix = "                      \
	"'%m:%r:%u@%d:[%p]:%l:%e:%s:%v:%x:%c:%q%a'\n"

static void pgbench(const char *arguments)
{
	char *command = mem_printf("%s/pgbench -h 127.0.0.1 -p %d -U postgres %s postgres >%s 2>&1", pg_server_bindir(),
				   server.port, arguments, temp_folder_file(&folder, "pgbench.out"));
	assert_int_equal(system(command), 0);
	free(command);
}

/* ---- the traffic ---- */

static void simple(PGconn *conn, const char *sql)
{
	PQclear(PQexec(conn, sql));
}

static void prepared(PGconn *conn, const char *name, const char *sql, int count, const char *const *values)
{
	PQclear(PQprepare(conn, name, sql, 0, NULL));
	PQclear(PQexecPrepared(conn, name, count, values, NULL, NULL, 0));
	PQclear(PQexecPrepared(conn, name, count, values, NULL, NULL, 0));
}

static void odd_cases(void)
{
	static const char *const values[] = {"it's\nnew \\ \"q\" \xc3\xa9", NULL, ""};
	static const char *const zero[] = {"0"};
	static const char *const word[] = {"no number"};
	PGconn *conn = pg_server_connect(&server, NULL);
	assert_non_null(conn);
	simple(conn, "CREATE TEMP TABLE t (a text, b text)");
	simple(conn, "SELECT 1; SELECT 'two;'; -- a comment");
	simple(conn, "SELECT 'it''s', E'a\\'b\\n', $$dollar 'q'$$, $t$x $$ y$t$, 1.5e-3, -7 /* c /* n */ 'x' */");
	simple(conn, "SELECT 'lines\nand\n\nmore', '\xc3\xa9'");
	simple(conn, "");
	simple(conn, ";");
	simple(conn, "SELECT 1/0");
	simple(conn, "SELECT * FROM nowhere");
	simple(conn, "SELEC 1");
	simple(conn, "BEGIN");
	simple(conn, "SELECT 1/0");
	simple(conn, "SELECT 2");
	simple(conn, "ROLLBACK");
	simple(conn, "SET application_name = 'odd, \"app\"'");
	simple(conn, "PREPARE p (int) AS SELECT $1 + 1");
	simple(conn, "EXECUTE p (41)");
	simple(conn, "DEALLOCATE p");
	prepared(conn, "", "SELECT $1::text, $2::text, $3::text", 3, values);
	prepared(conn, "S_1", "INSERT INTO t VALUES ($1, $2 || $3)", 3, values);
	prepared(conn, "name with blanks: and colon", "SELECT $1::int", 1, zero);
	prepared(conn, "fails", "SELECT 1 / $1::int", 1, zero);
	prepared(conn, "<unnamed>", "SELECT 'not unnamed'", 0, NULL);
	PQclear(PQexecParams(conn, "SELECT $1::int", 1, NULL, word, NULL, NULL, 0));
	PQclear(PQexecParams(conn, "SELECT 7 / $1::int", 1, NULL, zero, NULL, NULL, 0));
	simple(conn, "DO $$BEGIN RAISE LOG 'statement: DROP TABLE forged'; END$$");
	PQfinish(conn);
}

/* ---- logs and items ---- */

static void restart_with_new_log(const char *kept)
{
	pg_server_halt(&server);
	static const char *const endings[] = {"csv", "log"};
	for (size_t i = 0; i < 2; i++) {
		char *log = mem_printf("%s/log/server.%s", server.data, endings[i]);
		char *name = kept ? mem_printf("%s.%s", kept, endings[i]) : NULL;
		if (name)
			assert_int_equal(rename(log, temp_folder_file(&folder, name)), 0);
		else
			(void)unlink(log);
		free(name);
		free(log);
	}
	assert_int_equal(pg_server_restart(&server), 0);
}

static void capture(const char *log, const char *output, struct create_replay_result *result)
{
	const char *path = temp_folder_file(&folder, log);
	struct create_replay_options options = {
		.logs = &path, .log_count = 1, .output = temp_folder_file(&folder, output)};
	struct error err = ERROR_INIT;
	if (create_replay(&options, result, NULL, &err) != 0)
		fail_msg("%s", err.text);
}

static void replay(const char *input)
{
	struct error err = ERROR_INIT;
	struct replay_file *file;
	struct schedule schedule;
	struct lane *lane;
	struct lane_stats stats;
	struct schedule_options options = {.speed = 2};
	assert_int_equal(replay_file_open(temp_folder_file(&folder, input), &file, &err), 0);
	assert_int_equal(
		schedule_prepare(file, &options, temp_folder_file(&folder, ITEM_INDEX_FILE), NULL, &schedule, &err), 0);
	struct lane_options lane_options = {.name = "baseline",
					    .driver = &driver_pg,
					    .url = server.url,
					    .file = file,
					    .schedule = &schedule,
					    .turn = -1,
					    .run_log_path = temp_folder_file(&folder, "run.log"),
					    .drain_timeout_ns = 10 * NS_PER_S};
	assert_int_equal(lane_open(&lane_options, &lane, &err), 0);
	assert_int_equal(lane_start(lane, clock_mono_ns() + 50 * NS_PER_MS, &err), 0);
	if (lane_wait(lane, &stats, &err) < 0)
		fail_msg("%s", err.text);
	lane_free(lane);
	schedule_release(&schedule);
	replay_file_free(file);
}

static void add_value(struct strbuf *out, struct span value)
{
	strbuf_add_str(out, value.p ? " '" : " NULL");
	if (value.p) {
		strbuf_add(out, value.p, value.len);
		strbuf_add_str(out, "'");
	}
}

static void add_item(const struct replay_file *file, const struct item *item, struct strbuf *out)
{
	char code[SQLSTATE_TEXT_MAX];
	sqlstate_unpack(item->sqlstate, code);
	strbuf_addf(out, "%s%s ", item_kind_name(item->kind), code);
	if (item->kind == ITEM_SIMPLE || item->kind == ITEM_EXECUTE)
		replay_item_sql(file, item, out);
	add_value(out, item->statement_name);
	for (uint32_t n = 0; n < item->parameter_count; n++)
		add_value(out, item->parameters[n]);
	strbuf_add_str(out, "\n");
}

static int compare_texts(const void *a, const void *b)
{
	return strcmp(((const struct strbuf *)a)->data, ((const struct strbuf *)b)->data);
}

/* Each session as one text; sessions that begin together may be logged in either order, so the texts are sorted. */
static struct strbuf *describe(const char *name, uint32_t *count)
{
	struct error err = ERROR_INIT;
	struct replay_file *file;
	struct replay_batch batch;
	assert_int_equal(replay_file_open(temp_folder_file(&folder, name), &file, &err), 0);
	*count = replay_file_session_count(file);
	struct strbuf *texts = mem_zalloc(*count, sizeof(*texts));
	for (uint32_t i = 0; i < *count; i++)
		strbuf_init(&texts[i], (size_t)1 << 24);
	replay_batch_init(&batch);
	for (uint32_t i = 0; i < replay_file_batch_count(file); i++) {
		assert_int_equal(replay_file_read_batch(file, i, &batch, &err), 0);
		for (uint32_t n = 0; n < batch.count; n++)
			add_item(file, &batch.items[n], &texts[batch.items[n].session]);
	}
	replay_batch_release(&batch);
	replay_file_free(file);
	/* Starting the server asks whether it is up: a session more, without a statement. */
	uint32_t kept = 0;
	for (uint32_t i = 0; i < *count; i++) {
		if (strcmp(texts[i].data, "connect  NULL\ndisconnect  NULL\n") == 0)
			strbuf_release(&texts[i]);
		else
			texts[kept++] = texts[i];
	}
	*count = kept;
	qsort(texts, *count, sizeof(*texts), compare_texts);
	return texts;
}

static void compare(const char *left, const char *right)
{
	uint32_t count, other_count;
	struct strbuf *texts = describe(left, &count);
	struct strbuf *others = describe(right, &other_count);
	assert_int_equal(count, other_count);
	for (uint32_t i = 0; i < count; i++) {
		size_t at = 0;
		while (texts[i].data[at] && texts[i].data[at] == others[i].data[at])
			at++;
		if (texts[i].data[at] != others[i].data[at])
			fail_msg("%s and %s: session %u differs at %zu:\n%.200s\n---\n%.200s", left, right, i, at,
				 texts[i].data + (at > 80 ? at - 80 : 0), others[i].data + (at > 80 ? at - 80 : 0));
		strbuf_release(&texts[i]);
		strbuf_release(&others[i]);
	}
	free(texts);
	free(others);
}

static void check(const char *settings)
{
	struct create_replay_result first, again;
	assert_int_equal(pg_server_run(&server, settings), 0);
	restart_with_new_log(NULL);
	pgbench("-n -c 3 -t 20 -M simple");
	pgbench("-n -c 3 -t 20 -M prepared");
	odd_cases();
	restart_with_new_log("first");
	capture("first.csv", "first.rpl", &first);
	capture("first.log", "stderr.rpl", &again);
	assert_int_equal(first.statements, again.statements);
	compare("first.rpl", "stderr.rpl");
	/* 2 * 3 clients of 20 transactions of 7 statements, what pgbench asks at its start, and the odd cases */
	assert_true(first.statements > 840 + 20);
	replay("first.rpl");
	restart_with_new_log("again");
	capture("again.csv", "again.rpl", &again);
	assert_int_equal(first.statements, again.statements);
	compare("first.rpl", "again.rpl");
}

static void test_statement_all(void **state)
{
	(void)state;
	check("ALTER SYSTEM SET log_statement = 'all'");
}

static void test_durations(void **state)
{
	(void)state;
	assert_int_equal(pg_server_run(&server, "ALTER SYSTEM RESET log_statement"), 0);
	check("ALTER SYSTEM SET log_min_duration_statement = 0");
}

static int set_up(void **state)
{
	(void)state;
	temp_folder_init(&folder);
	if (pg_server_start(&server, CONF) != 0)
		return -1;
	pgbench("-i -q -s 1");
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	pg_server_stop(&server);
	temp_folder_release(&folder);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_statement_all),
		cmocka_unit_test(test_durations),
	};
	return cmocka_run_group_tests(tests, set_up, tear_down);
}
