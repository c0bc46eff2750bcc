/*
 * From records to items: see pg_session.h. Longer than a page because it is one state per session and the events that
 * move it, and those read best together.
 *
 * A session holds back its last item, because a later record may still say how long it took or what it failed with. It
 * then goes to the sorter, which orders by time and, within equal times, by the number that the item got when it arose.
 * A session's times never go back: where a duration would place an item before the one that came before it, it takes
 * that one's time.
 *
 * In the duration shape a statement is logged when it ends, so its start is the stamp less its duration. A failed one
 * is logged as an ERROR alone, without its duration: it counts as sent when it failed, or when its parse or bind began
 * if those are in the log. Errors that follow a wait (cancels and timeouts, lock timeouts, deadlocks) get the time of
 * the session's last sign of life instead, but at most WAITED_NS before, because a cancel must find its statement
 * running.
 */
#include "pg_session.h"

#include "clock.h"
#include "mem.h"
#include "pg_statement.h"
#include "sqlstate.h"

#include <xxhash.h>

#define HASH_FUNCTION(key, len, out) ((out) = (unsigned)XXH3_64bits((key), (len)))
#include <uthash.h>

#define WAITED_NS	NS_PER_S /* deadlock_timeout's default */
#define PARSE_GAP_NS	NS_PER_S /* a bind that comes later than this after its parse is another round */
#define SLASH_NAMES_MAX 64
#define CUT_MIN		16		    /* bytes */
#define PENDING_KEEP	((size_t)64 * 1024) /* a session keeps no more memory than this between items */

/* The item held back. */
struct pending {
	bool set;
	bool awaits; /* neither a duration nor an error has been seen for it */
	enum item_kind kind;
	struct sort_head head;
	struct strbuf bytes;
	uint64_t text_hash;
	int64_t extra_ns; /* of parse and bind, to be added to a bare duration */
};

/* The extended query that is being prepared. */
struct extended {
	bool parsed;
	bool bound;
	uint64_t text_hash;
	uint64_t name_hash;
	int64_t start_ns;
	int64_t sum_ns;
	int64_t end_ns;
	struct strbuf name;
	struct strbuf parameters; /* the bind's DETAIL */
};

struct session {
	UT_hash_handle hh;
	UT_hash_handle hh_pid;
	struct span id;
	uint32_t pid;
	uint32_t row; /* UINT32_MAX: no item yet */
	bool ended;
	bool statements; /* has done more than connect */
	int64_t received_ns;
	int64_t last_item_ns;
	int64_t last_stamp_ns;
	int64_t fatal_ns;
	struct pending pending;
	struct extended extended;
	uint64_t *slash_names; /* hashes of prepared names that hold a slash, up to SLASH_NAMES_MAX */
	uint32_t slash_name_count;
};

/* A string that many rows share. */
struct word {
	UT_hash_handle hh;
	struct span text;
};

struct session_row {
	struct span user, database, application, client;
};

struct pg_sessions {
	struct pg_session_options options;
	struct pg_session_counts counts;
	struct session *by_id;
	struct session *by_pid; /* the open one of that pid */
	struct word *words;
	struct session_row *rows;
	size_t row_count;
	size_t row_capacity;
	uint64_t next_number;
	int64_t first_ns;
	int64_t last_ns;
	bool have_time;
	bool connections_logged;
	struct arena permanent;
	struct arena scratch; /* cleared for each record */
	size_t whole_len;     /* longest value that ends in no dots */
	size_t dotted_len;    /* longest that does, without them */
	uint64_t dotted_hash;
	bool dotted_differ; /* two different values have that length */
};

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

static void skip(struct pg_sessions *sessions, enum skip_reason reason)
{
	sessions->counts.skipped[reason]++;
}

static uint64_t hash_span(struct span text)
{
	return XXH3_64bits(text.p, text.len);
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

/* Gives the item its session, its number and a time that does not go back, and holds it. */
static int hold_item(struct pg_sessions *sessions, struct session *session, struct item *item, struct error *err)
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
	item_encode(item, &pending->bytes);
	if (pending->bytes.overflow)
		return error_set(err, ERR_INTERNAL, "the item of line %llu is too long",
				 (unsigned long long)item->source_line);
	pending->set = true;
	pending->awaits = false;
	pending->kind = item->kind;
	pending->extra_ns = 0;
	pending->head = (struct sort_head){
		.time_ns = item->time_ns,
		.number = sessions->next_number++,
		.duration_ns = item->duration_ns,
		.sqlstate = item->sqlstate,
		.len = (uint32_t)pending->bytes.len,
	};
	sessions->counts.items[item->kind]++;
	if (item->flags & ITEM_INFERRED)
		sessions->counts.inferred[item->kind]++;
	return 0;
}

