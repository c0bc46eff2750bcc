/*
 * What one statement did: see statement_measure.h.
 *
 * What is asked on the traced backend stands in a savepoint with a lock_timeout, so that measuring can neither wait nor
 * fail the migration. Rows are those of the backend itself: what parallel workers of an index build read is not among
 * them.
 */
#include "statement_measure.h"

#include "clock.h"
#include "mem.h"
#include "own_locks.h"
#include "pg_conn.h"

/* The strongest lock on each relation that this backend holds. Names of modes as in own_locks.c, weakest first. */
#define OWN_LOCKS                                                                                                  \
	"(SELECT relation, max(pg_catalog.array_position(ARRAY['AccessShareLock', 'RowShareLock',"                 \
	" 'RowExclusiveLock', 'ShareUpdateExclusiveLock', 'ShareLock', 'ShareRowExclusiveLock', 'ExclusiveLock',"  \
	" 'AccessExclusiveLock'], mode)) AS rank FROM pg_catalog.pg_locks WHERE pid = pg_catalog.pg_backend_pid()" \
	" AND locktype = 'relation' AND granted AND relation >= 16384 AND database ="                              \
	" (SELECT oid FROM pg_catalog.pg_database WHERE datname = pg_catalog.current_database()) GROUP BY relation)"

/* From this mode on triggers can be changed: CREATE TRIGGER and DISABLE TRIGGER take ShareRowExclusiveLock. */
#define TRIGGER_RANK   6
#define TRIGGER_RANK_S "6"
#define REWRITE_RANK   8 /* a relation gets another file under AccessExclusiveLock only */

enum question {
	QUESTION_RELATIONS = 3,
	QUESTION_TRIGGERS,
	QUESTION_CALLS,
	QUESTION_COUNT = 8
};

/* 5 columns behind RELATION_COLUMNS. */
static const char *const questions[QUESTION_COUNT] = {
	"SAVEPOINT rehearse_measure",
	"SET LOCAL lock_timeout = '20ms'",
	"SET LOCAL statement_timeout = 0",
	"SELECT " RELATION_COLUMNS ", l.relation, l.rank,"
	" CASE WHEN c.relkind IN ('r', 'm', 'S') THEN pg_catalog.pg_total_relation_size(c.oid) END,"
	" CASE WHEN c.relkind IN ('r', 'm', 't') THEN pg_catalog.pg_stat_get_xact_tuples_returned(c.oid) END,"
	" CASE WHEN c.relkind = 'r' THEN pg_catalog.pg_stat_get_xact_tuples_inserted(c.oid)"
	" + pg_catalog.pg_stat_get_xact_tuples_updated(c.oid)"
	" + pg_catalog.pg_stat_get_xact_tuples_deleted(c.oid) END"
	" FROM " OWN_LOCKS " l LEFT JOIN (pg_catalog.pg_class c" RELATION_JOINS ") ON c.oid = l.relation",
	"SELECT " CODE_TRIGGER_COLUMNS CODE_TRIGGER_FROM " AND t.tgrelid IN (SELECT relation FROM " OWN_LOCKS
	" l WHERE l.rank >= " TRIGGER_RANK_S ")",
	CODE_CALLS_SQL,
	"ROLLBACK TO rehearse_measure",
	"RELEASE rehearse_measure"};
#define COLUMN_OID     RELATION_COLUMN_COUNT
#define COLUMN_RANK    (RELATION_COLUMN_COUNT + 1)
#define COLUMN_SIZE    (RELATION_COLUMN_COUNT + 2)
#define COLUMN_ROWS    (RELATION_COLUMN_COUNT + 3)
#define COLUMN_CHANGED (RELATION_COLUMN_COUNT + 4)

void statement_measure_init(struct statement_measure *measure)
{
	memset(measure, 0, sizeof(*measure));
	relation_table_init(&measure->relations);
	code_table_init(&measure->code);
}

void statement_measure_release(struct statement_measure *measure)
{
	trace_probe_release(&measure->probe);
	relation_table_release(&measure->relations);
	code_table_release(&measure->code);
}

