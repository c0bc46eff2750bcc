/* The tests' own server: it starts, answers, restarts, and leaves nothing. */
#include "support_pg_server.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <unistd.h>

static void test_start_and_stop(void **state)
{
	(void)state;
	struct pg_server server;
	assert_int_equal(pg_server_start(&server, "work_mem = '7MB'"), 0);
	assert_int_equal(pg_server_run(&server, "CREATE TABLE t AS SELECT 42 AS x"), 0);
	PGconn *conn = pg_server_connect(&server, NULL);
	assert_non_null(conn);
	char *work_mem = pg_server_value(conn, "SHOW work_mem");
	assert_string_equal(work_mem, "7MB");
	free(work_mem);
	PQfinish(conn);
	pg_server_halt(&server);
	assert_int_equal(pg_server_restart(&server), 0);
	assert_int_equal(pg_server_ask(&server, "SELECT x FROM t"), 42);
	pg_server_stop(&server);
	assert_int_equal(access(server.folder, F_OK), -1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_start_and_stop)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
