/* When the migration's backends were being measured, by statements of a file, through the proxy, side by side. */
#include "measuring_spans.h"
#include "mem.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static void add(struct ledger *ledger, int32_t pid, const char *file, int64_t start_ns, int64_t end_ns,
		int64_t transaction_end_ns, int64_t measuring_ns)
{
	struct ledger_statement *s = ledger_add_statement(ledger);
	s->backend_pid = pid;
	s->file = file ? mem_strdup(file) : NULL;
	s->start_ns = start_ns;
	s->end_ns = end_ns;
	s->transaction_end_ns = transaction_end_ns;
	s->measuring_ns = measuring_ns;
}

/* Within a transaction of a file all between two statements is ours; behind a commit only what was measured. */
static void test_statements_of_a_file(void **state)
{
	(void)state;
	struct ledger ledger;
	ledger_init(&ledger);
	add(&ledger, 7, "a.sql", 100, 110, 300, 20);
	add(&ledger, 7, "a.sql", 150, 200, 300, 30);
	add(&ledger, 7, "a.sql", 290, 300, 300, 0);
	add(&ledger, 7, "a.sql", 400, 410, 450, 30);
	struct measuring_spans *spans = measuring_spans_new(&ledger);
	assert_int_equal(measuring_spans_between_ns(spans, 7, 0, 1000), 40 + 90 + 30);
	assert_int_equal(measuring_spans_between_ns(spans, 7, 120, 210), 30 + 10);
	assert_int_equal(measuring_spans_between_ns(spans, 7, 150, 200), 0);
	assert_int_equal(measuring_spans_between_ns(spans, 7, 210, 120), 0);
	assert_int_equal(measuring_spans_between_ns(spans, 8, 0, 1000), 0);
	assert_int_equal(measuring_spans_idle_ns(spans, &ledger, 0, 1000), 160);
	measuring_spans_free(spans);
	ledger_release(&ledger);
}

/* What a tool does between its statements is its own; measuring ends with the transaction. */
static void test_statements_of_a_tool(void **state)
{
	(void)state;
	struct ledger ledger;
	ledger_init(&ledger);
	add(&ledger, 7, NULL, 100, 110, 300, 20);
	add(&ledger, 7, NULL, 150, 200, 300, 30);
	add(&ledger, 7, NULL, 280, 290, 300, 30);
	struct measuring_spans *spans = measuring_spans_new(&ledger);
	assert_int_equal(measuring_spans_between_ns(spans, 7, 0, 1000), 20 + 30 + 10);
	measuring_spans_free(spans);
	ledger_release(&ledger);
}

/* While another backend's statement runs, the migration takes that long with or without us. */
static void test_side_by_side(void **state)
{
	(void)state;
	struct ledger ledger;
	ledger_init(&ledger);
	add(&ledger, 7, NULL, 100, 110, 200, 50);
	add(&ledger, 8, NULL, 120, 140, 200, 50);
	struct measuring_spans *spans = measuring_spans_new(&ledger);
	assert_int_equal(measuring_spans_between_ns(spans, 7, 0, 1000), 50);
	assert_int_equal(measuring_spans_between_ns(spans, 8, 0, 1000), 50);
	assert_int_equal(measuring_spans_idle_ns(spans, &ledger, 0, 1000), 10 + 50);
	assert_int_equal(measuring_spans_idle_ns(spans, &ledger, 0, 150), 10 + 10);
	measuring_spans_free(spans);
	ledger_release(&ledger);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_statements_of_a_file),
		cmocka_unit_test(test_statements_of_a_tool),
		cmocka_unit_test(test_side_by_side),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
