/*
 * Running other programs (pg_basebackup, initdb, a user's migration tool) without a shell between, without leaving one
 * behind, and with their output where a message can use it.
 */
#ifndef PROCESS_H
#define PROCESS_H

#include "error.h"
#include "strbuf.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct process_options {
	const char *const *argv;	/* NULL-terminated; argv[0] is looked up in PATH unless it has a slash */
	const char *const *environment; /* NULL-terminated "NAME=value", added to ours; NULL for none */
	const char *const *without;	/* NULL-terminated names of ours that it does not get; "PG*" stands for all that
					   begin with PG; NULL for none */
	const char *directory;		/* working folder, NULL for ours */
	uid_t uid;			/* run as; (uid_t)-1 for ourselves. Groups are set to match */
	gid_t gid;
	int nice;	  /* added to our nice value */
	int stdin_fd;	  /* what it reads, -1: nothing */
	int stdout_fd;	  /* where its output goes, -1: collected */
	bool own_group;	  /* a process group of its own: a terminal's Ctrl-C does not reach it */
	bool own_session; /* the same, and no terminal: who asks a question there gets an error, not a long wait */
	/* process_start(): SIGTERM for it when the calling thread ends, kill -9 included. process_run() always does. */
	bool die_with_us;
	int64_t timeout_ns;	/* process_run(): stopped after it as when cancelled, and ERR_UNAVAILABLE; 0 for none */
	struct strbuf *results; /* process_run(): standard output, apart from what it says on standard error; when the
				   ceiling is near the oldest half goes. NULL: not apart */
	int namespaces[2];	/* of setns(2), entered in this order; 0 for none. The caller closes them */
};

#define PROCESS_OPTIONS_INIT                                                        \
	{                                                                           \
		.uid = (uid_t)-1, .gid = (gid_t)-1, .stdin_fd = -1, .stdout_fd = -1 \
	}

/*
 * Runs to its end. Standard error, and standard output unless it has an fd, are appended to output (may be NULL) up to
 * its ceiling. *cancelled, if given, is looked at every 50 ms: when it turns true the program gets SIGTERM, after 5 s
 * SIGKILL (with own_group its whole group), and the answer is ERR_INTERRUPTED. A program that cannot be found is
 * ERR_UNAVAILABLE. *exit_code gets the exit code, or 128 + signal; a program that ran and failed is not an error of
 * this function.
 */
int process_run(const struct process_options *options, const volatile bool *cancelled, struct strbuf *output,
		int *exit_code, struct error *err);
/* Starts it and returns its pid in *pid. The caller waits for it. Its output goes to stdout_fd (both streams), else
 * /dev/null. */
int process_start(const struct process_options *options, pid_t *pid, struct error *err);
/* Where PATH leads to for that name, or the name itself when it has a slash; to be freed. NULL: nowhere. */
char *process_find_program(const char *name);

#endif
