/* Wall-clock time of people: see wall_time.h. */
#include "wall_time.h"

#include "mem.h"

#include <stdio.h>
#include <stdlib.h>

#define DAY_S	   86400
#define YEAR_FIRST 1970
#define YEAR_LAST  2200 /* nanoseconds fit, and nobody plans or records beyond */
#define CANDIDATES 2

/* A file of the zone database (tzfile(5)), and not one of the lists and folders beside them. */
static bool is_zone(const char *name)
{
	char magic[4] = "";
	if (!*name || *name == '/' || strstr(name, ".."))
		return false;
	char *path = mem_printf("/usr/share/zoneinfo/%s", name);
	FILE *file = fopen(path, "re");
	bool known = file && fread(magic, 1, sizeof(magic), file) == sizeof(magic) && memcmp(magic, "TZif", 4) == 0;
	if (file)
		(void)fclose(file);
	free(path);
	return known;
}

int wall_zone_enter(struct wall_zone *zone, const char *name, struct error *err)
{
	*zone = (struct wall_zone){0};
	if (!name)
		return 0;
	if (!is_zone(name))
		return error_set(err, ERR_USAGE, "%s is no time zone of this system's database", name);
	const char *old = getenv("TZ");
	zone->old_tz = old ? mem_strdup(old) : NULL;
	zone->name = mem_strdup(name);
	(void)setenv("TZ", name, 1);
	tzset();
	return 0;
}

void wall_zone_leave(struct wall_zone *zone)
{
	if (zone->name) {
		if (zone->old_tz)
			(void)setenv("TZ", zone->old_tz, 1);
		else
			(void)unsetenv("TZ");
		tzset();
	}
	free(zone->name);
	free(zone->old_tz);
	*zone = (struct wall_zone){0};
}

/* Seconds that local time is ahead of UTC at that moment. */
static int64_t offset_at(int64_t s)
{
	time_t when = (time_t)s;
	struct tm tm;
	return localtime_r(&when, &tm) ? tm.tm_gmtoff : 0;
}

/* The moment in (from, to] from which on the offset is that of `to`. There is one change between them. */
static int64_t find_change(int64_t from_s, int64_t to_s)
{
	int64_t after = offset_at(to_s);
	while (to_s - from_s > 1) {
		int64_t middle_s = from_s + (to_s - from_s) / 2;
		if (offset_at(middle_s) == after)
			to_s = middle_s;
		else
			from_s = middle_s;
	}
	return to_s;
}

/*
 * Without mktime(), which leaves to the C library what it makes of a time that is skipped or repeated. The offsets of
 * the day before and of the day after are the only ones that the time can have; it happens wherever one of them reads
 * back as itself.
 */
enum wall_time_kind wall_time_find(const struct tm *local, int64_t *first_s, int64_t *last_s)
{
	struct tm copy = *local;
	copy.tm_isdst = 0;
	int64_t as_utc = timegm(&copy);
	int64_t offsets[CANDIDATES] = {offset_at(as_utc - DAY_S), offset_at(as_utc + DAY_S)};
	int64_t found[CANDIDATES];
	int count = 0;
	for (int i = 0; i < CANDIDATES; i++) {
		int64_t s = as_utc - offsets[i];
		if (offset_at(s) == offsets[i] && (count == 0 || found[0] != s))
			found[count++] = s;
	}
	if (count == 0) {
		*first_s = *last_s = find_change(as_utc - DAY_S, as_utc + DAY_S);
		return WALL_TIME_SKIPPED;
	}
	*first_s = count == 2 && found[1] < found[0] ? found[1] : found[0];
	*last_s = count == 2 && found[1] > found[0] ? found[1] : found[0];
	return count == 2 ? WALL_TIME_TWICE : WALL_TIME_ONCE;
}

int64_t wall_day_number(int year, int month, int day)
{
	if (year < YEAR_FIRST || year > YEAR_LAST || month < 1 || month > 12 || day < 1 || day > 31)
		return -1;
	struct tm tm = {.tm_year = year - 1900, .tm_mon = month - 1, .tm_mday = day};
	int64_t number = timegm(&tm) / DAY_S;
	return tm.tm_mday == day ? number : -1;
}

bool wall_time_read_digits(const char *p, size_t n, int *out)
{
	int value = 0;
	for (size_t i = 0; i < n; i++) {
		if (p[i] < '0' || p[i] > '9')
			return false;
		value = value * 10 + (p[i] - '0');
	}
	*out = value;
	return true;
}

