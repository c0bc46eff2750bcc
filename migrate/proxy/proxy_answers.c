/*
 * The server's messages: what each answers, and whether it is the tool's business. See proxy_session.h.
 *
 * The server answers in order, so what a message is about is told by the first in the queue of what was sent:
 * ParseComplete answers a Parse, CommandComplete an Execute or a part of a Query, and so on (PostgreSQL manual, 55.2
 * Message Flow).
 */
#include "proxy_session.h"

#include "clock.h"
#include "mem.h"
#include "proxy_ask.h"
#include "proxy_trace.h"
#include "safe_message.h"

/* ---- The queue of answers to come ---- */

bool session_expects_nothing(const struct proxy_session *session)
{
	return session->pending_first == session->pending_end;
}

void session_expect(struct proxy_session *session, char kind, uint8_t flags)
{
	if (session_expects_nothing(session))
		session->pending_first = session->pending_end = 0;
	MEM_GROW(session->pending, session->pending_end, session->pending_capacity);
	session->pending[session->pending_end++] = (struct pending){kind, flags};
	if (kind != 'Q' && kind != 'F')
		session->unsynced = true;
}

static struct pending *head_of(struct proxy_session *session)
{
	return session_expects_nothing(session) ? NULL : &session->pending[session->pending_first];
}

static void answered(struct proxy_session *session, char kind)
{
	const struct pending *head = head_of(session);
	if (head && head->kind == kind)
		session->pending_first++;
}

/* ---- The server's messages ---- */

/* The tool's statement is over, well or not. */
static void run_done(struct proxy_session *session)
{
	if (session->run.active && !session->run.done) {
		session->run.done = true;
		session->run.end_ns = clock_mono_ns();
	}
}

static void note_failure(struct proxy_session *session, const struct wire_error *error)
{
	struct session_run *run = &session->run;
	if (run->sqlstate[0])
		return; /* the first is the reason */
	(void)snprintf(run->sqlstate, sizeof(run->sqlstate), "%.5s", *error->sqlstate ? error->sqlstate : "XX000");
	const struct safe_message_place place = {.sql = run->sql, .line = 1, .position = error->position};
	free(run->message);
	run->message = safe_message(run->sqlstate, error->message, &place);
}

static void pass_to_tool(struct proxy_session *session, const struct wire_message *message)
{
	bool is_text = message->type == 'E' || message->type == 'N';
	if (is_text && session->run.shift > 0 && message->last)
		wire_put_error_shifted(&session->tool.out, message->type, message->body, message->len,
				       session->run.shift);
	else
		wire_buffer_add(&session->tool.out, message->raw, message->raw_len);
}

/* After an error the server passes over what it was sent, up to a Sync. */
static void forget_skipped(struct proxy_session *session, bool ours)
{
	const struct pending *head = head_of(session);
	if (!head || head->kind == 'Q' || head->kind == 'F')
		return; /* these end with a ReadyForQuery of their own */
	while ((head = head_of(session)) && head->kind != 'S')
		session->pending_first++;
	if (!ours && (!head || (head->flags & PENDING_OURS)))
		session->skipping = true;
}

/* True when it goes to the tool. */
static bool take_error(struct proxy_session *session, const struct wire_message *message)
{
	struct wire_error error;
	wire_read_error(message->body, message->len, &error);
	const struct pending *head = head_of(session);
	/* the end of the connection is the tool's business whatever it came to answer */
	bool ends = strcmp(error.severity, "FATAL") == 0 || strcmp(error.severity, "PANIC") == 0;
	bool quiet = head && (head->flags & PENDING_OURS) && !(head->flags & PENDING_LOUD) && !ends;
	session->copy_in = false;
	session->owed_sync = 0;
	forget_skipped(session, quiet);
	if (quiet) {
		if (session->asking)
			proxy_ask_take_error(session->asking, &error);
		return false;
	}
	struct session_run *run = &session->run;
	run->rerun = run->active && run->may_rerun && !run->done && proxy_trace_wants_bare(session, error.sqlstate);
	if (run->active && !run->rerun)
		note_failure(session, &error);
	run_done(session);
	return !run->rerun;
}

