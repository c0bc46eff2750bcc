/* Lanes against the null driver: the schedule, the run log, the item index, and the identities of the counts. */
#include "clock.h"
#include "item_index.h"
#include "lane.h"
#include "mem.h"
#include "replay_builder.h"
#include "run_log.h"
#include "schedule.h"
#include "temp_folder.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static struct temp_folder folder;
static volatile bool cancelled;
static uint32_t workers = 1;

/* sessions × statements, one statement each 10 ms, all of it within 100 ms or so. */
static const char *build(int sessions, int statements)
{
	const char *path = temp_folder_file(&folder, "lane.rpl");
	struct replay_builder *b = replay_builder_new(path);
	for (int s = 0; s < sessions; s++)
		(void)replay_builder_session(b, "u", "d");
	for (int s = 0; s < sessions; s++)
		replay_builder_connect(b, (uint32_t)s, 0);
	for (int i = 0; i < statements; i++) {
		for (int s = 0; s < sessions; s++)
			replay_builder_simple(b, (uint32_t)s, 10 + i * 10, "SELECT 1");
	}
	for (int s = 0; s < sessions; s++)
		replay_builder_disconnect(b, (uint32_t)s, 10 + statements * 10);
	replay_builder_finish(b);
	return path;
}

struct run {
	struct replay_file *file;
	struct schedule schedule;
	struct lane_stats stats;
};

static void run_lane(const char *path, const struct schedule_options *options, struct run *run)
{
	struct error err = ERROR_INIT;
	struct lane *lane;
	assert_int_equal(replay_file_open(path, &run->file, &err), 0);
	assert_int_equal(schedule_prepare(run->file, options, temp_folder_file(&folder, ITEM_INDEX_FILE), NULL,
					  &run->schedule, &err),
			 0);
	struct lane_options lane_options = {.name = "baseline",
					    .turn = -1,
					    .driver = &driver_null,
					    .url = "null:",
					    .file = run->file,
					    .schedule = &run->schedule,
					    .run_log_path = temp_folder_file(&folder, "baseline.log"),
					    .drain_timeout_ns = NS_PER_S,
					    .workers = workers,
					    .cancelled = &cancelled};
	assert_int_equal(lane_open(&lane_options, &lane, &err), 0);
	assert_int_equal(lane_start(lane, clock_mono_ns() + 20 * NS_PER_MS, &err), 0);
	assert_int_equal(lane_wait(lane, &run->stats, &err), 0);
	lane_free(lane);
}

static void release(struct run *run)
{
	schedule_release(&run->schedule);
	replay_file_free(run->file);
}

static void test_everything_is_sent_on_time(void **state)
{
	(void)state;
	struct error err = ERROR_INIT;
	struct run run;
	struct run_log *log;
	struct item_index *index;
	static struct run_record records[RUN_LOG_PAGE];
	static struct item_index_row rows[ITEM_INDEX_PAGE];
	uint32_t count;
	run_lane(build(20, 10), &(struct schedule_options){.speed = 1}, &run);
	assert_int_equal(run.stats.items_sent, 20 * 12);
	assert_int_equal(run.stats.items_ok, 20 * 12);
	assert_int_equal(run.stats.items_skipped, 0);
	assert_int_equal(run.stats.statements, 200);
	assert_int_equal(run.stats.sessions, 20);
	assert_int_equal(run.schedule.max_open, 20);
	assert_true(run.stats.elapsed_ns >= 110 * NS_PER_MS);
	assert_int_equal(run_log_open(temp_folder_file(&folder, "baseline.log"), &log, &err), 0);
	assert_int_equal(run_log_count(log), 240);
	assert_int_equal(run_log_session_count(log), 20);
	assert_int_equal(run_log_read_page(log, 0, records, &count, &err), 0);
	assert_int_equal(item_index_open(temp_folder_file(&folder, ITEM_INDEX_FILE), &index, &err), 0);
	assert_int_equal(item_index_read_page(index, 0, rows, &count, &err), 0);
	assert_int_equal(count, 240);
	for (uint32_t i = 0; i < count; i++) {
		assert_int_equal(records[i].outcome, RUN_OK);
		assert_true(records[i].late_ns >= 0);
	}
	assert_int_equal(rows[25].due_ns, 10 * NS_PER_MS);
	assert_int_equal(item_index_fingerprint_count(index), 1);
	assert_string_equal(item_index_fingerprint(index, rows[25].fingerprint)->text, "select ?");
	item_index_free(index);
	run_log_free(log);
	release(&run);
}

static void test_a_part_at_twice_the_speed(void **state)
{
	(void)state;
	struct run run;
	/* Statements at 10 … 100 ms; those from 50 ms on and before 90 ms are 50, 60, 70, 80. */
	struct schedule_options part = {.speed = 2, .start_at_ns = 45 * NS_PER_MS, .stop_at_ns = 90 * NS_PER_MS};
	run_lane(build(5, 10), &part, &run);
	assert_int_equal(run.stats.statements, 5 * 4);
	assert_int_equal(run.stats.items_sent, 5 * 5); /* and the connects, at the part's start */
	assert_int_equal(run.stats.skipped_by_reason[RUN_SKIP_OUTSIDE], 5 * 7);
	assert_int_equal(run.schedule.last_due_ns, (80 - 45) * NS_PER_MS / 2);
	release(&run);
}