static int64_t since_t0(const struct statement_measure *measure, int64_t ns)
{
	return ns - measure->t0_ns;
}

/* One statement of ours on the traced backend; its result, to be cleared, or NULL. */
static PGresult *ask_one(struct statement_measure *measure, const char *sql)
{
	struct error ignored = ERROR_INIT;
	PGresult *result = NULL;
	if (measure->ask(measure->ask_context, &sql, 1, &result, &ignored) == 0)
		return result;
	PQclear(result);
	return NULL;
}

/*
 * Calls of functions are counted for the ledger, which needs a superuser, so it may fail. And the questions are asked
 * once for nothing: the first time fills the backend's caches, for some ten milliseconds, in which nothing is locked
 * yet.
 */
void statement_measure_prepare(struct statement_measure *measure)
{
	struct error ignored = ERROR_INIT;
	const char *warm_up[QUESTION_COUNT + 2] = {"BEGIN"};
	PGresult *results[QUESTION_COUNT + 2] = {NULL};
	PQclear(ask_one(measure, "SET track_functions = 'all'"));
	memcpy(warm_up + 1, questions, sizeof(questions));
	warm_up[QUESTION_COUNT + 1] = "COMMIT";
	if (measure->ask(measure->ask_context, warm_up, QUESTION_COUNT + 2, results, &ignored) != 0)
		PQclear(ask_one(measure, "ROLLBACK"));
	for (size_t i = 0; i < QUESTION_COUNT + 2; i++)
		PQclear(results[i]);
}

void statement_measure_end_transaction(struct statement_measure *measure)
{
	relation_table_forget_locks(&measure->relations);
}

void statement_measure_look(struct statement_measure *measure, struct span sql, bool catalogs, bool only_named)
{
	struct error ignored = ERROR_INIT; /* what cannot be had stays as it was known */
	if (!trace_probe_quiet(&measure->probe))
		return;
	PGconn *conn = measure->probe.conn;
	if (catalogs) {
		(void)relation_table_load(&measure->relations, conn, NULL, NULL, &ignored);
		(void)code_table_load(&measure->code, conn, NULL, &ignored);
	}
	relation_table_measure(&measure->relations, conn, sql, only_named);
}

void statement_measure_look_at_code(struct statement_measure *measure)
{
	struct error ignored = ERROR_INIT;
	if (trace_probe_quiet(&measure->probe))
		(void)code_table_load(&measure->code, measure->probe.conn, NULL, &ignored);
}

static int held_rank(const struct statement_measure *measure, uint32_t oid)
{
	const struct relation *relation = relation_table_find(&measure->relations, oid);
	return relation ? relation->held_rank : 0;
}

/* An index's lock is worth a line only where its table's own lock does not say as much. */
static bool is_worth_a_line(const struct statement_measure *measure, const struct relation *relation, int rank,
			    int (*table_rank)(const struct statement_measure *, uint32_t))
{
	if (!relation || !relation->ours)
		return false; /* the system's, TOAST's, or the transient copy of a rewrite */
	return relation->table_oid == 0 || table_rank(measure, relation->table_oid) < rank;
}

static struct ledger_lock *add_lock(struct statement_measure *measure, struct ledger_statement *statement,
				    const struct relation *relation, int rank)
{
	const struct own_locks *seen_locks = &measure->probe.locks;
	struct ledger_lock *lock = ledger_statement_add_lock(statement);
	(void)snprintf(lock->relation, sizeof(lock->relation), "%s",
		       relation->former_name ? relation->former_name : relation->name);
	const struct relation *table =
		relation->table_oid ? relation_table_find(&measure->relations, relation->table_oid) : NULL;
	if (table)
		(void)snprintf(lock->index_of, sizeof(lock->index_of), "%s", table->name);
	(void)snprintf(lock->mode, sizeof(lock->mode), "%s", lock_mode_name(rank));
	lock->relation_oid = relation->oid;
	lock->waited_ns = own_locks_waited_ns(seen_locks, relation->oid);
	lock->acquired_ns = statement->start_ns;
	lock->released_ns = LOCK_STILL_HELD;
	const struct own_lock *seen = own_locks_find(seen_locks, relation->oid, rank);
	if (seen && since_t0(measure, seen->acquired_ns) > lock->acquired_ns)
		lock->acquired_ns = since_t0(measure, seen->acquired_ns);
	return lock;
}

