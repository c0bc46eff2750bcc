/* The run in bins of time: see timeline.h. */
#include "timeline.h"

#include "clock.h"
#include "mem.h"
#include "quantile_sketch.h"
#include "stall_judge.h"

#include <math.h>

#define BIN_MIN_NS (100 * NS_PER_MS)

struct timeline {
	int64_t bin_ns;
	size_t bins;
	uint32_t statements[TIMELINE_BINS_MAX];
	uint32_t errors[JUDGE_LANES][TIMELINE_BINS_MAX];
	double blocked[JUDGE_LANES][TIMELINE_BINS_MAX];
	struct quantile_sketch latency[JUDGE_LANES][TIMELINE_BINS_MAX];
};

struct timeline *timeline_new(const struct run_data *data)
{
	struct timeline *timeline = mem_zalloc(1, sizeof(*timeline));
	timeline->bin_ns = data->end_ns / (TIMELINE_BINS_MAX - 1) + 1;
	if (timeline->bin_ns < BIN_MIN_NS)
		timeline->bin_ns = BIN_MIN_NS;
	timeline->bins = (size_t)(data->end_ns / timeline->bin_ns) + 1;
	for (int lane = 0; lane < JUDGE_LANES; lane++) {
		if (data->has_locks[lane])
			stall_judge_count_blocked(&data->locks[lane], data->sessions[lane], data->session_count[lane],
						  timeline->bin_ns, timeline->blocked[lane], timeline->bins);
	}
	return timeline;
}

void timeline_free(struct timeline *timeline)
{
	free(timeline);
}

static size_t bin_of(const struct timeline *timeline, int64_t at_ns)
{
	size_t bin = at_ns > 0 ? (size_t)(at_ns / timeline->bin_ns) : 0;
	return bin < timeline->bins ? bin : timeline->bins - 1;
}

void timeline_add(struct timeline *timeline, const struct pair *pair)
{
	if (!pair_is_statement(pair))
		return;
	size_t due = bin_of(timeline, pair->item->due_ns);
	timeline->statements[due]++;
	for (int lane = 0; lane < JUDGE_LANES; lane++) {
		if (!pair_was_sent(pair, lane))
			continue;
		quantile_sketch_add(&timeline->latency[lane][due], run_record_latency_ns(pair->lane[lane]));
		if (pair->lane[lane]->outcome == RUN_ERROR)
			timeline->errors[lane][bin_of(timeline, pair_done_ns(pair, lane))]++;
	}
}

static json_t *counts_json(const uint32_t *counts, size_t bins)
{
	json_t *list = json_array();
	for (size_t i = 0; i < bins; i++)
		(void)json_array_append_new(list, json_integer(counts[i]));
	return list;
}

static json_t *averages_json(const double *values, size_t bins)
{
	json_t *list = json_array();
	for (size_t i = 0; i < bins; i++)
		(void)json_array_append_new(list, json_real(round(100 * values[i]) / 100));
	return list;
}

static json_t *p99_json(const struct quantile_sketch *sketches, size_t bins)
{
	json_t *list = json_array();
	for (size_t i = 0; i < bins; i++)
		(void)json_array_append_new(
			list, sketches[i].total ? json_real(round(1000 * quantile_sketch_ms(&sketches[i], 0.99)) / 1000)
						: json_null());
	return list;
}

json_t *timeline_to_json(const struct timeline *timeline)
{
	size_t n = timeline->bins;
	return json_pack("{s:f, s:o, s:{s:o, s:o}, s:{s:o, s:o}, s:{s:o, s:o}}", "bin_s", ns_to_s(timeline->bin_ns),
			 "statements", counts_json(timeline->statements, n), "p99_ms", "baseline",
			 p99_json(timeline->latency[JUDGE_BASELINE], n), "migrating",
			 p99_json(timeline->latency[JUDGE_MIGRATING], n), "blocked_sessions", "baseline",
			 averages_json(timeline->blocked[JUDGE_BASELINE], n), "migrating",
			 averages_json(timeline->blocked[JUDGE_MIGRATING], n), "errors", "baseline",
			 counts_json(timeline->errors[JUDGE_BASELINE], n), "migrating",
			 counts_json(timeline->errors[JUDGE_MIGRATING], n));
}
