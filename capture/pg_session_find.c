/*
 * Whose a record is: see pg_session_state.h. With session ids that is a look-up. Without them (stderr logs whose prefix
 * has no %c) a session is a process id, until something shows that the id was given to another one: a new connection,
 * another client, another start, another user, or a silence longer than the idle limit.
 *
 * Parallel workers write an error under a process id of their own, which their leader then repeats. Where the log says
 * neither what kind of process that is nor when it began, such an error is put aside until its leader has spoken.
 */
#include "pg_session_state.h"

#include "clock.h"
#include "mem.h"

#define WORKER_WAIT_NS (2 * NS_PER_S) /* the leader repeats the error at once */

/* A pid is one backend's at a time: who had it before has ended, whether the log says so or not. */
static int retire(struct pg_sessions *sessions, struct session *old, const struct log_record *record, struct error *err)
{
	HASH_DELETE(hh_pid, sessions->by_pid, old);
	if (old->ended)
		return 0;
	if (old->row != UINT32_MAX) {
		int rc = pg_session_infer_disconnect(sessions, old, record->time_ns, record, err);
		if (rc < 0)
			return rc;
	}
	return pg_session_end(sessions, old, err);
}

static bool differ(struct span a, struct span b)
{
	return a.len > 0 && b.len > 0 && !span_equal(a, b);
}

/* Whether a record without an id may belong to the last session of its pid. */
static bool continues(const struct pg_sessions *sessions, const struct session *session,
		      const struct log_record *record, const struct pg_event *event)
{
	if (session->has_id || differ(session->client, record->client) || differ(session->user, record->user) ||
	    differ(session->database, record->database))
		return false;
	if (session->session_start_s > 0 && record->session_start_s > 0 &&
	    session->session_start_s != record->session_start_s)
		return false;
	if (event->kind == PG_EVENT_RECEIVED)
		return false;
	if (event->kind == PG_EVENT_CONNECT)
		return session->row == UINT32_MAX && !session->statements && !session->ended;
	int64_t idle_ns = sessions->options.idle_ns;
	int64_t gap_ns = record->time_ns - session->last_stamp_ns;
	if (idle_ns > 0 && gap_ns > idle_ns)
		return false;
	/* Behind its end only what is written in ending: all else is a session whose beginning was not logged. */
	return !session->ended || event->kind == PG_EVENT_DISCONNECT || (event->kind == PG_EVENT_ERROR && event->fatal);
}

static struct session *add_session(struct pg_sessions *sessions, const struct log_record *record)
{
	struct session *session = mem_zalloc(1, sizeof(*session));
	session->has_id = record->session_id.len > 0;
	if (session->has_id) {
		size_t len = record->session_id.len;
		session->id = (struct span){arena_copy(&sessions->permanent, record->session_id.p, len), len};
	} else {
		/* a name of its own that no log gives */
		uint64_t number = HASH_COUNT(sessions->by_id);
		char name[1 + sizeof(number)] = "#";
		memcpy(name + 1, &number, sizeof(number));
		session->id = (struct span){arena_copy(&sessions->permanent, name, sizeof(name)), sizeof(name)};
	}
	session->pid = record->pid;
	session->row = UINT32_MAX;
	session->last_stamp_ns = record->time_ns;
	strbuf_init(&session->pending.bytes, LOG_RECORD_MAX * 2);
	strbuf_init(&session->extended.name, LOG_RECORD_MAX);
	strbuf_init(&session->extended.parameters, LOG_RECORD_MAX);
	HASH_ADD_KEYPTR(hh, sessions->by_id, session->id.p, session->id.len, session);
	HASH_ADD(hh_pid, sessions->by_pid, pid, sizeof(session->pid), session);
	return session;
}

static void learn(struct pg_sessions *sessions, struct session *session, const struct log_record *record)
{
	if (record->user.len > 0 && session->user.len == 0)
		session->user = pg_session_intern(sessions, record->user);
	if (record->database.len > 0 && session->database.len == 0)
		session->database = pg_session_intern(sessions, record->database);
	if (record->client.len > 0 && session->client.len == 0) {
		session->client = (struct span){arena_copy(&sessions->permanent, record->client.p, record->client.len),
						record->client.len};
		session->client_bare = record->client_bare;
	}
	if (session->session_start_s == 0)
		session->session_start_s = record->session_start_s;
}

