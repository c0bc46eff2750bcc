/* What a database remembers of its migrations: see workflow_history.h. */
#include "workflow_history.h"

#include "mem.h"

#include <ctype.h>

static const char *const state_names[] = {"applied", "skipped", "half up", "half down"};
#define STATE_COUNT (sizeof(state_names) / sizeof(*state_names))

const char *workflow_state_name(enum workflow_state state)
{
	return state_names[state];
}

static bool take_name(const char *text, size_t len, char out[WORKFLOW_NAME_MAX + 1])
{
	if (len == 0 || len > WORKFLOW_NAME_MAX || isdigit((unsigned char)text[0]))
		return false;
	for (size_t i = 0; i < len; i++) {
		if (!isalnum((unsigned char)text[i]) && text[i] != '_' && text[i] != '$')
			return false;
	}
	memcpy(out, text, len);
	out[len] = '\0';
	return true;
}

int workflow_table_parse(const char *text, struct workflow_table *table, struct error *err)
{
	const char *dot = strchr(text, '.');
	const char *name = dot ? dot + 1 : text;
	bool good = take_name(name, strlen(name), table->name);
	if (dot)
		good = good && take_name(text, (size_t)(dot - text), table->schema);
	else
		(void)snprintf(table->schema, sizeof(table->schema), "public");
	if (!good)
		return error_set(err, ERR_USAGE, "'%.80s' is no table's name: [SCHEMA.]NAME of letters, digits and _",
				 text);
	(void)snprintf(table->text, sizeof(table->text), "%s.%s", table->schema, table->name);
	(void)snprintf(table->quoted, sizeof(table->quoted), "\"%s\".\"%s\"", table->schema, table->name);
	return 0;
}

static char *copy_or_null(const PGresult *result, int row, int column)
{
	return PQgetisnull(result, row, column) ? NULL : mem_strdup(PQgetvalue(result, row, column));
}

static int take_row(const PGresult *result, int row, const struct workflow_table *table,
		    struct workflow_history *history, struct error *err)
{
	const char *id = PQgetvalue(result, row, 0), *state = PQgetvalue(result, row, 3);
	size_t at = 0;
	while (at < STATE_COUNT && strcmp(state, state_names[at]) != 0)
		at++;
	if (at == STATE_COUNT || !workflow_id_is_valid(id))
		return error_set(err, ERR_DATA, "%s: a row that we cannot have written (id '%.20s', state '%.20s')",
				 table->text, id, state);
	struct workflow_record *record = mem_zalloc(1, sizeof(*record));
	memcpy(record->id, id, WORKFLOW_ID_LEN + 1);
	record->title = mem_strdup(PQgetvalue(result, row, 1));
	record->checksum = mem_strdup(PQgetvalue(result, row, 2));
	record->state = (enum workflow_state)at;
	record->batch = pg_conn_int(result, row, 4, 0);
	record->applied_wall_us = pg_conn_int(result, row, 5, 0);
	clock_format_rfc3339(record->applied_wall_us * NS_PER_US, record->applied_at);
	record->applied_by = mem_strdup(PQgetvalue(result, row, 6));
	record->duration_ms = pg_conn_int(result, row, 7, -1);
	record->statement = pg_conn_int(result, row, 8, 0);
	record->reason = copy_or_null(result, row, 9);
	history->all[history->count++] = record;
	HASH_ADD_STR(history->by_id, id, record);
	return 0;
}

static int read_rows(PGconn *conn, const struct workflow_table *table, struct workflow_history *history,
		     struct error *err)
{
	PGresult *result = NULL;
	char *sql = mem_printf("SELECT id, title, checksum, state, batch,"
			       " (extract(epoch FROM applied_at) * 1000000)::bigint, applied_by, duration_ms,"
			       " statement, reason FROM %s ORDER BY applied_at, id",
			       table->quoted);
	int rc = pg_conn_query(conn, sql, table->text, &result, err);
	free(sql);
	if (rc) {
		if (rc == -ERR_INTERNAL) /* SQL's answer: no such column, not allowed to */
			err->code = ERR_DATA;
		return -err->code;
	}
	int rows = PQntuples(result);
	history->all = mem_zalloc((size_t)rows + 1, sizeof(*history->all));
	for (int row = 0; row < rows && rc == 0; row++)
		rc = take_row(result, row, table, history, err);
	PQclear(result);
	return rc;
}

