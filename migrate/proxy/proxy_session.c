/* One tool's connection through the proxy: see proxy_session.h. */
#include "proxy_session.h"

#include "clock.h"
#include "logging.h"
#include "proxy_ask.h"
#include "proxy_greeting.h"
#include "proxy_trace.h"

#include <poll.h>

#define LOOK_NS		(50 * NS_PER_MS)     /* how often the proxy's flags are looked at */
#define READ_AHEAD	((size_t)256 * 1024) /* of the tool, while a statement of its runs */
#define BATCH_MAX	((size_t)64 * 1024)
#define PENDING_MAX	10000
#define GIVE_UP_NS	(10 * NS_PER_S) /* a server that does not answer a cancel is left behind */
#define CANCEL_AGAIN_NS (1 * NS_PER_S)

void proxy_session_init(struct proxy_session *session, struct proxy_shared *shared)
{
	memset(session, 0, sizeof(*session));
	session->shared = shared;
	session->status = 'I';
	session->tool.fd = session->server.fd = -1;
	ledger_init(&session->ledger);
}

void proxy_session_release(struct proxy_session *session)
{
	proxy_link_release(&session->tool);
	proxy_link_release(&session->server);
	free(session->pending);
	wire_buffer_release(&session->batch);
	wire_buffer_release(&session->held);
	statement_names_release(&session->names);
	proxy_ask_forget(session);
	free(session->run.message);
	ledger_release(&session->ledger);
}

int session_fail(struct proxy_session *session, enum session_end end, const char *why)
{
	if (session->end != SESSION_GOES_ON)
		return -1; /* the first is the reason */
	session->end = end;
	(void)snprintf(session->why, sizeof(session->why), "%s", why);
	return -1;
}

void session_set_cancellable(struct proxy_session *session, bool cancellable)
{
	(void)pthread_mutex_lock(&session->shared->lock);
	session->cancellable = cancellable;
	(void)pthread_mutex_unlock(&session->shared->lock);
}

void proxy_session_cancel(struct proxy_session *session)
{
	char ignored[256];
	if (session->cancel && session->cancellable)
		(void)PQcancel(session->cancel, ignored, sizeof(ignored));
}

/* ---- Sending ---- */

void session_pass(struct proxy_session *session, const struct wire_message *message, char kind, uint8_t flags)
{
	wire_buffer_add(&session->server.out, message->raw, message->raw_len);
	session_expect(session, kind, flags);
}

int session_pass_rest(struct proxy_session *session, struct wire_message *message)
{
	while (!message->last) {
		int got = wire_reader_next(&session->tool.in, message);
		if (got < 0)
			return session_fail(session, SESSION_BROKEN, session->tool.in.wrong);
		if (got > 0)
			wire_buffer_add(&session->server.out, message->raw, message->raw_len);
		else if (session->tool.ended)
			return session_fail(session, SESSION_TOOL_GONE, "the tool left within a message");
		if ((got == 0 || wire_buffer_len(&session->server.out) > SESSION_UNSENT_MAX) && session_wait(session))
			return -1;
	}
	return 0;
}

void session_send_batch(struct proxy_session *session)
{
	const char *p = wire_buffer_at(&session->batch);
	size_t left = wire_buffer_len(&session->batch);
	wire_buffer_add(&session->server.out, p, left);
	while (left > 0) { /* whole messages, all of them */
		struct wire_cursor cursor = wire_cursor_over(p, left);
		char kind = (char)wire_get_u8(&cursor);
		size_t len = (size_t)wire_get_u32(&cursor) + 1;
		session_expect(session, kind, 0);
		p += len;
		left -= len;
	}
	wire_buffer_clear(&session->batch);
}

void session_send_sync(struct proxy_session *session, uint8_t flags)
{
	wire_put_empty(&session->server.out, 'S');
	session_expect(session, 'S', flags);
}

void session_put_ready(struct proxy_session *session)
{
	size_t mark = wire_begin(&session->tool.out, 'Z');
	wire_put_u8(&session->tool.out, (uint8_t)session->status);
	wire_end(&session->tool.out, mark);
}

/* ---- Waiting ---- */

