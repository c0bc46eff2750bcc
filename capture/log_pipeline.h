/*
 * A log reader's threads (log_reader.h): one reads and inflates the file and cuts it into blocks where a record seems
 * to begin; some read the blocks' records and take their statements apart; the caller gets them in order. What is got
 * never depends on blocks or threads: where a block's beginning turns out to be no record's, reading goes on from where
 * the block before it ended, up to a place that both readings have in common. Formats whose records are not independent
 * of those before them (log_format_caps) are read in order, behind the thread that reads the file.
 */
#ifndef LOG_PIPELINE_H
#define LOG_PIPELINE_H

#include "in_file.h"
#include "log_format.h"

struct log_pipeline;

/*
 * Reads the file from where it stands. in and zone stay the caller's, but are not the caller's to use before
 * log_pipeline_free().
 */
struct log_pipeline *log_pipeline_new(struct in_file *in, uint32_t file, const struct log_format *format,
				      struct log_zone *zone, unsigned threads, size_t block_bytes);
void log_pipeline_free(struct log_pipeline *pipeline);
/* As log_reader_next(); the record's split and event are set. */
int log_pipeline_next(struct log_pipeline *pipeline, const struct log_record **record, struct error *err);
/* Bytes of text and of the file that the records so far came from, to a block exactly. */
int64_t log_pipeline_text_bytes(const struct log_pipeline *pipeline);
int64_t log_pipeline_file_bytes(const struct log_pipeline *pipeline);

/* The line ends in n bytes taken; *before are those before what they hold begins. */
uint64_t log_count_lines(const struct log_format *format, const char *p, size_t n, uint64_t *before);
/* The error for a file that holds no record; first are its first bytes. */
int log_foreign(const char *path, const struct log_format *format, const char *first, size_t len, struct error *err);

/* A file without a record in so many bytes is no log of this format. */
#define LOG_FOREIGN_MAX (LOG_RECORD_MAX * 2)
/* How much of a file's beginning the message says it from. */
#define LOG_EXPLAIN_MAX ((size_t)4096)

#endif
