/* Run directories made by hand: see support_run.h. Anything that fails here fails the test at once. */
#include "support_run.h"

#include "json_file.h"
#include "mem.h"
#include "replay_file.h"
#include "run_dir.h"
#include "sql_fingerprint.h"
#include "sqlstate.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>
#include <unistd.h>

struct support_item {
	struct item_index_row row;
	struct support_outcome lane[2];
	char *sql;
	size_t sequence;
};

struct support_run {
	char dir[64];
	uint32_t sessions;
	struct support_client {
		const char *user;
		const char *application;
	} * clients;
	struct support_item *items;
	size_t count;
	size_t capacity;
	struct ledger ledger;
	struct lock_wait *waits;
	size_t wait_count;
	size_t wait_capacity;
	struct lock_gap *gaps;
	size_t gap_count;
	size_t gap_capacity;
	json_t *json;
};

static void check(int rc, const struct error *err)
{
	if (rc < 0)
		fail_msg("%s", err->text);
}

struct support_run *support_run_new(uint32_t sessions)
{
	struct support_run *run = mem_zalloc(1, sizeof(*run));
	(void)snprintf(run->dir, sizeof(run->dir), "/tmp/rehearse-run-XXXXXX");
	assert_non_null(mkdtemp(run->dir));
	run->sessions = sessions;
	run->clients = mem_zalloc(sessions, sizeof(*run->clients));
	for (uint32_t s = 0; s < sessions; s++)
		run->clients[s] = (struct support_client){"app", "web"};
	ledger_init(&run->ledger);
	run->json = json_pack("{s:s, s:s, s:f, s:n, s:b, s:b, s:{s:s, s:i}, s:{s:{}, s:{}}, s:{s:[]}}", "schema",
			      "rehearse.run/1", "start_time", "2026-01-01T00:00:00Z", "speed", 1.0, "migrate_at_s",
			      "complete", 1, "interrupted", 0, "replay_file", "path", "test.replay", "items", 0,
			      "lanes", "baseline", "migrating", "environment", "differences");
	assert_non_null(run->json);
	for (uint32_t s = 0; s < sessions; s++) {
		support_run_add(run, 0, s, NULL, NULL, (struct support_outcome){0}, (struct support_outcome){0});
		run->items[run->count - 1].row.kind = ITEM_CONNECT;
	}
	return run;
}

const char *support_run_dir(const struct support_run *run)
{
	return run->dir;
}

struct ledger *support_run_ledger(struct support_run *run)
{
	return &run->ledger;
}

json_t *support_run_json(struct support_run *run)
{
	return run->json;
}

void support_run_client(struct support_run *run, uint32_t session, const char *user, const char *application)
{
	run->clients[session] = (struct support_client){user, application};
}

void support_run_add(struct support_run *run, int64_t due_ns, uint32_t session, const char *sql,
		     const char *capture_sqlstate, struct support_outcome baseline, struct support_outcome migrating)
{
	MEM_GROW(run->items, run->count, run->capacity);
	struct support_item *item = &run->items[run->count];
	memset(item, 0, sizeof(*item));
	item->row.due_ns = due_ns;
	item->row.capture_duration_ns = -1;
	item->row.session = session;
	item->row.capture_sqlstate = sqlstate_pack(capture_sqlstate);
	item->row.source_line = run->count + 1;
	item->row.kind = ITEM_SIMPLE;
	item->lane[0] = baseline;
	item->lane[1] = migrating;
	item->sql = sql ? mem_strdup(sql) : NULL;
	item->sequence = run->count++;
}