static bool wants_tool(const struct proxy_session *session)
{
	size_t have = wire_buffer_len(&session->tool.in.bytes);
	if (wire_buffer_len(&session->server.out) > SESSION_UNSENT_MAX)
		return false;
	return have < READ_AHEAD || have < session->tool.in.want;
}

static int look_at_flags(struct proxy_session *session)
{
	if (atomic_load(&session->shared->stopping) || atomic_load(&session->shared->cancelled))
		return session_fail(session, SESSION_STOPPED, "the run was ended");
	if (session->tool.ended && !session_expects_nothing(session) && !wire_reader_holds_terminate(&session->tool.in))
		return session_fail(session, SESSION_TOOL_GONE, "the tool left while a statement ran");
	return 0;
}

static int wait_ms(int64_t until_ns, int64_t now_ns)
{
	return until_ns <= now_ns ? 0 : (int)((until_ns - now_ns + NS_PER_MS - 1) / NS_PER_MS);
}

static void poll_links(struct proxy_session *session, bool tool_wanted, int64_t until_ns)
{
	struct proxy_link *tool = &session->tool, *server = &session->server;
	bool server_wanted = wire_buffer_len(&tool->out) <= SESSION_UNSENT_MAX &&
			     wire_buffer_len(&server->in.bytes) <= SESSION_UNSENT_MAX + server->in.want;
	short tool_events = proxy_link_events(tool, tool_wanted);
	short server_events = proxy_link_events(server, server_wanted);
	/* one that is not waited for is left out: poll() would tell of its end again and again */
	struct pollfd fds[3] = {{.fd = tool_events ? tool->fd : -1, .events = tool_events},
				{.fd = server_events ? server->fd : -1, .events = server_events},
				{.fd = proxy_trace_socket(session), .events = POLLIN}};
	int timeout_ms = proxy_link_has_more(server) && server_wanted ? 0 : wait_ms(until_ns, clock_mono_ns());
	(void)poll(fds, 3, timeout_ms);
	if (fds[0].revents & (POLLIN | POLLHUP | POLLERR))
		proxy_link_read(tool);
	if ((fds[1].revents & (POLLIN | POLLHUP | POLLERR)) || (server_wanted && proxy_link_has_more(server)))
		proxy_link_read(server);
}

int session_wait(struct proxy_session *session)
{
	proxy_link_write(&session->server);
	proxy_link_write(&session->tool);
	if (look_at_flags(session))
		return -1;
	int64_t now_ns = clock_mono_ns(), until_ns = now_ns + LOOK_NS;
	int64_t step_ns = proxy_trace_step(session, now_ns);
	poll_links(session, wants_tool(session), step_ns < until_ns ? step_ns : until_ns);
	char type;
	if (session->server.ended && !wire_reader_peek(&session->server.in, &type))
		return session_fail(session, SESSION_SERVER_GONE, "the server ended the connection");
	return 0;
}

/* Behind the data: with the extended protocol the server says what became of them when it is asked. */
static void push_copy_answer(struct proxy_session *session)
{
	if (session->owed_sync) {
		uint8_t flags = (uint8_t)(session->owed_sync - 1);
		session->owed_sync = 0;
		session_send_sync(session, flags);
	} else if (session->unsynced) {
		wire_put_empty(&session->server.out, 'H');
	}
}

/* Data of COPY … FROM STDIN, from the tool to the server. */
static int pass_copy_data(struct proxy_session *session)
{
	struct wire_message message;
	while ((session->copy_in || session->tool_partial) &&
	       wire_buffer_len(&session->server.out) <= SESSION_UNSENT_MAX) {
		int got = wire_reader_next(&session->tool.in, &message);
		if (got < 0)
			return session_fail(session, SESSION_BROKEN, session->tool.in.wrong);
		if (got == 0)
			return 0;
		if (message.first && (message.type == 'S' || message.type == 'H'))
			continue; /* the server passes over these meanwhile */
		if (message.first && message.type == 'X')
			return session_fail(session, SESSION_TOOL_GONE, "the tool left within COPY");
		wire_buffer_add(&session->server.out, message.raw, message.raw_len);
		session->tool_partial = !message.last;
		if (message.type == 'd')
			continue;
		session->copy_in = false; /* CopyDone, CopyFail, or what the server will not like */
		if (message.last)
			push_copy_answer(session);
	}
	return 0;
}