static struct item make_item(enum item_kind kind, int64_t time_ns, const struct log_record *record)
{
	return (struct item){.kind = kind,
			     .time_ns = time_ns,
			     .duration_ns = -1,
			     .text = ITEM_NO_TEXT,
			     .source_file = record->file,
			     .source_line = record->line};
}

/* ---- sessions ---- */

static int infer_disconnect(struct pg_sessions *sessions, struct session *session, int64_t time_ns,
			    const struct log_record *record, struct error *err)
{
	struct item item = make_item(ITEM_DISCONNECT, session->fatal_ns ? session->fatal_ns : time_ns, record);
	item.flags = ITEM_INFERRED;
	int rc = hold_item(sessions, session, &item, err);
	return rc < 0 ? rc : flush_pending(sessions, session, err);
}

/* No more items: only what tells the session apart is kept. */
static int end_session(struct pg_sessions *sessions, struct session *session, struct error *err)
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
	return end_session(sessions, old, err);
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

/* Before a session's first item: a row, and a connect if the log does not begin with it. */
static int open_session(struct pg_sessions *sessions, struct session *session, const struct log_record *record,
			int64_t time_ns, struct error *err)
{
	if (session->row != UINT32_MAX) {
		learn_application(sessions, session, record);
		return 0;
	}
	add_row(sessions, session, record);
	struct item item = make_item(ITEM_CONNECT, time_ns, record);
	item.flags = ITEM_INFERRED;
	return hold_item(sessions, session, &item, err);
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
	return hold_item(sessions, session, &item, err);
}

static int on_disconnect(struct pg_sessions *sessions, struct session *session, const struct log_record *record,
			 struct error *err)
{
	if (session->row == UINT32_MAX && session->received_ns) {
		skip(sessions, SKIP_FAILED_LOGIN);
		return end_session(sessions, session, err);
	}
	int rc = open_session(sessions, session, record, record->time_ns, err);
	if (rc < 0)
		return rc;
	struct item item = make_item(ITEM_DISCONNECT, record->time_ns, record);
	rc = hold_item(sessions, session, &item, err);
	return rc < 0 ? rc : end_session(sessions, session, err);
}

/* ---- statements ---- */

/* Looks the text up; false, with the record counted, when it becomes no item. */
static bool usable(struct pg_sessions *sessions, struct session *session, struct span text, struct text_use *use)
{
	enum skip_reason reason = SKIP_NONE;
	if (sessions->options.wanted && !sessions->options.wanted(sessions->options.wanted_context, text)) {
		reason = SKIP_FILTERED;
	} else {
		text_table_look_up(sessions->options.texts, text, use);
		if (use->copy)
			reason = SKIP_COPY;
	}
	if (reason == SKIP_NONE)
		return true;
	session->pending.awaits = false; /* what follows is about this statement */
	skip(sessions, reason);
	return false;
}

/* Adds a simple query or an execution. session->pending is its item afterwards. */
static int add_statement(struct pg_sessions *sessions, struct session *session, const struct log_record *record,
			 struct item *item, const struct text_use *use, struct error *err)
{
	item->text = text_table_row(sessions->options.texts, use);
	item->literals = use->literals;
	item->literal_count = use->literal_count;
	int rc = open_session(sessions, session, record, item->time_ns, err);
	if (rc == 0)
		rc = hold_item(sessions, session, item, err);
	if (rc < 0)
		return rc;
	session->statements = true;
	session->pending.text_hash = hash_span(use->text);
	session->pending.awaits = item->duration_ns < 0 && item->sqlstate == 0;
	return 0;
}