static int seen_rank(const struct statement_measure *measure, uint32_t oid)
{
	const struct own_lock *lock = own_locks_strongest(&measure->probe.locks, oid);
	int before = held_rank(measure, oid);
	return lock && lock->rank > before ? lock->rank : before;
}

static int64_t gone_at(const struct statement_measure *measure, const struct ledger_statement *statement,
		       const struct own_lock *seen, bool in_transaction)
{
	if (seen->gone_ns)
		return since_t0(measure, seen->gone_ns);
	return in_transaction ? LOCK_STILL_HELD : statement->end_ns;
}

void statement_measure_sampled(struct statement_measure *measure, struct ledger_statement *statement,
			       bool in_transaction)
{
	const struct own_locks *locks = &measure->probe.locks;
	for (size_t i = 0; i < locks->count; i++) {
		const struct own_lock *seen = &locks->items[i];
		const struct relation *relation = relation_table_find(&measure->relations, seen->oid);
		if (seen != own_locks_strongest(locks, seen->oid) || seen->rank <= held_rank(measure, seen->oid) ||
		    !is_worth_a_line(measure, relation, seen->rank, seen_rank))
			continue;
		struct ledger_lock *lock = add_lock(measure, statement, relation, seen->rank);
		lock->released_ns = gone_at(measure, statement, seen, in_transaction);
		if (!seen->granted)
			lock->acquired_ns = lock->released_ns = statement->end_ns; /* wanted, and never had */
	}
	for (size_t i = 0; in_transaction && i < locks->count; i++) {
		const struct own_lock *seen = &locks->items[i];
		struct relation *relation = relation_table_find(&measure->relations, seen->oid);
		if (relation && seen->granted && !seen->gone_ns && seen->rank > relation->held_rank)
			relation->held_rank = seen->rank;
	}
}

/* Notes what became of a relation under the names that the ledger has for it. */
static void note_change(struct ledger_statement *statement, const struct relation *relation,
			const struct relation_change *change)
{
	bool index = relation_is_index(relation);
	if (!statement || !relation->ours)
		return;
	if (change->created)
		ledger_names_add(index ? &statement->indexes_built : &statement->relations_created, relation->name);
	if (change->dropped)
		ledger_names_add(index ? &statement->indexes_dropped : &statement->relations_dropped, relation->name);
	if (change->rewritten)
		ledger_statement_add_rewrite(statement, relation->name);
	if (change->became_invalid)
		ledger_names_add(&statement->indexes_invalid, relation->name);
}

/*
 * Sizes before and after of the tables that were locked. Known before: from relation_table_measure(); a table that was
 * not there before had none. One that is not known makes the sum unknown, unless it was locked for reading only.
 */
struct size_sum {
	int64_t delta_bytes;
	bool unknown;
};

static void add_size(struct size_sum *sum, int64_t before, int64_t after, int rank)
{
	if (before != RELATION_SIZE_UNKNOWN && after != RELATION_SIZE_UNKNOWN)
		sum->delta_bytes += after - before;
	else if (rank > 1)
		sum->unknown = true;
}

/* A relation that is locked and not in the catalog: dropped, or a copy that a rewrite made and dropped. */
static void take_dropped(struct relation *known, struct ledger_statement *statement, int rank, struct size_sum *sum)
{
	const struct relation_change gone = {.dropped = true};
	if (!known || known->dropped)
		return;
	note_change(statement, known, &gone);
	known->dropped = true;
	if (relation_has_size(known))
		add_size(sum, known->size_bytes, 0, rank);
	known->size_bytes = 0;
}

