/*
 * A migration tool as a process: started in a group of its own, watched until it has ended, stopped when its time is
 * up or somebody wants to stop, and never left behind. What it prints may hold values: it goes to the person who runs
 * us, line by line and without control characters, and nowhere else.
 */
#ifndef TOOL_PROCESS_H
#define TOOL_PROCESS_H

#include "error.h"
#include "process.h"

#include <stdbool.h>
#include <stdint.h>

#define TOOL_LINE_MAX 400 /* of a line that is longer the rest is not shown */
#define TOOL_TAIL_MAX 20  /* last lines kept for when it fails */

enum tool_end {
	TOOL_EXITED,	 /* by itself, with an exit status */
	TOOL_DIED,	 /* of a signal that was not ours */
	TOOL_TIMED_OUT,	 /* ended by us */
	TOOL_INTERRUPTED /* ended by us */
};

struct tool_process_options {
	struct process_options process;	 /* its streams, group and death are set here */
	int64_t deadline_ns;		 /* on clock_mono_ns(), 0 for none */
	int64_t grace_ns;		 /* between SIGTERM and SIGKILL, 0 means 5 s */
	const volatile bool *cancelled;	 /* may be NULL */
	void (*stopping)(void *context); /* before the SIGTERM; may be NULL */
	/* Each line of its output; true when it was taken, and is not to be kept for the tail. May be NULL. */
	bool (*line)(void *context, const char *line);
	void *context;
};

struct tool_process_result {
	enum tool_end end;
	int exit_status; /* -1 unless it exited */
	int signal;	 /* that it died of, 0 unless it did */
	int64_t start_ns;
	int64_t end_ns;
	uint64_t line_count;
	char *tail[TOOL_TAIL_MAX]; /* the last lines, oldest first */
	size_t tail_count;
};

/*
 * Returns when it has ended and nothing of its group is left. However it ended is not an error of this function; a
 * program that cannot be found or started is (process.h). *result is to be released whatever the answer.
 */
int tool_process_run(const struct tool_process_options *options, struct tool_process_result *result, struct error *err);
void tool_process_result_release(struct tool_process_result *result);

#endif
