/* Samples joined into waits: same wait or the next one, starts bounded, blockers, breaks. */
#include "wait_list.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static struct wait_list list;

static void see(int32_t pid, uint32_t relation, int64_t start_id, int64_t start_ns)
{
	struct wait_row row = {.pid = pid,
			       .lock_type = "relation",
			       .mode = "AccessShareLock",
			       .database = 5,
			       .relation_oid = relation,
			       .start_id = start_id,
			       .start_ns = start_ns};
	wait_list_see(&list, &row);
}

#define MS INT64_C(1000000)

static void test_joining(void **state)
{
	(void)state;
	wait_list_init(&list);
	for (int i = 0; i <= 10; i++) { /* waits from 35 to 70 ms */
		wait_list_begin(&list, i * 10 * MS);
		if (i >= 4 && i <= 7)
			see(1, 100, 77, 35 * MS);
		wait_list_end(&list);
	}
	assert_int_equal(list.count, 1);
	assert_int_equal(list.entries[0].wait.start_ns, 35 * MS);
	assert_int_equal(list.entries[0].wait.end_ns, 70 * MS);
	assert_int_equal(list.entries[0].wait.samples, 4);
	assert_int_equal(wait_list_open_count(&list), 0);
	wait_list_release(&list);
}

/* Two waits for one lock right after each other are two, and a start that is told late belongs to the wait. */
static void test_starts(void **state)
{
	(void)state;
	wait_list_init(&list);
	wait_list_begin(&list, 0);
	wait_list_end(&list);
	wait_list_begin(&list, 10 * MS);
	see(1, 100, 0, 0);
	wait_list_end(&list);
	wait_list_begin(&list, 20 * MS);
	see(1, 100, 5, 9 * MS);
	wait_list_end(&list);
	wait_list_begin(&list, 30 * MS);
	see(1, 100, 6, 25 * MS);
	wait_list_end(&list);
	wait_list_begin(&list, 40 * MS);
	see(1, 200, 7, 35 * MS);
	wait_list_end(&list);
	assert_int_equal(list.count, 3);
	assert_int_equal(list.entries[0].wait.start_ns, 9 * MS);
	assert_int_equal(list.entries[0].wait.end_ns, 20 * MS);
	assert_int_equal(list.entries[1].wait.start_ns, 25 * MS);
	assert_int_equal(list.entries[2].wait.relation_oid, 200);
	/* the sample before did not show it: the clocks differ, not the facts */
	wait_list_begin(&list, 50 * MS);
	see(2, 100, 8, 12 * MS);
	wait_list_end(&list);
	assert_int_equal(list.entries[3].wait.start_ns, 40 * MS);
	wait_list_release(&list);
}

static void test_blockers(void **state)
{
	(void)state;
	wait_list_init(&list);
	for (int i = 1; i <= 3; i++) {
		wait_list_begin(&list, i * 10 * MS);
		see(1, 100, 77, 5 * MS);
		wait_list_end(&list);
		wait_list_blocker(&list, 1, i < 3 ? 40 : 41);
		wait_list_blocker(&list, 9, 40); /* who does not wait is passed over */
	}
	const struct lock_wait *wait = &list.entries[0].wait;
	assert_int_equal(wait->blocker_count, 2);
	assert_int_equal(wait->blockers[0].pid, 40);
	assert_int_equal(wait->blockers[0].first_ns, 10 * MS);
	assert_int_equal(wait->blockers[0].last_ns, 20 * MS);
	assert_int_equal(wait->blockers[1].first_ns, 30 * MS);
	wait_list_break(&list);
	wait_list_begin(&list, 90 * MS);
	see(1, 100, 77, 5 * MS);
	assert_int_equal(list.count, 2); /* after a break it is a wait of its own, with its true start */
	assert_int_equal(list.entries[1].wait.start_ns, 5 * MS);
	wait_list_release(&list);
}

/* Of many waiters those without a blocker are asked first, then all in turn. */
static void test_choose(void **state)
{
	(void)state;
	int32_t pids[8];
	bool asked[20] = {false};
	wait_list_init(&list);
	wait_list_begin(&list, 0);
	for (int32_t pid = 1; pid <= 20; pid++)
		see(pid, 100, 7, 0);
	wait_list_end(&list);
	for (uint64_t turn = 0; turn < 3; turn++) {
		size_t count = wait_list_choose(&list, turn, pids, 8);
		assert_int_equal(count, 8);
		for (size_t i = 0; i < count; i++) {
			asked[pids[i] - 1] = true;
			wait_list_blocker(&list, pids[i], 99);
		}
	}
	for (size_t i = 0; i < 20; i++)
		assert_true(asked[i]);
	for (uint64_t turn = 0; turn < 20; turn++)
		assert_int_equal(wait_list_choose(&list, turn, pids, 8), 8);
	wait_list_release(&list);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_joining),
		cmocka_unit_test(test_starts),
		cmocka_unit_test(test_blockers),
		cmocka_unit_test(test_choose),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
