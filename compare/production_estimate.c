/* The migration in production, at best: see production_estimate.h. */
#include "production_estimate.h"

#include "clock.h"
#include "lock_effect.h"
#include "mem.h"

#include <math.h>

#define AGES_NS	     (INT64_C(100) * 365 * 86400 * NS_PER_S) /* longer than this is not told apart */
#define SHUTTING     5					     /* ShareLock: from there on writers are kept out */
#define SIDE_BY_SIDE 64

static int64_t times(int64_t ns, double ratio)
{
	double product = (double)ns * ratio;
	return product < (double)AGES_NS ? (int64_t)llround(product) : AGES_NS;
}

static int64_t sum(int64_t a, int64_t b)
{
	return a + b < AGES_NS ? a + b : AGES_NS;
}

static int64_t larger(int64_t a, int64_t b)
{
	return a > b ? a : b;
}

static int64_t smaller(int64_t a, int64_t b)
{
	return a < b ? a : b;
}

/* The first statement that began after that. They are in the order in which they began. */
static size_t find_after(const struct ledger *ledger, int64_t at_ns)
{
	size_t low = 0;
	size_t high = ledger->statement_count;
	while (low < high) {
		size_t middle = low + (high - low) / 2;
		if (ledger->statements[middle].start_ns <= at_ns)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

/* What the sampler and the server's log saw of the migration's own waits, for rows and transactions too. */
static void add_seen_waits(const struct ledger *ledger, const struct lock_log *locks, int64_t *waited_ns)
{
	for (size_t w = 0; locks && w < locks->wait_count; w++) {
		const struct lock_wait *wait = &locks->waits[w];
		size_t i = find_after(ledger, wait->start_ns);
		for (int tries = 0; i > 0 && tries < SIDE_BY_SIDE; tries++) {
			const struct ledger_statement *s = &ledger->statements[--i];
			int64_t both_ns = smaller(wait->end_ns, s->end_ns) - larger(wait->start_ns, s->start_ns);
			if (s->backend_pid != wait->pid)
				continue;
			waited_ns[i] += both_ns > 0 ? both_ns : 0;
			break;
		}
	}
}

static void find_waits(const struct ledger *ledger, const struct lock_log *locks, int64_t *waited_ns)
{
	add_seen_waits(ledger, locks, waited_ns);
	for (size_t i = 0; i < ledger->statement_count; i++) {
		const struct ledger_statement *s = &ledger->statements[i];
		int64_t own_ns = 0;
		for (size_t l = 0; l < s->lock_count; l++)
			own_ns = sum(own_ns, s->locks[l].waited_ns);
		waited_ns[i] = smaller(larger(waited_ns[i], own_ns), larger(s->end_ns - s->start_ns, 0));
	}
}

/* What each of a backend's transactions has still to do, from a statement to its end. */
struct rest_of_transaction {
	int32_t pid;
	int64_t transaction_end_ns;
	int64_t best_ns;
};

/* A table that the migration makes: nobody else uses it, from that statement on. */
struct made_table {
	const char *name;
	size_t statement;
};

struct shut_search {
	const struct ledger *ledger;
	struct made_table *made;
	size_t made_count;
	size_t made_capacity;
	struct production_estimate *out;
};

static void find_made(struct shut_search *search)
{
	for (size_t i = 0; i < search->ledger->statement_count; i++) {
		const struct ledger_names *created = &search->ledger->statements[i].relations_created;
		for (size_t k = 0; k < created->count; k++) {
			MEM_GROW(search->made, search->made_count, search->made_capacity);
			search->made[search->made_count++] = (struct made_table){created->items[k], i};
		}
	}
}

/* It was there before, and others use it. */
static bool is_others(const struct shut_search *search, size_t statement, const struct ledger_lock *lock)
{
	const char *table = lock->index_of[0] ? lock->index_of : lock->relation;
	const struct ledger_statement *s = &search->ledger->statements[statement];
	/* An index that is dropped concurrently is locked when nobody uses it any more. */
	if (s->locks_known == LEDGER_LOCKS_SAMPLED && ledger_names_have(&s->indexes_dropped, lock->relation))
		return false;
	for (size_t i = 0; i < search->made_count && search->made[i].statement <= statement; i++) {
		if (strcmp(search->made[i].name, table) == 0)
			return false;
	}
	return true;
}

/* rest_ns: from this statement to the end of its transaction, at best. */
static void find_shut(const struct shut_search *search, size_t i, int64_t rest_ns)
{
	const struct ledger_statement *s = &search->ledger->statements[i];
	struct production_statement *p = &search->out->statements[i];
	const char *shut_out = NULL;
	for (size_t l = 0; l < s->lock_count; l++) {
		const struct ledger_lock *lock = &s->locks[l];
		int64_t held_ns = ledger_lock_held_ns(lock);
		if (lock_mode_rank(lock->mode) < SHUTTING || held_ns == 0)
			continue;
		/* One that is gone before its statement ends was held for a part of the work. */
		int64_t best_ns = lock->released_ns < s->end_ns ? times(held_ns, p->growth.ratio) : rest_ns;
		if (best_ns <= p->shut_ns || !is_others(search, i, lock))
			continue;
		p->shut_ns = best_ns;
		shut_out = lock->relation;
	}
	struct production_estimate *out = search->out;
	if (!shut_out || p->of_rollback ||
	    (out->shutting != PRODUCTION_NONE && p->shut_ns <= out->statements[out->shutting].shut_ns))
		return;
	out->shutting = i;
	out->shut_out = shut_out;
}

/* From the last to the first, so that what a transaction still has to do is known. */
static void find_all_shut(const struct ledger *ledger, struct production_estimate *out)
{
	struct shut_search search = {.ledger = ledger, .out = out};
	struct rest_of_transaction *rests = NULL;
	size_t count = 0;
	size_t capacity = 0;
	find_made(&search);
	for (size_t i = ledger->statement_count; i > 0; i--) {
		const struct ledger_statement *s = &ledger->statements[i - 1];
		struct rest_of_transaction *rest = NULL;
		for (size_t k = 0; k < count && !rest; k++)
			rest = rests[k].pid == s->backend_pid ? &rests[k] : NULL;
		if (!rest) {
			MEM_GROW(rests, count, capacity);
			rest = &rests[count++];
			*rest = (struct rest_of_transaction){.pid = s->backend_pid};
		}
		if (rest->transaction_end_ns != s->transaction_end_ns)
			rest->best_ns = 0;
		rest->transaction_end_ns = s->transaction_end_ns;
		rest->best_ns = sum(rest->best_ns, out->statements[i - 1].best_ns);
		find_shut(&search, i - 1, rest->best_ns);
	}
	free(rests);
	free(search.made);
}

/* Statements that ran side by side: what each backend had to do, in this run's order. */
struct cluster {
	int64_t end_ns;
	int64_t measuring_ns;
	int32_t pids[SIDE_BY_SIDE];
	int64_t best_ns[SIDE_BY_SIDE];
	size_t backends;
};

static void cluster_add(struct cluster *c, const struct ledger_statement *s, int64_t best_ns)
{
	size_t i = 0;
	while (i < c->backends && c->pids[i] != s->backend_pid)
		i++;
	if (i == SIDE_BY_SIDE)
		i--; /* more than that do not run at once */
	else if (i == c->backends)
		c->pids[c->backends++] = s->backend_pid;
	c->best_ns[i] = sum(c->best_ns[i], best_ns);
	c->end_ns = larger(c->end_ns, s->end_ns);
	c->measuring_ns += s->measuring_ns;
}

static void cluster_close(struct cluster *c, struct production_estimate *out)
{
	int64_t most_ns = 0;
	for (size_t i = 0; i < c->backends; i++)
		most_ns = larger(most_ns, c->best_ns[i]);
	out->best_ns = sum(out->best_ns, most_ns);
}

/* The whole: what ran side by side, and what a tool took between. */
static void add_up(const struct ledger *ledger, struct production_estimate *out)
{
	struct cluster c = {.end_ns = ledger->start_ns};
	for (size_t i = 0; i < ledger->statement_count; i++) {
		const struct ledger_statement *s = &ledger->statements[i];
		const struct production_statement *p = &out->statements[i];
		if (p->of_rollback)
			continue;
		if (s->start_ns >= c.end_ns) {
			cluster_close(&c, out);
			out->between_ns += larger(s->start_ns - c.end_ns - c.measuring_ns, 0);
			c = (struct cluster){.end_ns = s->end_ns};
		}
		cluster_add(&c, s, p->best_ns);
		out->waited_ns += p->waited_ns;
		out->measuring_ns += s->measuring_ns;
		if (out->longest == PRODUCTION_NONE || p->best_ns > out->statements[out->longest].best_ns)
			out->longest = i;
	}
	cluster_close(&c, out);
	out->between_ns += larger(ledger_migrated_ns(ledger) - c.end_ns - c.measuring_ns, 0);
	if (!ledger->tool.name)
		out->between_ns = 0;
	out->best_ns = sum(out->best_ns, out->between_ns);
}

void production_estimate_make(const struct ledger *ledger, const struct lock_log *locks,
			      const struct row_ratios *ratios, struct production_estimate *out)
{
	size_t count = ledger->statement_count;
	*out = (struct production_estimate){.count = count, .longest = PRODUCTION_NONE, .shutting = PRODUCTION_NONE};
	out->statements = mem_zalloc(count + 1, sizeof(*out->statements));
	out->ratio_used = mem_zalloc(ratios->count + 1, sizeof(*out->ratio_used));
	int64_t *waited_ns = mem_zalloc(count + 1, sizeof(*waited_ns));
	int64_t *busy_ns = mem_zalloc(count + 1, sizeof(*busy_ns));
	find_waits(ledger, locks, waited_ns);
	for (size_t i = 0; i < count; i++)
		busy_ns[i] = larger(ledger->statements[i].end_ns - ledger->statements[i].start_ns, 0) - waited_ns[i];
	struct statement_growth *growth = statement_growth_find(ledger, ratios, busy_ns, out->ratio_used);
	for (size_t i = 0; i < count; i++)
		out->statements[i] = (struct production_statement){
			.growth = growth[i],
			.took_ns = busy_ns[i] + waited_ns[i],
			.waited_ns = waited_ns[i],
			.best_ns = times(busy_ns[i], growth[i].ratio),
			.of_rollback = ledger->rollback.outcome != LEDGER_NONE &&
				       ledger->statements[i].start_ns >= ledger->rollback.start_ns,
		};
	free(growth);
	free(busy_ns);
	free(waited_ns);
	out->took_ns = larger(ledger_migrated_ns(ledger) - ledger->start_ns, 0);
	add_up(ledger, out);
	find_all_shut(ledger, out);
}

void production_estimate_release(struct production_estimate *estimate)
{
	free(estimate->statements);
	free(estimate->ratio_used);
	*estimate = (struct production_estimate){0};
}
