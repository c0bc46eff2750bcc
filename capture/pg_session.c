/*
 * From records to items: see pg_session.h. Here are the sessions, their rows, and the item that each holds back,
 * because a later record may still say how long it took or what it failed with. It then goes to the sorter, which
 * orders by time and, within equal times, by the number that the item got when it arose. A session's times never go
 * back: where a duration would place an item before the one that came before it, it takes that one's time.
 */
#include "pg_session_state.h"

#include "mem.h"

#define PENDING_KEEP ((size_t)64 * 1024) /* a session keeps no more memory than this between items */
#define CUT_MIN	     16			 /* bytes */

struct pg_sessions *pg_sessions_new(const struct pg_session_options *options)
{
	struct pg_sessions *sessions = mem_zalloc(1, sizeof(*sessions));
	sessions->options = *options;
	arena_init(&sessions->permanent, (size_t)64 * 1024);
	arena_init(&sessions->scratch, (size_t)64 * 1024);
	return sessions;
}

static void session_release(struct session *session)
{
	strbuf_release(&session->pending.bytes);
	strbuf_release(&session->extended.name);
	strbuf_release(&session->extended.parameters);
	free(session->slash_names);
	session->slash_names = NULL;
	session->slash_name_count = 0;
}

void pg_sessions_free(struct pg_sessions *sessions)
{
	if (!sessions)
		return;
	struct session *session, *next;
	HASH_CLEAR(hh_pid, sessions->by_pid);
	HASH_ITER (hh, sessions->by_id, session, next) {
		HASH_DEL(sessions->by_id, session);
		session_release(session);
		free(session);
	}
	HASH_CLEAR(hh, sessions->words);
	arena_release(&sessions->permanent);
	arena_release(&sessions->scratch);
	free(sessions->rows);
	free(sessions);
}

static struct span intern(struct pg_sessions *sessions, struct span text)
{
	struct word *word;
	HASH_FIND(hh, sessions->words, text.p, text.len, word);
	if (!word) {
		word = arena_alloc(&sessions->permanent, sizeof(*word));
		*word = (struct word){.text = {arena_copy(&sessions->permanent, text.p, text.len), text.len}};
		HASH_ADD_KEYPTR(hh, sessions->words, word->text.p, word->text.len, word);
	}
	return word->text;
}

/* "10.0.0.1:5432" without the port; an IPv6 address is logged without brackets, its port behind the last colon. */
static struct span client_address(struct span client)
{
	const char *colon = client.len ? memrchr(client.p, ':', client.len) : NULL;
	return colon ? (struct span){client.p, (size_t)(colon - client.p)} : client;
}

/* ---- the item held back ---- */

static int flush_pending(struct pg_sessions *sessions, struct session *session, struct error *err)
{
	struct pending *pending = &session->pending;
	if (!pending->set)
		return 0;
	pending->set = false;
	int rc = item_sorter_add(sessions->options.sorter, &pending->head, pending->bytes.data, err);
	if (pending->bytes.capacity > PENDING_KEEP)
		strbuf_release(&pending->bytes);
	return rc;
}

int pg_session_hold(struct pg_sessions *sessions, struct session *session, struct item *item, struct error *err)
{
	int rc = flush_pending(sessions, session, err);
	if (rc < 0)
		return rc;
	if (item->time_ns < session->last_item_ns)
		item->time_ns = session->last_item_ns;
	session->last_item_ns = item->time_ns;
	item->session = session->row;
	struct pending *pending = &session->pending;
	strbuf_clear(&pending->bytes);
	item_encode_body(item, &pending->bytes);
	if (pending->bytes.overflow)
		return error_set(err, ERR_INTERNAL, "the item of line %llu is too long",
				 (unsigned long long)item->source_line);
	pending->set = true;
	pending->awaits = false;
	pending->extra_ns = 0;
	pending->head = (struct sort_head){
		.time_ns = item->time_ns,
		.number = sessions->next_number++,
		.duration_ns = item->duration_ns,
		.source_line = item->source_line,
		.source_file = item->source_file,
		.session = item->session,
		.sqlstate = item->sqlstate,
		.len = (uint32_t)pending->bytes.len,
		.kind = (uint8_t)item->kind,
		.flags = item->flags,
	};
	sessions->counts.items[item->kind]++;
	if (item->flags & ITEM_INFERRED)
		sessions->counts.inferred[item->kind]++;
	return 0;
}

/* ---- sessions ---- */

