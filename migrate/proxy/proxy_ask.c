/* Our own questions on the tool's backend: see proxy_ask.h. */
#include "proxy_ask.h"

#include "mem.h"

#define COLUMNS_MAX 1600 /* MaxTupleAttributeNumber, and a little below it */
#define ROWS_MAX    1000000
#define TEXT_OID    25

/* The answers to one round of questions. */
struct proxy_asking {
	PGresult **results;
	size_t count;
	size_t next;	  /* whose description comes next */
	size_t completed; /* how many have run to their end */
	PGresult *current;
	bool failed;
	bool odd;      /* an answer that could not be understood */
	bool too_many; /* the server parsed a script, and said that it is more than one statement */
	char sqlstate[6];
};

/* RowDescription: names are all that is taken from it, for values come as text. */
static void take_description(struct proxy_asking *asking, const struct wire_message *message)
{
	struct wire_cursor cursor = wire_cursor_over(message->body, message->len);
	int columns = message->type == 'T' ? wire_get_u16(&cursor) : 0;
	asking->current = NULL;
	if (asking->next >= asking->count || columns > COLUMNS_MAX || !message->last) {
		asking->odd = true;
		return;
	}
	PGresAttDesc *names = mem_zalloc((size_t)columns + 1, sizeof(*names));
	for (int i = 0; i < columns; i++) {
		names[i].name = (char *)(uintptr_t)wire_get_string(&cursor); /* PQsetResultAttrs() copies it */
		(void)wire_get_bytes(&cursor, 18); /* table, column, type, its size and modifier, format */
		names[i].typid = TEXT_OID;
	}
	PGresult *result = PQmakeEmptyPGresult(NULL, columns ? PGRES_TUPLES_OK : PGRES_COMMAND_OK);
	if (cursor.failed || !result || (columns > 0 && !PQsetResultAttrs(result, columns, names)))
		asking->odd = true;
	free(names);
	asking->results[asking->next++] = asking->current = result;
}

static void take_row(struct proxy_asking *asking, const struct wire_message *message)
{
	struct wire_cursor cursor = wire_cursor_over(message->body, message->len);
	PGresult *result = asking->current;
	int columns = wire_get_u16(&cursor), row = PQntuples(result);
	if (!result || !message->last || columns != PQnfields(result) || row >= ROWS_MAX) {
		asking->odd = true;
		return;
	}
	for (int i = 0; i < columns && !asking->odd; i++) {
		int32_t len = (int32_t)wire_get_u32(&cursor);
		const char *value = len >= 0 ? wire_get_bytes(&cursor, (size_t)len) : NULL;
		/* PQsetvalue() only reads it, and takes a negative length for NULL */
		if (cursor.failed || !PQsetvalue(result, row, i, (char *)(uintptr_t)value, value ? len : -1))
			asking->odd = true;
	}
}

void proxy_ask_take(struct proxy_asking *asking, const struct wire_message *message)
{
	if (asking->odd || asking->failed)
		return;
	if (message->type == 'C' || message->type == 'I')
		asking->completed++;
	else if (message->type == 'D')
		take_row(asking, message);
	else
		take_description(asking, message);
}

void proxy_ask_take_error(struct proxy_asking *asking, const struct wire_error *error)
{
	if (asking->failed)
		return;
	asking->failed = true;
	asking->too_many = strcmp(error->routine, "exec_parse_message") == 0 && error->position == 0;
	(void)snprintf(asking->sqlstate, sizeof(asking->sqlstate), "%.5s", error->sqlstate);
}

static void put_parse(struct proxy_session *session, const char *name, const char *sql, uint8_t flags)
{
	struct wire_buffer *out = &session->server.out;
	size_t mark = wire_begin(out, 'P');
	wire_put_string(out, name);
	wire_put_string(out, sql);
	wire_put_u16(out, 0); /* no types of parameters */
	wire_end(out, mark);
	session_expect(session, 'P', flags);
}

