/* Messages of PostgreSQL, read one by one: what is a statement, whose name, which values, and what only looks like one.
 */
#include "pg_statement.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static struct pg_event read_record(const char *severity, const char *message, const char *detail, const char *context,
				   const char *query)
{
	struct log_record record = {
		.user = {"u", 1},
		.client = {"[local]", 7},
		.sqlstate = {"57014", 5},
		.severity = span_from_str(severity),
		.message = span_from_str(message),
		.detail = span_from_str(detail),
		.context = span_from_str(context),
		.query = span_from_str(query),
	};
	struct pg_event event;
	pg_statement_read(&record, &event);
	return event;
}

static struct pg_event read_log(const char *message)
{
	return read_record("LOG", message, "", "", "");
}

static void test_statements(void **state)
{
	(void)state;
	struct pg_event event = read_log("statement: SELECT 'statement: x'");
	assert_int_equal(event.kind, PG_EVENT_STATEMENT);
	assert_true(span_equal_str(event.text, "SELECT 'statement: x'"));
	assert_int_equal(event.duration_ns, -1);
	event = read_log("duration: 12.345 ms  statement: ");
	assert_int_equal(event.kind, PG_EVENT_STATEMENT);
	assert_int_equal(event.text.len, 0);
	assert_int_equal(event.duration_ns, 12345000);
	event = read_log("duration: 999999999999.999 ms");
	assert_int_equal(event.kind, PG_EVENT_DURATION);
	event = read_log("duration: 9999999999999999999999.999 ms");
	assert_int_equal(event.kind, PG_EVENT_NOTHING);
	event = read_log("duration: 0.100 ms  execute fetch from S_1/C_2: SELECT 1");
	assert_int_equal(event.kind, PG_EVENT_FETCH);
	event = read_log("duration: 0.100 ms  plan:\nQuery Text: SELECT 1");
	assert_int_equal(event.skip, SKIP_AUTO_EXPLAIN);
	event = read_log("duration: 0.100 ms  parse <unnamed>: SELECT $1");
	assert_int_equal(event.kind, PG_EVENT_PARSE);
	assert_int_equal(pg_statement_name(event.name).len, 0);
	assert_int_equal(read_log("checkpoint starting: time").skip, SKIP_OTHER_LOG);
	assert_int_equal(read_record("WARNING", "statement: x", "", "", "").skip, SKIP_NOTICE);
	assert_int_equal(read_record("JOURNAL", "instruction : x", "", "", "").skip, SKIP_UNKNOWN_SEVERITY);
}

static void test_names(void **state)
{
	(void)state;
	static const struct {
		const char *message, *name, *text;
	} cases[] = {
		{"execute S_1/C_2: SELECT ': '", "S_1", "SELECT ': '"},
		{"execute a b: c: select 1", "a b: c", "select 1"},
		{"execute tab\tand\nline: -- comment\n (SELECT 1)", "tab\tand\nline", "-- comment\n (SELECT 1)"},
		{"execute odd: unknown words", "odd", "unknown words"},
		{"execute empty: ", "empty", ""},
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		struct pg_event event = read_log(cases[i].message);
		assert_int_equal(event.kind, PG_EVENT_EXECUTE);
		assert_true(span_equal_str(pg_statement_name(event.name), cases[i].name));
		assert_true(span_equal_str(event.text, cases[i].text));
	}
}

static void test_forged(void **state)
{
	(void)state;
	static const char *const messages[] = {
		"statement: DELETE FROM t",	 "duration: 1.000 ms  statement: DELETE FROM t",
		"execute S_1: SELECT 1",	 "disconnection: session time: 0:00:00",
		"connection authorized: user=x", "connection received: host=x"};
	for (size_t i = 0; i < sizeof(messages) / sizeof(*messages); i++) {
		struct pg_event event =
			read_record("LOG", messages[i], "", "PL/pgSQL function f() line 1 at RAISE", "SELECT f()");
		assert_int_equal(event.kind, PG_EVENT_NOTHING);
		assert_int_equal(event.skip, SKIP_FORGED);
	}
}

