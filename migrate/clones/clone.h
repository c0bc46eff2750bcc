/*
 * Clones: databases that may be broken. One seam for all ways of making them: a provider makes a *set* of clones, equal
 * in data and settings, one for each lane, and takes it down again. Whatever happens to us, nothing stays: each clone
 * has a record on disk from before it exists until after it is gone (clone_record.h), a guardian process takes the set
 * down when we die, and what both leave `cleanup` removes.
 */
#ifndef CLONE_H
#define CLONE_H

#include "clone_guardian.h"
#include "clone_record.h"
#include "error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* What a provider can do; what it cannot it must refuse when asked. */
struct clone_capabilities {
	bool reflink;	    /* copies share blocks where the file system can */
	bool point_in_time; /* a clone as of a given time */
	bool server_log;    /* the clone's server log can be read as a file */
	bool cold_cache;    /* caches can be emptied before a run */
	bool needs_source;
};

struct clone {
	char *name;	/* "NAME-LANE" */
	char *lane;	/* as asked for */
	char *folder;	/* everything of it; NULL where the provider has none */
	char *log;	/* the server's csvlog, NULL where it cannot be read */
	char *url;	/* with a password where the provider says one; in memory only */
	int port;	/* of 127.0.0.1, 0 where there is none */
	pid_t pid;	/* of its server, 0 where it is not ours */
	bool reflinked; /* its files share blocks with the source or with the other clone */
	int64_t created_wall_ns;
	int64_t size_bytes; /* of its data directory as copied, -1 when not known */
};

struct clone_provider;

/* One run's clones, in the order of the request's lanes. */
struct clone_set {
	const struct clone_provider *provider;
	struct clone *clones;
	size_t count;
	int64_t point_in_time_wall_ns; /* restored to; 0: as the source was, or the end of its archive */
	char *last_transaction;	       /* recovered: when the last one was committed, RFC 3339; else NULL */
	bool cold;		       /* caches were emptied */
	void *state;		       /* the provider's */
	/* clone.c's */
	char *state_folder;
	struct clone_record *records;
	size_t recorded; /* how many of them are on disk, and may be acted upon */
	struct clone_guardian guardian;
};

struct clone_request {
	const char *name; /* of the run: clone_name_is_good() */
	/* libpq URI or conninfo of a running server, or the path of a data directory or base backup */
	const char *source;
	const char *const *lanes; /* one clone for each */
	size_t lane_count;
	const char *state_dir;	 /* for the records: clone_state_folder() */
	const char *folder;	 /* where clones go; NULL: $TMPDIR, else /var/tmp */
	const char *pg_bindir;	 /* the server's programs; NULL: /usr/lib/postgresql/N/bin for the source's version N */
	const char *run_as;	 /* the user to run as when called by root; NULL: the source's owner, else postgres */
	const char *database;	 /* that the clones' urls name; NULL: the source url's, else the only one there is, else
				    postgres */
	int64_t time_to_live_ns; /* after that, cleanup may remove it; 0: a day */
	/* Archived WAL to roll a base backup forward with: a folder, or a command as in PostgreSQL's restore_command.
	 */
	const char *wal_archive;
	const char *restore_command;
	int64_t point_in_time_wall_ns;	/* 0: as it is, or with an archive to the archive's end */
	bool cold_cache;		/* both start with empty caches */
	struct clone_commands commands; /* clone_command */
	const volatile bool *cancelled; /* may be NULL */
	/* May be NULL; called with a word on what is being done, and a share of it done (0…1, -1: not known). */
	void (*progress)(void *context, const char *what, double share);
	void *progress_context;
};

struct clone_provider {
	const char *name; /* "local" */
	struct clone_capabilities can;
	/* Looks at the request and fills in what the records need (folders, users); leaves no trace. */
	int (*open)(const struct clone_request *request, struct clone_set *set, struct error *err);
	/* Makes them; the records are there. What a failure leaves, clone_remove() removes. */
	int (*create)(const struct clone_request *request, struct clone_set *set, struct error *err);
	void (*stop)(struct clone_set *set); /* in good order, before they are removed */
	void (*release)(struct clone_set *set);
};

extern const struct clone_provider clone_local;	  /* servers of our own on this machine */
extern const struct clone_provider clone_command; /* whatever the user's scripts make */

/*
 * All clones up, checkpointed and accepting connections, or none: a failure has removed what it made. ERR_DATA for a
 * source that cannot be cloned, ERR_UNAVAILABLE for one that cannot be reached, ERR_USAGE for a request that makes no
 * sense, ERR_INTERRUPTED when it was cancelled.
 */
int clone_set_create(const struct clone_provider *provider, const struct clone_request *request, struct clone_set **out,
		     struct error *err);
/* Stops and removes all of them, and frees the set whatever the result; NULL is fine. */
int clone_set_destroy(struct clone_set *set, struct error *err);
/*
 * The clones stay when this process ends, as snapshots, until their time to live is over or somebody removes them. On
 * an error they are still this process's. The set is freed with clone_set_free().
 */
int clone_set_keep(struct clone_set *set, struct error *err);
/* Frees a set that was kept; NULL is fine. */
void clone_set_free(struct clone_set *set);
/* The clone of that lane, or NULL. */
const struct clone *clone_set_find(const struct clone_set *set, const char *lane);
/* What a run's environment says of them: provider, point in time, caches, shared blocks. A new reference. */
json_t *clone_set_describe(const struct clone_set *set);

#endif
