/*
 * make_run DIR ITEMS: a run directory of so many items for the benchmark of compare: 200 sessions, 50 statements, ten
 * minutes, lanes that differ by noise alone but for two seconds in the middle in which a migration locks a table and a
 * tenth of the sessions wait. What it writes is what a replay would have: same files, same formats.
 */
#include "clock.h"
#include "error.h"
#include "item_index.h"
#include "json_file.h"
#include "ledger.h"
#include "lock_log.h"
#include "mem.h"
#include "replay_file.h"
#include "run_dir.h"
#include "run_log.h"

#include <math.h>
#include <unistd.h>

#define SESSIONS     200U
#define STATEMENTS   50U
#define SPAN_NS	     (600 * NS_PER_S)
#define LOCKED_FROM  (300 * NS_PER_S)
#define LOCKED_UNTIL (302 * NS_PER_S)
#define VICTIM_EVERY 10U /* of the sessions */

static _Noreturn void give_up(const struct error *err)
{
	(void)fprintf(stderr, "make_run: %s\n", err->text);
	exit(1);
}

static void check(int rc, const struct error *err)
{
	if (rc < 0)
		give_up(err);
}

static uint64_t random_next(uint64_t *state)
{
	*state += UINT64_C(0x9e3779b97f4a7c15);
	uint64_t z = *state;
	z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
	return z ^ (z >> 31);
}

static double random_share(uint64_t *state)
{
	return (double)(random_next(state) >> 11) / 9007199254740992.0;
}

/* Sessions and sources of the index come from a replay file, so there is one for a moment. */
static void write_index(const char *dir, uint64_t items)
{
	struct error err = ERROR_INIT;
	struct replay_writer *replay;
	struct replay_file *file;
	struct item_index_writer *index;
	char *replay_path = run_dir_path(dir, "replay");
	char *index_path = run_dir_path(dir, ITEM_INDEX_FILE);
	check(replay_writer_open(replay_path, &replay, &err), &err);
	for (uint32_t s = 0; s < SESSIONS; s++) {
		struct replay_session session = {span_from_str("app"), span_from_str("shop"),
						 span_from_str(s % 3 ? "web" : "worker"), span_from_str("10.0.0.1")};
		(void)replay_writer_add_session(replay, &session);
	}
	(void)replay_writer_add_source(replay, "postgresql.csv");
	struct item item = {.kind = ITEM_CONNECT, .text = ITEM_NO_TEXT, .duration_ns = -1, .source_line = 1};
	check(replay_writer_add_item(replay, &item, &err), &err);
	json_t *capture = json_object();
	check(replay_writer_commit(replay, capture, &err), &err);
	json_decref(capture);
	check(replay_file_open(replay_path, &file, &err), &err);
	check(item_index_writer_open(index_path, &index, &err), &err);
	uint32_t rows[STATEMENTS];
	for (uint32_t i = 0; i < STATEMENTS; i++) {
		char *text = mem_printf("SELECT a, b, c FROM %s WHERE id = ? AND kind%u = ?",
					i % 10 ? "stock" : "orders", i);
		rows[i] = item_index_writer_fingerprint(index, 1000 + i, span_from_str(text));
		free(text);
	}
	for (uint64_t i = 0; i < items; i++) {
		struct item_index_row row = {.due_ns = (int64_t)((double)SPAN_NS * (double)i / (double)items),
					     .capture_duration_ns = 200000,
					     .session = (uint32_t)(i % SESSIONS),
					     .fingerprint = i < SESSIONS ? ITEM_NO_TEXT : rows[i * 7 % STATEMENTS],
					     .source_line = i + 1,
					     .kind = i < SESSIONS ? ITEM_CONNECT : ITEM_SIMPLE};
		check(item_index_writer_add(index, &row, &err), &err);
	}
	check(item_index_writer_commit(index, file, &err), &err);
	replay_file_free(file);
	(void)unlink(replay_path);
	free(replay_path);
	free(index_path);
}

