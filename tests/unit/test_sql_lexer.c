/* The lexer against the two manuals' lexical rules, and its one promise: tokens cover the text without gaps. */
#include "sql_lexer.h"
#include "strbuf.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>

#include <cmocka.h>

/* One letter a token: w word, q quoted name, s string, n number, p parameter, ; and the character of punctuation. */
static void kinds(enum sql_dialect dialect, const char *text, size_t len, struct strbuf *out)
{
	struct sql_lexer lexer;
	sql_lexer_init(&lexer, dialect, text, len);
	const char *end = text;
	for (;;) {
		struct sql_token token = sql_lexer_next(&lexer);
		assert_ptr_equal(token.text.p, end);
		end += token.text.len;
		if (token.kind == SQL_TOKEN_END)
			break;
		assert_true(token.text.len > 0);
		static const char letters[] = "_ cwqsnp;";
		strbuf_add_char(out, token.kind == SQL_TOKEN_PUNCTUATION ? *token.text.p : letters[token.kind]);
	}
	assert_ptr_equal(end, text + len);
	assert_int_equal(sql_lexer_next(&lexer).kind, SQL_TOKEN_END);
}

static void expect(enum sql_dialect dialect, const char *text, const char *expected)
{
	struct strbuf got;
	strbuf_init(&got, 1000);
	kinds(dialect, text, strlen(text), &got);
	if (strcmp(got.data, expected) != 0)
		fail_msg("%s: got %s, expected %s", text, got.data, expected);
	strbuf_release(&got);
}

static void test_postgresql(void **state)
{
	(void)state;
	expect(SQL_POSTGRESQL, "SELECT a1 FROM orders_2024", "w w w w");
	expect(SQL_POSTGRESQL, "'it''s'", "s");
	expect(SQL_POSTGRESQL, "'back\\' x", "s w");
	expect(SQL_POSTGRESQL, "E'back\\' x' y", "s w");
	expect(SQL_POSTGRESQL, "e'a'\n  'b\\'c' d", "s w");
	expect(SQL_POSTGRESQL, "E'a' 'b' c", "s s w");
	expect(SQL_POSTGRESQL, "B'01' x'1F' N'n' U&'\\0061' U&\"n\" \"q\"\"r\"", "s s s s q q");
	expect(SQL_POSTGRESQL, "$$a'b$$ $t$ $$ $x$ $t$ z", "s s w");
	expect(SQL_POSTGRESQL, "a$b $1 $12+$a $", "w p p+$w $");
	expect(SQL_POSTGRESQL, "1 .5 1.5e-3 1e 0x1F 1_000 1..2 3.", "n n n nw n n n.n n");
	expect(SQL_POSTGRESQL, "a.b-1::int", "w.w-n::w");
	expect(SQL_POSTGRESQL, "a -- c 'x\nb/* /* */ ' */c", "w c wcw");
	expect(SQL_POSTGRESQL, "a->>'k' ? b #- c", "w->>s ? w #- w");
	expect(SQL_POSTGRESQL, "\xc3\xa9t\xc3\xa9 = '\xe9'", "w = s");
	/* cut off anywhere */
	expect(SQL_POSTGRESQL, "'abc", "s");
	expect(SQL_POSTGRESQL, "E'abc\\", "s");
	expect(SQL_POSTGRESQL, "$a$abc", "s");
	expect(SQL_POSTGRESQL, "/* abc", "c");
	expect(SQL_POSTGRESQL, "\"abc", "q");
	expect(SQL_POSTGRESQL, "", "");
}

static void test_mysql(void **state)
{
	(void)state;
	expect(SQL_MYSQL, "SELECT `a``b`, \"s\\\"t\" # c 'x\n, 'b\\'c'", "w q, s c , s");
	expect(SQL_MYSQL, "5--1 -- c", "n--n c");
	expect(SQL_MYSQL, "/* /* */ a", "c w");
	expect(SQL_MYSQL, "? 1e5 0x1F 2024_orders 1.5", "p n n w n");
	expect(SQL_MYSQL, "_utf8'x' $a E'x'", "ws w ws");
}

static void test_script(void **state)
{
	(void)state;
	const char *text =
		" ; SELECT 1 ; -- nothing\n; SELECT ';' /* ; */;"
		"CREATE FUNCTION f() RETURNS int BEGIN ATOMIC SELECT CASE WHEN 1=1 THEN 2 END; SELECT 3; END;"
		"CREATE RULE r AS ON INSERT TO t DO (SELECT 1; SELECT 2); BEGIN; last -- x";
	static const char *const expected[] = {
		"SELECT 1",
		"SELECT ';'",
		"CREATE FUNCTION f() RETURNS int BEGIN ATOMIC SELECT CASE WHEN 1=1 THEN 2 END; SELECT 3; END",
		"CREATE RULE r AS ON INSERT TO t DO (SELECT 1; SELECT 2)",
		"BEGIN",
		"last"};
	size_t pos = 0;
	size_t n = 0;
	struct span statement;
	while (sql_script_next(SQL_POSTGRESQL, span_from_str(text), &pos, &statement)) {
		assert_true(n < sizeof(expected) / sizeof(*expected));
		assert_true(span_equal_str(statement, expected[n]));
		n++;
	}
	assert_int_equal(n, sizeof(expected) / sizeof(*expected));
	assert_false(sql_script_next(SQL_POSTGRESQL, span_from_str(text), &pos, &statement));
}

static void test_is_word(void **state)
{
	(void)state;
	struct sql_token token = {SQL_TOKEN_WORD, {"Select", 6}};
	assert_true(sql_token_is_word(&token, "SELECT"));
	assert_false(sql_token_is_word(&token, "SELECTS"));
	assert_false(sql_token_is_word(&token, "SELEC"));
	token.kind = SQL_TOKEN_STRING;
	assert_false(sql_token_is_word(&token, "SELECT"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_postgresql),
		cmocka_unit_test(test_mysql),
		cmocka_unit_test(test_script),
		cmocka_unit_test(test_is_word),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
