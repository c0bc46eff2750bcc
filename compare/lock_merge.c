/* Two witnesses of lock waits as one list: see lock_merge.h. */
#include "lock_merge.h"

#include "clock.h"
#include "mem.h"
#include "span_index.h"

/* The log's stamps have milliseconds, and a sample shows a wait that began up to an interval before it. */
#define CLOCKS_APART_NS (30 * NS_PER_MS)

static int compare_waits(const void *a, const void *b)
{
	const struct lock_wait *x = a;
	const struct lock_wait *y = b;
	if (x->start_ns != y->start_ns)
		return x->start_ns < y->start_ns ? -1 : 1;
	return (x->pid > y->pid) - (x->pid < y->pid);
}

static bool is_same(const struct lock_wait *sampled, const struct lock_wait *server)
{
	return sampled->pid == server->pid && sampled->relation_oid == server->relation_oid &&
	       strcmp(sampled->lock_type, server->lock_type) == 0 &&
	       sampled->start_ns <= server->end_ns + CLOCKS_APART_NS &&
	       server->start_ns <= sampled->end_ns + CLOCKS_APART_NS;
}

/* Marks what the sampler has of this wait; more than once when it lost sight of it in between. */
static bool mark_same(struct lock_log *sampled, const struct span_index *by_pid, const struct lock_wait *server)
{
	bool found = false;
	size_t at = 0;
	const struct time_span *span;
	while ((span = span_index_next(by_pid, (uint64_t)server->pid, server->start_ns - CLOCKS_APART_NS,
				       server->end_ns + CLOCKS_APART_NS, &at))) {
		if (!is_same(&sampled->waits[span->value], server))
			continue;
		sampled->waits[span->value].witnesses |= LOCK_SEEN_BY_SERVER;
		found = true;
	}
	return found;
}

/* What a relation is called; the first that says it is believed. */
struct relation_name {
	uint32_t oid;
	size_t rank;
	const char *name;
};

static int compare_names(const void *a, const void *b)
{
	const struct relation_name *x = a;
	const struct relation_name *y = b;
	if (x->oid != y->oid)
		return x->oid < y->oid ? -1 : 1;
	return (x->rank > y->rank) - (x->rank < y->rank);
}

struct relation_names {
	struct relation_name *names;
	size_t count;
	size_t capacity;
};

static void add_name(struct relation_names *names, uint32_t oid, const char *name)
{
	if (oid == 0 || !*name)
		return;
	MEM_GROW(names->names, names->count, names->capacity);
	names->names[names->count] = (struct relation_name){oid, names->count, name};
	names->count++;
}

/* The sampler's before the ledger's. They stay where they are: in the ledger, and in waits that must not move. */
static void collect_names(struct relation_names *names, const struct lock_log *sampled, const struct ledger *ledger)
{
	for (size_t i = 0; i < sampled->wait_count; i++)
		add_name(names, sampled->waits[i].relation_oid, sampled->waits[i].relation);
	for (size_t s = 0; s < ledger->statement_count; s++) {
		for (size_t l = 0; l < ledger->statements[s].lock_count; l++)
			add_name(names, ledger->statements[s].locks[l].relation_oid,
				 ledger->statements[s].locks[l].relation);
	}
	if (names->count > 1)
		qsort(names->names, names->count, sizeof(*names->names), compare_names);
}

static const char *name_of(const struct relation_names *names, uint32_t oid)
{
	size_t low = 0;
	size_t high = names->count;
	while (low < high) {
		size_t mid = low + (high - low) / 2;
		if (names->names[mid].oid < oid)
			low = mid + 1;
		else
			high = mid;
	}
	return low < names->count && names->names[low].oid == oid ? names->names[low].name : NULL;
}

void lock_merge(struct lock_log *sampled, struct lock_log *server, const struct ledger *ledger)
{
	size_t count = sampled->wait_count;
	for (size_t i = 0; i < count; i++)
		sampled->waits[i].witnesses = LOCK_SEEN_BY_SAMPLER;
	if (!server)
		return;
	struct relation_names names = {0};
	struct span_index by_pid = {0};
	sampled->waits = mem_realloc(sampled->waits, count + server->wait_count + 1, sizeof(*sampled->waits));
	collect_names(&names, sampled, ledger);
	for (size_t i = 0; i < count; i++)
		span_index_add(&by_pid, (uint64_t)sampled->waits[i].pid, sampled->waits[i].start_ns,
			       sampled->waits[i].end_ns, i);
	span_index_sort(&by_pid);
	for (size_t i = 0; i < server->wait_count; i++) {
		struct lock_wait *wait = &server->waits[i];
		if (mark_same(sampled, &by_pid, wait))
			continue;
		const char *name = wait->relation_oid ? name_of(&names, wait->relation_oid) : NULL;
		if (name)
			(void)snprintf(wait->relation, sizeof(wait->relation), "%s", name);
		else if (wait->relation_oid)
			(void)snprintf(wait->relation, sizeof(wait->relation), "relation %u", wait->relation_oid);
		struct lock_wait *added = &sampled->waits[sampled->wait_count++];
		*added = *wait;
		added->witnesses = LOCK_SEEN_BY_SERVER;
		wait->blockers = NULL;
		wait->blocker_count = 0;
	}
	span_index_release(&by_pid);
	free(names.names);
	if (sampled->wait_count > 1)
		qsort(sampled->waits, sampled->wait_count, sizeof(*sampled->waits), compare_waits);
}