struct ledger_statement *support_run_migrate(struct support_run *run, const char *sql, const char *relation,
					     const char *mode, int64_t start_ns, int64_t end_ns)
{
	struct ledger *ledger = &run->ledger;
	if (ledger->outcome == LEDGER_NONE)
		ledger->start_ns = start_ns;
	ledger->outcome = LEDGER_OK;
	ledger->end_ns = end_ns;
	struct ledger_statement *s = ledger_add_statement(ledger);
	s->file = mem_strdup("migration.sql");
	s->line = (uint32_t)ledger->statement_count;
	s->sql = mem_strdup(sql);
	s->start_ns = start_ns;
	s->end_ns = end_ns;
	s->transaction_end_ns = end_ns;
	s->backend_pid = SUPPORT_MIGRATION_PID;
	struct ledger_lock *lock = ledger_statement_add_lock(s);
	(void)snprintf(lock->relation, sizeof(lock->relation), "%s", relation);
	(void)snprintf(lock->mode, sizeof(lock->mode), "%s", mode);
	lock->relation_oid = 16384;
	lock->acquired_ns = start_ns;
	lock->released_ns = end_ns;
	return s;
}

void support_run_wait(struct support_run *run, int32_t pid, const char *relation, const char *mode, int64_t start_ns,
		      int64_t end_ns, int32_t blocker_pid)
{
	MEM_GROW(run->waits, run->wait_count, run->wait_capacity);
	struct lock_wait *w = &run->waits[run->wait_count++];
	memset(w, 0, sizeof(*w));
	w->pid = pid;
	(void)snprintf(w->lock_type, sizeof(w->lock_type), "%s", *relation ? "relation" : "transactionid");
	(void)snprintf(w->relation, sizeof(w->relation), "%s", relation);
	(void)snprintf(w->mode, sizeof(w->mode), "%s", mode);
	w->relation_oid = *relation ? 16384 : 0;
	w->start_ns = start_ns;
	w->end_ns = end_ns;
	w->samples = 10;
	w->blockers = mem_zalloc(1, sizeof(*w->blockers));
	/* The first sample comes up to an interval after the wait began. */
	w->blockers[0] = (struct lock_blocker){blocker_pid, start_ns + (end_ns > start_ns), end_ns};
	w->blocker_count = 1;
}

void support_run_gap(struct support_run *run, int64_t start_ns, int64_t end_ns)
{
	MEM_GROW(run->gaps, run->gap_count, run->gap_capacity);
	run->gaps[run->gap_count++] = (struct lock_gap){start_ns, end_ns};
}

static int compare_items(const void *a, const void *b)
{
	const struct support_item *x = a;
	const struct support_item *y = b;
	if (x->row.due_ns != y->row.due_ns)
		return x->row.due_ns < y->row.due_ns ? -1 : 1;
	return (x->sequence > y->sequence) - (x->sequence < y->sequence);
}

