/*
 * What statements waited for, on real servers: two lanes under a replay of statements that sleep, and of others that
 * the migration's lock holds up on one lane. What is sampled must be what was so, and as long as the lock watch says,
 * which saw the same waits by other means.
 */
#include "clock.h"
#include "migration.h"
#include "rehearsal.h"
#include "replay_builder.h"
#include "run_dir.h"
#include "support_pg_server.h"
#include "temp_folder.h"
#include "verdict.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#define SLEEPERS 2
#define READERS	 4
#define SPAN_MS	 9000

static struct temp_folder folder;
static struct pg_server servers[2];

static void build_replay(const char *path)
{
	struct replay_builder *builder = replay_builder_new(path);
	uint32_t session[SLEEPERS + READERS];
	for (int s = 0; s < SLEEPERS + READERS; s++) {
		session[s] = replay_builder_session(builder, "postgres", "postgres");
		replay_builder_connect(builder, session[s], 0);
	}
	for (int at_ms = 250; at_ms < SPAN_MS; at_ms += 250) {
		for (int s = 0; s < SLEEPERS; s++) {
			if (at_ms % 500 == 0)
				replay_builder_simple(builder, session[s], at_ms, "SELECT pg_sleep(0.3)");
		}
		for (int s = SLEEPERS; s < SLEEPERS + READERS; s++)
			replay_builder_simple(builder, session[s], at_ms, "SELECT count(*) FROM small");
	}
	replay_builder_finish(builder);
}

static const json_t *query_of(const struct verdict *verdict, const char *words, const char *window)
{
	size_t i;
	const json_t *query;
	json_array_foreach (json_object_get(verdict->document, "queries"), i, query) {
		if (strstr(json_string_value(json_object_get(query, "sql")), words) &&
		    strcmp(json_string_value(json_object_get(query, "window")), window) == 0)
			return query;
	}
	fail_msg("no query of %s %s the migration", words, window);
	return NULL;
}

/* Samples of a statement on a lane in a window: in one event, or (NULL) all. */
static double samples_of(const json_t *query, const char *lane, const char *window, const char *event)
{
	size_t i;
	const json_t *entry;
	double n = 0;
	const json_t *cell = json_object_get(json_object_get(json_object_get(query, "waits"), lane), window);
	if (!event)
		return json_number_value(json_object_get(cell, "samples"));
	json_array_foreach (json_object_get(cell, "events"), i, entry) {
		if (strcmp(json_string_value(json_object_get(entry, "event")), event) == 0)
			n = json_number_value(json_object_get(entry, "samples"));
	}
	return n;
}

static double count_of(const struct verdict *verdict, const char *lane, const char *key)
{
	const json_t *lanes = json_object_get(json_object_get(verdict->document, "query_waits"), "lanes");
	return json_number_value(json_object_get(json_object_get(lanes, lane), key));
}

static void check_counts(const struct verdict *verdict, const char *lane)
{
	double samples = count_of(verdict, lane, "samples");
	double joined = count_of(verdict, lane, "joined");
	double others = count_of(verdict, lane, "other_backends");
	print_message("%s: %.1f looks a second, %.0f samples, %.0f joined, %.0f of others, %.0f ambiguous\n", lane,
		      count_of(verdict, lane, "looks_per_s"), samples, joined, others,
		      count_of(verdict, lane, "ambiguous"));
	assert_true(count_of(verdict, lane, "looks_per_s") >= 0.9);
	assert_true(samples ==
		    joined + others + count_of(verdict, lane, "ambiguous") + count_of(verdict, lane, "no_statement"));
	assert_true(joined >= 0.9 * (samples - others));
	assert_true(count_of(verdict, lane, "lost") == 0);
}

static void judge_run(const char *run_dir)
{
	struct error err = ERROR_INIT;
	struct verdict *verdict;
	if (verdict_judge(run_dir, NULL, &verdict, &err) < 0)
		fail_msg("%s", err.text);
	for (int lane = 0; lane < 2; lane++) {
		static const char *const lanes[] = {"baseline", "migrating"};
		const json_t *sleep = query_of(verdict, "pg_sleep", "during");
		double samples = samples_of(sleep, lanes[lane], "before", NULL);
		check_counts(verdict, lanes[lane]);
		assert_true(samples >= 3);
		assert_true(samples_of(sleep, lanes[lane], "before", "Timeout:PgSleep") >= 0.9 * samples);
	}
	const json_t *small = query_of(verdict, "small", "during");
	double all = samples_of(small, "migrating", "during", NULL);
	double waiting = samples_of(small, "migrating", "during", "Lock:relation");
	assert_true(waiting >= 8 && waiting >= 0.9 * all);
	assert_true(samples_of(small, "migrating", "before", "Lock:relation") == 0);
	assert_true(samples_of(small, "baseline", "during", "Lock:relation") == 0);
	/* The area of the stall, by the lock watch and by counting sessions now and then. */
	const json_t *stall = json_array_get(json_object_get(verdict->document, "stalls"), 0);
	double blocked_s = json_number_value(json_object_get(stall, "blocked_query_s"));
	double sampled_s = waiting / count_of(verdict, "migrating", "looks_per_s");
	print_message("blocked %.2f query-seconds by the lock watch, %.2f by %.0f samples\n", blocked_s, sampled_s,
		      waiting);
	assert_true(sampled_s > 0.6 * blocked_s && sampled_s < 1.6 * blocked_s);
	verdict_free(verdict);
}

static void test_a_run(void **state)
{
	(void)state;
	static const char sql[] = "BEGIN; ALTER TABLE small ADD COLUMN c int; SELECT pg_sleep(2); COMMIT;\n";
	struct error err = ERROR_INIT;
	struct migration migration;
	struct migration_way way = {.files = &migration};
	char replay[400], run_dir[400];
	(void)snprintf(replay, sizeof(replay), "%s", temp_folder_file(&folder, "file.replay"));
	(void)snprintf(run_dir, sizeof(run_dir), "%s", temp_folder_file(&folder, "run"));
	build_replay(replay);
	migration_init(&migration);
	assert_int_equal(migration_add_text(&migration, "lock.sql", sql, strlen(sql), &err), 0);
	struct rehearsal_options options = {.replay_path = replay,
					    .baseline_url = servers[0].url,
					    .migrating_url = servers[1].url,
					    .run_dir = run_dir,
					    .way = &way,
					    .migrate_at_ns = 4 * NS_PER_S,
					    .speed = 1,
					    .drain_timeout_ns = 30 * NS_PER_S,
					    .known_clone = true};
	json_t *run = NULL;
	if (rehearsal_run(&options, &run, &err) < 0)
		fail_msg("%s", err.text);
	json_decref(run);
	migration_release(&migration);
	judge_run(run_dir);
}

static int set_up(void **state)
{
	(void)state;
	temp_folder_init(&folder);
	for (int i = 0; i < 2; i++) {
		if (pg_server_start(&servers[i], NULL) ||
		    pg_server_run(&servers[i], "CREATE TABLE small AS SELECT generate_series(1, 10) AS x"))
			return -1;
	}
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	for (int i = 0; i < 2; i++)
		pg_server_stop(&servers[i]);
	temp_folder_release(&folder);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_a_run)};
	return cmocka_run_group_tests(tests, set_up, tear_down);
}
