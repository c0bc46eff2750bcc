/*
 * A log format: how bytes become log records. One of the four seams: a format is a table of functions and a statement
 * of what its records carry, so that what reads files (log_reader.h) knows no format, and what reads meaning
 * (pg_statement.h) no bytes. A format never allocates per record: a record's spans point into the reader's buffer.
 */
#ifndef LOG_FORMAT_H
#define LOG_FORMAT_H

#include "error.h"
#include "log_zone.h"
#include "span.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A longer record is damage: no server writes one, and a lost quote would take in the rest of the file. */
#define LOG_RECORD_MAX ((size_t)16 * 1024 * 1024)

struct text_split;
struct pg_event;

/* One record. Spans that the log does not have are empty. Valid until the next call of the reader. */
struct log_record {
	int64_t time_ns; /* wall clock of the stamp, UTC */
	struct span user;
	struct span database;
	uint32_t pid;
	struct span client;	 /* as csvlog has it: "10.0.0.1:5432", "[local]" */
	bool client_bare;	 /* client is a host without its port */
	bool anonymous;		 /* the log's prefix has neither user nor client: their absence says nothing */
	int64_t uncertainty_ns;	 /* the record was written within so much after time_ns: 0 for milliseconds */
	struct span session_id;	 /* names a session among all of the log's; empty when the log has no ids */
	int64_t session_line;	 /* the record's number within its session, 0 when not known */
	int64_t session_start_s; /* seconds since 1970, 0 when not known */
	struct span severity;
	struct span sqlstate;
	struct span message;
	struct span detail;
	struct span context;
	struct span query; /* the statement that the server was at, where it says so */
	struct span application;
	struct span backend_type;	/* empty when the version does not say */
	uint32_t file;			/* the reader's: which file */
	uint64_t line;			/* the reader's: the line at which the record begins, 1 the first */
	const struct text_split *split; /* the reader's: the record's statement taken apart (text_table.h), or NULL */
	const struct pg_event *event; /* the reader's: what the record means (pg_statement.h), or NULL: not read yet */
};

struct log_format_caps {
	bool session_ids;      /* session_id is there and unique */
	bool sqlstates;	       /* sqlstate is there */
	bool single_lines;     /* a record is one line, whatever line ends its values hold once they are read */
	int64_t resolution_ns; /* of the stamps */
	/* What scan() makes of a record depends on its bytes alone, not on the records that this parser saw before. */
	bool independent;
};

enum log_scan {
	LOG_SCAN_RECORD,   /* *record is filled, *used bytes taken */
	LOG_SCAN_UNPARSED, /* *used bytes are no record; they count as one */
	LOG_SCAN_MORE,	   /* the record goes on behind len: call again with more bytes from the same start */
	LOG_SCAN_END,	   /* nothing but line ends was left; *used bytes taken */
	LOG_SCAN_FAILED	   /* err says why the log cannot be read at all (a time zone that nobody knows) */
};

struct log_parser;

struct log_format {
	const char *name; /* "PostgreSQL csvlog" */
	struct log_format_caps caps;
	const void *settings; /* the format's own: a stderr log's prefix */
	struct log_parser *(*open)(const struct log_format *format, struct log_zone *zone);
	void (*free)(struct log_parser *parser);
	/*
	 * Reads from data, which begins where the call before ended; `last` says that the file ends at len. The bytes
	 * of a finished record may be changed in place. A log cut at either end and damage inside it is
	 * LOG_SCAN_UNPARSED.
	 */
	enum log_scan (*scan)(struct log_parser *parser, char *data, size_t len, bool last, size_t *used,
			      struct log_record *record, struct error *err);
	/*
	 * Whether a record seems to begin here, behind a line end. NULL: anywhere. A guess, for cutting a file into
	 * blocks; a wrong one costs time and nothing else.
	 */
	bool (*begins)(const char *data, size_t len);
	/* Appends what the file's first bytes are, when not a single record was in it: "3 columns, at least 23
	 * expected". */
	void (*explain)(const char *data, size_t len, char *out, size_t size);
};

#endif
