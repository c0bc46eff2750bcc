/* Tables, columns, keys and counts of a database: see data_tables.h. */
#include "data_tables.h"

#include "clock.h"
#include "mem.h"

#define USER_SCHEMA "n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'"
/* Partitions are read through the table that they are partitions of. */
#define TABLES "c.relkind IN ('r', 'p', 'm', 'f') AND NOT c.relispartition AND c.relpersistence <> 't' AND " USER_SCHEMA

static const char table_query[] =
	"SELECT c.oid, n.nspname, c.relname, quote_ident(n.nspname) || '.' || quote_ident(c.relname), c.relkind,"
	" CASE c.relkind WHEN 'p' THEN (SELECT sum(pg_table_size(t.relid)) FROM pg_partition_tree(c.oid) t WHERE "
	"t.isleaf)"
	" ELSE pg_table_size(c.oid) END, c.relispopulated,"
	" CASE c.relkind WHEN 'p' THEN (SELECT count(*) FROM pg_partition_tree(c.oid) t WHERE t.isleaf) END"
	" FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace"
	" WHERE " TABLES " ORDER BY c.oid";

static const char column_query[] =
	"SELECT c.oid, a.attname, format_type(a.atttypid, a.atttypmod), b.typname, a.attnum, coalesce(a.attnum = ANY"
	" (k.columns), false)"
	" FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace"
	" JOIN pg_catalog.pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped"
	" JOIN pg_catalog.pg_type t ON t.oid = a.atttypid"
	" JOIN pg_catalog.pg_type b ON b.oid = CASE WHEN t.typtype = 'd' THEN t.typbasetype ELSE t.oid END"
	/* The primary key, else the unique index with the fewest columns of which none can be NULL. */
	" LEFT JOIN LATERAL (SELECT (x.indkey::int2[])[0:x.indnkeyatts - 1] AS columns FROM pg_catalog.pg_index x WHERE"
	" x.indrelid = c.oid AND x.indisunique AND x.indisvalid AND x.indpred IS NULL AND x.indexprs IS NULL AND NOT "
	"EXISTS"
	" (SELECT FROM pg_catalog.pg_attribute u WHERE u.attrelid = c.oid AND u.attnum = ANY ((x.indkey::int2[])[0:"
	"x.indnkeyatts - 1]) AND NOT u.attnotnull) ORDER BY x.indisprimary DESC, x.indnkeyatts, x.indexrelid LIMIT 1)"
	" k ON true"
	" WHERE " TABLES " ORDER BY c.oid, a.attnum";

static const char write_query[] = "SELECT coalesce(pg_partition_root(s.relid)::oid, s.relid), sum(s.n_tup_ins), "
				  "sum(s.n_tup_upd), sum(s.n_tup_del)"
				  " FROM pg_catalog.pg_stat_user_tables s GROUP BY 1";

static const char sequence_query[] =
	"SELECT quote_ident(schemaname) || '.' || quote_ident(sequencename), increment_by, last_value,"
	" has_sequence_privilege(quote_ident(schemaname) || '.' || quote_ident(sequencename), 'SELECT, USAGE')"
	" FROM pg_catalog.pg_sequences WHERE schemaname !~ '^pg_' ORDER BY 1";

static char *text_at(const PGresult *result, int row, int column)
{
	return mem_strdup(PQgetvalue(result, row, column));
}

static bool true_at(const PGresult *result, int row, int column)
{
	return *PQgetvalue(result, row, column) == 't';
}

static void take_tables(struct data_tables *tables, const PGresult *result)
{
	for (int row = 0; row < PQntuples(result); row++) {
		MEM_GROW(tables->tables, tables->count, tables->capacity);
		struct data_table *table = &tables->tables[tables->count++];
		memset(table, 0, sizeof(*table));
		table->oid = (uint32_t)pg_conn_int(result, row, 0, 0);
		table->schema = text_at(result, row, 1);
		table->name = text_at(result, row, 2);
		table->shown = text_at(result, row, 3);
		table->kind = *PQgetvalue(result, row, 4);
		table->size_bytes = pg_conn_int(result, row, 5, 0);
		table->populated = true_at(result, row, 6);
		table->partitions = pg_conn_int(result, row, 7, 0);
	}
}

static void take_columns(struct data_tables *tables, const PGresult *result)
{
	size_t at = 0;
	for (int row = 0; row < PQntuples(result); row++) {
		uint32_t oid = (uint32_t)pg_conn_int(result, row, 0, 0);
		while (at < tables->count && tables->tables[at].oid < oid)
			at++;
		if (at == tables->count || tables->tables[at].oid != oid)
			continue;
		struct data_table *table = &tables->tables[at];
		MEM_GROW(table->columns, table->column_count, table->column_capacity);
		table->columns[table->column_count++] =
			(struct data_column){text_at(result, row, 1), text_at(result, row, 2), text_at(result, row, 3),
					     (int)pg_conn_int(result, row, 4, 0), true_at(result, row, 5)};
	}
}

