/* Time stamps of logs as UTC: see log_zone.h. Stamps come in order, so the last minute seen is kept with its answer. */
#include "log_zone.h"

#include "clock.h"
#include "mem.h"
#include "wall_time.h"

#define MINUTE_LEN WALL_MINUTE_LEN
#define ZONE_MAX   32

struct log_zone {
	struct wall_zone entered; /* the user's, if there is one */
	char minute[MINUTE_LEN];
	char suffix[ZONE_MAX];
	size_t suffix_len;
	int64_t minute_s; /* UTC seconds of that minute */
};

int log_zone_open(const char *name, struct log_zone **out, struct error *err)
{
	struct log_zone *zone = mem_zalloc(1, sizeof(*zone));
	int rc = wall_zone_enter(&zone->entered, name, err);
	if (rc < 0) {
		free(zone);
		return rc;
	}
	*out = zone;
	return 0;
}

void log_zone_free(struct log_zone *zone)
{
	if (!zone)
		return;
	wall_zone_leave(&zone->entered);
	free(zone);
}

bool log_zone_is_named(const struct log_zone *zone)
{
	return zone->entered.name != NULL;
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
	if (!wall_time_read_minute(minute, &tm))
		return 1;
	struct tm utc = tm;
	int64_t seconds = timegm(&utc);
	int offset_s = 0;
	bool is_utc = span_equal_str(suffix, "UTC") || span_equal_str(suffix, "GMT") || span_equal_str(suffix, "Z");
	if (is_utc) {
		offset_s = 0;
	} else if (wall_time_read_offset(suffix, &offset_s)) {
		seconds -= offset_s;
	} else if (!zone->entered.name) {
		return error_set(err, ERR_DATA,
				 "time zone %.*s names no offset; give the zone's full name with --log-timezone",
				 (int)suffix.len, suffix.p);
	} else if (!named_time(&tm, suffix, zone->minute_s, &seconds)) {
		return error_set(err, ERR_DATA, "time zone %.*s does not occur in %s at %.16s", (int)suffix.len,
				 suffix.p, zone->entered.name, minute);
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
	if (text.len < MINUTE_LEN + 5 || text.p[MINUTE_LEN] != ':' ||
	    !wall_time_read_digits(text.p + MINUTE_LEN + 1, 2, &seconds) || seconds > 60)
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
	struct tm tm;
	int64_t rest_ns;
	struct span suffix;
	int offset_s = 0;
	if (!wall_time_scan(text, &tm, &rest_ns, &suffix))
		return false;
	struct tm copy = tm;
	int64_t whole_s = timegm(&copy);
	if (suffix.len == 0 && zone && zone->entered.name)
		whole_s = mktime(&tm);
	else if (wall_time_read_offset(suffix, &offset_s))
		whole_s -= offset_s;
	else if (suffix.len > 0 && !span_equal_str(suffix, "Z") && !span_equal_str(suffix, "z") &&
		 !span_equal_str(suffix, "UTC"))
		return false;
	*out_ns = whole_s * NS_PER_S + rest_ns;
	return true;
}
