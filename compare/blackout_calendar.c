/* The blackout calendar: see blackout_calendar.h. */
#include "blackout_calendar.h"

#include "mem.h"
#include "wall_time.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define DAY_S	     86400
#define DAY_NS	     (DAY_S * NS_PER_S)
#define YEAR_DAYS    366
#define DAY_MINUTES  (24 * 60)
#define NEVER_ENDING (2 * YEAR_DAYS * DAY_NS)

void blackout_calendar_init(struct blackout_calendar *calendar)
{
	*calendar = (struct blackout_calendar){0};
}

void blackout_calendar_release(struct blackout_calendar *calendar)
{
	free(calendar->time_zone);
	free(calendar->entries);
	blackout_calendar_init(calendar);
}

static int set_time_zone(struct blackout_calendar *calendar, const char *value, struct error *err)
{
	struct wall_zone zone;
	int rc = wall_zone_enter(&zone, value, err);
	if (rc < 0)
		return error_context(err, "time_zone");
	wall_zone_leave(&zone);
	free(calendar->time_zone);
	calendar->time_zone = mem_strdup(value);
	return 0;
}

int blackout_calendar_set(struct blackout_calendar *calendar, const char *name, const char *value, struct error *err)
{
	struct blackout_entry entry = {0};
	if (strcmp(name, "time_zone") == 0)
		return set_time_zone(calendar, value, err);
	if (!*name || strlen(name) >= sizeof(entry.name))
		return error_set(err, ERR_USAGE, "'%.40s': a blackout's name has 1 to %zu characters", name,
				 sizeof(entry.name) - 1);
	(void)snprintf(entry.name, sizeof(entry.name), "%s", name);
	for (const char *p = value;;) {
		size_t len = strcspn(p, ",");
		if (blackout_rule_parse(p, len, &entry.rule, err) < 0)
			return error_context(err, "%s", name);
		if (calendar->count == BLACKOUT_RULES_MAX)
			return error_set(err, ERR_USAGE, "%s: more than %d rules", name, BLACKOUT_RULES_MAX);
		MEM_GROW(calendar->entries, calendar->count, calendar->capacity);
		calendar->entries[calendar->count++] = entry;
		if (!p[len])
			return 0;
		p += len + 1;
	}
}

/* The zone was there when it was set; the machine's always is. */
static void enter(const struct blackout_calendar *calendar, struct wall_zone *zone)
{
	struct error ignored = ERROR_INIT;
	(void)wall_zone_enter(zone, calendar->time_zone, &ignored);
}

int blackout_calendar_parse_time(const struct blackout_calendar *calendar, const char *text, int64_t *out_ns,
				 struct error *err)
{
	struct wall_zone zone;
	enter(calendar, &zone);
	int rc = wall_time_parse(text, out_ns, err);
	wall_zone_leave(&zone);
	return rc;
}

void blackout_calendar_format_time(const struct blackout_calendar *calendar, int64_t wall_ns, char *out)
{
	struct wall_zone zone;
	enter(calendar, &zone);
	wall_time_format(wall_ns, out);
	wall_zone_leave(&zone);
}

/* A minute of a day, in the zone that is entered; beyond the day's last it is the next day's. */
static int64_t find_minute(int64_t day_number, int minute, bool last)
{
	time_t day = (time_t)(day_number * DAY_S);
	struct tm tm;
	int64_t first_s;
	int64_t last_s;
	(void)gmtime_r(&day, &tm);
	tm.tm_mday += minute / DAY_MINUTES;
	tm.tm_hour = minute % DAY_MINUTES / 60;
	tm.tm_min = minute % 60;
	(void)wall_time_find(&tm, &first_s, &last_s);
	return (last ? last_s : first_s) * NS_PER_S;
}

static bool touches(const struct blackout_span *span, int64_t from_ns, int64_t to_ns)
{
	return span->start_ns < to_ns + (from_ns == to_ns) && span->end_ns > from_ns;
}

static void add_span(struct blackout_spans *out, struct blackout_span span, int64_t from_ns, int64_t to_ns)
{
	if (!touches(&span, from_ns, to_ns))
		return;
	MEM_GROW(out->items, out->count, out->capacity);
	out->items[out->count++] = span;
}

/* The days of one rule, each with its hours; what meets is put together. */
static void list_entry(const struct blackout_calendar *calendar, size_t entry, int64_t from_ns, int64_t to_ns,
		       struct blackout_spans *out)
{
	const struct blackout_rule *rule = &calendar->entries[entry].rule;
	struct blackout_span open = {.entry = entry, .start_ns = 0, .end_ns = INT64_MIN};
	for (int64_t day = from_ns / DAY_NS - YEAR_DAYS; day <= to_ns / DAY_NS + YEAR_DAYS; day++) {
		if (!blackout_rule_is_on(rule, day))
			continue;
		int64_t start_ns = find_minute(day, rule->from_minute, false);
		int64_t end_ns = find_minute(day, rule->to_minute, true);
		if (end_ns <= start_ns)
			continue; /* both in an hour that clocks skip */
		if (start_ns <= open.end_ns) {
			open.end_ns = end_ns > open.end_ns ? end_ns : open.end_ns;
			continue;
		}
		if (open.end_ns > open.start_ns)
			add_span(out, open, from_ns, to_ns);
		open.start_ns = start_ns;
		open.end_ns = end_ns;
	}
	if (open.end_ns > open.start_ns)
		add_span(out, open, from_ns, to_ns);
}

static int compare_spans(const void *a, const void *b)
{
	const struct blackout_span *x = a;
	const struct blackout_span *y = b;
	if (x->start_ns != y->start_ns)
		return x->start_ns < y->start_ns ? -1 : 1;
	return (x->entry > y->entry) - (x->entry < y->entry);
}

void blackout_calendar_list(const struct blackout_calendar *calendar, int64_t from_ns, int64_t to_ns,
			    struct blackout_spans *out)
{
	struct wall_zone zone;
	*out = (struct blackout_spans){0};
	enter(calendar, &zone);
	for (size_t i = 0; i < calendar->count; i++)
		list_entry(calendar, i, from_ns, to_ns, out);
	wall_zone_leave(&zone);
	if (out->count)
		qsort(out->items, out->count, sizeof(*out->items), compare_spans);
}

void blackout_spans_release(struct blackout_spans *spans)
{
	free(spans->items);
	*spans = (struct blackout_spans){0};
}

bool blackout_calendar_find_free(const struct blackout_calendar *calendar, int64_t from_ns, int64_t length_ns,
				 int64_t *out_ns)
{
	struct blackout_spans spans;
	int64_t latest_ns = from_ns + YEAR_DAYS * DAY_NS;
	int64_t free_ns = from_ns;
	if (length_ns > NEVER_ENDING)
		return false;
	blackout_calendar_list(calendar, from_ns, latest_ns + length_ns, &spans);
	for (size_t i = 0; i < spans.count; i++) {
		if (touches(&spans.items[i], free_ns, free_ns + length_ns))
			free_ns = spans.items[i].end_ns;
	}
	blackout_spans_release(&spans);
	*out_ns = free_ns;
	return free_ns <= latest_ns;
}
