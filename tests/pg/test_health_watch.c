/*
 * The health sampler on a real server: what is made to happen must show, under the table's name, within a sample or
 * two; what the role may not see, and a server that goes away, end nothing. Samples every 100 ms, to be quick.
 */
#include "clock.h"
#include "health_link.h"
#include "health_log.h"
#include "health_series.h"
#include "health_watch.h"
#include "process_tree.h"
#include "support_pg_server.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <signal.h>
#include <unistd.h>

#define TICK_MS 100

static struct pg_server server;
static char path[300];

static struct health_watch *start_watch(const char *url)
{
	struct health_watch_options options = {.url = url,
					       .lane = "migrating",
					       .out_path = path,
					       .t0_ns = clock_mono_ns(),
					       .interval_ns = TICK_MS * NS_PER_MS};
	struct health_watch *watch = NULL;
	struct error err = ERROR_INIT;
	if (health_watch_start(&options, &watch, &err) != 0)
		fail_msg("%s", err.text);
	return watch;
}

static struct health_log *stop_watch(struct health_watch *watch)
{
	struct health_log *log = NULL;
	struct error err = ERROR_INIT;
	if (health_watch_stop(watch, &err) != 0 || health_log_open(path, &log, &err) != 0)
		fail_msg("%s", err.text);
	return log;
}

static void pause_ms(int64_t ms)
{
	clock_sleep_until_ns(clock_mono_ns() + ms * NS_PER_MS);
}

/* Count, smallest, largest and last value of a series. */
struct seen {
	unsigned count;
	int64_t least;
	int64_t most;
	int64_t last;
};

static struct seen see(struct health_log *log, const char *name, const char *key)
{
	struct seen seen = {.least = INT64_MAX, .most = INT64_MIN};
	struct health_sample sample;
	struct error err = ERROR_INIT;
	uint32_t series = health_log_find(log, name, key);
	int rc;
	health_log_rewind(log);
	while ((rc = health_log_next(log, &sample, &err)) > 0) {
		for (size_t i = 0; i < sample.count; i++) {
			if (sample.values[i].series != series)
				continue;
			int64_t value = sample.values[i].value;
			seen.count++;
			seen.least = value < seen.least ? value : seen.least;
			seen.most = value > seen.most ? value : seen.most;
			seen.last = value;
		}
	}
	assert_int_equal(rc, 0);
	return seen;
}

static const struct health_activity *find_activity(const struct health_log *log, enum health_activity_kind kind,
						   const char *relation)
{
	for (size_t i = 0; i < log->activity_count; i++) {
		if (log->activities[i].kind == kind && strcmp(log->activities[i].relation, relation) == 0)
			return &log->activities[i];
	}
	return NULL;
}

static bool has_note(const struct health_log *log, const char *group, const char *words)
{
	for (size_t i = 0; i < log->note_count; i++) {
		if (strcmp(log->notes[i].group, group) == 0 && strstr(log->notes[i].reason, words))
			return true;
	}
	return false;
}

static void finish(PGconn *conn)
{
	PGresult *result;
	while ((result = PQgetResult(conn)))
		PQclear(result);
}

static void start(PGconn *conn, const char *sql)
{
	assert_int_equal(PQsendQuery(conn, sql), 1);
}

