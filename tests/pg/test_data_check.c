/* What a migration does to data, found and counted on a real server: type changes, limits, rights, odd types. */
#include "support_checks.h"

#include "catalog_snapshot.h"
#include "data_check.h"
#include "mem.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static const struct check_data *migrated(const char *column)
{
	const struct check_data *data = checks_find(CHECK_MIGRATION, "public.t", column);
	if (!data)
		fail_msg("nothing about t.%s", column);
	return data;
}

static void up(const char *sql)
{
	assert_int_equal(checks_run(sql, NULL), 0);
	if (checked.up.outcome != LEDGER_OK)
		fail_msg("up: %s", json_dumps(checked.up.statements, 0));
}

/* 1,000 rows; i modulo something says what each value is. */
static void test_type_changes(void **state)
{
	(void)state;
	checks_prepare(
		"CREATE EXTENSION citext; CREATE TABLE t (id int PRIMARY KEY, money numeric(10,2), name text, at"
		" timestamp, mail text, code text, big bigint, doc json, flag int, day timestamp, kept text);"
		"INSERT INTO t SELECT i, i + 0.5 * (i % 2), repeat('x', i % 20), timestamp '2026-01-15 12:00' + i *"
		" interval '1 min', 'User' || i, '00' || i, i, ('{\"a\" :  ' || i || '}')::json, i % 2, timestamp"
		" '2026-01-15 00:00' + i * interval '12 h', 'k' FROM generate_series(1, 1000) i;"
		"UPDATE t SET mail = NULL WHERE id <= 100");
	up("SET TimeZone = 'Europe/Berlin'; ALTER TABLE t ALTER money TYPE int, ALTER name TYPE varchar(10) USING "
	   "left(name, 10),"
	   " ALTER at TYPE timestamptz, ALTER mail TYPE citext, ALTER code TYPE int USING code::int, ALTER big TYPE "
	   "numeric,"
	   " ALTER doc TYPE jsonb, ALTER flag TYPE bool USING flag = 1, ALTER day TYPE date");
	assert_int_equal(checks_class(migrated("money"), "rounded"), 500);
	assert_int_equal(migrated("money")->lost, 500);
	/* lengths 11 to 19 of each 20 */
	assert_int_equal(checks_class(migrated("name"), "truncated"), 450);
	/* Berlin is an hour ahead in January: read as UTC every moment is another one, and none is lost. */
	assert_int_equal(checks_class(migrated("at"), "time_zone_shift"), 1000);
	assert_int_equal(migrated("at")->lost, 0);
	assert_int_equal(migrated("mail")->state, CHECK_SAME);
	assert_int_equal(checks_class(migrated("code"), "leading_zeros"), 1000);
	assert_int_equal(migrated("big")->state, CHECK_SAME);
	assert_int_equal(migrated("doc")->state, CHECK_SAME);
	assert_int_equal(migrated("flag")->state, CHECK_SAME);
	assert_int_equal(checks_class(migrated("day"), "time_of_day_dropped"), 500);
	assert_null(checks_find(CHECK_MIGRATION, "public.t", "kept"));
	const struct check_data *table = migrated(NULL);
	assert_int_equal(table->state, CHECK_SAME);
	assert_int_equal(table->columns, 2); /* id and kept: the others have another type */
	assert_false(table->writes[1].inserted || table->writes[1].updated || table->writes[1].deleted);
	/* Named in the schema's differences too. */
	const struct check_difference *type = checks_difference(&checked.changes, "public.t.money", "type");
	assert_string_equal(type->before, "numeric(10,2)");
	assert_string_equal(type->after, "integer");
}

/* Types without an equality of their own, values that are stored elsewhere, and two rows that swap. */
static void test_odd_types(void **state)
{
	(void)state;
	checks_prepare(
		"CREATE TABLE t (id int PRIMARY KEY, doc json, place point, big text, swap int, tags text[], raw "
		"bytea);"
		"INSERT INTO t SELECT i, '{\"k\": [1, 2]}', point(i, 0.1), repeat(md5(i::text), 1000), i, ARRAY['a,b',"
		" NULL, E'\\t\\n\\\\'], '\\x00ff' FROM generate_series(1, 200) i");
	up("SELECT 1");
	checks_assert_clean(CHECK_MIGRATION);
	up("UPDATE t SET doc = '{}' WHERE id = 1; UPDATE t SET place = point(0, 0) WHERE id = 2; UPDATE t SET big ="
	   " substr(big, 1, 20000) WHERE id = 3; UPDATE t SET big = substr(big, 1, 100) WHERE id = 4; UPDATE t SET "
	   "swap ="
	   " CASE id WHEN 5 THEN 6 ELSE 5 END WHERE id IN (5, 6); UPDATE t SET tags = ARRAY['a', 'b'] WHERE id = 7;"
	   " UPDATE t SET raw = '\\x' WHERE id = 8; UPDATE t SET big = overlay(big placing 'Z' from 20000) WHERE id = "
	   "9");
	assert_int_equal(migrated("doc")->changed, 1);
	assert_int_equal(migrated("place")->changed, 1);
	assert_int_equal(migrated("big")->changed, 3);
	assert_int_equal(checks_class(migrated("big"), "truncated"), 1); /* of 20,000 bytes only the sum is known */
	assert_int_equal(migrated("swap")->changed, 2);
	assert_int_equal(migrated("tags")->changed, 1);
	assert_int_equal(migrated("raw")->changed, 1);
	assert_int_equal(migrated(NULL)->writes[1].updated, 9);
}

