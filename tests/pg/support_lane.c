/* One lane against a server of the test's own: see support_lane.h. */
#include "support_lane.h"

#include "clock.h"
#include "lane.h"
#include "schedule.h"
#include "sqlstate.h"
#include "temp_folder.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

struct run_record trial_records[RUN_LOG_PAGE];
struct lane_stats trial_stats;

static struct temp_folder folder;

struct replay_builder *trial_begin_empty(void)
{
	if (!folder.path[0])
		temp_folder_init(&folder);
	return replay_builder_new(temp_folder_file(&folder, "trial.rpl"));
}

struct replay_builder *trial_begin(int sessions)
{
	struct replay_builder *b = trial_begin_empty();
	for (int i = 0; i < sessions; i++) {
		uint32_t row = replay_builder_session(b, "postgres", "postgres");
		replay_builder_connect(b, row, 0);
	}
	return b;
}

void trial_replay(const struct lane_trial *trial)
{
	struct error err = ERROR_INIT;
	struct replay_file *file;
	struct schedule schedule;
	struct lane *lane;
	struct run_log *log;
	uint32_t count;
	struct schedule_options options = {.speed = 1};
	assert_int_equal(replay_file_open(temp_folder_file(&folder, "trial.rpl"), &file, &err), 0);
	assert_int_equal(
		schedule_prepare(file, &options, temp_folder_file(&folder, ITEM_INDEX_FILE), NULL, &schedule, &err), 0);
	struct lane_options lane_options = {.name = "baseline",
					    .turn = -1,
					    .driver = &driver_pg,
					    .url = trial->url,
					    .file = file,
					    .schedule = &schedule,
					    .check_results = trial->check_results,
					    .run_log_path = temp_folder_file(&folder, "trial.log"),
					    .drain_timeout_ns = trial->drain_timeout_ns,
					    .stall_timeout_ns = trial->stall_timeout_ns};
	assert_int_equal(lane_open(&lane_options, &lane, &err), 0);
	int64_t t0_ns = clock_mono_ns() + 20 * NS_PER_MS;
	assert_int_equal(lane_start(lane, t0_ns, &err), 0);
	if (trial->during)
		trial->during(t0_ns);
	if (lane_wait(lane, &trial_stats, &err) < 0)
		fail_msg("%s", err.text);
	assert_int_equal(run_log_open(temp_folder_file(&folder, "trial.log"), &log, &err), 0);
	assert_int_equal(run_log_read_page(log, 0, trial_records, &count, &err), 0);
	run_log_free(log);
	lane_free(lane);
	schedule_release(&schedule);
	replay_file_free(file);
}

void trial_assert(uint32_t ordinal, enum run_outcome outcome, const char *sqlstate)
{
	char got[SQLSTATE_TEXT_MAX];
	sqlstate_unpack(trial_records[ordinal].sqlstate, got);
	if (trial_records[ordinal].outcome != outcome || strcmp(got, sqlstate) != 0)
		fail_msg("item %u: outcome %d '%s', expected %d '%s'", ordinal, trial_records[ordinal].outcome, got,
			 outcome, sqlstate);
}

void trial_clean_up(void)
{
	if (folder.path[0])
		temp_folder_release(&folder);
}