bool wall_time_read_minute(const char *p, struct tm *out)
{
	struct tm tm = {.tm_isdst = -1};
	if (!wall_time_read_digits(p, 4, &tm.tm_year) || p[4] != '-' || !wall_time_read_digits(p + 5, 2, &tm.tm_mon) ||
	    p[7] != '-' || !wall_time_read_digits(p + 8, 2, &tm.tm_mday) || p[10] != ' ' ||
	    !wall_time_read_digits(p + 11, 2, &tm.tm_hour) || p[13] != ':' ||
	    !wall_time_read_digits(p + 14, 2, &tm.tm_min))
		return false;
	if (tm.tm_year < YEAR_FIRST || tm.tm_year > YEAR_LAST || tm.tm_mon < 1 || tm.tm_mon > 12 || tm.tm_mday < 1 ||
	    tm.tm_mday > 31 || tm.tm_hour > 23 || tm.tm_min > 59)
		return false;
	tm.tm_year -= 1900;
	tm.tm_mon -= 1;
	struct tm copy = tm;
	(void)timegm(&copy);
	*out = tm;
	return copy.tm_mday == tm.tm_mday; /* not the 31st of February */
}

bool wall_time_read_offset(struct span text, int *out_s)
{
	int hours = 0;
	int minutes = 0;
	if (text.len < 3 || (text.p[0] != '+' && text.p[0] != '-') || !wall_time_read_digits(text.p + 1, 2, &hours))
		return false;
	size_t at = text.len > 3 && text.p[3] == ':' ? 4 : 3;
	if (text.len != 3 && (text.len != at + 2 || !wall_time_read_digits(text.p + at, 2, &minutes)))
		return false;
	*out_s = (hours * 60 + minutes) * 60 * (text.p[0] == '-' ? -1 : 1);
	return true;
}

bool wall_time_scan(const char *text, struct tm *minute, int64_t *rest_ns, struct span *zone)
{
	char copy[WALL_MINUTE_LEN];
	size_t len = strlen(text);
	if (len < WALL_MINUTE_LEN)
		return false;
	memcpy(copy, text, WALL_MINUTE_LEN);
	if (copy[10] == 'T' || copy[10] == 't')
		copy[10] = ' ';
	if (!wall_time_read_minute(copy, minute))
		return false;
	size_t at = WALL_MINUTE_LEN;
	int seconds = 0;
	int64_t fraction_ns = 0;
	if (text[at] == ':') {
		if (len < at + 3 || !wall_time_read_digits(text + at + 1, 2, &seconds) || seconds > 60)
			return false;
		at += 3;
		if (text[at] == '.') {
			int64_t unit = NS_PER_S / 10;
			for (at++; text[at] >= '0' && text[at] <= '9'; at++, unit /= 10)
				fraction_ns += (text[at] - '0') * unit;
		}
	}
	*rest_ns = seconds * NS_PER_S + fraction_ns;
	*zone = span_from_str(text + at + (text[at] == ' '));
	return true;
}

int wall_time_parse(const char *text, int64_t *out_ns, struct error *err)
{
	struct tm minute;
	int64_t rest_ns;
	struct span zone;
	int offset_s = 0;
	int64_t first_s;
	int64_t last_s;
	if (!wall_time_scan(text, &minute, &rest_ns, &zone))
		return error_set(err, ERR_USAGE,
				 "'%s' is no time such as '2026-12-01 22:00' or 2026-12-01T22:00:00+01:00", text);
	if (zone.len > 0) {
		bool utc = span_equal_str(zone, "Z") || span_equal_str(zone, "z") || span_equal_str(zone, "UTC");
		if (!utc && !wall_time_read_offset(zone, &offset_s))
			return error_set(err, ERR_USAGE, "'%s': '%s' is no offset such as +01:00, nor Z", text, zone.p);
		first_s = timegm(&minute) - offset_s;
	} else if (wall_time_find(&minute, &first_s, &last_s) == WALL_TIME_SKIPPED) {
		return error_set(err, ERR_USAGE, "'%s' does not happen: clocks are put forward then", text);
	}
	*out_ns = first_s * NS_PER_S + rest_ns;
	return 0;
}

void wall_time_format(int64_t wall_ns, char out[RFC3339_MAX])
{
	time_t when = (time_t)(wall_ns / NS_PER_S);
	struct tm tm;
	if (!localtime_r(&when, &tm)) {
		clock_format_rfc3339(wall_ns, out);
		return;
	}
	size_t len = strftime(out, RFC3339_MAX, "%Y-%m-%dT%H:%M:%S", &tm);
	long offset = tm.tm_gmtoff < 0 ? -tm.tm_gmtoff : tm.tm_gmtoff;
	(void)snprintf(out + len, RFC3339_MAX - len, "%c%02ld:%02ld", tm.tm_gmtoff < 0 ? '-' : '+', offset / 3600,
		       offset / 60 % 60);
}
