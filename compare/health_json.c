/* The servers' health as the verdict's "health" (docs/health.md). Lists are cut, and say how long they were. */
#include "clock.h"
#include "health_judgement.h"
#include "json_file.h"

#include <math.h>

#define WAITS_MAX      30
#define NOISE_MAX      200
#define ACTIVITIES_MAX 100
#define KEYS_SHOWN     30
#define GAPS_SHOWN     50

/* Four digits are what a sampled figure is worth. */
static json_t *number(double value)
{
	char text[40];
	if (!isfinite(value))
		return json_null();
	if (value == floor(value) && fabs(value) < 1e15)
		return json_integer((json_int_t)value);
	(void)snprintf(text, sizeof(text), "%.4g", value);
	return json_real(strtod(text, NULL));
}

static json_t *seconds(int64_t ns)
{
	return json_real(round((double)ns / 1e6) / 1e3);
}

static json_t *stat_json(const struct health_stat *stat, bool with_total)
{
	if (stat->n == 0)
		return json_null();
	json_t *object = json_object();
	json_put(object, "mean", number(stat->mean));
	json_put(object, "max", number(stat->max));
	if (with_total)
		json_put(object, "total", number(stat->total));
	return object;
}

static json_t *windows_json(const struct health_stat of[WINDOW_COUNT], bool with_total)
{
	json_t *object = json_object();
	for (int w = WINDOW_BEFORE; w < WINDOW_COUNT; w++)
		json_put(object, window_kind_name(w), stat_json(&of[w], with_total));
	return object;
}

static bool is_known(const struct health_stat of[WINDOW_COUNT])
{
	for (int w = 0; w < WINDOW_COUNT; w++) {
		if (of[w].n)
			return true;
	}
	return false;
}

/* Per second: then what came together is worth telling, too. */
static bool is_rate(const struct health_figure *figure)
{
	size_t len = strlen(figure->name);
	return len > 6 && strcmp(figure->name + len - 6, "_per_s") == 0;
}

static size_t bin_count(const struct health_judge *judge)
{
	int64_t bins = (judge->end_ns + judge->bin_ns - 1) / judge->bin_ns;
	return bins < 0 ? 0 : bins < HEALTH_BINS_MAX ? (size_t)bins : HEALTH_BINS_MAX;
}

static json_t *bins_json(const struct health_judge *judge, const float *bins)
{
	json_t *list = json_array();
	size_t count = bin_count(judge);
	for (size_t i = 0; i < count; i++)
		(void)json_array_append_new(list, number((double)bins[i]));
	return list;
}

static json_t *figures_json(const struct health_judge *judge)
{
	json_t *list = json_array();
	for (size_t f = 0; f < health_figure_count(); f++) {
		const struct health_figure *figure = health_figure_at(f);
		json_t *object = json_object();
		json_t *timeline = json_object();
		bool any = false;
		json_put(object, "name", json_string(figure->name));
		json_put(object, "title", json_string(figure->title));
		json_put(object, "unit", json_string(figure->unit));
		json_put(object, "machine", json_boolean(figure->machine));
		for (int lane = 0; lane < JUDGE_LANES; lane++) {
			const struct health_lane *of = &judge->lanes[lane];
			bool known = is_known(of->of[f]);
			any |= known;
			json_put(object, judge_lane_name(lane),
				 known ? windows_json(of->of[f], is_rate(figure)) : json_null());
			if (known)
				json_put(timeline, judge_lane_name(lane), bins_json(judge, of->bins[f]));
		}
		json_put(object, "timeline", timeline);
		if (any)
			(void)json_array_append_new(list, object);
		else
			json_decref(object);
	}
	return list;
}