/* Every series that a server of its own on this machine can have is there, and every name is in the list. */
static void test_all_series(void **state)
{
	(void)state;
	static const char *const not_here[] = {"standbys.lag_bytes", "standbys.lag_ns"};
	struct health_watch *watch = start_watch(server.url);
	PGconn *conn = pg_server_connect(&server, NULL);
	assert_int_equal(pg_server_sql(conn, "UPDATE t SET x = x + 1"), 0);
	start(conn, "SELECT pg_sleep(0.5)");
	pause_ms(800);
	finish(conn);
	PQfinish(conn); /* now its statistics are sent */
	pause_ms(700);
	struct health_log *log = stop_watch(watch);
	assert_true(log->samples >= 8);
	for (size_t i = 0; i < log->note_count; i++)
		print_message("not known: %s: %s\n", log->notes[i].group, log->notes[i].reason);
	assert_int_equal(log->gap_count, 0);
	for (size_t i = 0; i < log->series_count; i++)
		assert_non_null(health_series_find(log->series[i].name));
	for (size_t i = 0; i < health_series_count(); i++) {
		const struct health_series_info *info = health_series_at(i);
		bool expected = !info->keyed && strncmp(info->name, "host.", 5) != 0;
		for (size_t k = 0; k < sizeof(not_here) / sizeof(*not_here); k++)
			expected &= strcmp(not_here[k], info->name) != 0;
		if (strncmp(info->name, "server.", 7) == 0 && strstr(info->name, "_bytes") && getuid() != 0)
			continue;
		if (expected && see(log, info->name, "").count == 0)
			fail_msg("%s was not seen", info->name);
	}
	assert_true(see(log, "sessions.active", "").most >= 1);
	assert_true(see(log, "wait", "Timeout:PgSleep").count >= 3);
	assert_int_equal(see(log, "wait", "Timeout:PgSleep").most, 1);
	assert_true(see(log, "db.size_bytes", "").last > 1000000);
	assert_true(see(log, "table.dead", "public.t").last >= 1000);
	assert_true(see(log, "server.processes", "").last >= 5);
	assert_true(see(log, "server.memory_bytes", "").last > 1000000);
	assert_true(see(log, "sessions.own", "").last >= 1);
	health_log_free(log);
}

static void test_open_transaction(void **state)
{
	(void)state;
	PGconn *holder = pg_server_connect(&server, NULL), *writer = pg_server_connect(&server, NULL);
	struct health_watch *watch = start_watch(server.url);
	pause_ms(250);
	assert_int_equal(pg_server_sql(holder, "BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT count(*) FROM t"), 0);
	for (int i = 0; i < 50; i++)
		assert_int_equal(pg_server_sql(writer, "INSERT INTO small VALUES (1)"), 0);
	pause_ms(1000);
	assert_int_equal(pg_server_sql(holder, "COMMIT"), 0);
	assert_int_equal(pg_server_sql(writer, "BEGIN; INSERT INTO small VALUES (2); PREPARE TRANSACTION 'p'"), 0);
	pause_ms(400);
	assert_int_equal(pg_server_sql(writer, "ROLLBACK PREPARED 'p'"), 0);
	pause_ms(250);
	struct health_log *log = stop_watch(watch);
	struct seen age = see(log, "xact.age_ns", "");
	assert_true(age.least < 200 * NS_PER_MS);
	assert_true(age.most > 700 * NS_PER_MS && age.most < 5 * NS_PER_S);
	assert_true(age.last < 500 * NS_PER_MS);
	assert_true(see(log, "xmin.backends_xids", "").most >= 50);
	assert_true(see(log, "xmin.age_xids", "").most >= 50);
	assert_int_equal(see(log, "xmin.backends_xids", "").last, 0);
	assert_true(see(log, "xmin.prepared_xids", "").most >= 1);
	assert_true(see(log, "xact.prepared_age_ns", "").most > 100 * NS_PER_MS);
	assert_int_equal(see(log, "xmin.prepared_xids", "").last, 0);
	assert_true(see(log, "sessions.idle_in_transaction", "").most >= 1);
	health_log_free(log);
	PQfinish(holder);
	PQfinish(writer);
}

static void test_slot_and_wal(void **state)
{
	(void)state;
	PGconn *conn = pg_server_connect(&server, NULL);
	assert_int_equal(pg_server_sql(conn, "SELECT pg_create_physical_replication_slot('kept', true)"), 0);
	struct health_watch *watch = start_watch(server.url);
	pause_ms(250);
	assert_int_equal(pg_server_sql(conn, "CREATE TABLE filled AS SELECT i, repeat('x', 500) AS y"
					     " FROM generate_series(1, 20000) i"),
			 0);
	pause_ms(350);
	assert_int_equal(pg_server_sql(conn, "SELECT pg_drop_replication_slot('kept'); DROP TABLE filled"), 0);
	pause_ms(350);
	struct health_log *log = stop_watch(watch);
	struct seen kept = see(log, "slot.retained_bytes", "kept"), wal = see(log, "wal.bytes", "");
	assert_true(kept.most - kept.least > 10000000);
	assert_true(see(log, "slots.retained_bytes", "").most == kept.most);
	assert_int_equal(see(log, "slots.count", "").most, 1);
	assert_int_equal(see(log, "slots.count", "").last, 0);
	assert_true(wal.most - wal.least >= kept.most - kept.least);
	health_log_free(log);
	PQfinish(conn);
}

