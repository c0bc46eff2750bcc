/*
 * The health sampler: see health_watch.h. A sample's time is when its first question was sent. What it costs is in the
 * samples too (watch.*), so that nobody has to believe that it is little.
 */
#include "health_watch.h"

#include "activity_list.h"
#include "clock.h"
#include "health_link.h"
#include "health_log.h"
#include "logging.h"
#include "mem.h"
#include "pg_conn.h"
#include "priority.h"
#include "process_tree.h"
#include "quiet_thread.h"

#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <time.h>

#define DEFAULT_INTERVAL_NS NS_PER_S
#define NOTES_MAX	    64
#define PROC		    "/proc"

struct health_watch {
	struct health_watch_options options; /* strings are ours */
	struct health_link link;
	struct health_looks looks;
	struct health_active active[HEALTH_LOOK_MAX];
	int64_t sample_due_ns; /* from the run's start */
	struct health_log_writer *writer;
	struct error write_error; /* the first one; nothing is sampled from then on */
	struct activity_list activities;
	struct health_note notes[NOTES_MAX];
	size_t note_count;
	struct health_gap *gaps;
	size_t gap_count;
	size_t gap_capacity;
	int64_t first_ns; /* samples, from the run's start */
	int64_t last_ns;
	uint64_t samples;
	pid_t postmaster; /* on this machine, else 0 */
	struct health_pace tree_pace;
	struct process_tree tree; /* the highest that was seen: a child may be missed while it comes or goes */
	pthread_t thread;
	pthread_mutex_t lock;
	pthread_cond_t wake;
	atomic_bool stop;
};

static void set(struct health_watch *watch, const char *name, const char *key, int64_t value)
{
	health_log_writer_set(watch->writer, health_log_writer_series(watch->writer, name, key), value);
}

static void note(struct health_watch *watch, const char *group, const char *reason)
{
	for (size_t i = 0; i < watch->note_count; i++) {
		struct health_note *known = &watch->notes[i];
		if (strcmp(known->group, group) == 0 && strcmp(known->reason, reason) == 0) {
			known->samples++;
			return;
		}
	}
	if (watch->note_count == NOTES_MAX)
		return; /* nine groups with a handful of reasons each do not get there */
	struct health_note *added = &watch->notes[watch->note_count++];
	(void)snprintf(added->group, sizeof(added->group), "%s", group);
	(void)snprintf(added->reason, sizeof(added->reason), "%s", reason);
	added->samples = 1;
}

static void note_gap(struct health_watch *watch, int64_t start_ns, int64_t end_ns)
{
	if (end_ns - start_ns <= 2 * watch->options.interval_ns)
		return;
	if (watch->gap_count == HEALTH_GAPS_MAX) { /* too blind is honest, too seeing is not */
		watch->gaps[watch->gap_count - 1].end_ns = end_ns;
		return;
	}
	MEM_GROW(watch->gaps, watch->gap_count, watch->gap_capacity);
	watch->gaps[watch->gap_count++] = (struct health_gap){start_ns, end_ns};
}

/* Rows of (series, key, value); a few are no series but the ends of vacuums, told as microseconds ago. */
static void take_values(struct health_watch *watch, const PGresult *result, int64_t now_ns)
{
	for (int i = 0; i < PQntuples(result); i++) {
		const char *name = PQgetvalue(result, i, 0);
		const char *key = PQgetvalue(result, i, 1);
		if (PQgetisnull(result, i, 2))
			continue;
		int64_t value = pg_conn_int(result, i, 2, 0);
		bool vacuum = strcmp(name, HEALTH_ROW_AUTOVACUUM_ENDED) == 0;
		if (vacuum || strcmp(name, HEALTH_ROW_AUTOANALYZE_ENDED) == 0) {
			int64_t end_ns = now_ns - value * NS_PER_US;
			if (watch->samples > 0 && end_ns >= watch->first_ns)
				activity_list_ended(&watch->activities, vacuum ? HEALTH_AUTOVACUUM : HEALTH_AUTOANALYZE,
						    key, end_ns);
			continue;
		}
		set(watch, name, key, value);
	}
}

