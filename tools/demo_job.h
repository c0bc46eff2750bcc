/*
 * A program that runs beside us: a thread that sits in process_run(), so that the program is told to end when we die,
 * whatever kills us (the kernel ties that to the thread that started it).
 */
#ifndef DEMO_JOB_H
#define DEMO_JOB_H

#include "error.h"
#include "process.h"
#include "strbuf.h"

#include <pthread.h>
#include <stdbool.h>

struct demo_job {
	pthread_t thread;
	bool started;
	struct process_options options; /* its strings must live until demo_job_wait() has returned */
	volatile bool stop;
	volatile bool ended;
	struct strbuf output;
	int exit_code;
	int rc;
	struct error err;
};

int demo_job_start(struct demo_job *job, const struct process_options *options, struct error *err);
/* Asks it to end (SIGTERM). */
void demo_job_stop(struct demo_job *job);
/* Waits for its end; fine to call when it never began. A program that failed is ERR_INTERNAL with its last line. */
int demo_job_wait(struct demo_job *job, struct error *err);
/* The last line of what a program said, without its line end: the one that says why. */
const char *demo_last_line(struct strbuf *output);

#endif
