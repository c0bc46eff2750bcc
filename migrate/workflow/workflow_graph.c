/* Migrations as a graph: see workflow_graph.h. */
#include "workflow_graph.h"

#include "mem.h"
#include "strbuf.h"
#include "word_suggest.h"

#include <stdint.h>
#include <uthash.h>

#define CYCLE_SHOWN_MAX 20 /* ids of a cycle in its message */

struct id_entry {
	const char *id;
	size_t node;
	UT_hash_handle hh;
};

struct id_table {
	struct id_entry *entries; /* one for each node */
	struct id_entry *by_id;
};

static void id_table_release(struct id_table *table)
{
	HASH_CLEAR(hh, table->by_id);
	free(table->entries);
}

static int id_table_fill(struct id_table *table, const struct workflow_node *nodes, size_t count, struct error *err)
{
	table->by_id = NULL;
	table->entries = mem_zalloc(count + 1, sizeof(*table->entries));
	for (size_t i = 0; i < count; i++) {
		struct id_entry *entry = &table->entries[i], *there = NULL;
		HASH_FIND_STR(table->by_id, nodes[i].id, there);
		if (there)
			return error_set(err, ERR_DATA, "%s: has the id %s, and so has %s", nodes[i].place, nodes[i].id,
					 nodes[there->node].place);
		entry->id = nodes[i].id;
		entry->node = i;
		HASH_ADD_KEYPTR(hh, table->by_id, entry->id, strlen(entry->id), entry);
	}
	return 0;
}

static int missing_dependency(const struct workflow_node *nodes, size_t count, size_t node, const char *id,
			      struct error *err)
{
	const char **ids = mem_zalloc(count + 1, sizeof(*ids));
	size_t used = 0;
	for (size_t i = 0; i < count; i++) {
		if (i != node)
			ids[used++] = nodes[i].id;
	}
	const char *near = word_suggest(id, ids);
	(void)error_set(err, ERR_DATA, "%s: depends on %s, which is not there%s%s%s", nodes[node].place, id,
			near ? "; did you mean " : "", near ? near : "", near ? "?" : "");
	free(ids);
	return -err->code;
}

static int resolve(struct workflow_graph *graph, const struct workflow_node *nodes, const struct id_table *table,
		   bool (*known)(void *context, const char *id), void *context, struct error *err)
{
	size_t total = 0, used = 0;
	for (size_t i = 0; i < graph->count; i++)
		total += nodes[i].depends_on_count;
	graph->dependencies.begin = mem_zalloc(graph->count + 1, sizeof(size_t));
	graph->dependencies.nodes = mem_zalloc(total + 1, sizeof(size_t));
	for (size_t i = 0; i < graph->count; i++) {
		for (size_t j = 0; j < nodes[i].depends_on_count; j++) {
			const char *id = nodes[i].depends_on[j];
			struct id_entry *there = NULL;
			HASH_FIND_STR(table->by_id, id, there);
			if (there && there->node == i)
				return error_set(err, ERR_DATA, "%s: depends on itself", nodes[i].place);
			if (there)
				graph->dependencies.nodes[used++] = there->node;
			else if (!known || !known(context, id))
				return missing_dependency(nodes, graph->count, i, id, err);
		}
		graph->dependencies.begin[i + 1] = used;
	}
	return 0;
}

/* The same edges seen from the other end. */
static void turn_round(struct workflow_graph *graph)
{
	const struct workflow_edges *from = &graph->dependencies;
	struct workflow_edges *to = &graph->dependants;
	size_t total = from->begin[graph->count];
	size_t *next = mem_zalloc(graph->count + 1, sizeof(*next));
	to->begin = mem_zalloc(graph->count + 1, sizeof(size_t));
	to->nodes = mem_zalloc(total + 1, sizeof(size_t));
	for (size_t e = 0; e < total; e++)
		to->begin[from->nodes[e] + 1]++;
	for (size_t i = 0; i < graph->count; i++) {
		to->begin[i + 1] += to->begin[i];
		next[i] = to->begin[i];
	}
	for (size_t i = 0; i < graph->count; i++) {
		for (size_t e = from->begin[i]; e < from->begin[i + 1]; e++)
			to->nodes[next[from->nodes[e]]++] = i;
	}
	free(next);
}

/*
 * Levels (Kahn 1962): nodes without an unsettled dependency are settled one after the other. Returns how many were;
 * waiting[i] is left above 0 for those on a cycle or behind one.
 */
static size_t settle(struct workflow_graph *graph, size_t *waiting)
{
	size_t *queue = mem_zalloc(graph->count + 1, sizeof(*queue));
	size_t head = 0, tail = 0;
	for (size_t i = 0; i < graph->count; i++) {
		waiting[i] = graph->dependencies.begin[i + 1] - graph->dependencies.begin[i];
		if (waiting[i] == 0)
			queue[tail++] = i;
	}
	while (head < tail) {
		size_t i = queue[head++];
		if (graph->level[i] + 1 > graph->level_count)
			graph->level_count = graph->level[i] + 1;
		for (size_t e = graph->dependants.begin[i]; e < graph->dependants.begin[i + 1]; e++) {
			size_t dependant = graph->dependants.nodes[e];
			if (graph->level[dependant] < graph->level[i] + 1)
				graph->level[dependant] = graph->level[i] + 1;
			if (--waiting[dependant] == 0)
				queue[tail++] = dependant;
		}
	}
	free(queue);
	return tail;
}