static int on_statement(struct pg_sessions *sessions, struct session *session, const struct log_record *record,
			const struct pg_event *event, struct error *err)
{
	struct text_use use;
	session->extended.parsed = session->extended.bound = false;
	if (!usable(sessions, session, event->text, &use))
		return 0;
	int64_t start_ns = record->time_ns - (event->duration_ns > 0 ? event->duration_ns : 0);
	struct item item = make_item(ITEM_SIMPLE, start_ns, record);
	item.duration_ns = event->duration_ns;
	return add_statement(sessions, session, record, &item, &use, err);
}

static bool is_slash_name(const struct session *session, struct span name)
{
	uint64_t hash = hash_span(name);
	for (uint32_t i = 0; i < session->slash_name_count; i++) {
		if (session->slash_names[i] == hash)
			return true;
	}
	return false;
}

/*
 * The name without its portal, which follows a slash. A name that holds slashes itself is known by its parse record;
 * else it ends at the first.
 */
static struct span statement_name(const struct session *session, struct span name)
{
	struct span known = name;
	while (session->slash_name_count > 0 && known.p) {
		if (is_slash_name(session, known))
			return known;
		const char *slash = memrchr(known.p, '/', known.len);
		known = (struct span){slash ? known.p : NULL, slash ? (size_t)(slash - known.p) : 0};
	}
	return pg_statement_name(name);
}

static void on_parse(struct session *session, const struct log_record *record, const struct pg_event *event)
{
	if (memchr(event->name.p, '/', event->name.len) && session->slash_name_count < SLASH_NAMES_MAX &&
	    !is_slash_name(session, event->name)) {
		if (!session->slash_names)
			session->slash_names = mem_zalloc(SLASH_NAMES_MAX, sizeof(*session->slash_names));
		session->slash_names[session->slash_name_count++] = hash_span(event->name);
	}
	struct extended *extended = &session->extended;
	struct span name = statement_name(session, event->name);
	extended->parsed = true;
	extended->bound = false;
	extended->text_hash = hash_span(event->text);
	extended->name_hash = hash_span(name);
	extended->start_ns = record->time_ns - event->duration_ns;
	extended->sum_ns = event->duration_ns;
	extended->end_ns = record->time_ns;
	strbuf_clear(&extended->name);
	strbuf_add(&extended->name, name.p, name.len);
	strbuf_clear(&extended->parameters);
	session->pending.awaits = false;
}

static void on_bind(struct session *session, const struct log_record *record, const struct pg_event *event)
{
	struct extended *extended = &session->extended;
	struct span name = statement_name(session, event->name);
	uint64_t name_hash = hash_span(name);
	uint64_t text_hash = hash_span(event->text);
	int64_t start_ns = record->time_ns - event->duration_ns;
	bool follows = extended->parsed && !extended->bound && extended->name_hash == name_hash &&
		       extended->text_hash == text_hash && start_ns - extended->end_ns <= PARSE_GAP_NS;
	if (!follows) {
		extended->start_ns = start_ns;
		extended->sum_ns = 0;
		extended->name_hash = name_hash;
		extended->text_hash = text_hash;
		strbuf_clear(&extended->name);
		strbuf_add(&extended->name, name.p, name.len);
	}
	extended->bound = true;
	extended->sum_ns += event->duration_ns;
	extended->end_ns = record->time_ns;
	strbuf_clear(&extended->parameters);
	strbuf_add(&extended->parameters, event->parameters.p, event->parameters.len);
	session->pending.awaits = false;
}

/* Sets the item's parameters from a DETAIL; false, with the record counted, when they are not all there. */
static bool read_parameters(struct pg_sessions *sessions, struct session *session, struct span text,
			    const struct text_use *use, struct item *item, struct pg_parameters *parameters)
{
	*parameters = (struct pg_parameters){0};
	bool right = pg_parameters_read(text, &sessions->scratch, parameters);
	if (right && parameters->count >= use->parameter_max) {
		item->parameters = parameters->values;
		item->parameter_count = parameters->count;
		return true;
	}
	session->pending.awaits = false;
	skip(sessions, text.len == 0 ? SKIP_NO_PARAMETERS : SKIP_TRUNCATED);
	return false;
}

