/*
 * Which statements use a table that the migration touched? Until statements are parsed with a grammar this goes by
 * words: a relation that the migration locked or rewrote, or that its statements name as their object, appears as a
 * name in the fingerprint's text. That errs on the side of "yes" (a column of the same name), and says "no" for a table
 * behind a view (docs/verdict.md).
 */
#ifndef TOUCHED_H
#define TOUCHED_H

#include "ledger.h"

#include <stdbool.h>

struct touched;
struct touched *touched_new(const struct ledger *ledger);
void touched_free(struct touched *touched);
/* The statement names a relation that the ledger shows a lock or a rewrite of. */
bool touched_by_lock(const struct touched *touched, const char *fingerprint_text);
/* … or an object that a statement of the migration names behind TABLE, ON, VIEW and the like: a renamed, a new one. */
bool touched_at_all(const struct touched *touched, const char *fingerprint_text);
/* All names in any number of texts, for asking often. */
struct touched_names;
struct touched_names *touched_names_new(void);
void touched_names_free(struct touched_names *names);
void touched_names_add(struct touched_names *names, const char *text);
/* "schema.name" is named in one of them, as below. */
bool touched_names_have(const struct touched_names *names, const char *relation);
/* "schema.name" named, bare or qualified, quoted or not, in a statement's text. */
bool touched_names_relation(const char *text, const char *relation);

#endif