static void test_all_at_once(void **state)
{
	(void)state;
	struct run run;
	run_lane(build(50, 2000), &(struct schedule_options){.speed = 0}, &run);
	assert_int_equal(run.stats.items_sent, 50 * 2002);
	assert_int_equal(run.schedule.last_due_ns, 0);
	assert_true(run.stats.elapsed_ns < 15 * NS_PER_S); /* 20 s were recorded */
	release(&run);
}

static void test_idle_times_are_cut(void **state)
{
	(void)state;
	struct run run;
	/* Items at 0, 10, 20, … 110 ms: eleven times of 10 ms, cut to 2 ms each. */
	run_lane(build(2, 10), &(struct schedule_options){.speed = 1, .skip_idle_ns = 2 * NS_PER_MS}, &run);
	assert_int_equal(run.stats.items_sent, 2 * 12);
	assert_int_equal(run.schedule.last_due_ns, 11 * 2 * NS_PER_MS);
	assert_int_equal(schedule_map_ns(&run.schedule, 55 * NS_PER_MS), (5 * 2 + 5) * NS_PER_MS);
	release(&run);
}

static void test_sessions_over_the_limit_are_left_out(void **state)
{
	(void)state;
	struct run run;
	run_lane(build(10, 3), &(struct schedule_options){.speed = 1, .max_sessions = 4}, &run);
	assert_int_equal(run.stats.sessions, 4);
	assert_int_equal(run.schedule.max_open, 4);
	assert_int_equal(run.stats.items_sent, 4 * 5);
	assert_int_equal(run.stats.skipped_by_reason[RUN_SKIP_MAX_SESSIONS], 6 * 5);
	release(&run);
}

static void test_an_interrupted_run_accounts_for_all(void **state)
{
	(void)state;
	struct run run;
	cancelled = true;
	run_lane(build(3, 100), &(struct schedule_options){.speed = 1}, &run);
	cancelled = false;
	assert_true(run.stats.items_skipped > 0);
	assert_int_equal(run.stats.items_sent + run.stats.items_skipped, 3 * 102);
	assert_int_equal(run.stats.skipped_by_reason[RUN_SKIP_INTERRUPTED], run.stats.items_skipped);
	release(&run);
}

static void test_more_items_than_a_page_by_three_workers(void **state)
{
	(void)state;
	struct error err = ERROR_INIT;
	struct run run;
	struct run_log *log;
	workers = 3;
	run_lane(build(700, 100), &(struct schedule_options){.speed = 10}, &run);
	workers = 1;
	assert_int_equal(run.stats.items_sent, 700 * 102);
	assert_int_equal(run_log_open(temp_folder_file(&folder, "baseline.log"), &log, &err), 0);
	assert_int_equal(run_log_count(log), 700 * 102);
	run_log_free(log);
	release(&run);
}

static void test_run_log_takes_pages_in_any_order(void **state)
{
	(void)state;
	struct error err = ERROR_INIT;
	struct run_log_writer *writer;
	struct run_log *log;
	static struct run_record records[RUN_LOG_PAGE];
	uint32_t count;
	uint64_t total = 3ULL * RUN_LOG_PAGE + 10;
	const char *path = temp_folder_file(&folder, "order.log");
	assert_int_equal(run_log_writer_open(path, total, &writer, &err), 0);
	for (uint64_t i = total; i > 1; i--) {
		struct run_record record = {.outcome = RUN_OK, .service_ns = (int64_t)i - 1};
		assert_int_equal(run_log_writer_put(writer, i - 1, &record, &err), 0);
	}
	struct run_record again = {.outcome = RUN_OK};
	assert_int_equal(run_log_writer_put(writer, 5, &again, &err), -ERR_INTERNAL);
	assert_int_equal(run_log_writer_commit(writer, &err), 0);
	assert_int_equal(run_log_open(path, &log, &err), 0);
	assert_int_equal(run_log_count(log), total);
	for (uint32_t page = 0; page < 4; page++) {
		assert_int_equal(run_log_read_page(log, page, records, &count, &err), 0);
		assert_int_equal(count, page < 3 ? RUN_LOG_PAGE : 10);
		for (uint32_t i = page == 0 ? 1 : 0; i < count; i++)
			assert_int_equal(records[i].service_ns, (int64_t)page * RUN_LOG_PAGE + i);
	}
	assert_int_equal(run_log_read_page(log, 0, records, &count, &err), 0);
	assert_int_equal(records[0].outcome, RUN_NOT_REACHED);
	run_log_free(log);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_everything_is_sent_on_time),
		cmocka_unit_test(test_a_part_at_twice_the_speed),
		cmocka_unit_test(test_all_at_once),
		cmocka_unit_test(test_idle_times_are_cut),
		cmocka_unit_test(test_sessions_over_the_limit_are_left_out),
		cmocka_unit_test(test_an_interrupted_run_accounts_for_all),
		cmocka_unit_test(test_more_items_than_a_page_by_three_workers),
		cmocka_unit_test(test_run_log_takes_pages_in_any_order),
	};
	temp_folder_init(&folder);
	int failed = cmocka_run_group_tests(tests, NULL, NULL);
	temp_folder_release(&folder);
	return failed;
}