/* Keeps account of lengths, from which pg_sessions_cut_length() tells cut values from those that really end in dots. */
static void note_parameters(struct pg_sessions *sessions, struct session *session,
			    const struct pg_parameters *parameters)
{
	if (parameters->whole_len > sessions->whole_len)
		sessions->whole_len = parameters->whole_len;
	if (parameters->dotted_len == 0)
		return;
	session->pending.head.dotted_len = (uint32_t)parameters->dotted_len;
	if (parameters->dotted_len > sessions->dotted_len) {
		/* values a little shorter may be cut ones too, whose last character did not fit */
		bool near = sessions->dotted_len > 0 && sessions->dotted_len + 3 >= parameters->dotted_len;
		sessions->dotted_differ = near;
		sessions->dotted_len = parameters->dotted_len;
		sessions->dotted_hash = parameters->dotted_hash;
	} else if (parameters->dotted_len + 3 >= sessions->dotted_len &&
		   parameters->dotted_hash != sessions->dotted_hash) {
		sessions->dotted_differ = true;
	}
}

static int on_execute(struct pg_sessions *sessions, struct session *session, const struct log_record *record,
		      const struct pg_event *event, struct error *err)
{
	struct extended *extended = &session->extended;
	struct span name = statement_name(session, event->name);
	struct text_use use;
	int64_t own_ns = event->duration_ns > 0 ? event->duration_ns : 0;
	struct item item = make_item(ITEM_EXECUTE, record->time_ns - own_ns, record);
	item.duration_ns = event->duration_ns;
	int64_t extra_ns = 0;
	if (extended->bound && extended->name_hash == hash_span(name) &&
	    extended->text_hash == hash_span(event->text)) {
		item.time_ns = extended->start_ns;
		extra_ns = extended->sum_ns;
	}
	extended->parsed = extended->bound = false;
	if (!usable(sessions, session, event->text, &use))
		return 0;
	struct pg_parameters parameters;
	if (!read_parameters(sessions, session, event->parameters, &use, &item, &parameters))
		return 0;
	item.statement_name = name;
	if (item.duration_ns >= 0)
		item.duration_ns += extra_ns;
	int rc = add_statement(sessions, session, record, &item, &use, err);
	if (rc < 0)
		return rc;
	session->pending.extra_ns = extra_ns;
	note_parameters(sessions, session, &parameters);
	return 0;
}

static void on_duration(struct pg_sessions *sessions, struct session *session, const struct pg_event *event)
{
	struct pending *pending = &session->pending;
	if (pending->set && pending->awaits)
		pending->head.duration_ns = pending->extra_ns + event->duration_ns;
	pending->awaits = false;
	skip(sessions, SKIP_DURATION);
}

/* ---- errors ---- */

static uint32_t record_sqlstate(const struct log_record *record)
{
	char text[SQLSTATE_TEXT_MAX] = "";
	if (record->sqlstate.len == SQLSTATE_TEXT_MAX - 1)
		memcpy(text, record->sqlstate.p, SQLSTATE_TEXT_MAX - 1);
	return sqlstate_pack(text);
}

static int add_cancel(struct pg_sessions *sessions, struct session *session, const struct log_record *record,
		      uint8_t flags, struct error *err)
{
	struct item item = make_item(ITEM_CANCEL, record->time_ns, record);
	item.flags = flags;
	return hold_item(sessions, session, &item, err);
}

/* The server's own reasons to end a session: shutdown, crash, idle limits. All else before a statement is a refusal. */
static bool is_shutdown(const struct log_record *record)
{
	return span_starts_with(record->sqlstate, "57P0") ? !span_equal_str(record->sqlstate, "57P03")
							  : span_equal_str(record->sqlstate, "25P03");
}

/* FATAL without a statement: a login that failed, or a session that was ended while it did nothing. */
static int on_fatal(struct pg_sessions *sessions, struct session *session, const struct log_record *record,
		    struct error *err)
{
	if (session->statements || is_shutdown(record)) {
		session->fatal_ns = record->time_ns;
		skip(sessions, SKIP_FATAL);
		return 0;
	}
	/* The connect that was authorized, and then refused (no such database, too many connections). */
	if (session->pending.set)
		session->pending.head.sqlstate = record_sqlstate(record);
	skip(sessions, SKIP_FAILED_LOGIN);
	return end_session(sessions, session, err);
}

static bool has_waited(const struct log_record *record)
{
	return span_equal_str(record->sqlstate, "57014") || span_equal_str(record->sqlstate, "55P03") ||
	       span_equal_str(record->sqlstate, "40P01");
}

