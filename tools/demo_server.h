/*
 * The demo's source server: a PostgreSQL of its own in a temporary folder, reachable through a socket in that folder
 * only. It plays production: it has the shop's data, is backed up, and logs what the shop's programs ask.
 */
#ifndef DEMO_SERVER_H
#define DEMO_SERVER_H

#include "demo_job.h"
#include "error.h"

#include <libpq-fe.h>
#include <stdbool.h>
#include <sys/types.h>

#define DEMO_DATABASE "shop"

struct demo_server {
	char *folder; /* temporary; everything lies in it */
	char *bindir;
	char *data;
	char *backup; /* demo_server_backup() puts the base backup here */
	char *log;    /* the csvlog */
	uid_t uid;    /* whom the server runs as; -1: ourselves */
	gid_t gid;
	struct demo_job job;
	const volatile bool *cancelled;
	const char *arguments[64]; /* of the running server */
	char *settings[3];	   /* those of them that we have made */
	bool running;
	bool keep; /* demo_server_release() leaves log and backup */
};

/* Makes folder and data directory, and starts it. ERR_UNAVAILABLE when PostgreSQL's programs are not installed. */
int demo_server_start(struct demo_server *server, const volatile bool *cancelled, struct error *err);
/* From now on every statement goes into the csvlog. */
int demo_server_log_statements(struct demo_server *server, struct error *err);
int demo_server_backup(struct demo_server *server, struct error *err);
/* Shuts it down; the folder stays, with log and backup. */
int demo_server_stop(struct demo_server *server, struct error *err);
/* The folder is to stay, with the log and the backup, without the data directory. Says where it is. */
void demo_server_keep(struct demo_server *server);
/* Stops it if it runs, and removes everything that is not to stay, whatever state it is in. */
void demo_server_release(struct demo_server *server);

/* The path of one of PostgreSQL's programs, to be freed. */
char *demo_server_program(const struct demo_server *server, const char *name);
/* A connection to a database, as a superuser or as the shop's role; PQfinish() it. NULL with err set. */
PGconn *demo_server_connect(const struct demo_server *server, const char *database, const char *user,
			    struct error *err);
/* Runs statements one after the other, until one fails or the demo is interrupted. */
int demo_server_run(const struct demo_server *server, PGconn *conn, const char *const *statements, struct error *err);

#endif