static void test_index_build(void **state)
{
	(void)state;
	PGconn *conn = pg_server_connect(&server, NULL);
	assert_int_equal(
		pg_server_sql(conn, "SET maintenance_work_mem = '1MB'; SET max_parallel_maintenance_workers = 0"), 0);
	struct health_watch *watch = start_watch(server.url);
	pause_ms(150);
	assert_int_equal(pg_server_sql(conn, "CREATE INDEX i_big ON big (md5(x::text), y)"), 0);
	assert_int_equal(pg_server_sql(conn, "CREATE INDEX CONCURRENTLY i_big2 ON big (md5(y), x)"), 0);
	assert_int_equal(pg_server_sql(conn, "CLUSTER big USING i_big"), 0);
	pause_ms(250);
	struct health_log *log = stop_watch(watch);
	const struct health_activity *build = find_activity(log, HEALTH_CREATE_INDEX, "public.big"),
				     *rewrite = find_activity(log, HEALTH_REWRITE, "public.big");
	assert_non_null(build);
	assert_int_equal(build->pid, PQbackendPID(conn));
	assert_string_equal(build->command, "CREATE INDEX");
	assert_false(build->open);
	assert_true(build->phase_count >= 1);
	bool blocks = false;
	bool concurrent = false;
	for (size_t i = 0; i < log->activity_count; i++) {
		const struct health_activity *activity = &log->activities[i];
		concurrent |= strcmp(activity->command, "CREATE INDEX CONCURRENTLY") == 0 &&
			      strcmp(activity->index, "public.i_big2") == 0;
		for (size_t k = 0; k < activity->phase_count; k++)
			blocks |= activity->phases[k].done > 0 && activity->phases[k].total > 0;
	}
	assert_true(blocks);
	assert_true(concurrent);
	assert_non_null(rewrite);
	assert_string_equal(rewrite->command, "CLUSTER");
	health_log_free(log);
	PQfinish(conn);
}

static void test_checkpoint_and_vacuum(void **state)
{
	(void)state;
	PGconn *conn = pg_server_connect(&server, NULL);
	struct health_watch *watch = start_watch(server.url);
	assert_int_equal(pg_server_sql(conn, "UPDATE big SET x = x + 1"), 0);
	pause_ms(250);
	assert_int_equal(pg_server_sql(conn, "CHECKPOINT"), 0);
	assert_int_equal(pg_server_sql(conn, "SET vacuum_cost_delay = 1; SET vacuum_cost_limit = 200"), 0);
	assert_int_equal(pg_server_sql(conn, "VACUUM big"), 0);
	pause_ms(1500);
	struct health_log *log = stop_watch(watch);
	const struct health_activity *checkpoint = find_activity(log, HEALTH_CHECKPOINT, ""),
				     *vacuum = find_activity(log, HEALTH_VACUUM, "public.big");
	assert_non_null(checkpoint);
	assert_string_equal(checkpoint->command, "requested");
	assert_int_equal(checkpoint->phase_count, 1);
	assert_true(checkpoint->phases[0].done > 100);
	assert_true(checkpoint->end_ns > 0 && checkpoint->end_ns - checkpoint->start_ns < 20 * NS_PER_S);
	assert_non_null(vacuum);
	assert_true(vacuum->end_ns > vacuum->start_ns);
	struct seen requested = see(log, "checkpoints.requested", "");
	assert_true(requested.most > requested.least);
	health_log_free(log);
	PQfinish(conn);
}

/* An automatic vacuum and analyze, which are over between two samples: the table keeps when they ended. */
static void test_autovacuum(void **state)
{
	(void)state;
	PGconn *conn = pg_server_connect(&server, NULL);
	struct health_watch *watch = start_watch(server.url);
	pause_ms(200);
	assert_int_equal(pg_server_sql(conn, "CREATE TABLE churned AS SELECT generate_series(1, 30000) AS x;"
					     " ALTER TABLE churned SET (autovacuum_vacuum_threshold = 10,"
					     " autovacuum_vacuum_scale_factor = 0); DELETE FROM churned"),
			 0);
	PQfinish(conn); /* its statistics are sent */
	for (int i = 0; i < 150; i++) {
		pause_ms(100);
		if (pg_server_ask(&server, "SELECT count(*) FROM pg_stat_user_tables WHERE relname = 'churned'"
					   " AND last_autovacuum IS NOT NULL") == 1)
			break;
	}
	pause_ms(400);
	struct health_log *log = stop_watch(watch);
	const struct health_activity *activity = find_activity(log, HEALTH_AUTOVACUUM, "public.churned");
	assert_non_null(activity);
	assert_true(activity->start_ns > 0 && activity->end_ns < 20 * NS_PER_S);
	unsigned times = 0;
	for (size_t i = 0; i < log->activity_count; i++)
		times += log->activities[i].kind == HEALTH_AUTOVACUUM &&
			 strcmp(log->activities[i].relation, "public.churned") == 0;
	assert_int_equal(times, 1);
	health_log_free(log);
}