static enum health_activity_kind kind_of(const char *name)
{
	int kind = 0;
	while (kind < HEALTH_ACTIVITY_KINDS && strcmp(health_activity_name(kind), name) != 0)
		kind++;
	return (enum health_activity_kind)kind;
}

static void take_progress(struct health_watch *watch, const PGresult *result)
{
	for (int i = 0; i < PQntuples(result); i++) {
		struct activity_row row = {.kind = kind_of(PQgetvalue(result, i, HEALTH_PROGRESS_KIND)),
					   .pid = (int32_t)pg_conn_int(result, i, HEALTH_PROGRESS_PID, 0),
					   .relation = PQgetvalue(result, i, HEALTH_PROGRESS_RELATION),
					   .index = PQgetvalue(result, i, HEALTH_PROGRESS_INDEX),
					   .command = PQgetvalue(result, i, HEALTH_PROGRESS_COMMAND),
					   .phase = PQgetvalue(result, i, HEALTH_PROGRESS_PHASE),
					   .done = pg_conn_int(result, i, HEALTH_PROGRESS_DONE, -1),
					   .total = pg_conn_int(result, i, HEALTH_PROGRESS_TOTAL, -1)};
		if (row.kind < HEALTH_ACTIVITY_KINDS)
			activity_list_see(&watch->activities, &row);
	}
	activity_list_end(&watch->activities);
}

static int64_t value_named(const PGresult *result, const char *name)
{
	for (int i = 0; i < PQntuples(result); i++) {
		if (strcmp(PQgetvalue(result, i, 0), name) == 0)
			return pg_conn_int(result, i, 2, 0);
	}
	return 0;
}

static void take_checkpoints(struct health_watch *watch, const PGresult *result, int64_t now_ns)
{
	struct activity_checkpoints counters = {.timed = value_named(result, "checkpoints.timed"),
						.requested = value_named(result, "checkpoints.requested"),
						.spent_ms = value_named(result, "checkpoints.write_ms") +
							    value_named(result, "checkpoints.sync_ms"),
						.buffers = value_named(result, "checkpoints.buffers")};
	activity_list_checkpoints(&watch->activities, &counters, now_ns);
}

static void take_group(struct health_watch *watch, enum health_group group, const PGresult *result, int64_t now_ns)
{
	if (group == HEALTH_GROUP_PROGRESS) {
		take_progress(watch, result);
		return;
	}
	take_values(watch, result, now_ns);
	if (group == HEALTH_GROUP_CHECKPOINTS)
		take_checkpoints(watch, result, now_ns);
}

/* False when the connection was lost; then what was answered before is in the sample. */
static bool ask_server(struct health_watch *watch, int64_t now_ns, unsigned *answered)
{
	if (watch->link.groups[HEALTH_GROUP_SESSIONS].off)
		note(watch, "sessions", watch->link.groups[HEALTH_GROUP_SESSIONS].reason);
	for (int group = 0; group < HEALTH_GROUP_SESSIONS; group++) {
		PGresult *result = NULL;
		switch (health_link_ask(&watch->link, group, now_ns, &result)) {
		case HEALTH_ANSWERED:
			take_group(watch, group, result, now_ns);
			PQclear(result);
			++*answered;
			break;
		case HEALTH_UNKNOWN:
			note(watch, watch->link.groups[group].query.name, watch->link.groups[group].reason);
			break;
		case HEALTH_LOST:
			return false;
		case HEALTH_NOT_DUE:
			break;
		}
	}
	return true;
}

static int64_t larger(int64_t a, int64_t b)
{
	return a > b ? a : b;
}

