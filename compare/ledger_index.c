/* The ledger as the stall judge asks it: see ledger_index.h. */
#include "ledger_index.h"

#include "mem.h"
#include "span_index.h"

#include <uthash.h>

/* Object identifiers below are given out by initdb (FirstNormalObjectId in PostgreSQL's access/transam.h). */
#define FIRST_USER_OID 16384

struct made_relation {
	char *name;
	size_t statement;
	UT_hash_handle hh;
};

struct place {
	size_t statement;
	size_t lock;
};

struct ledger_index {
	const struct ledger *ledger;
	int64_t *ends;		      /* of transactions, sorted */
	struct span_index statements; /* to the end of their transactions; all of one key */
	struct span_index locks;      /* by relation; values are places */
	struct place *places;
	size_t place_count;
	size_t place_capacity;
	size_t *advisory; /* statements that ask for advisory locks */
	size_t advisory_count;
	struct made_relation *made;
};

static int compare_times(const void *a, const void *b)
{
	int64_t x = *(const int64_t *)a;
	int64_t y = *(const int64_t *)b;
	return (x > y) - (x < y);
}

/* What a statement drops and makes again, others had before. */
static void add_made(struct ledger_index *index, const struct ledger_names *names, const struct ledger_names *dropped,
		     size_t statement)
{
	for (size_t i = 0; i < names->count; i++) {
		struct made_relation *made;
		if (ledger_names_have(dropped, names->items[i]))
			continue;
		HASH_FIND_STR(index->made, names->items[i], made);
		if (made)
			continue;
		made = mem_zalloc(1, sizeof(*made));
		made->name = names->items[i];
		made->statement = statement;
		HASH_ADD_KEYPTR(hh, index->made, made->name, strlen(made->name), made);
	}
}

/* pg_advisory_lock() and its like, not pg_advisory_unlock(). */
static bool asks_for_advisory_lock(const char *sql)
{
	for (const char *p = sql; p && (p = strcasestr(p, "advisory_")); p += 9) {
		if (strncasecmp(p, "advisory_lock", 13) == 0 || strncasecmp(p, "advisory_xact_lock", 18) == 0)
			return true;
	}
	return false;
}

static void add_statement(struct ledger_index *index, size_t i)
{
	const struct ledger_statement *s = &index->ledger->statements[i];
	index->ends[i] = s->transaction_end_ns;
	span_index_add(&index->statements, 0, s->start_ns, s->transaction_end_ns, i);
	if (asks_for_advisory_lock(s->sql))
		index->advisory[index->advisory_count++] = i;
	add_made(index, &s->relations_created, &s->relations_dropped, i);
	add_made(index, &s->indexes_built, &s->indexes_dropped, i);
	for (size_t l = 0; l < s->lock_count; l++) {
		const struct ledger_lock *lock = &s->locks[l];
		span_index_add(&index->locks, span_key_of_text(lock->relation), lock->acquired_ns - lock->waited_ns,
			       lock->released_ns, index->place_count);
		MEM_GROW(index->places, index->place_count, index->place_capacity);
		index->places[index->place_count++] = (struct place){i, l};
	}
}

struct ledger_index *ledger_index_new(const struct ledger *ledger)
{
	struct ledger_index *index = mem_zalloc(1, sizeof(*index));
	size_t count = ledger->statement_count;
	index->ledger = ledger;
	index->ends = mem_zalloc(count + 1, sizeof(*index->ends));
	index->advisory = mem_zalloc(count + 1, sizeof(*index->advisory));
	for (size_t i = 0; i < count; i++)
		add_statement(index, i);
	if (count > 1)
		qsort(index->ends, count, sizeof(*index->ends), compare_times);
	span_index_sort(&index->statements);
	span_index_sort(&index->locks);
	return index;
}

