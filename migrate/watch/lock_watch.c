/*
 * The lock sampler: see lock_watch.h. facts: pg_locks filtered to ungranted rows costs about 0.07 ms, pg_blocking_pids
 * takes every lock partition and is asked for waiters only.
 *
 * A sample's time is the time at which its query was sent: what it shows was so at that moment or a little later. A gap
 * is reckoned the other way, from one query's sending to the next one's answer, the longest that can have been unseen.
 */
#include "lock_watch.h"

#include "clock.h"
#include "lock_log.h"
#include "logging.h"
#include "mem.h"
#include "pg_conn.h"
#include "priority.h"
#include "quiet_thread.h"
#include "wait_list.h"

#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <uthash.h>

#define DEFAULT_INTERVAL_NS (10 * NS_PER_MS)
#define GAP_NS		    (50 * NS_PER_MS)
#define RECONNECT_NS	    (100 * NS_PER_MS)
#define CLOCK_REFRESH_NS    (10 * NS_PER_S)
#define CLOCK_TRIP_NS	    (1 * NS_PER_MS)
#define CLOCK_TRIES	    5
#define STOP_PATIENCE_NS    (2 * NS_PER_S)
#define BLOCKERS_ASKED_MAX  64

struct relation_name {
	uint32_t oid;
	char *name;
	UT_hash_handle hh;
};

struct lock_watch {
	struct lock_watch_options options; /* strings are ours */
	PGconn *conn;			   /* the thread's, NULL while lost */
	pthread_t thread;
	atomic_bool stop;
	_Atomic uint32_t waiting;
	bool has_waitstart; /* PostgreSQL 14 and later */
	int64_t offset_ns;  /* the server's wall clock minus our monotonic one */
	int64_t offset_asked_ns;
	uint32_t database; /* the lane's */
	struct relation_name *names;
	struct wait_list waits;
	struct lock_gap *gaps;
	size_t gap_count;
	size_t gap_capacity;
	uint64_t samples;
	int64_t first_ns; /* first sample, -1 before it */
	int64_t last_ns;  /* last sample's sending, on clock_mono_ns() */
};

static const char waiters_sql_14[] =
	"SELECT pid, locktype, mode, coalesce(database, 0), coalesce(relation, 0),"
	" (extract(epoch FROM waitstart) * 1000000)::bigint FROM pg_catalog.pg_locks WHERE NOT granted";
static const char waiters_sql_12[] = "SELECT pid, locktype, mode, coalesce(database, 0), coalesce(relation, 0), NULL"
				     " FROM pg_catalog.pg_locks WHERE NOT granted";
static const char blockers_sql[] = "SELECT p, b FROM unnest($1::int[]) p, unnest(pg_catalog.pg_blocking_pids(p)) b";
static const char names_sql[] = "SELECT c.oid, format('%I.%I', n.nspname, c.relname) FROM pg_catalog.pg_class c"
				" JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace WHERE c.relkind <> 'c'";
static const char name_sql[] = "SELECT c.oid, format('%I.%I', n.nspname, c.relname) FROM pg_catalog.pg_class c"
			       " JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace WHERE c.oid = $1::oid";
static const char clock_sql[] = "SELECT (extract(epoch FROM pg_catalog.clock_timestamp()) * 1000000)::bigint";

/*
 * Waits for the answer of what was sent; NULL when the connection failed, or when we are asked to stop and the server
 * does not answer.
 */
static PGresult *await_result(struct lock_watch *watch)
{
	PGconn *conn = watch->conn;
	PGresult *last = NULL;
	int64_t stop_seen_ns = 0;
	for (;;) {
		while (PQisBusy(conn)) {
			struct pollfd fd = {.fd = PQsocket(conn), .events = POLLIN};
			(void)poll(&fd, 1, 100);
			if (!PQconsumeInput(conn))
				break;
			if (atomic_load(&watch->stop)) {
				int64_t now_ns = clock_mono_ns();
				stop_seen_ns = stop_seen_ns ? stop_seen_ns : now_ns;
				if (now_ns - stop_seen_ns > STOP_PATIENCE_NS) {
					PQclear(last);
					return NULL;
				}
			}
		}
		PGresult *next = PQstatus(conn) == CONNECTION_OK ? PQgetResult(conn) : NULL;
		if (!next)
			break;
		PQclear(last);
		last = next;
	}
	if (last && PQresultStatus(last) != PGRES_TUPLES_OK) {
		PQclear(last);
		last = NULL;
	}
	return last;
}

