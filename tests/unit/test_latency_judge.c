/*
 * The statistics judge on traffic whose truth is known: noise alone accuses nobody, a slowdown of one fingerprint of
 * twenty is found and nothing else, a burst of noise on one lane is no slowdown. The generator is seeded: same figures
 * on every machine.
 */
#include "block_test.h"
#include "latency_judge.h"
#include "mem.h"
#include "random_stream.h"
#include "support_run.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#define FINGERPRINTS		20
#define assert_near(is, wanted) assert_true(fabs((is) - (wanted)) < 1e-6)

static double uniform(struct random_stream *r)
{
	return ((double)(random_stream_next(r) >> 11) + 0.5) / 9007199254740992.0;
}

static double normal(struct random_stream *r)
{
	return sqrt(-2 * log(uniform(r))) * cos(6.283185307179586 * uniform(r));
}

/* One execution's base latency is log-normal around 4 ms; each lane adds noise of its own, and what the test says. */
struct traffic {
	struct random_stream random;
	double slower;		/* fingerprint 7, behind the migration */
	int64_t burst_start_ns; /* a time in which the migrating lane is three times as slow */
	int64_t burst_end_ns;
};

static void play(struct latency_judge *judge, const struct windows *windows, struct traffic *t, int64_t end_ns)
{
	for (int64_t due = 0; due < end_ns; due += 20 * SUPPORT_MS) {
		struct item_index_row row = {.due_ns = due, .kind = ITEM_SIMPLE};
		row.fingerprint = random_stream_below(&t->random, FINGERPRINTS);
		double shared = 4e6 * exp(0.5 * normal(&t->random));
		struct run_record base = {.outcome = RUN_OK};
		struct run_record mig = {.outcome = RUN_OK};
		double factor = due >= t->burst_start_ns && due < t->burst_end_ns ? 3 : 1;
		if (row.fingerprint == 7 && due >= windows->migration_end_ns)
			factor *= t->slower;
		base.service_ns = (int64_t)(shared * exp(0.3 * normal(&t->random)));
		mig.service_ns = (int64_t)(shared * factor * exp(0.3 * normal(&t->random)));
		struct pair pair = {0, &row, {&base, &mig}};
		latency_judge_add(judge, &pair, windows_find(windows, &pair), 0, 0);
	}
	latency_judge_finish(judge);
}

static size_t count_result(const struct latency_judge *judge, enum latency_result result)
{
	size_t n = 0;
	for (size_t i = 0; i < latency_judge_count(judge); i++)
		n += latency_judge_query(judge, i)->result == result;
	return n;
}

/* Twenty runs of 120 s without a difference. */
static void test_noise_accuses_nobody(void **state)
{
	(void)state;
	for (uint64_t seed = 1; seed <= 20; seed++) {
		struct windows windows;
		windows_set(&windows, true, 40 * SUPPORT_S, 41 * SUPPORT_S, 41 * SUPPORT_S, 120 * SUPPORT_S);
		struct latency_judge *judge = latency_judge_new(&windows, FINGERPRINTS, 1.25);
		struct traffic t = {{seed * 7919}, 1, 0, 0};
		play(judge, &windows, &t, 120 * SUPPORT_S);
		assert_int_equal(count_result(judge, LATENCY_HURTS), 0);
		assert_int_equal(count_result(judge, LATENCY_SLOWER), 0);
		assert_null(latency_judge_before(judge));
		latency_judge_free(judge);
	}
}

/* Fingerprint 7 takes 1.6 times as long behind the migration: some 200 executions in 30 blocks. */
static void test_slowdown_is_found(void **state)
{
	(void)state;
	int found = 0;
	for (uint64_t seed = 1; seed <= 10; seed++) {
		struct windows windows;
		windows_set(&windows, true, 40 * SUPPORT_S, 41 * SUPPORT_S, 41 * SUPPORT_S, 120 * SUPPORT_S);
		struct latency_judge *judge = latency_judge_new(&windows, FINGERPRINTS, 1.25);
		struct traffic t = {{seed * 104729}, 1.6, 0, 0};
		play(judge, &windows, &t, 120 * SUPPORT_S);
		size_t accused = count_result(judge, LATENCY_HURTS);
		const struct latency_query *q = latency_judge_query(judge, 0);
		if (accused) {
			found++;
			assert_int_equal(accused, 1);
			assert_int_equal(q->fingerprint, 7);
			assert_int_equal(q->window, WINDOW_AFTER);
			assert_true(q->ratio > 1.4 && q->ratio < 1.8);
			assert_true(q->ci_low < q->ratio && q->ratio < q->ci_high);
		}
		latency_judge_free(judge);
	}
	assert_true(found >= 9);
}

