/*
 * The seam to a database engine: connections that never block. A driver starts something, says what it waits for, and
 * is called again when that has come. It knows nothing of schedules, sessions or logs; the session state machine
 * (session.c) knows nothing of an engine. PostgreSQL over libpq is driver_pg.c; driver_null.c answers at once, for
 * tests and for measuring the harness alone.
 */
#ifndef DRIVER_H
#define DRIVER_H

#include "error.h"
#include "span.h"

#include <stdbool.h>
#include <stdint.h>

struct driver_caps {
	bool cancel;		  /* cancel requests can be sent */
	bool prepared_statements; /* named statements live in the connection */
};

/* What a call leaves a connection in. */
enum driver_step {
	DRIVER_DONE,	   /* what was asked for is complete: see the result */
	DRIVER_WAIT_READ,  /* call advance() when the socket is readable … */
	DRIVER_WAIT_WRITE, /* … or writable */
	DRIVER_WAIT_BOTH,  /* … or either */
	DRIVER_LOST	   /* the connection is gone, or never came about; the result has the SQLSTATE */
};

enum driver_transaction {
	DRIVER_TRANSACTION_NONE,
	DRIVER_TRANSACTION_OPEN,
	DRIVER_TRANSACTION_FAILED
};

/* How the last request ended. */
struct driver_result {
	uint64_t rows;	   /* returned or affected, of all statements of the request */
	uint32_t sqlstate; /* the first error, 0 for none (sqlstate.h) */
	uint64_t digest;   /* of the rows, when the target was told to */
	bool replan;	   /* a plan that a schema change outdated; the driver will prepare the statement again */
};

struct driver_login {
	const char *user;
	const char *database;
	const char *application;
};

struct driver_request {
	bool prepared;	 /* an execute of a prepared statement; else a simple query */
	const char *sql; /* NUL-terminated */
	size_t sql_len;
	const char *name;	       /* prepared: the statement's name, "" for the unnamed one */
	const char *const *parameters; /* prepared: values as text, NULL for NULL */
	uint32_t parameter_count;
};

struct driver_target; /* a server, as a URL names it */
struct driver_conn;   /* one connection */
struct driver_cancel; /* what it takes to cancel what a connection does, from another thread */

struct driver {
	const char *name;
	struct driver_caps caps;

	/* Reads the URL and resolves the host once, so that connecting never waits for a name
	 * server. With check_results, the rows of results are digested. */
	int (*target_open)(const char *url, bool check_results, struct driver_target **out, struct error *err);
	void (*target_free)(struct driver_target *target);

	/* Starts connecting. *out is always set (its result says why when the step is DRIVER_LOST). */
	enum driver_step (*open)(struct driver_target *target, const struct driver_login *login,
				 struct driver_conn **out);
	/* Starts a request. The strings may go away afterwards. Only when the request before it is DRIVER_DONE. */
	enum driver_step (*send)(struct driver_conn *conn, const struct driver_request *request);
	/* Goes on after the wait. */
	enum driver_step (*advance)(struct driver_conn *conn);
	/* The socket to wait for, -1 for none. May differ between two waits while connecting. */
	int (*socket)(const struct driver_conn *conn);
	const struct driver_result *(*result)(const struct driver_conn *conn);
	enum driver_transaction (*transaction)(const struct driver_conn *conn);
	/* The server's words about a lost connection or a refused login, for a person; holds no statement. "" for none.
	 */
	const char *(*lost_reason)(const struct driver_conn *conn);
	int32_t (*backend_pid)(const struct driver_conn *conn);
	/* Something happened on the socket while nothing was asked for. DRIVER_DONE: still there. */
	enum driver_step (*idle_input)(struct driver_conn *conn);
	/* Says goodbye and frees; never blocks. */
	void (*close)(struct driver_conn *conn);

	/* NULL when there is nothing to cancel. */
	struct driver_cancel *(*cancel_prepare)(const struct driver_conn *conn);
	/* Sends it and frees it. Blocks: on a thread of its own. */
	void (*cancel_send)(struct driver_cancel *cancel);
	void (*cancel_free)(struct driver_cancel *cancel);
};

extern const struct driver driver_pg;
extern const struct driver driver_null;

/* The driver for a URL: postgresql://…, postgres://…, a libpq keyword string, or null:. ERR_USAGE for another one. */
int driver_for_url(const char *url, const struct driver **out, struct error *err);

#endif
