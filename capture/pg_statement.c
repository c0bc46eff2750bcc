/*
 * What a record of a PostgreSQL log means: see pg_statement.h. Messages are told apart by their beginnings, in the
 * order of their frequency; what is left is named for people, so that a reader of the counts sees what the log was full
 * of.
 */
#include "pg_statement.h"

#include "clock.h"
#include "sql_lexer.h"

#include <xxhash.h>

/* How far a statement's name is looked for: a name of 1,500 bytes was seen in the field. */
#define NAME_MAX_BYTES	    ((size_t)4096)
#define NAME_CANDIDATES_MAX 16

static struct span skip_prefix(struct span text, size_t n)
{
	return (struct span){text.p + n, text.len - n};
}

/* Takes the prefix off; false when it is not there. Inlined, so that a prefix's length is known when it is compiled. */
__attribute__((always_inline)) static inline bool take(struct span *text, const char *prefix)
{
	if (!span_starts_with(*text, prefix))
		return false;
	*text = skip_prefix(*text, strlen(prefix));
	return true;
}

/* "0.244 ms": milliseconds with three decimals, as check_log_duration() prints them. */
static bool take_duration(struct span *text, int64_t *out_ns)
{
	int64_t value_ns = 0;
	size_t i = 0;
	for (; i < text->len && i < 12 && text->p[i] >= '0' && text->p[i] <= '9'; i++)
		value_ns = value_ns * 10 + (text->p[i] - '0') * NS_PER_MS;
	if (i == 0)
		return false;
	if (i < text->len && text->p[i] == '.') {
		int64_t unit = NS_PER_MS / 10;
		for (i++; i < text->len && text->p[i] >= '0' && text->p[i] <= '9'; i++) {
			value_ns += (text->p[i] - '0') * unit;
			unit /= 10;
		}
	}
	struct span rest = skip_prefix(*text, i);
	if (!take(&rest, " ms"))
		return false;
	*text = rest;
	*out_ns = value_ns;
	return true;
}

/* The first token that says something. */
static struct sql_token first_token(struct span text)
{
	struct sql_lexer lexer;
	sql_lexer_init(&lexer, SQL_POSTGRESQL, text.p, text.len);
	struct sql_token token;
	do
		token = sql_lexer_next(&lexer);
	while (token.kind == SQL_TOKEN_SPACE || token.kind == SQL_TOKEN_COMMENT ||
	       (token.kind == SQL_TOKEN_PUNCTUATION && *token.text.p == '('));
	return token;
}

static bool begins_like_sql(struct span text)
{
	static const char *const words[] = {
		"SELECT",  "INSERT",  "UPDATE",	    "DELETE",  "BEGIN",	   "COMMIT",	"END",	   "WITH",     "SET",
		"SHOW",	   "START",   "ROLLBACK",   "VALUES",  "TABLE",	   "SAVEPOINT", "RELEASE", "FETCH",    "CALL",
		"DECLARE", "CLOSE",   "MOVE",	    "LOCK",    "TRUNCATE", "CREATE",	"ALTER",   "DROP",     "MERGE",
		"EXPLAIN", "DISCARD", "DEALLOCATE", "PREPARE", "EXECUTE",  "RESET",	"LISTEN",  "UNLISTEN", "NOTIFY",
		"COPY",	   "DO",      "ANALYZE",    "VACUUM",  "ABORT",	   "GRANT",	"REVOKE",  "REFRESH"};
	struct sql_token token = first_token(text);
	if (token.kind == SQL_TOKEN_END)
		return true; /* an empty statement */
	for (size_t i = 0; i < sizeof(words) / sizeof(*words); i++) {
		if (sql_token_is_word(&token, words[i]))
			return true;
	}
	return false;
}

/*
 * "NAME: text", where the name may hold ": " itself: the first place is taken behind which a statement begins, else the
 * first of all.
 */
static bool split_name(struct span rest, struct pg_event *event)
{
	size_t limit = rest.len < NAME_MAX_BYTES ? rest.len : NAME_MAX_BYTES;
	size_t first = 0;
	bool found = false;
	size_t from = 0;
	for (unsigned n = 0; n < NAME_CANDIDATES_MAX; n++) {
		const char *at = limit > from ? memmem(rest.p + from, limit - from, ": ", 2) : NULL;
		if (!at)
			break;
		size_t len = (size_t)(at - rest.p);
		if (!found)
			first = len;
		found = true;
		from = len + 2;
		if (begins_like_sql(skip_prefix(rest, from))) {
			first = len;
			break;
		}
	}
	if (!found)
		return false;
	event->name = (struct span){rest.p, first};
	event->text = skip_prefix(rest, first + 2);
	return true;
}

