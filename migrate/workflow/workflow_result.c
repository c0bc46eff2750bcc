/* What became of one migration: see workflow_result.h. */
#include "workflow_result.h"

#include "mem.h"
#include "own_locks.h"
#include "workflow_script.h"

static const char *const outcome_names[WORKFLOW_OUTCOME_COUNT] = {"not_started", "done",     "failed", "half_way",
								  "unknown",	 "declined", "marked", "waits"};

const char *workflow_outcome_name(enum workflow_outcome outcome)
{
	return outcome_names[outcome];
}

void workflow_result_init(struct workflow_result *result, size_t migration)
{
	memset(result, 0, sizeof(*result));
	result->migration = migration;
}

static void names_release(struct ledger_names *names)
{
	for (size_t i = 0; i < names->count; i++)
		free(names->items[i]);
	free(names->items);
	memset(names, 0, sizeof(*names));
}

void workflow_result_release(struct workflow_result *result)
{
	free(result->file);
	free(result->message);
	free(result->locks);
	names_release(&result->rewrites);
	names_release(&result->invalid_indexes);
	workflow_result_init(result, 0);
}

static bool names_hold(const struct ledger_names *names, const char *name)
{
	for (size_t i = 0; i < names->count; i++) {
		if (strcmp(names->items[i], name) == 0)
			return true;
	}
	return false;
}

static void add_name(struct ledger_names *names, const char *name)
{
	if (!names_hold(names, name))
		ledger_names_add(names, name);
}

static void add_names(struct ledger_names *names, const struct ledger_names *from)
{
	for (size_t i = 0; i < from->count; i++)
		add_name(names, from->items[i]);
}

/* "orders" stands for that table in any schema. */
static bool is_hot(const struct workflow_meta *meta, const char *relation)
{
	const char *dot = strrchr(relation, '.');
	for (size_t i = 0; i < meta->hot_path_count; i++) {
		const char *hot = meta->hot_path[i];
		if (strcmp(hot, relation) == 0 || (dot && strcmp(hot, dot + 1) == 0))
			return true;
	}
	return meta->hot_all;
}

/* PostgreSQL manual, 13.3.1: Share and what is stronger conflicts with RowExclusive, only the strongest with
 * AccessShare. */
static void set_blocking(struct workflow_lock *lock)
{
	int rank = lock_mode_rank(lock->mode);
	lock->blocks_writes = rank >= lock_mode_rank("ShareLock");
	lock->blocks_reads = rank >= lock_mode_rank("AccessExclusiveLock");
}

static void add_lock(struct workflow_result *result, const struct workflow_meta *meta, const struct ledger_lock *from)
{
	struct workflow_lock *lock = NULL;
	for (size_t i = 0; i < result->lock_count && !lock; i++) {
		if (strcmp(result->locks[i].relation, from->relation) == 0 &&
		    strcmp(result->locks[i].mode, from->mode) == 0)
			lock = &result->locks[i];
	}
	if (!lock) {
		result->locks = mem_realloc(result->locks, result->lock_count + 1, sizeof(*result->locks));
		lock = &result->locks[result->lock_count++];
		memset(lock, 0, sizeof(*lock));
		memcpy(lock->relation, from->relation, sizeof(lock->relation));
		memcpy(lock->mode, from->mode, sizeof(lock->mode));
		lock->hot = is_hot(meta, lock->relation);
		set_blocking(lock);
	}
	lock->held_ns += ledger_lock_held_ns(from);
	lock->waited_ns += from->waited_ns;
}

static void add_statement(struct workflow_result *result, const struct workflow_meta *meta,
			  const struct ledger_names *made, const struct ledger_statement *statement)
{
	for (size_t i = 0; i < statement->lock_count; i++) {
		if (!names_hold(made, statement->locks[i].relation))
			add_lock(result, meta, &statement->locks[i]);
	}
	for (size_t i = 0; i < statement->rewrite_count; i++) {
		if (!names_hold(made, statement->rewrites[i]))
			add_name(&result->rewrites, statement->rewrites[i]);
	}
	add_names(&result->invalid_indexes, &statement->indexes_invalid);
	if (statement->wal_bytes > 0)
		result->wal_bytes += statement->wal_bytes;
	if (statement->rows_changed > 0 && !statement->sqlstate[0])
		result->rows_changed += statement->rows_changed;
}

void workflow_result_add(struct workflow_result *result, const struct workflow_meta *meta, const struct ledger *ledger)
{
	struct ledger_names made = {0};
	for (size_t i = 0; i < ledger->statement_count; i++) {
		add_names(&made, &ledger->statements[i].relations_created);
		add_names(&made, &ledger->statements[i].indexes_built);
	}
	result->rows_changed = 0; /* what an attempt before changed was rolled back */
	result->duration_ns = ledger->end_ns - ledger->start_ns;
	for (size_t i = 0; i < ledger->statement_count; i++) {
		if (!workflow_script_is_own(ledger->statements[i].file))
			add_statement(result, meta, &made, &ledger->statements[i]);
	}
	names_release(&made);
}

static bool lines_hold(const char *lines, const char *line, size_t len)
{
	for (const char *p = lines; p && *p; p += strcspn(p, "\n"), p += *p == '\n') {
		if (strcspn(p, "\n") == len && strncmp(p, line, len) == 0)
			return true;
	}
	return false;
}

void workflow_result_add_invalid(struct workflow_result *result, const char *before, const char *after)
{
	for (const char *p = after; p && *p; p += *p == '\n') {
		size_t len = strcspn(p, "\n");
		char *name = mem_strndup(p, len);
		if (!lines_hold(before, p, len))
			add_name(&result->invalid_indexes, name);
		free(name);
		p += len;
	}
}
