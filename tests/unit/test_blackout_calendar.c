/* The blackout calendar: rules, months and years, clocks that are changed, what is free, and what is no rule. */
#include "blackout_calendar.h"

#include "strbuf.h"
#include "wall_time.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

#define ZURICH "Europe/Zurich"

static void make(struct blackout_calendar *calendar, const char *zone, const char *rules)
{
	struct error err = ERROR_INIT;
	blackout_calendar_init(calendar);
	if (blackout_calendar_set(calendar, "time_zone", zone, &err) < 0 ||
	    blackout_calendar_set(calendar, "x", rules, &err) < 0)
		fail_msg("%s", err.text);
}

static int64_t time_of(const struct blackout_calendar *calendar, const char *text)
{
	struct error err = ERROR_INIT;
	int64_t ns = 0;
	if (blackout_calendar_parse_time(calendar, text, &ns, &err) < 0)
		fail_msg("%s", err.text);
	return ns;
}

/* Spans as "from to; from to", each to the minute and with its offset. */
static void list(const char *zone, const char *rules, const char *from, const char *to, const char *expected)
{
	struct blackout_calendar calendar;
	struct blackout_spans spans;
	struct strbuf text;
	make(&calendar, zone, rules);
	strbuf_init(&text, 100000);
	blackout_calendar_list(&calendar, time_of(&calendar, from), time_of(&calendar, to), &spans);
	for (size_t i = 0; i < spans.count; i++) {
		char start[RFC3339_MAX];
		char end[RFC3339_MAX];
		blackout_calendar_format_time(&calendar, spans.items[i].start_ns, start);
		blackout_calendar_format_time(&calendar, spans.items[i].end_ns, end);
		strbuf_addf(&text, "%s%.16s%.3s %.16s%.3s", i ? "; " : "", start, start + 19, end, end + 19);
	}
	if (strcmp(text.data, expected) != 0)
		fail_msg("%s\n  is  %s\n  not %s", rules, text.data, expected);
	strbuf_release(&text);
	blackout_spans_release(&spans);
	blackout_calendar_release(&calendar);
}

static void test_days_of_months(void **state)
{
	(void)state;
	list(ZURICH, "1st, 15th", "2026-11-20 00:00", "2026-12-20 00:00",
	     "2026-12-01T00:00+01 2026-12-02T00:00+01; 2026-12-15T00:00+01 2026-12-16T00:00+01");
	/* Months without a 31st have none; February's last day is the 28th, in a leap year the 29th. */
	list(ZURICH, "31st", "2027-02-01 00:00", "2027-06-01 00:00",
	     "2027-03-31T00:00+02 2027-04-01T00:00+02; 2027-05-31T00:00+02 2027-06-01T00:00+02");
	list(ZURICH, "last day", "2027-02-10 00:00", "2027-03-10 00:00", "2027-02-28T00:00+01 2027-03-01T00:00+01");
	list(ZURICH, "last day", "2028-02-10 00:00", "2028-03-10 00:00", "2028-02-29T00:00+01 2028-03-01T00:00+01");
	list(ZURICH, "29th", "2027-02-01 00:00", "2027-03-01 00:00", "");
	list(ZURICH, "29th", "2028-02-01 00:00", "2028-03-01 00:00", "2028-02-29T00:00+01 2028-03-01T00:00+01");
	/* Days that follow each other are one blackout. */
	list(ZURICH, "1st..3rd", "2026-12-02 12:00", "2026-12-02 12:00", "2026-12-01T00:00+01 2026-12-04T00:00+01");
	list(ZURICH, "quarter end", "2026-12-01 00:00", "2027-07-01 00:00",
	     "2026-12-31T00:00+01 2027-01-01T00:00+01; 2027-03-31T00:00+02 2027-04-01T00:00+02; "
	     "2027-06-30T00:00+02 2027-07-01T00:00+02");
}

static void test_days_of_years(void **state)
{
	(void)state;
	list(ZURICH, "fiscal year end 06-30", "2026-12-01 00:00", "2027-12-01 00:00",
	     "2027-06-30T00:00+02 2027-07-01T00:00+02");
	list(ZURICH, "fiscal year end 02-28", "2028-01-01 00:00", "2028-12-01 00:00",
	     "2028-02-29T00:00+01 2028-03-01T00:00+01");
	list(ZURICH, "fiscal year end 02-29", "2027-01-01 00:00", "2027-12-01 00:00",
	     "2027-02-28T00:00+01 2027-03-01T00:00+01");
	list(ZURICH, "02-29", "2026-01-01 00:00", "2028-12-01 00:00", "2028-02-29T00:00+01 2028-03-01T00:00+01");
	/* Across the year's end, asked in its middle. */
	list(ZURICH, "12-24..01-02", "2026-12-31 23:00", "2027-01-01 01:00", "2026-12-24T00:00+01 2027-01-03T00:00+01");
	list(ZURICH, "2026-12-24 .. 2027-01-02", "2026-12-31 23:00", "2028-01-01 01:00",
	     "2026-12-24T00:00+01 2027-01-03T00:00+01");
	list(ZURICH, "2026-12-24", "2027-12-01 00:00", "2027-12-31 00:00", "");
}

