/* The planned roll-out against the blackout calendar, and what of the calendar the recording saw (docs/rollout.md). */
#include "clock.h"
#include "json_file.h"
#include "judgement.h"
#include "mem.h"
#include "wall_time.h"

#include <math.h>

#define LISTED_DAYS   30
#define DAY_NS	      (INT64_C(86400) * NS_PER_S)
#define LISTED_MAX    200
#define WINDOW_MAX_NS (366 * DAY_NS)
#define MINUTE_LEN    16

static int64_t best_case_ns(const struct judgement *j)
{
	return j->has_production ? j->production.best_ns : 0;
}

/* What is held against the calendar: a year of it has every blackout that there is. */
static int64_t window_ns(const struct judgement *j)
{
	int64_t best_ns = best_case_ns(j);
	return best_ns < WINDOW_MAX_NS ? best_ns : WINDOW_MAX_NS;
}

/* The blackouts that the planned roll-out falls or runs into, by start. To be released. */
static void find_hits(const struct judgement *j, struct blackout_spans *hits)
{
	int64_t planned_ns = j->rollout->planned_ns;
	blackout_calendar_list(&j->rollout->calendar, planned_ns, planned_ns + window_ns(j), hits);
}

/* "2026-12-01 22:00", in the calendar's zone */
static void format_minute(const struct judgement *j, int64_t ns, char out[RFC3339_MAX])
{
	blackout_calendar_format_time(&j->rollout->calendar, ns, out);
	out[10] = ' ';
	out[MINUTE_LEN] = '\0';
}

/* "the next free moment is 2026-12-02 06:00" */
static char *free_words(const struct judgement *j)
{
	const struct blackout_calendar *calendar = &j->rollout->calendar;
	int64_t free_ns;
	char at[RFC3339_MAX];
	if (!blackout_calendar_find_free(calendar, j->rollout->planned_ns, best_case_ns(j), &free_ns))
		return mem_strdup("no time within a year is free for so long");
	format_minute(j, free_ns, at);
	return mem_printf("the next free moment is %s", at);
}

static char *hit_sentence(const struct judgement *j, const struct blackout_span *span)
{
	const struct blackout_calendar *calendar = &j->rollout->calendar;
	const struct blackout_entry *entry = &calendar->entries[span->entry];
	char planned[RFC3339_MAX];
	char from[RFC3339_MAX];
	char to[RFC3339_MAX];
	char best[DURATION_TEXT_MAX];
	char *text;
	bool inside = span->start_ns <= j->rollout->planned_ns;
	format_minute(j, j->rollout->planned_ns, planned);
	format_minute(j, span->start_ns, from);
	format_minute(j, span->end_ns, to);
	clock_format_duration(best_case_ns(j), best);
	char *free_text = free_words(j);
	const char *zone = calendar->time_zone ? calendar->time_zone : "local time";
	if (inside)
		text = mem_printf(
			"the roll-out planned for %s (%s) falls into the blackout `%s` (%s), from %s to %s; %s",
			planned, zone, entry->name, entry->rule.text, from, to, free_text);
	else
		text = mem_printf("the roll-out planned for %s (%s) takes %s at best, and runs into the blackout `%s` "
				  "(%s), from %s to %s; %s",
				  planned, zone, best, entry->name, entry->rule.text, from, to, free_text);
	free(free_text);
	return text;
}

void judgement_apply_blackout_rule(struct judgement *j)
{
	struct blackout_spans hits;
	if (!j->rollout->planned)
		return;
	find_hits(j, &hits);
	/* Of a daily blackout the first is worth a word. */
	bool *told = mem_zalloc(j->rollout->calendar.count + 1, sizeof(*told));
	for (size_t i = 0; i < hits.count; i++) {
		if (told[hits.items[i].entry])
			continue;
		told[hits.items[i].entry] = true;
		const char *name = j->rollout->calendar.entries[hits.items[i].entry].name;
		struct rule_result *r = judgement_add_rule(j, "migration.blackout", name, 1);
		if (r->result != THRESHOLD_PASS)
			r->sentence = hit_sentence(j, &hits.items[i]);
	}
	if (hits.count == 0)
		(void)judgement_add_rule(j, "migration.blackout", "", 0);
	free(told);
	blackout_spans_release(&hits);
}

static json_t *time_json(const struct judgement *j, int64_t ns)
{
	char text[RFC3339_MAX];
	blackout_calendar_format_time(&j->rollout->calendar, ns, text);
	return json_string(text);
}

static json_t *span_json(const struct judgement *j, const struct blackout_span *span)
{
	const struct blackout_entry *entry = &j->rollout->calendar.entries[span->entry];
	json_t *object = json_object();
	json_put(object, "name", json_text(entry->name));
	json_put(object, "rule", json_text(entry->rule.text));
	json_put(object, "start", time_json(j, span->start_ns));
	json_put(object, "end", time_json(j, span->end_ns));
	return object;
}

static json_t *spans_json(const struct judgement *j, const struct blackout_spans *spans)
{
	json_t *list = json_array();
	for (size_t i = 0; i < spans->count && i < LISTED_MAX; i++)
		(void)json_array_append_new(list, span_json(j, &spans->items[i]));
	return list;
}

