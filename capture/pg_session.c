/*
 * From records to items: see pg_session.h. Here are the sessions, their rows, and the item that each holds back,
 * because a later record may still say how long it took or what it failed with. It then goes to the sorter, which
 * orders by time and, within equal times, by the number that the item got when it arose. A session's times never go
 * back: where a duration would place an item before the one that came before it, it takes that one's time.
 */
#include "pg_session_state.h"

#include "clock.h"
#include "mem.h"

#define PENDING_KEEP	  ((size_t)64 * 1024) /* a session keeps no more memory than this between items */
#define CONNECT_BEFORE_NS NS_PER_S

struct pg_sessions *pg_sessions_new(const struct pg_session_options *options)
{
	struct pg_sessions *sessions = mem_zalloc(1, sizeof(*sessions));
	sessions->options = *options;
	arena_init(&sessions->permanent, (size_t)64 * 1024);
	arena_init(&sessions->scratch, (size_t)64 * 1024);
	return sessions;
}

void pg_sessions_free(struct pg_sessions *sessions)
{
	if (!sessions)
		return;
	struct session *session, *next;
	HASH_CLEAR(hh_pid, sessions->by_pid);
	HASH_ITER (hh, sessions->by_id, session, next) {
		HASH_DEL(sessions->by_id, session);
		pg_session_release(session);
		free(session);
	}
	for (size_t i = 0; i < sessions->deferred_count; i++)
		free(sessions->deferred[i].bytes);
	HASH_CLEAR(hh, sessions->words);
	arena_release(&sessions->permanent);
	arena_release(&sessions->scratch);
	free(sessions->rows);
	free(sessions);
}

struct span pg_session_intern(struct pg_sessions *sessions, struct span text)
{
	struct word *word;
	if (text.len == 0)
		return (struct span){"", 0};
	HASH_FIND(hh, sessions->words, text.p, text.len, word);
	if (!word) {
		word = arena_alloc(&sessions->permanent, sizeof(*word));
		*word = (struct word){.text = {arena_copy(&sessions->permanent, text.p, text.len), text.len}};
		HASH_ADD_KEYPTR(hh, sessions->words, word->text.p, word->text.len, word);
	}
	return word->text;
}

