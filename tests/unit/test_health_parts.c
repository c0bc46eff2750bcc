/*
 * Parts of the health sampler that need no server: which question goes to which version, samples joined into
 * activities, and a made-up /proc.
 */
#include "activity_list.h"
#include "clock.h"
#include "health_pace.h"
#include "health_queries.h"
#include "health_series.h"
#include "mem.h"
#include "process_tree.h"
#include "temp_folder.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

#include <cmocka.h>
#include <sys/stat.h>
#include <unistd.h>

static const int versions[] = {120022, 130018, 140015, 150020, 160006, 170002, 180000};
#define VERSIONS (sizeof(versions) / sizeof(versions[0]))

static bool asks(enum health_group group, int version, const char *words)
{
	return strstr(health_query_for(group, version).sql, words) != NULL;
}

/* What was added, renamed or removed from one version to the next, by the manual's release notes. */
static void test_versions(void **state)
{
	(void)state;
	for (size_t i = 0; i < VERSIONS; i++) {
		int v = versions[i];
		bool has_17 = v >= 170000;
		assert_true(asks(HEALTH_GROUP_CHECKPOINTS, v, "pg_stat_checkpointer") == has_17);
		assert_true(asks(HEALTH_GROUP_CHECKPOINTS, v, "pg_stat_bgwriter") == !has_17);
		assert_true(asks(HEALTH_GROUP_CHECKPOINTS, v, "c.num_timed") == has_17);
		assert_true(asks(HEALTH_GROUP_CHECKPOINTS, v, "c.checkpoints_timed") == !has_17);
		assert_true(asks(HEALTH_GROUP_WAL, v, "wal_status") == (v >= 130000));
		assert_true(asks(HEALTH_GROUP_PROGRESS, v, "pg_stat_progress_create_index"));
		assert_true(asks(HEALTH_GROUP_PROGRESS, v, "pg_stat_progress_cluster"));
		assert_true(asks(HEALTH_GROUP_PROGRESS, v, "pg_stat_progress_analyze") == (v >= 130000));
		assert_true(asks(HEALTH_GROUP_PROGRESS, v, "pg_stat_progress_basebackup") == (v >= 130000));
		assert_true(asks(HEALTH_GROUP_PROGRESS, v, "pg_stat_get_wal_senders") == (v < 130000));
		assert_true(asks(HEALTH_GROUP_SESSIONS, v, "leader_pid") == (v >= 130000));
		assert_true(asks(HEALTH_GROUP_SESSIONS, v, "parallel worker") == (v >= 130000));
		assert_true(asks(HEALTH_GROUP_PROGRESS, v, "pg_stat_progress_copy") == (v >= 140000));
		/* Renamed in 17, and so never asked for. */
		assert_false(asks(HEALTH_GROUP_PROGRESS, v, "dead_tuples"));
		for (int group = 0; group < HEALTH_GROUPS; group++) {
			struct health_query query = health_query_for(group, v);
			assert_true(strlen(query.name) > 0);
			assert_true(query.interval_ns >= NS_PER_S || group == HEALTH_GROUP_SESSIONS);
		}
	}
}

/* Whatever a question calls a series is in the list, so that it is not written where nobody looks. */
static void test_series_are_known(void **state)
{
	(void)state;
	for (size_t i = 0; i < VERSIONS; i++) {
		for (int group = 0; group < HEALTH_GROUPS; group++) {
			const char *sql = health_query_for(group, versions[i]).sql;
			for (const char *p = strchr(sql, '\''); p; p = strchr(p, '\'')) {
				const char *end = strchr(++p, '\'');
				assert_non_null(end);
				char *word = mem_strndup(p, (size_t)(end - p));
				bool dotted = strchr(word, '.') && !strpbrk(word, " %0") && strncmp(word, "ended.", 6);
				if (dotted && !health_series_find(word))
					fail_msg("'%s' is no series", word);
				free(word);
				p = end + 1;
			}
		}
	}
}

static struct activity_row build_row(const char *phase, int64_t done)
{
	return (struct activity_row){.kind = HEALTH_CREATE_INDEX,
				     .pid = 7,
				     .relation = "public.t",
				     .index = "",
				     .command = "CREATE INDEX",
				     .phase = phase,
				     .done = done,
				     .total = 100};
}

