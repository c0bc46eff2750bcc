/*
 * What statements, their parts and their errors do to a session (pg_session_state.h).
 *
 * In the duration shape a statement is logged when it ends, so its start is the stamp less its duration. A failed one
 * is logged as an ERROR alone, without its duration: it counts as sent when it failed, or when its parse or bind began
 * if those are in the log. Errors that follow a wait (cancels and timeouts, lock timeouts, deadlocks) get the time of
 * the session's last sign of life instead, but at most WAITED_NS before, because a cancel must find its statement
 * running.
 */
#include "pg_session_state.h"

#include "clock.h"
#include "mem.h"
#include "sqlstate.h"

#define WAITED_NS	NS_PER_S /* deadlock_timeout's default */
#define PARSE_GAP_NS	NS_PER_S /* a bind that comes later than this after its parse is another round */
#define SLASH_NAMES_MAX 64

/* What RDS puts at the end of a line that was too long to download. */
static const char cut_mark[] = "[Your log message was truncated]";

/* Looks the text up; false, with the record counted, when it becomes no item. */
static bool usable(struct pg_sessions *sessions, struct session *session, struct span text, struct text_use *use)
{
	enum skip_reason reason = SKIP_NONE;
	enum filter_reason unwanted =
		sessions->options.filter ? log_filter_statement(sessions->options.filter, text) : FILTER_NONE;
	if (unwanted) {
		reason = SKIP_FILTERED;
	} else if (text.len >= sizeof(cut_mark) - 1 &&
		   memcmp(text.p + text.len - (sizeof(cut_mark) - 1), cut_mark, sizeof(cut_mark) - 1) == 0) {
		reason = SKIP_TRUNCATED;
	} else {
		text_table_look_up(sessions->options.texts, text, use);
		if (use->copy)
			reason = SKIP_COPY;
	}
	if (reason == SKIP_NONE)
		return true;
	session->pending.awaits = false; /* what follows is about this statement */
	skip(sessions, reason);
	if (unwanted)
		sessions->counts.filtered[unwanted]++;
	return false;
}

/* Adds a simple query or an execution. session->pending is its item afterwards. */
static int add_statement(struct pg_sessions *sessions, struct session *session, const struct log_record *record,
			 struct item *item, const struct text_use *use, struct error *err)
{
	item->text = text_table_row(sessions->options.texts, use);
	item->literals = use->literals;
	item->literal_count = use->literal_count;
	int rc = pg_session_open(sessions, session, record, item->time_ns, err);
	if (rc == 0)
		rc = pg_session_hold(sessions, session, item, err);
	if (rc < 0)
		return rc;
	session->statements = true;
	session->pending.text_hash = use->text_hash;
	session->pending.awaits = item->duration_ns < 0 && item->sqlstate == 0;
	return 0;
}

int pg_session_on_statement(struct pg_sessions *sessions, struct session *session, const struct log_record *record,
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

void pg_session_on_parse(struct pg_sessions *sessions, struct session *session, const struct log_record *record,
			 const struct pg_event *event)
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
	skip(sessions, SKIP_PARSE);
}

void pg_session_on_bind(struct pg_sessions *sessions, struct session *session, const struct log_record *record,
			const struct pg_event *event)
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
	skip(sessions, SKIP_BIND);
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

int pg_session_on_execute(struct pg_sessions *sessions, struct session *session, const struct log_record *record,
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

void pg_session_on_duration(struct pg_sessions *sessions, struct session *session, const struct pg_event *event)
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
	uint32_t packed = sqlstate_pack(text);
	return packed ? packed : sqlstate_pack(SQLSTATE_UNKNOWN);
}

static int add_cancel(struct pg_sessions *sessions, struct session *session, const struct log_record *record,
		      uint8_t flags, struct error *err)
{
	struct item item = make_item(ITEM_CANCEL, record->time_ns, record);
	item.flags = flags;
	return pg_session_hold(sessions, session, &item, err);
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
	return pg_session_end(sessions, session, err);
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
	       record->session_start_s > sessions->counts.first_ns / NS_PER_S;
}

int pg_session_on_error(struct pg_sessions *sessions, struct session *session, const struct log_record *record,
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