int pg_session_find(struct pg_sessions *sessions, const struct log_record *record, const struct pg_event *event,
		    struct session **out, struct error *err)
{
	struct session *session = NULL;
	if (record->session_id.len > 0) {
		HASH_FIND(hh, sessions->by_id, record->session_id.p, record->session_id.len, session);
	} else {
		HASH_FIND(hh_pid, sessions->by_pid, &record->pid, sizeof(record->pid), session);
		if (session && !continues(sessions, session, record, event))
			session = NULL;
	}
	if (!session) {
		struct session *old;
		HASH_FIND(hh_pid, sessions->by_pid, &record->pid, sizeof(record->pid), old);
		int rc = old ? retire(sessions, old, record, err) : 0;
		if (rc < 0)
			return rc;
		session = add_session(sessions, record);
	}
	if (!session->has_id || event->kind == PG_EVENT_RECEIVED ||
	    (event->kind == PG_EVENT_CONNECT && sessions->options.filter))
		learn(sessions, session, record);
	*out = session;
	return 0;
}

/* ---- parallel workers ---- */

static struct span keep(char **at, struct span text)
{
	if (text.len == 0)
		return (struct span){"", 0};
	memcpy(*at, text.p, text.len);
	struct span kept = {*at, text.len};
	*at += text.len;
	return kept;
}

/* A copy that outlives the reader's buffer. */
static void copy_record(const struct log_record *from, struct deferred_error *out)
{
	out->bytes = mem_alloc(from->user.len + from->database.len + from->client.len + from->severity.len +
			       from->sqlstate.len + from->message.len + from->detail.len + from->context.len +
			       from->query.len + from->application.len + 1);
	char *at = out->bytes;
	out->record = *from;
	out->record.user = keep(&at, from->user);
	out->record.database = keep(&at, from->database);
	out->record.client = keep(&at, from->client);
	out->record.severity = keep(&at, from->severity);
	out->record.sqlstate = keep(&at, from->sqlstate);
	out->record.message = keep(&at, from->message);
	out->record.detail = keep(&at, from->detail);
	out->record.context = keep(&at, from->context);
	out->record.query = keep(&at, from->query);
	out->record.application = keep(&at, from->application);
	out->record.backend_type = (struct span){"", 0};
	out->record.split = NULL; /* points into the reader's memory, as does: */
	out->record.event = NULL;
}

bool pg_session_defer(struct pg_sessions *sessions, const struct session *session, const struct log_record *record,
		      const struct pg_event *event)
{
	bool unknown = event->kind == PG_EVENT_ERROR && event->text.len > 0 && record->backend_type.len == 0 &&
		       !session->has_id && record->session_start_s == 0 && session->row == UINT32_MAX &&
		       !session->received_ns && !session->statements && sessions->connections_logged;
	if (!unknown || sessions->deferred_count == DEFERRED_ERRORS_MAX)
		return false;
	copy_record(record, &sessions->deferred[sessions->deferred_count++]);
	return true;
}

static int settle_one(struct pg_sessions *sessions, size_t index, bool worker, struct error *err)
{
	struct deferred_error deferred = sessions->deferred[index];
	sessions->deferred[index] = sessions->deferred[--sessions->deferred_count];
	sessions->now = &deferred.record;
	int rc = 0;
	if (worker) {
		skip(sessions, SKIP_BACKGROUND);
	} else {
		struct pg_event event;
		struct session *session;
		pg_statement_read(&deferred.record, &event);
		rc = pg_session_find(sessions, &deferred.record, &event, &session, err);
		if (rc == 0)
			rc = pg_session_dispatch(sessions, session, &deferred.record, &event, err);
	}
	free(deferred.bytes);
	return rc;
}

int pg_session_settle(struct pg_sessions *sessions, const struct log_record *record, const struct pg_event *event,
		      struct error *err)
{
	for (size_t i = 0; i < sessions->deferred_count;) {
		const struct log_record *held = &sessions->deferred[i].record;
		bool worker = record && event->kind == PG_EVENT_ERROR && event->in_worker &&
			      span_equal(record->message, held->message) && span_equal(record->query, held->query);
		bool real = !record || record->pid == held->pid || record->time_ns - held->time_ns > WORKER_WAIT_NS;
		if (!worker && !real) {
			i++;
			continue;
		}
		int rc = settle_one(sessions, i, worker, err);
		if (rc < 0)
			return rc;
	}
	return 0;
}
