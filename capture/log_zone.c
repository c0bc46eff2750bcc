/* Time stamps of logs as UTC: see log_zone.h. Stamps come in order, so the last minute seen is kept with its answer. */
#include "log_zone.h"

#include "clock.h"
#include "mem.h"

#include <unistd.h>

#define MINUTE_LEN 16 /* "2026-11-21 20:08" */
#define ZONE_MAX   32

struct log_zone {
	char *name;   /* the user's, or NULL */
	char *old_tz; /* what TZ was, or NULL */
	char minute[MINUTE_LEN];
	char suffix[ZONE_MAX];
	size_t suffix_len;
	int64_t minute_s; /* UTC seconds of that minute */
};

int log_zone_open(const char *name, struct log_zone **out, struct error *err)
{
	struct log_zone *zone = mem_zalloc(1, sizeof(*zone));
	if (name) {
		char *path = mem_printf("/usr/share/zoneinfo/%s", name);
		bool known = *name && *name != '/' && !strstr(name, "..") && access(path, R_OK) == 0;
		free(path);
		if (!known) {
			free(zone);
			return error_set(err, ERR_USAGE, "%s is no time zone of this system's database", name);
		}
		const char *old = getenv("TZ");
		zone->old_tz = old ? mem_strdup(old) : NULL;
		zone->name = mem_strdup(name);
		(void)setenv("TZ", name, 1);
		tzset();
	}
	*out = zone;
	return 0;
}

void log_zone_free(struct log_zone *zone)
{
	if (!zone)
		return;
	if (zone->name) {
		if (zone->old_tz)
			(void)setenv("TZ", zone->old_tz, 1);
		else
			(void)unsetenv("TZ");
		tzset();
	}
	free(zone->name);
	free(zone->old_tz);
	free(zone);
}

bool log_zone_is_named(const struct log_zone *zone)
{
	return zone->name != NULL;
}

static bool digits(const char *p, size_t n, int *out)
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

/* "YYYY-MM-DD HH:MM" */
static bool read_minute(const char *p, struct tm *tm)
{
	*tm = (struct tm){.tm_isdst = -1};
	if (!digits(p, 4, &tm->tm_year) || !digits(p + 5, 2, &tm->tm_mon) || !digits(p + 8, 2, &tm->tm_mday) ||
	    !digits(p + 11, 2, &tm->tm_hour) || !digits(p + 14, 2, &tm->tm_min))
		return false;
	if (p[4] != '-' || p[7] != '-' || p[10] != ' ' || p[13] != ':')
		return false;
	tm->tm_year -= 1900;
	tm->tm_mon -= 1;
	/* years from 1970 to 2200: nanoseconds fit, and no log is from elsewhere */
	return tm->tm_year >= 70 && tm->tm_year <= 300 && tm->tm_mon >= 0 && tm->tm_mon < 12 && tm->tm_mday >= 1 &&
	       tm->tm_mday <= 31 && tm->tm_hour < 24 && tm->tm_min < 60;
}

/* "+02", "-0330", "+05:30" */
static bool numeric_offset(struct span text, int *out_s)
{
	int hours = 0;
	int minutes = 0;
	if (text.len < 3 || (text.p[0] != '+' && text.p[0] != '-') || !digits(text.p + 1, 2, &hours))
		return false;
	size_t at = text.len > 3 && text.p[3] == ':' ? 4 : 3;
	if (text.len != 3 && (text.len != at + 2 || !digits(text.p + at, 2, &minutes)))
		return false;
	*out_s = (hours * 60 + minutes) * 60 * (text.p[0] == '-' ? -1 : 1);
	return true;
}

/* In the named zone: the one of both readings of a local time that bears the abbreviation. */
static bool named_time(const struct tm *local, struct span abbreviation, int64_t last_s, int64_t *out_s)
{
	bool found = false;
	/* Summer time first: it is the earlier of two readings, and the later one holds only behind it. */
	for (int dst = 1; dst >= 0; dst--) {
		struct tm tm = *local;
		tm.tm_isdst = dst;
		time_t t = mktime(&tm);
		if (t != (time_t)-1 && tm.tm_isdst == dst && tm.tm_hour == local->tm_hour &&
		    tm.tm_min == local->tm_min && span_equal_str(abbreviation, tm.tm_zone)) {
			if (found && last_s < t)
				return true;
			*out_s = t;
			found = true;
		}
	}
	return found;
}

