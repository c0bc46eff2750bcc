/*
 * "Please stop": a flag that a signal handler or another thread sets, and that whatever takes long looks at. A plain
 * bool behind atomic accesses (what was written before it is set is seen by who sees it set), so that it can be handed
 * around as a pointer; NULL is a flag that nobody sets.
 */
#ifndef STOP_FLAG_H
#define STOP_FLAG_H

#include <stdbool.h>
#include <stddef.h>

static inline bool stop_flag_is_set(const volatile bool *flag)
{
	return flag != NULL && __atomic_load_n(flag, __ATOMIC_ACQUIRE);
}

static inline void stop_flag_set(volatile bool *flag)
{
	__atomic_store_n(flag, true, __ATOMIC_RELEASE);
}

static inline void stop_flag_clear(volatile bool *flag)
{
	__atomic_store_n(flag, false, __ATOMIC_RELEASE);
}

#endif
