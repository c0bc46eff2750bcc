/* The command trace as a user runs it: exit codes, the table, the object for programs, and targets that are refused. */
#include "mem.h"
#include "support_pg_server.h"
#include "support_program.h"
#include "temp_folder.h"

#include <jansson.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

static struct temp_folder folder;
static struct pg_server server;

#define TRACE(...)                                                                                                     \
	program_run_apart((const char *const[]){REHEARSE_PROGRAM, "trace", "--target", server.url, __VA_ARGS__, NULL}, \
			  NULL)

static void expect(const struct strbuf *text, const char *part)
{
	if (!strstr(text->data, part))
		fail_msg("\"%s\" is not in\n%s\n%s", part, program_shown.data, program_said.data);
}

static char *write_file(const char *name, const char *sql)
{
	char *path = mem_strdup(temp_folder_file(&folder, name));
	FILE *file = fopen(path, "w");
	assert_non_null(file);
	(void)fputs(sql, file);
	assert_int_equal(fclose(file), 0);
	return path;
}

static void test_files(void **state)
{
	(void)state;
	char *path = write_file("good.sql", "ALTER TABLE big ADD c text DEFAULT 'geheim';\n\n"
					    "BEGIN; UPDATE big SET v = v + 1;\nALTER TABLE big ALTER v TYPE bigint;"
					    " SELECT pg_sleep(0.2); COMMIT;");
	program_require(TRACE("--migration", path), 0);
	expect(&program_shown, "ALTER TABLE big ADD c text DEFAULT ?");
	expect(&program_shown, "metadata only");
	expect(&program_shown, "rewrite");
	expect(&program_shown, "AccessExclusiveLock");
	expect(&program_shown, "reads and writes");
	expect(&program_shown, "! changes data: 5,000 rows");
	expect(&program_shown, "! public.big stays locked for");
	expect(&program_shown, "OUT OF REACH");
	expect(&program_shown, "6 statements in ");
	expect(&program_shown, "the migration went through");
	assert_null(strstr(program_shown.data, "geheim"));
	free(path);
	path = write_file("bad.sql", "ALTER TABLE big ADD d int;\nALTER TABLE big ADD d int; SELECT 1;");
	program_require(TRACE("--migration", path), 1);
	expect(&program_shown, "! failed: column \"d\" of relation \"big\" already exists (42701)");
	expect(&program_shown, "the migration failed; 1 did not run");
	free(path);
	path = write_file("slow.sql", "SELECT pg_sleep(30);");
	program_require(TRACE("--migration-timeout", "300ms", "--migration", path), 1);
	expect(&program_shown, "was ended by its time limit");
	free(path);
}

static double number_of(const json_t *object, const char *name)
{
	return json_number_value(json_object_get(object, name));
}

static const char *text_of(const json_t *object, const char *name)
{
	const char *text = json_string_value(json_object_get(object, name));
	return text ? text : "(none)";
}