/* The kernel's list of children may lack one that comes or goes meanwhile: totals that fell were not counted whole. */
static void look_at_processes(struct health_watch *watch, int64_t now_ns)
{
	struct process_tree tree;
	if (!watch->postmaster) {
		note(watch, "processes", "the server does not run on this machine, or not where its processes show");
		return;
	}
	if (!health_pace_is_due(&watch->tree_pace, now_ns))
		return;
	int64_t start_ns = clock_mono_ns();
	if (!process_tree_read(PROC, watch->postmaster, &tree)) {
		watch->postmaster = 0;
		return;
	}
	health_pace_done(&watch->tree_pace, now_ns, clock_mono_ns() - start_ns);
	watch->tree.cpu_ns = larger(watch->tree.cpu_ns, tree.cpu_ns);
	watch->tree.read_bytes = larger(watch->tree.read_bytes, tree.read_bytes);
	watch->tree.write_bytes = larger(watch->tree.write_bytes, tree.write_bytes);
	set(watch, "server.processes", NULL, tree.processes);
	set(watch, "server.cpu_ns", NULL, watch->tree.cpu_ns);
	set(watch, "server.memory_bytes", NULL, tree.memory_bytes);
	if (!tree.has_io) {
		note(watch, "processes", "their I/O is not ours to read (another user's processes)");
		return;
	}
	set(watch, "server.read_bytes", NULL, watch->tree.read_bytes);
	set(watch, "server.write_bytes", NULL, watch->tree.write_bytes);
}

static void set_if_known(struct health_watch *watch, const char *name, int64_t value)
{
	if (value >= 0)
		set(watch, name, NULL, value);
}

static void look_at_machine(struct health_watch *watch)
{
	struct machine_load load;
	machine_load_read(PROC, &load);
	set_if_known(watch, "host.cpus", load.cpus);
	set_if_known(watch, "host.cpu_busy_ns", load.busy_ns);
	set_if_known(watch, "host.cpu_iowait_ns", load.iowait_ns);
	set_if_known(watch, "host.cpu_steal_ns", load.steal_ns);
	set_if_known(watch, "host.memory_available_bytes", load.memory_available_bytes);
	set_if_known(watch, "host.cpu_stall_us", load.cpu_stall_us);
	set_if_known(watch, "host.io_stall_us", load.io_stall_us);
	set_if_known(watch, "host.memory_stall_us", load.memory_stall_us);
	if (load.cpu_stall_us < 0)
		note(watch, "machine", "this kernel has no pressure stall information");
}

static void add_own_cost(struct health_watch *watch, int64_t start_ns)
{
	struct timespec used;
	if (clock_gettime(CLOCK_THREAD_CPUTIME_ID, &used) == 0)
		set(watch, "watch.cpu_ns", NULL, used.tv_sec * NS_PER_S + used.tv_nsec);
	if (watch->postmaster)
		set_if_known(watch, "watch.server_cpu_ns", process_tree_cpu_ns(PROC, watch->link.backend_pid));
	set(watch, "watch.sample_ns", NULL, clock_mono_ns() - start_ns);
}

static void lose(struct health_watch *watch)
{
	log_warn("health watch of %s: the connection was lost", watch->options.lane);
	activity_list_break(&watch->activities);
	watch->postmaster = 0;
}

/* only_server: without what would be a rate over next to no time. */
static void take_sample(struct health_watch *watch, bool only_server)
{
	int64_t start_ns = clock_mono_ns();
	int64_t now_ns = start_ns - watch->options.t0_ns;
	unsigned answered = 0;
	health_log_writer_begin(watch->writer, now_ns);
	activity_list_begin(&watch->activities, now_ns);
	bool there = ask_server(watch, now_ns, &answered);
	if (there && !only_server) {
		look_at_processes(watch, now_ns);
		look_at_machine(watch);
		add_own_cost(watch, start_ns);
	}
	if (!there)
		lose(watch);
	if (answered == 0 && (!there || only_server))
		return; /* a sample that saw nothing is none: the gap shows with the next one */
	if (watch->samples++ == 0)
		watch->first_ns = now_ns;
	else
		note_gap(watch, watch->last_ns, now_ns);
	watch->last_ns = now_ns;
	if (health_log_writer_end(watch->writer, &watch->write_error) < 0)
		log_warn("health watch of %s: %s", watch->options.lane, watch->write_error.text);
}

