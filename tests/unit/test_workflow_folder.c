/* The folder of migrations: what is read, what is refused with which words, and what is noted. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "mem.h"
#include "temp_folder.h"
#include "workflow_folder.h"
#include "workflow_sql.h"

#include <sys/stat.h>

static struct temp_folder temp;

static void write_file(const char *folder, const char *name, const char *text)
{
	char path[600];
	(void)snprintf(path, sizeof(path), "%s/%s/%s", temp.path, folder, name);
	FILE *file = fopen(path, "w");
	assert_non_null(file);
	assert_true(fputs(text, file) >= 0);
	assert_int_equal(fclose(file), 0);
}

/* down may be NULL: no such file. */
static void make(const char *folder, const char *meta, const char *up, const char *down)
{
	char path[600];
	(void)snprintf(path, sizeof(path), "%s/%s", temp.path, folder);
	assert_int_equal(mkdir(path, 0700), 0);
	write_file(folder, "meta.json", meta);
	write_file(folder, "up.sql", up);
	if (down)
		write_file(folder, "down.sql", down);
}

static int set_up(void **state)
{
	(void)state;
	temp_folder_init(&temp);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	temp_folder_release(&temp);
	return 0;
}

static void load(struct workflow_folder *folder)
{
	struct error err = ERROR_INIT;
	if (workflow_folder_load(temp.path, false, folder, &err) != 0)
		fail_msg("%s", err.text);
}

/* The folder's path is taken off the message's front. */
static void expect_error(const char *expected)
{
	struct workflow_folder folder;
	struct error err = ERROR_INIT;
	assert_int_equal(workflow_folder_load(temp.path, false, &folder, &err), -ERR_DATA);
	workflow_folder_release(&folder);
	size_t len = strlen(temp.path);
	assert_int_equal(strncmp(err.text, temp.path, len), 0);
	assert_string_equal(err.text + len, expected);
}

static void expect_note(const struct workflow_folder *folder, const char *part)
{
	for (size_t i = 0; i < folder->note_count; i++) {
		if (strstr(folder->notes[i], part))
			return;
	}
	fail_msg("no note says: %s", part);
}

static void test_reads(void **state)
{
	(void)state;
	struct workflow_folder folder;
	struct workflow_graph graph;
	struct error err = ERROR_INIT;
	size_t at;
	make("712ccb88",
	     "{\"id\": \"712ccb88\", \"title\": \"second\", \"depends_on\": [\"325aeb43\"],"
	     " \"hot_path\": [\"orders\"], \"transaction\": false, \"skip\": \"gh-ost\", \"lock_timeout\": \"1.5s\","
	     " \"retries\": 3, \"reversible\": false}",
	     "CREATE INDEX CONCURRENTLY i ON orders (a);", NULL);
	make("325aeb43-first", "{\"id\": \"325aeb43\", \"title\": \"first\"}", "CREATE TABLE orders (a int);",
	     "DROP TABLE orders;");
	load(&folder);
	assert_int_equal(folder.count, 2);
	const struct workflow_migration *first = &folder.migrations[0], *second = &folder.migrations[1];
	assert_string_equal(first->meta.id, "325aeb43");
	assert_true(first->meta.transaction && first->meta.reversible && !first->meta.skip && !first->meta.data);
	assert_int_equal(first->meta.retries, -1);
	assert_int_equal(first->down.statement_count, 1);
	assert_string_equal(first->checksum, "b03914d27cf31bdb08adc496021626a5");
	assert_string_equal(second->meta.skip, "gh-ost");
	assert_int_equal(second->meta.lock_timeout_ns, 1500000000);
	assert_int_equal(second->meta.retries, 3);
	assert_false(second->meta.transaction || second->meta.reversible);
	assert_string_equal(second->meta.hot_path[0], "orders");
	assert_int_equal(folder.note_count, 0);
	assert_int_equal(workflow_folder_graph(&folder, NULL, NULL, &graph, &err), 0);
	assert_int_equal(graph.level_count, 2);
	workflow_graph_release(&graph);
	assert_int_equal(workflow_folder_lookup(&folder, "712c", &at, &err), 0);
	assert_int_equal(at, 1);
	assert_int_equal(workflow_folder_lookup(&folder, "712", &at, &err), -ERR_USAGE);
	assert_int_equal(workflow_folder_lookup(&folder, "712d", &at, &err), -ERR_USAGE);
	workflow_folder_release(&folder);
}

