/*
 * What a record of a PostgreSQL log means: the messages of log_statement, log_min_duration_statement, log_duration,
 * log_connections and log_disconnections, and errors. Independent of the log's format.
 *
 * A real statement record has empty query and context columns (the server hides them); RAISE LOG in a function can
 * write the same words, but not without its context. Source: src/backend/tcop/postgres.c of PostgreSQL 9.6 to 17 for
 * the messages' shapes, tried on 15.
 */
#ifndef PG_STATEMENT_H
#define PG_STATEMENT_H

#include "arena.h"
#include "log_format.h"
#include "skip_reason.h"

enum pg_event_kind {
	PG_EVENT_NOTHING,  /* skip says which kind of nothing */
	PG_EVENT_RECEIVED, /* connection received: nobody is known yet */
	PG_EVENT_CONNECT,  /* connection authorized */
	PG_EVENT_DISCONNECT,
	PG_EVENT_STATEMENT, /* simple query */
	PG_EVENT_PARSE,
	PG_EVENT_BIND,
	PG_EVENT_EXECUTE,
	PG_EVENT_FETCH, /* a further FETCH of a portal that was executed before */
	PG_EVENT_FASTPATH,
	PG_EVENT_DURATION, /* a bare duration */
	PG_EVENT_ERROR,	   /* ERROR, FATAL or PANIC */
	PG_EVENT_WALSENDER /* the session is a replica's, not a client's */
};

struct pg_event {
	enum pg_event_kind kind;
	enum skip_reason skip;
	int64_t duration_ns;	/* -1 when the record does not say */
	struct span name;	/* parse, bind, execute: the statement's, with the portal's; see pg_statement_name() */
	struct span text;	/* the statement */
	struct span parameters; /* the DETAIL behind "parameters: ", or empty */
	bool fatal;
	bool by_user;	/* an ERROR: canceled by the user's request */
	bool in_worker; /* an ERROR: a parallel worker's, which its leader repeats */
	bool at_bind;	/* an ERROR: while values were bound, so before the statement was logged */
};

void pg_statement_read(const struct log_record *record, struct pg_event *event);

/*
 * The prepared statement's name in what stands between "execute " and ": ": without the portal behind its first slash,
 * and empty for <unnamed>. A name may hold slashes itself; whoever knows that does not ask here.
 */
struct span pg_statement_name(struct span name);

struct pg_parameters {
	struct span *values; /* from the arena; p NULL for NULL */
	uint32_t count;
	/*
	 * A value that ends in three dots may have been cut by log_parameter_max_length: the length before the dots of
	 * the longest such value, 0 for none. And the longest value that was surely not cut.
	 */
	size_t dotted_len;
	uint64_t dotted_hash; /* tells values of that length apart */
	size_t whole_len;
};

#define PG_PARAMETERS_MAX 65535 /* the protocol's own limit */

/* Reads "$1 = '…', $2 = NULL". False when it is anything else. */
bool pg_parameters_read(struct span text, struct arena *arena, struct pg_parameters *out);

/* The statement's text moves data that the log does not have: COPY … FROM STDIN or TO STDOUT, alone or among others. */
bool pg_statement_is_copy(struct span text);
/* The highest $n in the text, 0 for none. 0 for statements that only define something (their $n are a body's). */
unsigned pg_statement_parameter_max(struct span text);

#endif
