/*
 * The records of one log file: see log_reader.h. One buffer, in which the format finds records in place; it grows only
 * for a record that does not fit, up to a little more than the longest that is accepted.
 */
#include "log_reader.h"

#include "in_file.h"
#include "log_pipeline.h"
#include "mem.h"

#include <sys/types.h>

#define BUFFER_START ((size_t)1024 * 1024)

struct log_reader {
	struct in_file *in;
	const struct log_format *format;
	struct log_parser *parser;
	struct log_zone *zone;
	struct log_pipeline *pipeline; /* NULL: the caller's thread does it all */
	uint32_t file;
	char *buffer;
	size_t capacity;
	size_t pos;
	size_t len;
	bool ended;
	uint64_t line;
	int64_t text_bytes;
	uint64_t records;
	char first[LOG_EXPLAIN_MAX]; /* the file's beginning, for the message that it is no log */
	size_t first_len;
	struct log_record record; /* given out last */
};

int log_reader_open(const char *path, uint32_t file, const struct log_format *format, struct log_zone *zone,
		    struct log_reader **out, struct error *err)
{
	struct in_file *in;
	int rc = in_file_open(path, &in, err);
	if (rc < 0)
		return rc;
	struct log_reader *reader = mem_zalloc(1, sizeof(*reader));
	reader->in = in;
	reader->format = format;
	reader->parser = format->open(format, zone);
	reader->zone = zone;
	reader->file = file;
	reader->line = 1;
	*out = reader;
	return 0;
}

void log_reader_free(struct log_reader *reader)
{
	if (!reader)
		return;
	log_pipeline_free(reader->pipeline);
	reader->format->free(reader->parser);
	in_file_free(reader->in);
	free(reader->buffer);
	free(reader);
}

/* Reads more behind what is there. */
static int fill(struct log_reader *reader, struct error *err)
{
	if (reader->pos > 0) {
		memmove(reader->buffer, reader->buffer + reader->pos, reader->len - reader->pos);
		reader->len -= reader->pos;
		reader->pos = 0;
	}
	if (reader->len == reader->capacity) {
		reader->capacity = reader->capacity ? reader->capacity * 2 : BUFFER_START;
		reader->buffer = mem_realloc(reader->buffer, reader->capacity, 1);
	}
	while (reader->len < reader->capacity) {
		ssize_t got =
			in_file_read(reader->in, reader->buffer + reader->len, reader->capacity - reader->len, err);
		if (got < 0)
			return (int)got;
		if (got == 0) {
			reader->ended = true;
			break;
		}
		reader->len += (size_t)got;
		reader->text_bytes += got;
	}
	if (reader->first_len == 0) {
		reader->first_len = reader->len < LOG_EXPLAIN_MAX ? reader->len : LOG_EXPLAIN_MAX;
		memcpy(reader->first, reader->buffer, reader->first_len);
	}
	return 0;
}

/* Takes n bytes; the line at which what they hold begins is set before their line ends are counted. */
static void take(struct log_reader *reader, size_t n, uint64_t *line)
{
	uint64_t before;
	uint64_t lines = log_count_lines(reader->format, reader->buffer + reader->pos, n, &before);
	*line = reader->line + before;
	reader->line += lines;
	reader->pos += n;
}

static int foreign(struct log_reader *reader, struct error *err)
{
	return log_foreign(in_file_path(reader->in), reader->format, reader->first, reader->first_len, err);
}

void log_reader_use_threads(struct log_reader *reader, unsigned threads, size_t block_bytes)
{
	if (!reader->pipeline)
		reader->pipeline = log_pipeline_new(reader->in, reader->file, reader->format, reader->zone, threads,
						    block_bytes ? block_bytes : LOG_READER_BLOCK);
}

int log_reader_next(struct log_reader *reader, const struct log_record **out, struct error *err)
{
	if (reader->pipeline)
		return log_pipeline_next(reader->pipeline, out, err);
	struct log_record *record = &reader->record;
	*out = record;
	for (;;) {
		size_t used = 0;
		enum log_scan scan = LOG_SCAN_MORE;
		if (reader->len > reader->pos || reader->ended) {
			*record = (struct log_record){.file = reader->file};
			scan = reader->format->scan(reader->parser, reader->buffer + reader->pos,
						    reader->len - reader->pos, reader->ended, &used, record, err);
		}
		switch (scan) {
		case LOG_SCAN_RECORD:
			take(reader, used, &record->line);
			reader->records++;
			return LOG_READ_RECORD;
		case LOG_SCAN_UNPARSED:
			take(reader, used, &record->line);
			record->file = reader->file;
			if (reader->records == 0 && (reader->text_bytes > (int64_t)LOG_FOREIGN_MAX ||
						     (reader->ended && reader->pos == reader->len)))
				return foreign(reader, err);
			return LOG_READ_UNPARSED;
		case LOG_SCAN_FAILED:
			take(reader, used, &record->line);
			return error_context(err, "%s:%llu", in_file_path(reader->in),
					     (unsigned long long)record->line);
		case LOG_SCAN_END:
			reader->pos += used;
			return reader->records == 0 ? foreign(reader, err) : LOG_READ_END;
		case LOG_SCAN_MORE:
			break;
		}
		if (reader->ended)
			return error_set(err, ERR_INTERNAL, "%s:%llu: the format asks for more than there is",
					 in_file_path(reader->in), (unsigned long long)reader->line);
		if (reader->records == 0 && reader->len - reader->pos > LOG_FOREIGN_MAX)
			return foreign(reader, err);
		int rc = fill(reader, err);
		if (rc < 0)
			return rc;
	}
}

int64_t log_reader_text_bytes(const struct log_reader *reader)
{
	return reader->pipeline ? log_pipeline_text_bytes(reader->pipeline) : reader->text_bytes;
}

int64_t log_reader_file_bytes(const struct log_reader *reader)
{
	return reader->pipeline ? log_pipeline_file_bytes(reader->pipeline) : in_file_consumed_bytes(reader->in);
}