/* True when it was not there before. */
static bool take_relation(struct statement_measure *measure, struct ledger_statement *statement, const PGresult *result,
			  int row, struct size_sum *sum)
{
	int rank = (int)pg_conn_int(result, row, COLUMN_RANK, 0);
	struct relation *known =
		relation_table_find(&measure->relations, (uint32_t)pg_conn_int(result, row, COLUMN_OID, 0));
	if (PQgetisnull(result, row, 0)) {
		take_dropped(known, statement, rank, sum);
		return false;
	}
	int64_t before = known ? known->size_bytes : 0;
	struct relation_change change;
	known = relation_table_update(&measure->relations, result, row, 0, &change);
	change.rewritten &= rank >= REWRITE_RANK; /* else somebody else's, before it was locked */
	note_change(statement, known, &change);
	if (!PQgetisnull(result, row, COLUMN_SIZE) && known->ours) {
		int64_t after = pg_conn_int(result, row, COLUMN_SIZE, RELATION_SIZE_UNKNOWN);
		add_size(sum, before, after, rank);
		known->size_bytes = after;
	}
	return change.created;
}

/* Since statement_measure_begin() or the statement before; fewer: handed in meanwhile, and begun anew. */
static int64_t count_fresh(const PGresult *result, int row, int column, int64_t *before)
{
	if (PQgetisnull(result, row, column))
		return 0;
	int64_t now = pg_conn_int(result, row, column, 0);
	int64_t fresh = now >= *before ? now - *before : now;
	*before = now;
	return fresh;
}

/* Those of the locks that this statement added or made stronger. */
static void add_fresh_locks(struct statement_measure *measure, struct ledger_statement *statement,
			    const PGresult *result)
{
	int rows = PQntuples(result);
	int *fresh = mem_zalloc((size_t)rows + 1, sizeof(*fresh));
	for (int i = 0; i < rows; i++) {
		struct relation *relation =
			relation_table_find(&measure->relations, (uint32_t)pg_conn_int(result, i, COLUMN_OID, 0));
		int rank = (int)pg_conn_int(result, i, COLUMN_RANK, 0);
		if (!relation || rank <= relation->held_rank)
			continue;
		relation->held_rank = rank;
		fresh[i] = rank;
	}
	for (int i = 0; statement && i < rows; i++) {
		const struct relation *relation =
			relation_table_find(&measure->relations, (uint32_t)pg_conn_int(result, i, COLUMN_OID, 0));
		if (fresh[i] && is_worth_a_line(measure, relation, fresh[i], held_rank))
			(void)add_lock(measure, statement, relation, fresh[i]);
	}
	free(fresh);
}

static void take_relations(struct statement_measure *measure, struct ledger_statement *statement,
			   const PGresult *result)
{
	struct size_sum sum = {0};
	int64_t rows = 0, changed = 0;
	for (int i = 0; i < PQntuples(result); i++) {
		bool created = take_relation(measure, statement, result, i, &sum);
		struct relation *relation =
			relation_table_find(&measure->relations, (uint32_t)pg_conn_int(result, i, COLUMN_OID, 0));
		if (!relation)
			continue;
		rows += count_fresh(result, i, COLUMN_ROWS, &relation->rows_before);
		int64_t fresh = count_fresh(result, i, COLUMN_CHANGED, &relation->changes_before);
		changed += created ? 0 : fresh; /* CREATE TABLE AS amends nothing */
	}
	add_fresh_locks(measure, statement, result);
	if (!statement)
		return;
	statement->size_delta_bytes = sum.unknown ? INT64_MIN : sum.delta_bytes;
	statement->rows_scanned = rows;
	statement->rows_changed = changed;
}

static bool is_looked_at(const void *context, uint32_t table_oid)
{
	return held_rank(context, table_oid) >= TRIGGER_RANK;
}