static int64_t failed_start_ns(const struct session *session, const struct log_record *record)
{
	if (!has_waited(record))
		return record->time_ns;
	int64_t earliest_ns = record->time_ns - WAITED_NS;
	return session->last_stamp_ns > earliest_ns ? session->last_stamp_ns : earliest_ns;
}

/* A statement of which the log has only the error. */
static int add_failed(struct pg_sessions *sessions, struct session *session, const struct log_record *record,
		      const struct pg_event *event, struct error *err)
{
	struct extended *extended = &session->extended;
	struct text_use use;
	bool prepared = (extended->parsed || extended->bound) && extended->text_hash == hash_span(event->text);
	bool was_bound = prepared && extended->bound;
	extended->parsed = extended->bound = false;
	if (!usable(sessions, session, event->text, &use))
		return 0;
	struct item item = make_item(ITEM_SIMPLE, failed_start_ns(session, record), record);
	struct pg_parameters parameters = {0};
	if (prepared || event->parameters.len > 0 || use.parameter_max > 0) {
		item.kind = ITEM_EXECUTE;
		/* The bind's own DETAIL first: an error's context has a limit of its own. */
		struct span detail = event->parameters;
		if (was_bound && extended->parameters.len > 0)
			detail = (struct span){extended->parameters.data, extended->parameters.len};
		if (!read_parameters(sessions, session, detail, &use, &item, &parameters))
			return 0;
	}
	if (prepared) {
		item.time_ns = extended->start_ns;
		item.duration_ns = record->time_ns - extended->start_ns;
		item.statement_name = (struct span){extended->name.data, extended->name.len};
	}
	item.sqlstate = record_sqlstate(record);
	int rc = add_statement(sessions, session, record, &item, &use, err);
	if (rc < 0)
		return rc;
	note_parameters(sessions, session, &parameters);
	/* The record is in the statement's item already, so the cancel is one more. */
	return event->by_user ? add_cancel(sessions, session, record, ITEM_INFERRED, err) : 0;
}

/* Before 13 a record does not say that it is a parallel worker's: a session that began in this log without connecting.
 */
static bool is_parallel_worker(const struct pg_sessions *sessions, const struct session *session,
			       const struct log_record *record)
{
	return record->backend_type.len == 0 && session->row == UINT32_MAX && !session->received_ns &&
	       sessions->connections_logged && record->session_start_s > 0 &&
	       record->session_start_s * NS_PER_S > sessions->first_ns;
}

static int on_error(struct pg_sessions *sessions, struct session *session, const struct log_record *record,
		    const struct pg_event *event, struct error *err)
{
	struct pending *pending = &session->pending;
	if (is_parallel_worker(sessions, session, record)) {
		skip(sessions, SKIP_BACKGROUND);
		return 0;
	}
	if (event->text.len == 0 && event->fatal)
		return on_fatal(sessions, session, record, err);
	if (event->fatal)
		session->fatal_ns = record->time_ns;
	if (pending->set && pending->awaits && !event->at_bind && pending->text_hash == hash_span(event->text)) {
		pending->head.sqlstate = record_sqlstate(record);
		pending->awaits = false;
		if (event->by_user)
			return add_cancel(sessions, session, record, 0, err);
		skip(sessions, SKIP_ERROR_OF_ITEM);
		return 0;
	}
	if (event->text.len == 0) {
		skip(sessions, SKIP_ERROR_WITHOUT_STATEMENT);
		return 0;
	}
	return add_failed(sessions, session, record, event, err);
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
		return on_statement(sessions, session, record, event, err);
	case PG_EVENT_EXECUTE:
		return on_execute(sessions, session, record, event, err);
	case PG_EVENT_ERROR:
		return on_error(sessions, session, record, event, err);
	case PG_EVENT_RECEIVED:
		sessions->connections_logged = true;
		session->received_ns = record->time_ns;
		skip(sessions, SKIP_CONNECTION_RECEIVED);
		return 0;
	case PG_EVENT_PARSE:
		on_parse(session, record, event);
		skip(sessions, SKIP_PARSE);
		return 0;
	case PG_EVENT_BIND:
		on_bind(session, record, event);
		skip(sessions, SKIP_BIND);
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
		on_duration(sessions, session, event);
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
	struct session *session;
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
		int rc = end_session(sessions, session, err);
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
