/*
 * A lane: see lane.h. The thread sleeps in libevent until a socket speaks or the timer says that the next item is due.
 * The timer is a timerfd with an absolute time on the run's clock, since libevent's own are relative and rounded.
 */
#include "lane.h"

#include "clock.h"
#include "lane_private.h"
#include "mem.h"
#include "run_log.h"

#include <assert.h>
#include <errno.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/timerfd.h>
#include <unistd.h>

#define TICK_MS	      50 /* how often the lane looks up: interrupted? nothing left? no progress? */
#define PENDING_BLOCK 1024
#define PENDING_MAX   262144 /* items waiting when all are due at once; by time there is no bound but the schedule */
#define REQUEST_MAX   ((size_t)64 * 1024 * 1024)

struct pending_block {
	struct pending_block *next;
	struct pending items[PENDING_BLOCK];
};

struct pending *lane_take_pending(struct lane *lane)
{
	if (!lane->spare_pending) {
		struct pending_block *block = mem_zalloc(1, sizeof(*block));
		block->next = lane->pending_blocks;
		lane->pending_blocks = block;
		for (size_t i = 0; i < PENDING_BLOCK; i++) {
			block->items[i].next = lane->spare_pending;
			lane->spare_pending = &block->items[i];
		}
	}
	struct pending *pending = lane->spare_pending;
	lane->spare_pending = pending->next;
	return pending;
}

static void batch_item_done(struct lane *lane, struct feed_batch *batch)
{
	if (--batch->open == 0)
		batch_feed_return(lane->feed, batch);
}

void lane_return_pending(struct lane *lane, struct pending *pending)
{
	batch_item_done(lane, pending->batch);
	pending->next = lane->spare_pending;
	lane->spare_pending = pending;
}

static void stop(struct lane *lane)
{
	(void)event_base_loopbreak(lane->base);
}

static void set_timer(struct lane *lane, int64_t due_ns)
{
	int64_t at_ns = lane->t0_ns + due_ns;
	struct itimerspec when = {.it_value = {.tv_sec = at_ns / NS_PER_S, .tv_nsec = at_ns % NS_PER_S}};
	if (timerfd_settime(lane->timer_fd, TFD_TIMER_ABSTIME, &when, NULL) < 0 && lane->error.code == 0) {
		(void)error_set_errno(&lane->error, ERR_INTERNAL, "cannot set the lane's timer");
		stop(lane);
	}
}

static void count(struct lane *lane, const struct pending *pending, const struct run_record *record)
{
	struct lane_stats *stats = &lane->stats;
	if (record->outcome == RUN_SKIPPED) {
		stats->items_skipped++;
		stats->skipped_by_reason[record->reason]++;
		return;
	}
	stats->items_sent++;
	stats->rows += record->rows;
	histogram_add(&stats->lag, (int64_t)record->lag_us * NS_PER_US);
	if (record->outcome == RUN_OK) {
		stats->items_ok++;
	} else {
		stats->items_error++;
		lane_stats_count_error(stats, record->sqlstate);
		atomic_fetch_add_explicit(&lane->live_errors, 1, memory_order_relaxed);
	}
	if (record->flags & RUN_CENSORED)
		stats->censored++;
	if (record->flags & RUN_REPLAN)
		stats->replans++;
	if (pending->item->kind == ITEM_SIMPLE || pending->item->kind == ITEM_EXECUTE) {
		stats->statements++;
		histogram_add(&stats->latency, run_record_latency_ns(record));
		atomic_fetch_add_explicit(&lane->live_statements, 1, memory_order_relaxed);
	}
}

void lane_record(struct lane *lane, const struct pending *pending, const struct run_record *record)
{
	count(lane, pending, record);
	atomic_fetch_add_explicit(&lane->live_done, 1, memory_order_relaxed);
	lane->open_items--;
	lane->sent_since_progress = 0;
	lane->last_progress_ns = lane_now_ns(lane);
	if (lane->paused && lane->open_items <= PENDING_MAX / 2) {
		lane->paused = false;
		set_timer(lane, 0);
	}
	if (lane->error.code == 0 && run_log_writer_put(lane->run_log, pending->ordinal, record, &lane->error) < 0)
		stop(lane);
}

static struct session *session_of(struct lane *lane, uint32_t row)
{
	if (!lane->sessions[row]) {
		lane->sessions[row] = mem_alloc(sizeof(**lane->sessions));
		session_init(lane->sessions[row], lane, row);
	}
	return lane->sessions[row];
}

/* The schedule's next item, NULL at its end. */
static const struct item *next_item(struct lane *lane)
{
	while (!lane->batch || lane->batch_pos == lane->batch->batch.count) {
		lane->batch_pos = 0;
		if (batch_feed_next(lane->feed, &lane->batch, &lane->error) < 0)
			stop(lane);
		if (!lane->batch)
			return NULL;
	}
	return &lane->batch->batch.items[lane->batch_pos];
}

