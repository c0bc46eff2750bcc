/*
 * The health sampler's connection: which questions it may ask this server, when each is due again, and what becomes of
 * one that fails. A question that the server refuses for good (no permission, no such view) is not asked again; one
 * that takes too long is cut off after half a second by the server's own statement_timeout, and given up when that
 * happens again and again. None of it ever ends a run.
 */
#ifndef HEALTH_LINK_H
#define HEALTH_LINK_H

#include "error.h"
#include "health_pace.h"
#include "health_queries.h"

#include <libpq-fe.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct health_link_group {
	struct health_query query;
	struct health_pace pace;
	bool off;
	char reason[160];  /* why it was off, or not answered the last time */
	unsigned timeouts; /* in a row */
};

struct health_link {
	const char *url;
	double time_scale; /* of the groups' intervals: 1 for one sample a second */
	atomic_bool *stop;
	PGconn *conn; /* NULL while lost */
	int version;
	pid_t backend_pid;
	int64_t backend_start_wall_ns; /* by the server's clock; 0 when it is not told */
	struct health_link_group groups[HEALTH_GROUPS];
};

/* Everything is due, however recently it was asked, or only what is asked seldom: for the first and the last look. */
void health_link_hurry(struct health_link *link, bool only_seldom);

enum health_answer {
	HEALTH_NOT_DUE,
	HEALTH_ANSWERED,
	HEALTH_UNKNOWN, /* the group's reason says why */
	HEALTH_LOST	/* the connection is gone */
};

/* url and stop stay the caller's. */
void health_link_init(struct health_link *link, const char *url, double time_scale, atomic_bool *stop);
void health_link_release(struct health_link *link);
int health_link_open(struct health_link *link, struct error *err);
/*
 * Asks a group if it is due. *result is to be cleared when it was answered; when it is not known, which it is each time
 * for a group that is off, the group's reason says why, in one line without values.
 */
enum health_answer health_link_ask(struct health_link *link, enum health_group group, int64_t now_ns,
				   PGresult **result);

#endif
