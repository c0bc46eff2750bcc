/*
 * All files of a capture as one stream of records in the order of their times. A file is opened when the stream reaches
 * its first record, so files that follow one another are read one by one, and those that overlap side by side. A record
 * that two files hold is given once as a record and then as LOG_READ_DUPLICATE: told by session id and number within
 * the session, else by all that it says, and then as often as the file that has it most often.
 */
#ifndef LOG_MERGE_H
#define LOG_MERGE_H

#include "log_reader.h"
#include "log_sources.h"
#include "replay_file.h"

#define LOG_READ_DUPLICATE 3

struct log_merge;

/* Sources and zone stay the caller's; each file opened gets a row of the writer's source table. */
struct log_merge *log_merge_new(const struct log_sources *sources, struct log_zone *zone, struct replay_writer *writer);
void log_merge_free(struct log_merge *merge);
/* Before the first record: files are read with so many threads (log_reader_use_threads()). */
void log_merge_use_threads(struct log_merge *merge, unsigned threads, size_t block_bytes);
/* An enum log_read or LOG_READ_DUPLICATE, or negative. The record is valid until the next call. */
int log_merge_next(struct log_merge *merge, const struct log_record **record, struct error *err);
/* Of all files so far: bytes of log text, and of the files themselves. */
int64_t log_merge_text_bytes(const struct log_merge *merge);
int64_t log_merge_file_bytes(const struct log_merge *merge);

#endif