/* A role without rights, and one that may not even read a view: unknown, with the reason, and the rest goes on. */
static void test_locked_down(void **state)
{
	(void)state;
	char url[500];
	assert_int_equal(pg_server_run(&server, "CREATE ROLE nobody LOGIN;"
						" REVOKE EXECUTE ON FUNCTION pg_stat_get_dead_tuples(oid) FROM PUBLIC;"
						" REVOKE SELECT ON pg_stat_database FROM PUBLIC"),
			 0);
	(void)snprintf(url, sizeof(url), "postgresql://nobody@127.0.0.1:%d/postgres", server.port);
	struct health_watch *watch = start_watch(url);
	pause_ms(800);
	struct health_log *log = stop_watch(watch);
	assert_true(log->samples >= 5);
	assert_true(has_note(log, "activity", "pg_read_all_stats"));
	assert_true(has_note(log, "progress", "pg_read_all_stats"));
	assert_true(has_note(log, "tables", "42501"));
	assert_true(has_note(log, "database", "42501"));
	assert_int_equal(see(log, "sessions.active", "").count, 0);
	assert_int_equal(see(log, "tables.dead", "").count, 0);
	assert_int_equal(see(log, "db.commits", "").count, 0);
	assert_true(see(log, "wal.bytes", "").count >= 5);
	assert_true(see(log, "xmin.age_xids", "").count >= 5);
	assert_true(see(log, "checkpoints.timed", "").count >= 5);
	assert_true(see(log, "db.size_bytes", "").count >= 1);
	assert_true(see(log, "server.cpu_ns", "").count >= 5);
	health_log_free(log);
	assert_int_equal(pg_server_run(&server, "GRANT EXECUTE ON FUNCTION pg_stat_get_dead_tuples(oid) TO PUBLIC;"
						" GRANT SELECT ON pg_stat_database TO PUBLIC; DROP ROLE nobody"),
			 0);
}

static void test_server_gone(void **state)
{
	(void)state;
	struct health_watch *watch = start_watch(server.url);
	pause_ms(350);
	pg_server_halt(&server);
	pause_ms(800);
	assert_int_equal(pg_server_restart(&server), 0);
	pause_ms(600);
	struct health_log *log = stop_watch(watch);
	assert_true(log->gap_count >= 1);
	assert_true(log->gaps[0].end_ns - log->gaps[0].start_ns > 500 * NS_PER_MS);
	assert_true(has_note(log, "connection", "could not be reached"));
	assert_true(log->end_ns > log->gaps[0].end_ns);
	health_log_free(log);
	/* Gone for good, and gone from the start: still a sound file. */
	watch = start_watch(server.url);
	pause_ms(250);
	pg_server_halt(&server);
	pause_ms(400);
	log = stop_watch(watch);
	assert_true(log->samples >= 1);
	assert_int_equal(log->gap_count, 1);
	health_log_free(log);
	watch = start_watch(server.url);
	pause_ms(150);
	log = stop_watch(watch);
	assert_int_equal(log->samples, 0);
	health_log_free(log);
	assert_int_equal(pg_server_restart(&server), 0);
	(void)unlink(path);
	watch = start_watch(server.url);
	pause_ms(150);
	health_watch_abort(watch);
	assert_int_equal(access(path, F_OK), -1);
}

