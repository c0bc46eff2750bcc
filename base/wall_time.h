/*
 * Wall-clock time of people: time zones by name, and what is written as a date and a time of day. Zones are those of
 * the system's time zone database, through the C library, which knows one at a time: the process's (TZ). So a zone is
 * entered, asked, and left again, by one thread at a time.
 */
#ifndef WALL_TIME_H
#define WALL_TIME_H

#include "clock.h"
#include "error.h"
#include "span.h"

#include <stdbool.h>
#include <stdint.h>
#include <time.h>

#define WALL_MINUTE_LEN 16 /* "2026-11-21 20:08" */

struct wall_zone {
	char *name;   /* NULL: the machine's, and nothing was changed */
	char *old_tz; /* what TZ was, or NULL */
};

/* name: such as Europe/Zurich, NULL for the machine's. ERR_USAGE when there is no such zone; then nothing is entered.
 */
int wall_zone_enter(struct wall_zone *zone, const char *name, struct error *err);
void wall_zone_leave(struct wall_zone *zone);

/* How often a local time happens: clocks that are put back repeat an hour, clocks that are put forward skip one. */
enum wall_time_kind {
	WALL_TIME_ONCE,
	WALL_TIME_TWICE,
	WALL_TIME_SKIPPED
};

/*
 * A local time of the zone that is entered (year, month, day, hour and minute of *local, which may lie outside of their
 * ranges, as for mktime()) as seconds since 1970: the first and the last time that it happens. Of one that is skipped
 * both are the moment at which clocks skip it.
 */
enum wall_time_kind wall_time_find(const struct tm *local, int64_t *first_s, int64_t *last_s);

/* Days since 1970-01-01 of a date of the calendar, -1 for what is none; the years 1970 to 2200 are. */
int64_t wall_day_number(int year, int month, int day);

/* n digits; false when there is another character among them. */
bool wall_time_read_digits(const char *p, size_t n, int *out);
/* "YYYY-MM-DD HH:MM" at p, of the years 1970 to 2200, into a local time that exists in the calendar. */
bool wall_time_read_minute(const char *p, struct tm *out);
/* "+02", "-0330", "+05:30" */
bool wall_time_read_offset(struct span text, int *out_s);
/*
 * "2026-11-21T20:08:00.5+01:00", or with a blank for the T: the minute, what is behind it (seconds and fraction, which
 * may be missing), and the zone as it stands there, "" for none.
 */
bool wall_time_scan(const char *text, struct tm *minute, int64_t *rest_ns, struct span *zone);
/*
 * A time that a person plans: with an offset or Z, else local time of the zone that is entered. ERR_USAGE for what is
 * none, and for a local time that clocks skip; of one that they repeat it is the first.
 */
int wall_time_parse(const char *text, int64_t *out_ns, struct error *err);
/* "2026-11-21T20:08:01+01:00", in the zone that is entered. */
void wall_time_format(int64_t wall_ns, char out[RFC3339_MAX]);

#endif