struct span pg_statement_name(struct span name)
{
	const char *slash = name.len ? memchr(name.p, '/', name.len) : NULL;
	if (slash)
		name.len = (size_t)(slash - name.p);
	if (span_equal_str(name, "<unnamed>"))
		name.len = 0;
	return name;
}

/* What stands behind "duration: … ms  ", or the message of log_statement. True when it is one of the statement records.
 */
static bool read_statement(struct span message, struct pg_event *event)
{
	if (take(&message, "statement: ")) {
		event->kind = PG_EVENT_STATEMENT;
		event->text = message;
		return true;
	}
	if (take(&message, "execute fetch from ")) {
		event->kind = PG_EVENT_FETCH;
		return split_name(message, event);
	}
	if (take(&message, "execute ")) {
		event->kind = PG_EVENT_EXECUTE;
		return split_name(message, event);
	}
	if (take(&message, "fastpath function call: ")) {
		event->kind = PG_EVENT_FASTPATH;
		return true;
	}
	return false;
}

static bool read_duration(struct span message, struct pg_event *event)
{
	if (!take_duration(&message, &event->duration_ns))
		return false;
	if (message.len == 0) {
		event->kind = PG_EVENT_DURATION;
		return true;
	}
	if (!take(&message, "  "))
		return false;
	if (take(&message, "parse ")) {
		event->kind = PG_EVENT_PARSE;
		return split_name(message, event);
	}
	if (take(&message, "bind ")) {
		event->kind = PG_EVENT_BIND;
		return split_name(message, event);
	}
	return read_statement(message, event);
}

/*
 * "statement: " and "duration: " as PostgreSQL 15's own catalogues translate them. Where lc_messages is not English the
 * severity may still be "LOG", and in jsonlog always is; then the messages tell.
 */
static bool is_translated(struct span message)
{
	static const char *const words[] = {"Anweisung: ",    "Dauer: ",     "sentencia: ",  "duración: ",
					    "instruction : ", "durée : ",    "istruzione: ", "durata: ",
					    "文: ",	      "期間: ",	     "ოპერატორი: ",  "ხანგრძლივობა: ",
					    "명령 구문: ",    "실행시간: ",  "оператор: ",   "продолжительность: ",
					    "sats: ",	      "varaktighet", "тривалість: ", "语句: ",
					    "耗时: ",	      "陳述式: ",    "持續時間: "};
	for (size_t i = 0; i < sizeof(words) / sizeof(*words); i++) {
		if (span_starts_with(message, words[i]))
			return true;
	}
	return false;
}

static enum skip_reason name_other_log(const struct log_record *record)
{
	static const struct {
		const char *prefix;
		enum skip_reason reason;
	} known[] = {
		{"connection authenticated: ", SKIP_CONNECTION_AUTHENTICATED},
		{"connection ready: ", SKIP_CONNECTION_AUTHENTICATED},
		{"received replication command: ", SKIP_REPLICATION},
		{"AUDIT: ", SKIP_PGAUDIT},
		{"temporary file: ", SKIP_TEMPORARY_FILE},
		{"process ", SKIP_LOCK_WAIT},
		{"unexpected EOF on client connection", SKIP_CONNECTION_LOST},
		{"could not receive data from client", SKIP_CONNECTION_LOST},
		{"could not send data to client", SKIP_CONNECTION_LOST},
	};
	for (size_t i = 0; i < sizeof(known) / sizeof(*known); i++) {
		if (span_starts_with(record->message, known[i].prefix))
			return known[i].reason;
	}
	if (is_translated(record->message))
		return SKIP_UNKNOWN_SEVERITY;
	return record->user.len == 0 ? SKIP_BACKGROUND : SKIP_OTHER_LOG;
}

static bool is_client(const struct log_record *record)
{
	return record->backend_type.len == 0 || span_equal_str(record->backend_type, "client backend");
}

static void set_nothing(struct pg_event *event, enum skip_reason reason)
{
	event->kind = PG_EVENT_NOTHING;
	event->skip = reason;
}

