/*
 * One side of a proxied connection: a socket, with TLS or without, never waited for here; what has come and is not read
 * yet, what is to go and is not sent yet.
 */
#ifndef PROXY_LINK_H
#define PROXY_LINK_H

#include "wire.h"

#include <stdbool.h>

struct proxy_link {
	int fd;
	void *tls; /* OpenSSL's SSL *, or NULL; not ours to free */
	struct wire_reader in;
	struct wire_buffer out;
	bool ended;	    /* nothing comes any more */
	bool tls_wants_out; /* TLS must write before it can read */
};

/* Takes a socket over: not blocking from now on. It stays its owner's to close. */
void proxy_link_init(struct proxy_link *link, enum wire_side side, int fd, void *tls);
void proxy_link_release(struct proxy_link *link);
/* Reads what has come, up to a buffer's length. */
void proxy_link_read(struct proxy_link *link);
/* Sends what goes. A connection that is gone is seen at the next read; what was to be sent is dropped. */
void proxy_link_write(struct proxy_link *link);
/* For poll(): what to wait for when it is to be read or not. */
short proxy_link_events(const struct proxy_link *link, bool to_read);
/* Bytes that TLS has taken from the socket already: poll() does not know of them. */
bool proxy_link_has_more(const struct proxy_link *link);

#endif
