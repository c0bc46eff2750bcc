/* The migration ledger: what is written comes back; verdict.json's form; what is no ledger is refused. */
#include "ledger.h"

#include "mem.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

#include <cmocka.h>
#include <unistd.h>

static char folder[] = "/tmp/rehearse-ledger-XXXXXX";
static char path[64];

static void make_ledger(struct ledger *ledger)
{
	ledger_init(ledger);
	ledger->outcome = LEDGER_FAILED;
	ledger->start_ns = 1500000000;
	ledger->end_ns = 2500000001;
	ledger->statements_not_run = 3;
	ledger->tool =
		(struct ledger_tool){.name = mem_strdup("flyway"), .exit_status = -1, .signal = 9, .output_lines = 12};
	ledger->problem = mem_strdup("flyway was killed");
	for (int i = 0; i < 9; i++) {
		struct ledger_statement *statement = ledger_add_statement(ledger);
		statement->file = mem_printf("m%d.sql", i);
		statement->line = 12;
		statement->sql = mem_strdup("ALTER TABLE t ADD x int DEFAULT ?");
		statement->start_ns = 1500000000 + i;
		statement->end_ns = 1600000000;
		statement->transaction_end_ns = 1700000000;
		statement->backend_pid = 99;
	}
	struct ledger_statement *last = &ledger->statements[8];
	for (int i = 0; i < 6; i++) {
		struct ledger_lock *lock = ledger_statement_add_lock(last);
		(void)snprintf(lock->relation, sizeof(lock->relation), "public.t%d", i);
		(void)snprintf(lock->mode, sizeof(lock->mode), "AccessExclusiveLock");
		lock->relation_oid = 3000000000U;
		lock->waited_ns = 1500001;
		lock->acquired_ns = 1500000008;
		lock->released_ns = 1700000000;
		char name[16];
		(void)snprintf(name, sizeof(name), "public.t%d", i);
		ledger_statement_add_rewrite(last, name);
	}
	last->rows_scanned = 100;
	last->kind = LEDGER_KIND_DATA;
	last->locks_known = LEDGER_LOCKS_SAMPLED;
	last->rows_affected = 7;
	last->rows_changed = 0;
	last->measuring_ns = 2500000;
	last->runs_code = true;
	(void)snprintf(last->locks[1].index_of, sizeof(last->locks[1].index_of), "public.t");
	ledger_names_add(&last->functions, "public.f");
	ledger_names_add(&last->indexes_invalid, "public.i");
	ledger_names_add(&last->triggers_disabled, "touch on public.t");
	ledger_names_add(&last->triggers_disabled, "log on public.t");
	last->wal_bytes = 0;
	last->size_delta_bytes = -1;
	(void)snprintf(last->sqlstate, sizeof(last->sqlstate), "42703");
	last->message = mem_strdup("column \"x\" does not exist");
}

static void test_round_trip(void **state)
{
	(void)state;
	struct ledger made, got;
	struct error err = ERROR_INIT;
	make_ledger(&made);
	assert_int_equal(ledger_save(&made, path, &err), 0);
	assert_int_equal(ledger_load(path, &got, &err), 0);
	assert_int_equal(got.outcome, LEDGER_FAILED);
	assert_int_equal(got.start_ns, made.start_ns);
	assert_int_equal(got.end_ns, made.end_ns);
	assert_int_equal(got.statements_not_run, 3);
	assert_int_equal(got.statement_count, 9);
	assert_string_equal(got.tool.name, "flyway");
	assert_int_equal(got.tool.exit_status, -1);
	assert_int_equal(got.tool.signal, 9);
	assert_int_equal(got.tool.output_lines, 12);
	assert_string_equal(got.problem, "flyway was killed");
	const struct ledger_statement *first = &got.statements[0], *last = &got.statements[8];
	assert_int_equal(first->rows_scanned, -1);
	assert_int_equal(first->wal_bytes, -1);
	assert_int_equal(first->size_delta_bytes, INT64_MIN);
	assert_null(first->message);
	assert_string_equal(first->sqlstate, "");
	assert_int_equal(last->start_ns, 1500000008);
	assert_int_equal(last->size_delta_bytes, -1);
	assert_int_equal(last->wal_bytes, 0);
	assert_string_equal(last->file, "m8.sql");
	assert_string_equal(last->sqlstate, "42703");
	assert_int_equal(last->lock_count, 6);
	assert_int_equal(last->locks[5].waited_ns, 1500001);
	assert_int_equal(last->locks[5].acquired_ns, 1500000008);
	assert_int_equal(last->locks[5].relation_oid, 3000000000U);
	assert_int_equal(last->rewrite_count, 6);
	assert_string_equal(last->rewrites[5], "public.t5");
	assert_int_equal(first->kind, LEDGER_KIND_UNKNOWN);
	assert_int_equal(first->locks_known, LEDGER_LOCKS_UNKNOWN);
	assert_int_equal(first->rows_affected, -1);
	assert_int_equal(first->rows_changed, -1);
	assert_false(first->runs_code);
	assert_int_equal(last->kind, LEDGER_KIND_DATA);
	assert_int_equal(last->locks_known, LEDGER_LOCKS_SAMPLED);
	assert_int_equal(last->rows_affected, 7);
	assert_int_equal(last->rows_changed, 0);
	assert_int_equal(last->measuring_ns, 2500000);
	assert_true(last->runs_code);
	assert_string_equal(last->locks[0].index_of, "");
	assert_string_equal(last->locks[1].index_of, "public.t");
	assert_int_equal(last->functions.count, 1);
	assert_string_equal(last->indexes_invalid.items[0], "public.i");
	assert_int_equal(last->triggers_disabled.count, 2);
	assert_string_equal(last->triggers_disabled.items[1], "log on public.t");
	assert_int_equal(last->triggers_enabled.count, 0);
	ledger_release(&got);
	ledger_release(&made);
}

