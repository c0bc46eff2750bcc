/* How long each relation was out of reach: see trace_blocked.h. */
#include "trace_blocked.h"

#include "mem.h"

#include <string.h>

struct stretch {
	const char *table;
	int32_t backend_pid;
	int64_t begin_ns;
	int64_t end_ns;
};

static bool has_name(const struct ledger_names *names, const char *name)
{
	for (size_t i = 0; i < names->count; i++) {
		if (strcmp(names->items[i], name) == 0)
			return true;
	}
	return false;
}

/*
 * Nobody could miss it: the migration has made it by then, or the statement drops the index concurrently, and locks it
 * only when it is no longer used.
 */
static bool is_out_of_use(const struct ledger *ledger, size_t at, const struct ledger_lock *lock)
{
	const struct ledger_statement *statement = &ledger->statements[at];
	if (statement->locks_known == LEDGER_LOCKS_SAMPLED && has_name(&statement->indexes_dropped, lock->relation))
		return true;
	for (size_t i = 0; i <= at; i++) {
		if (has_name(&ledger->statements[i].relations_created, lock->relation) ||
		    has_name(&ledger->statements[i].indexes_built, lock->relation))
			return true;
	}
	return false;
}

static int by_relation_and_begin(const void *a, const void *b)
{
	const struct stretch *first = a, *second = b;
	int order = strcmp(first->table, second->table);
	if (order)
		return order;
	return (first->begin_ns > second->begin_ns) - (first->begin_ns < second->begin_ns);
}

static int by_longest(const void *a, const void *b)
{
	const struct trace_blocked_relation *first = a, *second = b;
	if (first->longest_ns != second->longest_ns)
		return first->longest_ns > second->longest_ns ? -1 : 1;
	return strcmp(first->name, second->name);
}

/* Those locks of the ledger that keep out whom `effect` names, by relation and time. */
static struct stretch *collect(const struct ledger *ledger, enum lock_effect effect, size_t *count)
{
	struct stretch *stretches = NULL;
	size_t capacity = 0;
	*count = 0;
	for (size_t i = 0; i < ledger->statement_count; i++) {
		for (size_t j = 0; j < ledger->statements[i].lock_count; j++) {
			const struct ledger_lock *lock = &ledger->statements[i].locks[j];
			if (lock_effect_of(lock_mode_rank(lock->mode)) < effect || is_out_of_use(ledger, i, lock))
				continue;
			MEM_GROW(stretches, *count, capacity);
			stretches[(*count)++] = (struct stretch){
				lock->index_of[0] ? lock->index_of : lock->relation, ledger->statements[i].backend_pid,
				lock->acquired_ns - lock->waited_ns, lock->acquired_ns + ledger_lock_held_ns(lock)};
		}
	}
	if (*count > 1)
		qsort(stretches, *count, sizeof(*stretches), by_relation_and_begin);
	return stretches;
}

static void add_relations(struct trace_blocked *blocked, size_t *capacity, const struct ledger *ledger,
			  enum lock_effect effect)
{
	size_t count;
	struct stretch *stretches = collect(ledger, effect, &count);
	for (size_t i = 0; i < count;) {
		struct trace_blocked_relation relation = {.name = stretches[i].table, .effect = effect};
		while (i < count && strcmp(stretches[i].table, relation.name) == 0) {
			int64_t begin_ns = stretches[i].begin_ns, end_ns = stretches[i].end_ns;
			int32_t pid = stretches[i].backend_pid;
			for (i++; i < count && strcmp(stretches[i].table, relation.name) == 0 &&
				  stretches[i].begin_ns <= end_ns;
			     i++)
				end_ns = stretches[i].end_ns > end_ns ? stretches[i].end_ns : end_ns;
			int64_t blocked_ns =
				end_ns - begin_ns - ledger_measuring_between_ns(ledger, pid, begin_ns, end_ns);
			relation.total_ns += blocked_ns;
			if (blocked_ns > relation.longest_ns)
				relation.longest_ns = blocked_ns;
		}
		MEM_GROW(blocked->items, blocked->count, *capacity);
		blocked->items[blocked->count++] = relation;
	}
	free(stretches);
}

/* Writers are out of reach whenever readers are: their line is worth showing only where it says more. */
static void drop_repeated(struct trace_blocked *blocked, size_t readers)
{
	size_t kept = readers;
	for (size_t i = readers; i < blocked->count; i++) {
		bool repeated = false;
		for (size_t j = 0; j < readers; j++)
			repeated |= strcmp(blocked->items[j].name, blocked->items[i].name) == 0 &&
				    blocked->items[j].total_ns == blocked->items[i].total_ns;
		if (!repeated)
			blocked->items[kept++] = blocked->items[i];
	}
	blocked->count = kept;
}

void trace_blocked_init(struct trace_blocked *blocked, const struct ledger *ledger)
{
	size_t capacity = 0;
	*blocked = (struct trace_blocked){0};
	add_relations(blocked, &capacity, ledger, LOCK_EFFECT_ALL);
	size_t readers = blocked->count;
	add_relations(blocked, &capacity, ledger, LOCK_EFFECT_WRITES);
	drop_repeated(blocked, readers);
	if (blocked->count > 1)
		qsort(blocked->items, blocked->count, sizeof(*blocked->items), by_longest);
}

void trace_blocked_release(struct trace_blocked *blocked)
{
	free(blocked->items);
	*blocked = (struct trace_blocked){0};
}
