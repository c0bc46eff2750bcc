/*
 * Lock modes on tables and whom they keep out, from PostgreSQL's conflict table (manual 13.3.1, table 13.2; the same
 * since 9.x). Modes are known by their rank, 1 (AccessShareLock) to 8 (AccessExclusiveLock), weakest first as in the
 * server's lockdefs.h.
 */
#ifndef LOCK_EFFECT_H
#define LOCK_EFFECT_H

#include <stdbool.h>

#define LOCK_RANK_MAX 8

/* What clients do that a mode can keep out, each by the weakest lock that it needs. */
enum lock_effect {
	LOCK_EFFECT_NONE,      /* no lock */
	LOCK_EFFECT_EXCLUSIVE, /* AccessShare, RowShare: those alone that want the table for themselves: DROP, ALTER */
	LOCK_EFFECT_DDL,       /* RowExclusive, ShareUpdateExclusive: DDL, neither reads nor writes */
	LOCK_EFFECT_WRITES,    /* Share, ShareRowExclusive: INSERT, UPDATE, DELETE */
	LOCK_EFFECT_ROW_LOCKS, /* Exclusive: SELECT … FOR UPDATE as well */
	LOCK_EFFECT_ALL	       /* AccessExclusive: SELECT as well */
};

/* Rank of a mode by its name, 0 for what is none. */
int lock_mode_rank(const char *name);
/* "" for what is no rank. */
const char *lock_mode_name(int rank);
/* False for ranks that are none. Symmetric. */
bool lock_ranks_conflict(int a, int b);
enum lock_effect lock_effect_of(int rank);
/* Whom it blocks, in words: "reads and writes". */
const char *lock_effect_words(enum lock_effect effect);

#endif
