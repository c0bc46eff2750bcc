/* A recorded session on one lane: see session.h. */
#include "session.h"

#include "clock.h"
#include "mem.h"
#include "sqlstate.h"
#include "worker.h"

#include <assert.h>

static void run_queue(struct session *session);

void session_init(struct session *session, struct worker *worker, uint32_t row)
{
	memset(session, 0, sizeof(*session));
	session->worker = worker;
	session->row = row;
	session->fd = -1;
	session->tail = &session->first;
	session->done_ns = INT64_MIN;
}

static struct pending *pop(struct session *session)
{
	struct pending *pending = session->first;
	if (pending) {
		session->first = pending->next;
		if (!session->first)
			session->tail = &session->first;
		pending->next = NULL;
	}
	return pending;
}

static uint32_t cap_u32(int64_t value)
{
	return value < 0 ? 0 : value > UINT32_MAX ? UINT32_MAX : (uint32_t)value;
}

/* The times of an item that was sent at sent_ns and done at done_ns, as in run_log.h. */
static struct run_record timed_record(const struct session *session, const struct pending *pending, int64_t sent_ns,
				      int64_t done_ns)
{
	int64_t could_ns = pending->due_ns > session->done_ns ? pending->due_ns : session->done_ns;
	return (struct run_record){
		.late_ns = sent_ns - pending->due_ns,
		.service_ns = done_ns - sent_ns,
		.lag_us = cap_u32((sent_ns - could_ns) / NS_PER_US),
	};
}

static void skip(struct session *session, struct pending *pending, enum run_skip_reason reason)
{
	struct run_record record = {.outcome = RUN_SKIPPED, .reason = (uint8_t)reason};
	worker_record(session->worker, pending, &record);
	worker_return_pending(session->worker, pending);
}

/* The item under way is over, well or badly. */
static void complete(struct session *session, const struct driver_result *result, uint8_t more_flags)
{
	struct pending *pending = session->current;
	int64_t now_ns = worker_now_ns(session->worker);
	struct run_record record = timed_record(session, pending, session->sent_ns, now_ns);
	record.outcome = result->sqlstate ? RUN_ERROR : RUN_OK;
	record.sqlstate = result->sqlstate;
	record.rows = cap_u32((int64_t)result->rows);
	record.digest = result->digest;
	record.flags = (uint8_t)(more_flags | (result->replan ? RUN_REPLAN : 0) |
				 (session->sent_in_transaction ? RUN_IN_TRANSACTION : 0) |
				 (session->sent_in_failed_transaction ? RUN_FAILED_TRANSACTION : 0));
	if (session->cancel_armed) {
		(void)event_del(&session->cancel_event);
		session->cancel_armed = false;
	}
	atomic_fetch_sub_explicit(&session->worker->live.busy, 1, memory_order_relaxed);
	session->current = NULL;
	session->done_ns = now_ns;
	worker_record(session->worker, pending, &record);
	worker_return_pending(session->worker, pending);
}

static void forget_socket(struct session *session)
{
	if (session->fd < 0)
		return;
	(void)event_del(&session->read_event);
	(void)event_del(&session->write_event);
	session->fd = -1;
}

static void close_connection(struct session *session)
{
	if (!session->conn)
		return;
	if (session->opened_ns > 0 || session->backend_pid) {
		struct run_session row = {.session = session->row,
					  .backend_pid = session->backend_pid,
					  .opened_ns = session->opened_ns,
					  .closed_ns = worker_now_ns(session->worker)};
		worker_record_session(session->worker, &row);
	}
	forget_socket(session);
	session->worker->options->driver->close(session->conn);
	session->conn = NULL;
}

/* The one way out for every failure of a connection. */
static void session_fail(struct session *session)
{
	const struct driver *driver = session->worker->options->driver;
	struct lane_stats *stats = &session->worker->stats;
	if (!stats->lost_reason[0])
		(void)snprintf(stats->lost_reason, sizeof(stats->lost_reason), "%s",
			       driver->lost_reason(session->conn));
	if (session->current) {
		struct driver_result result = *driver->result(session->conn);
		if (result.sqlstate == 0)
			result.sqlstate = sqlstate_pack(SQLSTATE_CONNECTION_LOST);
		complete(session, &result, 0);
	}
	close_connection(session);
	session->state = SESSION_LOST;
	run_queue(session);
}

static void on_socket(evutil_socket_t fd, short what, void *context);

/* Waits for what the driver said. The socket may have changed while connecting. */
static void watch(struct session *session, enum driver_step step)
{
	int fd = session->worker->options->driver->socket(session->conn);
	/* While connecting, libpq may close its socket and try again on another one with the same number (a server that
	 * is starting up, or that refuses TLS); the events would stay with the closed one and never fire. */
	if (session->state == SESSION_CONNECTING)
		forget_socket(session);
	if (fd != session->fd) {
		forget_socket(session);
		session->fd = fd;
		(void)event_assign(&session->read_event, session->worker->base, fd, EV_READ | EV_PERSIST, on_socket,
				   session);
		(void)event_assign(&session->write_event, session->worker->base, fd, EV_WRITE, on_socket, session);
		(void)event_add(&session->read_event, NULL);
	}
	if (step == DRIVER_WAIT_WRITE || step == DRIVER_WAIT_BOTH)
		(void)event_add(&session->write_event, NULL);
}

