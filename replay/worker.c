/*
 * A worker: see worker.h. The thread sleeps in libevent until a socket speaks or the timer says that the next item is
 * due. The timer is a timerfd with an absolute time on the run's clock, since libevent's own are relative and rounded.
 */
#include "worker.h"

#include "clock.h"
#include "mem.h"
#include "priority.h"
#include "run_log.h"
#include "stop_flag.h"

#include <assert.h>
#include <errno.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/timerfd.h>
#include <unistd.h>

#define TICK_MS	      50 /* how often it looks up: interrupted? nothing left? no progress? */
#define PENDING_BLOCK 1024
#define PENDING_MAX   262144 /* items waiting when all are due at once; by time there is no bound but the schedule */
#define REQUEST_MAX   ((size_t)64 * 1024 * 1024)

struct pending_block {
	struct pending_block *next;
	struct pending items[PENDING_BLOCK];
};

struct pending *worker_take_pending(struct worker *worker)
{
	if (!worker->spare_pending) {
		struct pending_block *block = mem_zalloc(1, sizeof(*block));
		block->next = worker->pending_blocks;
		worker->pending_blocks = block;
		for (size_t i = 0; i < PENDING_BLOCK; i++) {
			block->items[i].next = worker->spare_pending;
			worker->spare_pending = &block->items[i];
		}
	}
	struct pending *pending = worker->spare_pending;
	worker->spare_pending = pending->next;
	return pending;
}

static void batch_item_done(struct worker *worker, struct feed_batch *batch)
{
	if (--batch->open == 0)
		batch_feed_return(worker->feed, batch);
}

void worker_return_pending(struct worker *worker, struct pending *pending)
{
	batch_item_done(worker, pending->batch);
	pending->next = worker->spare_pending;
	worker->spare_pending = pending;
}

static void stop(struct worker *worker)
{
	(void)event_base_loopbreak(worker->base);
}

static void set_timer(struct worker *worker, int64_t due_ns)
{
	int64_t at_ns = worker->t0_ns + due_ns;
	struct itimerspec when = {.it_value = {.tv_sec = at_ns / NS_PER_S, .tv_nsec = at_ns % NS_PER_S}};
	if (timerfd_settime(worker->timer_fd, TFD_TIMER_ABSTIME, &when, NULL) < 0 && worker->error.code == 0) {
		(void)error_set_errno(&worker->error, ERR_INTERNAL, "cannot set the timer");
		stop(worker);
	}
}

static void count(struct worker *worker, const struct pending *pending, const struct run_record *record)
{
	struct lane_stats *stats = &worker->stats;
	if (record->outcome == RUN_SKIPPED) {
		stats->items_skipped++;
		stats->skipped_by_reason[record->reason]++;
		return;
	}
	stats->items_sent++;
	stats->rows += record->rows;
	histogram_add(&stats->lag, (int64_t)record->lag_us * NS_PER_US);
	histogram_add(&worker->recent_lag, (int64_t)record->lag_us * NS_PER_US);
	if (record->outcome == RUN_OK) {
		stats->items_ok++;
	} else {
		stats->items_error++;
		lane_stats_count_error(stats, record->sqlstate);
		atomic_fetch_add_explicit(&worker->live.errors, 1, memory_order_relaxed);
	}
	if (record->flags & RUN_CENSORED)
		stats->censored++;
	if (record->flags & RUN_REPLAN)
		stats->replans++;
	if (pending->item->kind == ITEM_SIMPLE || pending->item->kind == ITEM_EXECUTE) {
		stats->statements++;
		int64_t latency_ns = run_record_latency_ns(record);
		histogram_add(&stats->latency, latency_ns);
		histogram_add(&worker->recent_latency, latency_ns);
		atomic_fetch_add_explicit(&worker->live.statements, 1, memory_order_relaxed);
	}
}

void worker_record(struct worker *worker, const struct pending *pending, const struct run_record *record)
{
	count(worker, pending, record);
	atomic_fetch_add_explicit(&worker->live.items, 1, memory_order_relaxed);
	worker->open_items--;
	worker->sent_since_progress = 0;
	worker->last_progress_ns = worker_now_ns(worker);
	if (worker->paused && worker->open_items <= PENDING_MAX / 2) {
		worker->paused = false;
		set_timer(worker, 0);
	}
	if (worker->error.code)
		return;
	(void)pthread_mutex_lock(&worker->log->lock);
	int rc = run_log_writer_put(worker->log->writer, pending->ordinal, record, &worker->error);
	(void)pthread_mutex_unlock(&worker->log->lock);
	if (rc < 0)
		stop(worker);
}

void worker_record_session(struct worker *worker, const struct run_session *session)
{
	(void)pthread_mutex_lock(&worker->log->lock);
	run_log_writer_add_session(worker->log->writer, session);
	(void)pthread_mutex_unlock(&worker->log->lock);
}