/* A checkpoint: for 5 s of 80 everything is three times as slow on the migrating lane. Two blocks of 30 prove nothing.
 */
static void test_burst_accuses_nobody(void **state)
{
	(void)state;
	struct windows windows;
	windows_set(&windows, true, 40 * SUPPORT_S, 41 * SUPPORT_S, 41 * SUPPORT_S, 120 * SUPPORT_S);
	struct latency_judge *judge = latency_judge_new(&windows, FINGERPRINTS, 1.25);
	struct traffic t = {{42}, 1, 60 * SUPPORT_S, 65 * SUPPORT_S};
	play(judge, &windows, &t, 120 * SUPPORT_S);
	assert_int_equal(count_result(judge, LATENCY_HURTS), 0);
	latency_judge_free(judge);
}

/* Five seconds behind the migration: nothing can be said, and that is said. */
static void test_short_run_cannot_tell(void **state)
{
	(void)state;
	struct windows windows;
	windows_set(&windows, true, 5 * SUPPORT_S, 6 * SUPPORT_S, 6 * SUPPORT_S, 11 * SUPPORT_S);
	struct latency_judge *judge = latency_judge_new(&windows, FINGERPRINTS, 1.25);
	struct traffic t = {{42}, 5, 0, 0};
	play(judge, &windows, &t, 11 * SUPPORT_S);
	assert_int_equal(count_result(judge, LATENCY_CANNOT_TELL), latency_judge_count(judge));
	assert_true(latency_judge_query(judge, 0)->smallest_effect == 0);
	latency_judge_free(judge);
}

/* 30 blocks behind the migration, in the first 25 of which the baseline's executions of 1 ms queue for so long. */
static struct latency_judge *play_queued(int64_t queue_ns, int64_t service_ms)
{
	struct windows windows;
	windows_set(&windows, true, 20 * SUPPORT_S, 21 * SUPPORT_S, 21 * SUPPORT_S, 51 * SUPPORT_S);
	struct latency_judge *judge = latency_judge_new(&windows, 1, 1.25);
	for (int64_t due = 21 * SUPPORT_S; due < 51 * SUPPORT_S; due += 20 * SUPPORT_MS) {
		struct item_index_row row = {.due_ns = due, .kind = ITEM_SIMPLE};
		struct run_record base = {.outcome = RUN_OK, .service_ns = SUPPORT_MS};
		struct run_record mig = {
			.outcome = RUN_OK, .service_ns = service_ms * SUPPORT_MS, .late_ns = 9 * queue_ns};
		if (due < 46 * SUPPORT_S)
			base.late_ns = queue_ns;
		struct pair pair = {0, &row, {&base, &mig}};
		latency_judge_add(judge, &pair, windows_find(&windows, &pair), 0, 0);
	}
	latency_judge_finish(judge);
	return judge;
}

/*
 * Blocks in which the baseline's own queue is long, and more than half of most executions' latency, say nothing of
 * latencies; of service times they do.
 */
static void test_saturated_blocks_are_left_out(void **state)
{
	(void)state;
	uint64_t saturated;
	uint64_t blocks;
	struct latency_judge *judge = play_queued(6 * SUPPORT_MS, 1);
	latency_judge_saturation(judge, &saturated, &blocks);
	assert_int_equal(saturated, 25);
	assert_int_equal(blocks, 30);
	assert_int_equal(latency_judge_query(judge, 0)->result, LATENCY_CANNOT_TELL);
	latency_judge_free(judge);
	judge = play_queued(6 * SUPPORT_MS, 10);
	const struct latency_query *q = latency_judge_query(judge, 0);
	assert_int_equal(q->result, LATENCY_HURTS);
	assert_true(q->by_service);
	assert_int_equal(q->blocks, 30);
	assert_near(q->ratio, 10.05 / 1.05);
	latency_judge_free(judge);
}