/* "10.0.0.1:5432" without the port; an IPv6 address is logged without brackets, its port behind the last colon. */
static struct span client_address(const struct session *session, const struct log_record *record)
{
	bool known = record->client.len > 0;
	struct span client = known ? record->client : session->client;
	bool bare = known ? record->client_bare : session->client_bare;
	const char *colon = client.len && !bare ? memrchr(client.p, ':', client.len) : NULL;
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

void pg_session_release(struct session *session)
{
	strbuf_release(&session->pending.bytes);
	strbuf_release(&session->extended.name);
	strbuf_release(&session->extended.parameters);
	free(session->slash_names);
	session->slash_names = NULL;
	session->slash_name_count = 0;
}

int pg_session_infer_disconnect(struct pg_sessions *sessions, struct session *session, int64_t time_ns,
				const struct log_record *record, struct error *err)
{
	int64_t idle_ns = sessions->options.idle_ns;
	if (session->fatal_ns)
		time_ns = session->fatal_ns;
	else if (idle_ns > 0 && time_ns - session->last_stamp_ns > idle_ns)
		time_ns = session->last_stamp_ns + idle_ns;
	struct item item = make_item(ITEM_DISCONNECT, time_ns, record);
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
	/* One without an id is still asked for by what follows its end. */
	if (of_pid == session && session->has_id)
		HASH_DELETE(hh_pid, sessions->by_pid, session);
	pg_session_release(session);
	return rc;
}

static void learn_application(struct pg_sessions *sessions, struct session *session, const struct log_record *record)
{
	if (session->row == UINT32_MAX || record->application.len == 0)
		return;
	struct session_row *row = &sessions->rows[session->row];
	if (row->application.len == 0)
		row->application = pg_session_intern(sessions, record->application);
}

static void add_row(struct pg_sessions *sessions, struct session *session, const struct log_record *record)
{
	MEM_GROW(sessions->rows, sessions->row_count, sessions->row_capacity);
	session->row = (uint32_t)sessions->row_count++;
	sessions->rows[session->row] = (struct session_row){
		.user = pg_session_intern(sessions, record->user),
		.database = pg_session_intern(sessions, record->database),
		.client = pg_session_intern(sessions, client_address(session, record)),
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
	/* So early that the connection stands when the first statement is due. */
	struct item item = make_item(ITEM_CONNECT, time_ns - CONNECT_BEFORE_NS, record);
	item.flags = ITEM_INFERRED;
	return pg_session_hold(sessions, session, &item, err);
}

static int add_connect(struct pg_sessions *sessions, struct session *session, const struct log_record *record,
		       int64_t time_ns, struct log_place place, struct error *err)
{
	add_row(sessions, session, record);
	struct item item = make_item(ITEM_CONNECT, time_ns, record);
	item.source_file = place.file;
	item.source_line = place.line;
	return pg_session_hold(sessions, session, &item, err);
}

static int on_connect(struct pg_sessions *sessions, struct session *session, const struct log_record *record,
		      struct error *err)
{
	if (session->row != UINT32_MAX || session->connect.set) {
		skip(sessions, SKIP_OUTSIDE_SESSION);
		return 0;
	}
	int64_t time_ns = session->received_ns ? session->received_ns : record->time_ns;
	struct log_place place = {record->file, record->line};
	if (!session->judged) {
		session->connect = (struct deferred_connect){true, time_ns, place};
		return 0;
	}
	return add_connect(sessions, session, record, time_ns, place, err);
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

int pg_session_dispatch(struct pg_sessions *sessions, struct session *session, const struct log_record *record,
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
	case PG_EVENT_WALSENDER:
		session->walsender = true;
		break;
	case PG_EVENT_NOTHING:
		break;
	}
	skip(sessions, event->skip);
	return 0;
}

/* ---- what is wanted ---- */

/* "connection authorized: user=… database=… application_name=…"; false when it names none. */
static bool connect_application(const struct log_record *record, struct span *out)
{
	static const char mark[] = " application_name=";
	struct span text = record->message;
	const char *at = text.len ? memmem(text.p, text.len, mark, sizeof(mark) - 1) : NULL;
	if (!at)
		return false;
	at += sizeof(mark) - 1;
	size_t len = text.len - (size_t)(at - text.p);
	const char *ssl = memmem(at, len, " SSL enabled (", 14);
	*out = (struct span){at, ssl ? (size_t)(ssl - at) : len};
	return true;
}

/*
 * Decides, once for each session, whether it is wanted; a connect that waited for that follows. An application's name
 * may come later than the connect: then that waits for the next event.
 */
static int judge(struct pg_sessions *sessions, struct session *session, const struct log_record *record,
		 const struct pg_event *event, struct error *err)
{
	const struct log_filter *filter = sessions->options.filter;
	struct span application = record->application;
	if (session->judged || event->kind == PG_EVENT_RECEIVED)
		return 0;
	if (filter) {
		if (event->kind == PG_EVENT_CONNECT && !connect_application(record, &application) &&
		    log_filter_needs_application(filter))
			return 0;
		session->unwanted = log_filter_session(filter, record->user, record->database, application);
	}
	session->judged = true;
	if (!session->connect.set)
		return 0;
	session->connect.set = false;
	if (session->unwanted) {
		skip_filtered(sessions, session->unwanted);
		return 0;
	}
	return add_connect(sessions, session, record, session->connect.time_ns, session->connect.place, err);
}

/* A record before the wanted time: what of it must be known later is kept. */
static int note_early(struct pg_sessions *sessions, struct session *session, const struct log_record *record,
		      const struct pg_event *event, struct error *err)
{
	switch (event->kind) {
	case PG_EVENT_RECEIVED:
		sessions->connections_logged = true;
		session->received_ns = record->time_ns;
		return 0;
	case PG_EVENT_WALSENDER:
		session->walsender = true;
		return 0;
	case PG_EVENT_DISCONNECT:
		return pg_session_end(sessions, session, err);
	case PG_EVENT_STATEMENT:
	case PG_EVENT_EXECUTE:
		session->early_hash = hash_span(event->text);
		session->statements = true;
		return 0;
	default:
		session->statements = true;
		return 0;
	}
}

static int add_to_session(struct pg_sessions *sessions, struct session *session, const struct log_record *record,
			  const struct pg_event *event, struct error *err)
{
	const struct log_filter *filter = sessions->options.filter;
	int64_t start_ns = record->time_ns - (event->duration_ns > 0 ? event->duration_ns : 0);
	if (filter && log_filter_time(filter, start_ns)) {
		skip_filtered(sessions, FILTER_TIME);
		return start_ns < log_filter_end_ns(filter) ? note_early(sessions, session, record, event, err) : 0;
	}
	if (session->ended) {
		skip(sessions, SKIP_OUTSIDE_SESSION);
		return 0;
	}
	if (session->walsender) {
		skip(sessions, SKIP_REPLICATION);
		return event->kind == PG_EVENT_DISCONNECT ? pg_session_end(sessions, session, err) : 0;
	}
	int rc = judge(sessions, session, record, event, err);
	if (rc < 0)
		return rc;
	if (session->unwanted) {
		skip_filtered(sessions, session->unwanted);
		return event->kind == PG_EVENT_DISCONNECT ? pg_session_end(sessions, session, err) : 0;
	}
	/* The error of a statement that began before the wanted time. */
	bool early =
		session->early_hash && event->kind == PG_EVENT_ERROR && session->early_hash == hash_span(event->text);
	session->early_hash = 0;
	if (early) {
		skip_filtered(sessions, FILTER_TIME);
		return 0;
	}
	if (pg_session_defer(sessions, session, record, event))
		return 0;
	return pg_session_dispatch(sessions, session, record, event, err);
}

static void note_time(struct pg_sessions *sessions, const struct log_record *record)
{
	struct pg_session_counts *counts = &sessions->counts;
	if (record->uncertainty_ns > counts->uncertainty_ns)
		counts->uncertainty_ns = record->uncertainty_ns;
	if (sessions->options.filter && log_filter_time(sessions->options.filter, record->time_ns))
		return;
	if (!sessions->have_time)
		counts->first_ns = counts->last_ns = record->time_ns;
	sessions->have_time = true;
	if (record->time_ns > counts->last_ns)
		counts->last_ns = record->time_ns;
}

int pg_sessions_add(struct pg_sessions *sessions, const struct log_record *record, struct error *err)
{
	sessions->counts.records++;
	sessions->now = record;
	arena_clear(&sessions->scratch);
	note_time(sessions, record);
	struct pg_event own;
	const struct pg_event *event = record->event;
	if (!event) {
		pg_statement_read(record, &own);
		event = &own;
	}
	if (sessions->deferred_count > 0) {
		int rc = pg_session_settle(sessions, record, event, err);
		if (rc < 0)
			return rc;
		sessions->now = record;
	}
	if (event->kind == PG_EVENT_NOTHING) {
		if (sessions->options.filter && log_filter_time(sessions->options.filter, record->time_ns))
			skip_filtered(sessions, FILTER_TIME);
		else
			skip(sessions, event->skip);
		return 0;
	}
	struct session *session = NULL;
	int rc = pg_session_find(sessions, record, event, &session, err);
	if (rc < 0)
		return rc;
	rc = add_to_session(sessions, session, record, event, err);
	session->last_stamp_ns = record->time_ns;
	return rc;
}

void pg_sessions_add_unparsed(struct pg_sessions *sessions, const struct log_record *record)
{
	sessions->counts.records++;
	sessions->now = record;
	skip(sessions, SKIP_UNPARSED);
}

void pg_sessions_add_duplicate(struct pg_sessions *sessions, const struct log_record *record)
{
	sessions->counts.records++;
	sessions->now = record;
	skip(sessions, SKIP_DUPLICATE);
}

/* A connect whose application never showed: it has none. */
static int finish_connect(struct pg_sessions *sessions, struct session *session, struct error *err)
{
	struct log_record record = {.file = session->connect.place.file,
				    .line = session->connect.place.line,
				    .time_ns = session->connect.time_ns,
				    .user = session->user,
				    .database = session->database,
				    .client = session->client};
	struct pg_event event = {.kind = PG_EVENT_DISCONNECT};
	sessions->now = &record;
	return judge(sessions, session, &record, &event, err);
}

int pg_sessions_finish(struct pg_sessions *sessions, struct error *err)
{
	int rc = pg_session_settle(sessions, NULL, NULL, err);
	struct session *session, *next;
	HASH_ITER (hh, sessions->by_id, session, next) {
		if (rc == 0 && !session->ended && session->connect.set)
			rc = finish_connect(sessions, session, err);
		if (rc < 0)
			return rc;
		if (session->ended)
			continue;
		if (session->row != UINT32_MAX) {
			struct log_record none = {0};
			rc = pg_session_infer_disconnect(sessions, session, sessions->counts.last_ns, &none, err);
			if (rc < 0)
				return rc;
		}
		rc = pg_session_end(sessions, session, err);
		if (rc < 0)
			return rc;
	}
	sessions->now = NULL;
	return rc;
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