static void write_lane(const char *dir, const char *name, bool migrating, uint64_t items)
{
	struct error err = ERROR_INIT;
	struct run_log_writer *log;
	char *path = run_dir_path(dir, name);
	uint64_t random = migrating ? 7 : 3;
	int64_t free_at_ns[SESSIONS] = {0};
	check(run_log_writer_open(path, items, &log, &err), &err);
	for (uint64_t i = 0; i < items; i++) {
		uint32_t session = (uint32_t)(i % SESSIONS);
		int64_t due_ns = (int64_t)((double)SPAN_NS * (double)i / (double)items);
		int64_t sent_ns = due_ns > free_at_ns[session] ? due_ns : free_at_ns[session];
		int64_t lag_ns = (int64_t)(random_share(&random) * 50000);
		int64_t service_ns = (int64_t)(100000 * exp(random_share(&random) + random_share(&random)));
		sent_ns += lag_ns;
		if (migrating && session % VICTIM_EVERY == 0 && sent_ns >= LOCKED_FROM && sent_ns < LOCKED_UNTIL)
			service_ns = LOCKED_UNTIL - sent_ns + 100000;
		struct run_record record = {.late_ns = sent_ns - due_ns,
					    .service_ns = service_ns,
					    .lag_us = (uint32_t)(lag_ns / 1000),
					    .rows = 1,
					    .outcome = RUN_OK};
		free_at_ns[session] = sent_ns + service_ns;
		check(run_log_writer_put(log, i, &record, &err), &err);
	}
	for (uint32_t s = 0; s < SESSIONS; s++) {
		struct run_session session = {s, (int32_t)(s + (migrating ? 2000 : 1000)), 0, -1};
		run_log_writer_add_session(log, &session);
	}
	check(run_log_writer_commit(log, &err), &err);
	free(path);
}

static void write_locks(const char *dir, const char *name, bool migrating)
{
	struct error err = ERROR_INIT;
	struct lock_log_writer *log;
	char *path = run_dir_path(dir, name);
	check(lock_log_writer_open(path, migrating ? "migrating" : "baseline", 10 * NS_PER_MS, &log, &err), &err);
	for (uint32_t s = 0; migrating && s < SESSIONS; s += VICTIM_EVERY) {
		struct lock_blocker blocker = {9000, LOCKED_FROM + 10 * NS_PER_MS, LOCKED_UNTIL};
		struct lock_wait wait = {.pid = (int32_t)(s + 2000),
					 .lock_type = "relation",
					 .relation = "public.orders",
					 .mode = "AccessShareLock",
					 .relation_oid = 16384,
					 .start_ns = LOCKED_FROM + (int64_t)s * 10000,
					 .end_ns = LOCKED_UNTIL,
					 .samples = 200,
					 .blockers = &blocker,
					 .blocker_count = 1};
		check(lock_log_writer_add(log, &wait, &err), &err);
	}
	check(lock_log_writer_commit(log, 0, SPAN_NS + NS_PER_S, 60000, NULL, 0, &err), &err);
	free(path);
}

static void write_ledger(const char *dir)
{
	struct error err = ERROR_INIT;
	struct ledger ledger;
	ledger_init(&ledger);
	ledger.outcome = LEDGER_OK;
	ledger.start_ns = LOCKED_FROM;
	ledger.end_ns = LOCKED_UNTIL;
	struct ledger_statement *statement = ledger_add_statement(&ledger);
	statement->file = mem_strdup("migration.sql");
	statement->line = 1;
	statement->sql = mem_strdup("ALTER TABLE orders ALTER id TYPE bigint");
	statement->start_ns = LOCKED_FROM;
	statement->end_ns = statement->transaction_end_ns = LOCKED_UNTIL;
	statement->backend_pid = 9000;
	struct ledger_lock *lock = ledger_statement_add_lock(statement);
	(void)snprintf(lock->relation, sizeof(lock->relation), "public.orders");
	(void)snprintf(lock->mode, sizeof(lock->mode), "AccessExclusiveLock");
	lock->relation_oid = 16384;
	lock->acquired_ns = LOCKED_FROM;
	lock->released_ns = LOCKED_UNTIL;
	char *path = run_dir_path(dir, LEDGER_FILE);
	check(ledger_save(&ledger, path, &err), &err);
	free(path);
	ledger_release(&ledger);
}

static void write_run(const char *dir)
{
	struct error err = ERROR_INIT;
	json_t *run = json_pack("{s:s, s:s, s:f, s:f, s:f, s:b, s:b, s:{s:s, s:i}, s:{s:{}, s:{}}, s:{s:[]}}", "schema",
				"rehearse.run/1", "start_time", "2026-01-01T00:00:00Z", "speed", 1.0, "end_s", 601.0,
				"migrate_at_s", 300.0, "complete", 1, "interrupted", 0, "replay_file", "path", "-",
				"items", 0, "lanes", "baseline", "migrating", "environment", "differences");
	char *path = run_dir_path(dir, RUN_FILE_RUN);
	check(json_file_save(path, run, &err), &err);
	json_decref(run);
	free(path);
}

int main(int argc, char **argv)
{
	if (argc != 3) {
		(void)fprintf(stderr, "usage: make_run DIR ITEMS\n");
		return 64;
	}
	uint64_t items = strtoull(argv[2], NULL, 10);
	write_index(argv[1], items);
	write_lane(argv[1], RUN_FILE_BASELINE, false, items);
	write_lane(argv[1], RUN_FILE_MIGRATING, true, items);
	write_locks(argv[1], LOCK_LOG_BASELINE, false);
	write_locks(argv[1], LOCK_LOG_MIGRATING, true);
	write_ledger(argv[1]);
	write_run(argv[1]);
	return 0;
}