static void test_verdict_form(void **state)
{
	(void)state;
	struct ledger made;
	make_ledger(&made);
	json_t *list = ledger_to_json(&made);
	assert_int_equal(json_array_size(list), 9);
	assert_true(json_is_null(json_object_get(json_array_get(list, 0), "error")));
	assert_true(json_is_null(json_object_get(json_array_get(list, 0), "wal_bytes")));
	const json_t *last = json_array_get(list, 8);
	assert_string_equal(json_string_value(json_object_get(json_object_get(last, "error"), "sqlstate")), "42703");
	const json_t *lock = json_array_get(json_object_get(last, "locks"), 0);
	assert_string_equal(json_string_value(json_object_get(lock, "mode")), "AccessExclusiveLock");
	assert_string_equal(json_string_value(json_object_get(lock, "blocks")), "reads and writes");
	assert_string_equal(json_string_value(json_object_get(last, "kind")), "data");
	assert_string_equal(json_string_value(json_object_get(last, "locks_known")), "sampled");
	assert_true(json_is_null(json_object_get(json_array_get(list, 0), "kind")));
	/* 199.999992 ms in the ledger; 2.5 ms of that went into measuring. */
	assert_float_equal(json_number_value(json_object_get(lock, "held_ms")), 197.499992, 1e-9);
	assert_float_equal(json_number_value(json_object_get(lock, "measuring_ms")), 2.5, 1e-9);
	json_decref(list);
	ledger_release(&made);
}

static void expect_refused(const char *content, const char *message)
{
	FILE *file = fopen(path, "w");
	assert_non_null(file);
	(void)fputs(content, file);
	(void)fclose(file);
	struct ledger got;
	struct error err = ERROR_INIT;
	assert_int_equal(ledger_load(path, &got, &err), -ERR_DATA);
	assert_non_null(strstr(err.text, message));
}

static void test_refused(void **state)
{
	(void)state;
	struct ledger got;
	struct error err = ERROR_INIT;
	assert_int_equal(ledger_load("/no/such/file", &got, &err), -ERR_DATA);
	expect_refused("[]", "not a migration ledger");
	expect_refused("{\"schema\": \"rehearse.ledger/1\"}", "\"outcome\" is missing");
	expect_refused("{\"schema\": \"rehearse.ledger/1\", \"outcome\": \"ok\", \"start_s\": 1e300, \"end_s\": 1, "
		       "\"statements_not_run\": 0, \"statements\": []}",
		       "\"start_s\" is missing or out of range");
	expect_refused("{\"schema\": \"rehearse.ledger/1\", \"outcome\": \"ok\", \"start_s\": 1, \"end_s\": 1, "
		       "\"statements_not_run\": 0, \"statements\": [7]}",
		       "statement 1");
	expect_refused("{\"schema\": \"rehearse.ledger/1\", \"outcome\": \"ok\", \"start_s\": 1, \"end_s\": 1, "
		       "\"statements_not_run\": 0, \"statements\": [], \"tool\": {\"name\": \"x\", "
		       "\"exit_status\": 1000}}",
		       "\"exit_status\" is missing or out of range");
}

