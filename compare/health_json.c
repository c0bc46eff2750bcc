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

static void set(json_t *object, const char *key, json_t *value)
{
	(void)json_object_set_new(object, key, value);
}

static json_t *text_json(const char *text)
{
	return json_from_bytes(text, strlen(text));
}

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
	set(object, "mean", number(stat->mean));
	set(object, "max", number(stat->max));
	if (with_total)
		set(object, "total", number(stat->total));
	return object;
}

static json_t *windows_json(const struct health_stat of[WINDOW_COUNT], bool with_total)
{
	json_t *object = json_object();
	for (int w = WINDOW_BEFORE; w < WINDOW_COUNT; w++)
		set(object, window_kind_name(w), stat_json(&of[w], with_total));
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
		set(object, "name", json_string(figure->name));
		set(object, "title", json_string(figure->title));
		set(object, "unit", json_string(figure->unit));
		set(object, "machine", json_boolean(figure->machine));
		for (int lane = 0; lane < JUDGE_LANES; lane++) {
			const struct health_lane *of = &judge->lanes[lane];
			bool known = is_known(of->of[f]);
			any |= known;
			set(object, judge_lane_name(lane),
			    known ? windows_json(of->of[f], is_rate(figure)) : json_null());
			if (known)
				set(timeline, judge_lane_name(lane), bins_json(judge, of->bins[f]));
		}
		set(object, "timeline", timeline);
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
		set(object, "event", text_json(wait->event));
		for (int lane = 0; lane < JUDGE_LANES; lane++) {
			json_t *means = json_object();
			for (int w = WINDOW_BEFORE; w < WINDOW_COUNT; w++)
				set(means, window_kind_name(w),
				    judge->lanes[lane].samples[w] ? number(wait->of[lane][w].mean) : json_null());
			set(object, judge_lane_name(lane), means);
		}
		set(object, "growth", number(wait->growth));
		set(object, "grew", json_boolean(wait->grew));
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
		set(object, "kind", json_string(health_activity_name(a->kind)));
		set(object, "lane", json_string(judge_lane_name(event->lane)));
		set(object, "relation", text_json(a->relation));
		set(object, "what", text_json(a->command));
		set(object, "start_s", seconds(a->start_ns));
		set(object, "end_s", seconds(a->end_ns));
		set(object, "cause", json_string(noise_cause_name(event->cause)));
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
		set(object, "phase", text_json(phase->name));
		set(object, "start_s", seconds(phase->start_ns));
		set(object, "end_s", seconds(phase->end_ns));
		set(object, "done", phase->done >= 0 ? json_integer(phase->done) : json_null());
		set(object, "total", phase->total > 0 ? json_integer(phase->total) : json_null());
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
			set(object, "kind", json_string(health_activity_name(a->kind)));
			set(object, "lane", json_string(judge_lane_name(lane)));
			set(object, "what", text_json(a->command));
			set(object, "relation", text_json(a->relation));
			set(object, "index", text_json(a->index));
			set(object, "start_s", seconds(a->start_ns));
			set(object, "end_s", seconds(a->end_ns));
			set(object, "under_way_at_the_end", json_boolean(a->open));
			set(object, "phases", phases_json(a));
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
			set(object, label, text_json(of->keys[i].id.key));
			set(object, "lane", json_string(judge_lane_name(lane)));
			set(object, "max", windows_json(of->keys[i].of, false));
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
		set(object, "start_s", seconds(log->gaps[i].start_ns));
		set(object, "end_s", seconds(log->gaps[i].end_ns));
		(void)json_array_append_new(list, object);
	}
	return list;
}

static json_t *unknown_json(const struct health_log *log)
{
	json_t *list = json_array();
	for (size_t i = 0; i < log->note_count; i++) {
		json_t *object = json_object();
		set(object, "what", text_json(log->notes[i].group));
		set(object, "reason", text_json(log->notes[i].reason));
		set(object, "samples", json_integer((json_int_t)log->notes[i].samples));
		(void)json_array_append_new(list, object);
	}
	return list;
}

static json_t *lane_json(const struct health_lane *lane)
{
	json_t *object = json_object();
	set(object, "known", json_boolean(lane->log != NULL));
	set(object, "reason", lane->log ? json_null() : text_json(lane->reason));
	if (!lane->log)
		return object;
	set(object, "interval_s", number(ns_to_s(lane->log->interval_ns)));
	set(object, "samples", json_integer((json_int_t)lane->log->samples));
	set(object, "gaps", gaps_json(lane->log));
	set(object, "gaps_total", json_integer((json_int_t)lane->log->gap_count));
	set(object, "unknown", unknown_json(lane->log));
	set(object, "activities_lost", json_integer((json_int_t)lane->log->activities_lost));
	set(object, "series_lost", json_integer((json_int_t)lane->log->series_lost));
	set(object, "sample_ms", number(lane->sample_cost.mean));
	set(object, "sample_max_ms", number(lane->sample_cost.max));
	set(object, "own_cpu_share", lane->own_cpu_share < 0 ? json_null() : number(lane->own_cpu_share));
	set(object, "own_server_cpu_share",
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
		set(lanes, judge_lane_name(lane), lane_json(&judge->lanes[lane]));
	set(object, "lanes", lanes);
	set(object, "bin_s", number(ns_to_s(judge->bin_ns)));
	set(object, "bins", json_integer((json_int_t)bin_count(judge)));
	set(object, "figures", figures_json(judge));
	set(object, "waits", waits_json(judge));
	set(object, "waits_total", json_integer((json_int_t)judge->wait_count));
	set(object, "noise", noise_json(judge));
	set(object, "noise_total", json_integer((json_int_t)judge->noise.one_sided));
	set(object, "background_total", json_integer((json_int_t)judge->noise.count));
	set(object, "progress", progress_json(judge, &builds));
	set(object, "progress_total", json_integer((json_int_t)builds));
	set(object, "tables", keys_json(judge, "table.dead", "relation"));
	set(object, "slots", keys_json(judge, "slot.retained_bytes", "slot"));
	return object;
}