static int infer_disconnect(struct pg_sessions *sessions, struct session *session, int64_t time_ns,
			    const struct log_record *record, struct error *err)
{
	struct item item = make_item(ITEM_DISCONNECT, session->fatal_ns ? session->fatal_ns : time_ns, record);
	item.flags = ITEM_INFERRED;
	int rc = pg_session_hold(sessions, session, &item, err);
	return rc < 0 ? rc : flush_pending(sessions, session, err);
}

int pg_session_end(struct pg_sessions *sessions, struct session *session, struct error *err)
{
	int rc = flush_pending(sessions, session, err);
	session->ended = true;
	struct session *of_pid;
	HASH_FIND(hh_pid, sessions->by_pid, &session->pid, sizeof(session->pid), of_pid);
	if (of_pid == session)
		HASH_DELETE(hh_pid, sessions->by_pid, session);
	session_release(session);
	return rc;
}

/* A pid is one backend's at a time: who had it before has ended, whether the log says so or not. */
static int retire_pid(struct pg_sessions *sessions, const struct log_record *record, struct error *err)
{
	struct session *old;
	HASH_FIND(hh_pid, sessions->by_pid, &record->pid, sizeof(record->pid), old);
	if (!old)
		return 0;
	if (old->row != UINT32_MAX) {
		int rc = infer_disconnect(sessions, old, record->time_ns, record, err);
		if (rc < 0)
			return rc;
	}
	return pg_session_end(sessions, old, err);
}

static int find_session(struct pg_sessions *sessions, const struct log_record *record, struct session **out,
			struct error *err)
{
	struct session *session;
	HASH_FIND(hh, sessions->by_id, record->session_id.p, record->session_id.len, session);
	if (!session) {
		int rc = retire_pid(sessions, record, err);
		if (rc < 0)
			return rc;
		session = mem_zalloc(1, sizeof(*session));
		size_t len = record->session_id.len;
		session->id = (struct span){arena_copy(&sessions->permanent, record->session_id.p, len), len};
		session->pid = record->pid;
		session->row = UINT32_MAX;
		session->last_stamp_ns = record->time_ns;
		strbuf_init(&session->pending.bytes, LOG_RECORD_MAX * 2);
		strbuf_init(&session->extended.name, LOG_RECORD_MAX);
		strbuf_init(&session->extended.parameters, LOG_RECORD_MAX);
		HASH_ADD_KEYPTR(hh, sessions->by_id, session->id.p, session->id.len, session);
		HASH_ADD(hh_pid, sessions->by_pid, pid, sizeof(session->pid), session);
	}
	*out = session;
	return 0;
}

static void learn_application(struct pg_sessions *sessions, struct session *session, const struct log_record *record)
{
	if (session->row == UINT32_MAX || record->application.len == 0)
		return;
	struct session_row *row = &sessions->rows[session->row];
	if (row->application.len == 0)
		row->application = intern(sessions, record->application);
}

static void add_row(struct pg_sessions *sessions, struct session *session, const struct log_record *record)
{
	MEM_GROW(sessions->rows, sessions->row_count, sessions->row_capacity);
	session->row = (uint32_t)sessions->row_count++;
	sessions->rows[session->row] = (struct session_row){
		.user = intern(sessions, record->user),
		.database = intern(sessions, record->database),
		.client = intern(sessions, client_address(record->client)),
	};
	learn_application(sessions, session, record);
}

int pg_session_open(struct pg_sessions *sessions, struct session *session, const struct log_record *record,
		    int64_t time_ns, struct error *err)
{
	if (session->row != UINT32_MAX) {
		learn_application(sessions, session, record);
		return 0;
	}
	add_row(sessions, session, record);
	struct item item = make_item(ITEM_CONNECT, time_ns, record);
	item.flags = ITEM_INFERRED;
	return pg_session_hold(sessions, session, &item, err);
}

static int on_connect(struct pg_sessions *sessions, struct session *session, const struct log_record *record,
		      struct error *err)
{
	if (session->row != UINT32_MAX) {
		skip(sessions, SKIP_OUTSIDE_SESSION);
		return 0;
	}
	add_row(sessions, session, record);
	struct item item =
		make_item(ITEM_CONNECT, session->received_ns ? session->received_ns : record->time_ns, record);
	return pg_session_hold(sessions, session, &item, err);
}

