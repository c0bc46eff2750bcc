/*
 * log_line_prefix: what stands before each line of a stderr log. Source: PostgreSQL manual, 20.8.3 "What to Log", and
 * log_line_prefix() of src/backend/utils/error/elog.c: escapes with an optional width (%-10u pads on the right, %10u on
 * the left), %q ends the prefix for processes that serve no client, an unknown escape writes nothing.
 *
 * Names may hold whatever the prefix itself is made of. A field of free text is therefore as short as it can be with
 * all that follows still right, up to the severity; names known to be odd (prefix_names) are tried before that.
 */
#ifndef LOG_LINE_PREFIX_H
#define LOG_LINE_PREFIX_H

#include "error.h"
#include "span.h"

#include <stdbool.h>
#include <stddef.h>

#define PREFIX_TOKENS_MAX 64
#define PREFIX_TEXT_MAX	  512
#define PREFIX_ODD_MAX	  64

struct prefix_token {
	char escape; /* its letter; 0 for plain text */
	int width;   /* 0 for none, negative for padding on the right */
	struct span text;
};

struct log_line_prefix {
	char text[PREFIX_TEXT_MAX];
	struct prefix_token tokens[PREFIX_TOKENS_MAX];
	size_t count;
	size_t quit; /* how many stand before %q; count when there is none */
};

/* Users, databases and applications whose names hold what may end a field. */
struct prefix_names {
	char *odd[PREFIX_ODD_MAX];
	size_t len[PREFIX_ODD_MAX];
	size_t count;
};

/* Of one line, by the escape's letter - 'A' (so fields['u' - 'A']); p NULL for what the prefix does not have. */
struct prefix_match {
	struct span fields[58];
	struct span severity; /* "LOG", "DETAIL": the word before ":  " */
	bool known;	      /* it is one of PostgreSQL's, in English */
	bool secondary;	      /* DETAIL, HINT, QUERY, CONTEXT, LOCATION, BACKTRACE, STATEMENT: part of a record */
	size_t used;	      /* bytes up to the message */
};

static inline struct span prefix_field(const struct prefix_match *match, char escape)
{
	return match->fields[escape - 'A'];
}

/* ERR_USAGE when the prefix is too long, or has neither time nor process: such a log cannot be replayed. */
int log_line_prefix_init(struct log_line_prefix *prefix, const char *text, struct error *err);
/* True when the line begins with the prefix and a severity. */
bool log_line_prefix_match(const struct log_line_prefix *prefix, const struct prefix_names *names, struct span line,
			   struct prefix_match *match);
/* Keeps a name when it is odd. */
void prefix_names_learn(struct prefix_names *names, struct span name);
void prefix_names_release(struct prefix_names *names);

#endif