static void test_bad_meta(void **state)
{
	(void)state;
	static const struct {
		const char *meta, *message;
	} cases[] = {
		{"{\"id\": \"712ccb88\", \"title\": \"t\", \"depend_on\": []}",
		 ": unknown field \"depend_on\"; did you mean \"depends_on\"?"},
		{"{\"id\": \"712ccb88\", \"title\": \"t\", \"xyzzy\": []}", ": unknown field \"xyzzy\""},
		{"{\"id\": \"712ccb8\", \"title\": \"t\"}", ": \"id\" must be 8 hex digits in lower case, as text"},
		{"{\"id\": \"712CCB88\", \"title\": \"t\"}", ": \"id\" must be 8 hex digits in lower case, as text"},
		{"{\"id\": 71200088, \"title\": \"t\"}", ": \"id\" must be 8 hex digits in lower case, as text"},
		{"{\"title\": \"t\"}", ": \"id\" is missing"},
		{"{\"id\": \"712ccb88\"}", ": \"title\" is missing"},
		{"{\"id\": \"712ccb88\", \"title\": \"a\\nb\"}",
		 ": the title holds a line end or another control character"},
		{"{\"id\": \"712ccb88\", \"title\": \"t\", \"depends_on\": \"325aeb43\"}",
		 ": \"depends_on\" must be an array of ids of 8 hex digits"},
		{"{\"id\": \"712ccb88\", \"title\": \"t\", \"depends_on\": [\"325aeb43\", \"325aeb43\"]}",
		 ": \"depends_on\" names 325aeb43 twice"},
		{"{\"id\": \"712ccb88\", \"title\": \"t\", \"transaction\": \"no\"}",
		 ": \"transaction\" must be true or false"},
		{"{\"id\": \"712ccb88\", \"title\": \"t\", \"skip\": true}",
		 ": \"skip\" must be false, or the reason in one line (\"gh-ost\", \"downtime\")"},
		{"{\"id\": \"712ccb88\", \"title\": \"t\", \"lock_timeout\": 2}",
		 ": \"lock_timeout\" must be a duration of a day at most, such as \"2s\" or \"500ms\", as text"},
		{"{\"id\": \"712ccb88\", \"title\": \"t\", \"retries\": -1}",
		 ": \"retries\" must be a whole number from 0 to 1000"},
		{"{\"id\": \"712ccb88\", \"title\": \"t\", \"hot_path\": [1]}",
		 ": \"hot_path\" must be true, false, or an array of tables"},
		{"[]", ": is not a JSON object"},
	};
	make("712ccb88-t", "", "SELECT 1;", NULL);
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		char expected[300];
		write_file("712ccb88-t", "meta.json", cases[i].meta);
		(void)snprintf(expected, sizeof(expected), "/712ccb88-t/meta.json%s", cases[i].message);
		expect_error(expected);
	}
	write_file("712ccb88-t", "meta.json", "{\"id\": \"325aeb43\", \"title\": \"t\"}");
	expect_error("/712ccb88-t: has the id 325aeb43 in its meta.json, and another name");
	write_file("712ccb88-t", "meta.json", "{\"id\": ");
	struct workflow_folder folder;
	struct error err = ERROR_INIT;
	assert_int_equal(workflow_folder_load(temp.path, false, &folder, &err), -ERR_DATA);
	assert_non_null(strstr(err.text, "meta.json:1: "));
	workflow_folder_release(&folder);
}

