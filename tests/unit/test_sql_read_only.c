/* Which statements may be sent a second time. */
#include "sql_read_only.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static void test_readers(void **state)
{
	(void)state;
	static const char *const readers[] = {
		"SELECT 1",
		"select * from t where note = 'DELETE FROM t'",
		"(SELECT 1) UNION (SELECT 2)",
		"BEGIN; SELECT 1; COMMIT",
		"WITH q AS (SELECT 1) TABLE q",
		"SHOW search_path",
		"/* INSERT */ SELECT 1",
		"",
		"FETCH 5 FROM c",
		"SELECT \"update\" FROM t",
	};
	for (size_t i = 0; i < sizeof(readers) / sizeof(readers[0]); i++)
		assert_true(sql_is_read_only(SQL_POSTGRESQL, span_from_str(readers[i])));
}

static void test_writers(void **state)
{
	(void)state;
	static const char *const writers[] = {
		"INSERT INTO t VALUES (1)",
		"SELECT * FROM t FOR UPDATE",
		"SELECT * FROM t FOR KEY SHARE",
		"SELECT * INTO u FROM t",
		"WITH d AS (DELETE FROM t RETURNING *) SELECT * FROM d",
		"SELECT nextval('s')",
		"SELECT 1; UPDATE t SET a = 1",
		"EXPLAIN ANALYZE DELETE FROM t",
		"CALL p()",
		"DO $$ BEGIN END $$",
		"VACUUM",
		"COPY t FROM STDIN",
		"PREPARE p AS SELECT 1",
		"SELECT pg_advisory_lock(1)",
	};
	for (size_t i = 0; i < sizeof(writers) / sizeof(writers[0]); i++)
		assert_false(sql_is_read_only(SQL_POSTGRESQL, span_from_str(writers[i])));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_readers),
		cmocka_unit_test(test_writers),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