static json_t *waits_json(const struct health_judge *judge)
{
	json_t *list = json_array();
	for (size_t i = 0; i < judge->wait_count && i < WAITS_MAX; i++) {
		const struct health_wait *wait = &judge->waits[i];
		json_t *object = json_object();
		json_put(object, "event", json_text(wait->event));
		for (int lane = 0; lane < JUDGE_LANES; lane++) {
			json_t *means = json_object();
			for (int w = WINDOW_BEFORE; w < WINDOW_COUNT; w++)
				json_put(means, window_kind_name(w),
					 judge->lanes[lane].samples[w] ? number(wait->of[lane][w].mean) : json_null());
			json_put(object, judge_lane_name(lane), means);
		}
		json_put(object, "growth", number(wait->growth));
		json_put(object, "grew", json_boolean(wait->grew));
		(void)json_array_append_new(list, object);
	}
	return list;
}

static json_t *noise_json(const struct health_judge *judge)
{
	json_t *list = json_array();
	for (size_t i = 0; i < judge->noise.count && json_array_size(list) < NOISE_MAX; i++) {
		const struct noise_event *event = &judge->noise.events[i];
		const struct health_activity *a = event->activity;
		if (!event->one_sided)
			continue;
		json_t *object = json_object();
		json_put(object, "kind", json_string(health_activity_name(a->kind)));
		json_put(object, "lane", json_string(judge_lane_name(event->lane)));
		json_put(object, "relation", json_text(a->relation));
		json_put(object, "what", json_text(a->command));
		json_put(object, "start_s", seconds(a->start_ns));
		json_put(object, "end_s", seconds(a->end_ns));
		json_put(object, "cause", json_string(noise_cause_name(event->cause)));
		(void)json_array_append_new(list, object);
	}
	return list;
}

static json_t *phases_json(const struct health_activity *activity)
{
	json_t *list = json_array();
	for (size_t i = 0; i < activity->phase_count; i++) {
		const struct health_phase *phase = &activity->phases[i];
		json_t *object = json_object();
		json_put(object, "phase", json_text(phase->name));
		json_put(object, "start_s", seconds(phase->start_ns));
		json_put(object, "end_s", seconds(phase->end_ns));
		json_put(object, "done", phase->done >= 0 ? json_integer(phase->done) : json_null());
		json_put(object, "total", phase->total > 0 ? json_integer(phase->total) : json_null());
		(void)json_array_append_new(list, object);
	}
	return list;
}

/* Index builds, rewrites and copies, with how far they got. */
static json_t *progress_json(const struct health_judge *judge, size_t *total)
{
	json_t *list = json_array();
	*total = 0;
	for (int lane = 0; lane < JUDGE_LANES; lane++) {
		const struct health_log *log = judge->lanes[lane].log;
		for (size_t i = 0; log && i < log->activity_count; i++) {
			const struct health_activity *a = &log->activities[i];
			if (noise_is_background(a->kind) || ++*total > ACTIVITIES_MAX)
				continue;
			json_t *object = json_object();
			json_put(object, "kind", json_string(health_activity_name(a->kind)));
			json_put(object, "lane", json_string(judge_lane_name(lane)));
			json_put(object, "what", json_text(a->command));
			json_put(object, "relation", json_text(a->relation));
			json_put(object, "index", json_text(a->index));
			json_put(object, "start_s", seconds(a->start_ns));
			json_put(object, "end_s", seconds(a->end_ns));
			json_put(object, "under_way_at_the_end", json_boolean(a->open));
			json_put(object, "phases", phases_json(a));
			(void)json_array_append_new(list, object);
		}
	}
	return list;
}

/* Tables with their dead rows, slots with the WAL that they hold back: the largest on either lane in each window. */
static json_t *keys_json(const struct health_judge *judge, const char *series, const char *label)
{
	json_t *list = json_array();
	for (int lane = 0; lane < JUDGE_LANES; lane++) {
		const struct health_lane *of = &judge->lanes[lane];
		size_t shown = 0;
		for (size_t i = 0; i < of->key_count && shown < KEYS_SHOWN; i++) {
			if (strcmp(of->keys[i].id.name, series) != 0)
				continue;
			json_t *object = json_object();
			json_put(object, label, json_text(of->keys[i].id.key));
			json_put(object, "lane", json_string(judge_lane_name(lane)));
			json_put(object, "max", windows_json(of->keys[i].of, false));
			(void)json_array_append_new(list, object);
			shown++;
		}
	}
	return list;
}