static void read_log(const struct log_record *record, struct pg_event *event)
{
	struct span message = record->message;
	bool genuine = record->query.len == 0 && record->context.len == 0;
	bool statement;
	if (take(&message, "duration: "))
		statement = read_duration(message, event);
	else
		statement = read_statement(message, event);
	if (statement && genuine) {
		if (is_client(record))
			return;
		set_nothing(event,
			    span_equal_str(record->backend_type, "walsender") ? SKIP_REPLICATION : SKIP_BACKGROUND);
	} else if (statement) {
		set_nothing(event, SKIP_FORGED);
	} else if (message.p != record->message.p) {
		set_nothing(event, memmem(message.p, message.len, " plan:", 6) ? SKIP_AUTO_EXPLAIN : SKIP_OTHER_LOG);
	} else if (span_starts_with(message, "connection received: ")) {
		event->kind = genuine ? PG_EVENT_RECEIVED : PG_EVENT_NOTHING;
		event->skip = genuine ? SKIP_CONNECTION_RECEIVED : SKIP_FORGED;
	} else if (span_starts_with(message, "connection authorized: ")) {
		event->kind = genuine ? PG_EVENT_CONNECT : PG_EVENT_NOTHING;
		event->skip = SKIP_FORGED;
	} else if (genuine && span_starts_with(message, "replication connection authorized: ")) {
		event->kind = PG_EVENT_WALSENDER;
		event->skip = SKIP_REPLICATION;
	} else if (span_starts_with(message, "disconnection: ")) {
		if (!genuine)
			set_nothing(event, SKIP_FORGED);
		else if (!is_client(record) && span_equal_str(record->backend_type, "walsender"))
			set_nothing(event, SKIP_REPLICATION);
		else
			event->kind = PG_EVENT_DISCONNECT;
	} else {
		set_nothing(event, name_other_log(record));
	}
}

/*
 * The context's line about the portal: "unnamed portal with parameters: $1 = …" (13 and later, with
 * log_parameter_max_length_on_error), or "portal "C_1" parameter $1 = …", when that value could not be read.
 */
static void read_context(struct span context, struct pg_event *event)
{
	while (context.len > 0) {
		const char *end = memchr(context.p, '\n', context.len);
		struct span line = {context.p, end ? (size_t)(end - context.p) : context.len};
		if (span_starts_with(line, "unnamed portal") || span_starts_with(line, "portal \"") ||
		    span_starts_with(line, "extended query")) {
			static const char mark[] = " with parameters: ";
			const char *at = memmem(line.p, line.len, mark, sizeof(mark) - 1);
			/* values may hold line ends: the parameters go on to the context's end */
			if (at)
				event->parameters = skip_prefix(context, (size_t)(at - context.p) + sizeof(mark) - 1);
			else
				event->at_bind = memmem(line.p, line.len, " parameter $", 12) != NULL;
			return;
		}
		context = skip_prefix(context, line.len + (end != NULL));
	}
}

static void read_error(const struct log_record *record, struct pg_event *event)
{
	if (!is_client(record) && !span_equal_str(record->backend_type, "not initialized")) {
		set_nothing(event,
			    span_equal_str(record->backend_type, "walsender") ? SKIP_REPLICATION : SKIP_BACKGROUND);
		return;
	}
	bool named = record->user.len > 0 || record->client.len > 0;
	if (!named && !(record->anonymous && record->query.len > 0)) {
		set_nothing(event, SKIP_BACKGROUND);
		return;
	}
	event->kind = PG_EVENT_ERROR;
	event->text = record->query;
	/* 57014 is also a statement timeout and a client's own "COPY from stdin failed". */
	event->by_user = span_equal_str(record->sqlstate, "57014") &&
			 span_equal_str(record->message, "canceling statement due to user request");
	event->in_worker = record->context.len >= 15 &&
			   memmem(record->context.p, record->context.len, "parallel worker", 15) != NULL;
	read_context(record->context, event);
}

void pg_statement_read(const struct log_record *record, struct pg_event *event)
{
	*event = (struct pg_event){.duration_ns = -1};
	struct span severity = record->severity;
	if (span_equal_str(severity, "LOG")) {
		read_log(record, event);
		/* SQL's EXECUTE has "prepare: …" there; the word is capital from 16 on */
		struct span detail = record->detail;
		if (take(&detail, "parameters: ") || take(&detail, "Parameters: "))
			event->parameters = detail;
	} else if (span_equal_str(severity, "ERROR")) {
		read_error(record, event);
	} else if (span_equal_str(severity, "FATAL") || span_equal_str(severity, "PANIC")) {
		read_error(record, event);
		event->fatal = true;
	} else if (span_equal_str(severity, "WARNING") || span_equal_str(severity, "NOTICE") ||
		   span_equal_str(severity, "INFO") || span_starts_with(severity, "DEBUG")) {
		set_nothing(event, SKIP_NOTICE);
	} else {
		set_nothing(event, SKIP_UNKNOWN_SEVERITY);
	}
}

