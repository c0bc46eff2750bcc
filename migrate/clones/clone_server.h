/*
 * A clone's own PostgreSQL server: configured so that it behaves like its source and can reach nobody, started, asked,
 * stopped. One folder holds everything of it:
 *
 *   FOLDER/data          the data directory
 *   FOLDER/server.conf   the configuration: the source's, and ours over it
 *   FOLDER/source.auto.conf  what ALTER SYSTEM had set on the source
 *   FOLDER/hba.conf, ident.conf
 *   FOLDER/.s.PGSQL.PORT the unix socket: the folder is private (0700), so whoever gets there is trusted
 *   FOLDER/log/server.csv, FOLDER/start.log
 */
#ifndef CLONE_SERVER_H
#define CLONE_SERVER_H

#include "clone.h"
#include "clone_source.h"
#include "error.h"

/* Longest folder whose socket's name still fits into 107 bytes (sockaddr_un): "/.s.PGSQL.65535" and its ".lock". */
#define CLONE_FOLDER_MAX 87

/* Writes the configuration of the clone, whose data directory is there. */
int clone_server_configure(const struct clone_source *source, const struct clone *clone, struct error *err);
/* Starts it on a free port (clone->port, clone->pid) and returns at once. */
int clone_server_start(const struct clone_source *source, struct clone *clone, struct error *err);
/*
 * Until it accepts connections, however long its recovery takes; another port when the one it had was taken.
 * ERR_DATA with the last lines of its log when it ends instead.
 */
int clone_server_await(const struct clone_source *source, struct clone *clone, const volatile bool *cancelled,
		       struct error *err);
/* Finds superuser and database, sets clone->url, and makes a checkpoint. */
int clone_server_finish(struct clone_source *source, struct clone *clone, struct error *err);
/* Fast, then immediate shutdown, then SIGKILL; clone->pid is 0 after it. */
void clone_server_stop(struct clone *clone);

#endif
