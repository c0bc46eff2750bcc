/*
 * What a database remembers of its migrations: one row for each, in a table of its own ("public.rehearse_migrations"
 * unless told otherwise), made on first use. A migration in a transaction writes its row inside of that transaction, so
 * row and change are there together or not at all. One without writes "half up" before it begins and "applied" when all
 * of it is done: what a crash leaves behind says so.
 *
 *   id, title, checksum   of up.sql as it was applied
 *   state                 applied | skipped (done by other means) | half up | half down
 *   batch                 migrations of one number ran side by side or could have
 *   applied_at, applied_by, duration_ms
 *   statement             half up, half down: the statement that had begun when it stopped, from 1
 *   reason                why it was skipped, or why it stopped
 */
#ifndef WORKFLOW_HISTORY_H
#define WORKFLOW_HISTORY_H

#include "clock.h"
#include "error.h"
#include "pg_conn.h"
#include "strbuf.h"
#include "workflow_meta.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <uthash.h>

#define WORKFLOW_TABLE_STANDARD "public.rehearse_migrations"
#define WORKFLOW_NAME_MAX	63 /* NAMEDATALEN - 1 */

enum workflow_state {
	WORKFLOW_APPLIED,
	WORKFLOW_SKIPPED,
	WORKFLOW_HALF_UP,
	WORKFLOW_HALF_DOWN
};

struct workflow_record {
	char id[WORKFLOW_ID_LEN + 1];
	char *title;
	char *checksum;
	enum workflow_state state;
	int64_t batch;
	int64_t applied_wall_us;
	char applied_at[RFC3339_MAX];
	char *applied_by;
	int64_t duration_ms; /* -1: it was not us who ran it */
	int64_t statement;   /* 0: not known, or all of them */
	char *reason;	     /* or NULL */
	UT_hash_handle hh;
};

struct workflow_history {
	bool exists;		      /* the table does */
	struct workflow_record **all; /* oldest first */
	size_t count;
	struct workflow_record *by_id;
};

/* The table's name, taken apart and put together again. */
struct workflow_table {
	char schema[WORKFLOW_NAME_MAX + 1];
	char name[WORKFLOW_NAME_MAX + 1];
	char text[2 * WORKFLOW_NAME_MAX + 2];	/* schema.name, as the user wrote it */
	char quoted[4 * WORKFLOW_NAME_MAX + 8]; /* "schema"."name", for SQL */
};

/* "[schema.]name", letters, digits, '_' and '$', taken as they are; without a schema, public. ERR_USAGE. */
int workflow_table_parse(const char *text, struct workflow_table *table, struct error *err);

/* Reads all of it; *history is to be released whatever the result. ERR_DATA when the table is another one. */
int workflow_history_load(PGconn *conn, const struct workflow_table *table, struct workflow_history *history,
			  struct error *err);
void workflow_history_release(struct workflow_history *history);
/* NULL when the database does not know that id. */
const struct workflow_record *workflow_history_find(const struct workflow_history *history, const char *id);
/* The highest batch number, 0 when there is none. */
int64_t workflow_history_last_batch(const struct workflow_history *history);
const char *workflow_state_name(enum workflow_state state);

/* What is written of a migration. */
struct workflow_entry {
	const char *id;
	const char *title;
	const char *checksum;
	enum workflow_state state;
	int64_t batch;
	const char *applied_by;
	int64_t duration_ms; /* -1 for SQL's NULL */
	int64_t statement;   /* 0 for NULL */
	const char *reason;  /* NULL for NULL */
};

/* SQL, each one statement with a semicolon; literals are quoted as conn's server wants it. */
void workflow_history_sql_create(const struct workflow_table *table, struct strbuf *out);
void workflow_history_sql_put(PGconn *conn, const struct workflow_table *table, const struct workflow_entry *entry,
			      struct strbuf *out);
void workflow_history_sql_forget(const struct workflow_table *table, const char *id, struct strbuf *out);
void workflow_history_sql_state(PGconn *conn, const struct workflow_table *table, const char *id,
				enum workflow_state state, int64_t statement, const char *reason, struct strbuf *out);

#endif
