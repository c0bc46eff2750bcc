/*
 * Whether a statement, as far as its text tells, changes nothing but its own session: what may be sent a second time. A
 * function that writes cannot be told from one that does not, but for the well-known ones; in doubt the answer is no.
 */
#ifndef SQL_READ_ONLY_H
#define SQL_READ_ONLY_H

#include "span.h"
#include "sql_lexer.h"

/* All of a text's statements read only: queries without locks or INTO, SHOW, SET, transaction control, cursors. */
bool sql_is_read_only(enum sql_dialect dialect, struct span text);

#endif
