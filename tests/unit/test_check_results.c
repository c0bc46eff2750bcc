/* checks.json: what is written comes back; what is damaged is refused. */
#include "check_results.h"

#include "json_file.h"
#include "mem.h"
#include "temp_folder.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void fill(struct check_results *results)
{
	check_results_init(results);
	results->with_rollback = results->with_data = true;
	results->up = (struct check_step){true, LEDGER_OK, 1500000000, json_array()};
	results->down =
		(struct check_step){true, LEDGER_FAILED, 250000000, json_pack("[{s:s}]", "sql", "DROP TABLE t")};
	struct check_difference *difference = check_differences_add(&results->rollback);
	*difference = (struct check_difference){
		CHECK_CHANGED,	    true, mem_strdup("table"), mem_strdup("public.t"), mem_strdup("column order"),
		mem_strdup("a, b"), NULL};
	struct check_data *data = check_results_add_data(results, CHECK_ROLLBACK, "public.t", "a", "column");
	data->state = CHECK_DIFFERS;
	data->type_before = mem_strdup("numeric(10,2)");
	data->rows_before = 1000;
	data->changed = data->lost = 12;
	data->writes[1].updated = 7;
	check_data_add_class(data, "nulled", 12);
	check_data_add_class(data, "rounded", 0); /* none: left out */
	(void)check_results_add_data(results, CHECK_LANES, "public.u", NULL, "table");
	check_results_skip(results, "large objects", "not compared");
}

static void test_round_trip(void **state)
{
	(void)state;
	struct temp_folder folder;
	struct check_results made, got;
	struct error err = ERROR_INIT;
	temp_folder_init(&folder);
	fill(&made);
	assert_int_equal(check_results_save(&made, temp_folder_file(&folder, CHECKS_FILE), &err), 0);
	assert_int_equal(check_results_load(temp_folder_file(&folder, CHECKS_FILE), &got, &err), 0);
	assert_true(got.with_rollback && got.with_data);
	assert_int_equal(got.up.outcome, LEDGER_OK);
	assert_int_equal(got.up.duration_ns, 1500000000);
	assert_int_equal(got.down.outcome, LEDGER_FAILED);
	assert_int_equal(json_array_size(got.down.statements), 1);
	assert_false(got.again.ran);
	assert_int_equal(got.rollback.total, 1);
	assert_true(got.rollback.items[0].mild);
	assert_string_equal(got.rollback.items[0].attribute, "column order");
	assert_null(got.rollback.items[0].after);
	assert_int_equal(got.data_count, 2);
	assert_int_equal(got.data[0].phase, CHECK_ROLLBACK);
	assert_int_equal(got.data[0].lost, 12);
	assert_int_equal(got.data[0].class_count, 1);
	assert_string_equal(got.data[0].classes[0].name, "nulled");
	assert_int_equal(got.data[0].writes[1].updated, 7);
	assert_int_equal(got.data[0].rows_after, -1);
	assert_null(got.data[1].column);
	assert_string_equal(got.skipped[0].why, "not compared");
	check_results_release(&made);
	check_results_release(&got);
	temp_folder_release(&folder);
}

static void expect_refused(const char *path, const json_t *root, const char *key)
{
	struct check_results got;
	struct error err = ERROR_INIT;
	assert_int_equal(json_file_save(path, root, &err), 0);
	if (check_results_load(path, &got, &err) != -ERR_DATA)
		fail_msg("\"%s\" may be anything", key);
	assert_non_null(strstr(err.text, path));
}

/* Each member of an object in turn is taken away, or becomes an object where none belongs. */
static void damage_each(const char *path, json_t *root, json_t *at)
{
	json_t *copy = json_deep_copy(at);
	const char *key;
	json_t *value;
	json_object_foreach (copy, key, value) {
		(void)json_object_del(at, key);
		expect_refused(path, root, key);
		(void)json_object_set_new(at, key, json_pack("{s:i}", "x", 1));
		if (strcmp(key, "classes") != 0) /* any class may be counted */
			expect_refused(path, root, key);
		(void)json_object_set_new(at, key, json_deep_copy(value));
	}
	json_decref(copy);
}

static void test_damaged(void **state)
{
	(void)state;
	struct temp_folder folder;
	struct check_results made;
	struct error err = ERROR_INIT;
	json_t *root;
	temp_folder_init(&folder);
	fill(&made);
	const char *path = temp_folder_file(&folder, CHECKS_FILE);
	assert_int_equal(check_results_save(&made, path, &err), 0);
	assert_int_equal(json_file_load(path, &root, &err), 0);
	damage_each(path, root, root); /* which puts copies in place of all that it holds */
	damage_each(path, root, json_object_get(root, "down"));
	damage_each(path, root, json_array_get(json_object_get(root, "data"), 0));
	damage_each(path, root,
		    json_array_get(json_object_get(json_object_get(root, "schema_after_rollback"), "items"), 0));
	damage_each(path, root, json_array_get(json_object_get(root, "not_checked"), 0));
	json_decref(root);
	check_results_release(&made);
	temp_folder_release(&folder);
}

/* A rollback under traffic is part of the ledger, and says where the migration itself had ended. */
static void test_ledger(void **state)
{
	(void)state;
	struct temp_folder folder;
	struct ledger up, down, got;
	struct error err = ERROR_INIT;
	temp_folder_init(&folder);
	ledger_init(&up);
	ledger_init(&down);
	up.outcome = LEDGER_OK;
	up.start_ns = 1000000000;
	up.end_ns = 2000000000;
	ledger_add_statement(&up)->start_ns = up.start_ns;
	up.statements[0].sql = mem_strdup("ALTER TABLE t ADD a int");
	assert_int_equal(ledger_migrated_ns(&up), 2000000000);
	down.outcome = LEDGER_FAILED;
	down.start_ns = 5000000000;
	down.end_ns = 6000000000;
	down.statements_not_run = 3;
	ledger_add_statement(&down)->start_ns = down.start_ns;
	down.statements[0].sql = mem_strdup("ALTER TABLE t DROP a");
	ledger_add_rollback(&up, &down);
	assert_int_equal(ledger_save(&up, temp_folder_file(&folder, LEDGER_FILE), &err), 0);
	assert_int_equal(ledger_load(temp_folder_file(&folder, LEDGER_FILE), &got, &err), 0);
	assert_int_equal(got.outcome, LEDGER_OK);
	assert_int_equal(got.statements_not_run, 0);
	assert_int_equal(got.statement_count, 2);
	assert_string_equal(got.statements[1].sql, "ALTER TABLE t DROP a");
	assert_int_equal(got.end_ns, 6000000000);
	assert_int_equal(got.rollback.outcome, LEDGER_FAILED);
	assert_int_equal(got.rollback.start_ns, 5000000000);
	assert_int_equal(ledger_migrated_ns(&got), 2000000000);
	ledger_release(&up);
	ledger_release(&down);
	ledger_release(&got);
	temp_folder_release(&folder);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_round_trip), cmocka_unit_test(test_damaged),
					   cmocka_unit_test(test_ledger)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