static void take_writes(struct data_tables *tables, const PGresult *result)
{
	for (int row = 0; row < PQntuples(result); row++) {
		uint32_t oid = (uint32_t)pg_conn_int(result, row, 0, 0);
		for (size_t i = 0; i < tables->count; i++) {
			if (tables->tables[i].oid == oid)
				tables->tables[i].writes = (struct check_writes){pg_conn_int(result, row, 1, 0),
										 pg_conn_int(result, row, 2, 0),
										 pg_conn_int(result, row, 3, 0)};
		}
	}
}

static void take_sequences(struct data_tables *tables, const PGresult *result)
{
	for (int row = 0; row < PQntuples(result); row++) {
		MEM_GROW(tables->sequences, tables->sequence_count, tables->sequence_capacity);
		tables->sequences[tables->sequence_count++] = (struct data_sequence){
			text_at(result, row, 0), pg_conn_int(result, row, 1, 1), true_at(result, row, 3),
			!PQgetisnull(result, row, 2), pg_conn_int(result, row, 2, 0)};
	}
}

static int ask(struct data_tables *tables, PGconn *conn, const char *sql, const char *what,
	       void (*take)(struct data_tables *, const PGresult *), struct error *err)
{
	PGresult *result = NULL;
	int rc = pg_conn_query(conn, sql, what, &result, err);
	if (rc == 0)
		take(tables, result);
	PQclear(result);
	return rc;
}

/*
 * Backends tell their counts when they end or fall idle: from 15 on at once into shared memory, before that to a
 * process that gathers them, at most half a second later.
 */
static void wait_for_statistics(const struct check_server *server)
{
	clock_sleep_until_ns(clock_mono_ns() + (server->version >= 150000 ? 100 : 1100) * NS_PER_MS);
}

int data_tables_load(struct check_server *server, struct data_tables *tables, struct error *err)
{
	memset(tables, 0, sizeof(*tables));
	wait_for_statistics(server);
	int rc = ask(tables, server->conn, table_query, "tables", take_tables, err);
	if (rc == 0)
		rc = ask(tables, server->conn, column_query, "columns", take_columns, err);
	if (rc == 0)
		rc = ask(tables, server->conn, write_query, "written rows", take_writes, err);
	if (rc == 0)
		rc = ask(tables, server->conn, sequence_query, "sequences", take_sequences, err);
	char *objects = NULL;
	if (rc == 0)
		rc = pg_conn_value(server->conn, "SELECT count(*) FROM pg_catalog.pg_largeobject_metadata",
				   "large objects", &objects, err);
	tables->large_objects = objects ? strtoll(objects, NULL, 10) : 0;
	free(objects);
	return rc;
}

void data_tables_release(struct data_tables *tables)
{
	for (size_t i = 0; i < tables->count; i++) {
		struct data_table *table = &tables->tables[i];
		for (size_t c = 0; c < table->column_count; c++) {
			free(table->columns[c].name);
			free(table->columns[c].type);
			free(table->columns[c].base_type);
		}
		free(table->columns);
		free(table->schema);
		free(table->name);
		free(table->shown);
	}
	for (size_t i = 0; i < tables->sequence_count; i++)
		free(tables->sequences[i].shown);
	free(tables->tables);
	free(tables->sequences);
	memset(tables, 0, sizeof(*tables));
}

const struct data_table *data_tables_find(const struct data_tables *tables, const char *shown)
{
	for (size_t i = 0; i < tables->count; i++) {
		if (strcmp(tables->tables[i].shown, shown) == 0)
			return &tables->tables[i];
	}
	return NULL;
}

const struct data_table *data_tables_find_oid(const struct data_tables *tables, uint32_t oid)
{
	for (size_t i = 0; i < tables->count; i++) {
		if (tables->tables[i].oid == oid)
			return &tables->tables[i];
	}
	return NULL;
}

const struct data_sequence *data_tables_find_sequence(const struct data_tables *tables, const char *shown)
{
	for (size_t i = 0; i < tables->sequence_count; i++) {
		if (strcmp(tables->sequences[i].shown, shown) == 0)
			return &tables->sequences[i];
	}
	return NULL;
}

const struct data_column *data_table_find_column(const struct data_table *table, const char *name)
{
	for (size_t i = 0; i < table->column_count; i++) {
		if (strcmp(table->columns[i].name, name) == 0)
			return &table->columns[i];
	}
	return NULL;
}

bool data_table_has_key(const struct data_table *table)
{
	for (size_t i = 0; i < table->column_count; i++) {
		if (table->columns[i].in_key)
			return true;
	}
	return false;
}

static int64_t more(int64_t now, int64_t then)
{
	return now > then ? now - then : 0;
}

struct check_writes check_writes_since(const struct check_writes *now, const struct check_writes *then)
{
	return (struct check_writes){more(now->inserted, then->inserted), more(now->updated, then->updated),
				     more(now->deleted, then->deleted)};
}

bool check_writes_any(const struct check_writes *writes)
{
	return writes->inserted || writes->updated || writes->deleted;
}