static void test_bad_sql(void **state)
{
	(void)state;
	static const struct {
		const char *sql, *message;
	} cases[] = {
		{"SELECT 1;\nCOMMIT;", ":2: COMMIT in a migration that is one transaction; take it out, or set "
				       "\"transaction\" to false"},
		{"begin; SELECT 1", ":1: begin in a migration that is one transaction; take it out, or set "
				    "\"transaction\" to false"},
		{"CREATE INDEX CONCURRENTLY i ON t (a)", ":1: cannot run inside a transaction; set \"transaction\" to "
							 "false, and keep it in a migration of its own"},
		{"VACUUM t", ":1: cannot run inside a transaction; set \"transaction\" to false, and keep it in a "
			     "migration of its own"},
		{"SET TRANSACTION READ ONLY",
		 ":1: comes too late in a transaction that is ours; set \"transaction\" to "
		 "false, and write BEGIN and COMMIT into the file"},
		{"SELECT 1;\n\\i x.sql", ":2: \\i is a command of psql, not SQL; take it out of the file"},
	};
	make("712ccb88-t", "{\"id\": \"712ccb88\", \"title\": \"t\"}", "SELECT 1;", NULL);
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		char expected[300];
		write_file("712ccb88-t", "up.sql", cases[i].sql);
		(void)snprintf(expected, sizeof(expected), "/712ccb88-t/up.sql%s", cases[i].message);
		expect_error(expected);
	}
	write_file("712ccb88-t", "up.sql", "SAVEPOINT s; ROLLBACK TO s; ROLLBACK TRANSACTION TO SAVEPOINT s");
	struct workflow_folder folder;
	load(&folder);
	workflow_folder_release(&folder);
	write_file("712ccb88-t", "meta.json", "{\"id\": \"712ccb88\", \"title\": \"t\", \"transaction\": false}");
	write_file("712ccb88-t", "up.sql", "BEGIN;\nSELECT 1;\nCOMMIT;\nBEGIN;\nSELECT 2;");
	expect_error("/712ccb88-t/up.sql:4: the transaction that begins here is not ended");
	write_file("712ccb88-t", "up.sql", "BEGIN;\nSELECT 1;\nCOMMIT;\nVACUUM;");
	load(&folder);
	workflow_folder_release(&folder);
}

/* B14, and a way back that is missing (B13). */
static void test_notes(void **state)
{
	(void)state;
	struct workflow_folder folder;
	make("00000001", "{\"id\": \"00000001\", \"title\": \"t\"}",
	     "ALTER TABLE t ADD c int;\nUPDATE t SET c = 1 WHERE a > 0;", "-- nothing yet\n");
	make("00000002", "{\"id\": \"00000002\", \"title\": \"t\", \"reversible\": false}", "DELETE FROM t",
	     "SELECT 1");
	make("00000003", "{\"id\": \"00000003\", \"title\": \"t\", \"data\": true}", "ALTER TABLE t ADD d int",
	     "ALTER TABLE t DROP d");
	make("00000004", "{\"id\": \"00000004\", \"title\": \"t\"}", "-- to be written\n", "");
	write_file(".", "stray.sql", "SELECT 1");
	load(&folder);
	expect_note(&folder, "00000001/up.sql:2: amends data beside DDL (line 1), whose locks are held");
	expect_note(&folder, "00000001/down.sql: holds no statement; write the way back");
	expect_note(&folder, "00000002/up.sql:1: amends data; set \"data\" to true");
	expect_note(&folder, "00000002/up.sql:1: has no WHERE");
	expect_note(&folder, "00000002/down.sql: is never run");
	expect_note(&folder, "00000003/up.sql: \"data\" is true, and no statement is seen to amend any");
	expect_note(&folder, "stray.sql: is in no migration's folder");
	assert_int_equal(folder.note_count, 7);
	assert_int_equal(folder.migrations[3].up.statement_count, 0);
	workflow_folder_release(&folder);
}

static void test_add(void **state)
{
	(void)state;
	struct workflow_folder folder;
	struct error err = ERROR_INIT;
	struct stat st;
	char *path = NULL, *needs[] = {(char *)"325aeb43"}, missing[300];
	(void)snprintf(missing, sizeof(missing), "%s/migrations/", temp.path);
	assert_int_equal(workflow_folder_load(missing, false, &folder, &err), -ERR_DATA);
	workflow_folder_release(&folder);
	assert_int_equal(workflow_folder_load(missing, true, &folder, &err), 0);
	struct workflow_meta meta;
	workflow_meta_init(&meta);
	meta.title = mem_strdup("Add orders.status, at last!");
	meta.depends_on = needs;
	meta.depends_on_count = 1;
	assert_int_equal(workflow_folder_add(&folder, &meta, &path, &err), 0);
	workflow_folder_release(&folder);
	meta.depends_on = NULL;
	meta.depends_on_count = 0;
	assert_non_null(strstr(path, "-add-orders-status-at-last"));
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0755);
	assert_int_equal(workflow_folder_load(missing, false, &folder, &err), 0);
	assert_int_equal(folder.count, 1);
	assert_string_equal(folder.migrations[0].meta.id, meta.id);
	assert_string_equal(folder.migrations[0].meta.title, "Add orders.status, at last!");
	assert_string_equal(folder.migrations[0].meta.depends_on[0], "325aeb43");
	assert_string_equal(folder.migrations[0].folder, path);
	workflow_folder_release(&folder);
	workflow_meta_release(&meta);
	free(path);
}

