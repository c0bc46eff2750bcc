/*
 * Samples of active backends joined to executions: a run of 60 s with a migration from 30 s to 36 s, whose looks at the
 * sessions are made up beside what is expected of each.
 */
#include "health_log.h"
#include "mem.h"
#include "report_formats.h"
#include "report_html.h"
#include "run_dir.h"
#include "support_run.h"
#include "verdict.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>
#include <stdlib.h>

#define END_S	 60
#define ORDERS	 "SELECT * FROM orders WHERE id = 1"
#define SHORT_A	 "SELECT a FROM short WHERE id = 1"
#define SHORT_B	 "SELECT b FROM short WHERE id = 1"
#define LONG	 "SELECT count(*) FROM big"
#define BEHIND	 "SELECT 2 FROM behind"
#define SESSIONS 3

/* One active backend in one look. */
struct seen {
	int64_t asked_us;
	int64_t answered_us;
	int32_t pid;
	const char *event;
};

static struct seen seen[2000];
static size_t seen_count;

static void see(int64_t asked_us, int64_t took_us, int32_t pid, const char *event)
{
	assert_true(seen_count < sizeof(seen) / sizeof(*seen));
	seen[seen_count++] = (struct seen){asked_us, asked_us + took_us, pid, event};
}

static int compare_seen(const void *a, const void *b)
{
	const struct seen *x = a;
	const struct seen *y = b;
	return (x->asked_us > y->asked_us) - (x->asked_us < y->asked_us);
}

/* Each of them a look of its own; and the list is empty again. */
static void write_lane(const struct support_run *run, const char *lane, const char *name)
{
	struct health_log_writer *writer = NULL;
	struct error err = ERROR_INIT;
	char *path = run_dir_path(support_run_dir(run), name);
	if (seen_count)
		qsort(seen, seen_count, sizeof(*seen), compare_seen);
	assert_int_equal(health_log_writer_open(path, lane, SUPPORT_S, &writer, &err), 0);
	for (size_t i = 0; i < seen_count; i++) {
		struct health_active active = {seen[i].pid, health_log_writer_event(writer, seen[i].event)};
		assert_int_equal(health_log_writer_look(writer, seen[i].asked_us * 1000, seen[i].answered_us * 1000,
							&active, 1, &err),
				 0);
	}
	struct health_note note = {"sessions", "the role is no member of pg_read_all_stats (pg_monitor)", 60};
	struct health_log_rest rest = {.notes = &note, .note_count = seen_count == 0};
	assert_int_equal(health_log_writer_commit(writer, &rest, &err), 0);
	seen_count = 0;
	free(path);
}

static struct support_run *new_run(void)
{
	static const struct support_outcome half = {.service_ns = 500 * SUPPORT_MS, .rows = 1};
	static const struct support_outcome quick = {.service_ns = SUPPORT_MS, .rows = 1};
	static const struct support_outcome slow = {.service_ns = 3 * SUPPORT_S, .rows = 1};
	static const struct support_outcome queued = {
		.queue_ns = 2500 * SUPPORT_MS, .service_ns = SUPPORT_S, .rows = 1};
	struct support_run *run = support_run_new(SESSIONS);
	for (int64_t s = 1; s < END_S; s++)
		support_run_add(run, s * SUPPORT_S, 0, ORDERS, NULL, half, half);
	support_run_add(run, 10000 * SUPPORT_MS, 1, SHORT_A, NULL, quick, quick);
	support_run_add(run, 10002 * SUPPORT_MS, 1, SHORT_B, NULL, quick, quick);
	support_run_add(run, 11000 * SUPPORT_MS, 1, SHORT_A, NULL, quick, quick);
	support_run_add(run, 11002 * SUPPORT_MS, 1, SHORT_A, NULL, quick, quick);
	support_run_add(run, 20000 * SUPPORT_MS, 2, LONG, NULL, slow, slow);
	support_run_add(run, 20500 * SUPPORT_MS, 2, BEHIND, NULL, queued, queued);
	/* What was never executed since the migration began is in no list of the verdict. */
	support_run_add(run, 50000 * SUPPORT_MS, 1, SHORT_A, NULL, quick, quick);
	support_run_add(run, 51000 * SUPPORT_MS, 1, SHORT_B, NULL, quick, quick);
	support_run_add(run, 52000 * SUPPORT_MS, 2, LONG, NULL, quick, quick);
	support_run_add(run, 53000 * SUPPORT_MS, 2, BEHIND, NULL, quick, quick);
	(void)support_run_migrate(run, "ALTER TABLE orders ADD COLUMN c int", "public.orders", "AccessExclusiveLock",
				  30 * SUPPORT_S, 36 * SUPPORT_S);
	support_run_write(run, END_S * SUPPORT_S);
	return run;
}