int workflow_history_load(PGconn *conn, const struct workflow_table *table, struct workflow_history *history,
			  struct error *err)
{
	memset(history, 0, sizeof(*history));
	char *there = NULL;
	char *sql = mem_printf("SELECT pg_catalog.to_regclass('%s')", table->quoted);
	int rc = pg_conn_value(conn, sql, table->text, &there, err);
	free(sql);
	if (rc == 0 && there) {
		history->exists = true;
		rc = read_rows(conn, table, history, err);
	}
	free(there);
	return rc;
}

void workflow_history_release(struct workflow_history *history)
{
	HASH_CLEAR(hh, history->by_id);
	for (size_t i = 0; i < history->count; i++) {
		struct workflow_record *record = history->all[i];
		free(record->title);
		free(record->checksum);
		free(record->applied_by);
		free(record->reason);
		free(record);
	}
	free(history->all);
	memset(history, 0, sizeof(*history));
}

const struct workflow_record *workflow_history_find(const struct workflow_history *history, const char *id)
{
	struct workflow_record *record = NULL;
	HASH_FIND_STR(history->by_id, id, record);
	return record;
}

int64_t workflow_history_last_batch(const struct workflow_history *history)
{
	int64_t last = 0;
	for (size_t i = 0; i < history->count; i++) {
		if (history->all[i]->batch > last)
			last = history->all[i]->batch;
	}
	return last;
}

void workflow_history_sql_create(const struct workflow_table *table, struct strbuf *out)
{
	strbuf_addf(out,
		    "CREATE TABLE IF NOT EXISTS %s ("
		    "id text PRIMARY KEY CHECK (id ~ '^[0-9a-f]{8}$'), title text NOT NULL, checksum text NOT NULL,"
		    " state text NOT NULL CHECK (state IN ('applied', 'skipped', 'half up', 'half down')),"
		    " batch bigint NOT NULL, applied_at timestamptz NOT NULL, applied_by text NOT NULL,"
		    " duration_ms bigint, statement integer, reason text);\n",
		    table->quoted);
}

static void add_literal(PGconn *conn, const char *text, struct strbuf *out)
{
	char *literal = text ? PQescapeLiteral(conn, text, strlen(text)) : NULL;
	if (text && !literal) /* not UTF-8: said rather than written */
		strbuf_add_str(out, "'(not UTF-8)'");
	else
		strbuf_add_str(out, literal ? literal : "NULL");
	PQfreemem(literal);
}

static void add_number(int64_t number, bool is_null, struct strbuf *out)
{
	if (is_null)
		strbuf_add_str(out, "NULL");
	else
		strbuf_addf(out, "%lld", (long long)number);
}

void workflow_history_sql_put(PGconn *conn, const struct workflow_table *table, const struct workflow_entry *entry,
			      struct strbuf *out)
{
	strbuf_addf(out,
		    "INSERT INTO %s (id, title, checksum, state, batch, applied_at, applied_by, duration_ms,"
		    " statement, reason) VALUES ('%s', ",
		    table->quoted, entry->id);
	add_literal(conn, entry->title, out);
	strbuf_addf(out, ", '%s', '%s', %lld, pg_catalog.clock_timestamp(), ", entry->checksum,
		    state_names[entry->state], (long long)entry->batch);
	add_literal(conn, entry->applied_by, out);
	strbuf_add_str(out, ", ");
	add_number(entry->duration_ms, entry->duration_ms < 0, out);
	strbuf_add_str(out, ", ");
	add_number(entry->statement, entry->statement <= 0, out);
	strbuf_add_str(out, ", ");
	add_literal(conn, entry->reason, out);
	strbuf_add_str(out, ") ON CONFLICT (id) DO UPDATE SET title = EXCLUDED.title, checksum = EXCLUDED.checksum,"
			    " state = EXCLUDED.state, batch = EXCLUDED.batch, applied_at = EXCLUDED.applied_at,"
			    " applied_by = EXCLUDED.applied_by, duration_ms = EXCLUDED.duration_ms,"
			    " statement = EXCLUDED.statement, reason = EXCLUDED.reason;\n");
}

void workflow_history_sql_forget(const struct workflow_table *table, const char *id, struct strbuf *out)
{
	strbuf_addf(out, "DELETE FROM %s WHERE id = '%s';\n", table->quoted, id);
}

void workflow_history_sql_state(PGconn *conn, const struct workflow_table *table, const char *id,
				enum workflow_state state, int64_t statement, const char *reason, struct strbuf *out)
{
	strbuf_addf(out, "UPDATE %s SET state = '%s', statement = ", table->quoted, state_names[state]);
	add_number(statement, statement <= 0, out);
	strbuf_add_str(out, ", reason = ");
	add_literal(conn, reason, out);
	strbuf_addf(out, " WHERE id = '%s';\n", id);
}
