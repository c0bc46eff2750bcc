/*
 * The records of one log file, plain or gzip, with the line at which each begins. Bytes that are no record are given as
 * such, one span of damage at a time, so that every one is counted.
 */
#ifndef LOG_READER_H
#define LOG_READER_H

#include "log_format.h"

struct log_reader;

enum log_read {
	LOG_READ_END = 0,
	LOG_READ_RECORD = 1,
	LOG_READ_UNPARSED = 2
};

/* file is what records carry as their `file`. The zone stays the caller's. */
int log_reader_open(const char *path, uint32_t file, const struct log_format *format, struct log_zone *zone,
		    struct log_reader **out, struct error *err);
/*
 * Before the first record: spreads the work over threads, of which so many read records (log_pipeline.h). What is read
 * stays the same. block_bytes: 0 for the usual.
 */
void log_reader_use_threads(struct log_reader *reader, unsigned threads, size_t block_bytes);
#define LOG_READER_BLOCK ((size_t)128 * 1024)
/*
 * An enum log_read, or negative: the file cannot be read, is empty, holds no record at all, or has a zone that is not
 * known (ERR_DATA, with file and line). For LOG_READ_UNPARSED only record's file and line are set. *record is the
 * reader's, until the next call.
 */
int log_reader_next(struct log_reader *reader, const struct log_record **record, struct error *err);
/* Bytes of log text read so far (uncompressed); and of the file itself, for progress. */
int64_t log_reader_text_bytes(const struct log_reader *reader);
int64_t log_reader_file_bytes(const struct log_reader *reader);
void log_reader_free(struct log_reader *reader);

#endif