static void connected(struct session *session)
{
	const struct driver *driver = session->worker->options->driver;
	struct driver_result well = {.rows = 0};
	session->backend_pid = driver->backend_pid(session->conn);
	session->opened_ns = session->sent_ns > 0 ? session->sent_ns : 1;
	session->worker->stats.sessions++;
	session->state = SESSION_IDLE;
	if (driver->socket(session->conn) >= 0)
		watch(session, DRIVER_WAIT_READ);
	complete(session, &well, 0);
}

/* The driver has said how far it is. True when the session can go on with its queue. */
static bool take_step(struct session *session, enum driver_step step)
{
	switch (step) {
	case DRIVER_DONE:
		if (session->state == SESSION_CONNECTING) {
			connected(session);
		} else {
			session->state = SESSION_IDLE;
			complete(session, session->worker->options->driver->result(session->conn), 0);
		}
		return true;
	case DRIVER_LOST:
		session_fail(session);
		return false;
	default:
		watch(session, step);
		return false;
	}
}

static void on_socket(evutil_socket_t fd, short what, void *context)
{
	struct session *session = context;
	const struct driver *driver = session->worker->options->driver;
	(void)fd;
	(void)what;
	if (session->state == SESSION_IDLE) {
		if (driver->idle_input(session->conn) == DRIVER_LOST)
			session_fail(session);
		return;
	}
	if (take_step(session, driver->advance(session->conn)))
		run_queue(session);
}

static void send_cancel(struct session *session)
{
	struct worker *worker = session->worker;
	struct pending *pending = pop(session);
	struct driver_cancel *cancel = worker->options->driver->cancel_prepare(session->conn);
	if (!cancel) {
		skip(session, pending, RUN_SKIP_NOTHING_TO_CANCEL);
		return;
	}
	int64_t now_ns = worker_now_ns(worker);
	struct run_record record = timed_record(session, pending, now_ns, now_ns);
	/* It is due while its statement runs, so the completion before it is no bound. */
	record.lag_us = 0;
	record.outcome = RUN_OK;
	worker_record(worker, pending, &record);
	worker_return_pending(worker, pending);
	worker_submit_cancel(worker, cancel);
}

static void on_cancel_due(evutil_socket_t fd, short what, void *context)
{
	struct session *session = context;
	(void)fd;
	(void)what;
	session->cancel_armed = false;
	if (session->state == SESSION_BUSY && session->first && session->first->item->kind == ITEM_CANCEL)
		send_cancel(session);
}

/*
 * A cancel goes to the statement in front of it, as long after its sending as it was recorded: at its due time when the
 * session is on time, later when it is behind.
 */
static void arm_cancel(struct session *session)
{
	const struct pending *next = session->first;
	if (!next || next->item->kind != ITEM_CANCEL || session->cancel_armed)
		return;
	int64_t wait_ns = next->due_ns - session->current->due_ns - (worker_now_ns(session->worker) - session->sent_ns);
	if (wait_ns <= 0) {
		send_cancel(session);
		return;
	}
	struct timeval wait = {.tv_sec = wait_ns / NS_PER_S, .tv_usec = wait_ns % NS_PER_S / NS_PER_US};
	(void)event_assign(&session->cancel_event, session->worker->base, -1, 0, on_cancel_due, session);
	(void)event_add(&session->cancel_event, &wait);
	session->cancel_armed = true;
}

static const char *session_string(struct strbuf *buf, struct span text)
{
	size_t at = buf->len;
	strbuf_add(buf, text.p, text.len);
	strbuf_add_char(buf, '\0');
	return (const char *)at;
}

static enum driver_step start_connect(struct session *session)
{
	struct worker *worker = session->worker;
	const struct replay_session *row = replay_file_session(worker->options->file, session->row);
	strbuf_clear(&worker->values);
	size_t user = (size_t)session_string(&worker->values, lane_map_name(&worker->options->user_map, row->user));
	size_t database =
		(size_t)session_string(&worker->values, lane_map_name(&worker->options->database_map, row->database));
	size_t application = (size_t)session_string(&worker->values, row->application);
	struct driver_login login = {.user = worker->values.data + user,
				     .database = worker->values.data + database,
				     .application = worker->values.data + application};
	return worker->options->driver->open(worker->target, &login, &session->conn);
}

