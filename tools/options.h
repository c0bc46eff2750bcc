/*
 * One table per command says everything about its options, and everything that deals with options reads that table:
 * the parser, --help, rehearse.ini, the environment, the man page and the bash completion. An option that is not in a
 * table does not exist, and one in a table cannot be undocumented (tests/unit/test_options.c).
 *
 * A value comes from the command line, else from REHEARSE_OPTION_NAME, else from rehearse.ini ([COMMAND] before
 * [rehearse]), else it is the table's `standard`, which goes through the same parser: what --help shows is what holds.
 */
#ifndef OPTIONS_H
#define OPTIONS_H

#include "config.h"
#include "error.h"
#include "strbuf.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum option_kind {
	OPTION_END, /* closes a table */
	OPTION_FLAG,
	OPTION_STRING,
	OPTION_INT,
	OPTION_DOUBLE,
	OPTION_DURATION, /* nanoseconds, see num_parse_duration() */
	OPTION_SIZE,	 /* bytes, see num_parse_size() */
	OPTION_LIST,	 /* of strings; may be given more than once */
	OPTION_ENUM	 /* one of `choices`; the value is its index */
};

enum option_attribute {
	OPTION_HIDDEN = 1, /* works, and is shown nowhere */
	OPTION_SECRET = 2, /* the value may hold a password: no message repeats it */
	OPTION_REQUIRED = 4
};

struct option_list {
	const char **items;
	size_t count;
	size_t capacity;
};

struct option {
	enum option_kind kind;
	char short_name;       /* 0 for none */
	const char *long_name; /* without the dashes */
	/* Where the value goes: storage of the command's own, usually static. Strings live as long as the process. */
	union {
		bool *flag;
		const char **string; /* NULL when not given and without a standard */
		int64_t *number;     /* OPTION_INT, OPTION_DURATION (ns), OPTION_SIZE (bytes) */
		double *real;
		struct option_list *list;
		int *choice;
	} value;
	const char *metavar;	    /* what --help calls the value: FILE, URL, N; FILE… for a list */
	const char *help;	    /* one sentence without a stop, lower case */
	const char *standard;	    /* the default as a user would write it; NULL: 0, false, NULL or empty */
	const char *standard_note;  /* shown instead, where the default is not a fixed value ("half of the replay") */
	const char *const *choices; /* OPTION_ENUM: NULL-terminated */
	const char *greedy_suffix;  /* OPTION_LIST: following arguments that end in this belong to it too */
	int64_t min, max;	    /* OPTION_INT; both 0 for no bounds */
	double real_min, real_max;  /* OPTION_DOUBLE; both 0 for no bounds */
	unsigned attributes;	    /* enum option_attribute */
};

/* Table rows: OPT_INT('n', "count", &count, "N", "how many", .standard = "1", .min = 1, .max = 99) */
#define OPT_FLAG(s, l, v, ...)                                                                             \
	{                                                                                                  \
		.kind = OPTION_FLAG, .short_name = s, .long_name = l, .value.flag = v, .help = __VA_ARGS__ \
	}
#define OPT_STRING(s, l, v, m, ...)                                                                      \
	{                                                                                                \
		.kind = OPTION_STRING, .short_name = s, .long_name = l, .value.string = v, .metavar = m, \
		.help = __VA_ARGS__                                                                      \
	}
#define OPT_INT(s, l, v, m, ...)                                                                      \
	{                                                                                             \
		.kind = OPTION_INT, .short_name = s, .long_name = l, .value.number = v, .metavar = m, \
		.help = __VA_ARGS__                                                                   \
	}
#define OPT_DOUBLE(s, l, v, m, ...)                                                                    \
	{                                                                                              \
		.kind = OPTION_DOUBLE, .short_name = s, .long_name = l, .value.real = v, .metavar = m, \
		.help = __VA_ARGS__                                                                    \
	}
#define OPT_DURATION(s, l, v, m, ...)                                                                      \
	{                                                                                                  \
		.kind = OPTION_DURATION, .short_name = s, .long_name = l, .value.number = v, .metavar = m, \
		.help = __VA_ARGS__                                                                        \
	}
#define OPT_SIZE(s, l, v, m, ...)                                                                      \
	{                                                                                              \
		.kind = OPTION_SIZE, .short_name = s, .long_name = l, .value.number = v, .metavar = m, \
		.help = __VA_ARGS__                                                                    \
	}
#define OPT_LIST(s, l, v, m, ...)                                                                    \
	{                                                                                            \
		.kind = OPTION_LIST, .short_name = s, .long_name = l, .value.list = v, .metavar = m, \
		.help = __VA_ARGS__                                                                  \
	}
#define OPT_ENUM(s, l, v, m, c, ...)                                                                                 \
	{                                                                                                            \
		.kind = OPTION_ENUM, .short_name = s, .long_name = l, .value.choice = v, .metavar = m, .choices = c, \
		.help = __VA_ARGS__                                                                                  \
	}
#define OPT_END                    \
	{                          \
		.kind = OPTION_END \
	}

/* What a command line was taken apart into. */
struct options_result {
	char **arguments; /* what is not an option, in order; points into argv */
	size_t argument_count;
	const struct option **given; /* set by command line, environment or ini */
	size_t given_count;
	size_t given_capacity;
};

#define OPTIONS_TABLES_MAX 4

/*
 * Parses words[0..count) against the tables (NULL-terminated array of tables), then fills the rest from environment,
 * config (may be NULL) and standards. section is the command's name. ERR_USAGE with one line, and a suggestion for a
 * near miss.
 */
int options_parse(const struct option *const *tables, const char *section, int count, char **words,
		  const struct config *config, struct options_result *result, struct error *err);
void options_result_release(struct options_result *result);
/* True when the user set it anywhere (not by its standard). */
bool options_given(const struct options_result *result, const char *long_name);
/* Finds --name in words without parsing the rest: for --config and --help, which act before everything else. */
const char *options_peek(const char *long_name, int count, char **words);
const struct option *options_find(const struct option *const *tables, const char *long_name);
/* "REHEARSE_MIGRATE_AT" for "migrate-at". */
void options_environment_name(const char *long_name, struct strbuf *out);
/* Frees what lists have allocated in these tables. */
void options_release(const struct option *const *tables);
/* The entry of names (NULL-terminated) that is closest to word, or NULL when none is near. */
const char *options_suggest(const char *word, const char *const *names);

#endif
