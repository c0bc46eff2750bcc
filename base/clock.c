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
