/*
 * The connection that looks at a traced backend from outside: samples of its locks while a statement runs, without
 * waiting for them, and small questions in between.
 */
#ifndef TRACE_PROBE_H
#define TRACE_PROBE_H

#include "error.h"
#include "own_locks.h"
#include "pg_conn.h"

#include <stdbool.h>
#include <stdint.h>

struct trace_probe {
	PGconn *conn; /* for questions: after trace_probe_quiet() */
	int32_t pid;
	uint32_t database_oid;
	int64_t interval_ns;
	struct own_locks locks; /* of the statement that ran last */
	bool running;		/* a statement is: samples are wanted */
	bool lost;		/* the connection is gone: the samples end, what was seen stays */
	bool busy;		/* a sample is under way */
	bool stale;		/* … of which the result is not wanted any more */
	int64_t next_sample_ns;
	int64_t eager_until_ns; /* till then samples follow one another at once */
	int64_t sample_sent_ns;
};

/* ERR_UNAVAILABLE without a connection, ERR_DATA when the server cannot tell locks. Released whatever the result. */
int trace_probe_open(struct trace_probe *probe, const char *url, int32_t pid, int64_t interval_ns, struct error *err);
void trace_probe_release(struct trace_probe *probe);
/*
 * A statement starts; the first sample is due at first_ns, and until eager_until_ns one follows the other: for what can
 * be known by samples alone, and may be over before the second is due.
 */
void trace_probe_begin(struct trace_probe *probe, int64_t start_ns, int64_t first_ns, int64_t eager_until_ns);
/* It is over: a sample that is under way may show what was after it, and is dropped. */
void trace_probe_end(struct trace_probe *probe);
/* See statement_tracer_step() and statement_tracer_socket(). */
int64_t trace_probe_step(struct trace_probe *probe, int64_t now_ns);
int trace_probe_socket(const struct trace_probe *probe);
/* Waits for a sample that is under way, so that the connection can be asked. False when it is lost. */
bool trace_probe_quiet(struct trace_probe *probe);
/* Locks as they are now, as a new result in the columns of a sample, or NULL. */
PGresult *trace_probe_locks_now(struct trace_probe *probe);
/* The server's WAL insert position, -1 when it is not known. */
int64_t trace_probe_wal_position(struct trace_probe *probe);

#endif
