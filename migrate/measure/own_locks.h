/*
 * The locks of one backend on relations over the time of a statement, joined from samples of pg_locks: when each was
 * last seen absent, waited for, held, and gone. Times are absolute, on clock_mono_ns().
 */
#ifndef OWN_LOCKS_H
#define OWN_LOCKS_H

#include "lock_effect.h"
#include "pg_conn.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct own_lock {
	uint32_t oid;
	int rank;	       /* lock_mode_rank() */
	bool granted;	       /* seen held */
	bool shown;	       /* in the last sample */
	int64_t acquired_ns;   /* earliest time at which it can have been held */
	int64_t wait_begin_ns; /* 0: no wait was seen */
	int64_t waited_ns;     /* up to the last sample that showed the wait */
	int64_t gone_ns;       /* the first sample that did not show it any more, 0 while it is held */
};

struct own_locks {
	struct own_lock *items;
	size_t count;
	size_t capacity;
	int64_t last_sent_ns; /* of the sample before, or the statement's start */
};

/* The query for samples. Parameters: pid, OID of the database. Relations that initdb made are left out. */
const char *own_locks_query(int server_version);

void own_locks_init(struct own_locks *locks);
void own_locks_release(struct own_locks *locks);
void own_locks_begin(struct own_locks *locks, int64_t start_ns);
void own_locks_sample(struct own_locks *locks, const PGresult *result, int64_t sent_ns);
/* The strongest mode seen on that relation, held or only waited for, or NULL. */
const struct own_lock *own_locks_strongest(const struct own_locks *locks, uint32_t oid);
/* That relation in that mode, or NULL. */
const struct own_lock *own_locks_find(const struct own_locks *locks, uint32_t oid, int rank);
/* All that was waited for on that relation, in any mode. */
int64_t own_locks_waited_ns(const struct own_locks *locks, uint32_t oid);

#endif
