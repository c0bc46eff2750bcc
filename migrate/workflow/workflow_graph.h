/*
 * Migrations as a graph: each depends on those that must be there before, and there is no other order. So branches that
 * each add a migration are merged in any order with the same result: siblings, that share a batch (B9).
 *
 * No files and no server in here. Everything takes time in proportion to migrations and dependencies.
 */
#ifndef WORKFLOW_GRAPH_H
#define WORKFLOW_GRAPH_H

#include "error.h"

#include <stdbool.h>
#include <stddef.h>

struct workflow_node {
	const char *id;
	char *const *depends_on;
	size_t depends_on_count;
	const char *place; /* for messages: its folder */
};

/* The neighbours of all nodes, one list behind the other: those of i stand from begin[i] to before begin[i + 1]. */
struct workflow_edges {
	size_t *begin;
	size_t *nodes;
};

struct workflow_graph {
	size_t count;
	struct workflow_edges dependencies;
	struct workflow_edges dependants;
	size_t *level;	    /* 0 for what depends on nothing, else 1 + the highest of those it depends on */
	size_t level_count; /* 0 when there are no nodes */
	size_t *order;	    /* all nodes, by level and then as given */
};

/*
 * A dependency that is not among the nodes is ERR_DATA, unless known(context, id) says that it is met; known may be
 * NULL. So are an id that two nodes have, a node that depends on itself, and a cycle, which the message names in order.
 * *graph is to be released whatever the result.
 */
int workflow_graph_build(struct workflow_graph *graph, const struct workflow_node *nodes, size_t count,
			 bool (*known)(void *context, const char *id), void *context, struct error *err);
void workflow_graph_release(struct workflow_graph *graph);

/* Marks all that the marked ones need, directly or not; and all that need them. */
void workflow_graph_mark_dependencies(const struct workflow_graph *graph, bool *marked);
void workflow_graph_mark_dependants(const struct workflow_graph *graph, bool *marked);
/*
 * Batches of the wanted ones: batch[i] is 0 for the first, and a node's batch comes after those of all that it needs;
 * what is not wanted gets SIZE_MAX, and takes no batch. Returns how many there are.
 */
size_t workflow_graph_batches(const struct workflow_graph *graph, const bool *wanted, size_t *batch);

#endif