/* Without a key: values as sets, and rows as a whole, so that a swap between rows is still seen. */
static void test_without_key(void **state)
{
	(void)state;
	checks_prepare(
		"CREATE TABLE t (a int, b text); INSERT INTO t SELECT i % 10, CASE WHEN i % 7 = 0 THEN NULL ELSE 'v' ||"
		" i % 5 END FROM generate_series(1, 1000) i; INSERT INTO t VALUES (-1, 'p'), (-2, 'q')");
	up("UPDATE t SET b = CASE b WHEN 'p' THEN 'q' ELSE 'p' END WHERE a < 0");
	assert_int_equal(migrated(NULL)->state, CHECK_DIFFERS);
	assert_non_null(strstr(migrated(NULL)->reason, "not in the same rows"));
	assert_null(checks_find(CHECK_MIGRATION, "public.t", "b"));
	up("UPDATE t SET b = NULL WHERE b = 'v1'; DELETE FROM t WHERE a = -1");
	/* v1: i % 5 = 1 and not i % 7 = 0, 200 less 28 or 29 of them */
	int64_t ones = pg_server_ask(&check_server_used,
				     "SELECT count(*) FROM generate_series(1, 1000) i WHERE i % 5 = 1 AND i % 7 <> 0");
	assert_int_equal(checks_class(migrated("b"), "not_there_any_more"), ones + 1);
	assert_int_equal(checks_class(migrated("b"), "not_there_before"), ones);
	assert_int_equal(migrated(NULL)->lost, 1);
	/* Another type: nothing can be said where the texts differ. */
	checks_prepare("CREATE TABLE t (a numeric(5,2), b int); INSERT INTO t VALUES (1.50, 1), (2, 2)");
	up("ALTER TABLE t ALTER a TYPE numeric(5,1), ALTER b TYPE bigint");
	assert_int_equal(migrated("a")->state, CHECK_NOT_CHECKED);
	assert_non_null(strstr(migrated("a")->reason, "no key"));
	assert_int_equal(migrated("b")->state, CHECK_SAME);
}

/* Rows that came and went; keys of several columns, of text in any alphabet, of a type that changes with them. */
static void test_keys(void **state)
{
	(void)state;
	checks_prepare(
		"CREATE TABLE t (a text, b int, v int, PRIMARY KEY (a, b)); INSERT INTO t SELECT chr(64 + i % 50) || "
		"'é' || i"
		" % 7, i, i FROM generate_series(1, 500) i; CREATE TABLE u (id uuid PRIMARY KEY, v int); INSERT INTO u"
		" SELECT md5(i::text)::uuid, i FROM generate_series(1, 500) i");
	up("DELETE FROM t WHERE b > 490; INSERT INTO t VALUES ('new', 1, 1), ('new', 2, 2); UPDATE t SET v = NULL "
	   "WHERE b = 7;"
	   " ALTER TABLE t ALTER b TYPE bigint; UPDATE u SET v = v + 1 WHERE v = 10; DELETE FROM u WHERE v = 20");
	assert_int_equal(migrated(NULL)->lost, 10);
	assert_int_equal(migrated(NULL)->changed, 2);
	assert_int_equal(migrated("v")->changed, 1);
	assert_int_equal(checks_class(migrated("v"), "nulled"), 1);
	assert_int_equal(migrated("b")->state, CHECK_SAME);
	const struct check_data *u = checks_find(CHECK_MIGRATION, "public.u", "v");
	assert_int_equal(u->changed, 1);
	assert_int_equal(checks_find(CHECK_MIGRATION, "public.u", NULL)->lost, 1);
	assert_int_equal(checks_find(CHECK_MIGRATION, "public.u", NULL)->changed, 0);
}

/* A key that becomes another kind of text is a key still. */
static void test_text_keys(void **state)
{
	(void)state;
	checks_prepare("CREATE TABLE t (code varchar(20) PRIMARY KEY, v numeric(5,2)); INSERT INTO t SELECT 'Ä' || i, "
		       "i / 100.0"
		       " FROM generate_series(1, 300) i");
	up("ALTER TABLE t ALTER code TYPE text, ALTER v TYPE numeric(5,1)");
	assert_int_equal(migrated("code")->state, CHECK_SAME);
	assert_int_equal(checks_class(migrated("v"), "rounded"), 270);
}

