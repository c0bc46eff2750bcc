/*
 * The servers that a run is aimed at. The harness sends recorded writes, so a target that is not known to be a clone is
 * refused, and the server that the log came from always is.
 */
#ifndef PG_TARGET_H
#define PG_TARGET_H

#include "error.h"

#include <jansson.h>
#include <stdbool.h>

#define PG_TARGET_VERSION_MIN  12
#define PG_TARGET_VERSION_MAX  18
#define PG_TARGET_MARKER_GUC   "rehearse.clone"
#define PG_TARGET_MARKER_TABLE "rehearse_clone"

struct pg_target {
	char *host; /* as connected: a name, an address, or a socket's folder */
	char *port;
	char *database;
	char *user;
	int server_version_num; /* 150020 */
	char *server_version;	/* "15.20 (Debian …)" */
	char *identity; /* system identifier and start of the postmaster: two clones differ, two URLs of one do not */
	char *marker;	/* the clone's name when the GUC says so, else NULL */
	bool marked;	/* GUC or table */
	char *server_address; /* inet_server_addr(), NULL over a socket */
	char *server_port;    /* inet_server_port(), NULL over a socket */
};

void pg_target_release(struct pg_target *target);
/*
 * Connects and asks. ERR_USAGE when url is no libpq URI or conninfo, ERR_UNAVAILABLE ("host:port: …", never the
 * password) when there is no connection, ERR_DATA for a server version that is not supported.
 */
int pg_target_probe(const char *url, struct pg_target *out, struct error *err);

struct pg_target_guard {
	const char *source_host; /* where the log came from, NULL when not known; "[local]" or a folder: this machine */
	int source_port;	 /* 0: 5432 */
	bool known_clone;	 /* --i-know-this-is-a-clone */
};
/* 0 when the target may be written to; else ERR_USAGE with one line that says what to do. */
int pg_target_guard(const struct pg_target *target, const struct pg_target_guard *guard, struct error *err);
/* ERR_USAGE when both are one database of one server. */
int pg_target_distinct(const struct pg_target *baseline, const struct pg_target *migrating, struct error *err);
/*
 * {"baseline": {"server_version": …}, "migrating": {…}, "differences": [{"name", "baseline", "migrating"}]}, a
 * new reference. Settings that must differ between two clones (port, folders, marker) are left out.
 */
/* migrating_url may be NULL: one lane. */
int pg_target_settings(const char *baseline_url, const char *migrating_url, json_t **out, struct error *err);

#endif