static void test_weekdays(void **state)
{
	(void)state;
	list(ZURICH, "Fri-Mon", "2026-12-01 00:00", "2026-12-08 00:00", "2026-12-04T00:00+01 2026-12-08T00:00+01");
	list(ZURICH, "saturday..SUN 22:00-23:00", "2026-12-01 00:00", "2026-12-08 00:00",
	     "2026-12-05T22:00+01 2026-12-05T23:00+01; 2026-12-06T22:00+01 2026-12-06T23:00+01");
	list(ZURICH, "Wed", "2026-12-01 00:00", "2026-12-08 00:00", "2026-12-02T00:00+01 2026-12-03T00:00+01");
}

static void test_hours(void **state)
{
	(void)state;
	/* Across midnight, across the month's and the year's end. */
	list(ZURICH, "last day 22:00-06:00", "2027-01-01 05:00", "2027-01-01 05:30",
	     "2026-12-31T22:00+01 2027-01-01T06:00+01");
	list(ZURICH, "last day 22:00-06:00", "2027-01-01 06:00", "2027-01-01 07:00", "");
	list(ZURICH, "daily 22:00-24:00", "2026-12-01 23:59", "2026-12-01 23:59",
	     "2026-12-01T22:00+01 2026-12-02T00:00+01");
	list(ZURICH, "2026-12-01..2026-12-02 08:00-09:00", "2026-12-01 00:00", "2026-12-03 00:00",
	     "2026-12-01T08:00+01 2026-12-01T09:00+01; 2026-12-02T08:00+01 2026-12-02T09:00+01");
	/* A moment touches what begins with it, and not what ends with it. */
	list(ZURICH, "daily 02:00-04:00", "2026-12-01 02:00", "2026-12-01 02:00",
	     "2026-12-01T02:00+01 2026-12-01T04:00+01");
	list(ZURICH, "daily 02:00-04:00", "2026-12-01 04:00", "2026-12-01 04:00", "");
	list(ZURICH, "daily 02:00-04:00", "2026-12-01 01:00", "2026-12-01 02:00", "");
}

static void test_clocks_that_change(void **state)
{
	(void)state;
	/* Forward: 02:00 to 03:00 on the 29th of March. An hour is gone; all of 02:00-03:00 is. */
	list(ZURICH, "daily 02:30-04:00", "2026-03-29 00:00", "2026-03-29 12:00",
	     "2026-03-29T03:00+02 2026-03-29T04:00+02");
	list(ZURICH, "daily 02:00-03:00", "2026-03-29 00:00", "2026-03-29 12:00", "");
	list(ZURICH, "daily 01:00-02:30", "2026-03-29 00:00", "2026-03-29 12:00",
	     "2026-03-29T01:00+01 2026-03-29T03:00+02");
	list(ZURICH, "Sun", "2026-03-29 12:00", "2026-03-29 12:00", "2026-03-29T00:00+01 2026-03-30T00:00+02");
	/* Back: 03:00 to 02:00 on the 25th of October. From the first 02:30 to the second. */
	list(ZURICH, "daily 02:15-02:45", "2026-10-25 00:00", "2026-10-25 12:00",
	     "2026-10-25T02:15+02 2026-10-25T02:45+01");
	list(ZURICH, "daily 22:00-02:30", "2026-10-25 01:00", "2026-10-25 12:00",
	     "2026-10-24T22:00+02 2026-10-25T02:30+01");
	list("America/New_York", "daily 01:30-04:00", "2026-11-01 00:00", "2026-11-01 12:00",
	     "2026-11-01T01:30-04 2026-11-01T04:00-05");
	list("UTC", "daily 02:00-03:00", "2026-03-29 00:00", "2026-03-29 12:00",
	     "2026-03-29T02:00+00 2026-03-29T03:00+00");
}

static void find(const char *rules, const char *from, int64_t minutes, const char *expected)
{
	struct blackout_calendar calendar;
	int64_t ns = 0;
	make(&calendar, ZURICH, rules);
	bool found = blackout_calendar_find_free(&calendar, time_of(&calendar, from), minutes * 60 * NS_PER_S, &ns);
	char text[RFC3339_MAX];
	blackout_calendar_format_time(&calendar, ns, text);
	text[16] = '\0';
	if (found != (expected != NULL) || (expected && strcmp(text, expected) != 0))
		fail_msg("%s from %s: %s", rules, from, found ? text : "none");
	blackout_calendar_release(&calendar);
}

