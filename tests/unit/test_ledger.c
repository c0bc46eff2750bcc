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
	assert_float_equal(json_number_value(json_object_get(lock, "held_ms")), 199.999992, 1e-9);
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
		cmocka_unit_test(test_round_trip),
		cmocka_unit_test(test_verdict_form),
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_without_a_tool),
	};
	return cmocka_run_group_tests(tests, set_up, tear_down);
}
