/*
 * Lock waits from a clone's own server log: see server_lock_waits.h. The messages are those of ProcSleep() in
 * src/backend/storage/lmgr/proc.c and of DescribeLockTag() in lmgr.c, PostgreSQL 9.6 to 18, in English (a clone runs
 * with lc_messages = C):
 *
 *   process 41 still waiting for AccessShareLock on relation 16390 of database 5 after 50.106 ms
 *     DETAIL: Process holding the lock: 40. Wait queue: 39, 41.
 *   process 41 acquired AccessShareLock on relation 16390 of database 5 after 767.962 ms
 *
 * "failed to acquire", "detected deadlock while waiting for" and "avoided deadlock for … by rearranging queue order"
 * have the same shape. A wait that a timeout or a cancel ended has no last message of its own: it ended when its
 * backend logged the next thing.
 */
#include "server_lock_waits.h"

#include "lock_log.h"
#include "log_reader.h"
#include "mem.h"
#include "num.h"
#include "pg_csvlog.h"

#include <unistd.h>
#include <uthash.h>

#define BLOCKERS_MAX 1000
#define WAITS_MAX    ((size_t)1 << 20)

struct open_wait {
	int32_t pid;
	struct lock_wait wait;
	UT_hash_handle hh;
};

struct collector {
	struct lock_log_writer *writer;
	struct open_wait *open;
	int64_t start_wall_ns;
	size_t count;
};

/* ---- reading a message ---- */

struct message {
	int32_t pid;
	struct span mode;
	struct span lock; /* "relation 16390 of database 5" */
	int64_t waited_ns;
	bool ends;
};

static bool skip_text(struct span *text, const char *start)
{
	size_t len = strlen(start);
	if (text->len < len || memcmp(text->p, start, len) != 0)
		return false;
	*text = (struct span){text->p + len, text->len - len};
	return true;
}

static bool skip_number(struct span *text, uint64_t max, uint64_t *number)
{
	size_t used;
	if (!num_scan_digits(text->p, text->len, number, &used) || *number > max)
		return false;
	*text = (struct span){text->p + used, text->len - used};
	return true;
}

/* Cuts text before the last `mark`, which and all behind it goes to *rest. */
static bool cut_last(struct span *text, const char *mark, struct span *rest)
{
	size_t len = strlen(mark);
	for (size_t at = text->len < len ? 0 : text->len - len + 1; at > 0; at--) {
		if (memcmp(text->p + at - 1, mark, len) != 0)
			continue;
		*rest = (struct span){text->p + at - 1 + len, text->len - (at - 1) - len};
		text->len = at - 1;
		return true;
	}
	return false;
}

/* "767.962 ms" */
static bool read_milliseconds(struct span text, int64_t *ns)
{
	uint64_t whole, micros;
	bool right = skip_number(&text, INT64_MAX / 2000000, &whole) && skip_text(&text, ".") && text.len >= 3 &&
		     skip_number(&text, 999, &micros) && skip_text(&text, " ms") && text.len == 0;
	if (right)
		*ns = (int64_t)(whole * 1000000 + micros * 1000);
	return right;
}

static bool read_message(struct span text, struct message *out)
{
	uint64_t pid;
	struct span after;
	struct span lock;
	*out = (struct message){0};
	if (!skip_text(&text, "process ") || !skip_number(&text, INT32_MAX, &pid))
		return false;
	out->pid = (int32_t)pid;
	if (skip_text(&text, " acquired ") || skip_text(&text, " failed to acquire ") ||
	    skip_text(&text, " detected deadlock while waiting for "))
		out->ends = true;
	else if (!skip_text(&text, " still waiting for ") && !skip_text(&text, " avoided deadlock for "))
		return false;
	if (!cut_last(&text, " after ", &after) || !read_milliseconds(after, &out->waited_ns))
		return false;
	struct span rearranged;
	(void)cut_last(&text, " by rearranging queue order", &rearranged);
	const char *on = memmem(text.p, text.len, " on ", 4);
	if (!on)
		return false;
	out->mode = (struct span){text.p, (size_t)(on - text.p)};
	lock = (struct span){on + 4, text.len - out->mode.len - 4};
	out->lock = lock;
	return out->mode.len > 0 && out->mode.len < sizeof(((struct lock_wait *)0)->mode);
}