static json_t *gaps_json(const struct health_log *log)
{
	json_t *list = json_array();
	for (size_t i = 0; i < log->gap_count && i < GAPS_SHOWN; i++) {
		json_t *object = json_object();
		json_put(object, "start_s", seconds(log->gaps[i].start_ns));
		json_put(object, "end_s", seconds(log->gaps[i].end_ns));
		(void)json_array_append_new(list, object);
	}
	return list;
}

static json_t *unknown_json(const struct health_log *log)
{
	json_t *list = json_array();
	for (size_t i = 0; i < log->note_count; i++) {
		json_t *object = json_object();
		json_put(object, "what", json_text(log->notes[i].group));
		json_put(object, "reason", json_text(log->notes[i].reason));
		json_put(object, "samples", json_integer((json_int_t)log->notes[i].samples));
		(void)json_array_append_new(list, object);
	}
	return list;
}

static json_t *lane_json(const struct health_lane *lane)
{
	json_t *object = json_object();
	json_put(object, "known", json_boolean(lane->log != NULL));
	json_put(object, "reason", lane->log ? json_null() : json_text(lane->reason));
	if (!lane->log)
		return object;
	json_put(object, "interval_s", number(ns_to_s(lane->log->interval_ns)));
	json_put(object, "samples", json_integer((json_int_t)lane->log->samples));
	json_put(object, "gaps", gaps_json(lane->log));
	json_put(object, "gaps_total", json_integer((json_int_t)lane->log->gap_count));
	json_put(object, "unknown", unknown_json(lane->log));
	json_put(object, "activities_lost", json_integer((json_int_t)lane->log->activities_lost));
	json_put(object, "series_lost", json_integer((json_int_t)lane->log->series_lost));
	json_put(object, "sample_ms", number(lane->sample_cost.mean));
	json_put(object, "sample_max_ms", number(lane->sample_cost.max));
	json_put(object, "own_cpu_share", lane->own_cpu_share < 0 ? json_null() : number(lane->own_cpu_share));
	json_put(object, "own_server_cpu_share",
		 lane->own_server_cpu_share < 0 ? json_null() : number(lane->own_server_cpu_share));
	return object;
}

json_t *health_judge_to_json(const struct health_judge *judge)
{
	if (!judge->there[JUDGE_BASELINE] && !judge->there[JUDGE_MIGRATING])
		return json_null();
	size_t builds;
	json_t *object = json_object();
	json_t *lanes = json_object();
	for (int lane = 0; lane < JUDGE_LANES; lane++)
		json_put(lanes, judge_lane_name(lane), lane_json(&judge->lanes[lane]));
	json_put(object, "lanes", lanes);
	json_put(object, "bin_s", number(ns_to_s(judge->bin_ns)));
	json_put(object, "bins", json_integer((json_int_t)bin_count(judge)));
	json_put(object, "figures", figures_json(judge));
	json_put(object, "waits", waits_json(judge));
	json_put(object, "waits_total", json_integer((json_int_t)judge->wait_count));
	json_put(object, "noise", noise_json(judge));
	json_put(object, "noise_total", json_integer((json_int_t)judge->noise.one_sided));
	json_put(object, "background_total", json_integer((json_int_t)judge->noise.count));
	json_put(object, "progress", progress_json(judge, &builds));
	json_put(object, "progress_total", json_integer((json_int_t)builds));
	json_put(object, "tables", keys_json(judge, "table.dead", "relation"));
	json_put(object, "slots", keys_json(judge, "slot.retained_bytes", "slot"));
	return object;
}
