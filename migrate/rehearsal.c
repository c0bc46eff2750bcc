/* The rehearsal itself: see rehearsal.h. */
#include "rehearsal.h"

#include "clock.h"
#include "health_log.h"
#include "health_watch.h"
#include "json_file.h"
#include "ledger.h"
#include "lock_log.h"
#include "lock_watch.h"
#include "logging.h"
#include "mem.h"
#include "num.h"
#include "pg_target.h"
#include "run_dir.h"
#include "schedule.h"
#include "scratch_folder.h"
#include "stop_flag.h"

#include <pthread.h>
#include <stdatomic.h>
#include <sys/resource.h>

#define START_DELAY_NS (1 * NS_PER_S)	 /* from having everything ready to the common start */
#define LOOK_NS	       (100 * NS_PER_MS) /* how often the progress is shown */
#define SPARE_FILES    64		 /* descriptors for everything that is not a session's connection */

static const char *const lane_names[2] = {"baseline", "migrating"};
static const char *const run_log_names[2] = {RUN_FILE_BASELINE, RUN_FILE_MIGRATING};
static const char *const lock_log_names[2] = {LOCK_LOG_BASELINE, LOCK_LOG_MIGRATING};
static const char *const health_log_names[2] = {HEALTH_LOG_BASELINE, HEALTH_LOG_MIGRATING};

/* Everything of a run that has to be taken down again, in one place. */
struct rehearsal {
	const struct rehearsal_options *options;
	const char *urls[2];
	int lane_count;
	struct replay_file *file;
	struct schedule schedule;
	json_t *environment;
	struct lane *lanes[2];
	bool lane_started[2];
	struct lane_stats stats[2];
	struct lock_watch *watches[2];
	struct health_watch *health[2];
	int64_t t0_ns;
	int64_t start_wall_ns;
	volatile bool stop; /* everything looks at this one: the user's wish, or a part that failed */
	bool with_migration;
	bool has_run_dir;
	pthread_t migration_thread;
	bool migration_started;
	atomic_bool migration_running; /* once false, ledger and migration_error are the caller's */
	_Atomic uint32_t migration_statement;
	int64_t migrate_at_ns; /* from the run's start, at its speed */
	struct ledger ledger;
	struct error migration_error;
};

static bool user_cancelled(const struct rehearsal *r)
{
	return stop_flag_is_set(r->options->cancelled);
}

/* "host" or "host:port" as create-replay was told; the host is to be freed. */
static char *split_source(const char *source, int *port)
{
	*port = 0;
	if (!source)
		return NULL;
	const char *colon = strrchr(source, ':');
	bool several = colon && strchr(source, ':') != colon && colon[-1] != ']';
	uint64_t number;
	size_t used;
	if (!colon || several || !num_scan_digits(colon + 1, strlen(colon + 1), &number, &used) || colon[1 + used] ||
	    number > UINT16_MAX)
		return mem_strdup(source);
	*port = (int)number;
	bool bracketed = source[0] == '[' && colon[-1] == ']';
	return mem_strndup(source + bracketed, (size_t)(colon - source) - (bracketed ? 2 : 0));
}

/* The servers are what they should be: reachable, clones, two different ones. Databases other than PostgreSQL have no
   guard yet, so they are refused, but for the null driver, which is no server. */
static int check_targets(struct rehearsal *r, struct error *err)
{
	struct pg_target_guard guard = {.known_clone = r->options->known_clone};
	const char *source = json_string_value(json_object_get(replay_file_capture(r->file), "source_host"));
	char *source_host = split_source(source, &guard.source_port);
	guard.source_host = source_host;
	struct pg_target targets[2] = {{0}};
	int rc = 0;
	int probed = 0;
	for (int i = 0; rc == 0 && i < r->lane_count; i++) {
		const struct driver *driver;
		rc = driver_for_url(r->urls[i], &driver, err);
		if (rc < 0 || driver == &driver_null)
			continue;
		rc = pg_target_probe(r->urls[i], &targets[i], err);
		if (rc == 0)
			rc = pg_target_guard(&targets[i], &guard, err);
		if (rc < 0)
			(void)error_context(err, "%s target", lane_names[i]);
		probed++;
	}
	if (rc == 0 && probed == 2)
		rc = pg_target_distinct(&targets[0], &targets[1], err);
	if (rc == 0 && probed == 2 && targets[0].server_version_num != targets[1].server_version_num)
		rc = error_set(err, ERR_DATA, "the targets differ in version: %s and %s", targets[0].server_version,
			       targets[1].server_version);
	if (rc == 0 && probed == 2)
		rc = pg_target_settings(r->urls[0], r->urls[1], &r->environment, err);
	pg_target_release(&targets[0]);
	pg_target_release(&targets[1]);
	free(source_host);
	return rc;
}

