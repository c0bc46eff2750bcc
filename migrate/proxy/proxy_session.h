/*
 * One tool's connection through the proxy, on a thread of its own, which waits with poll() for the tool, the server and
 * the tracer's probe.
 *
 * The tool's messages are taken one after the other; what executes something (Query, Execute) is waited for before the
 * next is looked at, so that what a statement did can be found out while its transaction is open. What does not (Parse,
 * Bind, Describe, Close) is collected and goes with the next that does. Of each message sent the answer is expected in
 * a queue, in order, so that the answers to our own messages can be told from those to the tool's.
 *
 * The server's ReadyForQuery is never passed on as it comes: the tool gets one of ours when all is done that is to be
 * done before.
 */
#ifndef PROXY_SESSION_H
#define PROXY_SESSION_H

#include "error.h"
#include "ledger.h"
#include "proxy_link.h"
#include "span.h"
#include "statement_names.h"
#include "tracing_proxy.h"
#include "wire.h"

#include <libpq-fe.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

/* What all sessions of a proxy share. */
struct proxy_shared {
	char *url;
	char password[65];
	int64_t t0_ns;
	int64_t interval_ns;
	_Atomic uint32_t *statement_no;
	atomic_bool stopping;  /* sessions are to end */
	atomic_bool cancelled; /* what runs is to be cancelled, nothing new to begin */
	pthread_mutex_t lock;  /* over sessions' `cancel` and `cancellable` */
};

/* More unsent bytes than this for one side: the other is not read meanwhile. */
#define SESSION_UNSENT_MAX ((size_t)1024 * 1024)

enum session_end {
	SESSION_GOES_ON,
	SESSION_TOOL_LEFT, /* Terminate */
	SESSION_TOOL_GONE, /* without a word */
	SESSION_SERVER_GONE,
	SESSION_STOPPED, /* the proxy ends, or was cancelled */
	SESSION_BROKEN	 /* something that is not the protocol, or that cannot be passed on */
};

enum pending_flag {
	PENDING_OURS = 1,	/* the answers are not the tool's business */
	PENDING_LOUD = 2,	/* but errors and notices are: COMMIT */
	PENDING_HIDDEN_TAG = 4, /* of the tool's statement: its CommandComplete is held back until COMMIT */
	PENDING_UNNOTICED = 8	/* of the tool's statement: its notices are of our making */
};

/* A message sent, whose answers are still to come. */
struct pending {
	char kind; /* its type */
	uint8_t flags;
};

/* The statement of the tool's that is under way, or was last. */
struct session_run {
	bool active;	/* sent, and not over */
	bool done;	/* its CommandComplete or error has come */
	bool may_rerun; /* an error that it cannot run in a transaction is not to be passed on */
	bool rerun;	/* such an error has come */
	bool suspended; /* its portal has more rows */
	int shift;	/* characters before it in the tool's query: added to positions in errors */
	struct span sql;
	int64_t rows;
	int64_t end_ns;
	char sqlstate[6];
	char *message;
};

/* How far the tracer has come with a statement. */
enum trace_stage {
	TRACE_NONE,
	TRACE_PREPARED,
	TRACE_STARTED,
	TRACE_ENDED
};

/* A question of ours that is asked often, prepared on the tool's backend. */
struct proxy_prepared {
	char *sql;
	unsigned number;
};

#define PROXY_PREPARED_MAX 16

struct statement_tracer;
struct proxy_asking;

struct proxy_session {
	struct proxy_shared *shared;
	PGconn *conn;
	struct proxy_link tool;
	struct proxy_link server;
	enum session_end end;
	char why[160]; /* of SESSION_BROKEN */

	struct pending *pending; /* [pending_first, pending_end) */
	size_t pending_first;
	size_t pending_end;
	size_t pending_capacity;

	struct wire_buffer batch; /* Parse, Bind, … of the tool's that are not sent yet */
	struct wire_buffer held;  /* a CommandComplete that waits for COMMIT */
	struct statement_names names;

	bool plain_strings; /* standard_conforming_strings: the server reads quotes as the lexer does */
	char status;	    /* of the last ReadyForQuery: I, T or E */
	bool unsynced;	    /* something of the extended protocol was sent since */
	bool skipping;	    /* after an error the tool's messages are passed over until its Sync, as the server does */
	bool own_block;	    /* the open transaction was begun by us around a statement of the tool's */
	bool copy_in;	    /* the server takes data in from the tool */
	bool tool_partial;  /* a message of the tool's has been passed on in part */
	uint8_t owed_sync;  /* a Sync that the server passed over in copy_in; 1 + its flags */
	bool drop_pieces;   /* the rest of the server's message is not passed on */
	struct session_run run;
	unsigned own_names; /* counts names of our own statements */
	struct proxy_prepared prepared[PROXY_PREPARED_MAX];
	size_t prepared_count;
	struct proxy_asking *asking; /* collects the answers to our questions, or NULL */

	enum trace_stage stage;
	struct statement_tracer *tracer; /* from the first statement on */
	struct ledger ledger;

	uint32_t secret;
	PGcancel *cancel; /* shared->lock */
	bool cancellable; /* shared->lock: a statement of the tool's runs */
};

void proxy_session_init(struct proxy_session *session, struct proxy_shared *shared);
void proxy_session_release(struct proxy_session *session);
/* The life of a session that is logged in on both sides; ends with the connections still open. */
void proxy_session_run(struct proxy_session *session);
/* From another thread, with shared->lock held: cancels what runs. */
void proxy_session_cancel(struct proxy_session *session);

/* For the parts of a session. Each that waits returns 0, or -1 when the session is over: then everybody returns. */

int session_fail(struct proxy_session *session, enum session_end end, const char *why);
/* One round of waiting: sends, polls, reads. */
int session_wait(struct proxy_session *session);
/* Until all answers have come. */
int session_wait_all(struct proxy_session *session);
/* Takes the server's messages that have come. */
int session_take_answers(struct proxy_session *session);
void session_expect(struct proxy_session *session, char kind, uint8_t flags);
bool session_expects_nothing(const struct proxy_session *session);
/* Sends the rest of a message of the tool's whose first piece was taken. */
int session_pass_rest(struct proxy_session *session, struct wire_message *message);
void session_pass(struct proxy_session *session, const struct wire_message *message, char kind, uint8_t flags);
/* Sends what the tool's batch holds so far. */
void session_send_batch(struct proxy_session *session);
void session_send_sync(struct proxy_session *session, uint8_t flags);
/* A ReadyForQuery to the tool. */
void session_put_ready(struct proxy_session *session);
void session_set_cancellable(struct proxy_session *session, bool cancellable);

/* proxy_statement.c: the tool's messages that execute something, and Sync. */
int session_do_query(struct proxy_session *session, struct wire_message *message);
int session_do_execute(struct proxy_session *session, const struct wire_message *message);
int session_do_sync(struct proxy_session *session);
int session_do_function(struct proxy_session *session, struct wire_message *message);

#endif