static void test_partitioned(void **state)
{
	(void)state;
	checks_prepare(
		"CREATE TABLE t (id int, at date, v int, PRIMARY KEY (id, at)) PARTITION BY RANGE (at); CREATE TABLE t1"
		" PARTITION OF t FOR VALUES FROM ('2026-01-01') TO ('2026-07-01'); CREATE TABLE t2 PARTITION OF t FOR"
		" VALUES FROM ('2026-07-01') TO ('2027-01-01'); INSERT INTO t SELECT i, date '2026-01-01' + i, i FROM"
		" generate_series(1, 300) i");
	up("UPDATE t SET v = v + 1 WHERE id <= 3; UPDATE t SET v = 0 WHERE id = 299");
	assert_int_equal(migrated("v")->changed, 4);
	assert_int_equal(migrated(NULL)->writes[1].updated, 4);
	up("ALTER TABLE t DETACH PARTITION t2");
	assert_int_equal(migrated(NULL)->rows_before, 300);
	assert_int_equal(migrated(NULL)->lost, 300 - migrated(NULL)->rows_after);
	assert_true(migrated(NULL)->lost > 100);
	assert_string_equal(migrated(NULL)->kind, "removed_partition");
}

/* What is not compared says why: too big, no time, no right, elsewhere, not populated. */
static void test_not_checked(void **state)
{
	(void)state;
	checks_prepare("CREATE TABLE t (id int PRIMARY KEY, v text); INSERT INTO t SELECT i, repeat('x', 100) FROM"
		       " generate_series(1, 20000) i; CREATE TABLE small (id int PRIMARY KEY);"
		       "CREATE MATERIALIZED VIEW empty AS SELECT 1 AS a WITH NO DATA; SELECT lo_create(0)");
	assert_int_equal(checks_run_limited("SELECT 1", NULL, 1024 * 1024, 0), 0);
	assert_int_equal(migrated(NULL)->state, CHECK_NOT_CHECKED);
	assert_non_null(strstr(migrated(NULL)->reason, "--check-table-limit"));
	assert_int_equal(checks_find(CHECK_MIGRATION, "public.small", NULL)->state, CHECK_SAME);
	assert_non_null(strstr(checks_find(CHECK_MIGRATION, "public.empty", NULL)->reason, "not populated"));
	assert_int_equal(checked.skipped_count, 1);
	assert_string_equal(checked.skipped[0].what, "large objects");
	assert_int_equal(checks_run_limited("SELECT 1", NULL, 0, 1), 0);
	assert_int_equal(migrated(NULL)->state, CHECK_NOT_CHECKED);
	assert_non_null(strstr(migrated(NULL)->reason, "no time left"));
	/* A function behind a type that fails, and a table of somebody else's. */
	assert_int_equal(
		pg_server_run(&check_server_used, "DROP ROLE IF EXISTS small_user; CREATE ROLE small_user LOGIN"), 0);
	char url[300];
	(void)snprintf(url, sizeof(url), "postgresql://small_user@127.0.0.1:%d/", check_server_used.port);
	struct error err = ERROR_INIT;
	char *before = mem_printf("%suntouched", url), *after = mem_printf("%sscratch", url);
	struct data_check check = {.before_url = before, .after_url = after, .phase = CHECK_MIGRATION};
	check_results_release(&checked);
	assert_int_equal(data_check_run(&check, &checked, &err), 0);
	assert_int_equal(migrated(NULL)->state, CHECK_NOT_CHECKED);
	assert_non_null(strstr(migrated(NULL)->reason, "permission denied"));
	/* The schema is for everybody to see. */
	struct catalog_snapshot snapshot;
	if (catalog_snapshot_load(after, &snapshot, &err) != 0)
		fail_msg("%s", err.text);
	assert_true(snapshot.count > 0);
	catalog_snapshot_release(&snapshot);
	free(before);
	free(after);
}

/* Ctrl-C ends a check, and a server that is gone is an error. */
static void test_ends(void **state)
{
	(void)state;
	checks_prepare("CREATE TABLE t (id int PRIMARY KEY)");
	volatile bool cancelled = true;
	struct error err = ERROR_INIT;
	struct data_check check = {.before_url = checks_url("untouched"),
				   .after_url = checks_url("scratch"),
				   .limits.cancelled = &cancelled};
	check_results_release(&checked);
	assert_int_equal(data_check_run(&check, &checked, &err), -ERR_INTERRUPTED);
	check.after_url = "postgresql://127.0.0.1:1/x";
	check_results_release(&checked);
	assert_int_equal(data_check_run(&check, &checked, &err), -ERR_UNAVAILABLE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_type_changes), cmocka_unit_test(test_odd_types),
		cmocka_unit_test(test_without_key),  cmocka_unit_test(test_keys),
		cmocka_unit_test(test_partitioned),  cmocka_unit_test(test_text_keys),
		cmocka_unit_test(test_not_checked),  cmocka_unit_test(test_ends),
	};
	return cmocka_run_group_tests(tests, checks_set_up, checks_tear_down);
}