static void sample(struct activity_list *list, int64_t now_ns, const struct activity_row *row)
{
	activity_list_begin(list, now_ns);
	if (row)
		activity_list_see(list, row);
	activity_list_end(list);
}

static void test_activities(void **state)
{
	(void)state;
	struct activity_list list;
	struct activity_row scan = build_row("scanning", 10), more = build_row("scanning", 90),
			    load = build_row("loading", 5), again = build_row("loading", 1),
			    back = build_row("scanning", 95);
	activity_list_init(&list);
	sample(&list, 1 * NS_PER_S, NULL);
	sample(&list, 2 * NS_PER_S, &scan);
	sample(&list, 3 * NS_PER_S, &more);
	sample(&list, 4 * NS_PER_S, &load);
	assert_int_equal(list.count, 1);
	assert_true(list.items[0].open);
	assert_int_equal(list.items[0].phase_count, 2);
	assert_int_equal(list.items[0].phases[0].done, 90);
	assert_int_equal(list.items[0].phases[0].end_ns, 3 * NS_PER_S);
	sample(&list, 5 * NS_PER_S, &again); /* has done less than before: the next build */
	assert_int_equal(list.count, 2);
	assert_false(list.items[0].open);
	sample(&list, 6 * NS_PER_S, NULL);
	assert_false(list.items[1].open);
	assert_int_equal(list.items[1].end_ns, 5 * NS_PER_S);
	sample(&list, 7 * NS_PER_S, &scan); /* seen again after it was not: another one */
	assert_int_equal(list.count, 3);
	sample(&list, 8 * NS_PER_S, &load);
	sample(&list, 9 * NS_PER_S, &back); /* a build does not go back to a phase */
	assert_int_equal(list.count, 4);
	activity_list_release(&list);
}

static void test_phases_are_bounded(void **state)
{
	(void)state;
	struct activity_list list;
	char phase[16];
	activity_list_init(&list);
	for (int i = 0; i < HEALTH_PHASES_MAX + 10; i++) {
		(void)snprintf(phase, sizeof(phase), "phase %d", i);
		struct activity_row row = build_row(phase, 1);
		sample(&list, (i + 1) * NS_PER_S, &row);
	}
	assert_int_equal(list.count, 1);
	assert_int_equal(list.items[0].phase_count, HEALTH_PHASES_MAX);
	assert_int_equal(list.items[0].phases[HEALTH_PHASES_MAX - 1].end_ns, (HEALTH_PHASES_MAX + 10) * NS_PER_S);
	for (int i = 0; i < HEALTH_ACTIVITIES_MAX + 3; i++)
		activity_list_ended(&list, HEALTH_AUTOVACUUM, "public.t", i * 100 * NS_PER_S);
	assert_int_equal(list.count, HEALTH_ACTIVITIES_MAX);
	assert_int_equal(list.lost, 4);
	activity_list_release(&list);
}

/* The end of an automatic vacuum is told again and again while it is recent: it is one. */
static void test_ended(void **state)
{
	(void)state;
	struct activity_list list;
	struct activity_row vacuum = {.kind = HEALTH_AUTOVACUUM,
				      .pid = 9,
				      .relation = "public.t",
				      .index = "",
				      .command = "VACUUM",
				      .phase = "scanning heap",
				      .done = 1,
				      .total = 2};
	activity_list_init(&list);
	activity_list_ended(&list, HEALTH_AUTOVACUUM, "public.u", 5 * NS_PER_S);
	activity_list_ended(&list, HEALTH_AUTOVACUUM, "public.u", 5 * NS_PER_S + 1000);
	assert_int_equal(list.count, 1);
	activity_list_ended(&list, HEALTH_AUTOANALYZE, "public.u", 5 * NS_PER_S);
	activity_list_ended(&list, HEALTH_AUTOVACUUM, "public.u", 65 * NS_PER_S);
	assert_int_equal(list.count, 3);
	sample(&list, 100 * NS_PER_S, &vacuum);
	sample(&list, 101 * NS_PER_S, NULL);
	activity_list_ended(&list, HEALTH_AUTOVACUUM, "public.t", 100 * NS_PER_S + 500);
	assert_int_equal(list.count, 4);
	assert_int_equal(list.items[3].end_ns, 100 * NS_PER_S + 500);
	activity_list_release(&list);
}