static struct verdict *judge(const struct support_run *run)
{
	struct error err = ERROR_INIT;
	struct verdict *verdict;
	if (verdict_judge(support_run_dir(run), NULL, &verdict, &err) < 0)
		fail_msg("%s", err.text);
	return verdict;
}

static const json_t *waits_of(const struct verdict *verdict, const char *words)
{
	size_t i;
	const json_t *query;
	json_array_foreach (json_object_get(verdict->document, "queries"), i, query) {
		if (strstr(json_string_value(json_object_get(query, "sql")), words))
			return json_object_get(query, "waits");
	}
	fail_msg("no query of %s", words);
	return NULL;
}

static const json_t *cell_of(const struct verdict *verdict, const char *words, const char *lane, const char *window)
{
	return json_object_get(json_object_get(waits_of(verdict, words), lane), window);
}

static void check_cell(const struct verdict *verdict, const char *words, const char *lane, const char *window,
		       int samples, int executions)
{
	const json_t *cell = cell_of(verdict, words, lane, window);
	assert_true(json_is_object(cell));
	assert_int_equal(json_integer_value(json_object_get(cell, "samples")), samples);
	assert_int_equal(json_integer_value(json_object_get(cell, "executions")), executions);
}

/* share: negative for none. */
static void check_event(const struct verdict *verdict, const char *words, const char *lane, const char *window,
			size_t index, const char *name, int samples, double share)
{
	const json_t *event = json_array_get(json_object_get(cell_of(verdict, words, lane, window), "events"), index);
	assert_string_equal(json_string_value(json_object_get(event, "event")), name);
	assert_int_equal(json_integer_value(json_object_get(event, "samples")), samples);
	if (share < 0)
		assert_true(json_is_null(json_object_get(event, "share")));
	else
		assert_float_equal(json_number_value(json_object_get(event, "share")), share, 0.0006);
}

static json_int_t count_of(const struct verdict *verdict, const char *lane, const char *key)
{
	const json_t *lanes = json_object_get(json_object_get(verdict->document, "query_waits"), "lanes");
	return json_integer_value(json_object_get(json_object_get(lanes, lane), key));
}

static void see_migrating(void)
{
	for (int64_t s = 1; s < END_S; s++) {
		for (int k = 0; k < 5; k++)
			see(s * 1000000 + k * 100000 + 50000, 2000, SUPPORT_MIGRATING_PID(0),
			    s >= 30 && s < 36 && k > 0 ? "IO:DataFileRead" : "CPU");
	}
	see(10000500, 3000, SUPPORT_MIGRATING_PID(1), "CPU"); /* of SHORT_A or of SHORT_B: who knows? */
	see(11000500, 3000, SUPPORT_MIGRATING_PID(1), "CPU"); /* of either SHORT_A: one statement */
	see(12000000, 2000, SUPPORT_MIGRATING_PID(1), "CPU"); /* nothing was under way */
	see(12500000, 2000, SUPPORT_MIGRATION_PID, "CPU");
	see(21500000, 2000, SUPPORT_MIGRATING_PID(2), "LWLock:BufferMapping"); /* BEHIND is due, and not sent */
	see(21600000, 2000, SUPPORT_MIGRATING_PID(2), "LWLock:BufferMapping");
	see(22900000, 50000, SUPPORT_MIGRATING_PID(2), "CPU");
	see(23500000, 2000, SUPPORT_MIGRATING_PID(2), "Timeout:PgSleep");
	see(23500000, 2000, SUPPORT_MIGRATING_PID(2), "IPC:ExecuteGather"); /* a worker of its */
	see(-500000, 2000, SUPPORT_MIGRATING_PID(2), "CPU");		    /* before the run began */
	see(70000000, 2000, SUPPORT_MIGRATING_PID(2), "CPU");		    /* and behind its end */
}