static PGresult *ask(struct lock_watch *watch, const char *statement, const char *parameter)
{
	const char *const values[] = {parameter};
	if (!PQsendQueryPrepared(watch->conn, statement, parameter ? 1 : 0, values, NULL, NULL, 0))
		return NULL;
	return await_result(watch);
}

/* The offset between the clocks, from the fastest of a few round trips; a trip longer than best_ns tells nothing. */
static void measure_clock(struct lock_watch *watch, int tries, int64_t best_ns)
{
	for (int i = 0; i < tries; i++) {
		int64_t before_ns = clock_mono_ns();
		PGresult *result = ask(watch, "clock", NULL);
		int64_t trip_ns = clock_mono_ns() - before_ns;
		if (result && trip_ns < best_ns) {
			best_ns = trip_ns;
			watch->offset_ns = pg_conn_int(result, 0, 0, 0) * 1000 - (before_ns + trip_ns / 2);
		}
		PQclear(result);
	}
	watch->offset_asked_ns = clock_mono_ns();
}

static void add_names(struct lock_watch *watch, const PGresult *result)
{
	for (int i = 0; i < PQntuples(result); i++) {
		uint32_t oid = (uint32_t)pg_conn_int(result, i, 0, 0);
		struct relation_name *name = NULL;
		HASH_FIND(hh, watch->names, &oid, sizeof(oid), name);
		if (name && name->name)
			continue; /* the name that it had first */
		if (!name) {
			name = mem_zalloc(1, sizeof(*name));
			name->oid = oid;
			HASH_ADD(hh, watch->names, oid, sizeof(oid), name);
		}
		name->name = mem_strdup(PQgetvalue(result, i, 1));
	}
}

/* A relation that is younger than the snapshot of names: asked once, at its first wait. */
static void learn_name(struct lock_watch *watch, uint32_t oid)
{
	struct relation_name *name = NULL;
	HASH_FIND(hh, watch->names, &oid, sizeof(oid), name);
	if (name)
		return;
	name = mem_zalloc(1, sizeof(*name));
	name->oid = oid;
	HASH_ADD(hh, watch->names, oid, sizeof(oid), name);
	char text[16];
	(void)snprintf(text, sizeof(text), "%u", (unsigned)oid);
	PGresult *result = ask(watch, "name", text);
	if (result)
		add_names(watch, result);
	PQclear(result);
}

static int prepare(PGconn *conn, const char *name, const char *sql, struct error *err)
{
	PGresult *result = PQprepare(conn, name, sql, 0, NULL);
	bool ok = PQresultStatus(result) == PGRES_COMMAND_OK;
	PQclear(result);
	return ok ? 0 : error_set(err, ERR_INTERNAL, "lock watch: the server refuses its query");
}

/*
 * A migration that overloads its server must not blind us to it: where the server is on this machine, the backend that
 * answers our samples goes before those that it looks at. On both lanes alike, and for well under a hundredth of a
 * core.
 */
static void hurry_backend(const struct lock_watch *watch)
{
	const char *host = PQhost(watch->conn);
	const char *address = PQhostaddr(watch->conn);
	bool here = (host && *host == '/') ||
		    (address && (strncmp(address, "127.", 4) == 0 || strcmp(address, "::1") == 0));
	pid_t pid = PQbackendPID(watch->conn);
	if (here && priority_is_local(pid, "postgres"))
		priority_make_urgent(pid);
}