/* A client that does not think between two statements queues whenever the first takes longer than it did once. */
static void test_short_queues_are_no_overload(void **state)
{
	(void)state;
	uint64_t saturated;
	uint64_t blocks;
	struct latency_judge *judge = play_queued(2 * SUPPORT_MS, 10);
	latency_judge_saturation(judge, &saturated, &blocks);
	assert_int_equal(saturated, 0);
	assert_int_equal(blocks, 30);
	assert_int_equal(latency_judge_query(judge, 0)->result, LATENCY_HURTS);
	latency_judge_free(judge);
}

/*
 * A session's statement 0 and, right behind it, statement 1, four times a second for 20 s from the migration on. Lane
 * by lane what 0 takes; 1 takes a millisecond and queues for what 0 takes longer. Everything carries a lock's debt of
 * 300 ms, or nothing does.
 */
static struct latency_judge *play_sessions(int64_t base_ms, int64_t migrating_ms, int64_t debt_ms)
{
	struct windows windows;
	windows_set(&windows, true, 20 * SUPPORT_S, 21 * SUPPORT_S, 41 * SUPPORT_S, 41 * SUPPORT_S);
	struct latency_judge *judge = latency_judge_new(&windows, 2, 1.25);
	for (int64_t due = 20 * SUPPORT_S; due < 41 * SUPPORT_S; due += 250 * SUPPORT_MS) {
		for (uint32_t f = 0; f < 2; f++) {
			struct item_index_row row = {
				.due_ns = due + f * base_ms * SUPPORT_MS, .kind = ITEM_SIMPLE, .fingerprint = f};
			struct run_record base = {.outcome = RUN_OK, .service_ns = (f ? 1 : base_ms) * SUPPORT_MS};
			struct run_record mig = {.outcome = RUN_OK, .service_ns = (f ? 1 : migrating_ms) * SUPPORT_MS};
			mig.late_ns = debt_ms * SUPPORT_MS + f * (migrating_ms - base_ms) * SUPPORT_MS;
			struct pair pair = {0, &row, {&base, &mig}};
			latency_judge_add(judge, &pair, windows_find(&windows, &pair), 0, debt_ms * SUPPORT_MS);
		}
	}
	latency_judge_finish(judge);
	return judge;
}

/* The one whose service time grew is accused; the one behind it only queued. */
static void test_followers_are_not_accused(void **state)
{
	(void)state;
	struct latency_judge *judge = play_sessions(2, 60, 0);
	const struct latency_query *slow = latency_judge_query(judge, 0);
	const struct latency_query *follower = latency_judge_query(judge, 1);
	assert_int_equal(slow->fingerprint, 0);
	assert_int_equal(slow->result, LATENCY_HURTS);
	assert_false(slow->by_service);
	assert_near(slow->service.ratio, 60.05 / 2.05);
	assert_int_equal(follower->result, LATENCY_QUEUED);
	assert_true(follower->ratio > 20);
	assert_near(follower->service.ratio, 1);
	latency_judge_free(judge);
}

/* Sessions that never catch up with a lock's debt: what is slow by itself hurts, what only carries the debt does not.
 */
static void test_debt_hides_no_slow_statement(void **state)
{
	(void)state;
	struct latency_total total;
	struct latency_judge *judge = play_sessions(2, 60, 300);
	const struct latency_query *slow = latency_judge_query(judge, 0);
	assert_int_equal(slow->fingerprint, 0);
	assert_int_equal(slow->result, LATENCY_HURTS);
	assert_true(slow->by_service);
	assert_int_equal(slow->blocked, 0);
	assert_int_equal(latency_judge_query(judge, 1)->result, LATENCY_CANNOT_TELL);
	assert_int_equal(latency_judge_query(judge, 1)->blocked, latency_judge_query(judge, 1)->all);
	latency_judge_free(judge);
	judge = play_sessions(2, 2, 300);
	for (size_t i = 0; i < 2; i++)
		assert_int_equal(latency_judge_query(judge, i)->result, LATENCY_CANNOT_TELL);
	assert_false(latency_judge_gross(judge, &total));
	latency_judge_free(judge);
}

