/* One statement on the migrating connection: see statement_run.h. */
#include "statement_run.h"

#include "clock.h"
#include "mem.h"
#include "stop_flag.h"

#include <poll.h>

#define LOOK_NS		INT64_C(50000000) /* how often a deadline and cancelling are looked at */
#define CANCEL_AGAIN_NS (1 * NS_PER_S)
#define GIVE_UP_NS	(10 * NS_PER_S) /* a backend that does not answer a cancel is left behind */

/* What goes on while a statement runs. */
struct flight {
	const struct statement_runner *runner;
	struct statement_tracer *tracer; /* may be NULL */
	struct statement_result *out;
	const struct safe_message_place *place;
	int64_t cancel_first_ns; /* 0: not cancelled */
	int64_t cancel_last_ns;
};

static void note_failure(struct flight *flight, const PGresult *result)
{
	struct statement_result *out = flight->out;
	if (out->outcome != STATEMENT_OK)
		return; /* the first error is the reason */
	const char *sqlstate = PQresultErrorField(result, PG_DIAG_SQLSTATE);
	const char *primary = PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY);
	out->outcome = STATEMENT_FAILED;
	if (!sqlstate) { /* libpq's own: the connection is gone */
		(void)snprintf(out->sqlstate, sizeof(out->sqlstate), "08006");
		out->message = mem_strdup("the connection to the server was lost");
		return;
	}
	struct safe_message_place place = *flight->place;
	const char *position = PQresultErrorField(result, PG_DIAG_STATEMENT_POSITION);
	place.position = position ? (int)strtol(position, NULL, 10) : 0;
	(void)snprintf(out->sqlstate, sizeof(out->sqlstate), "%s", sqlstate);
	out->message = safe_message(sqlstate, primary, &place);
}

static void note_lost(struct flight *flight)
{
	note_failure(flight, NULL);
}

static void drain_copy_out(PGconn *conn)
{
	char *row = NULL;
	while (PQgetCopyData(conn, &row, 0) > 0)
		PQfreemem(row);
}

/* The command tag's number; a query's stands in its last result. */
static void note_rows(struct statement_result *out, const PGresult *result)
{
	const char *count = PQcmdTuples((PGresult *)result);
	if (*count)
		out->rows = strtoll(count, NULL, 10);
}

/* Takes what has come. True once the statement is over. */
static bool take_results(struct flight *flight)
{
	PGconn *conn = flight->runner->conn;
	while (!PQisBusy(conn)) {
		PGresult *result = PQgetResult(conn);
		if (!result)
			return true;
		switch (PQresultStatus(result)) {
		case PGRES_FATAL_ERROR:
		case PGRES_BAD_RESPONSE:
			note_failure(flight, result);
			break;
		case PGRES_COPY_OUT:
			drain_copy_out(conn);
			break;
		case PGRES_COPY_IN:
			(void)PQputCopyEnd(conn, "a migration file has no data to copy");
			break;
		default:
			note_rows(flight->out, result);
			break;
		}
		PQclear(result);
		if (PQstatus(conn) != CONNECTION_OK) {
			note_lost(flight);
			return true;
		}
	}
	return false;
}

static void send_cancel(struct flight *flight, int64_t now_ns)
{
	char ignored[256];
	PGcancel *cancel = PQgetCancel(flight->runner->conn);
	if (cancel)
		(void)PQcancel(cancel, ignored, sizeof(ignored));
	PQfreeCancel(cancel);
	flight->cancel_last_ns = now_ns;
	if (!flight->cancel_first_ns)
		flight->cancel_first_ns = now_ns;
}

/* Cancels when it is time. False when the backend does not listen any more. */
static bool look_at_clock(struct flight *flight, int64_t now_ns, enum statement_outcome *why)
{
	const struct statement_runner *runner = flight->runner;
	if (*why == STATEMENT_OK) {
		if (stop_flag_is_set(runner->cancelled))
			*why = STATEMENT_CANCELLED;
		else if (runner->deadline_ns && now_ns >= runner->deadline_ns)
			*why = STATEMENT_TIMEOUT;
	}
	if (*why == STATEMENT_OK)
		return true;
	if (!flight->cancel_first_ns || now_ns - flight->cancel_last_ns > CANCEL_AGAIN_NS)
		send_cancel(flight, now_ns);
	return now_ns - flight->cancel_first_ns < GIVE_UP_NS;
}

static int wait_ms(const struct flight *flight, int64_t now_ns, int64_t sample_ns)
{
	int64_t until_ns = now_ns + LOOK_NS;
	int64_t deadline_ns = flight->runner->deadline_ns;
	if (sample_ns < until_ns)
		until_ns = sample_ns;
	if (deadline_ns > now_ns && deadline_ns < until_ns)
		until_ns = deadline_ns;
	return until_ns <= now_ns ? 0 : (int)((until_ns - now_ns + NS_PER_MS - 1) / NS_PER_MS);
}

static void fly(struct flight *flight, enum statement_outcome *why)
{
	PGconn *conn = flight->runner->conn;
	struct statement_tracer *tracer = flight->tracer;
	while (!take_results(flight)) {
		int64_t now_ns = clock_mono_ns();
		if (!look_at_clock(flight, now_ns, why))
			return;
		int64_t sample_ns = tracer ? statement_tracer_step(tracer, now_ns) : INT64_MAX;
		struct pollfd fds[2] = {{.fd = PQsocket(conn), .events = POLLIN},
					{.fd = tracer ? statement_tracer_socket(tracer) : -1, .events = POLLIN}};
		(void)poll(fds, 2, wait_ms(flight, now_ns, sample_ns));
		if (fds[0].revents && !PQconsumeInput(conn)) {
			note_lost(flight);
			return;
		}
	}
}

static void conclude(struct statement_result *out, enum statement_outcome why)
{
	if (why == STATEMENT_OK || out->outcome == STATEMENT_OK)
		return; /* a cancel that came too late is none */
	out->outcome = why;
	if (strcmp(out->sqlstate, "57014") != 0)
		return; /* it failed by itself at that moment: that error is shown, the outcome is the limit's */
	free(out->message);
	out->message = mem_strdup(why == STATEMENT_TIMEOUT ? "cancelled: the migration's time limit was reached"
							   : "cancelled: the run was interrupted");
}

void statement_run(const struct statement_runner *runner, const char *sql, const struct safe_message_place *place,
		   struct statement_tracer *tracer, struct statement_result *out)
{
	memset(out, 0, sizeof(*out));
	out->rows = -1;
	struct flight flight = {.runner = runner, .tracer = tracer, .out = out, .place = place};
	enum statement_outcome why = STATEMENT_OK;
	if (tracer)
		statement_tracer_start(tracer);
	if (!PQsendQuery(runner->conn, sql)) {
		note_lost(&flight);
	} else {
		(void)PQsetSingleRowMode(runner->conn); /* rows are dropped as they come */
		fly(&flight, &why);
	}
	out->end_ns = clock_mono_ns();
	if (why != STATEMENT_OK && out->outcome == STATEMENT_OK &&
	    PQtransactionStatus(runner->conn) == PQTRANS_ACTIVE) {
		out->outcome = why; /* it does not listen: its connection is given up */
		(void)snprintf(out->sqlstate, sizeof(out->sqlstate), "57014");
		out->message = mem_strdup("cancelled, and the server did not answer");
		return;
	}
	conclude(out, why);
}