static void dispatch(struct lane *lane, const struct item *item, enum run_skip_reason reason, int64_t due_ns)
{
	struct pending *pending = lane_take_pending(lane);
	pending->item = item;
	pending->batch = lane->batch;
	pending->ordinal = lane->batch->batch.first_ordinal + lane->batch_pos;
	pending->due_ns = due_ns;
	lane->batch_pos++;
	lane->open_items++;
	/* The batch may be given back before the next item is looked at: forget it once it is used up. */
	if (lane->batch_pos == lane->batch->batch.count)
		lane->batch = NULL;
	if (reason != RUN_SKIP_NONE) {
		struct run_record record = {.outcome = RUN_SKIPPED, .reason = (uint8_t)reason};
		lane_record(lane, pending, &record);
		lane_return_pending(lane, pending);
		return;
	}
	atomic_store_explicit(&lane->live_position_ns, due_ns, memory_order_relaxed);
	session_enqueue(session_of(lane, item->session), pending);
}

/* Hands out everything that is due, and sets the timer for what comes next. */
static void dispatch_due(struct lane *lane)
{
	const struct item *item;
	while (lane->error.code == 0 && (item = next_item(lane))) {
		if (lane->options.schedule->options.speed <= 0 && lane->open_items >= PENDING_MAX) {
			lane->paused = true;
			return;
		}
		int64_t due_ns = 0;
		enum run_skip_reason reason = schedule_due(lane->options.schedule, item, &due_ns);
		if (reason == RUN_SKIP_NONE && due_ns > lane_now_ns(lane)) {
			set_timer(lane, due_ns);
			return;
		}
		dispatch(lane, item, reason, due_ns);
	}
	lane->all_dispatched = true;
}

static void on_timer(evutil_socket_t fd, short what, void *context)
{
	struct lane *lane = context;
	uint64_t expirations;
	(void)what;
	if (read(fd, &expirations, sizeof(expirations)) < 0 && errno == EAGAIN)
		return;
	dispatch_due(lane);
	if (lane->all_dispatched && lane->open_items == 0)
		stop(lane);
}

static void on_tick(evutil_socket_t fd, short what, void *context)
{
	struct lane *lane = context;
	(void)fd;
	(void)what;
	bool cancelled = lane->options.cancelled && *lane->options.cancelled;
	bool done = lane->all_dispatched && lane->open_items == 0;
	bool held = lane->options.hold && *lane->options.hold;
	int64_t now_ns = lane_now_ns(lane);
	if (held)
		lane->last_hold_ns = now_ns;
	int64_t since_ns = lane->last_hold_ns > lane->last_progress_ns ? lane->last_hold_ns : lane->last_progress_ns;
	bool waits = lane->all_dispatched && now_ns - since_ns > lane->options.drain_timeout_ns;
	/* One long statement in a quiet hour is no stall: others must have been sent since, and got no answer either.
	 */
	lane->stalled = !held && lane->options.stall_timeout_ns > 0 && lane->sent_since_progress > 1 &&
			now_ns - since_ns > lane->options.stall_timeout_ns;
	bool stuck = !held && (waits || lane->stalled);
	if (cancelled || done || stuck)
		stop(lane);
}

static void set_up_events(struct lane *lane, struct event *timer, struct event *tick)
{
	struct timeval every = {.tv_usec = TICK_MS * 1000};
	(void)event_assign(timer, lane->base, lane->timer_fd, EV_READ | EV_PERSIST, on_timer, lane);
	(void)event_assign(tick, lane->base, -1, EV_PERSIST, on_tick, lane);
	(void)event_add(timer, NULL);
	(void)event_add(tick, &every);
	set_timer(lane, 0);
}

/* Why what is left has no outcome of its own. */
static enum run_skip_reason end_reason(const struct lane *lane)
{
	if (lane->options.cancelled && *lane->options.cancelled)
		return RUN_SKIP_INTERRUPTED;
	return lane->stalled ? RUN_SKIP_STALLED : RUN_SKIP_BEHIND_UNFINISHED;
}

/* The items that no session saw: the run ended before they were due. */
static void count_rest(struct lane *lane, enum run_skip_reason reason)
{
	uint64_t rest = replay_file_item_count(lane->options.file) - lane->stats.items_sent - lane->stats.items_skipped;
	lane->stats.items_skipped += rest;
	lane->stats.skipped_by_reason[reason] += rest;
}

void lane_submit_cancel(struct lane *lane, struct driver_cancel *cancel)
{
	if (!lane->canceller)
		lane->canceller = canceller_start(lane->options.driver);
	canceller_submit(lane->canceller, cancel);
}

