/*
 * Which text a tool's prepared statements and portals stand for: the protocol's Execute names a portal only. Bounded:
 * what a tool prepares beyond that runs all the same, and its text is not known.
 */
#ifndef STATEMENT_NAMES_H
#define STATEMENT_NAMES_H

#include "span.h"

#include <stdbool.h>
#include <stddef.h>

#define STATEMENT_NAMES_MAX 10000
#define STATEMENT_TEXTS_MAX ((size_t)64 * 1024 * 1024)

struct named_statement;

struct named_portal {
	const char *text; /* of its statement; NULL when it is not known */
	size_t text_len;
	const char *bind; /* the Bind message as the tool sent it, NULL when it was too long to be kept */
	size_t bind_len;
	bool suspended; /* it was executed, and has more rows */
};

struct statement_names {
	struct named_statement *statements;
	struct named_statement *portals;
	size_t text_bytes;
};

void statement_names_release(struct statement_names *names);
void statement_names_prepare(struct statement_names *names, const char *name, struct span text);
/* raw: the Bind message, or a NULL span. */
void statement_names_bind(struct statement_names *names, const char *portal, const char *statement, struct span raw);
/* NULL when there is no such portal. Valid until the next change. */
struct named_portal *statement_names_portal(struct statement_names *names, const char *portal);
/* kind 'S' or 'P', as in Close. */
void statement_names_close(struct statement_names *names, char kind, const char *name);
/* A transaction has ended: its portals are gone. */
void statement_names_drop_portals(struct statement_names *names);
/* A simple query destroys what has no name. */
void statement_names_drop_unnamed(struct statement_names *names);

#endif
