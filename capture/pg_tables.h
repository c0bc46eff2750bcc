/*
 * What kind a PostgreSQL statement is and which tables it names, by the server's own grammar (libpg_query). Slow beside
 * everything else here: asked once for each distinct fingerprint, never for an item.
 */
#ifndef PG_TABLES_H
#define PG_TABLES_H

#include "span.h"

#include <stdbool.h>

#define PG_TABLES_MAX 64

struct pg_tables {
	char kind[24];		    /* of the first statement: "Select", "Insert", "Transaction"; "" when it is none */
	char *names[PG_TABLES_MAX]; /* "orders", "sales.orders", as written, each once; those beyond are left out */
	size_t count;
};

/* False, and all of it empty, when the text is longer than a megabyte or does not parse. */
bool pg_tables_read(struct span sql, struct pg_tables *out);
void pg_tables_release(struct pg_tables *tables);

#endif
