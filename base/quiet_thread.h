/*
 * A thread that takes no signals: Ctrl-C and its like are for the thread that started it, which looks at the program's
 * flags.
 */
#ifndef QUIET_THREAD_H
#define QUIET_THREAD_H

#include "error.h"

#include <pthread.h>

/* what names it in the message. ERR_INTERNAL when there can be none. */
int quiet_thread_start(pthread_t *thread, void *(*run)(void *), void *argument, const char *what, struct error *err);

#endif
