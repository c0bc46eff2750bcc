/*
 * The proxy's connection to the clone. libpq logs in (TLS in all its modes, SCRAM, passfiles, several hosts, sockets:
 * everything that the clone's URL may ask for), with what the tool's startup packet adds; then its socket is taken
 * over, and libpq is needed no more but to cancel and to close.
 */
#ifndef PROXY_UPSTREAM_H
#define PROXY_UPSTREAM_H

#include "proxy_link.h"
#include "span.h"
#include "wire.h"

#include <libpq-fe.h>
#include <stdatomic.h>
#include <stdbool.h>

struct proxy_refusal {
	char sqlstate[6];
	char message[512]; /* the server's or libpq's own words: for the tool */
};

/*
 * `startup` is the body of the tool's startup packet behind the protocol's number: pairs of strings. NULL, with the
 * reason, when there is no connection; *stop ends waiting for one.
 */
PGconn *proxy_upstream_connect(const char *url, struct span startup, const atomic_bool *stop,
			       struct proxy_refusal *refusal);
/* What the tool is told after a login: ParameterStatus for what the server reports, and the key for cancelling. */
void proxy_upstream_put_welcome(PGconn *conn, uint32_t secret, struct wire_buffer *out);
/* From here on the connection's bytes are read and written through the link. False for a TLS library not known here. */
bool proxy_upstream_take_over(PGconn *conn, struct proxy_link *link);

/* The URL with another database in it, as a conninfo string to be freed: it may hold a password. */
char *proxy_upstream_url_of(const char *url, const char *database);

/* A parameter of a startup packet, NULL when it is not there. */
const char *proxy_startup_find(struct span startup, const char *name);
/* The next pair from *pos on; false at the end. */
bool proxy_startup_next(struct span startup, size_t *pos, const char **name, const char **value);

#endif