static void *run_lane(void *context)
{
	struct lane *lane = context;
	struct event timer;
	struct event tick;
	struct rusage usage;
	/* The default slack of 50 us would add to every item's lag. */
	(void)prctl(PR_SET_TIMERSLACK, 1UL, 0UL, 0UL, 0UL);
	set_up_events(lane, &timer, &tick);
	(void)event_base_dispatch(lane->base);
	(void)event_del(&timer);
	(void)event_del(&tick);
	enum run_skip_reason reason = end_reason(lane);
	for (uint32_t i = 0; i < replay_file_session_count(lane->options.file); i++) {
		if (lane->sessions[i])
			session_finish(lane->sessions[i], reason);
	}
	lane->stats.elapsed_ns = lane->last_progress_ns > 0 ? lane->last_progress_ns : 0;
	count_rest(lane, reason);
	(void)getrusage(RUSAGE_THREAD, &usage);
	lane->stats.cpu_ns = ((int64_t)usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * NS_PER_S +
			     ((int64_t)usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) * NS_PER_US +
			     batch_feed_cpu_ns(lane->feed);
	lane->stats.max_rss_bytes = (int64_t)usage.ru_maxrss * 1024;
	atomic_store(&lane->live_finished, true);
	return NULL;
}

static int prepare(struct lane *lane, struct error *err)
{
	const struct lane_options *o = &lane->options;
	int rc = o->driver->target_open(o->url, &lane->target, err);
	if (rc == 0)
		rc = run_log_writer_open(o->run_log_path, replay_file_item_count(o->file), &lane->run_log, err);
	if (rc < 0)
		return rc;
	lane->timer_fd = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
	lane->base = event_base_new();
	if (lane->timer_fd < 0 || !lane->base)
		return error_set_errno(err, ERR_INTERNAL, "cannot make the lane's event base");
	lane->sessions = mem_zalloc(replay_file_session_count(o->file), sizeof(struct session *));
	return 0;
}

int lane_open(const struct lane_options *options, struct lane **out, struct error *err)
{
	struct lane *lane = mem_zalloc(1, sizeof(*lane));
	lane->options = *options;
	lane->timer_fd = -1;
	strbuf_init(&lane->sql, REQUEST_MAX);
	strbuf_init(&lane->values, REQUEST_MAX);
	int rc = prepare(lane, err);
	if (rc < 0) {
		(void)error_context(err, "%s lane", options->name);
		lane_free(lane);
		return rc;
	}
	*out = lane;
	return 0;
}

int lane_start(struct lane *lane, int64_t t0_ns, struct error *err)
{
	lane->t0_ns = t0_ns;
	lane->feed = batch_feed_start(lane->options.file);
	if (pthread_create(&lane->thread, NULL, run_lane, lane) != 0)
		return error_set(err, ERR_INTERNAL, "%s lane: cannot start a thread", lane->options.name);
	lane->started = true;
	return 0;
}

void lane_get_progress(const struct lane *lane, struct lane_progress *out)
{
	out->items_done = atomic_load_explicit(&lane->live_done, memory_order_relaxed);
	out->statements_done = atomic_load_explicit(&lane->live_statements, memory_order_relaxed);
	out->errors = atomic_load_explicit(&lane->live_errors, memory_order_relaxed);
	out->busy = atomic_load_explicit(&lane->live_busy, memory_order_relaxed);
	out->position_ns = atomic_load_explicit(&lane->live_position_ns, memory_order_relaxed);
	out->finished = atomic_load(&lane->live_finished);
}

int lane_wait(struct lane *lane, struct lane_stats *stats, struct error *err)
{
	if (pthread_join(lane->thread, NULL) != 0)
		return error_set(err, ERR_INTERNAL, "%s lane: its thread is gone", lane->options.name);
	lane->started = false;
	*stats = lane->stats;
	int rc = 0;
	if (lane->error.code != 0) {
		*err = lane->error;
		rc = -err->code;
	}
	if (rc == 0)
		rc = lane_stats_check(stats, replay_file_item_count(lane->options.file), err);
	if (rc == 0) {
		rc = run_log_writer_commit(lane->run_log, err);
		lane->run_log = NULL;
	}
	return rc < 0 ? error_context(err, "%s lane", lane->options.name) : 0;
}

void lane_free(struct lane *lane)
{
	if (!lane)
		return;
	assert(!lane->started);
	for (uint32_t i = 0; lane->sessions && i < replay_file_session_count(lane->options.file); i++)
		free(lane->sessions[i]);
	free(lane->sessions);
	canceller_free(lane->canceller);
	batch_feed_free(lane->feed);
	while (lane->pending_blocks) {
		struct pending_block *next = lane->pending_blocks->next;
		free(lane->pending_blocks);
		lane->pending_blocks = next;
	}
	if (lane->base)
		event_base_free(lane->base);
	if (lane->timer_fd >= 0)
		(void)close(lane->timer_fd);
	if (lane->target)
		lane->options.driver->target_free(lane->target);
	run_log_writer_abort(lane->run_log);
	strbuf_release(&lane->sql);
	strbuf_release(&lane->values);
	free(lane->parameters);
	free(lane);
}
