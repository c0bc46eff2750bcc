/*
 * Statements of our own on the tool's backend, between two of the tool's. They go by the extended protocol, under names
 * that nobody else uses: a simple query would destroy the tool's unnamed statement and portal. Their answers are kept
 * from the tool.
 */
#ifndef PROXY_ASK_H
#define PROXY_ASK_H

#include "error.h"
#include "proxy_session.h"

#include <stddef.h>

/*
 * Runs `count` statements at once and hands out each one's result, to be cleared; the server must be idle, outside of a
 * failed transaction. The first that fails ends it: negative, the results so far handed out, the others NULL. When the
 * session is over as well, session->end says so.
 */
int proxy_ask(struct proxy_session *session, const char *const *statements, size_t count, PGresult **results,
	      struct error *err);
/* Sends one statement of ours whose answers matter only in that it works, with those flags beside PENDING_OURS. */
void proxy_ask_send(struct proxy_session *session, const char *sql, uint8_t flags);

/*
 * True when the server's parser takes a script of several statements: it parses all of what it is to prepare, and only
 * then refuses it for being more than one. Nothing of it runs.
 */
bool proxy_ask_parses(struct proxy_session *session, const char *script);

/* The tool drops all prepared statements (DISCARD, DEALLOCATE): ours go with them. */
void proxy_ask_forget(struct proxy_session *session);

/* For the session: an answer to a question. */
void proxy_ask_take(struct proxy_asking *asking, const struct wire_message *message);
void proxy_ask_take_error(struct proxy_asking *asking, const struct wire_error *error);

#endif