/* Reads a quoted value from its first byte; returns what is behind its closing quote, or NULL. */
static const char *read_quoted(const char *p, const char *end, struct arena *arena, struct span *value)
{
	const char *start = p;
	size_t doubled = 0;
	for (;;) {
		const char *quote = p < end ? memchr(p, '\'', (size_t)(end - p)) : NULL;
		if (!quote)
			return NULL;
		if (quote + 1 == end || quote[1] != '\'') {
			*value = (struct span){start, (size_t)(quote - start)};
			p = quote + 1;
			break;
		}
		doubled++;
		p = quote + 2;
	}
	if (doubled > 0) {
		char *copy = arena_alloc(arena, value->len - doubled);
		size_t out = 0;
		for (size_t i = 0; i < value->len; i++) {
			copy[out++] = start[i];
			i += start[i] == '\'';
		}
		*value = (struct span){copy, out};
	}
	return p;
}

static void note_length(struct pg_parameters *out, struct span value)
{
	if (value.len >= 3 && memcmp(value.p + value.len - 3, "...", 3) == 0) {
		size_t len = value.len - 3;
		if (len + 1 > out->dotted_len) {
			out->dotted_len = len ? len : 1;
			out->dotted_hash = XXH3_64bits(value.p, value.len);
		}
	} else if (value.len > out->whole_len) {
		out->whole_len = value.len;
	}
}

/* "$12 = " */
static const char *read_number(const char *p, const char *end, uint32_t expected)
{
	uint32_t number = 0;
	if (p == end || *p++ != '$')
		return NULL;
	for (; p < end && *p >= '0' && *p <= '9' && number <= PG_PARAMETERS_MAX; p++)
		number = number * 10 + (uint32_t)(*p - '0');
	if (number != expected || end - p < 3 || memcmp(p, " = ", 3) != 0)
		return NULL;
	return p + 3;
}

bool pg_parameters_read(struct span text, struct arena *arena, struct pg_parameters *out)
{
	*out = (struct pg_parameters){0};
	if (text.len == 0)
		return true;
	uint32_t capacity = 0;
	const char *p = text.p;
	const char *end = text.p + text.len;
	while (p < end) {
		if (out->count == PG_PARAMETERS_MAX)
			return false;
		if (out->count == capacity) {
			uint32_t room = capacity ? capacity * 2 : 16;
			struct span *grown = arena_alloc(arena, room * sizeof(*grown));
			if (capacity)
				memcpy(grown, out->values, capacity * sizeof(*grown));
			out->values = grown;
			capacity = room;
		}
		struct span *value = &out->values[out->count];
		p = read_number(p, end, out->count + 1);
		if (!p)
			return false;
		if (end - p >= 4 && memcmp(p, "NULL", 4) == 0) {
			*value = (struct span){NULL, 0};
			p += 4;
		} else if (p < end && *p == '\'') {
			p = read_quoted(p + 1, end, arena, value);
			if (!p)
				return false;
			note_length(out, *value);
		} else {
			return false;
		}
		out->count++;
		if (end - p > 2 && memcmp(p, ", ", 2) == 0)
			p += 2;
		else if (p < end)
			return false;
	}
	return true;
}

static bool is_copy_statement(struct span text)
{
	struct sql_token token = first_token(text);
	if (!sql_token_is_word(&token, "COPY"))
		return false;
	struct sql_lexer lexer;
	sql_lexer_init(&lexer, SQL_POSTGRESQL, text.p, text.len);
	bool direction = false;
	for (;;) {
		token = sql_lexer_next(&lexer);
		if (token.kind == SQL_TOKEN_END)
			return false;
		if (token.kind == SQL_TOKEN_SPACE || token.kind == SQL_TOKEN_COMMENT)
			continue;
		if (direction && (sql_token_is_word(&token, "STDIN") || sql_token_is_word(&token, "STDOUT")))
			return true;
		direction = sql_token_is_word(&token, "FROM") || sql_token_is_word(&token, "TO");
	}
}

bool pg_statement_is_copy(struct span text)
{
	struct span statement;
	size_t pos = 0;
	while (sql_script_next(SQL_POSTGRESQL, text, &pos, &statement)) {
		if (is_copy_statement(statement))
			return true;
	}
	return false;
}

unsigned pg_statement_parameter_max(struct span text)
{
	struct sql_token first = first_token(text);
	if (sql_token_is_word(&first, "CREATE") || sql_token_is_word(&first, "PREPARE"))
		return 0;
	struct sql_lexer lexer;
	sql_lexer_init(&lexer, SQL_POSTGRESQL, text.p, text.len);
	unsigned max = 0;
	for (;;) {
		struct sql_token token = sql_lexer_next(&lexer);
		if (token.kind == SQL_TOKEN_END)
			return max;
		if (token.kind != SQL_TOKEN_PARAMETER)
			continue;
		unsigned number = 0;
		for (size_t i = 1; i < token.text.len && number <= PG_PARAMETERS_MAX; i++)
			number = number * 10 + (unsigned)(token.text.p[i] - '0');
		if (number > max)
			max = number;
	}
}