/* A connection that never queues for a lock itself, with its statements prepared. */
static int open_connection(struct lock_watch *watch, struct error *err)
{
	int rc = pg_conn_open(watch->options.url, LOCK_WATCH_APPLICATION, &watch->conn, err);
	if (rc)
		return rc;
	hurry_backend(watch);
	watch->has_waitstart = PQserverVersion(watch->conn) >= 140000;
	rc = pg_conn_run(watch->conn,
			 "SET statement_timeout = 0; SET lock_timeout = '20ms'; SET jit = off;"
			 " SET default_transaction_read_only = on; SET max_parallel_workers_per_gather = 0",
			 "lock watch", err);
	if (rc == 0 && watch->has_waitstart)
		rc = pg_conn_run(watch->conn, "SET idle_session_timeout = 0", "lock watch", err);
	if (rc == 0)
		rc = prepare(watch->conn, "waiters", watch->has_waitstart ? waiters_sql_14 : waiters_sql_12, err);
	if (rc == 0)
		rc = prepare(watch->conn, "blockers", blockers_sql, err);
	if (rc == 0)
		rc = prepare(watch->conn, "name", name_sql, err);
	if (rc == 0)
		rc = prepare(watch->conn, "clock", clock_sql, err);
	if (rc == 0)
		measure_clock(watch, CLOCK_TRIES, INT64_MAX);
	if (rc) {
		PQfinish(watch->conn);
		watch->conn = NULL;
	}
	return rc;
}

static void note_gap(struct lock_watch *watch, int64_t start_ns, int64_t end_ns)
{
	int64_t limit_ns = 2 * watch->options.interval_ns > GAP_NS ? 2 * watch->options.interval_ns : GAP_NS;
	if (end_ns - start_ns <= limit_ns)
		return;
	MEM_GROW(watch->gaps, watch->gap_count, watch->gap_capacity);
	watch->gaps[watch->gap_count++] =
		(struct lock_gap){.start_ns = start_ns - watch->options.t0_ns, .end_ns = end_ns - watch->options.t0_ns};
}

static void add_rows(struct lock_watch *watch, const PGresult *result, int64_t sent_ns)
{
	wait_list_begin(&watch->waits, sent_ns - watch->options.t0_ns);
	for (int i = 0; i < PQntuples(result); i++) {
		struct wait_row row = {.pid = (int32_t)pg_conn_int(result, i, 0, 0),
				       .lock_type = PQgetvalue(result, i, 1),
				       .mode = PQgetvalue(result, i, 2),
				       .database = (uint32_t)pg_conn_int(result, i, 3, 0),
				       .relation_oid = (uint32_t)pg_conn_int(result, i, 4, 0),
				       .start_id = pg_conn_int(result, i, 5, 0)};
		row.start_ns = row.start_id * 1000 - watch->offset_ns - watch->options.t0_ns;
		wait_list_see(&watch->waits, &row);
	}
	wait_list_end(&watch->waits);
}

static void ask_blockers(struct lock_watch *watch)
{
	int32_t pids[BLOCKERS_ASKED_MAX];
	size_t count = wait_list_choose(&watch->waits, watch->samples, pids, BLOCKERS_ASKED_MAX);
	if (count == 0)
		return;
	char list[BLOCKERS_ASKED_MAX * 12 + 8];
	size_t used = 0;
	for (size_t i = 0; i < count; i++)
		used += (size_t)snprintf(list + used, sizeof(list) - used, "%c%d", i ? ',' : '{', (int)pids[i]);
	(void)snprintf(list + used, sizeof(list) - used, "}");
	PGresult *result = ask(watch, "blockers", list);
	for (int i = 0; result && i < PQntuples(result); i++)
		wait_list_blocker(&watch->waits, (int32_t)pg_conn_int(result, i, 0, 0),
				  (int32_t)pg_conn_int(result, i, 1, 0));
	PQclear(result);
}

static void learn_names(struct lock_watch *watch, const PGresult *result)
{
	for (int i = 0; i < PQntuples(result); i++) {
		uint32_t oid = (uint32_t)pg_conn_int(result, i, 4, 0);
		if (oid && (uint32_t)pg_conn_int(result, i, 3, 0) == watch->database)
			learn_name(watch, oid);
	}
}

