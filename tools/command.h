/*
 * A command of the program: its words, its option table and its function. Each lives in a cmd_*.c of its own that
 * defines one `const struct command`; commands.c lists them.
 */
#ifndef COMMAND_H
#define COMMAND_H

#include "config.h"
#include "error.h"
#include "options.h"

#include <stdbool.h>
#include <stddef.h>

struct command;

/* What a command's function gets. Its options are in its own storage, where its table says. */
struct command_call {
	const struct command *command;
	const char *name; /* as the user called it: an alias stays visible */
	char **arguments; /* what is not an option */
	size_t argument_count;
	const struct options_result *options; /* for options_given() */
	const struct config *config;	      /* for other sections: config_next(call->config, "thresholds", …) */
	bool json;			      /* one JSON object on stdout: output_json() */
	bool quiet;
	bool verbose;
};

struct command {
	const char *name;
	const char *alias;     /* second name, or NULL */
	const char *summary;   /* one line, lower case, no stop */
	const char *arguments; /* "LOG…", or "" */
	size_t arguments_min;
	size_t arguments_max;	      /* SIZE_MAX: as many as you like */
	const struct option *options; /* closed by OPT_END; NULL for none */
	/*
	 * Returns the exit code (0 to 3 for a verdict), or a negative code with err set: main prints err, one line, and
	 * exits with the code. Long work looks at interrupt_flag() (interrupt.h). Prints through output.h only.
	 */
	int (*run)(const struct command_call *call, struct error *err);
	const char *docs;     /* paragraphs for --help and the man page, parted by empty lines */
	const char *examples; /* command lines, one per line, or NULL */
};

/* NULL-terminated, in the order in which help shows them. */
extern const struct command *const commands[];
/* The options that every command has, closed by OPT_END. */
extern const struct option common_options[];

/* By name or alias, NULL when there is none. */
const struct command *command_find(const char *name);
/* The closest name to a mistyped one, or NULL. */
const char *command_suggest(const char *name);

#endif
