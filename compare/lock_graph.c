/* Who waited for whom: see lock_graph.h. */
#include "lock_graph.h"

#include "mem.h"
#include "span_index.h"

#define DEPTH_MAX 64 /* a longer chain of waiters than this is a damaged log */

enum visit {
	VISIT_NOT,
	VISIT_NOW, /* on the path at hand: a cycle is a deadlock, which the server breaks up */
	VISIT_DONE
};

struct lock_graph {
	const struct lock_log *log;
	const struct ledger *ledger;
	struct span_index by_pid; /* waits */
	int32_t *pids;		  /* of the migration, sorted */
	size_t pid_count;
	struct lock_graph_claim *claims;
	unsigned char *visits;
};

static int compare_pids(const void *a, const void *b)
{
	int32_t x = *(const int32_t *)a;
	int32_t y = *(const int32_t *)b;
	return (x > y) - (x < y);
}

static void collect_pids(struct lock_graph *graph)
{
	const struct ledger *ledger = graph->ledger;
	size_t kept = 0;
	graph->pids = mem_zalloc(ledger->statement_count + 1, sizeof(*graph->pids));
	for (size_t i = 0; i < ledger->statement_count; i++) {
		if (ledger->statements[i].backend_pid != 0)
			graph->pids[graph->pid_count++] = ledger->statements[i].backend_pid;
	}
	if (graph->pid_count > 1)
		qsort(graph->pids, graph->pid_count, sizeof(*graph->pids), compare_pids);
	for (size_t i = 0; i < graph->pid_count; i++) {
		if (kept == 0 || graph->pids[kept - 1] != graph->pids[i])
			graph->pids[kept++] = graph->pids[i];
	}
	graph->pid_count = kept;
}

bool lock_graph_is_migration(const struct lock_graph *graph, int32_t pid)
{
	return graph->pid_count > 0 && bsearch(&pid, graph->pids, graph->pid_count, sizeof(pid), compare_pids) != NULL;
}

size_t lock_graph_find(const struct lock_graph *graph, int32_t pid, int64_t start_ns, int64_t end_ns)
{
	size_t at = 0;
	const struct time_span *span = span_index_next(&graph->by_pid, (uint64_t)pid, start_ns, end_ns, &at);
	return span ? span->value : SIZE_MAX;
}

/* Widens the claim by [start, end], as far as that is within the wait and within the migration. */
static void claim_span(const struct lock_graph *graph, size_t wait, int64_t start_ns, int64_t end_ns, size_t via,
		       int32_t pid)
{
	const struct lock_wait *w = &graph->log->waits[wait];
	struct lock_graph_claim *claim = &graph->claims[wait];
	int64_t last = graph->ledger->end_ns + 2 * graph->log->interval_ns;
	if (start_ns < w->start_ns)
		start_ns = w->start_ns;
	if (start_ns < graph->ledger->start_ns)
		start_ns = graph->ledger->start_ns;
	if (end_ns > w->end_ns)
		end_ns = w->end_ns;
	if (end_ns > last)
		end_ns = last;
	if (start_ns > end_ns)
		return;
	if (!claim->claimed || via == LOCK_GRAPH_DIRECT)
		claim->via = via;
	claim->pid = !claim->claimed || claim->pid == pid ? pid : 0;
	if (!claim->claimed || start_ns < claim->start_ns)
		claim->start_ns = start_ns;
	if (!claim->claimed || end_ns > claim->end_ns)
		claim->end_ns = end_ns;
	claim->claimed = true;
}

static void visit_wait(struct lock_graph *graph, size_t wait, int depth);

/* A blocker that waits itself hands on what stands before it, for as long as both are true. */
static void claim_through(struct lock_graph *graph, size_t wait, int32_t pid, int64_t start_ns, int64_t end_ns,
			  int depth)
{
	size_t at = 0;
	const struct time_span *span;
	while ((span = span_index_next(&graph->by_pid, (uint64_t)pid, start_ns, end_ns, &at))) {
		size_t other = span->value;
		if (other == wait)
			continue;
		visit_wait(graph, other, depth + 1);
		const struct lock_graph_claim *claim = &graph->claims[other];
		if (!claim->claimed)
			continue;
		int64_t from = claim->start_ns > start_ns ? claim->start_ns : start_ns;
		int64_t to = claim->end_ns < end_ns ? claim->end_ns : end_ns;
		if (from <= to)
			claim_span(graph, wait, from, to, other, claim->pid);
	}
}

static void visit_wait(struct lock_graph *graph, size_t wait, int depth)
{
	if (graph->visits[wait] != VISIT_NOT || depth > DEPTH_MAX)
		return;
	graph->visits[wait] = VISIT_NOW;
	const struct lock_wait *w = &graph->log->waits[wait];
	int64_t first = INT64_MAX;
	int64_t last = INT64_MIN;
	for (size_t i = 0; i < w->blocker_count; i++) {
		first = w->blockers[i].first_ns < first ? w->blockers[i].first_ns : first;
		last = w->blockers[i].last_ns > last ? w->blockers[i].last_ns : last;
	}
	for (size_t i = 0; i < w->blocker_count; i++) {
		const struct lock_blocker *b = &w->blockers[i];
		/* Who stood there in the first sample did so from the start: nobody joins a queue at its head. */
		int64_t from = b->first_ns == first ? w->start_ns : b->first_ns;
		int64_t to = b->last_ns == last ? w->end_ns : b->last_ns;
		if (lock_graph_is_migration(graph, b->pid))
			claim_span(graph, wait, from, to, LOCK_GRAPH_DIRECT, b->pid);
		else if (b->pid != w->pid)
			claim_through(graph, wait, b->pid, from, to, depth);
	}
	struct lock_graph_claim *claim = &graph->claims[wait];
	claim->to_the_end = claim->claimed && claim->end_ns >= w->end_ns;
	graph->visits[wait] = VISIT_DONE;
}

struct lock_graph *lock_graph_new(const struct lock_log *log, const struct ledger *ledger)
{
	struct lock_graph *graph = mem_zalloc(1, sizeof(*graph));
	graph->log = log;
	graph->ledger = ledger;
	graph->claims = mem_zalloc(log->wait_count, sizeof(*graph->claims));
	graph->visits = mem_zalloc(log->wait_count, 1);
	for (size_t i = 0; i < log->wait_count; i++)
		span_index_add(&graph->by_pid, (uint64_t)log->waits[i].pid, log->waits[i].start_ns,
			       log->waits[i].end_ns, i);
	span_index_sort(&graph->by_pid);
	collect_pids(graph);
	for (size_t i = 0; i < log->wait_count && ledger->outcome != LEDGER_NONE; i++) {
		if (!lock_graph_is_migration(graph, log->waits[i].pid))
			visit_wait(graph, i, 0);
	}
	return graph;
}

void lock_graph_free(struct lock_graph *graph)
{
	if (!graph)
		return;
	span_index_release(&graph->by_pid);
	free(graph->pids);
	free(graph->claims);
	free(graph->visits);
	free(graph);
}

const struct lock_graph_claim *lock_graph_claim(const struct lock_graph *graph, size_t wait)
{
	return &graph->claims[wait];
}