/* A server that stands still answers nothing: the sampler does not hang, and goes on when the server does. */
static void test_server_hangs(void **state)
{
	(void)state;
	struct health_watch *watch = start_watch(server.url);
	pause_ms(350);
	int pid = (int)pg_server_ask(&server, "SELECT pid FROM pg_stat_activity WHERE application_name ="
					      " 'rehearse health watch'");
	assert_true(pid > 1);
	assert_int_equal(kill(pid, SIGSTOP), 0);
	pause_ms(500);
	int64_t before_ns = clock_mono_ns();
	struct health_log *log = stop_watch(watch);
	assert_true(clock_mono_ns() - before_ns < 4 * NS_PER_S);
	assert_int_equal(kill(pid, SIGCONT), 0);
	assert_true(log->samples >= 2);
	health_log_free(log);
}

/* Postmaster and machine, read straight. */
static void test_processes(void **state)
{
	(void)state;
	PGconn *conn = pg_server_connect(&server, NULL);
	struct process_tree before, after;
	struct machine_load load;
	int64_t start_us = pg_server_number(conn, "SELECT (extract(epoch FROM backend_start) * 1000000)::bigint FROM"
						  " pg_stat_get_activity(pg_backend_pid())");
	pid_t root = process_tree_postmaster("/proc", PQbackendPID(conn), start_us * NS_PER_US);
	assert_int_equal(root, server.pid);
	assert_int_equal(process_tree_postmaster("/proc", PQbackendPID(conn), start_us * NS_PER_US - 60 * NS_PER_S), 0);
	assert_true(process_tree_read("/proc", root, &before));
	assert_int_equal(pg_server_sql(conn, "SELECT sum(i * 1.1) FROM generate_series(1, 1000000) i"), 0);
	assert_true(process_tree_read("/proc", root, &after));
	assert_true(after.cpu_ns - before.cpu_ns > 50 * NS_PER_MS);
	assert_true(after.processes >= 6);
	assert_true(process_tree_cpu_ns("/proc", PQbackendPID(conn)) > 50 * NS_PER_MS);
	assert_false(process_tree_read("/no/such/folder", root, &after));
	machine_load_read("/proc", &load);
	assert_int_equal(load.cpus, sysconf(_SC_NPROCESSORS_CONF));
	assert_true(load.busy_ns > 0);
	assert_true(load.memory_available_bytes > 0);
	machine_load_read("/no/such/folder", &load);
	assert_int_equal(load.busy_ns, -1);
	assert_int_equal(load.cpu_stall_us, -1);
	PQfinish(conn);
}

/* In how many looks a backend, or a parallel worker of its, was in that wait event. */
static unsigned count_looks(struct health_log *log, PGconn *conn, const char *event)
{
	struct health_look look;
	struct error err = ERROR_INIT;
	unsigned count = 0;
	int rc;
	health_log_rewind(log);
	while ((rc = health_log_next_look(log, &look, &err)) > 0) {
		bool there = false;
		assert_true(look.answered_ns >= look.asked_ns);
		for (size_t i = 0; i < look.count; i++)
			there |= look.active[i].pid == PQbackendPID(conn) &&
				 (!event || strcmp(log->events[look.active[i].event].name, event) == 0);
		count += there;
	}
	assert_int_equal(rc, 0);
	return count;
}

/* Who waits for what, by pid: a sleep, a lock, a statement whose parallel workers sleep while it waits for them. */
static void test_looks(void **state)
{
	(void)state;
	PGconn *sleeper = pg_server_connect(&server, NULL), *holder = pg_server_connect(&server, NULL),
	       *victim = pg_server_connect(&server, NULL), *leader = pg_server_connect(&server, NULL);
	assert_int_equal(pg_server_sql(holder, "BEGIN; LOCK TABLE small"), 0);
	assert_int_equal(pg_server_sql(leader, "SET parallel_setup_cost = 0; SET parallel_tuple_cost = 0;"
					       " SET min_parallel_table_scan_size = 0;"
					       " SET parallel_leader_participation = off"),
			 0);
	struct health_watch *watch = start_watch(server.url);
	start(sleeper, "SELECT pg_sleep(1.2)");
	start(victim, "SELECT count(*) FROM small");
	start(leader, "SELECT count(pg_sleep(0.01)) FROM t WHERE x <= 200");
	pause_ms(1500);
	assert_int_equal(pg_server_sql(holder, "COMMIT"), 0);
	finish(sleeper);
	finish(victim);
	finish(leader);
	struct health_log *log = stop_watch(watch);
	/* Ticks are of 10 ms here. How many are taken depends on what a look takes on a busy machine. */
	print_message("%u looks in %.1f s\n", (unsigned)log->looks, ns_to_s(log->end_ns - log->start_ns));
	assert_true(log->looks >= 12);
	assert_true(count_looks(log, sleeper, "Timeout:PgSleep") >= 8);
	assert_true(count_looks(log, victim, "Lock:relation") >= 10);
	assert_true(count_looks(log, victim, "Lock:relation") > count_looks(log, sleeper, "Timeout:PgSleep"));
	assert_int_equal(count_looks(log, holder, "Client:ClientRead"), 0); /* idle in its transaction */
	assert_true(count_looks(log, leader, "IPC:ExecuteGather") >= 4);
	assert_true(count_looks(log, leader, "Timeout:PgSleep") >= 4); /* its worker's */
	assert_int_equal(log->active_lost, 0);
	health_log_free(log);
	PQfinish(sleeper);
	PQfinish(holder);
	PQfinish(victim);
	PQfinish(leader);
}