static void test_checkpoints(void **state)
{
	(void)state;
	struct activity_list list;
	struct activity_checkpoints at = {.timed = 10, .requested = 3, .spent_ms = 5000, .buffers = 900};
	activity_list_init(&list);
	activity_list_checkpoints(&list, &at, 1 * NS_PER_S); /* what was before is nobody's */
	assert_int_equal(list.count, 0);
	at.timed++; /* a spread one: counted when it begins, buffers on the way, time at the end */
	activity_list_checkpoints(&list, &at, 2 * NS_PER_S);
	at.buffers += 40;
	activity_list_checkpoints(&list, &at, 5 * NS_PER_S);
	assert_int_equal(list.count, 1);
	assert_true(list.items[0].open);
	activity_list_begin(&list, 6 * NS_PER_S);
	activity_list_end(&list); /* no view shows it, and it goes on */
	at.buffers += 60;
	at.spent_ms += 9000;
	activity_list_checkpoints(&list, &at, 10 * NS_PER_S);
	assert_false(list.items[0].open);
	assert_string_equal(list.items[0].command, "timed");
	assert_int_equal(list.items[0].start_ns, 1 * NS_PER_S);
	assert_int_equal(list.items[0].end_ns, 10 * NS_PER_S);
	assert_int_equal(list.items[0].phases[0].done, 100);
	at.requested++; /* one in a hurry tells all of it at once */
	at.buffers += 7;
	at.spent_ms += 300;
	activity_list_checkpoints(&list, &at, 20 * NS_PER_S);
	assert_int_equal(list.count, 2);
	assert_string_equal(list.items[1].command, "requested");
	assert_int_equal(list.items[1].start_ns, 20 * NS_PER_S - 300 * NS_PER_MS);
	at = (struct activity_checkpoints){.timed = 1}; /* reset */
	activity_list_checkpoints(&list, &at, 21 * NS_PER_S);
	assert_int_equal(list.count, 2);
	activity_list_release(&list);
}

/* A made-up /proc: a postmaster (100) with two children, one of which has an odd name. */
static struct temp_folder folder;

static void put(const char *name, const char *text)
{
	char path[600];
	(void)snprintf(path, sizeof(path), "%s/%s", folder.path, name);
	for (char *p = path + strlen(folder.path) + 1; (p = strchr(p, '/')); p++) {
		*p = '\0';
		(void)mkdir(path, 0700);
		*p = '/';
	}
	FILE *file = fopen(path, "w");
	assert_non_null(file);
	(void)fputs(text, file);
	(void)fclose(file);
}

static void test_process_tree(void **state)
{
	(void)state;
	struct process_tree tree;
	struct machine_load load;
	long tick_ms = 1000 / sysconf(_SC_CLK_TCK);
	temp_folder_init(&folder);
	put("100/stat", "100 (postgres) S 1 100 100 0 -1 4194560 1 2 3 4 10 20 30 40 20 0 1 0 5000 1 1\n");
	put("100/statm", "1000 500 400 1 0 50 0\n");
	put("100/io", "rchar: 1\nwchar: 2\nsyscr: 3\nsyscw: 4\nread_bytes: 4096\nwrite_bytes: 8192\n"
		      "cancelled_write_bytes: 0\n");
	put("100/task/100/children", "101 102 103 ");
	put("101/stat", "101 (post) gres: x) y) R 100 100 100 0 -1 4194560 1 2 3 4 1 2 0 0 20 0 1 0 5001 1 1\n");
	put("101/statm", "1000 700 450 1 0 50 0\n");
	put("101/io", "read_bytes: 100\nwrite_bytes: 200\n");
	put("102/stat", "102 (postgres) R 100 100 100 0 -1 4194560 1 2 3 4 7 0 0 0 20 0 1 0 5002 1 1\n");
	put("102/statm", "nonsense\n");
	put("102/io", "read_bytes: 1\nwrite_bytes: 2\n");
	assert_true(process_tree_read(folder.path, 100, &tree)); /* 103 is gone */
	assert_int_equal(tree.processes, 3);
	assert_int_equal(tree.cpu_ns, (100 + 3 + 7) * tick_ms * NS_PER_MS);
	assert_int_equal(tree.memory_bytes, (100 + 250 + 450) * sysconf(_SC_PAGESIZE));
	assert_true(tree.has_io);
	assert_int_equal(tree.read_bytes, 4197);
	assert_int_equal(tree.write_bytes, 8394);
	assert_int_equal(unlink(temp_folder_file(&folder, "100/task/100/children")), 0);
	assert_true(process_tree_read(folder.path, 100, &tree)); /* found by their parent */
	assert_int_equal(tree.processes, 3);
	assert_int_equal(unlink(temp_folder_file(&folder, "102/io")), 0);
	assert_true(process_tree_read(folder.path, 100, &tree));
	assert_false(tree.has_io);
	put("stat",
	    "cpu  10 1 20 300 40 5 6 7 0 0\ncpu0 5 0 10 150 20 2 3 3 0 0\ncpu1 5 1 10 150 20 3 3 4 0 0\nintr 1\n");
	put("meminfo", "MemTotal: 2000 kB\nMemFree: 10 kB\nMemAvailable:    1000 kB\n");
	put("pressure/cpu",
	    "some avg10=0.00 avg60=0.00 avg300=0.00 total=123456\nfull avg10=0 avg60=0 avg300=0 total=7\n");
	put("pressure/io", "");
	machine_load_read(folder.path, &load);
	assert_int_equal(load.cpus, 2);
	assert_int_equal(load.busy_ns, (10 + 1 + 20 + 5 + 6) * tick_ms * NS_PER_MS);
	assert_int_equal(load.steal_ns, 7 * tick_ms * NS_PER_MS);
	assert_int_equal(load.memory_available_bytes, 1024000);
	assert_int_equal(load.cpu_stall_us, 123456);
	assert_int_equal(load.io_stall_us, -1);
	assert_int_equal(load.memory_stall_us, -1);
	temp_folder_release(&folder);
}

