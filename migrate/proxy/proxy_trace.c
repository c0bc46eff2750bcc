/* The session's side of the statement tracer: see proxy_trace.h. */
#include "proxy_trace.h"

#include "clock.h"

int proxy_trace_prepare(struct proxy_session *session, struct span sql, enum statement_manner *manner)
{
	(void)sql;
	session->stage = TRACE_PREPARED;
	*manner = STATEMENT_READ;
	return 0;
}

enum statement_manner proxy_trace_manner(const struct proxy_session *session, struct span sql)
{
	(void)session;
	(void)sql;
	return STATEMENT_READ;
}

void proxy_trace_start(struct proxy_session *session)
{
	session->stage = TRACE_STARTED;
}

bool proxy_trace_wants_bare(struct proxy_session *session, const char *sqlstate)
{
	(void)session;
	(void)sqlstate;
	return false;
}

void proxy_trace_end(struct proxy_session *session)
{
	session->stage = TRACE_ENDED;
}

void proxy_trace_commit_failed(struct proxy_session *session)
{
	(void)session;
}

void proxy_trace_settle(struct proxy_session *session)
{
	session->stage = TRACE_NONE;
}

int proxy_trace_socket(const struct proxy_session *session)
{
	(void)session;
	return -1;
}

int64_t proxy_trace_step(struct proxy_session *session, int64_t now_ns)
{
	(void)session;
	(void)now_ns;
	return INT64_MAX;
}

void proxy_trace_close(struct proxy_session *session)
{
	session->stage = TRACE_NONE;
}