/* The request's strings, in the worker's buffers. False when they do not fit. */
static bool build_request(struct worker *worker, const struct item *item, struct driver_request *request)
{
	strbuf_clear(&worker->sql);
	strbuf_clear(&worker->values);
	replay_item_sql(worker->options->file, item, &worker->sql);
	*request = (struct driver_request){.sql = worker->sql.data, .sql_len = worker->sql.len};
	if (item->kind == ITEM_EXECUTE) {
		request->prepared = true;
		request->parameter_count = item->parameter_count;
		while (worker->parameter_capacity < item->parameter_count) {
			worker->parameter_capacity = worker->parameter_capacity ? worker->parameter_capacity * 2 : 64;
			worker->parameters = mem_realloc(worker->parameters, worker->parameter_capacity,
							 sizeof(*worker->parameters));
		}
		/* The buffer may move while it grows: offsets first, pointers when it is complete. */
		(void)session_string(&worker->values, item->statement_name);
		for (uint32_t i = 0; i < item->parameter_count; i++)
			worker->parameters[i] =
				item->parameters[i].p ? session_string(&worker->values, item->parameters[i]) : NULL;
		for (uint32_t i = 0; i < item->parameter_count; i++) {
			if (item->parameters[i].p)
				worker->parameters[i] = worker->values.data + (size_t)worker->parameters[i];
		}
		request->name = worker->values.data;
		request->parameters = worker->parameters;
	}
	return !worker->sql.overflow && !worker->values.overflow;
}

/* The pending item goes to the server. False when the session has to wait. */
static bool send_item(struct session *session, struct pending *pending)
{
	struct worker *worker = session->worker;
	const struct driver *driver = worker->options->driver;
	bool connect = pending->item->kind == ITEM_CONNECT;
	struct driver_request request;
	if (!connect && !build_request(worker, pending->item, &request)) {
		skip(session, pending, RUN_SKIP_UNSENDABLE);
		return true;
	}
	if (!connect) {
		enum driver_transaction transaction = driver->transaction(session->conn);
		session->sent_in_transaction = transaction != DRIVER_TRANSACTION_NONE;
		session->sent_in_failed_transaction = transaction == DRIVER_TRANSACTION_FAILED;
	}
	session->current = pending;
	session->state = connect ? SESSION_CONNECTING : SESSION_BUSY;
	atomic_fetch_add_explicit(&worker->live.busy, 1, memory_order_relaxed);
	session->sent_ns = worker_now_ns(worker);
	worker->sent_since_progress++;
	bool go_on = take_step(session, connect ? start_connect(session) : driver->send(session->conn, &request));
	if (session->state == SESSION_BUSY)
		arm_cancel(session);
	return go_on;
}

static void disconnect(struct session *session, struct pending *pending)
{
	int64_t now_ns = worker_now_ns(session->worker);
	struct run_record record = timed_record(session, pending, now_ns, now_ns);
	record.outcome = RUN_OK;
	close_connection(session);
	session->state = SESSION_CLOSED;
	session->done_ns = now_ns;
	worker_record(session->worker, pending, &record);
	worker_return_pending(session->worker, pending);
}

/* Works off the items that are due, until one is under way. */
static void run_queue(struct session *session)
{
	while (session->first) {
		enum item_kind kind = session->first->item->kind;
		switch (session->state) {
		case SESSION_CONNECTING:
			return;
		case SESSION_BUSY:
			return;
		case SESSION_IDLE:
			if (kind == ITEM_DISCONNECT)
				disconnect(session, pop(session));
			else if (kind == ITEM_CANCEL)
				skip(session, pop(session), RUN_SKIP_NOTHING_TO_CANCEL);
			else if (kind == ITEM_CONNECT)
				skip(session, pop(session), RUN_SKIP_UNSENDABLE);
			else if (!send_item(session, pop(session)))
				return;
			break;
		case SESSION_NEW:
			if (kind == ITEM_CONNECT && !send_item(session, pop(session)))
				return;
			if (kind != ITEM_CONNECT)
				skip(session, pop(session), RUN_SKIP_SESSION_LOST);
			break;
		case SESSION_CLOSED:
		case SESSION_LOST:
			skip(session, pop(session), RUN_SKIP_SESSION_LOST);
			break;
		}
	}
}

void session_enqueue(struct session *session, struct pending *pending)
{
	pending->next = NULL;
	*session->tail = pending;
	session->tail = &pending->next;
	if (session->state == SESSION_BUSY)
		arm_cancel(session);
	else
		run_queue(session);
}

void session_finish(struct session *session, enum run_skip_reason reason)
{
	struct worker *worker = session->worker;
	if (session->current) {
		struct driver_result unfinished = {.sqlstate = sqlstate_pack(SQLSTATE_UNFINISHED)};
		/* A statement must not go on in a server after the run that sent it. */
		struct driver_cancel *cancel =
			session->state == SESSION_BUSY ? worker->options->driver->cancel_prepare(session->conn) : NULL;
		if (cancel)
			worker_submit_cancel(worker, cancel);
		complete(session, &unfinished, RUN_CENSORED);
	}
	close_connection(session);
	session->state = SESSION_CLOSED;
	while (session->first)
		skip(session, pop(session), reason);
}
