/* What became of a value: each class with the conversions that lead to it, and spellings that are no change. */
#include "value_class.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void expect(const char *old_type, const char *before, const char *new_type, const char *after,
		   enum value_class expected)
{
	enum value_class found =
		value_classify(value_family_of(old_type), value_family_of(new_type), strcmp(old_type, new_type) == 0,
			       span_from_str(before), span_from_str(after));
	if (found != expected)
		fail_msg("%s '%s' to %s '%s' is %s, not %s", old_type, before ? before : "NULL", new_type,
			 after ? after : "NULL", value_class_name(found), value_class_name(expected));
}

static void test_numbers(void **state)
{
	(void)state;
	expect("numeric", "12.50", "int4", "12", VALUE_CLASS_ROUNDED);
	expect("numeric", "12.50", "int4", "13", VALUE_CLASS_ROUNDED);
	expect("numeric", "99.60", "int4", "100", VALUE_CLASS_ROUNDED);
	expect("numeric", "12.00", "int4", "12", VALUE_CLASS_SAME);
	expect("numeric", "-0.00", "int4", "0", VALUE_CLASS_SAME);
	expect("numeric", "0.4", "int4", "0", VALUE_CLASS_ROUNDED);
	expect("int4", "5", "numeric", "5.00", VALUE_CLASS_SAME);
	expect("int4", "1200", "float8", "1200", VALUE_CLASS_SAME);
	expect("int8", "9007199254740993", "float8", "9007199254740992", VALUE_CLASS_ROUNDED);
	expect("int8", "100000000000000000000", "float8", "1e+20", VALUE_CLASS_SAME);
	expect("float8", "0.1", "float4", "0.1", VALUE_CLASS_SAME);
	expect("float4", "0.1", "float8", "0.10000000149011612", VALUE_CLASS_ROUNDED);
	expect("float8", "NaN", "numeric", "NaN", VALUE_CLASS_SAME);
	expect("float8", "Infinity", "numeric", "0", VALUE_CLASS_NOT_A_NUMBER);
	expect("int4", "70000", "int2", "4464", VALUE_CLASS_CHANGED);
	expect("numeric", "12.5", "numeric", "12.50", VALUE_CLASS_CHANGED); /* of one type: another value */
	expect("text", "007", "int4", "7", VALUE_CLASS_LEADING_ZEROS);
	expect("text", "0", "int4", "0", VALUE_CLASS_SAME);
	expect("text", "0.50", "numeric", "0.5", VALUE_CLASS_SAME);
	expect("text", " 7 ", "int4", "7", VALUE_CLASS_SAME);
	expect("int4", "7", "text", "7", VALUE_CLASS_SAME);
	expect("text", "n/a", "int4", NULL, VALUE_CLASS_NULLED);
	expect("numeric", "1.55", "numeric", "1.60", VALUE_CLASS_ROUNDED);
	expect("int4", "1", "bool", "t", VALUE_CLASS_SAME);
	expect("int4", "7", "bool", "t", VALUE_CLASS_CHANGED);
	expect("bool", "f", "text", "no", VALUE_CLASS_SAME);
}

static void test_texts(void **state)
{
	(void)state;
	expect("text", "abcdef", "varchar", "abc", VALUE_CLASS_TRUNCATED);
	expect("text", "abc  ", "bpchar", "abc", VALUE_CLASS_TRAILING_SPACES);
	expect("text", "abc", "citext", "abc", VALUE_CLASS_SAME);
	expect("text", "Abc", "text", "abc", VALUE_CLASS_CASE);
	expect("text", "Größe", "text", "Groesse", VALUE_CLASS_NON_ASCII);
	expect("text", "abc", "text", "", VALUE_CLASS_EMPTIED);
	expect("text", "", "text", NULL, VALUE_CLASS_NULLED);
	expect("text", NULL, "text", "x", VALUE_CLASS_FILLED);
	expect("text", NULL, "int4", NULL, VALUE_CLASS_SAME);
	expect("text", "abc", "text", "xyz", VALUE_CLASS_CHANGED);
	expect("uuid", "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11", "text", "A0EEBC999C0B4EF8BB6D6BB9BD380A11",
	       VALUE_CLASS_SAME);
	expect("json", "{\"a\" : 1, \"b\": [1,2]}", "jsonb", "{\"b\": [1, 2], \"a\": 1}", VALUE_CLASS_SAME);
	expect("json", "{\"a\": 1, \"a\": 2}", "jsonb", "{\"a\": 2}", VALUE_CLASS_CHANGED); /* a key is gone */
	expect("point", "(1,2)", "text", "(1,2)", VALUE_CLASS_SAME);
}

