/*
 * A proxy on 127.0.0.1 between any migration tool and a clone. It speaks PostgreSQL's protocol 3 on both sides, sees
 * each statement with its start, end, SQLSTATE and rows, and has what the statement did measured (measure/) before the
 * tool learns that it is done. The tool needs no setting but the URL.
 *
 * It logs in to the clone as the clone's own URL says (TLS, SCRAM, passfile: libpq's business), and lets only those in
 * who know a password that it made up itself: a clone that trusts this machine is not opened to its other users.
 */
#ifndef TRACING_PROXY_H
#define TRACING_PROXY_H

#include "error.h"
#include "ledger.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

struct tracing_proxy_options {
	const char *url;		/* libpq URI of the clone */
	int64_t t0_ns;			/* the run's start on clock_mono_ns(); the ledger's times count from it */
	int64_t interval_ns;		/* between samples of a running statement's locks; 0 means 10 ms */
	_Atomic uint32_t *statement_no; /* may be NULL; how many statements have begun, for display */
	/* 0: it listens on a port of its own. Else a socket that listens on 127.0.0.1 already, perhaps in another
	   network namespace (runners/tool_network.h); it stays the caller's, who closes it after tracing_proxy_stop().
	 */
	int listen_fd;
};

struct tracing_proxy;

/* Connects once to see that the clone is there, then listens. ERR_UNAVAILABLE without the clone. */
int tracing_proxy_start(const struct tracing_proxy_options *options, struct tracing_proxy **out, struct error *err);
/*
 * How a tool reaches it: a URI with the password in it, for an environment variable and never for argv; and its parts.
 * Valid until tracing_proxy_stop().
 */
const char *tracing_proxy_url(const struct tracing_proxy *proxy);
int tracing_proxy_port(const struct tracing_proxy *proxy); /* of 127.0.0.1 */
const char *tracing_proxy_user(const struct tracing_proxy *proxy);
const char *tracing_proxy_password(const struct tracing_proxy *proxy);
const char *tracing_proxy_database(const struct tracing_proxy *proxy);
/* Cancels the statements that run and lets no new one begin: after a timeout or an interrupt. Safe from any thread. */
void tracing_proxy_cancel(struct tracing_proxy *proxy);
/*
 * Ends the sessions that are left (their open transactions roll back), and moves what was traced to *ledger in the
 * order in which statements began: start_ns, end_ns and statements; the outcome is the caller's to say. Frees the proxy
 * whatever the result.
 */
int tracing_proxy_stop(struct tracing_proxy *proxy, struct ledger *ledger, struct error *err);

#endif