int session_wait_all(struct proxy_session *session)
{
	for (;;) {
		if (session_take_answers(session) || pass_copy_data(session))
			return -1;
		if (session_expects_nothing(session) && !session->tool_partial && !session->copy_in)
			return 0;
		if (session_wait(session))
			return -1;
	}
}

/* ---- The tool's messages ---- */

static void note_parse(struct proxy_session *session, const struct wire_message *message)
{
	struct wire_cursor cursor = wire_cursor_over(message->body, message->len);
	const char *name = wire_get_string(&cursor), *text = cursor.p;
	size_t left = (size_t)(cursor.end - cursor.p);
	const char *end = left ? memchr(text, '\0', left) : NULL;
	/* of one that came in pieces its beginning: enough to tell what it is */
	struct span sql = {text, end ? (size_t)(end - text) : left};
	if (!cursor.failed)
		statement_names_prepare(&session->names, name, sql);
}

static void note_bind(struct proxy_session *session, const struct wire_message *message)
{
	struct wire_cursor cursor = wire_cursor_over(message->body, message->len);
	const char *portal = wire_get_string(&cursor), *statement = wire_get_string(&cursor);
	struct span raw = {message->last ? message->raw : NULL, message->raw_len};
	if (!cursor.failed)
		statement_names_bind(&session->names, portal, statement, raw);
}

static void note_close(struct proxy_session *session, const struct wire_message *message)
{
	struct wire_cursor cursor = wire_cursor_over(message->body, message->len);
	char kind = (char)wire_get_u8(&cursor);
	const char *name = wire_get_string(&cursor);
	if (!cursor.failed)
		statement_names_close(&session->names, kind, name);
}

/* Parse, Bind, Describe, Close: they wait for company, for nothing answers them before a Sync or Flush. */
static int collect(struct proxy_session *session, struct wire_message *message)
{
	if (message->type == 'P')
		note_parse(session, message);
	else if (message->type == 'B')
		note_bind(session, message);
	else if (message->type == 'C')
		note_close(session, message);
	if (message->last) {
		wire_buffer_add(&session->batch, message->raw, message->raw_len);
		if (wire_buffer_len(&session->batch) > BATCH_MAX)
			session_send_batch(session);
	} else {
		session_send_batch(session);
		session_pass(session, message, message->type, 0);
		if (session_pass_rest(session, message))
			return -1;
	}
	if (session->pending_end - session->pending_first < PENDING_MAX)
		return 0;
	session_send_batch(session);
	wire_put_empty(&session->server.out, 'H');
	return session_wait_all(session);
}

/* What is passed over still has to be read to its end. */
static int drop_rest(struct proxy_session *session, struct wire_message *message)
{
	while (!message->last) {
		int got = wire_reader_next(&session->tool.in, message);
		if (got < 0)
			return session_fail(session, SESSION_BROKEN, session->tool.in.wrong);
		if (got == 0 && session->tool.ended)
			return session_fail(session, SESSION_TOOL_GONE, "the tool left within a message");
		if (got == 0 && session_wait(session))
			return -1;
	}
	return 0;
}

static int take_message(struct proxy_session *session, struct wire_message *message)
{
	if (session->skipping && message->type != 'S' && message->type != 'X')
		return drop_rest(session, message);
	switch (message->type) {
	case 'Q':
		return session_do_query(session, message);
	case 'P':
	case 'B':
	case 'D':
	case 'C':
		return collect(session, message);
	case 'E':
		return session_do_execute(session, message);
	case 'S':
		return session_do_sync(session);
	case 'H':
		session_send_batch(session);
		wire_put_empty(&session->server.out, 'H');
		return 0;
	case 'F':
		return session_do_function(session, message);
	case 'X':
		return session_fail(session, SESSION_TOOL_LEFT, "");
	case 'd':
	case 'c':
	case 'f':
		return drop_rest(session, message); /* the rest of a COPY that failed: the server passes over it too */
	default:
		return session_fail(session, SESSION_BROKEN, "a message that does not belong here");
	}
}