static void take_look(struct health_watch *watch, const PGresult *result, int64_t asked_ns, int64_t answered_ns)
{
	int rows = PQntuples(result);
	size_t count = 0;
	for (int i = 0; i < rows && count < HEALTH_LOOK_MAX; i++)
		watch->active[count++] =
			(struct health_active){(int32_t)pg_conn_int(result, i, 0, 0),
					       health_log_writer_event(watch->writer, PQgetvalue(result, i, 1))};
	health_log_writer_lose(watch->writer, (uint64_t)rows - count);
	if (health_log_writer_look(watch->writer, asked_ns, answered_ns, watch->active, count, &watch->write_error) < 0)
		log_warn("health watch of %s: %s", watch->options.lane, watch->write_error.text);
}

/* Who is active, and what for does he wait? What the server saw lies between asking and the answer. */
static void look_at_sessions(struct health_watch *watch)
{
	PGresult *result = NULL;
	struct health_link_group *group = &watch->link.groups[HEALTH_GROUP_SESSIONS];
	int64_t asked_ns = clock_mono_ns() - watch->options.t0_ns;
	enum health_answer answer = health_link_ask(&watch->link, HEALTH_GROUP_SESSIONS, asked_ns, &result);
	int64_t answered_ns = clock_mono_ns() - watch->options.t0_ns;
	health_looks_done(&watch->looks, answered_ns - asked_ns);
	if (answer == HEALTH_ANSWERED) {
		take_look(watch, result, asked_ns, answered_ns);
		PQclear(result);
	} else if (answer == HEALTH_LOST) {
		lose(watch);
	} else if (answer == HEALTH_UNKNOWN && !group->off) {
		note(watch, "sessions", group->reason);
		group->timeouts = 0; /* it is short: what is slow is the server, for a while */
	}
}

static bool connect_server(struct health_watch *watch)
{
	struct error err = ERROR_INIT;
	if (watch->link.conn)
		return true;
	if (health_link_open(&watch->link, &err) < 0) {
		log_debug("health watch of %s: %s", watch->options.lane, err.text);
		note(watch, "connection", "the server could not be reached, or refused the connection");
		return false;
	}
	pid_t backend = watch->link.backend_pid;
	if (priority_is_local(backend, "postgres"))
		watch->postmaster = process_tree_postmaster(PROC, backend, watch->link.backend_start_wall_ns);
	watch->tree = (struct process_tree){0};
	return true;
}

/* The next whole interval from the run's start, so that both lanes are looked at in the same moment. */
static int64_t next_sample_ns(const struct health_watch *watch, int64_t now_ns)
{
	int64_t interval_ns = watch->options.interval_ns;
	int64_t past_ns = now_ns % interval_ns;
	return now_ns + interval_ns - (past_ns < 0 ? past_ns + interval_ns : past_ns);
}

static bool can_look(const struct health_watch *watch)
{
	return watch->link.conn && !watch->link.groups[HEALTH_GROUP_SESSIONS].off;
}

/* Until the next sample, or the next look if there is a server to look at. */
static void sleep_to_next(struct health_watch *watch)
{
	int64_t next_ns = watch->sample_due_ns;
	if (can_look(watch)) {
		int64_t look_ns = health_looks_next_ns(&watch->looks, clock_mono_ns() - watch->options.t0_ns);
		next_ns = look_ns < next_ns ? look_ns : next_ns;
	}
	next_ns += watch->options.t0_ns;
	struct timespec at = {.tv_sec = next_ns / NS_PER_S, .tv_nsec = next_ns % NS_PER_S};
	(void)pthread_mutex_lock(&watch->lock);
	while (!atomic_load(&watch->stop) && pthread_cond_timedwait(&watch->wake, &watch->lock, &at) != ETIMEDOUT)
		;
	(void)pthread_mutex_unlock(&watch->lock);
}

static void *watch_main(void *context)
{
	struct health_watch *watch = context;
	while (!atomic_load(&watch->stop) && watch->write_error.code == 0) {
		if (clock_mono_ns() - watch->options.t0_ns >= watch->sample_due_ns) {
			if (connect_server(watch))
				take_sample(watch, false);
			health_looks_review(&watch->looks);
			watch->sample_due_ns = next_sample_ns(watch, clock_mono_ns() - watch->options.t0_ns);
		} else if (can_look(watch)) {
			look_at_sessions(watch);
		}
		sleep_to_next(watch);
	}
	/* A last sample. Soon after the one before it a rate would only be noise: then at what is looked at seldom. */
	int64_t since_ns = clock_mono_ns() - watch->options.t0_ns - watch->last_ns;
	bool soon = watch->samples > 0 && since_ns <= watch->options.interval_ns / 2;
	if (watch->write_error.code == 0 && watch->link.conn) {
		health_link_hurry(&watch->link, soon);
		watch->tree_pace.due_ns = INT64_MIN;
		take_sample(watch, soon);
	}
	return NULL;
}

