/* SQL files as statements: places, BOM, and what is refused. */
#include "migration.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <unistd.h>

static struct migration migration;

static int add(const char *text, struct error *err)
{
	return migration_add_text(&migration, "m.sql", text, strlen(text), err);
}

static void expect_statement(size_t index, uint32_t line, const char *sql)
{
	assert_true(index < migration.statement_count);
	const struct migration_statement *statement = &migration.statements[index];
	assert_int_equal(statement->line, line);
	assert_int_equal(statement->sql.len, strlen(sql));
	assert_memory_equal(statement->sql.p, sql, strlen(sql));
}

static void test_places(void **state)
{
	(void)state;
	struct error err = ERROR_INIT;
	migration_init(&migration);
	assert_int_equal(
		add("\xef\xbb\xbf-- first\nALTER TABLE a\n  ADD b int;\n\n/* x\n;\n*/ SELECT ';' ; SELECT 2", &err), 0);
	assert_int_equal(migration.statement_count, 3);
	expect_statement(0, 2, "ALTER TABLE a\n  ADD b int");
	expect_statement(1, 7, "SELECT ';'");
	expect_statement(2, 7, "SELECT 2");
	for (int i = 0; i < 40; i++)
		assert_int_equal(add("SELECT 1; SELECT 2;", &err), 0);
	assert_int_equal(migration.statement_count, 83);
	expect_statement(0, 2, "ALTER TABLE a\n  ADD b int");
	assert_string_equal(migration.statements[82].file, "m.sql");
	migration_release(&migration);
}

static void test_bodies(void **state)
{
	(void)state;
	struct error err = ERROR_INIT;
	migration_init(&migration);
	assert_int_equal(add("DO $$ BEGIN PERFORM 1; PERFORM '\\d'; END $$; SELECT E'\\\\';", &err), 0);
	assert_int_equal(migration.statement_count, 2);
	migration_release(&migration);
}

static void expect_refused(const char *text, const char *message)
{
	struct error err = ERROR_INIT;
	migration_init(&migration);
	assert_int_equal(add(text, &err), -ERR_DATA);
	if (!strstr(err.text, message))
		fail_msg("\"%s\" is not in \"%s\"", message, err.text);
	migration_release(&migration);
}

static void test_refused(void **state)
{
	(void)state;
	expect_refused("", "m.sql:1: holds no SQL statement");
	expect_refused("-- nothing\n/* here */ ;;", "m.sql:1: holds no SQL statement");
	expect_refused("SELECT 1;\n\n\\i other.sql\nSELECT 2;", "m.sql:3: \\i is a command of psql");
	expect_refused("\\set ON_ERROR_STOP on\nSELECT 2;", "m.sql:1: \\set is");
	expect_refused("SELECT 1\n\\gexec", "m.sql:2: \\gexec is");
	expect_refused("CREATE TABLE t (a int);\nCOPY t FROM STDIN;\n1\n\\.\n", "m.sql:2: COPY");
	struct error err = ERROR_INIT;
	migration_init(&migration);
	assert_int_equal(migration_add_text(&migration, "n.sql", "SELECT\n1\0;", 10, &err), -ERR_DATA);
	assert_non_null(strstr(err.text, "n.sql:2: a NUL byte"));
	migration_release(&migration);
}

static void test_files(void **state)
{
	(void)state;
	char path[] = "/tmp/rehearse-migration-XXXXXX";
	int fd = mkstemp(path);
	assert_true(fd >= 0);
	struct error err = ERROR_INIT;
	migration_init(&migration);
	assert_int_equal(migration_add_file(&migration, path, &err), -ERR_DATA);
	assert_non_null(strstr(err.text, ":1: the file is empty"));
	assert_int_equal(write(fd, "\nSELECT 1", 9), 9);
	assert_int_equal(migration_add_file(&migration, path, &err), 0);
	expect_statement(0, 2, "SELECT 1");
	assert_string_equal(migration.statements[0].file, path);
	assert_int_equal(migration_add_file(&migration, "/no/such.sql", &err), -ERR_DATA);
	assert_non_null(strstr(err.text, "/no/such.sql"));
	migration_release(&migration);
	(void)close(fd);
	(void)unlink(path);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_places),
		cmocka_unit_test(test_bodies),
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_files),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
