/*
 * The blackout calendar: when production is to be left alone, and what of it a recording has seen. From the section
 * [blackout] of the configuration:
 *
 *   time_zone = Europe/Zurich
 *   payroll = 15th 20:00-06:00, last day 20:00-06:00
 *   books = quarter end, fiscal year end 06-30
 *   backup = daily 02:00-04:00
 *
 * Hours are local time. A blackout that begins or ends in an hour that clocks repeat takes the longer way; in one that
 * they skip, the moment at which they skip it.
 */
#ifndef BLACKOUT_CALENDAR_H
#define BLACKOUT_CALENDAR_H

#include "blackout_rule.h"

#define BLACKOUT_RULES_MAX 200

struct blackout_entry {
	char name[60]; /* "payroll" */
	struct blackout_rule rule;
};

struct blackout_calendar {
	char *time_zone; /* NULL: the machine's */
	struct blackout_entry *entries;
	size_t count;
	size_t capacity;
};

/* One time that a rule holds; days that follow each other are one. */
struct blackout_span {
	size_t entry;
	int64_t start_ns; /* wall clock */
	int64_t end_ns;
};

struct blackout_spans {
	struct blackout_span *items; /* by start */
	size_t count;
	size_t capacity;
};

void blackout_calendar_init(struct blackout_calendar *calendar);
void blackout_calendar_release(struct blackout_calendar *calendar);
/* One line of the section. ERR_USAGE says what is wrong with it, the line's name first. */
int blackout_calendar_set(struct blackout_calendar *calendar, const char *name, const char *value, struct error *err);
/* A time in the calendar's zone, or with an offset (wall_time_parse()). */
int blackout_calendar_parse_time(const struct blackout_calendar *calendar, const char *text, int64_t *out_ns,
				 struct error *err);
/* "2026-12-01T22:00:00+01:00", in the calendar's zone. */
void blackout_calendar_format_time(const struct blackout_calendar *calendar, int64_t wall_ns, char *out);

/*
 * What touches the time from from_ns to to_ns (a moment, where both are the same), whole and by start. A span that goes
 * on for more than a year before or behind that is cut there. To be released.
 */
void blackout_calendar_list(const struct blackout_calendar *calendar, int64_t from_ns, int64_t to_ns,
			    struct blackout_spans *out);
void blackout_spans_release(struct blackout_spans *spans);
/* The first moment from from_ns on behind which length_ns are free; false when there is none within a year. */
bool blackout_calendar_find_free(const struct blackout_calendar *calendar, int64_t from_ns, int64_t length_ns,
				 int64_t *out_ns);

#endif
