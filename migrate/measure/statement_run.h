/*
 * One statement on the migrating connection, run asynchronously so that meanwhile its backend's locks can be sampled
 * on a second connection, and so that a deadline or an interrupted run can cancel it.
 */
#ifndef STATEMENT_RUN_H
#define STATEMENT_RUN_H

#include "own_locks.h"
#include "pg_conn.h"
#include "safe_message.h"

#include <stdbool.h>
#include <stdint.h>

struct statement_runner {
	PGconn *conn;  /* runs the migration */
	PGconn *probe; /* watches it; has the statement "own_locks" prepared */
	int32_t pid;   /* of conn's backend */
	uint32_t database_oid;
	int64_t interval_ns;
	int64_t deadline_ns; /* on clock_mono_ns(), 0 for none */
	const volatile bool *cancelled;
	struct own_locks locks; /* of the statement that ran last */
};

enum statement_outcome {
	STATEMENT_OK,
	STATEMENT_FAILED,
	STATEMENT_TIMEOUT,
	STATEMENT_CANCELLED
};

struct statement_result {
	enum statement_outcome outcome;
	int64_t start_ns;
	int64_t end_ns;
	char sqlstate[6];
	char *message; /* safe_message(); NULL when it went well. To be freed */
};

/* Never fails itself: a lost connection is an outcome. Sampling begins anew when `sample` is set. */
void statement_run(struct statement_runner *runner, const char *sql, const struct safe_message_place *place,
		   bool sample, struct statement_result *out);

#endif