void ledger_index_free(struct ledger_index *index)
{
	struct made_relation *made;
	struct made_relation *next;
	if (!index)
		return;
	HASH_ITER (hh, index->made, made, next) {
		HASH_DEL(index->made, made);
		free(made);
	}
	span_index_release(&index->statements);
	span_index_release(&index->locks);
	free(index->places);
	free(index->advisory);
	free(index->ends);
	free(index);
}

bool ledger_index_release(const struct ledger_index *index, int64_t from_ns, int64_t to_ns, int64_t *release_ns)
{
	size_t low = 0;
	size_t high = index->ledger->statement_count;
	while (low < high) {
		size_t mid = low + (high - low) / 2;
		if (index->ends[mid] < from_ns)
			low = mid + 1;
		else
			high = mid;
	}
	if (low == index->ledger->statement_count || index->ends[low] > to_ns)
		return false;
	*release_ns = index->ends[low];
	return true;
}

const struct ledger_lock *ledger_index_next_lock(const struct ledger_index *index, const char *relation,
						 int64_t from_ns, int64_t to_ns, size_t *at, size_t *statement)
{
	uint64_t key = span_key_of_text(relation);
	const struct time_span *span;
	while ((span = span_index_next(&index->locks, key, from_ns, to_ns, at))) {
		const struct place *place = &index->places[span->value];
		const struct ledger_lock *lock = &index->ledger->statements[place->statement].locks[place->lock];
		if (strcmp(lock->relation, relation) != 0)
			continue;
		*statement = place->statement;
		return lock;
	}
	return NULL;
}

size_t ledger_index_statement_at(const struct ledger_index *index, int64_t at_ns)
{
	size_t at = 0;
	const struct time_span *span = span_index_next(&index->statements, 0, at_ns, at_ns, &at);
	return span ? span->value : LEDGER_INDEX_NONE;
}

size_t ledger_index_advisory_at(const struct ledger_index *index, int64_t at_ns)
{
	size_t found = LEDGER_INDEX_NONE;
	for (size_t i = 0; i < index->advisory_count; i++) {
		if (index->ledger->statements[index->advisory[i]].start_ns <= at_ns)
			found = index->advisory[i];
	}
	return found;
}

/* Its indexes are locked alike. */
static const struct ledger_lock *only_written(const struct ledger_statement *s)
{
	const struct ledger_lock *only = NULL;
	for (size_t l = 0; l < s->lock_count; l++) {
		if (strcmp(s->locks[l].mode, "RowExclusiveLock") != 0 || s->locks[l].index_of[0])
			continue;
		if (only)
			return NULL;
		only = &s->locks[l];
	}
	return only;
}

const char *ledger_index_written_at(const struct ledger_index *index, int64_t at_ns)
{
	size_t at = 0;
	const struct time_span *span;
	while ((span = span_index_next(&index->statements, 0, at_ns, at_ns, &at))) {
		const struct ledger_lock *lock = only_written(&index->ledger->statements[span->value]);
		if (lock)
			return lock->relation;
	}
	return NULL;
}

static bool is_made_by(const struct ledger_index *index, const char *name, size_t statement)
{
	struct made_relation *made;
	HASH_FIND_STR(index->made, name, made);
	return made && made->statement <= statement;
}

bool ledger_index_is_new(const struct ledger_index *index, size_t statement, const struct ledger_lock *lock)
{
	return is_made_by(index, lock->relation, statement) || is_made_by(index, lock->index_of, statement);
}

bool ledger_lock_is_system(const struct ledger_lock *lock)
{
	/* Schemas' names may not begin with pg_ unless they are the server's own: no table's name is needed. */
	static const char *const schemas[] = {"pg_catalog.", "pg_toast.",      "information_schema.",
					      "pg_temp_",    "pg_toast_temp_", NULL};
	if (lock->relation_oid > 0 && lock->relation_oid < FIRST_USER_OID)
		return true;
	for (size_t i = 0; schemas[i]; i++) {
		if (strncmp(lock->relation, schemas[i], strlen(schemas[i])) == 0 && strchr(lock->relation, '.'))
			return true;
	}
	return false;
}
