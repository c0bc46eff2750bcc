/*
 * Connections of our own to PostgreSQL (not those that replay traffic): opened with a name that shows in
 * pg_stat_activity, asked small questions, with errors that name host and port and never hold a password or a value.
 * Private to this folder: it shows libpq's types.
 */
#ifndef PG_CONN_H
#define PG_CONN_H

#include "error.h"

#include <libpq-fe.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Our own connections say this, so that recorded traffic and ours can be told apart. */
#define PG_CONN_APPLICATION "rehearse"

/* True for what libpq takes as a URI or key=value string (and not for the path of a folder). */
bool pg_conn_is_conninfo(const char *text);
/*
 * Connects (10 s at most unless the URL says otherwise). ERR_USAGE for a string that libpq does not take,
 * ERR_UNAVAILABLE "host:port: …". Notices are dropped, client_encoding is UTF8.
 */
int pg_conn_open(const char *url, const char *application, PGconn **out, struct error *err);
/* "host:port", to be freed. */
char *pg_conn_place(PGconn *conn);

/*
 * Runs one query and hands out its result, to be cleared; what names it in messages. A query that fails is ERR_INTERNAL
 * with SQLSTATE and primary message; a lost connection ERR_UNAVAILABLE.
 */
int pg_conn_query(PGconn *conn, const char *sql, const char *what, PGresult **out, struct error *err);
/* As above, for a command whose result does not matter. */
int pg_conn_run(PGconn *conn, const char *sql, const char *what, struct error *err);
/* The first value of the first row, to be freed; *out is NULL for SQL's NULL or no row. */
int pg_conn_value(PGconn *conn, const char *sql, const char *what, char **out, struct error *err);
/* Value of a result as a number; fallback for NULL and what is none. */
int64_t pg_conn_int(const PGresult *result, int row, int column, int64_t fallback);

#endif
