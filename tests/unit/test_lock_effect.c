/* Whom a lock mode keeps out: PostgreSQL's conflict table, written out as in its manual. */
#include "lock_effect.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void test_conflicts(void **state)
{
	/* Table 13.2: requested mode down, existing mode across, in the order of ranks. */
	static const char *const table[] = {".......X", "......XX", "....XXXX", "...XXXXX",
					    "..XX.XXX", "..XXXXXX", ".XXXXXXX", "XXXXXXXX"};
	(void)state;
	for (int a = 1; a <= LOCK_RANK_MAX; a++) {
		for (int b = 1; b <= LOCK_RANK_MAX; b++)
			assert_int_equal(lock_ranks_conflict(a, b), table[a - 1][b - 1] == 'X');
	}
	assert_false(lock_ranks_conflict(0, 8));
	assert_false(lock_ranks_conflict(8, 9));
}

static void test_effects(void **state)
{
	static const struct {
		const char *mode;
		const char *blocks;
	} cases[] = {
		{"AccessExclusiveLock", "reads and writes"},
		{"ExclusiveLock", "writes, row locks"},
		{"ShareRowExclusiveLock", "writes"},
		{"ShareLock", "writes"},
		{"ShareUpdateExclusiveLock", "other DDL"},
		{"RowExclusiveLock", "other DDL"},
		{"RowShareLock", "DROP and ALTER"},
		{"AccessShareLock", "DROP and ALTER"},
		{"NoLock", "nobody"},
	};
	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		int rank = lock_mode_rank(cases[i].mode);
		assert_string_equal(lock_effect_words(lock_effect_of(rank)), cases[i].blocks);
		if (rank)
			assert_string_equal(lock_mode_name(rank), cases[i].mode);
	}
	assert_string_equal(lock_mode_name(9), "");
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_conflicts), cmocka_unit_test(test_effects)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
