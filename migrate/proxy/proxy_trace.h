/*
 * The session's side of the statement tracer (measure/): opened with the first statement, told what happens to each,
 * given the tool's backend to ask. Every statement of the tool's passes through these in order: prepare, start (again
 * when it is sent again), end, and settle when its transaction's fate is known.
 */
#ifndef PROXY_TRACE_H
#define PROXY_TRACE_H

#include "proxy_session.h"
#include "statement_tracer.h"

/* Before anything is sent for the tool, for the server is to be idle. -1, the session over, when it cannot be. */
int proxy_trace_open(struct proxy_session *session);
/* How the statement is to be run. -1 when the session is over. */
int proxy_trace_prepare(struct proxy_session *session, struct span sql, enum statement_manner *manner);
void proxy_trace_start(struct proxy_session *session);
bool proxy_trace_wants_bare(struct proxy_session *session, const char *sqlstate);
/* It is over: session->run says how. */
void proxy_trace_end(struct proxy_session *session);
/* The COMMIT around it, or behind it, failed: session->run says why. */
void proxy_trace_commit_failed(struct proxy_session *session);
/* Done with, unless it is so already. */
void proxy_trace_settle(struct proxy_session *session);

/* -1 when there is nothing to wait for. */
int proxy_trace_socket(const struct proxy_session *session);
/* When it wants to be called again, INT64_MAX when no statement runs. */
int64_t proxy_trace_step(struct proxy_session *session, int64_t now_ns);
/* At the session's end: whatever is open ends now. */
void proxy_trace_close(struct proxy_session *session);

#endif