/* When the replayed part of the traffic was recorded; false when the replay file does not say. */
static bool find_recorded(const struct judgement *j, int64_t *from_ns, int64_t *to_ns)
{
	struct error ignored = ERROR_INIT;
	const json_t *file = json_object_get(j->data.run, "replay_file");
	const json_t *capture = json_object_get(file, "capture");
	const char *first = json_string_value(json_object_get(capture, "first_time"));
	const char *last = json_string_value(json_object_get(capture, "last_time"));
	const json_t *start = json_object_get(file, "start_at_s");
	const json_t *stop = json_object_get(file, "stop_at_s");
	int64_t first_ns;
	int64_t last_ns;
	if (!first || !last || wall_time_parse(first, &first_ns, &ignored) < 0 ||
	    wall_time_parse(last, &last_ns, &ignored) < 0)
		return false;
	*from_ns = first_ns;
	*to_ns = last_ns;
	if (json_is_number(start) && json_number_value(start) < 1e9)
		*from_ns += (int64_t)(json_number_value(start) * 1e9);
	if (json_is_number(stop) && json_number_value(stop) > 0 && json_number_value(stop) < 1e9 &&
	    first_ns + (int64_t)(json_number_value(stop) * 1e9) < last_ns)
		*to_ns = first_ns + (int64_t)(json_number_value(stop) * 1e9);
	return *from_ns <= *to_ns;
}

/* How much of an entry's time is in the recording. */
static int64_t recorded_of(const struct blackout_spans *recorded, size_t entry, int64_t from_ns, int64_t to_ns)
{
	int64_t sum_ns = 0;
	for (size_t i = 0; i < recorded->count; i++) {
		const struct blackout_span *span = &recorded->items[i];
		int64_t start_ns = span->start_ns > from_ns ? span->start_ns : from_ns;
		int64_t end_ns = span->end_ns < to_ns ? span->end_ns : to_ns;
		if (span->entry == entry && end_ns > start_ns)
			sum_ns += end_ns - start_ns;
	}
	return sum_ns;
}

static json_t *entries_json(const struct judgement *j, const struct blackout_spans *listed)
{
	const struct blackout_calendar *calendar = &j->rollout->calendar;
	struct blackout_spans recorded = {0};
	int64_t from_ns = 0;
	int64_t to_ns = 0;
	bool known = find_recorded(j, &from_ns, &to_ns);
	json_t *list = json_array();
	if (known)
		blackout_calendar_list(calendar, from_ns, to_ns, &recorded);
	for (size_t e = 0; e < calendar->count; e++) {
		size_t count = 0;
		const struct blackout_span *next = NULL;
		for (size_t i = 0; i < listed->count; i++) {
			if (listed->items[i].entry != e)
				continue;
			next = next ? next : &listed->items[i];
			count++;
		}
		json_t *object = json_object();
		json_put(object, "name", json_text(calendar->entries[e].name));
		json_put(object, "rule", json_text(calendar->entries[e].rule.text));
		json_put(object, "next_start", next ? time_json(j, next->start_ns) : json_null());
		json_put(object, "next_end", next ? time_json(j, next->end_ns) : json_null());
		json_put(object, "count", json_integer((json_int_t)count));
		json_put(object, "recorded_s",
			 known ? json_real(round(ns_to_s(recorded_of(&recorded, e, from_ns, to_ns)) * 1e3) / 1e3)
			       : json_null());
		(void)json_array_append_new(list, object);
	}
	blackout_spans_release(&recorded);
	return list;
}

/* When the list begins: at the planned time, else at the run's, so that a run judged twice says the same. */
static int64_t listed_from(const struct judgement *j)
{
	struct error ignored = ERROR_INIT;
	int64_t from_ns;
	const char *start = json_string_value(json_object_get(j->data.run, "start_time"));
	if (j->rollout->planned)
		return j->rollout->planned_ns;
	return start && wall_time_parse(start, &from_ns, &ignored) == 0 ? from_ns : clock_wall_ns();
}

static void put_plan(const struct judgement *j, json_t *object)
{
	struct blackout_spans hits = {0};
	int64_t free_ns = 0;
	int64_t planned_ns = j->rollout->planned_ns;
	bool planned = j->rollout->planned;
	bool found = false;
	if (planned) {
		found = blackout_calendar_find_free(&j->rollout->calendar, planned_ns, best_case_ns(j), &free_ns);
		find_hits(j, &hits);
	}
	json_put(object, "planned_at", planned ? time_json(j, planned_ns) : json_null());
	bool ends = planned && best_case_ns(j) <= WINDOW_MAX_NS;
	json_put(object, "planned_end", ends ? time_json(j, planned_ns + best_case_ns(j)) : json_null());
	json_put(object, "hits", spans_json(j, &hits));
	json_put(object, "next_free", found ? time_json(j, free_ns) : json_null());
	blackout_spans_release(&hits);
}

json_t *judgement_blackouts_json(const struct judgement *j)
{
	const struct blackout_calendar *calendar = &j->rollout->calendar;
	struct blackout_spans listed;
	int64_t from_ns = listed_from(j);
	int64_t recorded_from_ns = 0;
	int64_t recorded_to_ns = 0;
	bool known = find_recorded(j, &recorded_from_ns, &recorded_to_ns);
	if (calendar->count == 0 && !j->rollout->planned)
		return json_null();
	blackout_calendar_list(calendar, from_ns, from_ns + LISTED_DAYS * DAY_NS, &listed);
	json_t *object = json_object();
	json_put(object, "time_zone", json_text(calendar->time_zone));
	put_plan(j, object);
	json_put(object, "listed_from", time_json(j, from_ns));
	json_put(object, "listed_to", time_json(j, from_ns + LISTED_DAYS * DAY_NS));
	json_put(object, "listed", spans_json(j, &listed));
	json_put(object, "listed_total", json_integer((json_int_t)listed.count));
	json_put(object, "recorded_from", known ? time_json(j, recorded_from_ns) : json_null());
	json_put(object, "recorded_to", known ? time_json(j, recorded_to_ns) : json_null());
	json_put(object, "entries", entries_json(j, &listed));
	blackout_spans_release(&listed);
	return object;
}
