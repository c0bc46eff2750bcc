/* Wall-clock time: zones by name, local times that happen twice or never, and what people write. */
#include "wall_time.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

static void enter(struct wall_zone *zone, const char *name)
{
	struct error err = ERROR_INIT;
	if (wall_zone_enter(zone, name, &err) < 0)
		fail_msg("%s", err.text);
}

static void test_zones(void **state)
{
	(void)state;
	static const char *const none[] = {"",	     "Europe/Nowhere", "/etc/passwd", "../../etc/passwd",
					   "Europe", "tzdata.zi"};
	struct wall_zone zone;
	char text[RFC3339_MAX];
	(void)setenv("TZ", "America/New_York", 1);
	for (size_t i = 0; i < sizeof(none) / sizeof(*none); i++) {
		struct error err = ERROR_INIT;
		assert_int_equal(wall_zone_enter(&zone, none[i], &err), -ERR_USAGE);
		assert_non_null(strstr(err.text, "is no time zone"));
	}
	enter(&zone, "Europe/Zurich");
	wall_time_format(1782864000 * NS_PER_S, text);
	assert_string_equal(text, "2026-07-01T02:00:00+02:00");
	wall_zone_leave(&zone);
	assert_string_equal(getenv("TZ"), "America/New_York");
	wall_time_format(1782864000 * NS_PER_S, text);
	assert_string_equal(text, "2026-06-30T20:00:00-04:00");
	(void)unsetenv("TZ");
	enter(&zone, "Asia/Kolkata");
	wall_time_format(0, text);
	assert_string_equal(text, "1970-01-01T05:30:00+05:30");
	wall_zone_leave(&zone);
	assert_null(getenv("TZ"));
}

static void test_twice_and_never(void **state)
{
	(void)state;
	static const struct {
		const char *zone, *local;
		enum wall_time_kind kind;
		int64_t first_s, last_s;
	} cases[] = {
		{"Europe/Zurich", "2026-03-29 01:59", WALL_TIME_ONCE, 1774745940, 1774745940},
		{"Europe/Zurich", "2026-03-29 02:00", WALL_TIME_SKIPPED, 1774746000, 1774746000},
		{"Europe/Zurich", "2026-03-29 02:30", WALL_TIME_SKIPPED, 1774746000, 1774746000},
		{"Europe/Zurich", "2026-03-29 03:00", WALL_TIME_ONCE, 1774746000, 1774746000},
		{"Europe/Zurich", "2026-10-25 01:59", WALL_TIME_ONCE, 1792886340, 1792886340},
		{"Europe/Zurich", "2026-10-25 02:30", WALL_TIME_TWICE, 1792888200, 1792891800},
		{"Europe/Zurich", "2026-10-25 03:00", WALL_TIME_ONCE, 1792893600, 1792893600},
		/* A day that a zone left out, without summer time. */
		{"Pacific/Apia", "2011-12-30 12:00", WALL_TIME_SKIPPED, 1325239200, 1325239200},
		{"Pacific/Apia", "2011-12-31 00:00", WALL_TIME_ONCE, 1325239200, 1325239200},
		/* Half an hour of summer time. */
		{"Australia/Lord_Howe", "2026-04-05 01:45", WALL_TIME_TWICE, 1775313900, 1775315700},
		{"UTC", "2028-02-29 00:00", WALL_TIME_ONCE, 1835395200, 1835395200},
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		struct wall_zone zone;
		struct tm tm;
		int64_t first_s;
		int64_t last_s;
		enter(&zone, cases[i].zone);
		assert_true(wall_time_read_minute(cases[i].local, &tm));
		enum wall_time_kind kind = wall_time_find(&tm, &first_s, &last_s);
		if (kind != cases[i].kind || first_s != cases[i].first_s || last_s != cases[i].last_s)
			fail_msg("%s: kind %d, %lld, %lld", cases[i].local, (int)kind, (long long)first_s,
				 (long long)last_s);
		wall_zone_leave(&zone);
	}
}

static void test_planned_times(void **state)
{
	(void)state;
	static const struct {
		const char *text;
		int64_t ns; /* -1: refused */
	} cases[] = {
		{"2026-12-01 22:00", 1796158800 * NS_PER_S},
		{"2026-12-01T22:00", 1796158800 * NS_PER_S},
		{"2026-12-01 22:00:30.5", 1796158830 * NS_PER_S + NS_PER_S / 2},
		{"2026-12-01T22:00:00+01:00", 1796158800 * NS_PER_S},
		{"2026-12-01T21:00:00Z", 1796158800 * NS_PER_S},
		{"2026-12-01 21:00 UTC", 1796158800 * NS_PER_S},
		{"2026-12-01T16:00:00-0500", 1796158800 * NS_PER_S},
		{"2026-10-25 02:30", 1792888200 * NS_PER_S},
		{"2026-03-29 02:30", -1},
		{"2026-02-29 12:00", -1},
		{"2028-02-29 12:00", 1835434800 * NS_PER_S},
		{"2026-12-01", -1},
		{"tomorrow", -1},
		{"", -1},
		{"2026-12-01 24:00", -1},
		{"2026-12-01 22:60", -1},
		{"2026-13-01 22:00", -1},
		{"2026-12-01 22:00 CET", -1},
		{"2026-12-01 22:00x", -1},
		{"2026-12-01 22:00:", -1},
		{"1969-12-01 22:00", -1},
	};
	struct wall_zone zone;
	enter(&zone, "Europe/Zurich");
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		struct error err = ERROR_INIT;
		int64_t ns = 0;
		int rc = wall_time_parse(cases[i].text, &ns, &err);
		if (cases[i].ns < 0 ? rc != -ERR_USAGE || !*err.text : rc != 0 || ns != cases[i].ns)
			fail_msg("'%s': %d %s %lld", cases[i].text, rc, err.text, (long long)ns);
	}
	wall_zone_leave(&zone);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_zones),
		cmocka_unit_test(test_twice_and_never),
		cmocka_unit_test(test_planned_times),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