/* Three times the time and ten seconds more are gross, whatever is proven; the debt of a lock is not in it. */
static void test_gross_difference(void **state)
{
	(void)state;
	struct latency_total total;
	struct latency_judge *judge = play_sessions(2, 200, 300);
	assert_true(latency_judge_gross(judge, &total));
	assert_int_equal(total.fingerprint, 0);
	assert_int_equal(total.n, 168);
	assert_near(total.s[JUDGE_MIGRATING], 84 * (0.2 + 0.199));
	assert_near(total.s[JUDGE_BASELINE], 84 * 0.003);
	latency_judge_free(judge);
	judge = play_sessions(2, 20, 300);
	assert_false(latency_judge_gross(judge, &total));
	latency_judge_free(judge);
}

/* Queues that outlast the migration for good: blocks are cut from what is due, and it is called what it is. */
static void test_windows_of_a_lasting_slowdown(void **state)
{
	(void)state;
	struct windows windows;
	windows_set(&windows, true, 10 * SUPPORT_S, 10 * SUPPORT_S + 20 * SUPPORT_MS, 57 * SUPPORT_S, 57 * SUPPORT_S);
	windows_end_traffic(&windows, 24 * SUPPORT_S);
	assert_int_equal(windows.of[WINDOW_DURING].blocks, 14);
	assert_int_equal(windows.of[WINDOW_DURING].sent_blocks, 30);
	assert_int_equal(windows.of[WINDOW_DURING].end_ns, 57 * SUPPORT_S);
	assert_string_equal(windows_phrase(&windows, WINDOW_DURING), "from the migration on");
	windows_set(&windows, true, 10 * SUPPORT_S, 14 * SUPPORT_S, 16 * SUPPORT_S, 57 * SUPPORT_S);
	assert_string_equal(windows_phrase(&windows, WINDOW_DURING), "during the migration");
	assert_string_equal(windows_phrase(&windows, WINDOW_AFTER), "after the migration");
}

/*
 * T does not depend on scale, and with n blocks of one sign only one draw of 2^n is as large: 12 blocks give about
 * 1/4096, 10 blocks about 1/1024.
 */
static void test_sign_flips(void **state)
{
	(void)state;
	double ones[12];
	double alternating[12];
	for (int i = 0; i < 12; i++) {
		ones[i] = 0.2;
		alternating[i] = i % 2 ? 0.2 : -0.2;
	}
	struct block_series series[2] = {{ones, 12, 0}, {alternating, 12, 0}};
	double p[2];
	block_test_sign_flips(series, 2, 1, p);
	/* Two series: either may be the largest. */
	assert_true(p[0] < 0.0012);
	assert_true(p[1] > 0.5);
	series[0].blocks = 10;
	block_test_sign_flips(series, 1, 1, p);
	assert_true(p[0] >= 0.0002 && p[0] < 0.0020);
	double low;
	double high;
	block_test_bootstrap(ones, 12, 1, &low, &high);
	assert_float_equal(low, 0.2, 1e-12);
	assert_float_equal(high, 0.2, 1e-12);
}

/* P(X >= b | n = b + c, 1/2): 11 to none is 2^-11 = 0.000488, 10 to none 0.000977; 15 to 1 is 17/65536 = 0.000259. */
static void test_mcnemar(void **state)
{
	(void)state;
	assert_float_equal(block_test_mcnemar(11, 0), 0.00048828125, 1e-12);
	assert_float_equal(block_test_mcnemar(10, 0), 0.0009765625, 1e-12);
	assert_float_equal(block_test_mcnemar(15, 1), 17.0 / 65536, 1e-12);
	assert_float_equal(block_test_mcnemar(0, 0), 1, 0);
	assert_float_equal(block_test_mcnemar(5, 5), 638.0 / 1024, 1e-12);
	/* Far out: no overflow, no endless sum. */
	assert_true(block_test_mcnemar(1000000, 0) < 1e-300);
	assert_float_equal(block_test_mcnemar(500000, 500000), 0.5, 0.001);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_noise_accuses_nobody),
		cmocka_unit_test(test_slowdown_is_found),
		cmocka_unit_test(test_burst_accuses_nobody),
		cmocka_unit_test(test_short_run_cannot_tell),
		cmocka_unit_test(test_saturated_blocks_are_left_out),
		cmocka_unit_test(test_short_queues_are_no_overload),
		cmocka_unit_test(test_followers_are_not_accused),
		cmocka_unit_test(test_debt_hides_no_slow_statement),
		cmocka_unit_test(test_gross_difference),
		cmocka_unit_test(test_windows_of_a_lasting_slowdown),
		cmocka_unit_test(test_sign_flips),
		cmocka_unit_test(test_mcnemar),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
