/*
 * A connection of the checks to a clone: the settings under which a value has one text only, questions that may take
 * long and therefore end at a deadline or when the user wants to stop, and rows streamed one by one.
 */
#ifndef CHECK_SERVER_H
#define CHECK_SERVER_H

#include "error.h"
#include "pg_conn.h"
#include "span.h"
#include "strbuf.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct check_limits {
	int64_t table_bytes;		/* larger tables are not read; 0 for none */
	int64_t deadline_ns;		/* on clock_mono_ns(), 0 for none */
	const volatile bool *cancelled; /* may be NULL */
};

struct check_server {
	PGconn *conn;
	int version;	 /* 150020 */
	bool byte_order; /* its texts sort by their bytes as we get them */
};

#define CHECK_NO_TIME "no time left (--check-timeout)"

/* Why a question got no answer; CHECK_ANSWERED when it did. */
enum check_answer {
	CHECK_ANSWERED,
	CHECK_OUT_OF_TIME, /* the deadline */
	CHECK_DENIED,	   /* 42501 */
	CHECK_REFUSED,	   /* any other error; the SQLSTATE is in `why` */
	CHECK_ENDED	   /* interrupted, or the connection was lost: err is set */
};

/* The name shows in pg_stat_activity. On an error nothing is open. */
int check_server_open(const char *url, struct check_server *server, struct error *err);
void check_server_close(struct check_server *server);

/*
 * Sends a query to each of one or two servers and waits for all answers. results[i] is to be cleared unless it is NULL.
 * The worst answer of the two; `why` (may be NULL) gets what a report may say.
 */
enum check_answer check_server_ask(struct check_server *const *servers, const char *const *queries, int count,
				   const struct check_limits *limits, PGresult **results, char why[100],
				   struct error *err);

/* One row of COPY … TO STDOUT; fields are unescaped in place and valid until the next row. */
#define CHECK_FIELDS_MAX 200
struct check_stream {
	struct check_server *server;
	const struct check_limits *limits;
	char *line; /* libpq's */
	struct span fields[CHECK_FIELDS_MAX];
	size_t count;
	uint64_t rows; /* so far */
	bool ended;
};

enum check_answer check_stream_open(struct check_stream *stream, struct check_server *server, const char *query,
				    const struct check_limits *limits, char why[100], struct error *err);
/* stream->ended after the last row. */
enum check_answer check_stream_next(struct check_stream *stream, char why[100], struct error *err);
/* Also in the middle: the rest is cancelled. */
void check_stream_close(struct check_stream *stream);

/* Appends "name" with its quotes. */
void check_add_name(struct strbuf *out, const char *name);

#endif