/* More load: an amplified file in place of the recorded one. It has no name once it is open: it holds literals. */
static int amplify_file(struct rehearsal *r, struct error *err)
{
	struct amplify_counts counts;
	struct replay_file *more = NULL;
	struct scratch_folder folder;
	int rc = scratch_folder_init(&folder, "amplify", err);
	if (rc < 0)
		return rc;
	char *path = run_dir_path(folder.path, "amplified.replay");
	rc = amplify_write(r->file, &r->options->amplify, path, &counts, err);
	if (rc == 0)
		rc = replay_file_open(path, &more, err);
	free(path);
	scratch_folder_release(&folder);
	if (rc < 0)
		return rc;
	log_info("amplified %u times: %llu more items; the copies leave out %llu that may write",
		 r->options->amplify.times, (unsigned long long)counts.copied, (unsigned long long)counts.left_out);
	replay_file_free(r->file);
	r->file = more;
	return 0;
}

static int no_items_between(const struct rehearsal_options *o, struct error *err)
{
	return error_set(err, ERR_DATA, "%s: has no items between --start-at and --stop-at", o->replay_path);
}

/* When the migration starts, in the file's time. */
static int find_migrate_at(const struct rehearsal_options *o, const struct replay_file *file, bool with_migration,
			   int64_t *at_ns, struct error *err)
{
	if (with_migration && o->speed <= 0)
		return error_set(err, ERR_USAGE, "at --speed max there is no time at which the migration could start");
	if (replay_file_item_count(file) == 0)
		return error_set(err, ERR_DATA, "%s: holds no items", o->replay_path);
	int64_t end_ns = replay_file_span_ns(file);
	if (o->stop_at_ns && o->stop_at_ns < end_ns)
		end_ns = o->stop_at_ns;
	if (end_ns < o->start_at_ns)
		return no_items_between(o, err);
	*at_ns = o->migrate_at_ns < 0 ? o->start_at_ns + (end_ns - o->start_at_ns) / 2 : o->migrate_at_ns;
	if (with_migration && (*at_ns < o->start_at_ns || *at_ns > end_ns))
		return error_set(err, ERR_USAGE,
				 "the migration would start at %.1f s, outside the replay (%.1f s to %.1f s)",
				 ns_to_s(*at_ns), ns_to_s(o->start_at_ns), ns_to_s(end_ns));
	return 0;
}

static int open_file(struct rehearsal *r, struct error *err)
{
	const struct rehearsal_options *o = r->options;
	int rc = replay_file_open(o->replay_path, &r->file, err);
	if (rc == 0 && o->amplify.times > 1)
		rc = amplify_file(r, err);
	if (rc == 0) /* in the file's time until there is a schedule */
		rc = find_migrate_at(o, r->file, r->with_migration, &r->migrate_at_ns, err);
	return rc;
}

int rehearsal_check(const struct rehearsal_options *options, struct error *err)
{
	struct replay_file *file = NULL;
	int64_t at_ns;
	int rc = run_dir_check(options->run_dir, options->replace, err);
	if (rc == 0)
		rc = replay_file_open(options->replay_path, &file, err);
	if (rc == 0)
		rc = find_migrate_at(options, file, migration_way_is_there(options->way), &at_ns, err);
	replay_file_free(file);
	return rc;
}