static void test_kinds(void **state)
{
	(void)state;
	static const struct {
		const char *sql;
		unsigned kind;
	} cases[] = {
		{"SELECT 1", 0},
		{"-- words\n/* more */ update t SET a = 1", WORKFLOW_SQL_DATA | WORKFLOW_SQL_ALL_ROWS},
		{"UPDATE t SET a = (SELECT b FROM u WHERE c)", WORKFLOW_SQL_DATA | WORKFLOW_SQL_ALL_ROWS},
		{"DELETE FROM t WHERE a", WORKFLOW_SQL_DATA},
		{"COPY t FROM '/tmp/x'", WORKFLOW_SQL_DATA},
		{"COPY t TO '/tmp/x'", 0},
		{"WITH x AS (DELETE FROM t RETURNING *) SELECT * FROM x", WORKFLOW_SQL_DATA},
		{"WITH x AS (SELECT 1) INSERT INTO t SELECT * FROM x", WORKFLOW_SQL_DATA},
		{"WITH x AS (SELECT 1) SELECT * FROM x FOR UPDATE", 0},
		{"CREATE TABLE t AS SELECT 1", WORKFLOW_SQL_DDL},
		{"CREATE FUNCTION f() RETURNS int AS 'BEGIN UPDATE t SET a = 1; END'", WORKFLOW_SQL_DDL},
		{"CREATE UNIQUE INDEX concurrently i ON t (a)",
		 WORKFLOW_SQL_DDL | WORKFLOW_SQL_OUTSIDE | WORKFLOW_SQL_CONCURRENTLY | WORKFLOW_SQL_BY_STEPS},
		{"REINDEX (VERBOSE) TABLE CONCURRENTLY t",
		 WORKFLOW_SQL_DDL | WORKFLOW_SQL_OUTSIDE | WORKFLOW_SQL_CONCURRENTLY | WORKFLOW_SQL_BY_STEPS},
		{"REFRESH MATERIALIZED VIEW CONCURRENTLY v", WORKFLOW_SQL_DDL},
		{"ALTER TYPE e ADD VALUE 'x'", WORKFLOW_SQL_DDL},
		{"DO $x$ BEGIN UPDATE t SET a = 1; END $x$", WORKFLOW_SQL_DATA},
		{"DO $$ DECLARE r record; BEGIN FOR r IN SELECT 1 FOR UPDATE LOOP EXECUTE 'x'; END LOOP; END $$", 0},
		{"DO $$ BEGIN CREATE TABLE x (); INSERT INTO x SELECT; COMMIT; END $$",
		 WORKFLOW_SQL_DATA | WORKFLOW_SQL_DDL | WORKFLOW_SQL_OUTSIDE | WORKFLOW_SQL_BY_STEPS},
		{"DO 'BEGIN TRUNCATE t; END'", WORKFLOW_SQL_DATA},
		{"DO $", 0},
		{"SET LOCAL ROLE x", WORKFLOW_SQL_CONTROL},
		{"SET TRANSACTION ISOLATION LEVEL SERIALIZABLE", WORKFLOW_SQL_FIRST | WORKFLOW_SQL_CONTROL},
		{"SET search_path = x", WORKFLOW_SQL_CONTROL},
		{"ROLLBACK", WORKFLOW_SQL_TRANSACTION | WORKFLOW_SQL_CONTROL},
		{"START TRANSACTION READ ONLY", WORKFLOW_SQL_TRANSACTION | WORKFLOW_SQL_BEGIN | WORKFLOW_SQL_CONTROL},
		{"COMMIT AND CHAIN", WORKFLOW_SQL_TRANSACTION | WORKFLOW_SQL_BEGIN | WORKFLOW_SQL_CONTROL},
		{"COMMIT AND NO CHAIN", WORKFLOW_SQL_TRANSACTION | WORKFLOW_SQL_CONTROL},
		{"VACUUM (ANALYZE) t", WORKFLOW_SQL_OUTSIDE | WORKFLOW_SQL_BY_STEPS},
		{"PREPARE p AS SELECT 1", WORKFLOW_SQL_CONTROL},
		{"", WORKFLOW_SQL_CONTROL},
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		unsigned kind = workflow_sql_look(span_from_str(cases[i].sql));
		if (kind != cases[i].kind)
			fail_msg("%s: %#x, not %#x", cases[i].sql, kind, cases[i].kind);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_reads, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_bad_meta, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_bad_sql, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_notes, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_add, set_up, tear_down),
		cmocka_unit_test(test_kinds),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
