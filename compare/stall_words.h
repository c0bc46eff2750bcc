/*
 * What a stall is called: most are on a relation, but a migration also locks rows, transactions and, by its own or by
 * its tool's wish, advisory locks. Those have no name of their own, and a report needs one.
 */
#ifndef STALL_WORDS_H
#define STALL_WORDS_H

#include "stall_judge.h"

/* For a wait on no relation, by its pg_locks.locktype: the kind, and "(rows)", "(advisory lock)" … as its name. */
void stall_words_name(const char *lock_type, enum stall_kind *kind, char *name, size_t size);
/* The mode that such a lock is held in, by its name; "unknown". */
const char *stall_words_mode(const char *name);
bool stall_has_relation(const struct stall *stall);

#endif
