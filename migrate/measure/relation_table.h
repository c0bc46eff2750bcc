/*
 * The relations of the migrating database as the tracer knows them: names, so that a dropped one still has its own;
 * file numbers, to see a rewrite; sizes, to see growth; and the strongest lock that the traced transaction holds on
 * each. Kept up to date from the results of the tracer's own queries.
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
	bool valid;	     /* pg_index.indisvalid; true for what is no index */
	bool dropped;	     /* by the open transaction */
	int held_rank;	     /* lock_mode_rank() of what the open transaction holds, 0 for nothing */
	uint32_t seen;	     /* in which load it was there last */
	char *name;	     /* "schema.name", quoted where SQL needs it */
	char *former_name;   /* where the last look found another name: the one that everybody else knows; or NULL */
	int64_t size_bytes;  /* with indexes and TOAST, as of the last look; for tables, else unknown */
	int64_t size_before; /* for who compares two looks */
	/* The backend's counts of rows read, and of rows inserted, updated and deleted, before the statement at hand:
	 */
	int64_t rows_before;
	int64_t changes_before;
	UT_hash_handle hh;
};

struct relation_table {
	struct relation *by_oid;
	uint32_t loads;
};

/* What a look found to be different from the look before. */
struct relation_change {
	bool created;
	bool dropped;
	bool rewritten;	     /* another file */
	bool became_invalid; /* an index that is not valid and was so, or was not there */
};

/* The words of a statement: which relations it may be about. Opaque; NULL has none. */
struct mention;
struct mention *relation_mentions_new(struct span sql);
void relation_mentions_free(struct mention *mentions);
/* True when the statement has the relation's own name, with or without quotes. */
bool relation_is_mentioned(const struct relation *relation, struct mention *mentions);

/*
 * What each query that feeds the table selects, in this order, from pg_class c, its pg_namespace n and pg_index x; the
 * query adds the size, or NULL, behind it.
 */
#define RELATION_COLUMNS                                                                               \
	"c.oid, quote_ident(n.nspname) || '.' || quote_ident(c.relname), c.relkind, c.relfilenode, "   \
	"coalesce(x.indrelid, 0),"                                                                     \
	" n.nspname !~ '^pg_(catalog|toast|temp_|toast_temp_)' AND n.nspname <> 'information_schema'," \
	" coalesce(x.indisvalid, true)"
#define RELATION_COLUMN_COUNT 7
#define RELATION_JOINS                                              \
	" JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace" \
	" LEFT JOIN pg_catalog.pg_index x ON x.indexrelid = c.oid"

void relation_table_init(struct relation_table *table);
void relation_table_release(struct relation_table *table);
/*
 * All relations and their file numbers; those that are gone leave the table. report, unless it is NULL, is told of each
 * that differs from what was known.
 */
int relation_table_load(struct relation_table *table, PGconn *conn,
			void (*report)(void *context, const struct relation *relation,
				       const struct relation_change *change),
			void *context, struct error *err);
/*
 * Sizes of the tables as they are now, for those that can be had without waiting for a lock; the rest become unknown.
 * only_named: of those alone that the statement names, the others keep theirs; so it is, but that the others become
 * unknown, when there are more than a thousand.
 */
void relation_table_measure(struct relation_table *table, PGconn *conn, struct span sql, bool only_named);
struct relation *relation_table_find(const struct relation_table *table, uint32_t oid);
/* Takes in one row of RELATION_COLUMNS from `column` on. */
struct relation *relation_table_update(struct relation_table *table, const PGresult *result, int row, int column,
				       struct relation_change *change);
/* Nothing is held any more. */
void relation_table_forget_locks(struct relation_table *table);
/* For those that have storage of their own whose size is looked at. */
bool relation_has_size(const struct relation *relation);
bool relation_is_index(const struct relation *relation);

#endif
