/*
 * The relations of the migrating database as the runner knows them: names, so that a dropped one still has its own;
 * file numbers, to see a rewrite; sizes, to see growth. Kept up to date from the results of the runner's own queries.
 */
#ifndef RELATION_TABLE_H
#define RELATION_TABLE_H

#include "error.h"
#include "pg_conn.h"
#include "span.h"

#include <stdbool.h>
#include <stdint.h>
#include <uthash.h>

#define RELATION_SIZE_UNKNOWN INT64_MIN

struct relation {
	uint32_t oid;
	uint32_t table_oid;  /* an index's table, else 0 */
	uint32_t filenode;   /* 0: none */
	char kind;	     /* pg_class.relkind */
	bool ours;	     /* a user's relation: to be reported */
	char *name;	     /* "schema.name", quoted where SQL needs it */
	int64_t size_bytes;  /* with indexes and TOAST, as of the last look; for tables, else unknown */
	int64_t rows_before; /* the backend's count of rows read, before the statement at hand */
	UT_hash_handle hh;
};

struct relation_table {
	struct relation *by_oid;
	uint32_t database_oid;
};

/*
 * What each query that feeds the table selects, in this order, from pg_class c, its pg_namespace n and pg_index x; the
 * query adds the size, or NULL, behind it.
 */
#define RELATION_COLUMNS                                                                             \
	"c.oid, quote_ident(n.nspname) || '.' || quote_ident(c.relname), c.relkind, c.relfilenode, " \
	"coalesce(x.indrelid, 0),"                                                                   \
	" n.nspname !~ '^pg_(catalog|toast|temp_|toast_temp_)' AND n.nspname <> 'information_schema'"
#define RELATION_COLUMN_COUNT 6
#define RELATION_JOINS                                              \
	" JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace" \
	" LEFT JOIN pg_catalog.pg_index x ON x.indexrelid = c.oid"

void relation_table_init(struct relation_table *table);
void relation_table_release(struct relation_table *table);
/* All relations and their file numbers. */
int relation_table_load(struct relation_table *table, PGconn *conn, struct error *err);
/*
 * Sizes of the tables as they are now, for those that can be had without waiting for a lock; the rest become unknown.
 * Tables named in `sql` alone when there are more than a thousand.
 */
void relation_table_measure(struct relation_table *table, PGconn *conn, struct span sql);
struct relation *relation_table_find(const struct relation_table *table, uint32_t oid);
/* Takes in one row of RELATION_COLUMNS from `column` on; the relation as it was is gone after that. */
struct relation *relation_table_update(struct relation_table *table, const PGresult *result, int row, int column);

#endif
