/*
 * What of a log is wanted: by time, by who did it, by a statement's text. A session that is not wanted sends nothing at
 * all, not even its connect; a statement that is not wanted leaves the rest of its session as it is.
 */
#ifndef LOG_FILTER_H
#define LOG_FILTER_H

#include "error.h"
#include "log_zone.h"
#include "span.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum filter_reason {
	FILTER_NONE,
	FILTER_TIME,
	FILTER_DATABASE,
	FILTER_USER,
	FILTER_APPLICATION,
	FILTER_INCLUDE,
	FILTER_EXCLUDE,
	FILTER_READ_ONLY,
	FILTER_REASON_COUNT
};

/* "time", "database", … */
const char *filter_reason_name(enum filter_reason reason);

struct filter_words {
	const char *const *items;
	size_t count;
};

struct log_filter_options {
	/* RFC 3339, or without a zone the log's local time; from <= t < to. NULL for no limit. */
	const char *from;
	const char *to;
	struct filter_words database, user, application; /* one of these, if any are given */
	struct filter_words exclude_database, exclude_user, exclude_application;
	struct filter_words include, exclude; /* POSIX extended regular expressions on a statement's text */
	bool read_only;			      /* only statements that change nothing (sql_read_only.h) */
};

struct log_filter;

/* ERR_USAGE for an expression or a time that is none. The options' strings stay the caller's and must last. */
int log_filter_open(const struct log_filter_options *options, struct log_zone *zone, struct log_filter **out,
		    struct error *err);
void log_filter_free(struct log_filter *filter);
enum filter_reason log_filter_time(const struct log_filter *filter, int64_t time_ns);
/* The last moment that is wanted at all: INT64_MAX for no limit. */
int64_t log_filter_end_ns(const struct log_filter *filter);
enum filter_reason log_filter_session(const struct log_filter *filter, struct span user, struct span database,
				      struct span application);
/* Whether the application decides; then nothing may be sent before it is known. */
bool log_filter_needs_application(const struct log_filter *filter);
enum filter_reason log_filter_statement(const struct log_filter *filter, struct span text);

#endif