static void test_what_is_free(void **state)
{
	(void)state;
	find("1st", "2026-11-30 12:00", 60, "2026-11-30T12:00");
	find("1st", "2026-12-01 12:00", 0, "2026-12-02T00:00");
	/* It would run into the 1st; what is free ends when it begins. */
	find("1st", "2026-11-30 23:30", 60, "2026-12-02T00:00");
	find("1st", "2026-11-30 23:00", 60, "2026-11-30T23:00");
	/* From one blackout into the next. */
	find("1st, 2nd 00:00-06:00, daily 07:00-09:00", "2026-12-01 12:00", 90, "2026-12-02T09:00");
	find("1st, 2nd 00:00-06:00, daily 07:00-09:00", "2026-12-01 12:00", 60, "2026-12-02T06:00");
	find("daily", "2026-12-01 12:00", 0, NULL);
	find("daily 00:00-12:00", "2026-12-01 11:00", 12 * 60, "2026-12-01T12:00");
	find("daily 00:00-12:00", "2026-12-01 11:00", 12 * 60 + 1, NULL);
	find("daily 00:00-12:00", "2026-12-01 11:00", INT64_C(100) * 365 * 24 * 60, NULL);
}

static void test_bad_rules(void **state)
{
	(void)state;
	static const struct {
		const char *value, *complaint;
	} cases[] = {
		{"", "x: a rule is missing"},
		{"1st,", "x: a rule is missing"},
		{"1st,,2nd", "x: a rule is missing"},
		{"32nd", "'32nd' does not begin with days"},
		{"1th", "'1th' does not begin"},
		{"11st", "'11st' does not begin"},
		{"0th", "'0th' does not begin"},
		{"5th..2nd", "does not begin"},
		{"Funday", "'funday' does not begin"},
		{"Mon-Funday", "does not begin"},
		{"Mon-12-24", "does not begin"},
		{"13-01", "does not begin"},
		{"02-30", "does not begin"},
		{"2026-02-29", "does not begin"},
		{"2027-01-02..2026-12-24", "does not begin"},
		{"12-24..2027-01-02", "does not begin"},
		{"fiscal year end", "does not say when"},
		{"fiscal year end 06-31", "does not begin"},
		{"02:00-04:00", "does not say on which days"},
		{"daily 2:00-4:00", "are no hours such as"},
		{"daily 02:00-02:00", "are no hours such as"},
		{"daily 25:00-26:00", "are no hours such as"},
		{"daily 24:00-02:00", "are no hours such as"},
		{"daily 02:60-03:00", "are no hours such as"},
		{"daily 22:00-24:01", "are no hours such as"},
		{"daily 02:00", "are no hours such as"},
		{"daily 02:00-04:00 UTC", "does not"},
		{"1st at noon", "does not begin"},
		{"1st "
		 "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
		 "is too long"},
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		struct blackout_calendar calendar;
		struct error err = ERROR_INIT;
		blackout_calendar_init(&calendar);
		int rc = blackout_calendar_set(&calendar, "x", cases[i].value, &err);
		if (rc != -ERR_USAGE || !strstr(err.text, cases[i].complaint) || strncmp(err.text, "x: ", 3) != 0 ||
		    strchr(err.text, '\n'))
			fail_msg("'%s': %d %s", cases[i].value, rc, err.text);
		blackout_calendar_release(&calendar);
	}
	struct blackout_calendar calendar;
	struct error err = ERROR_INIT;
	blackout_calendar_init(&calendar);
	assert_int_equal(blackout_calendar_set(&calendar, "time_zone", "Mars/Olympus", &err), -ERR_USAGE);
	assert_non_null(strstr(err.text, "time_zone: Mars/Olympus is no time zone"));
	blackout_calendar_release(&calendar);
}

/* Without a zone it is the machine's. */
static void test_machines_zone(void **state)
{
	(void)state;
	struct blackout_calendar calendar;
	char text[RFC3339_MAX];
	(void)setenv("TZ", "Asia/Tokyo", 1);
	tzset();
	blackout_calendar_init(&calendar);
	blackout_calendar_format_time(&calendar, time_of(&calendar, "2026-12-01 22:00"), text);
	assert_string_equal(text, "2026-12-01T22:00:00+09:00");
	(void)unsetenv("TZ");
	tzset();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_days_of_months),	   cmocka_unit_test(test_days_of_years),
		cmocka_unit_test(test_weekdays),	   cmocka_unit_test(test_hours),
		cmocka_unit_test(test_clocks_that_change), cmocka_unit_test(test_what_is_free),
		cmocka_unit_test(test_bad_rules),	   cmocka_unit_test(test_machines_zone),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
