/*
 * The lock sampler: a thread and a connection of its own beside one lane, that asks every 10 ms who waits for a lock
 * and, only when somebody does, who stands in the way. Samples are joined into waits (lock_log.h). When two samples lie
 * more than 50 ms apart the time between is written down as a gap: what was not seen is not called quiet.
 */
#ifndef LOCK_WATCH_H
#define LOCK_WATCH_H

#include "error.h"

#include <stdint.h>

#define LOCK_WATCH_APPLICATION "rehearse lock watch"

struct lock_watch_options {
	const char *url;      /* libpq URI of the lane */
	const char *lane;     /* "baseline" or "migrating", for the file's header */
	const char *out_path; /* lock_log.h */
	int64_t t0_ns;	      /* the run's start on clock_mono_ns(); may lie ahead */
	int64_t interval_ns;  /* 0 means 10 ms */
};

struct lock_watch;

/* Connects, measures the server's clock against ours, and starts the thread. ERR_UNAVAILABLE without a connection. */
int lock_watch_start(const struct lock_watch_options *options, struct lock_watch **out, struct error *err);
/* Backends waiting for a lock at the last sample. Safe from any thread. */
uint32_t lock_watch_waiting(const struct lock_watch *watch);
/* Ends the thread and writes the file. Frees the watch whatever the result. */
int lock_watch_stop(struct lock_watch *watch, struct error *err);
/* Ends the thread and writes nothing; NULL is fine. */
void lock_watch_abort(struct lock_watch *watch);

#endif
