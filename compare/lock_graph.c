/* Who waited for whom: see lock_graph.h. */
#include "lock_graph.h"

#include "mem.h"

#define DEPTH_MAX 64 /* a longer chain of waiters than this is a damaged log */

enum visit {
	VISIT_NOT,
	VISIT_NOW, /* on the path at hand: a cycle is a deadlock, which the server breaks up */
	VISIT_DONE
};

struct by_pid {
	int32_t pid;
	int64_t start_ns;
	size_t wait;
};

struct lock_graph {
	const struct lock_log *log;
	const struct ledger *ledger;
	struct by_pid *by_pid; /* sorted by pid, then start */
	struct lock_graph_claim *claims;
	unsigned char *visits;
};

static int compare_by_pid(const void *a, const void *b)
{
	const struct by_pid *x = a;
	const struct by_pid *y = b;
	if (x->pid != y->pid)
		return x->pid < y->pid ? -1 : 1;
	return (x->start_ns > y->start_ns) - (x->start_ns < y->start_ns);
}

bool lock_graph_is_migration(const struct lock_graph *graph, int32_t pid)
{
	for (size_t i = 0; i < graph->ledger->statement_count; i++) {
		if (graph->ledger->statements[i].backend_pid == pid && pid != 0)
			return true;
	}
	return false;
}

/* The first entry of that pid. */
static size_t first_of_pid(const struct lock_graph *graph, int32_t pid)
{
	size_t low = 0;
	size_t high = graph->log->wait_count;
	while (low < high) {
		size_t mid = low + (high - low) / 2;
		if (graph->by_pid[mid].pid < pid)
			low = mid + 1;
		else
			high = mid;
	}
	return low;
}

size_t lock_graph_find(const struct lock_graph *graph, int32_t pid, int64_t start_ns, int64_t end_ns)
{
	for (size_t i = first_of_pid(graph, pid); i < graph->log->wait_count && graph->by_pid[i].pid == pid; i++) {
		const struct lock_wait *w = &graph->log->waits[graph->by_pid[i].wait];
		if (w->start_ns <= end_ns && w->end_ns >= start_ns)
			return graph->by_pid[i].wait;
	}
	return SIZE_MAX;
}

/* Widens the claim by [start, end], as far as that is within the wait and within the migration. */
static void claim_span(const struct lock_graph *graph, size_t wait, int64_t start_ns, int64_t end_ns, size_t via)
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
	for (size_t i = first_of_pid(graph, pid); i < graph->log->wait_count && graph->by_pid[i].pid == pid; i++) {
		size_t other = graph->by_pid[i].wait;
		const struct lock_wait *w = &graph->log->waits[other];
		if (w->start_ns > end_ns)
			break;
		if (w->end_ns < start_ns || other == wait)
			continue;
		visit_wait(graph, other, depth + 1);
		const struct lock_graph_claim *claim = &graph->claims[other];
		if (!claim->claimed)
			continue;
		int64_t from = claim->start_ns > start_ns ? claim->start_ns : start_ns;
		int64_t to = claim->end_ns < end_ns ? claim->end_ns : end_ns;
		if (from <= to)
			claim_span(graph, wait, from, to, other);
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
			claim_span(graph, wait, from, to, LOCK_GRAPH_DIRECT);
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
	graph->by_pid = mem_zalloc(log->wait_count, sizeof(*graph->by_pid));
	graph->claims = mem_zalloc(log->wait_count, sizeof(*graph->claims));
	graph->visits = mem_zalloc(log->wait_count, 1);
	for (size_t i = 0; i < log->wait_count; i++)
		graph->by_pid[i] = (struct by_pid){log->waits[i].pid, log->waits[i].start_ns, i};
	if (log->wait_count)
		qsort(graph->by_pid, log->wait_count, sizeof(*graph->by_pid), compare_by_pid);
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
	free(graph->by_pid);
	free(graph->claims);
	free(graph->visits);
	free(graph);
}

const struct lock_graph_claim *lock_graph_claim(const struct lock_graph *graph, size_t wait)
{
	return &graph->claims[wait];
}
