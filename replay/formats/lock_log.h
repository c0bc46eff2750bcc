/*
 * What the lock sampler saw on one lane ("locks.baseline.jsonl", "locks.migrating.jsonl"): JSON lines, so that they can
 * be asked with any tool. The first line is a header, then one line per *wait*: a backend that waited for one lock,
 * from when the server says it began (waitstart, where it has that) to when it was last seen waiting. The last line
 * sums up.
 */
#ifndef LOCK_LOG_H
#define LOCK_LOG_H

#include "error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define LOCK_LOG_BASELINE  "locks.baseline.jsonl"
#define LOCK_LOG_MIGRATING "locks.migrating.jsonl"
/* The same from another witness: what the lane's server wrote into its own log (capture/server_lock_waits.h). */
#define LOCK_LOG_SERVER_BASELINE  "locks.baseline.server.jsonl"
#define LOCK_LOG_SERVER_MIGRATING "locks.migrating.server.jsonl"
/* The deadlock_timeout of our own clones: shorter waits are not in their logs. */
#define LOCK_LOG_SERVER_INTERVAL_NS INT64_C(50000000)

/* Who saw a wait. Not in the file: which file it came from says it. */
enum lock_witness {
	LOCK_SEEN_BY_SAMPLER = 1,
	LOCK_SEEN_BY_SERVER = 2
};

/* Somebody who stood before the waiter, holding the lock or ahead in its queue. */
struct lock_blocker {
	int32_t pid;
	int64_t first_ns; /* first and last sample that showed it, from the run's start */
	int64_t last_ns;
};

struct lock_wait {
	int32_t pid;
	char lock_type[32]; /* as in pg_locks: relation, transactionid, tuple, virtualxid, … */
	char relation[260]; /* "schema.name", or "" when the lock is on no relation */
	uint32_t relation_oid;
	char mode[32];	  /* the mode waited for, as in PostgreSQL's manual */
	int64_t start_ns; /* from the run's start */
	int64_t end_ns;	  /* last sample that still showed it waiting: the true end lies up to one interval later */
	uint32_t samples;
	struct lock_blocker *blockers;
	size_t blocker_count;
	unsigned witnesses; /* enum lock_witness, for the judge (compare/lock_merge.h) */
};

/* A span in which the sampler was blind: the time between two samples was longer than it should be. */
struct lock_gap {
	int64_t start_ns;
	int64_t end_ns;
};

struct lock_log {
	int64_t interval_ns;
	int64_t start_ns; /* first and last sample */
	int64_t end_ns;
	uint64_t samples;
	struct lock_wait *waits; /* by start_ns */
	size_t wait_count;
	struct lock_gap *gaps;
	size_t gap_count;
	bool complete; /* the last line was there */
};

struct lock_log_writer;
int lock_log_writer_open(const char *path, const char *lane, int64_t interval_ns, struct lock_log_writer **out,
			 struct error *err);
int lock_log_writer_add(struct lock_log_writer *writer, const struct lock_wait *wait, struct error *err);
/* sums up and closes; frees the writer whatever the result. */
int lock_log_writer_commit(struct lock_log_writer *writer, int64_t start_ns, int64_t end_ns, uint64_t samples,
			   const struct lock_gap *gaps, size_t gap_count, struct error *err);
void lock_log_writer_abort(struct lock_log_writer *writer);

/* Fills *log, which the caller releases; ERR_DATA with file and line when a line is not what it should be. */
int lock_log_load(const char *path, struct lock_log *log, struct error *err);
void lock_log_release(struct lock_log *log);

#endif