/* The index takes its sessions and sources from a replay file, so there is one for a moment. */
static void write_index(struct support_run *run)
{
	struct error err = ERROR_INIT;
	struct replay_writer *replay;
	struct replay_file *file;
	struct item_index_writer *index;
	char *replay_path = run_dir_path(run->dir, "replay");
	char *index_path = run_dir_path(run->dir, ITEM_INDEX_FILE);
	check(replay_writer_open(replay_path, &replay, &err), &err);
	for (uint32_t s = 0; s < run->sessions; s++) {
		struct replay_session session = {span_from_str(run->clients[s].user), span_from_str("shop"),
						 span_from_str(run->clients[s].application),
						 span_from_str("127.0.0.1")};
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
	for (size_t i = 0; i < run->count; i++) {
		struct item_index_row row = run->items[i].row;
		row.fingerprint = ITEM_NO_TEXT;
		if (run->items[i].sql) {
			struct strbuf text;
			strbuf_init(&text, 8192);
			uint64_t hash = sql_fingerprint(SQL_POSTGRESQL, span_from_str(run->items[i].sql), &text);
			row.fingerprint =
				item_index_writer_fingerprint(index, hash, (struct span){text.data, text.len});
			strbuf_release(&text);
		}
		check(item_index_writer_add(index, &row, &err), &err);
	}
	check(item_index_writer_commit(index, file, &err), &err);
	replay_file_free(file);
	(void)unlink(replay_path);
	free(replay_path);
	free(index_path);
}

static struct run_record make_record(const struct support_outcome *o)
{
	struct run_record r = {.late_ns = o->queue_ns + o->lag_ns,
			       .service_ns = o->service_ns,
			       .lag_us = (uint32_t)(o->lag_ns / 1000),
			       .rows = o->rows,
			       .sqlstate = sqlstate_pack(o->sqlstate),
			       .outcome = o->sqlstate ? RUN_ERROR : RUN_OK,
			       .flags = o->flags};
	if (o->skipped)
		r = (struct run_record){.outcome = RUN_SKIPPED, .reason = RUN_SKIP_SESSION_LOST};
	return r;
}

static void write_lane(struct support_run *run, int lane, const char *name)
{
	struct error err = ERROR_INIT;
	struct run_log_writer *log;
	char *path = run_dir_path(run->dir, name);
	check(run_log_writer_open(path, run->count, &log, &err), &err);
	for (size_t i = 0; i < run->count; i++) {
		struct run_record record = make_record(&run->items[i].lane[lane]);
		check(run_log_writer_put(log, i, &record, &err), &err);
	}
	for (uint32_t s = 0; s < run->sessions; s++) {
		struct run_session session = {s, lane ? SUPPORT_MIGRATING_PID(s) : SUPPORT_BASELINE_PID(s), 0, -1};
		run_log_writer_add_session(log, &session);
	}
	check(run_log_writer_commit(log, &err), &err);
	free(path);
}

static int compare_waits(const void *a, const void *b)
{
	const struct lock_wait *x = a;
	const struct lock_wait *y = b;
	return (x->start_ns > y->start_ns) - (x->start_ns < y->start_ns);
}

static void write_locks(struct support_run *run, int lane, const char *name, int64_t end_ns)
{
	struct error err = ERROR_INIT;
	struct lock_log_writer *log;
	char *path = run_dir_path(run->dir, name);
	if (run->wait_count)
		qsort(run->waits, run->wait_count, sizeof(*run->waits), compare_waits);
	check(lock_log_writer_open(path, lane ? "migrating" : "baseline", 15 * SUPPORT_MS, &log, &err), &err);
	for (size_t i = 0; lane && i < run->wait_count; i++)
		check(lock_log_writer_add(log, &run->waits[i], &err), &err);
	check(lock_log_writer_commit(log, 0, end_ns, 1000, lane ? run->gaps : NULL, lane ? run->gap_count : 0, &err),
	      &err);
	free(path);
}

void support_run_write(struct support_run *run, int64_t end_ns)
{
	struct error err = ERROR_INIT;
	qsort(run->items, run->count, sizeof(*run->items), compare_items);
	write_index(run);
	write_lane(run, 0, RUN_FILE_BASELINE);
	write_lane(run, 1, RUN_FILE_MIGRATING);
	write_locks(run, 0, LOCK_LOG_BASELINE, end_ns);
	write_locks(run, 1, LOCK_LOG_MIGRATING, end_ns);
	char *path = run_dir_path(run->dir, LEDGER_FILE);
	check(ledger_save(&run->ledger, path, &err), &err);
	free(path);
	(void)json_object_set_new(run->json, "end_s", json_real((double)end_ns / 1e9));
	if (run->ledger.outcome != LEDGER_NONE)
		(void)json_object_set_new(run->json, "migrate_at_s", json_real((double)run->ledger.start_ns / 1e9));
	path = run_dir_path(run->dir, RUN_FILE_RUN);
	check(json_file_save(path, run->json, &err), &err);
	free(path);
}

void support_run_free(struct support_run *run)
{
	if (!run)
		return;
	if (!getenv("SUPPORT_RUN_KEEP"))
		run_dir_discard(run->dir);
	for (size_t i = 0; i < run->count; i++)
		free(run->items[i].sql);
	for (size_t i = 0; i < run->wait_count; i++)
		free(run->waits[i].blockers);
	free(run->waits);
	free(run->gaps);
	free(run->clients);
	free(run->items);
	ledger_release(&run->ledger);
	json_decref(run->json);
	free(run);
}