static int prepare_schedule(struct rehearsal *r, struct error *err)
{
	struct schedule_options options = {.speed = r->options->speed,
					   .start_at_ns = r->options->start_at_ns,
					   .stop_at_ns = r->options->stop_at_ns,
					   .skip_idle_ns = r->options->skip_idle_ns,
					   .max_sessions = r->options->max_sessions};
	char *path = run_dir_path(r->options->run_dir, ITEM_INDEX_FILE);
	int rc = schedule_prepare(r->file, &options, path, r->options->cancelled, &r->schedule, err);
	free(path);
	if (rc == 0)
		r->migrate_at_ns = schedule_map_ns(&r->schedule, r->migrate_at_ns);
	if (rc == 0 && r->schedule.due_count == 0)
		rc = no_items_between(r->options, err);
	return rc;
}

/* Connections need descriptors: said before the start, with the number, and never found out in the middle. */
static int check_descriptors(const struct rehearsal *r, struct error *err)
{
	struct rlimit limit;
	rlim_t need = (rlim_t)r->schedule.max_open * (rlim_t)r->lane_count + SPARE_FILES;
	if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
		return error_set_errno(err, ERR_INTERNAL, "cannot read the limit of open files");
	if (limit.rlim_cur >= need)
		return 0;
	if (limit.rlim_max != RLIM_INFINITY && limit.rlim_max < need)
		return error_set(
			err, ERR_USAGE,
			"%u sessions at once need %llu open files, the limit is %llu; raise it with 'ulimit -n %llu'",
			r->schedule.max_open, (unsigned long long)need, (unsigned long long)limit.rlim_max,
			(unsigned long long)need);
	limit.rlim_cur = need;
	if (setrlimit(RLIMIT_NOFILE, &limit) < 0)
		return error_set_errno(err, ERR_INTERNAL, "cannot raise the limit of open files to %llu",
				       (unsigned long long)need);
	return 0;
}

static int open_lanes(struct rehearsal *r, struct error *err)
{
	int rc = 0;
	for (int i = 0; rc == 0 && i < r->lane_count; i++) {
		const struct driver *driver;
		char *path = run_dir_path(r->options->run_dir, run_log_names[i]);
		rc = driver_for_url(r->urls[i], &driver, err);
		if (rc == 0) {
			struct lane_options options = {
				.name = lane_names[i],
				.driver = driver,
				.url = r->urls[i],
				.file = r->file,
				.schedule = &r->schedule,
				.user_map = r->options->user_map,
				.database_map = r->options->database_map,
				.check_results = r->options->check_results,
				.turn = r->lane_count == 2 ? i : -1,
				.workers = r->options->workers,
				.run_log_path = path,
				.drain_timeout_ns = r->options->drain_timeout_ns,
				.stall_timeout_ns = r->options->stall_timeout_ns,
				.hold = &r->migration_running,
				.cancelled = &r->stop,
			};
			rc = lane_open(&options, &r->lanes[i], err);
		}
		free(path);
	}
	return rc;
}

static int start_health(struct rehearsal *r, int lane, struct error *err)
{
	char *path = run_dir_path(r->options->run_dir, health_log_names[lane]);
	struct health_watch_options options = {
		.url = r->urls[lane], .lane = lane_names[lane], .out_path = path, .t0_ns = r->t0_ns};
	int rc = health_watch_start(&options, &r->health[lane], err);
	free(path);
	return rc;
}

/* What is not known of a server's health is told beside the verdict, and ends no run. */
static void stop_health(struct rehearsal *r, int lane)
{
	struct error err = ERROR_INIT;
	if (r->health[lane] && health_watch_stop(r->health[lane], &err) < 0)
		log_warn("the health of %s is not known: %s", lane_names[lane], err.text);
	r->health[lane] = NULL;
}

