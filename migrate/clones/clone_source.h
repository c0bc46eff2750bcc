/*
 * What a local clone is made from: a running server, asked over libpq and copied with pg_basebackup, or a stopped data
 * directory or base backup (plain or tar) on disk. Finds out its version and the programs for it, and refuses early
 * what cannot work.
 */
#ifndef CLONE_SOURCE_H
#define CLONE_SOURCE_H

#include "clone.h"
#include "error.h"
#include "folder_copy.h"
#include "pg_conn.h"

#include <stdbool.h>
#include <sys/types.h>

struct clone_source {
	bool running;	 /* a server, else a folder */
	PGconn *conn;	 /* running: to it */
	char *folder;	 /* stopped: the data directory, absolute; or where a packed base backup lies */
	bool packed;	 /* a base backup in tar form: base.tar and pg_wal.tar, perhaps compressed */
	int version;	 /* 15 */
	char *bindir;	 /* the server's programs */
	char *superuser; /* the bootstrap superuser, NULL when not known yet */
	char *database;	 /* that the request or the URL names, else NULL */
	char *conf;	 /* a postgresql.conf outside of the data directory, or NULL */
	char *settings;	 /* lines for a configuration: what only the running server told; "" for none */
	uid_t uid;	 /* whom the clones run as, (uid_t)-1 for ourselves */
	gid_t gid;
	char *user; /* its name */
};

void clone_source_init(struct clone_source *source);
void clone_source_release(struct clone_source *source);
int clone_source_open(struct clone_source *source, const struct clone_request *request, struct error *err);
/* Puts a data directory at `data`, whose folder exists and belongs to the source's user. */
int clone_source_copy(struct clone_source *source, const struct clone_request *request, const char *data,
		      struct folder_copy_stats *stats, struct error *err);
/* A second one from the first, which has not been started. */
int clone_source_copy_again(struct clone_source *source, const struct clone_request *request, const char *from,
			    const char *data, struct folder_copy_stats *stats, struct error *err);
/* A program of the server's, e.g. "postgres"; to be freed. */
char *clone_source_program(const struct clone_source *source, const char *name);

#endif
