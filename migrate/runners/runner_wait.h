/* Waiting for the moment at which a migration is to begin. */
#ifndef RUNNER_WAIT_H
#define RUNNER_WAIT_H

#include <stdbool.h>
#include <stdint.h>

/* Until start_ns on clock_mono_ns(), or until *cancelled (may be NULL) is set. */
void runner_wait_until(int64_t start_ns, const volatile bool *cancelled);

#endif