/*
 * What it costs, by the kernel's count (docs/measurement.md, "Cost of the health samples"): of the backend that answers
 * and of our thread, a second, with nobody at work and with 200 sessions in a query.
 */
static void test_cost(void **state)
{
	(void)state;
	static PGconn *conns[200];
	size_t open = 0;
	for (int round = 0; round < 2; round++) {
		size_t want = round ? sizeof(conns) / sizeof(*conns) : 0;
		for (; open < want; open++) {
			conns[open] = pg_server_connect(&server, NULL);
			start(conns[open], "SELECT pg_sleep(60)");
		}
		struct health_watch_options options = {
			.url = server.url, .lane = "migrating", .out_path = path, .t0_ns = clock_mono_ns()};
		struct health_watch *watch = NULL;
		struct error err = ERROR_INIT;
		assert_int_equal(health_watch_start(&options, &watch, &err), 0);
		pause_ms(8300);
		struct health_log *log = stop_watch(watch);
		struct seen ours = see(log, "watch.cpu_ns", ""), theirs = see(log, "watch.server_cpu_ns", "");
		assert_true(ours.count >= 3 && theirs.count >= 3);
		double s = ns_to_s(log->end_ns - log->start_ns);
		print_message("%3zu sessions in a query: a second takes %.2f ms of the backend, %.2f ms of ours; %.1f "
			      "looks\n",
			      want, ns_to_ms(theirs.most - theirs.least) / s, ns_to_ms(ours.most - ours.least) / s,
			      (double)log->looks / s);
		assert_true(ns_to_ms(theirs.most - theirs.least) / s < 100);
		health_log_free(log);
	}
	for (size_t i = 0; i < open; i++)
		PQfinish(conns[i]);
	assert_int_equal(pg_server_run(&server,
				       "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE"
				       " 'SELECT pg_sleep%'"),
			 0);
}

static int set_up(void **state)
{
	(void)state;
	if (pg_server_start(&server, "max_prepared_transactions = 5\nmax_connections = 260\nautovacuum_naptime = "
				     "1\nmax_wal_size = 4GB\n"))
		return -1;
	(void)snprintf(path, sizeof(path), "%s/health", server.folder);
	return pg_server_run(&server, "CREATE TABLE t AS SELECT generate_series(1, 1000) AS x;"
				      " ALTER TABLE t SET (autovacuum_enabled = off); CREATE TABLE small (x int);"
				      " CREATE TABLE big AS SELECT i AS x, md5(i::text) AS y"
				      " FROM generate_series(1, 200000) i;"
				      " ALTER TABLE big SET (autovacuum_enabled = off)");
}

static int tear_down(void **state)
{
	(void)state;
	pg_server_stop(&server);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_all_series),
		cmocka_unit_test(test_open_transaction),
		cmocka_unit_test(test_slot_and_wal),
		cmocka_unit_test(test_index_build),
		cmocka_unit_test(test_checkpoint_and_vacuum),
		cmocka_unit_test(test_autovacuum),
		cmocka_unit_test(test_locked_down),
		cmocka_unit_test(test_server_gone),
		cmocka_unit_test(test_server_hangs),
		cmocka_unit_test(test_processes),
		cmocka_unit_test(test_looks),
		cmocka_unit_test(test_cost),
	};
	cmocka_set_test_filter(getenv("TEST_FILTER"));
	return cmocka_run_group_tests(tests, set_up, tear_down);
}