/* pg_locks' word for the lock, and the relation that it is on or in. */
static void read_lock(struct span lock, struct lock_wait *wait)
{
	static const struct {
		const char *start;
		const char *type;
	} kinds[] = {
		{"relation ", "relation"},
		{"extension of relation ", "extend"},
		{"page ", "page"},
		{"tuple ", "tuple"},
		{"transaction ", "transactionid"},
		{"virtual transaction ", "virtualxid"},
		{"speculative token ", "spectoken"},
		{"object ", "object"},
		{"advisory lock ", "advisory"},
		{"user lock ", "userlock"},
		{"pg_database.datfrozenxid ", "object"},
		{"remote transaction ", "applytransaction"},
	};
	struct span rest = lock;
	const char *type = "unknown";
	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		if (skip_text(&rest, kinds[i].start)) {
			type = kinds[i].type;
			break;
		}
	}
	(void)snprintf(wait->lock_type, sizeof(wait->lock_type), "%s", type);
	uint64_t oid = 0;
	const char *in = memmem(lock.p, lock.len, "relation ", 9);
	if (in && (in == lock.p || in[-1] == ' ')) {
		struct span number = {in + 9, lock.len - (size_t)(in - lock.p) - 9};
		if (skip_number(&number, UINT32_MAX, &oid))
			wait->relation_oid = (uint32_t)oid;
	}
}

static void add_blocker(struct lock_wait *wait, int32_t pid)
{
	for (size_t i = 0; i < wait->blocker_count; i++) {
		if (wait->blockers[i].pid == pid)
			return;
	}
	if (pid == wait->pid || wait->blocker_count == BLOCKERS_MAX)
		return;
	if (!wait->blockers)
		wait->blockers = mem_zalloc(BLOCKERS_MAX, sizeof(*wait->blockers));
	wait->blockers[wait->blocker_count++].pid = pid;
}

/* "Process holding the lock: 40. Wait queue: 39, 41.": the holders, and those before the waiter in the queue. */
static void read_detail(struct span detail, struct lock_wait *wait)
{
	if (!skip_text(&detail, "Process holding the lock: ") && !skip_text(&detail, "Processes holding the lock: "))
		return;
	for (bool queue = false;;) {
		uint64_t pid;
		if (!skip_number(&detail, INT32_MAX, &pid))
			return;
		if (queue && (int32_t)pid == wait->pid)
			return;
		add_blocker(wait, (int32_t)pid);
		if (skip_text(&detail, ", "))
			continue;
		if (queue || !skip_text(&detail, ". Wait queue: "))
			return;
		queue = true;
	}
}

/* ---- collecting ---- */

/* The wait has ended, or the log has. */
static int close_wait(struct collector *collector, struct open_wait *open, int64_t end_wall_ns, struct error *err)
{
	struct lock_wait *wait = &open->wait;
	int rc = 0;
	wait->start_ns -= collector->start_wall_ns;
	wait->end_ns = end_wall_ns - collector->start_wall_ns;
	if (wait->end_ns < wait->start_ns)
		wait->end_ns = wait->start_ns;
	for (size_t i = 0; i < wait->blocker_count; i++) {
		wait->blockers[i].first_ns = wait->start_ns;
		wait->blockers[i].last_ns = wait->end_ns;
	}
	if (wait->end_ns >= 0)
		rc = ++collector->count > WAITS_MAX ? error_set(err, ERR_DATA, "more than %zu lock waits", WAITS_MAX)
						    : lock_log_writer_add(collector->writer, wait, err);
	HASH_DEL(collector->open, open);
	free(wait->blockers);
	free(open);
	return rc;
}

