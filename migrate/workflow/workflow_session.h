/*
 * Our hold on a target: a connection that keeps the advisory lock, so that two runners never work on one database at
 * once, and that writes the history where a migration cannot do so itself. It never leaves a transaction open: CREATE
 * INDEX CONCURRENTLY in a migration would wait for it for ever. Its functions may be called from any thread.
 *
 * The lock: pg_advisory_lock(hashtextextended('rehearse migrate SCHEMA.TABLE', 0)), of the history table's name, in
 * that database; anybody may take it to keep runners out.
 */
#ifndef WORKFLOW_SESSION_H
#define WORKFLOW_SESSION_H

#include "error.h"
#include "strbuf.h"
#include "workflow_history.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct workflow_session_options {
	const char *url;
	const char *table; /* workflow_table_parse() */
	bool reads_only;   /* changes nothing: no guard, no lock */
	bool for_real;	   /* a target that is not marked as a clone is meant */
	int64_t wait_ns;   /* for a runner that is at work */
	const volatile bool *cancelled;
};

struct workflow_session;

/*
 * ERR_USAGE for a target that is not marked as a clone (pg_target.h) without for_real; ERR_UNAVAILABLE when it cannot
 * be reached, or when another runner holds the lock for longer than wait_ns: the message says who. Reads the history.
 */
int workflow_session_open(const struct workflow_session_options *options, struct workflow_session **out,
			  struct error *err);
/* Gives the lock back; NULL is fine. */
void workflow_session_close(struct workflow_session *session);
const char *workflow_session_url(const struct workflow_session *session);
/* "host:port/database" */
const char *workflow_session_place(const struct workflow_session *session);
const char *workflow_session_user(const struct workflow_session *session); /* for applied_by */
const struct workflow_table *workflow_session_table(const struct workflow_session *session);
/* As it was when the session was opened. */
const struct workflow_history *workflow_session_history(const struct workflow_session *session);

/* ERR_UNAVAILABLE when the connection, and with it the lock, is lost. */
int workflow_session_check(struct workflow_session *session, struct error *err);
/* Makes the history table when it is not there. */
int workflow_session_create_table(struct workflow_session *session, struct error *err);
/* A migration's transaction has made it. */
void workflow_session_has_table(struct workflow_session *session);
/* Runs SQL (several statements: in one transaction). */
int workflow_session_run(struct workflow_session *session, const char *sql, struct error *err);
/* Writes a row, over the one of that id that may be there; or puts the SQL for it behind what out holds. */
int workflow_session_put(struct workflow_session *session, const struct workflow_entry *entry, struct error *err);
void workflow_session_sql_put(struct workflow_session *session, const struct workflow_entry *entry, struct strbuf *out);
/* Change a row that is there. statement 0 and reason NULL: none. */
int workflow_session_set_state(struct workflow_session *session, const char *id, enum workflow_state state,
			       int64_t statement, const char *reason, struct error *err);
/* Of one that was applied a moment ago. */
int workflow_session_set_duration(struct workflow_session *session, const char *id, int64_t duration_ms,
				  struct error *err);
int workflow_session_set_statement(struct workflow_session *session, const char *id, int64_t statement,
				   struct error *err);
int workflow_session_forget(struct workflow_session *session, const char *id, struct error *err);
/* *out is the state of that id as it is now, or NULL; one of workflow_state_name(), to be freed. */
int workflow_session_state(struct workflow_session *session, const char *id, char **out, struct error *err);
/* "schema.name" of indexes that are not valid, one a line; to be freed. */
int workflow_session_invalid_indexes(struct workflow_session *session, char **out, struct error *err);

#endif
