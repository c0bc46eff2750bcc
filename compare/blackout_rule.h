/*
 * One rule of the blackout calendar: on which days, and from when to when, nothing may be rolled out.
 *
 *   DAYS [HH:MM-HH:MM]      without hours: the whole day
 *
 * DAYS are
 *   daily
 *   1st, 15th, 1st..3rd     days of each month
 *   last day                of each month
 *   quarter end             the last day of March, June, September, December
 *   fiscal year end 06-30   that day of each year; 02-28 and 02-29 are February's last
 *   Mon, Saturday, Fri-Sun  days of the week
 *   12-24, 12-24..01-02     of each year
 *   2026-12-24, 2026-12-24..2027-01-02
 *
 * Hours that end at or before their beginning go on to the next day: the last day 22:00-06:00 ends on the 1st.
 */
#ifndef BLACKOUT_RULE_H
#define BLACKOUT_RULE_H

#include "error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum blackout_days {
	BLACKOUT_DAILY,
	BLACKOUT_MONTH_DAYS, /* first..last, from 1 */
	BLACKOUT_LAST_DAY,
	BLACKOUT_QUARTER_END,
	BLACKOUT_WEEKDAYS,  /* first..last, from Sunday = 0; may go over the week's end */
	BLACKOUT_YEAR_DAYS, /* first..last as month * 100 + day; may go over the year's end */
	BLACKOUT_DATES	    /* first..last as wall_day_number() */
};

struct blackout_rule {
	enum blackout_days days;
	int64_t first;
	int64_t last;
	int from_minute; /* of the day */
	int to_minute;	 /* behind from_minute; beyond 24 * 60 it is the next day's */
	char text[80];	 /* as written, with single blanks */
};

/* Text is not NUL-terminated. ERR_USAGE says what is wrong with it. */
int blackout_rule_parse(const char *text, size_t len, struct blackout_rule *rule, struct error *err);
/* Whether it holds on that day; hours that begin on it may end on the next. */
bool blackout_rule_is_on(const struct blackout_rule *rule, int64_t day_number);

#endif
