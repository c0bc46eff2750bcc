/* One rule of the blackout calendar: see blackout_rule.h. */
#include "blackout_rule.h"

#include "wall_time.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

#define DAY_MINUTES (24 * 60)
#define FEBRUARY    2

/* What the days of a rule are looked up by. */
struct civil_day {
	int month;
	int day;
	int weekday;
	bool last_of_month;
};

static struct civil_day civil_day_of(int64_t day_number)
{
	time_t today = (time_t)(day_number * DAY_MINUTES * 60);
	time_t tomorrow = today + DAY_MINUTES * 60;
	struct tm a;
	struct tm b;
	(void)gmtime_r(&today, &a);
	(void)gmtime_r(&tomorrow, &b);
	return (struct civil_day){a.tm_mon + 1, a.tm_mday, a.tm_wday, b.tm_mday == 1};
}

/* Between two that may go over an end: Fri..Mon, 12-24..01-02. */
static bool is_between(int64_t value, int64_t first, int64_t last)
{
	return first <= last ? value >= first && value <= last : value >= first || value <= last;
}

bool blackout_rule_is_on(const struct blackout_rule *rule, int64_t day_number)
{
	struct civil_day d = civil_day_of(day_number);
	switch (rule->days) {
	case BLACKOUT_MONTH_DAYS:
		return is_between(d.day, rule->first, rule->last);
	case BLACKOUT_LAST_DAY:
		return d.last_of_month;
	case BLACKOUT_QUARTER_END:
		return d.last_of_month && d.month % 3 == 0;
	case BLACKOUT_WEEKDAYS:
		return is_between(d.weekday, rule->first, rule->last);
	case BLACKOUT_YEAR_DAYS:
		/* The last day of February, whichever that is: only a fiscal year's end is written so. */
		if (rule->first == FEBRUARY * 100)
			return d.month == FEBRUARY && d.last_of_month;
		return is_between(d.month * 100 + d.day, rule->first, rule->last);
	case BLACKOUT_DATES:
		return is_between(day_number, rule->first, rule->last);
	case BLACKOUT_DAILY:
	default:
		return true;
	}
}

/* All of it is that pattern: 0 is a digit, anything else itself. */
static bool looks_like(const char *text, const char *pattern)
{
	for (; *pattern; text++, pattern++) {
		if (*pattern == '0' ? !isdigit((unsigned char)*text) : *text != *pattern)
			return false;
	}
	return *text == '\0';
}

/* "1st", "15th"; 0 for what is none. */
static int read_ordinal(const char *text)
{
	static const char *const endings[] = {"th", "st", "nd", "rd"};
	size_t digits = strspn(text, "0123456789");
	int day = 0;
	if (digits < 1 || digits > 2 || *text == '0' || !wall_time_read_digits(text, digits, &day) || day > 31)
		return 0;
	const char *ending = endings[day % 10 < 4 && day / 10 != 1 ? day % 10 : 0];
	return strcmp(text + digits, ending) == 0 ? day : 0;
}

/* "mon", "monday"; -1 for what is none. */
static int read_weekday(const char *text)
{
	static const char *const names[] = {"sunday",	"monday", "tuesday", "wednesday",
					    "thursday", "friday", "saturday"};
	for (int i = 0; i < 7; i++) {
		if (strcmp(text, names[i]) == 0 || (strlen(text) == 3 && strncmp(text, names[i], 3) == 0))
			return i;
	}
	return -1;
}

/* "12-24" as 1224; 0 for what is no day of any year. */
static int read_year_day(const char *text)
{
	int month = 0;
	int day = 0;
	if (!looks_like(text, "00-00"))
		return 0;
	(void)wall_time_read_digits(text, 2, &month);
	(void)wall_time_read_digits(text + 3, 2, &day);
	/* 2028 has a 29th of February. */
	return wall_day_number(2028, month, day) < 0 ? 0 : month * 100 + day;
}

/* "2026-12-24"; -1 for what is no date. */
static int64_t read_date(const char *text)
{
	int year = 0;
	int month = 0;
	int day = 0;
	if (!looks_like(text, "0000-00-00"))
		return -1;
	(void)wall_time_read_digits(text, 4, &year);
	(void)wall_time_read_digits(text + 5, 2, &month);
	(void)wall_time_read_digits(text + 8, 2, &day);
	return wall_day_number(year, month, day);
}

static bool set_days(struct blackout_rule *rule, enum blackout_days days, int64_t first, int64_t last, bool good)
{
	rule->days = days;
	rule->first = first;
	rule->last = last;
	return good;
}