static int resolve_minute(struct log_zone *zone, const char *minute, struct span suffix, struct error *err)
{
	struct tm tm;
	if (!read_minute(minute, &tm))
		return 1;
	struct tm utc = tm;
	int64_t seconds = timegm(&utc);
	if (utc.tm_mday != tm.tm_mday)
		return 1; /* the 31st of February */
	int offset_s = 0;
	bool is_utc = span_equal_str(suffix, "UTC") || span_equal_str(suffix, "GMT") || span_equal_str(suffix, "Z");
	if (is_utc) {
		offset_s = 0;
	} else if (numeric_offset(suffix, &offset_s)) {
		seconds -= offset_s;
	} else if (!zone->name) {
		return error_set(err, ERR_DATA,
				 "time zone %.*s names no offset; give the zone's full name with --log-timezone",
				 (int)suffix.len, suffix.p);
	} else if (!named_time(&tm, suffix, zone->minute_s, &seconds)) {
		return error_set(err, ERR_DATA, "time zone %.*s does not occur in %s at %.16s", (int)suffix.len,
				 suffix.p, zone->name, minute);
	}
	memcpy(zone->minute, minute, MINUTE_LEN);
	memcpy(zone->suffix, suffix.p, suffix.len);
	zone->suffix_len = suffix.len;
	zone->minute_s = seconds;
	return 0;
}

static bool is_zone_name(struct span text)
{
	if (text.len == 0 || text.len > ZONE_MAX)
		return false;
	for (size_t i = 0; i < text.len; i++) {
		char c = text.p[i];
		bool letter = (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
		if (!letter && !strchr("+-:/_<>", c))
			return false;
	}
	return true;
}

int log_zone_parse(struct log_zone *zone, struct span text, int64_t *out_ns, struct error *err)
{
	int seconds;
	if (text.len < MINUTE_LEN + 5 || text.p[MINUTE_LEN] != ':' || !digits(text.p + MINUTE_LEN + 1, 2, &seconds) ||
	    seconds > 60)
		return 1;
	size_t at = MINUTE_LEN + 3;
	int64_t fraction_ns = 0;
	if (text.p[at] == '.') {
		int64_t unit = NS_PER_S / 10;
		for (at++; at < text.len && text.p[at] >= '0' && text.p[at] <= '9'; at++) {
			fraction_ns += (text.p[at] - '0') * unit;
			unit /= 10;
		}
	}
	if (at >= text.len || text.p[at] != ' ')
		return 1;
	struct span suffix = {text.p + at + 1, text.len - at - 1};
	if (zone->suffix_len == 0 || suffix.len != zone->suffix_len || memcmp(zone->minute, text.p, MINUTE_LEN) != 0 ||
	    memcmp(zone->suffix, suffix.p, suffix.len) != 0) {
		if (!is_zone_name(suffix))
			return 1;
		int rc = resolve_minute(zone, text.p, suffix, err);
		if (rc != 0)
			return rc;
	}
	*out_ns = (zone->minute_s + seconds) * NS_PER_S + fraction_ns;
	return 0;
}

bool log_zone_parse_given(const struct log_zone *zone, const char *text, int64_t *out_ns)
{
	char minute[MINUTE_LEN];
	struct tm tm;
	size_t len = strlen(text);
	if (len < MINUTE_LEN)
		return false;
	memcpy(minute, text, MINUTE_LEN);
	if (minute[10] == 'T' || minute[10] == 't')
		minute[10] = ' ';
	if (!read_minute(minute, &tm))
		return false;
	size_t at = MINUTE_LEN;
	int seconds = 0;
	int64_t fraction_ns = 0;
	if (text[at] == ':') {
		if (len < at + 3 || !digits(text + at + 1, 2, &seconds) || seconds > 60)
			return false;
		at += 3;
		if (text[at] == '.') {
			int64_t unit = NS_PER_S / 10;
			for (at++; text[at] >= '0' && text[at] <= '9'; at++, unit /= 10)
				fraction_ns += (text[at] - '0') * unit;
		}
	}
	struct span suffix = span_from_str(text + at + (text[at] == ' '));
	int offset_s = 0;
	struct tm copy = tm;
	int64_t whole_s = timegm(&copy);
	if (copy.tm_mday != tm.tm_mday)
		return false;
	if (suffix.len == 0 && zone && zone->name)
		whole_s = mktime(&tm);
	else if (numeric_offset(suffix, &offset_s))
		whole_s -= offset_s;
	else if (suffix.len > 0 && !span_equal_str(suffix, "Z") && !span_equal_str(suffix, "z") &&
		 !span_equal_str(suffix, "UTC"))
		return false;
	*out_ns = (whole_s + seconds) * NS_PER_S + fraction_ns;
	return true;
}
