/*
 * A recorded session on one lane: its connection, and the items that are due but must wait for the one before them. One
 * documented state, and one way out for every failure: session_fail(), which turns it into recorded outcomes. A dead
 * connection never ends a run.
 */
#ifndef SESSION_H
#define SESSION_H

#include "batch_feed.h"
#include "driver.h"
#include "run_log.h"

#include <event2/event.h>
#include <event2/event_struct.h>
#include <stdint.h>

enum session_state {
	/* No connection yet; the connect item has not been due. The next item should be it. */
	SESSION_NEW,
	/* The connect item is under way. Items that become due queue up. */
	SESSION_CONNECTING,
	/* Connected and nothing under way: the queue is empty. The socket is watched, to learn of a server that hangs
	 * up. */
	SESSION_IDLE,
	/* A statement is under way. */
	SESSION_BUSY,
	/* Closed as recorded. Nothing should follow. */
	SESSION_CLOSED,
	/* The connection ended by itself or never came about. What follows is skipped, and counted as session_lost. */
	SESSION_LOST
};

/* An item that is due. Kept in the worker's pool. */
struct pending {
	struct pending *next;
	struct feed_batch *batch; /* NULL once its share in the batch was given back */
	const struct item *item;
	uint64_t ordinal;
	int64_t due_ns;
};

struct worker;

struct session {
	struct worker *worker;
	uint32_t row;
	enum session_state state;
	struct driver_conn *conn;
	int fd; /* the events' socket, -1 for none */
	struct event read_event;
	struct event write_event;
	struct event cancel_event; /* a timer for a cancel that is due while its statement is under way */
	bool cancel_armed;
	struct pending *current; /* connecting, busy: the item under way */
	int64_t sent_ns;	 /* its s, from the run's start */
	bool sent_in_transaction;
	bool sent_in_failed_transaction;
	struct pending *first; /* due and waiting */
	struct pending **tail;
	int64_t done_ns; /* p: completion of the item before, INT64_MIN before the first */
	int32_t backend_pid;
	int64_t opened_ns;
};

void session_init(struct session *session, struct worker *worker, uint32_t row);
/* The item is due now. Takes pending over. */
void session_enqueue(struct session *session, struct pending *pending);
/* The run is over: cancels and censors what is under way, skips what waits for that reason, closes the connection. */
void session_finish(struct session *session, enum run_skip_reason reason);

#endif