/* The name under which the server knows it already, or is to keep it; false for what is not worth keeping. */
static bool keep_prepared(struct proxy_session *session, const char *sql, char *name, size_t size, bool *known)
{
	struct proxy_prepared *kept = session->prepared;
	size_t i = 0;
	if (strncmp(sql, "SELECT", 6) != 0)
		return false; /* has no plan, and SAVEPOINT must never fail for being unknown */
	while (i < session->prepared_count && strcmp(kept[i].sql, sql) != 0)
		i++;
	*known = i < session->prepared_count;
	if (!*known) {
		if (i == PROXY_PREPARED_MAX)
			return false;
		kept[session->prepared_count++] = (struct proxy_prepared){mem_strdup(sql), ++session->own_names};
	}
	(void)snprintf(name, size, "rehearse_%u", kept[i].number);
	return true;
}

void proxy_ask_forget(struct proxy_session *session)
{
	while (session->prepared_count > 0)
		free(session->prepared[--session->prepared_count].sql);
}

/*
 * Parse, Bind, Execute and Close under a name of its own; Describe where the rows matter. What needs planning is
 * prepared once.
 */
static void put_statement(struct proxy_session *session, const char *sql, uint8_t flags, bool describe)
{
	struct wire_buffer *out = &session->server.out;
	char name[40];
	bool known = false, kept = describe && keep_prepared(session, sql, name, sizeof(name), &known);
	if (!kept)
		(void)snprintf(name, sizeof(name), "rehearse_%u", ++session->own_names);
	if (!known)
		put_parse(session, name, sql, flags);
	size_t mark = wire_begin(out, 'B');
	wire_put_string(out, name);
	wire_put_string(out, name);
	wire_put_u16(out, 0); /* no parameters: no formats, no values; results as text */
	wire_put_u16(out, 0);
	wire_put_u16(out, 0);
	wire_end(out, mark);
	session_expect(session, 'B', flags);
	static const char closes[] = "DECC"; /* Describe portal, Execute, Close portal, Close statement */
	for (size_t i = describe ? 0 : 1; i < (kept ? 3 : 4); i++) {
		mark = wire_begin(out, closes[i]);
		if (closes[i] != 'E')
			wire_put_u8(out, i == 3 ? 'S' : 'P');
		wire_put_string(out, name);
		if (closes[i] == 'E')
			wire_put_u32(out, 0);
		wire_end(out, mark);
		session_expect(session, closes[i], flags);
	}
}

void proxy_ask_send(struct proxy_session *session, const char *sql, uint8_t flags)
{
	put_statement(session, sql, (uint8_t)(PENDING_OURS | flags), false);
}

int proxy_ask(struct proxy_session *session, const char *const *statements, size_t count, PGresult **results,
	      struct error *err)
{
	struct proxy_asking asking = {.results = results, .count = count};
	for (size_t i = 0; i < count; i++) {
		results[i] = NULL;
		put_statement(session, statements[i], PENDING_OURS, true);
	}
	session_send_sync(session, PENDING_OURS);
	session->asking = &asking;
	int over = session_wait_all(session);
	session->asking = NULL;
	if (!over && !asking.failed && !asking.odd && asking.completed == count)
		return 0;
	if (asking.failed && strcmp(asking.sqlstate, "26000") == 0)
		proxy_ask_forget(session); /* the tool had them dropped: next time they are prepared anew */
	for (size_t i = asking.completed; i < count; i++) { /* described, and not run */
		PQclear(results[i]);
		results[i] = NULL;
	}
	if (over)
		return error_set(err, ERR_UNAVAILABLE, "the connection to the server was lost");
	return error_set(err, ERR_INTERNAL, "a question to the migration's backend failed (%s)",
			 asking.failed ? asking.sqlstate : "no sense in its answer");
}

bool proxy_ask_parses(struct proxy_session *session, const char *script)
{
	struct proxy_asking asking = {0};
	bool in_block = session->status == 'T';
	if (in_block)
		proxy_ask_send(session, "SAVEPOINT rehearse_parse", 0);
	put_parse(session, "rehearse_parse", script, PENDING_OURS);
	session_send_sync(session, PENDING_OURS);
	session->asking = &asking;
	int over = session_wait_all(session);
	if (!over && in_block) {
		session->asking = NULL;
		proxy_ask_send(session, "ROLLBACK TO rehearse_parse", 0);
		proxy_ask_send(session, "RELEASE rehearse_parse", 0);
		session_send_sync(session, PENDING_OURS);
		over = session_wait_all(session);
	}
	session->asking = NULL;
	return !over && asking.too_many;
}
