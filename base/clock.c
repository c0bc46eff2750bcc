/* Time: see clock.h. */
#include "clock.h"

#include <errno.h>
#include <time.h>

static int64_t read_clock(clockid_t id)
{
	struct timespec now;
	(void)clock_gettime(id, &now);
	return (int64_t)now.tv_sec * NS_PER_S + now.tv_nsec;
}

int64_t clock_mono_ns(void)
{
	return read_clock(CLOCK_MONOTONIC);
}

int64_t clock_wall_ns(void)
{
	return read_clock(CLOCK_REALTIME);
}

void clock_sleep_until_ns(int64_t deadline_ns)
{
	if (deadline_ns < 0)
		return;
	struct timespec until = {.tv_sec = deadline_ns / NS_PER_S, .tv_nsec = deadline_ns % NS_PER_S};
	(void)clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, NULL);
}

void clock_format_rfc3339(int64_t wall_ns, char out[RFC3339_MAX])
{
	int64_t seconds = wall_ns / NS_PER_S;
	int64_t rest = wall_ns % NS_PER_S;
	if (rest < 0) {
		rest += NS_PER_S;
		seconds--;
	}
	time_t when = (time_t)seconds;
	struct tm tm;
	if (!gmtime_r(&when, &tm)) {
		(void)snprintf(out, RFC3339_MAX, "1970-01-01T00:00:00.000000Z");
		return;
	}
	size_t len = strftime(out, RFC3339_MAX, "%Y-%m-%dT%H:%M:%S", &tm);
	(void)snprintf(out + len, RFC3339_MAX - len, ".%06lldZ", (long long)(rest / NS_PER_US));
}

void clock_format_duration(int64_t ns, char out[DURATION_TEXT_MAX])
{
	long long s = (long long)((ns + NS_PER_S / 2) / NS_PER_S);
	if (ns > 0 && ns < 10 * NS_PER_MS)
		(void)snprintf(out, DURATION_TEXT_MAX, "%.1f ms", ns_to_ms(ns));
	else if (ns < NS_PER_S)
		(void)snprintf(out, DURATION_TEXT_MAX, "%.0f ms", ns_to_ms(ns));
	else if (s < 100)
		(void)snprintf(out, DURATION_TEXT_MAX, s < 10 ? "%.2f s" : "%.1f s", ns_to_s(ns));
	else if (s < 2 * 3600)
		(void)snprintf(out, DURATION_TEXT_MAX, "%lld min %02lld s", s / 60, s % 60);
	else if (s < 48 * 3600)
		(void)snprintf(out, DURATION_TEXT_MAX, "%lld h %02lld min", s / 3600, s / 60 % 60);
	else
		(void)snprintf(out, DURATION_TEXT_MAX, "%lld d %lld h", s / 86400, s / 3600 % 24);
}