static int on_message(struct collector *collector, const struct message *message, const struct log_record *record,
		      struct error *err)
{
	struct open_wait *open;
	int32_t pid = message->pid;
	HASH_FIND(hh, collector->open, &pid, sizeof(pid), open);
	int rc = 0;
	if (open && !message->ends)
		return 0; /* said again */
	if (!open) {
		open = mem_zalloc(1, sizeof(*open));
		open->pid = open->wait.pid = pid;
		open->wait.start_ns = record->time_ns - message->waited_ns;
		(void)snprintf(open->wait.mode, sizeof(open->wait.mode), "%.*s", (int)message->mode.len,
			       message->mode.p);
		read_lock(message->lock, &open->wait);
		read_detail(record->detail, &open->wait);
		HASH_ADD(hh, collector->open, pid, sizeof(pid), open);
	}
	if (message->ends)
		rc = close_wait(collector, open, record->time_ns, err);
	return rc;
}

static int on_record(struct collector *collector, const struct log_record *record, struct error *err)
{
	struct message message;
	if (read_message(record->message, &message))
		return on_message(collector, &message, record, err);
	struct open_wait *open;
	int32_t pid = (int32_t)record->pid;
	HASH_FIND(hh, collector->open, &pid, sizeof(pid), open);
	return open ? close_wait(collector, open, record->time_ns, err) : 0;
}

static int read_log(struct collector *collector, struct log_reader *reader, int64_t end_wall_ns, struct error *err)
{
	for (;;) {
		const struct log_record *record;
		int rc = log_reader_next(reader, &record, err);
		if (rc == LOG_READ_UNPARSED)
			return error_set(err, ERR_DATA, "line %llu is no record", (unsigned long long)record->line);
		if (rc == LOG_READ_RECORD)
			rc = on_record(collector, record, err);
		else if (rc == LOG_READ_END)
			break;
		if (rc < 0)
			return rc;
	}
	struct open_wait *open, *next;
	HASH_ITER (hh, collector->open, open, next) {
		int rc = close_wait(collector, open, end_wall_ns, err);
		if (rc < 0)
			return rc;
	}
	return 0;
}

/* A server that had nothing to say has an empty log, or none. */
static bool is_empty(const char *path)
{
	FILE *file = fopen(path, "re");
	bool empty = !file || fgetc(file) == EOF;
	if (file)
		(void)fclose(file);
	return empty;
}

int server_lock_waits_save(const char *log_path, const char *lane, int64_t start_wall_ns, int64_t end_wall_ns,
			   int64_t deadlock_timeout_ns, const char *out_path, struct error *err)
{
	struct collector collector = {.start_wall_ns = start_wall_ns};
	struct log_zone *zone = NULL;
	struct log_reader *reader = NULL;
	int rc = lock_log_writer_open(out_path, lane, deadlock_timeout_ns, &collector.writer, err);
	if (rc < 0)
		return rc;
	if (!is_empty(log_path)) {
		rc = log_zone_open(NULL, &zone, err);
		if (rc == 0)
			rc = log_reader_open(log_path, 0, &pg_csvlog_format, zone, &reader, err);
		if (rc == 0)
			rc = read_log(&collector, reader, end_wall_ns, err);
		if (rc < 0)
			(void)error_context(err, "the %s clone's log", lane);
	}
	struct open_wait *open, *next;
	HASH_ITER (hh, collector.open, open, next) {
		HASH_DEL(collector.open, open);
		free(open->wait.blockers);
		free(open);
	}
	log_reader_free(reader);
	log_zone_free(zone);
	if (rc == 0)
		rc = lock_log_writer_commit(collector.writer, 0, end_wall_ns - start_wall_ns, 0, NULL, 0, err);
	else
		lock_log_writer_abort(collector.writer);
	return rc;
}