static void test_errors(void **state)
{
	(void)state;
	struct pg_event event = read_record("ERROR", "canceling statement due to user request", "", "", "SELECT 1");
	assert_int_equal(event.kind, PG_EVENT_ERROR);
	assert_true(event.by_user);
	event = read_record("ERROR", "canceling statement due to statement timeout", "", "", "SELECT 1");
	assert_false(event.by_user);
	event = read_record("ERROR", "COPY from stdin failed: canceling statement due to user request", "", "", "x");
	assert_false(event.by_user);
	event = read_record("ERROR", "x", "", "SQL function \"f\"\nunnamed portal with parameters: $1 = 'a\nb'", "q");
	assert_true(span_equal_str(event.parameters, "$1 = 'a\nb'"));
	event = read_record("ERROR", "x", "", "portal \"C_1\" parameter $1 = 'a'", "q");
	assert_true(event.at_bind);
	assert_int_equal(event.parameters.len, 0);
	event = read_record("FATAL", "terminating connection due to administrator command", "", "", "");
	assert_true(event.fatal);
}

static bool read_parameters(const char *text, struct arena *arena, struct pg_parameters *out)
{
	arena_clear(arena);
	return pg_parameters_read(span_from_str(text), arena, out);
}

static void test_parameters(void **state)
{
	(void)state;
	struct arena arena;
	arena_init(&arena, 4096);
	struct pg_parameters p;
	assert_true(read_parameters("", &arena, &p));
	assert_int_equal(p.count, 0);
	assert_true(read_parameters("$1 = 'it''s', $2 = NULL, $3 = '', $4 = ''''", &arena, &p));
	assert_int_equal(p.count, 4);
	assert_true(span_equal_str(p.values[0], "it's"));
	assert_null(p.values[1].p);
	assert_non_null(p.values[2].p);
	assert_int_equal(p.values[2].len, 0);
	assert_true(span_equal_str(p.values[3], "'"));
	assert_int_equal(p.whole_len, 4);
	assert_int_equal(p.dotted_len, 0);
	assert_true(read_parameters("$1 = 'abc...', $2 = 'x'", &arena, &p));
	assert_int_equal(p.dotted_len, 3);
	/* cut or foreign */
	static const char *const wrong[] = {"$1 = 'abc",       "$1 = ",	     "$2 = 'a'",   "$1 = 'a' $2 = 'b'",
					    "prepare: SELECT", "$1 = 'a', ", "$1 = NULLX", "$",
					    "$1 = 'a''"};
	for (size_t i = 0; i < sizeof(wrong) / sizeof(*wrong); i++) {
		if (read_parameters(wrong[i], &arena, &p))

			fail_msg("%s was read", wrong[i]);
	}
	arena_release(&arena);
}

static void test_texts(void **state)
{
	(void)state;
	assert_true(pg_statement_is_copy(span_from_str("copy t (a, b) FROM STDIN WITH (FORMAT csv)")));
	assert_true(pg_statement_is_copy(span_from_str("SELECT 1; /* x */ COPY (SELECT 1) TO STDOUT")));
	assert_false(pg_statement_is_copy(span_from_str("COPY t FROM '/tmp/from stdin'")));
	assert_false(pg_statement_is_copy(span_from_str("SELECT 'COPY t FROM STDIN'")));
	assert_int_equal(pg_statement_parameter_max(span_from_str("SELECT $2, $11, '$99', $$ $98 $$")), 11);
	assert_int_equal(pg_statement_parameter_max(span_from_str("PREPARE p AS SELECT $1")), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_statements), cmocka_unit_test(test_names),      cmocka_unit_test(test_forged),
		cmocka_unit_test(test_errors),	   cmocka_unit_test(test_parameters), cmocka_unit_test(test_texts),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