static int start_watches(struct rehearsal *r, struct error *err)
{
	int rc = 0;
	for (int i = 0; rc == 0 && i < r->lane_count; i++) {
		const struct driver *driver;
		rc = driver_for_url(r->urls[i], &driver, err);
		if (rc < 0 || driver != &driver_pg)
			continue;
		char *path = run_dir_path(r->options->run_dir, lock_log_names[i]);
		struct lock_watch_options options = {.url = r->urls[i],
						     .lane = lane_names[i],
						     .out_path = path,
						     .t0_ns = r->t0_ns,
						     .interval_ns = r->options->sample_interval_ns};
		rc = lock_watch_start(&options, &r->watches[i], err);
		free(path);
		if (rc == 0)
			rc = start_health(r, i, err);
	}
	return rc;
}

/* Filled but for the times, which are known once everything else is ready. */
static struct migration_runner_options runner_options(struct rehearsal *r)
{
	return (struct migration_runner_options){.url = r->urls[1],
						 .way = r->options->way,
						 .timeout_ns = r->options->migration_timeout_ns,
						 .cancelled = &r->stop,
						 .statement_no = &r->migration_statement};
}

/* What the migration's tool can tell before it changes anything. */
static int prepare_migration(struct rehearsal *r, struct error *err)
{
	struct migration_runner_options options = runner_options(r);
	options.t0_ns = clock_mono_ns();
	options.cancelled = r->options->cancelled; /* nobody hands it on to r->stop yet */
	int rc = r->with_migration ? migration_runner_prepare(&options, err) : 0;
	return rc < 0 ? error_context(err, "migration") : 0;
}

/* What the application meets when the team changes its mind (C2): the down, with the traffic still there. */
static void roll_back(struct rehearsal *r)
{
	struct ledger down;
	struct migration_runner_options options = runner_options(r);
	if (!migration_way_is_there(r->options->rollback) || r->ledger.outcome != LEDGER_OK || r->migration_error.code)
		return;
	ledger_init(&down);
	options.way = r->options->rollback;
	options.statement_no = NULL;
	options.t0_ns = r->t0_ns;
	options.start_at_ns = r->t0_ns + r->ledger.end_ns + r->options->rollback_after_ns;
	int rc = migration_runner_prepare(&options, &r->migration_error);
	if (rc == 0)
		rc = migration_runner_run(&options, &down, &r->migration_error);
	if (rc < 0)
		(void)error_context(&r->migration_error, "rollback");
	else if (down.start_ns > r->schedule.last_due_ns)
		log_warn("the rollback began when the traffic was over; give --rollback-after, or an earlier "
			 "--migrate-at");
	ledger_add_rollback(&r->ledger, &down);
	ledger_release(&down);
}

static void *run_migration(void *context)
{
	struct rehearsal *r = context;
	struct migration_runner_options options = runner_options(r);
	options.t0_ns = r->t0_ns;
	options.start_at_ns = r->t0_ns + r->migrate_at_ns;
	(void)migration_runner_run(&options, &r->ledger, &r->migration_error);
	roll_back(r);
	r->migration_running = false;
	return NULL;
}

static int start_migration(struct rehearsal *r, struct error *err)
{
	if (!r->with_migration)
		return 0;
	r->migration_running = true;
	if (pthread_create(&r->migration_thread, NULL, run_migration, r) != 0) {
		r->migration_running = false;
		return error_set(err, ERR_INTERNAL, "cannot start the migration's thread");
	}
	r->migration_started = true;
	return 0;
}

static int start_all(struct rehearsal *r, struct error *err)
{
	r->t0_ns = clock_mono_ns() + START_DELAY_NS;
	r->start_wall_ns = clock_wall_ns() + START_DELAY_NS;
	int rc = start_watches(r, err);
	if (rc == 0)
		rc = start_migration(r, err);
	for (int i = 0; rc == 0 && i < r->lane_count; i++) {
		r->lane_started[i] = true; /* in part, when it fails: some of its threads are to be waited for */
		rc = lane_start(r->lanes[i], r->t0_ns, err);
	}
	return rc;
}

