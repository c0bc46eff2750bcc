/*
 * What the end of a migration tool makes of the verdict: one that fails has its reason there, one that says that all
 * went well while something speaks against it is not called clear.
 */
#include "support_run.h"
#include "verdict.h"

#include "mem.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#define SESSIONS 10

static const struct support_outcome quick = {.service_ns = 2 * SUPPORT_MS, .rows = 1};

/* A quiet run of 20 s with a migration at 10 s, as the tool left it. */
static struct support_run *make_run(enum ledger_outcome outcome, int exit_status, const char *problem)
{
	struct support_run *run = support_run_new(SESSIONS);
	for (int64_t t = 100 * SUPPORT_MS; t < 20 * SUPPORT_S; t += 100 * SUPPORT_MS) {
		for (uint32_t s = 0; s < SESSIONS; s++)
			support_run_add(run, t + s * 10 * SUPPORT_MS, s, "SELECT * FROM orders WHERE id = 1", NULL,
					quick, quick);
	}
	struct ledger *ledger = support_run_ledger(run);
	ledger->outcome = outcome;
	ledger->start_ns = 10 * SUPPORT_S;
	ledger->end_ns = 11 * SUPPORT_S;
	ledger->tool =
		(struct ledger_tool){.name = mem_strdup("flyway"), .exit_status = exit_status, .output_lines = 3};
	ledger->problem = problem ? mem_strdup(problem) : NULL;
	return run;
}

static void expect(struct support_run *run, enum verdict_outcome outcome, const char *reason)
{
	struct error err = ERROR_INIT;
	struct verdict *verdict;
	support_run_write(run, 20 * SUPPORT_S);
	if (verdict_judge(support_run_dir(run), NULL, &verdict, &err) < 0)
		fail_msg("%s", err.text);
	assert_string_equal(verdict_outcome_name(verdict->outcome), verdict_outcome_name(outcome));
	assert_string_equal(verdict->reason, reason);
	const json_t *migration = json_object_get(verdict->document, "migration_run");
	const json_t *tool = json_object_get(migration, "tool");
	assert_string_equal(json_string_value(json_object_get(tool, "name")), "flyway");
	verdict_free(verdict);
	support_run_free(run);
}

static void test_fails_without_a_statement(void **state)
{
	(void)state;
	expect(make_run(LEDGER_FAILED, 1, "flyway ended with exit status 1"), VERDICT_HURTS,
	       "The migration failed: flyway ended with exit status 1.");
}

static void test_fails_at_a_statement(void **state)
{
	(void)state;
	struct support_run *run = make_run(LEDGER_FAILED, 1, "flyway ended with exit status 1");
	struct ledger_statement *statement = ledger_add_statement(support_run_ledger(run));
	statement->sql = mem_strdup("ALTER TABLE orders ADD COLMN x int");
	statement->start_ns = 10 * SUPPORT_S;
	statement->end_ns = statement->transaction_end_ns = 10 * SUPPORT_S + SUPPORT_MS;
	statement->backend_pid = SUPPORT_MIGRATION_PID;
	(void)snprintf(statement->sqlstate, sizeof(statement->sqlstate), "42601");
	statement->message = mem_strdup("syntax error");
	expect(run, VERDICT_HURTS,
	       "The migration failed at `ALTER TABLE orders ADD COLMN x int` with 42601: syntax error; flyway ended "
	       "with "
	       "exit status 1.");
}

static void test_ends_well_and_did_nothing(void **state)
{
	(void)state;
	expect(make_run(LEDGER_OK, 0, "flyway ended well, and sent no statement to the clone"), VERDICT_CANNOT_TELL,
	       "Flyway ended well, and sent no statement to the clone.");
}

static void test_takes_too_long_without_a_statement(void **state)
{
	(void)state;
	expect(make_run(LEDGER_TIMEOUT, -1, NULL), VERDICT_HURTS,
	       "The migration did not end in the time that it was given.");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_fails_without_a_statement),
		cmocka_unit_test(test_fails_at_a_statement),
		cmocka_unit_test(test_ends_well_and_did_nothing),
		cmocka_unit_test(test_takes_too_long_without_a_statement),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
