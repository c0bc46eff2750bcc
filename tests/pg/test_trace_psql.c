/*
 * The same kinds of DDL as in test_trace_ddl.c, by psql behind the tracing proxy: a tool that knows nothing of us
 * leaves the same ledger.
 */
#include "support_ddl.h"

#include <stdlib.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void trace_by_psql(const char *url, const struct ddl_case *c, struct ledger *ledger)
{
	const char *const argv[] = {"psql", "-X", "-q", "-v", "ON_ERROR_STOP=1", "-c", c->sql, NULL};
	const struct tool_command command = {.argv = argv};
	const struct migration_way way = {.command = &command};
	ddl_trace(url, c, &way, ledger);
}

static void test_psql_behind_the_proxy(void **state)
{
	unsigned wrong = 0;
	(void)state;
	for (size_t i = 0; i < ddl_case_count; i++) {
		struct ledger ledger;
		char *url = ddl_make_database();
		ddl_prepare_case(&ddl_cases[i]);
		trace_by_psql(url, &ddl_cases[i], &ledger);
		free(url);
		wrong += ddl_check_case(&ddl_cases[i], &ledger);
		ledger_release(&ledger);
	}
	assert_int_equal(wrong, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_psql_behind_the_proxy),
	};
	return cmocka_run_group_tests(tests, ddl_set_up, ddl_tear_down);
}
