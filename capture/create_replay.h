/* From logs to a replay file: the whole of the command create-replay but its words. */
#ifndef CREATE_REPLAY_H
#define CREATE_REPLAY_H

#include "item.h"
#include "log_filter.h"
#include "log_formats.h"
#include "skip_reason.h"

#include <jansson.h>
#include <stdbool.h>

struct create_replay_options {
	const char *const *logs; /* files and folders in any order, plain or gzip, "-" for standard input */
	size_t log_count;
	const char *output;
	enum log_format_kind format;
	const char *log_line_prefix; /* of stderr logs; NULL to find it */
	struct log_filter_options filter;
	int64_t session_idle_ns;  /* a session silent for longer has ended; 0 for no such limit */
	const char *source_host;  /* host or host:port that the log came from, or NULL; kept in the file */
	const char *log_timezone; /* full name of the log's time zone, or NULL (log_zone.h) */
	size_t sort_memory;	  /* 0 for the usual */
	unsigned threads;	  /* 0 for as many as there are processors; the file is the same */
	size_t block_bytes;	  /* what a thread reads at once; 0 for the usual; the file is the same */
	/* Called now and then with bytes read of the files and their sizes' sum (-1 when not known). May be NULL. */
	void (*progress)(void *context, int64_t done_bytes, int64_t total_bytes);
	void *progress_context;
};

#define LOG_EXAMPLE_MAX 256

struct create_replay_result {
	int64_t log_bytes;    /* of text: what a gzip file holds */
	uint64_t log_records; /* = items that are not inferred + skipped */
	uint64_t sessions;
	uint64_t statements;		 /* simple + execute */
	uint64_t items[ITEM_KIND_COUNT]; /* by enum item_kind, the inferred ones too */
	uint64_t inferred[ITEM_KIND_COUNT];
	uint64_t skipped[SKIP_REASON_COUNT];
	uint64_t filtered[FILTER_REASON_COUNT];		   /* what skipped[SKIP_FILTERED] is made of */
	char examples[SKIP_REASON_COUNT][LOG_EXAMPLE_MAX]; /* "file:line" of each reason's first record, or "" */
	int64_t first_ns; /* wall clock of the first item that a record shows, and of the last */
	int64_t last_ns;
	int64_t uncertainty_ns; /* of the log's times */
	int64_t elapsed_ns;
};

/*
 * Writes options->output under a temporary name and renames it. On an error nothing is left. ERR_DATA for logs that
 * cannot be used, ERR_USAGE for a bad expression or zone, ERR_INTERRUPTED when *cancelled (may be NULL) turned true.
 */
int create_replay(const struct create_replay_options *options, struct create_replay_result *result,
		  const volatile bool *cancelled, struct error *err);

/* "rehearse.create-replay/1": a new reference. source_host may be NULL. */
json_t *create_replay_result_json(const struct create_replay_result *result, const char *source_host);

#endif
