/* The session's side of the statement tracer: see proxy_trace.h. */
#include "proxy_trace.h"

#include "clock.h"
#include "proxy_ask.h"
#include "proxy_upstream.h"
#include "script_plan.h"

#include <openssl/crypto.h>

static int ask(void *context, const char *const *statements, size_t count, PGresult **results, struct error *err)
{
	return proxy_ask(context, statements, count, results, err);
}

int proxy_trace_open(struct proxy_session *session)
{
	struct error err = ERROR_INIT;
	const struct proxy_shared *shared = session->shared;
	if (session->tracer)
		return 0;
	/* a tool may be in another database than the clone's URL names */
	char *url = proxy_upstream_url_of(shared->url, PQdb(session->conn));
	struct statement_tracer_options options = {.url = url,
						   .pid = (int32_t)PQbackendPID(session->conn),
						   .t0_ns = shared->t0_ns,
						   .interval_ns = shared->interval_ns,
						   .ledger = &session->ledger,
						   .ask = ask,
						   .ask_context = session};
	int rc = statement_tracer_open(&options, &session->tracer, &err);
	OPENSSL_cleanse(url, strlen(url));
	free(url);
	if (rc == 0)
		return session->end == SESSION_GOES_ON ? 0 : -1;
	/* a migration that cannot be watched is not what was asked for */
	return session_fail(session, SESSION_BROKEN, err.text);
}

/* What the server is doing. */
static enum traced_state state_of(const struct proxy_session *session)
{
	if (session->unsynced || !session_expects_nothing(session))
		return TRACED_BUSY;
	return session->status == 'I' ? TRACED_IDLE : TRACED_IN_TRANSACTION;
}

int proxy_trace_prepare(struct proxy_session *session, struct span sql, enum statement_manner *manner)
{
	const struct traced_text text = {.sql = sql};
	proxy_trace_settle(session);
	if (script_begins_with(sql, "DISCARD") || script_begins_with(sql, "DEALLOCATE"))
		proxy_ask_forget(session);
	if (session->shared->statement_no)
		atomic_fetch_add(session->shared->statement_no, 1);
	*manner = statement_tracer_prepare(session->tracer, &text, state_of(session));
	session->stage = TRACE_PREPARED;
	return session->end == SESSION_GOES_ON ? 0 : -1;
}

void proxy_trace_start(struct proxy_session *session)
{
	statement_tracer_start(session->tracer);
	session->stage = TRACE_STARTED;
}

bool proxy_trace_wants_bare(struct proxy_session *session, const char *sqlstate)
{
	return session->stage == TRACE_STARTED && statement_tracer_wants_bare(session->tracer, sqlstate);
}

static void end_with(struct proxy_session *session, const char *sqlstate, const char *message, bool can_ask)
{
	const struct traced_result result = {.end_ns = session->run.done ? session->run.end_ns : clock_mono_ns(),
					     .sqlstate = sqlstate,
					     .message = message,
					     .rows = session->run.rows,
					     .can_ask = can_ask};
	session->stage = TRACE_ENDED; /* no more samples: it asks meanwhile */
	statement_tracer_end(session->tracer, &result);
}

void proxy_trace_end(struct proxy_session *session)
{
	bool idle = !session->unsynced && session_expects_nothing(session);
	end_with(session, session->run.sqlstate, session->run.message, idle && session->status == 'T');
}

void proxy_trace_commit_failed(struct proxy_session *session)
{
	if (session->stage == TRACE_ENDED)
		statement_tracer_commit_failed(session->tracer, session->run.sqlstate, session->run.message);
}

void proxy_trace_settle(struct proxy_session *session)
{
	bool in_transaction = session->status != 'I' || session->unsynced;
	if (session->stage == TRACE_ENDED)
		statement_tracer_finish(session->tracer, in_transaction, clock_mono_ns());
	else if (session->tracer && !in_transaction)
		statement_tracer_end_transaction(session->tracer, clock_mono_ns());
	session->stage = TRACE_NONE;
}

int proxy_trace_socket(const struct proxy_session *session)
{
	return session->stage == TRACE_STARTED ? statement_tracer_socket(session->tracer) : -1;
}

int64_t proxy_trace_step(struct proxy_session *session, int64_t now_ns)
{
	return session->stage == TRACE_STARTED ? statement_tracer_step(session->tracer, now_ns) : INT64_MAX;
}

void proxy_trace_close(struct proxy_session *session)
{
	if (session->stage == TRACE_PREPARED)
		proxy_trace_start(session); /* it was not sent; the ledger has it all the same, with what ended it */
	if (session->stage == TRACE_STARTED) {
		bool said = session->run.sqlstate[0] != '\0';
		end_with(session, said ? session->run.sqlstate : "08006",
			 said ? session->run.message : "the connection ended before the statement did", false);
	}
	if (session->stage == TRACE_ENDED)
		statement_tracer_finish(session->tracer, false, clock_mono_ns());
	session->stage = TRACE_NONE;
	statement_tracer_close(session->tracer);
	session->tracer = NULL;
}
