/*
 * The health sampler: a thread and a connection of its own beside one lane, that asks the server once a second what
 * explains a slow minute: who waits for what, how old the oldest snapshot is, WAL, slots, dead rows, checkpoints,
 * vacuums, index builds, and, where the server runs on this machine, its processes' CPU time, memory and I/O
 * (docs/health.md has the list). Up to ten times a second it looks which sessions are active and what each waits for,
 * so that it can be said of each statement (health_pace.h). Samples go to the run directory as they come
 * (health_log.h).
 *
 * It never ends a run: what the server does not tell is not known, with the reason in the file, and a server that is
 * gone leaves a gap.
 */
#ifndef HEALTH_WATCH_H
#define HEALTH_WATCH_H

#include "error.h"

#include <stdint.h>

#define HEALTH_WATCH_APPLICATION "rehearse health watch"

struct health_watch_options {
	const char *url;      /* libpq URI of the lane */
	const char *lane;     /* "baseline" or "migrating", for the file */
	const char *out_path; /* health_log.h */
	int64_t t0_ns;	      /* the run's start on clock_mono_ns(); may lie ahead */
	int64_t interval_ns;  /* 0 means 1 s */
};

struct health_watch;

/* Opens the file and starts the thread, which connects. Fails only when the file or the thread cannot be had. */
int health_watch_start(const struct health_watch_options *options, struct health_watch **out, struct error *err);
/* Takes a last sample, ends the thread and completes the file. Frees the watch whatever the result. */
int health_watch_stop(struct health_watch *watch, struct error *err);
/* Ends the thread and leaves no file; NULL is fine. */
void health_watch_abort(struct health_watch *watch);

#endif
