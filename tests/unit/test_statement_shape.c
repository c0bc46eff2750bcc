/* What a statement is by its text: kinds, and how it is to be run. */
#include "statement_shape.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static bool is_known(const void *context, struct span name)
{
	(void)context;
	return span_equal_str(name, "mine") || span_equal_str(name, "Mine");
}

static struct statement_shape shape_of(const char *sql)
{
	return statement_shape_of(span_from_str(sql), is_known, NULL);
}

static void test_kinds(void **state)
{
	static const struct {
		const char *sql;
		enum ledger_kind kind;
	} cases[] = {
		{"ALTER TABLE t ADD c int", LEDGER_KIND_DDL},
		{"create index i on t (x)", LEDGER_KIND_DDL},
		{"/* first */ -- and\n DROP TABLE t", LEDGER_KIND_DDL},
		{"VACUUM t", LEDGER_KIND_DDL},
		{"GRANT SELECT ON t TO u", LEDGER_KIND_DDL},
		{"SELECT 1 INTO t", LEDGER_KIND_DDL},
		{"INSERT INTO t VALUES (1)", LEDGER_KIND_DATA},
		{"UPDATE t SET x = 1", LEDGER_KIND_DATA},
		{"TRUNCATE t", LEDGER_KIND_DATA},
		{"COPY t FROM '/tmp/f'", LEDGER_KIND_DATA},
		{"WITH gone AS (DELETE FROM t RETURNING *) SELECT * FROM gone", LEDGER_KIND_DATA},
		{"EXPLAIN ANALYZE DELETE FROM t", LEDGER_KIND_DATA},
		{"EXPLAIN DELETE FROM t", LEDGER_KIND_READ},
		{"COPY t TO STDOUT", LEDGER_KIND_READ},
		{"COPY (SELECT * FROM t) TO STDOUT", LEDGER_KIND_READ},
		{"SELECT * FROM t", LEDGER_KIND_READ},
		{"SELECT * FROM t FOR NO KEY UPDATE", LEDGER_KIND_READ},
		{"(SELECT 1) UNION (SELECT 2)", LEDGER_KIND_READ},
		{"TABLE t", LEDGER_KIND_READ},
		{"BEGIN", LEDGER_KIND_CONTROL},
		{"set lock_timeout = '1s'", LEDGER_KIND_CONTROL},
		{"LOCK TABLE t", LEDGER_KIND_CONTROL},
		{"", LEDGER_KIND_CONTROL},
		{"DO $$ BEGIN END $$", LEDGER_KIND_UNKNOWN},
		{"CALL p()", LEDGER_KIND_UNKNOWN},
		{"EXECUTE prepared", LEDGER_KIND_UNKNOWN},
		{"SELECT mine()", LEDGER_KIND_UNKNOWN},
		{"SELECT public.MINE (1)", LEDGER_KIND_UNKNOWN},
		{"SELECT \"Mine\"()", LEDGER_KIND_UNKNOWN},
		{"SELECT 'mine(1)', mine FROM t", LEDGER_KIND_READ},
	};
	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		if (shape_of(cases[i].sql).kind != cases[i].kind)
			fail_msg("%s: %s", cases[i].sql, ledger_kind_name(shape_of(cases[i].sql).kind));
	}
}

static void test_manners(void **state)
{
	(void)state;
	assert_true(shape_of("SELECT count(*) FROM t").is_plain_read);
	assert_false(shape_of("SELECT mine()").is_plain_read);
	assert_false(shape_of("SELECT * FROM t FOR SHARE").is_plain_read);
	assert_false(shape_of("SELECT 1 INTO t").is_plain_read);
	assert_true(shape_of("EXPLAIN SELECT mine()").is_plain_read);
	assert_true(shape_of("COMMIT").is_control);
	assert_true(shape_of("COMMIT").commits);
	assert_true(shape_of("START TRANSACTION").begins_transaction);
	assert_true(shape_of("ROLLBACK TO SAVEPOINT s").returns_to_savepoint);
	assert_false(shape_of("ROLLBACK").returns_to_savepoint);
	assert_false(shape_of("LOCK TABLE t").is_control); /* it is to be measured */
	assert_true(shape_of("LOCK TABLE t").needs_transaction);
	assert_true(shape_of("CALL p()").ends_transactions);
	assert_true(shape_of("DO $$ BEGIN commit; END $$").ends_transactions);
	assert_false(shape_of("DO $$ BEGIN NULL; END $$").ends_transactions);
	assert_true(shape_of("DO $$ BEGIN NULL; END $$").runs_code);
	assert_true(shape_of("UPDATE t SET x = mine(x)").runs_code);
	assert_true(shape_of("CREATE FUNCTION mine() RETURNS int").defines_function);
	assert_false(shape_of("CREATE FUNCTION mine() RETURNS int").runs_code);
	assert_false(shape_of("CREATE TABLE t (x int)").defines_function);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_kinds), cmocka_unit_test(test_manners)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