static struct session *session_of(struct worker *worker, uint32_t row)
{
	if (!worker->sessions[row]) {
		worker->sessions[row] = mem_alloc(sizeof(**worker->sessions));
		session_init(worker->sessions[row], worker, row);
	}
	return worker->sessions[row];
}

/* The schedule's next item, NULL at its end. */
static const struct item *next_item(struct worker *worker)
{
	while (!worker->batch || worker->batch_pos == worker->batch->batch.count) {
		worker->batch_pos = 0;
		if (batch_feed_next(worker->feed, &worker->batch, &worker->error) < 0)
			stop(worker);
		if (!worker->batch)
			return NULL;
	}
	return &worker->batch->batch.items[worker->batch_pos];
}

/* The item belongs to another worker. */
static void pass_by(struct worker *worker)
{
	struct feed_batch *batch = worker->batch;
	if (++worker->batch_pos == batch->batch.count)
		worker->batch = NULL;
	batch_item_done(worker, batch);
}

static void dispatch(struct worker *worker, const struct item *item, enum run_skip_reason reason, int64_t due_ns)
{
	struct pending *pending = worker_take_pending(worker);
	pending->item = item;
	pending->batch = worker->batch;
	pending->ordinal = worker->batch->batch.first_ordinal + worker->batch_pos;
	pending->due_ns = due_ns;
	worker->batch_pos++;
	worker->open_items++;
	/* The batch may be given back before the next item is looked at: forget it once it is used up. */
	if (worker->batch_pos == worker->batch->batch.count)
		worker->batch = NULL;
	if (reason != RUN_SKIP_NONE) {
		struct run_record record = {.outcome = RUN_SKIPPED, .reason = (uint8_t)reason};
		worker_record(worker, pending, &record);
		worker_return_pending(worker, pending);
		return;
	}
	atomic_store_explicit(&worker->live.position_ns, due_ns, memory_order_relaxed);
	session_enqueue(session_of(worker, item->session), pending);
}

/* How long the next item is held back because the other lane goes first. */
static int64_t turn_delay_ns(const struct worker *worker)
{
	uint64_t ordinal = worker->batch->batch.first_ordinal + worker->batch_pos;
	bool second = worker->options->turn >= 0 && (int)(ordinal & 1) != worker->options->turn;
	return second && worker->options->schedule->options.speed > 0 ? LANE_TURN_NS : 0;
}

/* Hands out everything that is due, and sets the timer for what comes next. */
static void dispatch_due(struct worker *worker)
{
	const struct item *item;
	while (worker->error.code == 0 && (item = next_item(worker))) {
		if (worker->options->schedule->options.speed <= 0 && worker->open_items >= PENDING_MAX) {
			worker->paused = true;
			return;
		}
		if (item->session % worker->count != worker->index) {
			pass_by(worker);
			continue;
		}
		int64_t due_ns = 0;
		enum run_skip_reason reason = schedule_due(worker->options->schedule, item, &due_ns);
		int64_t send_ns = due_ns + turn_delay_ns(worker);
		if (reason == RUN_SKIP_NONE && send_ns > worker_now_ns(worker)) {
			set_timer(worker, send_ns);
			return;
		}
		dispatch(worker, item, reason, due_ns);
	}
	worker->all_dispatched = true;
}

static void on_timer(evutil_socket_t fd, short what, void *context)
{
	struct worker *worker = context;
	uint64_t expirations;
	(void)what;
	if (read(fd, &expirations, sizeof(expirations)) < 0 && errno == EAGAIN)
		return;
	dispatch_due(worker);
	if (worker->all_dispatched && worker->open_items == 0)
		stop(worker);
}

/* Once a second: what the last one was like, for those who watch. */
static void publish_recent(struct worker *worker, int64_t now_ns)
{
	if (now_ns - worker->recent_since_ns < NS_PER_S)
		return;
	worker->recent_since_ns = now_ns;
	atomic_store_explicit(&worker->live.latency_p99_ns, histogram_quantile_ns(&worker->recent_latency, 0.99),
			      memory_order_relaxed);
	atomic_store_explicit(&worker->live.lag_p99_ns, histogram_quantile_ns(&worker->recent_lag, 0.99),
			      memory_order_relaxed);
	histogram_clear(&worker->recent_latency);
	histogram_clear(&worker->recent_lag);
}

static void on_tick(evutil_socket_t fd, short what, void *context)
{
	struct worker *worker = context;
	(void)fd;
	(void)what;
	bool cancelled = stop_flag_is_set(worker->options->cancelled);
	bool done = worker->all_dispatched && worker->open_items == 0;
	bool held = worker->options->hold && atomic_load(worker->options->hold);
	int64_t now_ns = worker_now_ns(worker);
	publish_recent(worker, now_ns);
	if (held)
		worker->last_hold_ns = now_ns;
	int64_t since_ns =
		worker->last_hold_ns > worker->last_progress_ns ? worker->last_hold_ns : worker->last_progress_ns;
	bool waits = worker->all_dispatched && now_ns - since_ns > worker->options->drain_timeout_ns;
	/* One long statement in a quiet hour is no stall: others must have been sent since, and got no answer either.
	 */
	worker->stalled = !held && worker->options->stall_timeout_ns > 0 && worker->sent_since_progress > 1 &&
			  now_ns - since_ns > worker->options->stall_timeout_ns;
	bool stuck = !held && (waits || worker->stalled);
	if (cancelled || done || stuck)
		stop(worker);
}

