/*
 * Runs any program that migrates a database (Flyway, psql, a script of the team's) behind the tracing proxy, so that it
 * leaves the same ledger as our own runner does, with no setting in the tool: where the clone is, it learns from its
 * environment (tool_environment.h), and nothing else is to be reached from where it runs (tool_network.h).
 */
#ifndef COMMAND_RUNNER_H
#define COMMAND_RUNNER_H

#include "error.h"
#include "ledger.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

/* What to run. Zero is the default of everything but the command itself. */
struct tool_command {
	const char *shell;		  /* a line for /bin/sh; or */
	const char *const *argv;	  /* a program and its arguments, NULL-terminated */
	const char *name;		  /* in messages and the ledger; NULL: the program's file name */
	const char *directory;		  /* where it runs, NULL: where we are */
	const char *url_scheme;		  /* of the URLs in its environment; NULL: postgresql */
	const char *const *url_variables; /* further variables that get the URL */
	size_t url_variable_count;
	bool open_network; /* it may reach other servers than the clone */
	/* Each line that it prints, cleaned for a terminal: true when it was for us, and not for the user. May be NULL.
	 */
	bool (*line)(void *context, const char *line);
	void *line_context;
};

struct command_runner_options {
	const char *url; /* libpq URI of the migrating lane */
	const struct tool_command *command;
	int64_t t0_ns;			/* the run's start on clock_mono_ns(); the ledger's times count from it */
	int64_t start_at_ns;		/* when to begin, on clock_mono_ns(); 0 or past: at once */
	int64_t timeout_ns;		/* for all of it, 0 for none */
	int64_t grace_ns;		/* between SIGTERM and SIGKILL, 0 means 5 s */
	int64_t interval_ns;		/* between samples of a running statement's locks; 0 means 10 ms */
	const volatile bool *cancelled; /* may be NULL */
	_Atomic uint32_t *statement_no; /* may be NULL; how many statements have begun, for display */
};

/*
 * What can be known to be wrong before there is a clone: ERR_UNAVAILABLE for a program that cannot be found, ERR_USAGE
 * for an empty command, or a line that the shell does not understand.
 */
int command_runner_check(const struct tool_command *command, struct error *err);
/*
 * Runs it and fills *ledger (initialised by the caller). A tool that fails, is killed, takes too long or is interrupted
 * is an outcome in the ledger and answers 0, and its last lines go to the log. ERR_UNAVAILABLE when the clone is not
 * there, or the tool turns out not to be.
 */
int command_runner_run(const struct command_runner_options *options, struct ledger *ledger, struct error *err);

#endif