static void take_ready(struct proxy_session *session, const struct wire_message *message)
{
	if (message->len == 1)
		session->status = message->body[0];
	const struct pending *head = head_of(session);
	if (!head || !(head->flags & PENDING_OURS))
		run_done(session);
	if (head)
		session->pending_first++;
	session->copy_in = false;
	if (session_expects_nothing(session))
		session->unsynced = false;
	if (session->status == 'I')
		statement_names_drop_portals(&session->names);
}

/* CommandComplete, EmptyQueryResponse, PortalSuspended. True when it goes to the tool now. */
static bool take_completion(struct proxy_session *session, const struct wire_message *message)
{
	const struct pending *head = head_of(session);
	uint8_t flags = head ? head->flags : 0;
	if (head && head->kind == 'E')
		session->pending_first++;
	if (flags & PENDING_OURS) {
		if (session->asking)
			proxy_ask_take(session->asking, message);
		return false;
	}
	if (message->type == 'C') {
		int64_t rows = wire_tag_rows(message->body, message->len);
		if (rows >= 0)
			session->run.rows = session->run.rows < 0 ? rows : session->run.rows + rows;
	}
	session->run.suspended = message->type == 's';
	if (!head || head->kind == 'E')
		run_done(session);
	if (!(flags & PENDING_HIDDEN_TAG))
		return true;
	wire_buffer_add(&session->held, message->raw, message->raw_len);
	return false;
}

/* The server passes over a Sync that it was sent before the data: it is sent again behind them. */
static void begin_copy_in(struct proxy_session *session)
{
	session->copy_in = true;
	for (size_t i = session->pending_first; i < session->pending_end; i++) {
		if (session->pending[i].kind != 'S')
			continue;
		session->owed_sync = (uint8_t)(1 + session->pending[i].flags);
		session->pending_end = i; /* nothing is sent behind a Sync before its answer */
	}
}

static void note_parameter(struct proxy_session *session, const struct wire_message *message)
{
	struct wire_cursor cursor = wire_cursor_over(message->body, message->len);
	const char *name = wire_get_string(&cursor), *value = wire_get_string(&cursor);
	if (!cursor.failed && strcmp(name, "standard_conforming_strings") == 0)
		session->plain_strings = strcmp(value, "on") == 0;
}

/* True when it goes to the tool. Messages in order, by what was sent. */
static bool take_answer(struct proxy_session *session, const struct wire_message *message)
{
	const struct pending *head = head_of(session);
	bool ours = head && (head->flags & PENDING_OURS);
	switch (message->type) {
	case 'S':
		note_parameter(session, message);
		return true;
	case 'A':
		return true;
	case 'N':
		return !head || (head->flags & (PENDING_OURS | PENDING_UNNOTICED)) == 0 || (head->flags & PENDING_LOUD);
	case 'E':
		return take_error(session, message);
	case 'Z':
		take_ready(session, message);
		return false;
	case 'C':
	case 'I':
	case 's':
		return take_completion(session, message);
	case '1':
		answered(session, 'P');
		return !ours;
	case '2':
		answered(session, 'B');
		return !ours;
	case '3':
		answered(session, 'C');
		return !ours;
	case 'T':
	case 'n':
		if (session->asking && ours)
			proxy_ask_take(session->asking, message);
		answered(session, 'D');
		return !ours;
	case 'G':
		begin_copy_in(session);
		return !ours;
	case 'D':
		if (session->asking && ours)
			proxy_ask_take(session->asking, message);
		return !ours;
	case 'K':
	case 'R':
	case 'v':
		return false; /* libpq's business, and over */
	case 'W':
		(void)session_fail(session, SESSION_BROKEN, "replication does not go through the tracing proxy");
		return false;
	default:
		return !ours;
	}
}

int session_take_answers(struct proxy_session *session)
{
	struct wire_message message;
	while (wire_buffer_len(&session->tool.out) <= SESSION_UNSENT_MAX) {
		int got = wire_reader_next(&session->server.in, &message);
		if (got == 0)
			return 0;
		if (got < 0)
			return session_fail(session, SESSION_BROKEN, "the server's answers cannot be read");
		if (message.first)
			session->drop_pieces = !take_answer(session, &message);
		if (!session->drop_pieces)
			pass_to_tool(session, &message);
		if (session->end != SESSION_GOES_ON)
			return -1;
	}
	return 0;
}