static void take_sample(struct lock_watch *watch)
{
	int64_t sent_ns = clock_mono_ns();
	PGresult *result = ask(watch, "waiters", NULL);
	int64_t received_ns = clock_mono_ns();
	if (!result)
		return; /* the gap shows when the next one succeeds */
	if (watch->first_ns < 0)
		watch->first_ns = sent_ns;
	else
		note_gap(watch, watch->last_ns, received_ns);
	watch->last_ns = sent_ns;
	watch->samples++;
	add_rows(watch, result, sent_ns);
	atomic_store(&watch->waiting, (uint32_t)wait_list_open_count(&watch->waits));
	if (PQntuples(result) > 0) {
		ask_blockers(watch);
		learn_names(watch, result);
	}
	PQclear(result);
}

static void reconnect(struct lock_watch *watch)
{
	struct error err = ERROR_INIT;
	if (watch->conn) {
		log_warn("lock watch of %s: the connection was lost", watch->options.lane);
		PQfinish(watch->conn);
		watch->conn = NULL;
		wait_list_break(&watch->waits);
		atomic_store(&watch->waiting, 0);
	}
	if (open_connection(watch, &err) != 0)
		log_debug("lock watch of %s: %s", watch->options.lane, err.text);
}

static void *watch_main(void *context)
{
	struct lock_watch *watch = context;
	int64_t next_ns = clock_mono_ns();
	priority_make_urgent(0);
	while (!atomic_load(&watch->stop)) {
		if (!watch->conn || PQstatus(watch->conn) != CONNECTION_OK) {
			reconnect(watch);
			if (!watch->conn) {
				clock_sleep_until_ns(clock_mono_ns() + RECONNECT_NS);
				continue;
			}
		}
		take_sample(watch);
		int64_t now_ns = clock_mono_ns();
		if (watch->has_waitstart && now_ns - watch->offset_asked_ns > CLOCK_REFRESH_NS)
			measure_clock(watch, 1, CLOCK_TRIP_NS);
		next_ns += watch->options.interval_ns;
		if (next_ns < now_ns) /* late: no burst of samples to catch up */
			next_ns = now_ns;
		clock_sleep_until_ns(next_ns);
	}
	if (watch->conn && PQstatus(watch->conn) == CONNECTION_OK)
		take_sample(watch);
	return NULL;
}

/* What is known before the run: our database, and the relations' names, which a migration may take away. */
static int learn_catalog(struct lock_watch *watch, struct error *err)
{
	PGresult *result = NULL;
	int rc = pg_conn_query(watch->conn, "SELECT oid FROM pg_catalog.pg_database WHERE datname = current_database()",
			       "lock watch", &result, err);
	if (rc)
		return rc;
	watch->database = (uint32_t)pg_conn_int(result, 0, 0, 0);
	PQclear(result);
	rc = pg_conn_query(watch->conn, names_sql, "lock watch: names of relations", &result, err);
	if (rc)
		return rc;
	add_names(watch, result);
	PQclear(result);
	return 0;
}

static void watch_free(struct lock_watch *watch)
{
	struct relation_name *name, *next;
	HASH_ITER (hh, watch->names, name, next) {
		HASH_DEL(watch->names, name);
		free(name->name);
		free(name);
	}
	if (watch->conn)
		PQfinish(watch->conn);
	wait_list_release(&watch->waits);
	free(watch->gaps);
	free((char *)(uintptr_t)watch->options.url);
	free((char *)(uintptr_t)watch->options.lane);
	free((char *)(uintptr_t)watch->options.out_path);
	free(watch);
}

int lock_watch_start(const struct lock_watch_options *options, struct lock_watch **out, struct error *err)
{
	struct lock_watch *watch = mem_zalloc(1, sizeof(*watch));
	watch->options = *options;
	watch->options.url = mem_strdup(options->url);
	watch->options.lane = mem_strdup(options->lane);
	watch->options.out_path = mem_strdup(options->out_path);
	if (watch->options.interval_ns <= 0)
		watch->options.interval_ns = DEFAULT_INTERVAL_NS;
	watch->first_ns = -1;
	wait_list_init(&watch->waits);
	int rc = open_connection(watch, err);
	if (rc == 0)
		rc = learn_catalog(watch, err);
	if (rc == 0)
		rc = quiet_thread_start(&watch->thread, watch_main, watch, "lock watch", err);
	if (rc) {
		watch_free(watch);
		return error_context(err, "%s", options->lane);
	}
	*out = watch;
	return 0;
}

