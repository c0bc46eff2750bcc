/* A lane: its workers, and the run log that they share. See lane.h. */
#include "lane.h"

#include "mem.h"
#include "run_log.h"
#include "worker.h"

struct lane {
	struct lane_options options;
	struct driver_target *target;
	struct lane_log log;
	struct worker *workers;
	uint32_t worker_count;
};

struct span lane_map_name(const struct lane_name_map *map, struct span name)
{
	for (size_t i = 0; i < map->count; i++) {
		if (span_equal_str(name, map->pairs[2 * i]))
			return span_from_str(map->pairs[2 * i + 1]);
	}
	return name;
}

static int prepare(struct lane *lane, struct error *err)
{
	const struct lane_options *o = &lane->options;
	uint32_t count = o->workers ? o->workers : 1;
	int rc = o->driver->target_open(o->url, o->check_results, &lane->target, err);
	if (rc == 0)
		rc = run_log_writer_open(o->run_log_path, replay_file_item_count(o->file), &lane->log.writer, err);
	if (rc < 0)
		return rc;
	lane->workers = mem_zalloc(count, sizeof(*lane->workers));
	for (; rc == 0 && lane->worker_count < count; lane->worker_count++)
		rc = worker_init(&lane->workers[lane->worker_count], o, &lane->log, lane->target, lane->worker_count,
				 count, err);
	return rc;
}

int lane_open(const struct lane_options *options, struct lane **out, struct error *err)
{
	struct lane *lane = mem_zalloc(1, sizeof(*lane));
	lane->options = *options;
	(void)pthread_mutex_init(&lane->log.lock, NULL);
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
	for (uint32_t i = 0; i < lane->worker_count; i++) {
		if (worker_start(&lane->workers[i], t0_ns, err) < 0)
			return error_context(err, "%s lane", lane->options.name);
	}
	return 0;
}

void lane_get_progress(const struct lane *lane, struct lane_progress *out)
{
	memset(out, 0, sizeof(*out));
	out->finished = true;
	for (uint32_t i = 0; i < lane->worker_count; i++) {
		const struct worker_live *live = &lane->workers[i].live;
		int64_t position_ns = atomic_load_explicit(&live->position_ns, memory_order_relaxed);
		int64_t latency_ns = atomic_load_explicit(&live->latency_p99_ns, memory_order_relaxed);
		int64_t lag_ns = atomic_load_explicit(&live->lag_p99_ns, memory_order_relaxed);
		out->items_done += atomic_load_explicit(&live->items, memory_order_relaxed);
		out->statements_done += atomic_load_explicit(&live->statements, memory_order_relaxed);
		out->errors += atomic_load_explicit(&live->errors, memory_order_relaxed);
		out->busy += atomic_load_explicit(&live->busy, memory_order_relaxed);
		out->position_ns = position_ns > out->position_ns ? position_ns : out->position_ns;
		out->latency_p99_ns = latency_ns > out->latency_p99_ns ? latency_ns : out->latency_p99_ns;
		out->lag_p99_ns = lag_ns > out->lag_p99_ns ? lag_ns : out->lag_p99_ns;
		out->failed = out->failed || (atomic_load(&live->finished) && atomic_load(&live->failed));
		out->finished = out->finished && atomic_load(&live->finished);
	}
}

/* What no session saw, because the run ended before it was due. */
static void count_rest(const struct lane *lane, struct lane_stats *stats)
{
	uint64_t rest = replay_file_item_count(lane->options.file) - stats->items_sent - stats->items_skipped;
	enum run_skip_reason reason = RUN_SKIP_BEHIND_UNFINISHED;
	for (uint32_t i = 0; i < lane->worker_count; i++) {
		if (lane->workers[i].end_reason != RUN_SKIP_BEHIND_UNFINISHED)
			reason = lane->workers[i].end_reason;
	}
	stats->items_skipped += rest;
	stats->skipped_by_reason[reason] += rest;
}

int lane_wait(struct lane *lane, struct lane_stats *stats, struct error *err)
{
	int rc = 0;
	memset(stats, 0, sizeof(*stats));
	for (uint32_t i = 0; i < lane->worker_count; i++) {
		struct worker *worker = &lane->workers[i];
		worker_join(worker);
		lane_stats_merge(stats, &worker->stats);
		if (rc == 0 && worker->error.code) {
			*err = worker->error;
			rc = -err->code;
		}
	}
	count_rest(lane, stats);
	if (rc == 0)
		rc = lane_stats_check(stats, replay_file_item_count(lane->options.file), err);
	if (rc == 0) {
		rc = run_log_writer_commit(lane->log.writer, err);
		lane->log.writer = NULL;
	}
	return rc < 0 ? error_context(err, "%s lane", lane->options.name) : 0;
}

void lane_free(struct lane *lane)
{
	if (!lane)
		return;
	for (uint32_t i = 0; i < lane->worker_count; i++)
		worker_release(&lane->workers[i]);
	free(lane->workers);
	if (lane->target)
		lane->options.driver->target_free(lane->target);
	run_log_writer_abort(lane->log.writer);
	(void)pthread_mutex_destroy(&lane->log.lock);
	free(lane);
}