/* One day or two of the same kind: the kinds look different, so that at most one of them takes it. */
static bool read_range(const char *first, const char *last, struct blackout_rule *rule)
{
	int64_t a = read_ordinal(first);
	int64_t b = read_ordinal(last);
	if (a || b)
		return set_days(rule, BLACKOUT_MONTH_DAYS, a, b, a && b && a <= b);
	a = read_weekday(first);
	b = read_weekday(last);
	if (a >= 0 || b >= 0)
		return set_days(rule, BLACKOUT_WEEKDAYS, a, b, a >= 0 && b >= 0);
	a = read_year_day(first);
	b = read_year_day(last);
	if (a || b)
		return set_days(rule, BLACKOUT_YEAR_DAYS, a, b, a && b);
	a = read_date(first);
	b = read_date(last);
	return set_days(rule, BLACKOUT_DATES, a, b, a >= 0 && b >= a);
}

static bool read_days(char *text, struct blackout_rule *rule)
{
	static const char fiscal[] = "fiscal year end ";
	if (strcmp(text, "daily") == 0)
		return set_days(rule, BLACKOUT_DAILY, 0, 0, true);
	if (strcmp(text, "last day") == 0)
		return set_days(rule, BLACKOUT_LAST_DAY, 0, 0, true);
	if (strcmp(text, "quarter end") == 0)
		return set_days(rule, BLACKOUT_QUARTER_END, 0, 0, true);
	if (strncmp(text, fiscal, sizeof(fiscal) - 1) == 0) {
		int day = read_year_day(text + sizeof(fiscal) - 1);
		int64_t first = day == FEBRUARY * 100 + 28 || day == FEBRUARY * 100 + 29 ? FEBRUARY * 100 : day;
		return set_days(rule, BLACKOUT_YEAR_DAYS, first, first, day > 0);
	}
	char *dots = strstr(text, "..");
	if (dots) {
		*dots = '\0';
		return read_range(text, dots + 2, rule);
	}
	/* Of weekdays a dash will do. */
	char *dash = isalpha((unsigned char)*text) ? strchr(text, '-') : NULL;
	if (dash) {
		*dash = '\0';
		return read_weekday(text) >= 0 && read_range(text, dash + 1, rule);
	}
	return read_range(text, text, rule);
}

/* "22:00-06:00"; midnight at the end may be 24:00. */
static bool read_hours(const char *text, struct blackout_rule *rule)
{
	int of[4];
	if (!looks_like(text, "00:00-00:00"))
		return false;
	for (int i = 0; i < 4; i++)
		(void)wall_time_read_digits(text + 3 * i, 2, &of[i]);
	rule->from_minute = of[0] * 60 + of[1];
	rule->to_minute = of[2] * 60 + of[3];
	if (of[0] > 23 || of[1] > 59 || of[3] > 59 || rule->to_minute > DAY_MINUTES ||
	    rule->from_minute == rule->to_minute)
		return false;
	if (rule->to_minute < rule->from_minute)
		rule->to_minute += DAY_MINUTES;
	return true;
}

/* Small letters, single blanks, none at the ends and around dots. False when it is too long. */
static bool normalize(const char *text, size_t len, char *out, size_t size)
{
	size_t n = 0;
	bool blank = false;
	for (size_t i = 0; i < len; i++) {
		if (isspace((unsigned char)text[i])) {
			blank = n > 0;
			continue;
		}
		if (n + 2 >= size)
			return false;
		if (blank && text[i] != '.' && out[n - 1] != '.')
			out[n++] = ' ';
		blank = false;
		out[n++] = (char)tolower((unsigned char)text[i]);
	}
	out[n] = '\0';
	return true;
}

int blackout_rule_parse(const char *text, size_t len, struct blackout_rule *rule, struct error *err)
{
	char days[sizeof(rule->text)];
	*rule = (struct blackout_rule){.to_minute = DAY_MINUTES};
	if (!normalize(text, len, rule->text, sizeof(rule->text)))
		return error_set(err, ERR_USAGE, "'%.*s…' is too long for a rule", 40, text);
	if (!*rule->text)
		return error_set(err, ERR_USAGE, "a rule is missing");
	(void)snprintf(days, sizeof(days), "%s", rule->text);
	char *colon = strchr(days, ':');
	char *hours = colon ? strrchr(days, ' ') : NULL;
	if (colon && (!hours || hours > colon))
		return error_set(err, ERR_USAGE, "'%s' does not say on which days: daily %s?", rule->text, rule->text);
	if (hours && !read_hours(hours + 1, rule))
		return error_set(err, ERR_USAGE, "'%s': '%s' are no hours such as 22:00-06:00", rule->text, hours + 1);
	if (hours)
		*hours = '\0';
	if (strcmp(days, "fiscal year end") == 0)
		return error_set(err, ERR_USAGE, "'%s' does not say when: fiscal year end 06-30?", rule->text);
	if (!read_days(days, rule))
		return error_set(err, ERR_USAGE,
				 "'%s' does not begin with days such as daily, 1st, last day, quarter end, fiscal year "
				 "end 06-30, Mon-Fri, 12-24, 2026-12-24..2027-01-02",
				 rule->text);
	return 0;
}