bool statement_measure_inside(struct statement_measure *measure, struct ledger_statement *statement)
{
	struct error ignored = ERROR_INIT;
	PGresult *results[QUESTION_COUNT] = {NULL};
	int rc = measure->ask(measure->ask_context, questions, QUESTION_COUNT, results, &ignored);
	if (rc != 0 && PQresultStatus(results[0]) == PGRES_COMMAND_OK) { /* the savepoint stands */
		PQclear(ask_one(measure, "ROLLBACK TO rehearse_measure"));
		PQclear(ask_one(measure, "RELEASE rehearse_measure"));
	}
	bool known = PQresultStatus(results[QUESTION_RELATIONS]) == PGRES_TUPLES_OK;
	if (known)
		take_relations(measure, statement, results[QUESTION_RELATIONS]);
	else if (statement)
		statement_measure_sampled(measure, statement, true);
	if (known && PQresultStatus(results[QUESTION_TRIGGERS]) == PGRES_TUPLES_OK)
		code_table_take_triggers(&measure->code, results[QUESTION_TRIGGERS], statement, is_looked_at, measure);
	if (PQresultStatus(results[QUESTION_CALLS]) == PGRES_TUPLES_OK)
		code_table_take_calls(&measure->code, results[QUESTION_CALLS], statement);
	for (size_t i = 0; i < QUESTION_COUNT; i++)
		PQclear(results[i]);
	return known;
}

/*
 * A backend's pg_stat_xact counts go back to when it last handed them in, at most once a second, not to the
 * transaction's start. So they are handed in now; where that cannot be asked for (before 15) they are read.
 */
void statement_measure_begin(struct statement_measure *measure)
{
	static const char read_counts[] =
		"SELECT c.oid, r, w FROM (SELECT oid, pg_catalog.pg_stat_get_xact_tuples_returned(oid) AS r,"
		" pg_catalog.pg_stat_get_xact_tuples_inserted(oid) + pg_catalog.pg_stat_get_xact_tuples_updated(oid)"
		" + pg_catalog.pg_stat_get_xact_tuples_deleted(oid) AS w FROM pg_catalog.pg_class"
		" WHERE relkind IN ('r', 'm', 't') AND oid >= 16384) c WHERE r > 0 OR w > 0";
	for (struct relation *relation = measure->relations.by_oid; relation; relation = relation->hh.next)
		relation->rows_before = relation->changes_before = 0;
	code_table_forget_calls(&measure->code);
	if (PQserverVersion(measure->probe.conn) >= 150000) {
		PQclear(ask_one(measure, "SELECT pg_catalog.pg_stat_force_next_flush()"));
		return;
	}
	PGresult *result = ask_one(measure, read_counts);
	for (int i = 0; i < PQntuples(result); i++) {
		struct relation *relation =
			relation_table_find(&measure->relations, (uint32_t)pg_conn_int(result, i, 0, 0));
		if (!relation)
			continue;
		relation->rows_before = pg_conn_int(result, i, 1, 0);
		relation->changes_before = pg_conn_int(result, i, 2, 0);
	}
	PQclear(result);
	result = ask_one(measure, CODE_CALLS_SQL);
	if (result)
		code_table_take_calls(&measure->code, result, NULL);
	PQclear(result);
}

/* What a bare statement may be told to have done: others (replayed traffic) change relations meanwhile too. */
struct outside {
	struct statement_measure *measure;
	struct ledger_statement *statement;
	struct mention *mentions;
	bool names_some;
};

static bool concerns(const struct outside *outside, const struct relation *relation)
{
	const struct statement_measure *measure = outside->measure;
	const struct relation *table =
		relation->table_oid ? relation_table_find(&measure->relations, relation->table_oid) : NULL;
	if (!outside->names_some || seen_rank(measure, relation->oid) > 1 ||
	    (table && seen_rank(measure, table->oid) > 1))
		return true;
	return relation_is_mentioned(relation, outside->mentions) ||
	       (table && relation_is_mentioned(table, outside->mentions));
}

static void report_outside(void *context, const struct relation *relation, const struct relation_change *change)
{
	const struct outside *outside = context;
	if (relation->ours && concerns(outside, relation))
		note_change(outside->statement, relation, change);
}

