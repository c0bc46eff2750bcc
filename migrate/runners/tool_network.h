/*
 * A network for a migration tool in which there is nothing but the clone. A tool may take its server from a setting
 * that nobody thought of; here that leads nowhere, while the proxy (proxy/) listens on a socket that was made in there.
 *
 * It is a network namespace of Linux, which root may make, and others where the kernel lets them (user namespaces). A
 * unix socket with a path is a file, not network: a server of this machine stays reachable that way.
 */
#ifndef TOOL_NETWORK_H
#define TOOL_NETWORK_H

#include "error.h"

struct tool_network {
	int user_fd;   /* a user namespace to enter first; 0: none is needed */
	int net_fd;    /* the network namespace; 0: none */
	int listen_fd; /* listens on its 127.0.0.1 */
};

/* ERR_UNAVAILABLE where this machine does not let us; *network is then empty. */
int tool_network_init(struct tool_network *network, struct error *err);
/* Fine for one that is empty. */
void tool_network_release(struct tool_network *network);

#endif
