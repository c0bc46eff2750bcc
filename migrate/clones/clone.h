/*
 * Clones: databases that may be broken. One seam for all ways of making them: a provider makes a *set* of clones, equal
 * in data and settings, one for each lane, and takes it down again. Whatever happens to us, nothing stays: each clone
 * has a record on disk from before it exists until after it is gone, and a guardian process takes the set down when we
 * die.
 */
#ifndef CLONE_H
#define CLONE_H

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
};

struct clone {
	char *name;	/* "NAME-LANE" */
	char *lane;	/* as asked for */
	char *folder;	/* everything of it; NULL where the provider has none */
	char *log;	/* the server's csvlog, NULL where it cannot be read */
	char *url;	/* libpq URI, without a password where none is needed */
	int port;	/* of 127.0.0.1, 0 where there is none */
	pid_t pid;	/* of its server, 0 where it is not ours */
	bool reflinked; /* its files share blocks with the source or with the other clone */
	int64_t created_wall_ns;
	int64_t size_bytes; /* of its data directory as copied, -1 when not known */
};

struct clone_set;

struct clone_request {
	const char *name; /* of the run: letters, digits, '-' and '_', at most 40 */
	const char
		*source; /* libpq URI or conninfo of a running server, or the path of a data directory or base backup */
	const char *const *lanes; /* one clone for each */
	size_t lane_count;
	const char *folder;	 /* where clones go; NULL: $TMPDIR, else /var/tmp */
	const char *pg_bindir;	 /* the server's programs; NULL: /usr/lib/postgresql/N/bin for the source's version N */
	const char *run_as;	 /* the user to run as when called by root; NULL: the source's owner, else postgres */
	const char *database;	 /* that the clones' urls name; NULL: the source url's, else the only one there is, else
				    postgres */
	int64_t time_to_live_ns; /* for the record: after that, cleanup may remove it; 0: a day */
	int64_t point_in_time_wall_ns;	/* 0: as it is */
	const volatile bool *cancelled; /* may be NULL */
	/* May be NULL; called with a word on what is being done, and a share of it done (0…1, -1: not known). */
	void (*progress)(void *context, const char *what, double share);
	void *progress_context;
};

struct clone_provider {
	const char *name; /* "local" */
	struct clone_capabilities can;
	int (*create)(const struct clone_request *request, struct clone_set *set, struct error *err);
	int (*destroy)(struct clone_set *set, struct error *err);
};

/* One run's clones, in the order of the request's lanes. */
struct clone_set {
	const struct clone_provider *provider;
	struct clone *clones;
	size_t count;
	void *state; /* the provider's */
};

extern const struct clone_provider clone_local;

/*
 * All clones up, checkpointed and accepting connections, or none: a failure has removed what it made. ERR_DATA for a
 * source that cannot be cloned, ERR_UNAVAILABLE for one that cannot be reached, ERR_USAGE for a request that makes no
 * sense, ERR_INTERRUPTED when it was cancelled.
 */
int clone_set_create(const struct clone_provider *provider, const struct clone_request *request, struct clone_set **out,
		     struct error *err);
/* Stops and removes all of them, and frees the set whatever the result; NULL is fine. */
int clone_set_destroy(struct clone_set *set, struct error *err);
/* The clone of that lane, or NULL. */
const struct clone *clone_set_find(const struct clone_set *set, const char *lane);

#endif