static void watch_free(struct health_watch *watch)
{
	health_link_release(&watch->link);
	health_log_writer_abort(watch->writer);
	activity_list_release(&watch->activities);
	(void)pthread_cond_destroy(&watch->wake);
	(void)pthread_mutex_destroy(&watch->lock);
	free(watch->gaps);
	free((char *)(uintptr_t)watch->options.url);
	free((char *)(uintptr_t)watch->options.lane);
	free((char *)(uintptr_t)watch->options.out_path);
	free(watch);
}

static void init_wake(struct health_watch *watch)
{
	pthread_condattr_t attributes;
	(void)pthread_condattr_init(&attributes);
	(void)pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
	(void)pthread_cond_init(&watch->wake, &attributes);
	(void)pthread_condattr_destroy(&attributes);
	(void)pthread_mutex_init(&watch->lock, NULL);
}

int health_watch_start(const struct health_watch_options *options, struct health_watch **out, struct error *err)
{
	struct health_watch *watch = mem_zalloc(1, sizeof(*watch));
	watch->options = *options;
	watch->options.url = mem_strdup(options->url);
	watch->options.lane = mem_strdup(options->lane);
	watch->options.out_path = mem_strdup(options->out_path);
	if (watch->options.interval_ns <= 0)
		watch->options.interval_ns = DEFAULT_INTERVAL_NS;
	watch->sample_due_ns = INT64_MIN;
	health_looks_init(&watch->looks, watch->options.interval_ns);
	watch->tree_pace.interval_ns = watch->options.interval_ns;
	watch->tree_pace.due_ns = INT64_MIN;
	activity_list_init(&watch->activities);
	init_wake(watch);
	double scale = (double)watch->options.interval_ns / (double)DEFAULT_INTERVAL_NS;
	health_link_init(&watch->link, watch->options.url, scale, &watch->stop);
	int rc = health_log_writer_open(watch->options.out_path, watch->options.lane, watch->options.interval_ns,
					&watch->writer, err);
	if (rc == 0)
		rc = quiet_thread_start(&watch->thread, watch_main, watch, "health watch", err);
	if (rc < 0) {
		watch_free(watch);
		return error_context(err, "%s", options->lane);
	}
	*out = watch;
	return 0;
}

static void end_thread(struct health_watch *watch)
{
	(void)pthread_mutex_lock(&watch->lock);
	atomic_store(&watch->stop, true);
	(void)pthread_cond_signal(&watch->wake);
	(void)pthread_mutex_unlock(&watch->lock);
	(void)pthread_join(watch->thread, NULL);
}

int health_watch_stop(struct health_watch *watch, struct error *err)
{
	end_thread(watch);
	int rc = 0;
	if (watch->write_error.code) {
		*err = watch->write_error;
		rc = -err->code;
	} else {
		/* The server may be gone: then the time since the last sample was not seen. */
		note_gap(watch, watch->samples ? watch->last_ns : 0, clock_mono_ns() - watch->options.t0_ns);
		struct health_log_rest rest = {.activities = watch->activities.items,
					       .activity_count = watch->activities.count,
					       .activities_lost = watch->activities.lost,
					       .gaps = watch->gaps,
					       .gap_count = watch->gap_count,
					       .notes = watch->notes,
					       .note_count = watch->note_count};
		rc = health_log_writer_commit(watch->writer, &rest, err);
		watch->writer = NULL;
	}
	watch_free(watch);
	return rc;
}

void health_watch_abort(struct health_watch *watch)
{
	if (!watch)
		return;
	end_thread(watch);
	watch_free(watch);
}