uint32_t lock_watch_waiting(const struct lock_watch *watch)
{
	return atomic_load(&((struct lock_watch *)(uintptr_t)watch)->waiting);
}

static void name_wait(struct lock_watch *watch, struct wait_entry *entry)
{
	struct lock_wait *wait = &entry->wait;
	if (wait->relation_oid == 0)
		return;
	if (entry->database && entry->database != watch->database) {
		(void)snprintf(wait->relation, sizeof(wait->relation), "%u:%u", (unsigned)entry->database,
			       (unsigned)wait->relation_oid);
		return;
	}
	struct relation_name *name = NULL;
	HASH_FIND(hh, watch->names, &wait->relation_oid, sizeof(wait->relation_oid), name);
	if (name && name->name)
		(void)snprintf(wait->relation, sizeof(wait->relation), "%s", name->name);
	else
		(void)snprintf(wait->relation, sizeof(wait->relation), "oid:%u", (unsigned)wait->relation_oid);
}

/* Relations that were waited for and had no name yet when they were (created in a transaction still open, say). */
static void learn_late_names(struct lock_watch *watch)
{
	if (!watch->conn || PQstatus(watch->conn) != CONNECTION_OK)
		return;
	for (size_t i = 0; i < watch->waits.count; i++) {
		const struct wait_entry *entry = &watch->waits.entries[i];
		uint32_t oid = entry->wait.relation_oid;
		struct relation_name *name = NULL;
		HASH_FIND(hh, watch->names, &oid, sizeof(oid), name);
		if (oid == 0 || entry->database != watch->database || (name && name->name))
			continue;
		if (name) {
			HASH_DEL(watch->names, name);
			free(name);
		}
		learn_name(watch, oid);
	}
}

static int compare_entries(const void *a, const void *b)
{
	const struct wait_entry *left = a, *right = b;
	return (left->wait.start_ns > right->wait.start_ns) - (left->wait.start_ns < right->wait.start_ns);
}

static int write_log(struct lock_watch *watch, struct error *err)
{
	struct lock_log_writer *writer = NULL;
	int rc = lock_log_writer_open(watch->options.out_path, watch->options.lane, watch->options.interval_ns, &writer,
				      err);
	if (rc)
		return rc;
	if (watch->waits.count > 1)
		qsort(watch->waits.entries, watch->waits.count, sizeof(*watch->waits.entries), compare_entries);
	for (size_t i = 0; i < watch->waits.count; i++) {
		name_wait(watch, &watch->waits.entries[i]);
		rc = lock_log_writer_add(writer, &watch->waits.entries[i].wait, err);
		if (rc) {
			lock_log_writer_abort(writer);
			return rc;
		}
	}
	int64_t t0_ns = watch->options.t0_ns;
	int64_t start_ns = watch->samples ? watch->first_ns - t0_ns : 0;
	int64_t end_ns = watch->samples ? watch->last_ns - t0_ns : 0;
	return lock_log_writer_commit(writer, start_ns, end_ns, watch->samples, watch->gaps, watch->gap_count, err);
}

static void end_thread(struct lock_watch *watch)
{
	atomic_store(&watch->stop, true);
	(void)pthread_join(watch->thread, NULL);
}

int lock_watch_stop(struct lock_watch *watch, struct error *err)
{
	end_thread(watch);
	/* The server may be gone: then the time since the last sample was not seen. */
	note_gap(watch, watch->samples ? watch->last_ns : watch->options.t0_ns, clock_mono_ns());
	atomic_store(&watch->stop, false); /* the last questions may be waited for */
	learn_late_names(watch);
	wait_list_break(&watch->waits); /* before the entries are sorted */
	int rc = write_log(watch, err);
	watch_free(watch);
	return rc;
}

void lock_watch_abort(struct lock_watch *watch)
{
	if (!watch)
		return;
	end_thread(watch);
	watch_free(watch);
}
