/*
 * A clone's own PostgreSQL server: started, asked, stopped (clone_config.h: configured). One folder holds everything of
 * it:
 *
 *   FOLDER/data          the data directory
 *   FOLDER/server.conf   the configuration: the source's, and ours over it
 *   FOLDER/source.auto.conf  what ALTER SYSTEM had set on the source
 *   FOLDER/hba.conf, ident.conf
 *   FOLDER/.s.PGSQL.PORT the unix socket: the folder is private (0700), so whoever gets there is trusted
 *   FOLDER/log/server.csv, FOLDER/start.log
 *   FOLDER/recovery.conf, FOLDER/log/recovery.csv   when it was rolled forward (clone_recovery.h)
 */
#ifndef CLONE_SERVER_H
#define CLONE_SERVER_H

#include "clone.h"
#include "clone_source.h"
#include "error.h"
#include "strbuf.h"

/* Longest folder whose socket's name still fits into 107 bytes (sockaddr_un): "/.s.PGSQL.65535" and its ".lock". */
#define CLONE_FOLDER_MAX 87

/* Starts it on a free port (clone->port, clone->pid) and returns at once. */
int clone_server_start(const struct clone_source *source, struct clone *clone, struct error *err);
/*
 * Starts it, reachable through its socket alone, with the configuration FOLDER/NAME (which includes server.conf) and no
 * word of ours over it, for archive recovery.
 */
int clone_server_start_with(const struct clone_source *source, struct clone *clone, const char *name,
			    struct error *err);
/* Has the server's process ended? clone->pid is 0 then. Waits for it so long at most. */
bool clone_server_has_ended(struct clone *clone, int64_t within_ns);
/* libpq's URI for it, to be freed. */
char *clone_server_url(const struct clone *clone, const char *user, const char *database);
/* Runs a program of the server's, or another, as the clones' user in the clone's folder, to its end. */
int clone_server_run(const struct clone_source *source, const struct clone *clone, const char *const *argv,
		     struct strbuf *said, int *code, struct error *err);
/*
 * Until it accepts connections, however long its recovery takes; another port when the one it had was taken.
 * ERR_DATA with the last lines of its log when it ends instead.
 */
int clone_server_await(const struct clone_source *source, struct clone *clone, const volatile bool *cancelled,
		       struct error *err);
/* Finds superuser and database, sets clone->url, and makes a checkpoint. */
int clone_server_finish(struct clone_source *source, struct clone *clone, struct error *err);
/* Sets clone->url once more, after a restart. */
void clone_server_renew_url(const struct clone_source *source, struct clone *clone);
/*
 * A clean shutdown, however long its last checkpoint takes: the data directory can be copied, and starts without
 * recovery.
 */
int clone_server_shut_down(struct clone *clone, const volatile bool *cancelled, struct error *err);
/* ERR_DATA with what a server that ended said last. */
int clone_server_explain_end(const struct clone *clone, struct error *err);
/* Fast, then immediate shutdown, then SIGKILL; clone->pid is 0 after it. */
void clone_server_stop(struct clone *clone);

#endif
