/*
 * One statement on the migrating connection, run asynchronously so that meanwhile its backend's locks can be sampled,
 * and so that a deadline or an interrupted run can cancel it.
 */
#ifndef STATEMENT_RUN_H
#define STATEMENT_RUN_H

#include "pg_conn.h"
#include "safe_message.h"
#include "statement_tracer.h"

#include <stdbool.h>
#include <stdint.h>

struct statement_runner {
	PGconn *conn;	     /* runs the migration */
	int64_t deadline_ns; /* on clock_mono_ns(), 0 for none */
	const volatile bool *cancelled;
};

enum statement_outcome {
	STATEMENT_OK,
	STATEMENT_FAILED,
	STATEMENT_TIMEOUT,
	STATEMENT_CANCELLED
};

struct statement_result {
	enum statement_outcome outcome;
	int64_t end_ns;
	int64_t rows; /* as its command tag says, -1 when that says nothing */
	char sqlstate[6];
	char *message; /* safe_message(); NULL when it went well. To be freed */
};

/*
 * Never fails itself: a lost connection is an outcome. tracer, prepared for the statement, is started and kept going;
 * NULL for one that is not traced.
 */
void statement_run(const struct statement_runner *runner, const char *sql, const struct safe_message_place *place,
		   struct statement_tracer *tracer, struct statement_result *out);

#endif