static void test_join(void **state)
{
	(void)state;
	struct support_run *run = new_run();
	see_migrating();
	size_t samples = seen_count;
	write_lane(run, "migrating", HEALTH_LOG_MIGRATING);
	for (int k = 0; k < 19; k++)
		see(40000000 + k * 10000, 1000, SUPPORT_BASELINE_PID(0), k < 12 ? "CPU" : "IO:WALSync");
	write_lane(run, "baseline", HEALTH_LOG_BASELINE);
	struct verdict *verdict = judge(run);

	check_cell(verdict, "orders", "migrating", "before", 140, 28);
	check_event(verdict, "orders", "migrating", "before", 0, "CPU", 140, 1);
	check_cell(verdict, "orders", "migrating", "during", 30, 6);
	check_event(verdict, "orders", "migrating", "during", 0, "IO:DataFileRead", 24, 0.8);
	check_event(verdict, "orders", "migrating", "during", 1, "CPU", 6, 0.2);
	check_cell(verdict, "orders", "migrating", "after", 120, 24);
	/* One sample too few for a share; another lane's are apart. */
	check_cell(verdict, "orders", "baseline", "after", 19, 1);
	check_event(verdict, "orders", "baseline", "after", 0, "CPU", 12, -1);
	check_event(verdict, "orders", "baseline", "after", 1, "IO:WALSync", 7, -1);
	check_cell(verdict, "orders", "baseline", "before", 0, 0);

	check_cell(verdict, "select a", "migrating", "before", 1, 1);
	assert_true(json_is_null(waits_of(verdict, "select b")));
	/* A look that is answered before BEHIND is sent, and one in which both were under way. */
	check_cell(verdict, "big", "migrating", "before", 3, 1);
	check_event(verdict, "big", "migrating", "before", 0, "LWLock:BufferMapping", 2, -1);
	check_cell(verdict, "behind", "migrating", "before", 2, 1);

	assert_int_equal(count_of(verdict, "migrating", "looks"), samples);
	assert_int_equal(count_of(verdict, "migrating", "samples"), samples);
	assert_int_equal(count_of(verdict, "migrating", "ambiguous"), 1);
	assert_int_equal(count_of(verdict, "migrating", "no_statement"), 2);
	assert_int_equal(count_of(verdict, "migrating", "other_backends"), 2);
	/* Every sample is under one heading. */
	assert_int_equal(count_of(verdict, "migrating", "joined"), samples - 5);
	assert_int_equal(count_of(verdict, "baseline", "joined"), 19);
	/* It decides nothing. */
	struct support_run *without = new_run();
	struct verdict *same = judge(without);
	assert_int_equal(same->outcome, verdict->outcome);
	assert_string_equal(same->reason, verdict->reason);
	verdict_free(same);
	support_run_free(without);
	verdict_free(verdict);
	support_run_free(run);
}

static const char *reason_of(const struct verdict *verdict, const char *lane)
{
	const json_t *lanes = json_object_get(json_object_get(verdict->document, "query_waits"), "lanes");
	const json_t *of = json_object_get(lanes, lane);
	assert_true(json_is_false(json_object_get(of, "known")));
	return json_string_value(json_object_get(of, "reason"));
}

