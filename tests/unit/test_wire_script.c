/* Which queries of several statements are sent one by one. */
#include "script_plan.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static bool splits(const char *text, bool open)
{
	struct script script;
	script_init(&script, text);
	bool split = script_plan_split(&script, open);
	script_release(&script);
	return split;
}

static void test_words(void **state)
{
	(void)state;
	static const struct {
		const char *sql;
		enum transaction_word word;
	} cases[] = {{"begin", WORD_OPENS},
		     {"START TRANSACTION READ ONLY", WORD_OPENS},
		     {"/* now */ -- so\n COMMIT", WORD_CLOSES},
		     {"END WORK", WORD_CLOSES},
		     {"ROLLBACK", WORD_CLOSES},
		     {"ROLLBACK TO a", WORD_WITHIN},
		     {"ROLLBACK WORK TO SAVEPOINT a", WORD_WITHIN},
		     {"RELEASE a", WORD_WITHIN},
		     {"COMMIT AND CHAIN", WORD_OTHER},
		     {"COMMIT PREPARED 'a'", WORD_OTHER},
		     {"PREPARE TRANSACTION 'a'", WORD_OTHER},
		     {"PREPARE a AS SELECT 1", WORD_NONE},
		     {"\"BEGIN\"", WORD_NONE},
		     {"SELECT 1", WORD_NONE},
		     {"", WORD_NONE}};
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		if (script_transaction_word(span_from_str(cases[i].sql)) != cases[i].word)
			fail_msg("%s", cases[i].sql);
	}
	assert_true(script_wants_block(span_from_str("lock table a")));
	assert_false(script_wants_block(span_from_str("locked")));
}

static void test_plans(void **state)
{
	(void)state;
	assert_true(splits("SELECT 1; SELECT 2", false));
	assert_true(splits("SELECT 1; SELECT 2", true));
	assert_true(splits("BEGIN; SELECT 1; COMMIT; SELECT 2", false));
	assert_false(splits("BEGIN; SELECT 1; COMMIT", true));
	assert_true(splits("SET a = 1; BEGIN; SELECT 1; ROLLBACK; BEGIN", false));
	assert_false(splits("SELECT 1; COMMIT; SELECT 2", false));
	assert_true(splits("SELECT 1; COMMIT; SELECT 2", true));
	assert_false(splits("SELECT 1; SAVEPOINT a", false));
	assert_true(splits("SAVEPOINT a; SELECT 1; ROLLBACK TO a", true));
	assert_false(splits("BEGIN; SELECT 1; COMMIT AND CHAIN; SELECT 1", false));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_words),
		cmocka_unit_test(test_plans),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