/*
 * Ten looks a second, spread so that whatever happens at the same moment of each second, or of each tenth of one, is
 * not seen more often than chance would; fewer, spread alike, where a look is dear.
 */
static void test_looks_are_spread(void **state)
{
	(void)state;
	static const int64_t costs_ns[] = {300 * NS_PER_US, 1200 * NS_PER_US, 40 * NS_PER_MS};
	static const unsigned expected[] = {10, 3, 1};
	for (size_t c = 0; c < sizeof(costs_ns) / sizeof(*costs_ns); c++) {
		struct health_looks looks;
		unsigned in_second[10] = {0};
		unsigned in_tick[10] = {0};
		unsigned n = 0;
		health_looks_init(&looks, NS_PER_S);
		for (int i = 0; i < 20; i++) { /* the least counts: a slow one among them changes nothing */
			health_looks_done(&looks, i % 3 ? costs_ns[c] : costs_ns[c] + NS_PER_S);
			health_looks_done(&looks, costs_ns[c] + 1);
			health_looks_review(&looks);
		}
		int64_t before_ns = -5 * NS_PER_S;
		for (int64_t now_ns = before_ns; now_ns < 1000 * NS_PER_S; now_ns = before_ns + 3 * NS_PER_MS, n++) {
			int64_t next_ns = health_looks_next_ns(&looks, now_ns);
			assert_true(next_ns > now_ns);
			assert_true(next_ns - before_ns < NS_PER_S * 13 / 5);
			before_ns = next_ns;
			if (next_ns < 0)
				continue;
			in_second[next_ns / (NS_PER_S / 10) % 10]++;
			in_tick[next_ns / (NS_PER_S / 100) % 10]++;
		}
		double a_second = (double)n / 1005;
		if (a_second < 0.85 * expected[c] || a_second > 1.15 * expected[c])
			fail_msg("%.2f looks a second, not %u", a_second, expected[c]);
		for (int i = 0; i < 10; i++) {
			double share = (double)in_tick[i] * 10 / n;
			if (share < 0.9 || share > 1.1)
				fail_msg("%.2f of a tick's looks in part %d (cost %zu)", share, i, c);
			share = (double)in_second[i] * 10 / n;
			if (share < 0.9 || share > 1.1)
				fail_msg("%.2f of a second's looks in part %d (cost %zu)", share, i, c);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_versions),     cmocka_unit_test(test_series_are_known),
		cmocka_unit_test(test_activities),   cmocka_unit_test(test_phases_are_bounded),
		cmocka_unit_test(test_ended),	     cmocka_unit_test(test_checkpoints),
		cmocka_unit_test(test_process_tree), cmocka_unit_test(test_looks_are_spread),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
