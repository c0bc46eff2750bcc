/* The locks of one backend over the time of a statement: see own_locks.h. */
#include "own_locks.h"

#include "mem.h"

/* 16384 is FirstNormalObjectId: below it is what initdb made. The wait's age comes from the server's own clock. */
#define QUERY(age)                                                                             \
	"SELECT relation, mode, granted, " age " FROM pg_catalog.pg_locks WHERE pid = $1::int" \
	" AND database = $2::oid AND locktype = 'relation' AND relation >= 16384"

const char *own_locks_query(int server_version)
{
	if (server_version >= 140000) /* pg_locks.waitstart */
		return QUERY("(extract(epoch FROM pg_catalog.clock_timestamp() - waitstart) * 1000000)::bigint");
	return QUERY("NULL");
}

void own_locks_init(struct own_locks *locks)
{
	memset(locks, 0, sizeof(*locks));
}

void own_locks_release(struct own_locks *locks)
{
	free(locks->items);
	own_locks_init(locks);
}

void own_locks_begin(struct own_locks *locks, int64_t start_ns)
{
	locks->count = 0;
	locks->last_sent_ns = start_ns;
}

static struct own_lock *find_or_add(struct own_locks *locks, uint32_t oid, int rank)
{
	for (size_t i = 0; i < locks->count; i++) {
		if (locks->items[i].oid == oid && locks->items[i].rank == rank)
			return &locks->items[i];
	}
	MEM_GROW(locks->items, locks->count, locks->capacity);
	struct own_lock *lock = &locks->items[locks->count++];
	*lock = (struct own_lock){.oid = oid, .rank = rank, .acquired_ns = locks->last_sent_ns};
	return lock;
}

/*
 * The server told the wait's age a little after the sample was sent, on a busy machine a good deal: so the wait is
 * bounded by the sample before, which did not show it.
 */
static void see_wait(struct own_lock *lock, int64_t sent_ns, int64_t age_ns, int64_t previous_sent_ns)
{
	if (!lock->wait_begin_ns) {
		lock->wait_begin_ns = age_ns >= 0 ? sent_ns - age_ns : sent_ns;
		if (lock->wait_begin_ns < previous_sent_ns)
			lock->wait_begin_ns = previous_sent_ns;
	}
	lock->waited_ns = sent_ns - lock->wait_begin_ns;
	lock->acquired_ns = sent_ns;
}

void own_locks_sample(struct own_locks *locks, const PGresult *result, int64_t sent_ns)
{
	for (size_t i = 0; i < locks->count; i++)
		locks->items[i].shown = false;
	for (int i = 0; i < PQntuples(result); i++) {
		int rank = lock_mode_rank(PQgetvalue(result, i, 1));
		if (rank == 0)
			continue;
		struct own_lock *lock = find_or_add(locks, (uint32_t)pg_conn_int(result, i, 0, 0), rank);
		int64_t age_us = pg_conn_int(result, i, 3, -1);
		lock->shown = true;
		lock->gone_ns = 0;
		if (PQgetvalue(result, i, 2)[0] == 't')
			lock->granted = true;
		else
			see_wait(lock, sent_ns, age_us < 0 ? -1 : age_us * 1000, locks->last_sent_ns);
	}
	for (size_t i = 0; i < locks->count; i++) {
		struct own_lock *lock = &locks->items[i];
		if (!lock->shown && lock->gone_ns == 0)
			lock->gone_ns = sent_ns;
	}
	locks->last_sent_ns = sent_ns;
}

const struct own_lock *own_locks_strongest(const struct own_locks *locks, uint32_t oid)
{
	const struct own_lock *best = NULL;
	for (size_t i = 0; i < locks->count; i++) {
		const struct own_lock *lock = &locks->items[i];
		if (lock->oid != oid)
			continue;
		/* One that was wanted and not had blocks those behind it in the queue as much as one that was had. */
		if (!best || lock->rank > best->rank)
			best = lock;
	}
	return best;
}

const struct own_lock *own_locks_find(const struct own_locks *locks, uint32_t oid, int rank)
{
	for (size_t i = 0; i < locks->count; i++) {
		if (locks->items[i].oid == oid && locks->items[i].rank == rank)
			return &locks->items[i];
	}
	return NULL;
}

int64_t own_locks_waited_ns(const struct own_locks *locks, uint32_t oid)
{
	int64_t sum_ns = 0;
	for (size_t i = 0; i < locks->count; i++) {
		if (locks->items[i].oid == oid)
			sum_ns += locks->items[i].waited_ns;
	}
	return sum_ns;
}
