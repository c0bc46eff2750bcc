/*
 * A PostgreSQL server of a test's own: made with initdb in a temporary folder, on a free port of 127.0.0.1 and a unix
 * socket, user "postgres", trust, fsync off. Run as the user postgres when the test runs as root. Stopped and removed
 * by pg_server_stop(), at exit, and on SIGINT, SIGTERM, SIGHUP or a failed assertion's abort.
 */
#ifndef SUPPORT_PG_SERVER_H
#define SUPPORT_PG_SERVER_H

#include <libpq-fe.h>
#include <stdbool.h>
#include <sys/types.h>

struct pg_server {
	char folder[256]; /* everything; the unix socket lies here too */
	char data[300];	  /* the data directory */
	char log[300];	  /* what the server says on stderr (csvlog etc. go where extra_conf_lines says) */
	char url[400];	  /* postgresql://postgres@127.0.0.1:PORT/postgres */
	int port;
	pid_t pid; /* 0 while it is stopped */
	bool used;
};

/* The newest /usr/lib/postgresql/N/bin, else pg_config's; NULL, and a message, when there is none. */
const char *pg_server_bindir(void);
/* 0, or -1 with the reason on stderr. extra_conf_lines (may be NULL) is appended to postgresql.conf. */
int pg_server_start(struct pg_server *server, const char *extra_conf_lines);
/* Stops the server (fast) and keeps its folder; pg_server_restart() starts it again on the same port. */
void pg_server_halt(struct pg_server *server);
int pg_server_restart(struct pg_server *server);
/* Stops it and removes the folder. */
void pg_server_stop(struct pg_server *server);

/* The user and group that the server runs as. */
uid_t pg_server_uid(void);
gid_t pg_server_gid(void);
/* A free port of 127.0.0.1 at the moment of asking. */
int pg_server_free_port(void);

/* A connection to `database` (NULL: postgres); NULL and a message on a failure. PQfinish() it. */
PGconn *pg_server_connect(const struct pg_server *server, const char *database);
/* Runs SQL (several statements are fine); 0, or -1 with the server's message on stderr. */
int pg_server_sql(PGconn *conn, const char *sql);
/* The first value of the first row, to be freed; NULL for SQL's NULL, no row, or an error (then with a message). */
char *pg_server_value(PGconn *conn, const char *sql);
/* As above, as a number; -1 for NULL, no row or an error. */
long long pg_server_number(PGconn *conn, const char *sql);
/* Both on a connection of their own to database postgres. */
int pg_server_run(const struct pg_server *server, const char *sql);
long long pg_server_ask(const struct pg_server *server, const char *sql);

#endif
