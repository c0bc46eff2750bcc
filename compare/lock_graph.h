/*
 * Who waited for whom: the lock log as a graph, and the question that matters of each wait: from when to when did a
 * backend of the migration stand before this waiter, directly or behind others that waited themselves?
 */
#ifndef LOCK_GRAPH_H
#define LOCK_GRAPH_H

#include "ledger.h"
#include "lock_log.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define LOCK_GRAPH_DIRECT SIZE_MAX

struct lock_graph_claim {
	bool claimed;	  /* part of the wait is the migration's */
	bool to_the_end;  /* … up to the last sample that saw it */
	int64_t start_ns; /* that part */
	int64_t end_ns;
	size_t via;  /* the wait in between, LOCK_GRAPH_DIRECT when the migration itself stood before the waiter */
	int32_t pid; /* which of its backends; 0 when several did */
};

struct lock_graph;
/* Both stay the caller's and must outlive the graph. */
struct lock_graph *lock_graph_new(const struct lock_log *log, const struct ledger *ledger);
void lock_graph_free(struct lock_graph *graph);
bool lock_graph_is_migration(const struct lock_graph *graph, int32_t pid);
const struct lock_graph_claim *lock_graph_claim(const struct lock_graph *graph, size_t wait);
/* A wait of that backend that overlaps [start, end]; SIZE_MAX for none. */
size_t lock_graph_find(const struct lock_graph *graph, int32_t pid, int64_t start_ns, int64_t end_ns);

#endif
