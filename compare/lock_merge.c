/* Two witnesses of lock waits as one list: see lock_merge.h. */
#include "lock_merge.h"

#include "clock.h"
#include "mem.h"

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
static bool mark_same(struct lock_log *sampled, size_t count, const struct lock_wait *server)
{
	bool found = false;
	for (size_t i = 0; i < count && sampled->waits[i].start_ns <= server->end_ns + CLOCKS_APART_NS; i++) {
		if (!is_same(&sampled->waits[i], server))
			continue;
		sampled->waits[i].witnesses |= LOCK_SEEN_BY_SERVER;
		found = true;
	}
	return found;
}

static const char *name_of(const struct lock_log *sampled, size_t count, const struct ledger *ledger, uint32_t oid)
{
	for (size_t i = 0; i < count; i++) {
		if (sampled->waits[i].relation_oid == oid && *sampled->waits[i].relation)
			return sampled->waits[i].relation;
	}
	for (size_t s = 0; s < ledger->statement_count; s++) {
		for (size_t l = 0; l < ledger->statements[s].lock_count; l++) {
			if (ledger->statements[s].locks[l].relation_oid == oid)
				return ledger->statements[s].locks[l].relation;
		}
	}
	return NULL;
}

void lock_merge(struct lock_log *sampled, struct lock_log *server, const struct ledger *ledger)
{
	size_t count = sampled->wait_count;
	for (size_t i = 0; i < count; i++)
		sampled->waits[i].witnesses = LOCK_SEEN_BY_SAMPLER;
	if (!server)
		return;
	sampled->waits = mem_realloc(sampled->waits, count + server->wait_count + 1, sizeof(*sampled->waits));
	for (size_t i = 0; i < server->wait_count; i++) {
		struct lock_wait *wait = &server->waits[i];
		if (mark_same(sampled, count, wait))
			continue;
		const char *name = wait->relation_oid ? name_of(sampled, count, ledger, wait->relation_oid) : NULL;
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
	if (sampled->wait_count > 1)
		qsort(sampled->waits, sampled->wait_count, sizeof(*sampled->waits), compare_waits);
}