static void test_times(void **state)
{
	(void)state;
	expect("timestamp", "2026-07-01 12:00:00", "timestamptz", "2026-07-01 12:00:00+00", VALUE_CLASS_SAME);
	expect("timestamp", "2026-07-01 12:00:00", "timestamptz", "2026-07-01 10:00:00+00", VALUE_CLASS_ZONE_SHIFT);
	expect("timestamp", "2026-07-01 12:00:00", "timestamptz", "2026-07-01 06:15:00+00", VALUE_CLASS_ZONE_SHIFT);
	expect("timestamp", "2026-07-01 12:00:00.123456", "timestamp", "2026-07-01 12:00:00", VALUE_CLASS_ROUNDED);
	expect("timestamp", "2026-07-01 12:00:00.123456", "timestamp", "2026-07-01 12:00:00.12", VALUE_CLASS_ROUNDED);
	expect("timestamp", "2026-07-01 12:00:00.123456", "timestamp", "2026-07-01 12:00:00.323455",
	       VALUE_CLASS_CHANGED);
	expect("timestamp", "2026-07-01 12:00:00.123456", "timestamp", "2026-07-01 12:00:00.1237", VALUE_CLASS_CHANGED);
	expect("timestamp", "2026-07-01 12:00:00", "date", "2026-07-01", VALUE_CLASS_TIME_DROPPED);
	expect("timestamptz", "2026-07-01 23:30:00+00", "date", "2026-07-02", VALUE_CLASS_TIME_DROPPED);
	expect("timestamp", "2026-07-01 00:00:00", "date", "2026-07-01", VALUE_CLASS_SAME);
	expect("date", "2026-07-01", "timestamp", "2026-07-01 00:00:00", VALUE_CLASS_SAME);
	expect("text", "2026-07-01T12:00:00", "timestamp", "2026-07-01 12:00:00", VALUE_CLASS_SAME);
	expect("timestamp", "infinity", "timestamptz", "infinity", VALUE_CLASS_SAME);
	expect("timestamp", "2026-07-01 12:00:00", "timestamp", "2027-07-01 12:00:00", VALUE_CLASS_CHANGED);
	expect("date", "2000-02-29", "timestamptz", "2000-02-29 00:00:00+00", VALUE_CLASS_SAME);
}

/* Nothing that a server could hold makes it stumble. */
static void test_odd(void **state)
{
	(void)state;
	static const char *const texts[] = {"",		  "-",
					    ".",	  "1e",
					    "1e99999999", "+",
					    "2026-",	  "2026-13-01",
					    "{",	  "\"",
					    "0x",	  "99999999999999999999999999-01-01",
					    "1.2.3",	  "2026-01-01 1",
					    NULL};
	static const char *const types[] = {"numeric", "text", "bool", "timestamp", "json", "uuid", "point", NULL};
	for (size_t a = 0; texts[a]; a++) {
		for (size_t b = 0; texts[b]; b++) {
			for (size_t t = 0; types[t]; t++) {
				for (size_t u = 0; types[u]; u++) {
					enum value_class found = value_classify(
						value_family_of(types[t]), value_family_of(types[u]), t == u,
						span_from_str(texts[a]), span_from_str(texts[b]));
					assert_true(found < VALUE_CLASS_COUNT);
					if (a == b)
						assert_int_equal(found, VALUE_CLASS_SAME);
				}
			}
		}
	}
	assert_true(value_class_is_loss(VALUE_CLASS_NULLED));
	assert_true(value_class_is_loss(VALUE_CLASS_TIME_DROPPED));
	assert_false(value_class_is_loss(VALUE_CLASS_ZONE_SHIFT));
	assert_false(value_class_is_loss(VALUE_CLASS_FILLED));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_numbers),
		cmocka_unit_test(test_texts),
		cmocka_unit_test(test_times),
		cmocka_unit_test(test_odd),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