/* Changes a byte within the file's first looks, which opening the file does not read. */
static void damage_looks(const struct support_run *run, const char *name)
{
	char *path = run_dir_path(support_run_dir(run), name);
	FILE *file = fopen(path, "r+b");
	assert_non_null(file);
	char data[4096];
	size_t len = fread(data, 1, sizeof(data), file);
	char *at = memmem(data, len, "CHNKLOOK", 8);
	assert_non_null(at);
	assert_int_equal(fseek(file, at - data + 60, SEEK_SET), 0);
	(void)fputc(at[60] ^ 1, file);
	(void)fclose(file);
	free(path);
}

/* No file, a file without a look, and one that is damaged where the looks are: not known, and the run is judged. */
static void test_not_known(void **state)
{
	(void)state;
	struct support_run *run = new_run();
	see_migrating();
	write_lane(run, "migrating", HEALTH_LOG_MIGRATING);
	struct verdict *verdict = judge(run);
	assert_non_null(strstr(reason_of(verdict, "baseline"), HEALTH_LOG_BASELINE));
	assert_true(json_is_null(json_object_get(waits_of(verdict, "orders"), "baseline")));
	check_cell(verdict, "orders", "migrating", "during", 30, 6);
	verdict_free(verdict);

	write_lane(run, "baseline", HEALTH_LOG_BASELINE);
	damage_looks(run, HEALTH_LOG_MIGRATING);
	verdict = judge(run);
	assert_non_null(strstr(reason_of(verdict, "baseline"), "pg_read_all_stats"));
	assert_non_null(strstr(reason_of(verdict, "migrating"), "cannot be read"));
	assert_true(json_is_null(waits_of(verdict, "orders")));
	verdict_free(verdict);
	support_run_free(run);
}

static void assert_told(const struct strbuf *text, const char *words, bool told)
{
	if ((strstr(text->data, words) != NULL) != told)
		fail_msg("%s: %s", told ? "is not told" : "is told", words);
}

/* In the reports: of what was hurt, and no share of too few samples. */
static void test_reports(void **state)
{
	(void)state;
	struct support_run *run = new_run();
	see_migrating();
	write_lane(run, "migrating", HEALTH_LOG_MIGRATING);
	see(31000000, 1000, SUPPORT_BASELINE_PID(0), "Weird:<b>event</b>");
	write_lane(run, "baseline", HEALTH_LOG_BASELINE);
	struct verdict *verdict = judge(run);
	for (int hurt = 0; hurt < 2; hurt++) {
		struct error err = ERROR_INIT;
		struct strbuf html, markdown;
		size_t i;
		json_t *query;
		strbuf_init(&html, REPORT_HTML_MAX);
		strbuf_init(&markdown, 60000);
		json_array_foreach (json_object_get(verdict->document, "queries"), i, query) {
			if (hurt && strstr(json_string_value(json_object_get(query, "sql")), "orders"))
				(void)json_object_set_new(query, "result", json_string("hurts"));
		}
		assert_int_equal(report_html_write(verdict, &html, &err), 0);
		assert_int_equal(report_markdown_write(verdict, NULL, &markdown, &err), 0);
		assert_told(&html, "IO:DataFileRead <b>80 %</b>", hurt);
		assert_told(&html, "n 30, 6 executions", hurt);
		assert_told(&html, "too few samples (1)", hurt);
		assert_told(&html, "301 of 306 samples", hurt);
		assert_told(&html, "<b>event", false);
		assert_told(&markdown, "`IO:DataFileRead` | 80 % of 30 | 0 % of 140 | too few samples (1) |", hurt);
		strbuf_release(&html);
		strbuf_release(&markdown);
	}
	verdict_free(verdict);
	support_run_free(run);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_join), cmocka_unit_test(test_not_known),
					   cmocka_unit_test(test_reports)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