/* The sizes of what it was seen to lock, or, where it was too quick for that, of what it names. */
static void compare_sizes(const struct outside *outside, struct span sql)
{
	struct statement_measure *measure = outside->measure;
	struct size_sum sum = {0};
	bool any = false;
	struct relation *relation;
	for (relation = measure->relations.by_oid; relation; relation = relation->hh.next)
		relation->size_before = relation->size_bytes;
	relation_table_measure(&measure->relations, measure->probe.conn, sql, false);
	for (relation = measure->relations.by_oid; relation; relation = relation->hh.next) {
		bool named = outside->names_some && relation_is_mentioned(relation, outside->mentions);
		int rank = named ? REWRITE_RANK : seen_rank(measure, relation->oid);
		if (!relation_has_size(relation) || rank == 0)
			continue;
		any = true;
		add_size(&sum, relation->size_before, relation->size_bytes, rank);
	}
	outside->statement->size_delta_bytes = any && !sum.unknown ? sum.delta_bytes : INT64_MIN;
}

static bool names_some(const struct outside *outside)
{
	const struct statement_measure *measure = outside->measure;
	for (const struct relation *relation = measure->relations.by_oid; relation; relation = relation->hh.next) {
		if (relation->ours && relation_is_mentioned(relation, outside->mentions))
			return true;
	}
	return false;
}

void statement_measure_outside(struct statement_measure *measure, struct ledger_statement *statement, struct span sql)
{
	struct error ignored = ERROR_INIT;
	if (!trace_probe_quiet(&measure->probe))
		return;
	struct outside outside = {.measure = measure, .statement = statement, .mentions = relation_mentions_new(sql)};
	outside.names_some = names_some(&outside);
	(void)relation_table_load(&measure->relations, measure->probe.conn, report_outside, &outside, &ignored);
	(void)code_table_load(&measure->code, measure->probe.conn, statement->runs_code ? statement : NULL, &ignored);
	compare_sizes(&outside, sql);
	relation_mentions_free(outside.mentions);
}

static int rank_in(const PGresult *locks, uint32_t oid)
{
	int best = 0;
	for (int i = 0; i < PQntuples(locks); i++) {
		int rank = lock_mode_rank(PQgetvalue(locks, i, 1));
		if ((uint32_t)pg_conn_int(locks, i, 0, 0) == oid && PQgetvalue(locks, i, 2)[0] == 't' && rank > best)
			best = rank;
	}
	return best;
}

bool statement_measure_locks(struct statement_measure *measure, struct ledger_statement *statement)
{
	PGresult *locks = trace_probe_locks_now(&measure->probe);
	if (locks)
		own_locks_sample(&measure->probe.locks, locks, clock_mono_ns());
	statement_measure_sampled(measure, statement, true);
	PQclear(locks);
	return locks != NULL;
}

void statement_measure_rolled_back_to(struct statement_measure *measure, struct ledger_statement *statements,
				      size_t count, int64_t now_ns)
{
	struct error ignored = ERROR_INIT;
	PGresult *locks = trace_probe_locks_now(&measure->probe);
	if (!locks)
		return; /* shown as held to the end: more than it was, never less */
	/* What was committed before is so again; what the transaction did before the savepoint is asked of itself. */
	(void)relation_table_load(&measure->relations, measure->probe.conn, NULL, NULL, &ignored);
	(void)code_table_load(&measure->code, measure->probe.conn, NULL, &ignored);
	relation_table_forget_locks(&measure->relations);
	(void)statement_measure_inside(measure, NULL);
	for (size_t i = 0; i < count; i++) {
		for (size_t j = 0; j < statements[i].lock_count; j++) {
			struct ledger_lock *lock = &statements[i].locks[j];
			if (lock->released_ns == LOCK_STILL_HELD &&
			    rank_in(locks, lock->relation_oid) < lock_mode_rank(lock->mode))
				lock->released_ns = since_t0(measure, now_ns);
		}
	}
	PQclear(locks);
}