/* True when a lane has failed: then the other one has no more to tell. */
static bool show_progress(struct rehearsal *r, bool *finished)
{
	struct rehearsal_progress p = {.lane_count = r->lane_count,
				       .item_count = r->schedule.due_count,
				       .now_ns = clock_mono_ns() - r->t0_ns,
				       .span_ns = r->schedule.last_due_ns,
				       .migration_statement = r->migration_statement};
	p.migration_running = r->migration_running && p.migration_statement > 0;
	*finished = !r->migration_running;
	for (int i = 0; i < r->lane_count; i++) {
		lane_get_progress(r->lanes[i], &p.lanes[i]);
		p.waiting[i] = r->watches[i] ? lock_watch_waiting(r->watches[i]) : 0;
		*finished = *finished && p.lanes[i].finished;
	}
	if (r->options->progress)
		r->options->progress(r->options->progress_context, &p);
	return p.lanes[0].failed || p.lanes[1].failed;
}

/* Until both lanes and the migration are through, or somebody wants to stop. */
static void watch_run(struct rehearsal *r)
{
	bool finished = false;
	for (int64_t look_ns = clock_mono_ns(); !finished; look_ns += LOOK_NS) {
		clock_sleep_until_ns(look_ns);
		bool failed = show_progress(r, &finished);
		/* A migration that could not even begin has its reason in an error, and nothing to wait for. */
		if (failed || user_cancelled(r) || (!r->migration_running && r->migration_error.code))
			stop_flag_set(&r->stop);
	}
}

/* Everything that was started comes to its end; the first error stays. */
static int end_all(struct rehearsal *r, int rc, struct error *err)
{
	struct error later = ERROR_INIT;
	if (rc < 0)
		stop_flag_set(&r->stop);
	for (int i = 0; i < r->lane_count; i++) {
		if (!r->lane_started[i])
			continue;
		int ended = lane_wait(r->lanes[i], &r->stats[i], rc < 0 ? &later : err);
		rc = rc < 0 ? rc : ended;
	}
	if (r->migration_started)
		(void)pthread_join(r->migration_thread, NULL);
	if (rc == 0 && r->migration_error.code) {
		*err = r->migration_error;
		rc = error_context(err, "migration");
	}
	if (rc == 0 && r->ledger.problem)
		log_warn("%s", r->ledger.problem);
	for (int i = 0; i < r->lane_count; i++) {
		int ended = r->watches[i] ? lock_watch_stop(r->watches[i], rc < 0 ? &later : err) : 0;
		r->watches[i] = NULL;
		rc = rc < 0 ? rc : ended;
		stop_health(r, i);
	}
	return rc;
}

static json_t *seconds_or_null(bool there, int64_t ns)
{
	return there ? json_real(ns_to_s(ns)) : json_null();
}

static json_t *describe_run(const struct rehearsal *r, int64_t end_ns)
{
	char start[RFC3339_MAX];
	clock_format_rfc3339(r->start_wall_ns, start);
	bool migrated = r->with_migration && r->ledger.outcome != LEDGER_NONE;
	bool interrupted = user_cancelled(r);
	json_t *run = json_pack("{s:s, s:s, s:f, s:f, s:b, s:b}", "schema", "rehearse.run/1", "start_time", start,
				"speed", r->options->speed, "end_s", ns_to_s(end_ns), "complete", !interrupted,
				"interrupted", interrupted);
	if (r->options->commit)
		(void)json_object_set_new(run, "commit",
					  json_from_bytes(r->options->commit, strlen(r->options->commit)));
	(void)json_object_set_new(run, "migrate_at_s", seconds_or_null(r->with_migration, r->migrate_at_ns));
	(void)json_object_set_new(run, "migration_start_s", seconds_or_null(migrated, r->ledger.start_ns));
	(void)json_object_set_new(run, "migration_end_s", seconds_or_null(migrated, ledger_migrated_ns(&r->ledger)));
	json_t *file = json_pack("{s:s, s:I, s:I, s:I, s:f}", "path", r->options->replay_path, "items",
				 (json_int_t)replay_file_item_count(r->file), "items_due",
				 (json_int_t)r->schedule.due_count, "max_open_sessions",
				 (json_int_t)r->schedule.max_open, "span_s", ns_to_s(r->schedule.last_due_ns));
	/* Which part of the recording was replayed. */
	(void)json_object_set_new(file, "start_at_s", json_real(ns_to_s(r->options->start_at_ns)));
	(void)json_object_set_new(file, "stop_at_s",
				  seconds_or_null(r->options->stop_at_ns > 0, r->options->stop_at_ns));
	(void)json_object_set_new(file, "capture", json_deep_copy(replay_file_capture(r->file)));
	(void)json_object_set_new(run, "replay_file", file);
	if (r->options->amplify.times > 1)
		(void)json_object_set_new(run, "amplify",
					  json_pack("{s:i, s:f, s:I, s:b}", "times", (int)r->options->amplify.times,
						    "jitter_s", ns_to_s(r->options->amplify.jitter_ns), "seed",
						    (json_int_t)r->options->amplify.seed, "writes",
						    r->options->amplify.writes));
	json_t *lanes = json_object();
	for (int i = 0; i < r->lane_count; i++)
		(void)json_object_set_new(lanes, lane_names[i], lane_stats_to_json(&r->stats[i]));
	(void)json_object_set_new(run, "lanes", lanes);
	json_t *environment = r->environment ? json_incref(r->environment) : json_object();
	if (r->options->clones)
		(void)json_object_set(environment, "clones", r->options->clones);
	(void)json_object_set_new(run, "environment", environment);
	return run;
}

