/*
 * The files of a capture: what was named on the command line, folders opened up, each with its format and the time at
 * which it begins, in the order of those times. A log that the server wrote in two formats at once is recognised by its
 * first records, and only one of the two is kept: csvlog before jsonlog before stderr.
 */
#ifndef LOG_SOURCES_H
#define LOG_SOURCES_H

#include "log_formats.h"

#define LOG_SOURCE_SAMPLE 64 /* records */

struct log_source {
	char *path;
	size_t given; /* its place on the command line */
	bool in_folder;
	bool regular; /* a file that can be read again, not a pipe */
	int64_t size_bytes;
	const struct log_format *format;
	int64_t first_ns; /* of its first record; INT64_MAX for what cannot be read twice */
	uint64_t sample[LOG_SOURCE_SAMPLE];
	size_t sample_count;
};

struct log_sources {
	struct log_source *items;
	size_t count;
	size_t capacity;
	bool mixed;	     /* they have different formats */
	int64_t total_bytes; /* -1 when it is not known */
};

/* ERR_USAGE when one of them is the file `output`; ERR_DATA for what cannot be read. */
int log_sources_open(const char *const *paths, size_t count, const char *output, const struct log_formats *formats,
		     struct log_zone *zone, struct log_sources *out, struct error *err);
void log_sources_release(struct log_sources *sources);
/* What tells a record among those of one log, in whichever format. */
uint64_t log_source_record_hash(const struct log_record *record);

#endif
