/*
 * How long each relation was out of reach because of the migration: its locks' times, and the waits for them (behind
 * which everybody else queues), put together; without the time that measuring took.
 */
#ifndef TRACE_BLOCKED_H
#define TRACE_BLOCKED_H

#include "ledger.h"
#include "lock_effect.h"

struct trace_blocked_relation {
	const char *name;	 /* the ledger's; an index counts as its table, which cannot be used without it */
	enum lock_effect effect; /* LOCK_EFFECT_WRITES (all that keeps writers out) or LOCK_EFFECT_ALL */
	int64_t longest_ns;	 /* at a stretch */
	int64_t total_ns;
};

struct trace_blocked {
	struct trace_blocked_relation *items; /* longest first */
	size_t count;
};

/* Relations that the migration itself created are left out: nobody used them before. */
void trace_blocked_init(struct trace_blocked *blocked, const struct ledger *ledger);
void trace_blocked_release(struct trace_blocked *blocked);

#endif