static void set_up_events(struct worker *worker, struct event *timer, struct event *tick)
{
	struct timeval every = {.tv_usec = TICK_MS * 1000};
	(void)event_assign(timer, worker->base, worker->timer_fd, EV_READ | EV_PERSIST, on_timer, worker);
	(void)event_assign(tick, worker->base, -1, EV_PERSIST, on_tick, worker);
	(void)event_add(timer, NULL);
	(void)event_add(tick, &every);
	set_timer(worker, 0);
}

/* Why what is left has no outcome of its own. */
static enum run_skip_reason end_reason(const struct worker *worker)
{
	if (stop_flag_is_set(worker->options->cancelled))
		return RUN_SKIP_INTERRUPTED;
	return worker->stalled ? RUN_SKIP_STALLED : RUN_SKIP_BEHIND_UNFINISHED;
}

void worker_submit_cancel(struct worker *worker, struct driver_cancel *cancel)
{
	if (!worker->canceller)
		worker->canceller = canceller_start(worker->options->driver);
	canceller_submit(worker->canceller, cancel);
}

static void *run_worker(void *context)
{
	struct worker *worker = context;
	struct event timer;
	struct event tick;
	struct rusage usage;
	/* The default slack of 50 us would add to every item's lag. */
	(void)prctl(PR_SET_TIMERSLACK, 1UL, 0UL, 0UL, 0UL);
	/* When everything is due at once we never sleep, and would take a core from the servers. */
	if (worker->options->schedule->options.speed > 0)
		priority_make_urgent(0);
	else
		priority_make_keen(0);
	set_up_events(worker, &timer, &tick);
	(void)event_base_dispatch(worker->base);
	(void)event_del(&timer);
	(void)event_del(&tick);
	worker->end_reason = end_reason(worker);
	for (uint32_t i = 0; i < replay_file_session_count(worker->options->file); i++) {
		if (worker->sessions[i])
			session_finish(worker->sessions[i], worker->end_reason);
	}
	worker->stats.elapsed_ns = worker->last_progress_ns > 0 ? worker->last_progress_ns : 0;
	(void)getrusage(RUSAGE_THREAD, &usage);
	worker->stats.cpu_ns = ((int64_t)usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * NS_PER_S +
			       ((int64_t)usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) * NS_PER_US +
			       batch_feed_cpu_ns(worker->feed);
	worker->stats.max_rss_bytes = (int64_t)usage.ru_maxrss * 1024;
	atomic_store(&worker->live.failed, worker->error.code != 0);
	atomic_store(&worker->live.finished, true);
	return NULL;
}

int worker_init(struct worker *worker, const struct lane_options *options, struct lane_log *log,
		struct driver_target *target, uint32_t index, uint32_t count, struct error *err)
{
	memset(worker, 0, sizeof(*worker));
	worker->options = options;
	worker->log = log;
	worker->target = target;
	worker->index = index;
	worker->count = count;
	strbuf_init(&worker->sql, REQUEST_MAX);
	strbuf_init(&worker->values, REQUEST_MAX);
	worker->timer_fd = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
	worker->base = event_base_new();
	worker->sessions = mem_zalloc(replay_file_session_count(options->file), sizeof(struct session *));
	if (worker->timer_fd < 0 || !worker->base)
		return error_set_errno(err, ERR_INTERNAL, "cannot make an event base");
	return 0;
}

int worker_start(struct worker *worker, int64_t t0_ns, struct error *err)
{
	worker->t0_ns = t0_ns;
	worker->feed = batch_feed_start(worker->options->file);
	if (pthread_create(&worker->thread, NULL, run_worker, worker) != 0)
		return error_set(err, ERR_INTERNAL, "cannot start a thread");
	worker->started = true;
	return 0;
}

void worker_join(struct worker *worker)
{
	if (worker->started)
		(void)pthread_join(worker->thread, NULL);
	worker->started = false;
}

void worker_release(struct worker *worker)
{
	assert(!worker->started);
	for (uint32_t i = 0; worker->sessions && i < replay_file_session_count(worker->options->file); i++)
		free(worker->sessions[i]);
	free(worker->sessions);
	canceller_free(worker->canceller);
	batch_feed_free(worker->feed);
	while (worker->pending_blocks) {
		struct pending_block *next = worker->pending_blocks->next;
		free(worker->pending_blocks);
		worker->pending_blocks = next;
	}
	if (worker->base)
		event_base_free(worker->base);
	if (worker->timer_fd >= 0)
		(void)close(worker->timer_fd);
	strbuf_release(&worker->sql);
	strbuf_release(&worker->values);
	free(worker->parameters);
}
