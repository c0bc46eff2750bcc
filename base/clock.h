/*
 * Time. Everything that is measured uses one monotonic clock in nanoseconds (int64_t, suffix _ns); the wall clock, in
 * nanoseconds since 1970-01-01 UTC, appears only where logs are read and reports are written.
 */
#ifndef CLOCK_H
#define CLOCK_H

#include <stdint.h>

#define NS_PER_S  INT64_C(1000000000)
#define NS_PER_MS INT64_C(1000000)
#define NS_PER_US INT64_C(1000)

#define RFC3339_MAX 40

int64_t clock_mono_ns(void);
int64_t clock_wall_ns(void);
/* Sleeps until the monotonic clock shows deadline_ns; returns early when a signal handler has run. */
void clock_sleep_until_ns(int64_t deadline_ns);
/* "2026-11-21T20:08:01.123456Z" */
void clock_format_rfc3339(int64_t wall_ns, char out[RFC3339_MAX]);

#define DURATION_TEXT_MAX 40
/* For people, from microseconds to years: "0.4 ms", "120 ms", "2.31 s", "14 min 03 s", "2 h 10 min", "3 d 4 h". */
void clock_format_duration(int64_t ns, char out[DURATION_TEXT_MAX]);

static inline double ns_to_s(int64_t ns)
{
	return (double)ns / 1e9;
}

static inline double ns_to_ms(int64_t ns)
{
	return (double)ns / 1e6;
}

#endif
