/* Waiting for the moment at which a migration is to begin: see runner_wait.h. */
#include "runner_wait.h"

#include "clock.h"
#include "stop_flag.h"

#define LOOK_NS (50 * NS_PER_MS)

void runner_wait_until(int64_t start_ns, const volatile bool *cancelled)
{
	for (int64_t now_ns; (now_ns = clock_mono_ns()) < start_ns && !stop_flag_is_set(cancelled);) {
		int64_t look_ns = now_ns + LOOK_NS;
		clock_sleep_until_ns(look_ns < start_ns ? look_ns : start_ns);
	}
}