/* Every node that still waits has a dependency that does: following those comes back to a node seen before. */
static int report_cycle(const struct workflow_graph *graph, const struct workflow_node *nodes, const size_t *waiting,
			struct error *err)
{
	size_t *seen_at = mem_zalloc(graph->count + 1, sizeof(*seen_at)); /* step + 1, 0 for not seen */
	size_t *path = mem_zalloc(graph->count + 1, sizeof(*path));
	size_t at = 0, steps = 0;
	while (waiting[at] == 0)
		at++;
	for (; seen_at[at] == 0;) {
		path[steps++] = at;
		seen_at[at] = steps;
		size_t e = graph->dependencies.begin[at];
		while (waiting[graph->dependencies.nodes[e]] == 0)
			e++;
		at = graph->dependencies.nodes[e];
	}
	size_t first = seen_at[at] - 1;
	struct strbuf text;
	strbuf_init(&text, 800);
	for (size_t i = first; i < steps && i < first + CYCLE_SHOWN_MAX; i++)
		strbuf_addf(&text, "%s needs ", nodes[path[i]].id);
	if (steps - first > CYCLE_SHOWN_MAX)
		strbuf_addf(&text, "… %zu more … needs ", steps - first - CYCLE_SHOWN_MAX);
	strbuf_add_str(&text, nodes[at].id);
	(void)error_set(err, ERR_DATA, "%s: depends on itself by a cycle: %s", nodes[at].place, text.data);
	strbuf_release(&text);
	free(path);
	free(seen_at);
	return -err->code;
}

static void sort_by_level(struct workflow_graph *graph)
{
	size_t *next = mem_zalloc(graph->level_count + 1, sizeof(*next));
	graph->order = mem_zalloc(graph->count + 1, sizeof(*graph->order));
	for (size_t i = 0; i < graph->count; i++)
		next[graph->level[i] + 1]++;
	for (size_t l = 1; l < graph->level_count; l++)
		next[l] += next[l - 1];
	for (size_t i = 0; i < graph->count; i++)
		graph->order[next[graph->level[i]]++] = i;
	free(next);
}

int workflow_graph_build(struct workflow_graph *graph, const struct workflow_node *nodes, size_t count,
			 bool (*known)(void *context, const char *id), void *context, struct error *err)
{
	memset(graph, 0, sizeof(*graph));
	graph->count = count;
	struct id_table table;
	int rc = id_table_fill(&table, nodes, count, err);
	if (rc == 0)
		rc = resolve(graph, nodes, &table, known, context, err);
	id_table_release(&table);
	if (rc)
		return rc;
	turn_round(graph);
	graph->level = mem_zalloc(count + 1, sizeof(*graph->level));
	size_t *waiting = mem_zalloc(count + 1, sizeof(*waiting));
	if (settle(graph, waiting) < count)
		rc = report_cycle(graph, nodes, waiting, err);
	else
		sort_by_level(graph);
	free(waiting);
	return rc;
}

void workflow_graph_release(struct workflow_graph *graph)
{
	free(graph->dependencies.begin);
	free(graph->dependencies.nodes);
	free(graph->dependants.begin);
	free(graph->dependants.nodes);
	free(graph->level);
	free(graph->order);
	memset(graph, 0, sizeof(*graph));
}

void workflow_graph_mark_dependencies(const struct workflow_graph *graph, bool *marked)
{
	for (size_t n = graph->count; n-- > 0;) { /* dependants before what they need */
		size_t i = graph->order[n];
		for (size_t e = graph->dependencies.begin[i]; marked[i] && e < graph->dependencies.begin[i + 1]; e++)
			marked[graph->dependencies.nodes[e]] = true;
	}
}

void workflow_graph_mark_dependants(const struct workflow_graph *graph, bool *marked)
{
	for (size_t n = 0; n < graph->count; n++) {
		size_t i = graph->order[n];
		for (size_t e = graph->dependants.begin[i]; marked[i] && e < graph->dependants.begin[i + 1]; e++)
			marked[graph->dependants.nodes[e]] = true;
	}
}

size_t workflow_graph_batches(const struct workflow_graph *graph, const bool *wanted, size_t *batch)
{
	/* The first batch that a node may be in; one that is not wanted hands on what it waits for. */
	size_t *from = mem_zalloc(graph->count + 1, sizeof(*from));
	size_t count = 0;
	for (size_t n = 0; n < graph->count; n++) {
		size_t i = graph->order[n];
		for (size_t e = graph->dependencies.begin[i]; e < graph->dependencies.begin[i + 1]; e++) {
			size_t need = graph->dependencies.nodes[e];
			size_t after = from[need] + (wanted[need] ? 1 : 0);
			if (from[i] < after)
				from[i] = after;
		}
		batch[i] = wanted[i] ? from[i] : SIZE_MAX;
		if (wanted[i] && from[i] + 1 > count)
			count = from[i] + 1;
	}
	free(from);
	return count;
}
