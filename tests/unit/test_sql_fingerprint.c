/* Templates give back their text, fingerprints are the same for what one line of code sends, redaction hides values. */
#include "sql_fingerprint.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#define LITERALS_MAX 64

static void round_trip(enum sql_dialect dialect, const char *text, size_t len)
{
	struct strbuf template_text, back;
	strbuf_init(&template_text, 4096);
	strbuf_init(&back, 4096);
	struct span literals[LITERALS_MAX];
	size_t count;
	struct span whole = {text, len};
	if (sql_template_split(dialect, whole, &template_text, literals, LITERALS_MAX, &count)) {
		struct span split = {template_text.data, template_text.len};
		assert_true(sql_template_expand(split, literals, count, &back));
		assert_true(span_equal(whole, (struct span){back.data, back.len}));
		assert_false(sql_template_expand(split, literals, count + 1, &back));
		if (count > 0)
			assert_false(sql_template_expand(split, literals, count - 1, &back));
	} else {
		assert_true(memchr(text, '\0', len) != NULL || count == LITERALS_MAX);
	}
	strbuf_release(&template_text);
	strbuf_release(&back);
}

/* Texts put together at random from pieces that begin, end and escape things. */
static void test_round_trip(void **state)
{
	(void)state;
	static const char *const pieces[] = {"'", "''", "E'", "\\", "$$", "$a$", "/*", "*/",  "--", "\n", "U&'", "\"",
					     "`", "#",	"1",  ".",  "e5", "0x",	 "$1", "sel", " ",  ";",  "(",	 ")",
					     ",", "-",	"+",  "::", "?",  "x'",	 "é",  "=",   "B'", "a",  "$",	 "_"};
	unsigned long seed = 42;
	for (int round = 0; round < 20000; round++) {
		char text[128];
		size_t len = 0;
		for (int i = 0; i < 16; i++) {
			seed = seed * 6364136223846793005UL + 1442695040888963407UL;
			const char *piece = pieces[(seed >> 33) % (sizeof(pieces) / sizeof(*pieces))];
			memcpy(text + len, piece, strlen(piece));
			len += strlen(piece);
		}
		round_trip(SQL_POSTGRESQL, text, len);
		round_trip(SQL_MYSQL, text, len);
	}
	round_trip(SQL_POSTGRESQL, "a\0b", 3);
	round_trip(SQL_POSTGRESQL, "", 0);
}

static void test_template(void **state)
{
	(void)state;
	struct strbuf out;
	strbuf_init(&out, 4096);
	struct span literals[4];
	size_t count;
	assert_true(sql_template_split(SQL_POSTGRESQL, span_from_str("SELECT 'a', -5, $1, NULL, TRUE, \"q\" /* 1 */"),
				       &out, literals, 4, &count));
	assert_int_equal(count, 2);
	assert_true(span_equal_str(literals[0], "'a'"));
	assert_true(span_equal_str(literals[1], "5"));
	assert_true(span_equal((struct span){out.data, out.len},
			       (struct span){"SELECT \0, -\0, $1, NULL, TRUE, \"q\" /* 1 */", 41}));
	assert_false(sql_template_split(SQL_POSTGRESQL, span_from_str("1,2,3,4,5"), &out, literals, 4, &count));
	strbuf_release(&out);
}

static void expect(enum sql_dialect dialect, const char *text, const char *expected)
{
	struct strbuf got;
	strbuf_init(&got, 8192);
	uint64_t hash = sql_fingerprint(dialect, span_from_str(text), &got);
	if (strcmp(got.data, expected) != 0)
		fail_msg("%s\ngot      %s\nexpected %s", text, got.data, expected);
	assert_true(hash != 0);
	assert_true(hash == sql_fingerprint(dialect, span_from_str(text), NULL));
	strbuf_release(&got);
}

static void test_fingerprint(void **state)
{
	(void)state;
	enum sql_dialect pg = SQL_POSTGRESQL;
	expect(pg, "SELECT  Abalance FROM pgbench_accounts\nWHERE aid=12;",
	       "select abalance from pgbench_accounts where aid = ?");
	expect(pg, "select abalance /* c */ from pgbench_accounts where aid = $1 -- x",
	       "select abalance from pgbench_accounts where aid = ?");
	expect(pg, "UPDATE t SET a = a + -5, b = b - 5", "update t set a = a + ?, b = b - ?");
	expect(pg, "UPDATE t SET a = a + 5, b=b-5", "update t set a = a + ?, b = b - ?");
	expect(pg, "SELECT -1, a-1, (b)-1 LIMIT -1", "select ?, a - ?, (b) - ? limit ?");
	expect(pg, "SELECT * FROM t WHERE id IN (1,2, 3)", "select * from t where id in (?)");
	expect(pg, "SELECT * FROM t WHERE id in($1)", "select * from t where id in (?)");
	expect(pg, "x = ANY (ARRAY[1, 2, -3])", "x = any(array[?])");
	expect(pg, "INSERT INTO t (a, b) VALUES (1, 'x'), (2, f(3, 4)),(3,NULL) RETURNING id",
	       "insert into t(a, b) values (?, ?) returning id");
	expect(pg, "INSERT INTO t(a,b) VALUES (1, 'x') RETURNING id", "insert into t(a, b) values (?, ?) returning id");
	expect(pg, "(a,b) IN ((1,2),(3,4))", "(a, b) in ((?, ?))");
	expect(pg, "SELECT \"Q\".A::INT, x->>'k', count( * )", "select \"Q\".a::int, x ->> ?, count(*)");
	expect(pg, "BEGIN; SELECT 1; COMMIT;", "begin; select ?; commit");
	expect(pg, "orders_2024", "orders_2024");
	expect(SQL_MYSQL, "SELECT `a`, \"x\" FROM t WHERE b IN (?, ?) # c", "select `a`, ? from t where b in (?)");
	expect(pg, "", "");
	expect(pg, ")))((", ")))((");
}

static void test_long_text(void **state)
{
	(void)state;
	struct strbuf a, out;
	strbuf_init(&a, 100000);
	strbuf_init(&out, 100000);
	while (a.len < 10000)
		strbuf_add_str(&a, "é");
	uint64_t one = sql_fingerprint(SQL_POSTGRESQL, (struct span){a.data, a.len}, &out);
	assert_true(out.len <= SQL_FINGERPRINT_TEXT_MAX + 3);
	assert_memory_equal(out.data + out.len - 5, "é…", 5);
	strbuf_add_str(&a, "x");
	assert_true(one != sql_fingerprint(SQL_POSTGRESQL, (struct span){a.data, a.len}, NULL));
	strbuf_release(&a);
	strbuf_release(&out);
}

static void test_redact(void **state)
{
	(void)state;
	struct strbuf out;
	strbuf_init(&out, 1000);
	sql_redact(SQL_POSTGRESQL,
		   span_from_str("ALTER TABLE T\n ADD c INT DEFAULT -5, /* 4111 */ x TEXT DEFAULT 'me' -- 99"), &out);
	assert_string_equal(out.data, "ALTER TABLE T\n ADD c INT DEFAULT -?,   x TEXT DEFAULT ?  ");
	strbuf_release(&out);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_round_trip), cmocka_unit_test(test_template), cmocka_unit_test(test_fingerprint),
		cmocka_unit_test(test_long_text),  cmocka_unit_test(test_redact),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