static int on_disconnect(struct pg_sessions *sessions, struct session *session, const struct log_record *record,
			 struct error *err)
{
	if (session->row == UINT32_MAX && session->received_ns) {
		skip(sessions, SKIP_FAILED_LOGIN);
		return pg_session_end(sessions, session, err);
	}
	int rc = pg_session_open(sessions, session, record, record->time_ns, err);
	if (rc < 0)
		return rc;
	struct item item = make_item(ITEM_DISCONNECT, record->time_ns, record);
	rc = pg_session_hold(sessions, session, &item, err);
	return rc < 0 ? rc : pg_session_end(sessions, session, err);
}

/* ---- records ---- */

static int dispatch(struct pg_sessions *sessions, struct session *session, const struct log_record *record,
		    const struct pg_event *event, struct error *err)
{
	switch (event->kind) {
	case PG_EVENT_CONNECT:
		return on_connect(sessions, session, record, err);
	case PG_EVENT_DISCONNECT:
		return on_disconnect(sessions, session, record, err);
	case PG_EVENT_STATEMENT:
		return pg_session_on_statement(sessions, session, record, event, err);
	case PG_EVENT_EXECUTE:
		return pg_session_on_execute(sessions, session, record, event, err);
	case PG_EVENT_ERROR:
		return pg_session_on_error(sessions, session, record, event, err);
	case PG_EVENT_RECEIVED:
		sessions->connections_logged = true;
		session->received_ns = record->time_ns;
		skip(sessions, SKIP_CONNECTION_RECEIVED);
		return 0;
	case PG_EVENT_PARSE:
		pg_session_on_parse(sessions, session, record, event);
		return 0;
	case PG_EVENT_BIND:
		pg_session_on_bind(sessions, session, record, event);
		return 0;
	case PG_EVENT_FETCH:
		session->pending.awaits = false;
		skip(sessions, SKIP_FETCH);
		return 0;
	case PG_EVENT_FASTPATH:
		session->pending.awaits = false;
		skip(sessions, SKIP_FASTPATH);
		return 0;
	case PG_EVENT_DURATION:
		pg_session_on_duration(sessions, session, event);
		return 0;
	case PG_EVENT_NOTHING:
		break;
	}
	skip(sessions, event->skip);
	return 0;
}

int pg_sessions_add(struct pg_sessions *sessions, const struct log_record *record, struct error *err)
{
	sessions->counts.records++;
	arena_clear(&sessions->scratch);
	if (!sessions->have_time) {
		sessions->have_time = true;
		sessions->first_ns = sessions->last_ns = record->time_ns;
	}
	if (record->time_ns > sessions->last_ns)
		sessions->last_ns = record->time_ns;
	struct pg_event event;
	pg_statement_read(record, &event);
	if (event.kind == PG_EVENT_NOTHING) {
		skip(sessions, event.skip);
		return 0;
	}
	struct session *session = NULL;
	int rc = find_session(sessions, record, &session, err);
	if (rc < 0)
		return rc;
	if (session->ended) {
		skip(sessions, SKIP_OUTSIDE_SESSION);
		return 0;
	}
	rc = dispatch(sessions, session, record, &event, err);
	session->last_stamp_ns = record->time_ns;
	return rc;
}

void pg_sessions_add_unparsed(struct pg_sessions *sessions)
{
	sessions->counts.records++;
	skip(sessions, SKIP_UNPARSED);
}

int pg_sessions_finish(struct pg_sessions *sessions, struct error *err)
{
	struct session *session, *next;
	HASH_ITER (hh, sessions->by_id, session, next) {
		if (session->ended)
			continue;
		if (session->row != UINT32_MAX) {
			struct log_record none = {0};
			int rc = infer_disconnect(sessions, session, sessions->last_ns, &none, err);
			if (rc < 0)
				return rc;
		}
		int rc = pg_session_end(sessions, session, err);
		if (rc < 0)
			return rc;
	}
	return 0;
}

const struct pg_session_counts *pg_sessions_counts(const struct pg_sessions *sessions)
{
	return &sessions->counts;
}

size_t pg_sessions_cut_length(const struct pg_sessions *sessions)
{
	/*
	 * A limit cuts more than one value, and leaves none longer than itself. A single value, or the same one again
	 * and again, is text that ends in dots.
	 */
	if (!sessions->dotted_differ || sessions->whole_len > sessions->dotted_len + 3)
		return 0;
	return sessions->dotted_len;
}

uint32_t pg_sessions_count(const struct pg_sessions *sessions)
{
	return (uint32_t)sessions->row_count;
}

void pg_sessions_row(const struct pg_sessions *sessions, uint32_t row, struct replay_session *out)
{
	const struct session_row *from = &sessions->rows[row];
	*out = (struct replay_session){from->user, from->database, from->application, from->client};
}