static void test_json(void **state)
{
	(void)state;
	char *path = write_file("json.sql", "CREATE INDEX big_v ON big (v); REINDEX INDEX big_v;");
	char *ledger = mem_strdup(temp_folder_file(&folder, "ledger.json"));
	program_require(TRACE("--json", "--ledger", ledger, "--migration", path), 0);
	json_t *root = json_loads(program_shown.data, 0, NULL), *saved = json_load_file(ledger, 0, NULL);
	assert_non_null(root);
	assert_string_equal(text_of(root, "schema"), "rehearse.trace/1");
	assert_string_equal(text_of(root, "outcome"), "ok");
	assert_true(json_is_null(json_object_get(root, "tool")));
	const json_t *list = json_object_get(root, "migration");
	assert_int_equal(json_array_size(list), 2);
	const json_t *create = json_array_get(list, 0), *locks = json_object_get(create, "locks");
	assert_string_equal(text_of(create, "kind"), "ddl");
	assert_string_equal(text_of(create, "locks_known"), "before_commit");
	assert_int_equal(number_of(create, "line"), 1);
	assert_int_equal(json_array_size(json_object_get(create, "indexes_built")), 1);
	assert_string_equal(text_of(json_array_get(locks, 0), "mode"), "ShareLock");
	assert_string_equal(text_of(json_array_get(locks, 0), "blocks"), "writes");
	/* a plain REINDEX keeps readers of the table out, by its index; but that index is new here */
	assert_int_equal(json_array_size(json_object_get(root, "out_of_reach")), 1);
	assert_string_equal(text_of(saved, "schema"), "rehearse.ledger/1");
	assert_int_equal(json_array_size(json_object_get(saved, "statements")), 2);
	json_decref(root);
	json_decref(saved);
	assert_int_equal(pg_server_run(&server, "CREATE INDEX big_c ON big (v)"), 0);
	free(path);
	path = write_file("reindex.sql", "REINDEX INDEX big_c");
	program_require(TRACE("--json", "--migration", path), 0);
	root = json_loads(program_shown.data, 0, NULL);
	const json_t *reach = json_array_get(json_object_get(root, "out_of_reach"), 0);
	assert_string_equal(text_of(reach, "relation"), "public.big");
	assert_string_equal(text_of(reach, "blocks"), "reads and writes");
	json_decref(root);
	free(path);
	free(ledger);
}

static void test_commands(void **state)
{
	(void)state;
	char *path = write_file("psql.sql", "BEGIN;\nALTER TABLE big ADD by_psql int;\nCOMMIT;\n"
					    "CREATE INDEX CONCURRENTLY huge_psql ON huge (v);\n");
	program_require(TRACE("--", "psql", "-X", "-q", "-v", "ON_ERROR_STOP=1", "-f", path), 0);
	expect(&program_shown, "ALTER TABLE big ADD by_psql int");
	expect(&program_shown, "ShareUpdateExclusiveLock");
	expect(&program_shown, "~ seen by sampling");
	assert_int_equal(pg_server_ask(&server, "SELECT count(*) FROM pg_attribute WHERE attname = 'by_psql'"), 1);
	program_require(TRACE("--json", "--", "psql", "-X", "-q", "-v", "ON_ERROR_STOP=1", "-f", path), 1);
	json_t *root = json_loads(program_shown.data, 0, NULL);
	assert_string_equal(text_of(root, "outcome"), "failed");
	assert_string_equal(text_of(json_object_get(root, "tool"), "name"), "psql");
	json_decref(root);
	program_require(TRACE("--migration-command", "psql -X -q -c 'ALTER TABLE big ADD by_shell int'"), 0);
	expect(&program_shown, "ALTER TABLE big ADD by_shell int");
	program_require(TRACE("--", "false"), 1);
	program_require(TRACE("--", "no-such-tool"), 69);
	free(path);
}

static void test_targets(void **state)
{
	(void)state;
	char *path = write_file("one.sql", "SELECT 1");
	assert_int_equal(pg_server_run(&server, "ALTER TABLE rehearse_clone RENAME TO no_marker"), 0);
	program_require(TRACE("--migration", path), 64);
	expect(&program_said, "--i-know-this-is-a-clone");
	program_require(TRACE("--i-know-this-is-a-clone", "--migration", path), 0);
	assert_int_equal(pg_server_run(&server, "ALTER TABLE no_marker RENAME TO rehearse_clone"), 0);
	free(path);
}

static int set_up(void **state)
{
	(void)state;
	temp_folder_init(&folder);
	if (pg_server_start(&server, "autovacuum = off\n") != 0)
		return -1;
	return pg_server_run(&server, "CREATE TABLE rehearse_clone (name text);"
				      "CREATE TABLE big (id int PRIMARY KEY, v int);"
				      "INSERT INTO big SELECT i, i FROM generate_series(1, 5000) i;"
				      "CREATE TABLE huge AS SELECT i AS v FROM generate_series(1, 400000) i");
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
		cmocka_unit_test(test_files),
		cmocka_unit_test(test_json),
		cmocka_unit_test(test_commands),
		cmocka_unit_test(test_targets),
	};
	return cmocka_run_group_tests(tests, set_up, tear_down);
}