static int next_message(struct proxy_session *session, struct wire_message *message)
{
	for (;;) {
		if (session_take_answers(session))
			return -1;
		/* before its first message is taken: the tracer asks the server, which is idle now */
		if (wire_buffer_len(&session->tool.in.bytes) > 0 && *wire_buffer_at(&session->tool.in.bytes) != 'X' &&
		    proxy_trace_open(session))
			return -1;
		int got = wire_reader_next(&session->tool.in, message);
		if (got > 0)
			return 0;
		if (got < 0)
			return session_fail(session, SESSION_BROKEN, session->tool.in.wrong);
		if (session->tool.ended)
			return session_fail(session, SESSION_TOOL_GONE, "the tool left");
		if (session_wait(session))
			return -1;
	}
}

/* ---- The end ---- */

/* One round of waiting for the server alone, what it says to the tool dropped. */
static bool wait_for_server(struct proxy_session *session, int64_t now_ns)
{
	proxy_link_write(&session->server);
	wire_buffer_clear(&session->tool.out);
	int64_t step_ns = proxy_trace_step(session, now_ns), look_ns = now_ns + LOOK_NS;
	poll_links(session, false, step_ns < look_ns ? step_ns : look_ns);
	session->end = SESSION_GOES_ON; /* so that answers are still taken */
	return session_take_answers(session) == 0 && !session->copy_in;
}

/* Cancels what runs and waits until the server is through with it. */
static void cancel_and_wait(struct proxy_session *session)
{
	char ignored[256];
	int64_t begin_ns = clock_mono_ns(), cancelled_ns = 0;
	while (!session_expects_nothing(session) && !session->server.ended) {
		int64_t now_ns = clock_mono_ns();
		if (now_ns - begin_ns > GIVE_UP_NS)
			return;
		if (now_ns - cancelled_ns > CANCEL_AGAIN_NS) {
			if (session->cancel)
				(void)PQcancel(session->cancel, ignored, sizeof(ignored));
			cancelled_ns = now_ns;
		}
		if (!wait_for_server(session, now_ns))
			return;
	}
}

/* The server closes when its transaction is rolled back: what it held is held until then. */
static void leave(struct proxy_session *session)
{
	int64_t begin_ns = clock_mono_ns();
	if (session->tool_partial || !session_expects_nothing(session))
		return; /* it would not be understood, or not be heard */
	wire_put_empty(&session->server.out, 'X');
	while (!session->server.ended && clock_mono_ns() - begin_ns < GIVE_UP_NS) {
		if (!wait_for_server(session, clock_mono_ns()))
			return;
	}
}

static void wind_down(struct proxy_session *session)
{
	session->tool.ended = true; /* nothing of it is read any more */
	cancel_and_wait(session);
	leave(session);
}

static void say_why(struct proxy_session *session, enum session_end end)
{
	if (end == SESSION_STOPPED)
		wire_put_error(&session->tool.out, "FATAL", "57P01", "rehearse: the run was ended");
	else if (end == SESSION_BROKEN) {
		char text[200];
		(void)snprintf(text, sizeof(text), "rehearse: %s", session->why);
		wire_put_error(&session->tool.out, "FATAL", "08P01", text);
	}
}

void proxy_session_run(struct proxy_session *session)
{
	struct wire_message message;
	while (next_message(session, &message) == 0 && take_message(session, &message) == 0)
		;
	enum session_end end = session->end;
	struct wire_buffer last_words = session->tool.out;
	session->tool.out = (struct wire_buffer){0};
	if (end != SESSION_SERVER_GONE)
		wind_down(session);
	session->end = end;
	wire_buffer_release(&session->tool.out);
	session->tool.out = last_words;
	say_why(session, end);
	if (end != SESSION_TOOL_GONE && end != SESSION_TOOL_LEFT)
		proxy_greeting_flush(&session->tool);
	proxy_trace_close(session);
	/* libpq says goodbye and closes; an open transaction is rolled back */
}
