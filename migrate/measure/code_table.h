/*
 * The users' own code in the migrating database: triggers, of which a migration may add, drop or disable some without
 * anybody noticing, and functions, in which statements run that nobody sees one by one.
 */
#ifndef CODE_TABLE_H
#define CODE_TABLE_H

#include "error.h"
#include "ledger.h"
#include "pg_conn.h"
#include "span.h"

#include <stdbool.h>
#include <stdint.h>
#include <uthash.h>

struct known_trigger {
	uint32_t oid;
	uint32_t table_oid;
	char *name;    /* "trigger on schema.table" */
	bool enabled;  /* in whatever role */
	bool internal; /* of a constraint: made and dropped with it */
	uint32_t seen; /* in which look it was there last */
	UT_hash_handle hh;
};

struct known_function {
	char *name; /* the plain one */
	UT_hash_handle hh;
};

struct function_calls {
	uint32_t oid;
	int64_t before; /* the backend's count, before the statement at hand */
	UT_hash_handle hh;
};

struct code_table {
	struct known_trigger *triggers;
	struct known_function *functions;
	struct function_calls *calls;
	uint32_t looks;
};

/* To be asked for triggers: SELECT CODE_TRIGGER_COLUMNS CODE_TRIGGER_FROM [AND …]. */
#define CODE_TRIGGER_COLUMNS                                                                                \
	"t.oid, t.tgrelid, pg_catalog.quote_ident(t.tgname) || ' on ' || pg_catalog.quote_ident(n.nspname)" \
	" || '.' || pg_catalog.quote_ident(c.relname), t.tgenabled <> 'D', t.tgisinternal"
#define CODE_TRIGGER_FROM                                                               \
	" FROM pg_catalog.pg_trigger t JOIN pg_catalog.pg_class c ON c.oid = t.tgrelid" \
	" JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace WHERE t.oid >= 16384"
/* The traced backend's calls of users' functions that it has not handed in yet. */
#define CODE_CALLS_SQL                                                                                          \
	"SELECT f.oid, pg_catalog.quote_ident(f.nspname) || '.' || pg_catalog.quote_ident(f.proname), f.calls"  \
	" FROM (SELECT p.oid, n.nspname, p.proname, pg_catalog.pg_stat_get_xact_function_calls(p.oid) AS calls" \
	" FROM pg_catalog.pg_proc p JOIN pg_catalog.pg_namespace n ON n.oid = p.pronamespace"                   \
	" WHERE p.oid >= 16384) f WHERE f.calls > 0"

void code_table_init(struct code_table *table);
void code_table_release(struct code_table *table);
/* All of them. What differs from what was known goes into *statement, unless that is NULL. */
int code_table_load(struct code_table *table, PGconn *conn, struct ledger_statement *statement, struct error *err);
/*
 * A look at the triggers of some tables, from inside the traced transaction: differences go into *statement, unless
 * that is NULL. looked_at() tells for which tables one that is not among the rows is gone.
 */
void code_table_take_triggers(struct code_table *table, const PGresult *result, struct ledger_statement *statement,
			      bool (*looked_at)(const void *context, uint32_t table_oid), const void *context);
/* Calls since the last look; their functions' names go into *statement, unless that is NULL. */
void code_table_take_calls(struct code_table *table, const PGresult *result, struct ledger_statement *statement);
/* The backend has handed its counts in: they begin anew. */
void code_table_forget_calls(struct code_table *table);
/* For statement_shape_of(): context is the table. */
bool code_table_has_function(const void *table, struct span name);

#endif