static int save_run(const struct rehearsal *r, int64_t end_ns, json_t **run, struct error *err)
{
	char *ledger_path = run_dir_path(r->options->run_dir, LEDGER_FILE);
	char *run_path = run_dir_path(r->options->run_dir, RUN_FILE_RUN);
	json_t *document = describe_run(r, end_ns);
	int rc = ledger_save(&r->ledger, ledger_path, err);
	if (rc == 0)
		rc = json_file_save(run_path, document, err);
	if (rc == 0)
		*run = document;
	else
		json_decref(document);
	free(ledger_path);
	free(run_path);
	return rc;
}

static int prepare(struct rehearsal *r, struct error *err)
{
	int rc = open_file(r, err);
	if (rc == 0)
		rc = check_targets(r, err);
	if (rc == 0)
		rc = run_dir_create(r->options->run_dir, r->options->replace, err);
	r->has_run_dir = rc == 0;
	if (rc == 0)
		rc = prepare_schedule(r, err);
	if (rc == 0)
		rc = check_descriptors(r, err);
	if (rc == 0)
		rc = prepare_migration(r, err);
	if (rc == 0)
		rc = open_lanes(r, err);
	return rc;
}

static void release(struct rehearsal *r)
{
	for (int i = 0; i < 2; i++) {
		lane_free(r->lanes[i]);
		lock_watch_abort(r->watches[i]);
		health_watch_abort(r->health[i]);
	}
	schedule_release(&r->schedule);
	replay_file_free(r->file);
	json_decref(r->environment);
	ledger_release(&r->ledger);
	free(r);
}

int rehearsal_run(const struct rehearsal_options *options, json_t **run, struct error *err)
{
	struct rehearsal *r = mem_zalloc(1, sizeof(*r));
	r->options = options;
	r->urls[0] = options->baseline_url;
	r->urls[1] = options->migrating_url;
	r->lane_count = options->migrating_url ? 2 : 1;
	r->with_migration = options->migrating_url && migration_way_is_there(options->way);
	ledger_init(&r->ledger);
	*run = NULL;
	int rc = prepare(r, err);
	if (rc == 0) {
		log_info("replaying %llu items of %u sessions, %.1f s", (unsigned long long)r->schedule.due_count,
			 r->schedule.sessions, ns_to_s(r->schedule.last_due_ns));
		rc = start_all(r, err);
		if (rc == 0)
			watch_run(r);
		int64_t end_ns = clock_mono_ns() - r->t0_ns;
		rc = end_all(r, rc, err);
		if (rc == 0)
			rc = save_run(r, end_ns, run, err);
		if (rc == 0 && user_cancelled(r))
			rc = error_set(err, ERR_INTERRUPTED, "interrupted; the partial run is in %s", options->run_dir);
	}
	bool discard = r->has_run_dir && !*run;
	release(r);
	if (discard)
		run_dir_discard(options->run_dir);
	return rc;
}