/* As ledgers were before statements had kinds; and what is no kind, or no list of names. */
static void test_older_statements(void **state)
{
	static const char head[] = "{\"schema\": \"rehearse.ledger/1\", \"outcome\": \"ok\", \"start_s\": 1,"
				   " \"end_s\": 1, \"statements_not_run\": 0, \"statements\": [{\"sql\": \"a\","
				   " \"file\": null, \"line\": 0, \"start_s\": 1, \"end_s\": 1,"
				   " \"transaction_end_s\": 1, \"rewrite\": [], \"rows_scanned\": null,"
				   " \"wal_bytes\": null, \"size_delta_bytes\": null, \"backend_pid\": 1,"
				   " \"locks\": [], \"sqlstate\": \"\", \"message\": null";
	struct ledger got;
	struct error err = ERROR_INIT;
	(void)state;
	FILE *file = fopen(path, "w");
	assert_non_null(file);
	(void)fprintf(file, "%s}]}", head);
	(void)fclose(file);
	assert_int_equal(ledger_load(path, &got, &err), 0);
	assert_int_equal(got.statement_count, 1);
	assert_int_equal(got.statements[0].kind, LEDGER_KIND_UNKNOWN);
	assert_int_equal(got.statements[0].rows_changed, -1);
	assert_int_equal(got.statements[0].indexes_built.count, 0);
	ledger_release(&got);
	static const char *const wrong[][2] = {{"\"kind\": \"other\"", "\"kind\""},
					       {"\"locks_known\": 3", "\"locks_known\""},
					       {"\"functions\": \"f\"", "\"functions\""},
					       {"\"triggers_added\": [1]", "\"triggers_added\""},
					       {"\"rows_affected\": \"many\"", "\"rows_affected\""}};
	for (size_t i = 0; i < sizeof(wrong) / sizeof(*wrong); i++) {
		char *text = mem_printf("%s, %s}]}", head, wrong[i][0]);
		expect_refused(text, wrong[i][1]);
		free(text);
	}
}

/* Several backends' ledgers become one, in the order in which statements began. */
static void test_merge(void **state)
{
	struct ledger all, part;
	(void)state;
	ledger_init(&all);
	make_ledger(&part);
	ledger_merge(&all, &part);
	assert_int_equal(part.statement_count, 0);
	assert_int_equal(all.statement_count, 9);
	assert_int_equal(all.start_ns, 1500000000);
	assert_int_equal(all.end_ns, 2500000001);
	assert_int_equal(all.statements_not_run, 3);
	assert_int_equal(all.outcome, LEDGER_NONE);
	ledger_init(&part);
	part.start_ns = 1;
	part.end_ns = 1500000004;
	ledger_add_statement(&part)->start_ns = 1;
	ledger_add_statement(&part)->start_ns = 1500000003;
	ledger_merge(&all, &part);
	assert_int_equal(all.statement_count, 11);
	assert_int_equal(all.start_ns, 1);
	assert_int_equal(all.end_ns, 2500000001);
	for (size_t i = 1; i < all.statement_count; i++)
		assert_true(all.statements[i].start_ns >= all.statements[i - 1].start_ns);
	ledger_merge(&all, &part); /* nothing in it */
	assert_int_equal(all.statement_count, 11);
	assert_int_equal(all.start_ns, 1);
	ledger_release(&all);
	ledger_release(&part);
}

static void test_measuring(void **state)
{
	struct ledger ledger;
	(void)state;
	ledger_init(&ledger);
	for (int i = 0; i < 3; i++) {
		struct ledger_statement *statement = ledger_add_statement(&ledger);
		statement->backend_pid = i == 2 ? 8 : 7;
		statement->end_ns = 100 * (i + 1);
		statement->measuring_ns = 10;
	}
	assert_int_equal(ledger_measuring_between_ns(&ledger, 7, 0, 1000), 20);
	assert_int_equal(ledger_measuring_between_ns(&ledger, 7, 150, 1000), 10);
	assert_int_equal(ledger_measuring_between_ns(&ledger, 7, 0, 205), 10);
	assert_int_equal(ledger_measuring_between_ns(&ledger, 9, 0, 1000), 0);
	ledger_release(&ledger);
}

/* As ledgers were before other programs could run a migration. */
static void test_without_a_tool(void **state)
{
	(void)state;
	struct ledger got;
	struct error err = ERROR_INIT;
	FILE *file = fopen(path, "w");
	assert_non_null(file);
	(void)fputs("{\"schema\": \"rehearse.ledger/1\", \"outcome\": \"ok\", \"start_s\": 1, \"end_s\": 1, "
		    "\"statements_not_run\": 0, \"statements\": []}",
		    file);
	(void)fclose(file);
	assert_int_equal(ledger_load(path, &got, &err), 0);
	assert_null(got.tool.name);
	assert_null(got.problem);
	ledger_release(&got);
}

static int set_up(void **state)
{
	(void)state;
	if (!mkdtemp(folder))
		return -1;
	(void)snprintf(path, sizeof(path), "%s/ledger.json", folder);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	(void)unlink(path);
	return rmdir(folder);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_round_trip),	 cmocka_unit_test(test_verdict_form),
		cmocka_unit_test(test_refused),		 cmocka_unit_test(test_without_a_tool),
		cmocka_unit_test(test_older_statements), cmocka_unit_test(test_merge),
		cmocka_unit_test(test_measuring),
	};
	return cmocka_run_group_tests(tests, set_up, tear_down);
}
