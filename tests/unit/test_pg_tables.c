/* Kinds and tables of statements, as the server's grammar sees them. */
#include "pg_tables.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

static void expect(const char *sql, const char *kind, const char *tables)
{
	struct pg_tables got;
	char names[512] = "";
	size_t len = 0;
	assert_true(pg_tables_read(span_from_str(sql), &got));
	for (size_t i = 0; i < got.count; i++)
		len += (size_t)snprintf(names + len, sizeof(names) - len, "%s%s", i ? " " : "", got.names[i]);
	assert_string_equal(got.kind, kind);
	assert_string_equal(names, tables);
	pg_tables_release(&got);
}

static void test_tables(void **state)
{
	(void)state;
	expect("SELECT * FROM a JOIN s.b ON true WHERE x IN (SELECT y FROM c)", "Select", "a s.b c");
	expect("WITH w AS (SELECT 1 FROM a) INSERT INTO n SELECT $1 FROM w", "Insert", "n a");
	expect("UPDATE a SET x = (SELECT 1 FROM a)", "Update", "a");
	expect("BEGIN", "Transaction", "");
	expect("SELECT 1; DELETE FROM \"odd name\"", "Select", "odd name");
	expect("", "", "");
	struct pg_tables got;
	assert_false(pg_tables_read(span_from_str("SELEC 1"), &got));
	assert_false(pg_tables_read((struct span){"SELECT '\0'", 10}, &got));
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_tables)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
