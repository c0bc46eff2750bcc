/* Messages without values: by class, near-tokens, places. */
#include "safe_message.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

static void expect_message(const char *sqlstate, const char *primary, const char *sql, int position,
			   const char *expected)
{
	struct safe_message_place place = {.sql = span_from_str(sql), .line = 10, .position = position};
	char *got = safe_message(sqlstate, primary, &place);
	assert_string_equal(got, expected);
	free(got);
}

static void test_classes(void **state)
{
	(void)state;
	expect_message("22P02", "invalid input syntax for type integer: \"4111 \"x\" 1111\"", "", 0,
		       "invalid input syntax for type integer: \"?\"");
	expect_message("22003", "value \"999\" is out of range for type integer", "", 0,
		       "value \"?\" is out of range for type integer");
	expect_message("22P02", "ungültige Eingabe: »geheim«", "", 0, "ung…");
	expect_message("XX000", "odd \"thing", "", 0, "odd \"?\"");
	expect_message("42703", "column \"a\" does not exist", "", 0, "column \"a\" does not exist");
	expect_message("23502", "column \"a\" of relation \"t\" contains null values", "", 0,
		       "column \"a\" of relation \"t\" contains null values");
	expect_message("P0001", "card 4111", "", 0, "raised by a function or DO block of the database");
	expect_message(NULL, NULL, "", 0, "the server gave no reason");
}

static void test_syntax(void **state)
{
	(void)state;
	expect_message("42601", "syntax error at or near \"TABEL\"", "ALTER TABEL", 7,
		       "syntax error at or near \"TABEL\" (line 10, character 7 of the statement)");
	expect_message("42601", "syntax error at or near \"'O''Neill'\"", "ä\n x 'O''Neill'", 6,
		       "syntax error at or near \"?\" (line 11, column 4)");
	expect_message("42601", "syntax error at end of input", "SELECT", 7,
		       "syntax error at end of input (line 10, character 7 of the statement)");
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_classes), cmocka_unit_test(test_syntax)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
