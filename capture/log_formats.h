/*
 * Which format a log has: given, or found by reading its beginning in each of them and taking the one that makes the
 * most of it in records. stderr logs are tried with the prefixes that are met: RDS's and Aurora's own, Debian's, the
 * server's default, pgBadger's, Cloud SQL's and Azure's.
 */
#ifndef LOG_FORMATS_H
#define LOG_FORMATS_H

#include "log_format.h"

enum log_format_kind {
	LOG_FORMAT_AUTO,
	LOG_FORMAT_CSVLOG,
	LOG_FORMAT_STDERR,
	LOG_FORMAT_JSONLOG
};

/* How much of a log's beginning is worth looking at. */
#define LOG_FORMATS_SAMPLE ((size_t)128 * 1024)

struct log_formats;

/* prefix: the log_line_prefix of stderr logs, or NULL to find it. ERR_USAGE when it will not do. */
int log_formats_open(enum log_format_kind kind, const char *prefix, struct log_formats **out, struct error *err);
void log_formats_free(struct log_formats *formats);
/* The format of a log that begins with these bytes; NULL when it is none of them. Owned by formats. */
const struct log_format *log_formats_detect(const struct log_formats *formats, struct log_zone *zone, const char *data,
					    size_t len);
/* A format that finds out by itself from the first bytes it gets: for what cannot be read twice. */
const struct log_format *log_formats_auto(const struct log_formats *formats);

#endif
