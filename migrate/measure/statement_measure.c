/*
 * What one statement did: see statement_measure.h.
 *
 * What is asked on the migration's own connection stands in a savepoint with a lock_timeout, so that measuring can
 * neither wait nor fail the migration. Rows scanned are those of the backend itself: what parallel workers of an index
 * build read is not among them.
 */
#include "statement_measure.h"

#include "mem.h"
#include "own_locks.h"
#include "pg_conn.h"

/* What is asked on the migration's own connection before COMMIT. 5 columns behind RELATION_COLUMNS. */
static const char measure_sql[] =
	"SAVEPOINT rehearse_measure; SET LOCAL lock_timeout = '20ms'; SET LOCAL statement_timeout = 0;"
	"SELECT " RELATION_COLUMNS ", l.relation, l.mode,"
	" CASE WHEN c.relkind IN ('r', 'm', 'S') THEN pg_catalog.pg_total_relation_size(c.oid) END,"
	" CASE WHEN c.relkind IN ('r', 'm', 't') THEN pg_catalog.pg_stat_get_xact_tuples_returned(c.oid) END"
	" FROM pg_catalog.pg_locks l LEFT JOIN (pg_catalog.pg_class c" RELATION_JOINS ") ON c.oid = l.relation"
	" WHERE l.pid = pg_catalog.pg_backend_pid() AND l.locktype = 'relation' AND l.granted AND l.relation >= 16384"
	" AND l.database = (SELECT oid FROM pg_catalog.pg_database WHERE datname = current_database());"
	"ROLLBACK TO rehearse_measure; RELEASE rehearse_measure";
#define COLUMN_OID  RELATION_COLUMN_COUNT
#define COLUMN_MODE (RELATION_COLUMN_COUNT + 1)
#define COLUMN_SIZE (RELATION_COLUMN_COUNT + 2)
#define COLUMN_ROWS (RELATION_COLUMN_COUNT + 3)

static int64_t since_t0(const struct statement_measure *measure, int64_t ns)
{
	return ns - measure->t0_ns;
}

/* Runs a command of ours on the migration's connection. */
static void run_own(struct statement_measure *measure, const char *sql)
{
	struct error ignored = ERROR_INIT;
	(void)pg_conn_run(measure->run->conn, sql, "migration", &ignored);
}

void statement_measure_end_transaction(struct statement_measure *measure)
{
	measure->held_count = 0;
}

static int held_rank(const struct statement_measure *measure, uint32_t oid)
{
	for (size_t i = 0; i < measure->held_count; i++) {
		if (measure->held[i].oid == oid)
			return measure->held[i].rank;
	}
	return 0;
}

static void hold(struct statement_measure *measure, uint32_t oid, int rank)
{
	for (size_t i = 0; i < measure->held_count; i++) {
		if (measure->held[i].oid == oid) {
			measure->held[i].rank = rank;
			return;
		}
	}
	MEM_GROW(measure->held, measure->held_count, measure->held_capacity);
	measure->held[measure->held_count++] = (struct held_lock){.oid = oid, .rank = rank};
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
	struct ledger_lock *lock = ledger_statement_add_lock(statement);
	(void)snprintf(lock->relation, sizeof(lock->relation), "%s", relation->name);
	(void)snprintf(lock->mode, sizeof(lock->mode), "%s", lock_mode_name(rank));
	lock->relation_oid = relation->oid;
	lock->waited_ns = own_locks_waited_ns(&measure->run->locks, relation->oid);
	lock->acquired_ns = statement->start_ns;
	lock->released_ns = statement->end_ns;
	const struct own_lock *seen = own_locks_find(&measure->run->locks, relation->oid, rank);
	if (seen && since_t0(measure, seen->acquired_ns) > lock->acquired_ns)
		lock->acquired_ns = since_t0(measure, seen->acquired_ns);
	return lock;
}

/* Locks as the backend itself told them before COMMIT: those that this statement added or made stronger. */
static void add_measured_locks(struct statement_measure *measure, struct ledger_statement *statement,
			       const PGresult *result)
{
	int rows = PQntuples(result);
	struct held_lock *fresh = mem_zalloc((size_t)rows + 1, sizeof(*fresh));
	size_t count = 0;
	for (int i = 0; i < rows; i++) {
		uint32_t oid = (uint32_t)pg_conn_int(result, i, COLUMN_OID, 0);
		int rank = lock_mode_rank(PQgetvalue(result, i, COLUMN_MODE));
		if (rank <= held_rank(measure, oid))
			continue;
		hold(measure, oid, rank);
		size_t at = 0;
		while (at < count && fresh[at].oid != oid)
			at++;
		fresh[at] = (struct held_lock){.oid = oid, .rank = rank};
		count += at == count;
	}
	for (size_t i = 0; i < count; i++) {
		const struct relation *relation = relation_table_find(&measure->relations, fresh[i].oid);
		if (is_worth_a_line(measure, relation, fresh[i].rank, held_rank))
			(void)add_lock(measure, statement, relation, fresh[i].rank);
	}
	free(fresh);
}

static int seen_rank(const struct statement_measure *measure, uint32_t oid)
{
	const struct own_lock *lock = own_locks_strongest(&measure->run->locks, oid);
	int before = held_rank(measure, oid);
	return lock && lock->rank > before ? lock->rank : before;
}

/* Locks as sampled from outside: for statements that cannot run inside a transaction, and for those that failed. */
void statement_measure_sampled(struct statement_measure *measure, struct ledger_statement *statement)
{
	const struct own_locks *locks = &measure->run->locks;
	for (size_t i = 0; i < locks->count; i++) {
		const struct own_lock *seen = &locks->items[i];
		const struct relation *relation = relation_table_find(&measure->relations, seen->oid);
		if (seen != own_locks_strongest(locks, seen->oid) || seen->rank <= held_rank(measure, seen->oid) ||
		    !is_worth_a_line(measure, relation, seen->rank, seen_rank))
			continue;
		struct ledger_lock *lock = add_lock(measure, statement, relation, seen->rank);
		if (!seen->granted)
			lock->acquired_ns = lock->released_ns; /* wanted, and never had */
		else if (seen->gone_ns)
			lock->released_ns = since_t0(measure, seen->gone_ns);
	}
}

/* Takes a relation's row in; notes a rewrite when its file was replaced. */
static void take_relation(struct statement_measure *measure, struct ledger_statement *statement, const PGresult *result,
			  int row)
{
	const struct relation *known =
		relation_table_find(&measure->relations, (uint32_t)pg_conn_int(result, row, 0, 0));
	uint32_t before = known ? known->filenode : 0;
	const struct relation *now = relation_table_update(&measure->relations, result, row, 0);
	if (before && now->filenode && before != now->filenode && now->ours)
		ledger_statement_add_rewrite(statement, now->name);
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

static void take_measured_row(struct statement_measure *measure, struct ledger_statement *statement,
			      const PGresult *result, int i, struct size_sum *sum)
{
	uint32_t oid = (uint32_t)pg_conn_int(result, i, COLUMN_OID, 0);
	int rank = lock_mode_rank(PQgetvalue(result, i, COLUMN_MODE));
	struct relation *known = relation_table_find(&measure->relations, oid);
	if (PQgetisnull(result, i, 0)) { /* dropped, or a copy that a rewrite made and dropped */
		if (known && known->ours && (known->kind == 'r' || known->kind == 'm' || known->kind == 'S')) {
			add_size(sum, known->size_bytes, 0, rank);
			known->size_bytes = 0;
		}
		return;
	}
	int64_t before = known ? known->size_bytes : 0;
	take_relation(measure, statement, result, i);
	known = relation_table_find(&measure->relations, oid);
	if (!PQgetisnull(result, i, COLUMN_SIZE) && known->ours) {
		int64_t after = pg_conn_int(result, i, COLUMN_SIZE, RELATION_SIZE_UNKNOWN);
		add_size(sum, before, after, rank);
		known->size_bytes = after;
	}
}

static bool row_is_repeated(const PGresult *result, int row)
{
	for (int i = 0; i < row; i++) {
		if (strcmp(PQgetvalue(result, i, COLUMN_OID), PQgetvalue(result, row, COLUMN_OID)) == 0)
			return true;
	}
	return false;
}

/* Rows read from one relation since statement_measure_begin() or the statement before. */
static int64_t count_rows(struct statement_measure *measure, const PGresult *result, int row)
{
	struct relation *relation =
		relation_table_find(&measure->relations, (uint32_t)pg_conn_int(result, row, COLUMN_OID, 0));
	int64_t now = pg_conn_int(result, row, COLUMN_ROWS, 0);
	if (!relation || PQgetisnull(result, row, COLUMN_ROWS))
		return 0;
	/* fewer than before: the backend has handed its counts in meanwhile, and began anew */
	int64_t fresh = now >= relation->rows_before ? now - relation->rows_before : now;
	relation->rows_before = now;
	return fresh;
}

/*
 * A backend's pg_stat_xact counts go back to when it last handed them in, at most once a second, not to the
 * transaction's start. So they are handed in now; where that cannot be asked for (before 15) they are read.
 */
void statement_measure_begin(struct statement_measure *measure)
{
	struct error ignored = ERROR_INIT;
	PGresult *result = NULL;
	for (struct relation *relation = measure->relations.by_oid; relation; relation = relation->hh.next)
		relation->rows_before = 0;
	if (PQserverVersion(measure->run->conn) >= 150000) {
		run_own(measure, "SELECT pg_catalog.pg_stat_force_next_flush()");
		return;
	}
	if (pg_conn_query(measure->run->conn,
			  "SELECT oid, r FROM (SELECT oid, pg_catalog.pg_stat_get_xact_tuples_returned(oid) AS r"
			  " FROM pg_catalog.pg_class WHERE relkind IN ('r', 'm', 't') AND oid >= 16384) c WHERE r > 0",
			  "rows read", &result, &ignored) != 0)
		return;
	for (int i = 0; i < PQntuples(result); i++) {
		struct relation *relation =
			relation_table_find(&measure->relations, (uint32_t)pg_conn_int(result, i, 0, 0));
		if (relation)
			relation->rows_before = pg_conn_int(result, i, 1, 0);
	}
	PQclear(result);
}

static void take_measured(struct statement_measure *measure, struct ledger_statement *statement, const PGresult *result)
{
	struct size_sum sum = {0};
	int64_t rows = 0;
	for (int i = 0; i < PQntuples(result); i++) {
		if (row_is_repeated(result, i)) /* another mode on the same relation */
			continue;
		take_measured_row(measure, statement, result, i, &sum);
		rows += count_rows(measure, result, i);
	}
	add_measured_locks(measure, statement, result);
	statement->size_delta_bytes = sum.unknown ? INT64_MIN : sum.delta_bytes;
	statement->rows_scanned = rows;
}

/* Asks the migration's own backend what it holds. Where it cannot be told, the samples have to do. */
void statement_measure_inside(struct statement_measure *measure, struct ledger_statement *statement)
{
	PGconn *conn = measure->run->conn;
	PGresult *result, *answer = NULL;
	bool failed = !PQsendQuery(conn, measure_sql);
	while (!failed && (result = PQgetResult(conn))) {
		if (PQresultStatus(result) == PGRES_TUPLES_OK && !answer) {
			answer = result;
			continue;
		}
		failed = PQresultStatus(result) != PGRES_COMMAND_OK;
		PQclear(result);
	}
	while ((result = PQgetResult(conn)))
		PQclear(result);
	if (PQtransactionStatus(conn) == PQTRANS_INERROR)
		run_own(measure, "ROLLBACK TO rehearse_measure; RELEASE rehearse_measure");
	if (answer)
		take_measured(measure, statement, answer);
	else
		statement_measure_sampled(measure, statement);
	PQclear(answer);
}

/* After a statement that ran bare, from outside: files by the whole catalog, sizes of what it was seen to lock. */
void statement_measure_outside(struct statement_measure *measure, struct ledger_statement *statement, struct span sql)
{
	struct error ignored = ERROR_INIT;
	PGresult *result = NULL;
	if (pg_conn_query(measure->run->probe,
			  "SELECT " RELATION_COLUMNS " FROM pg_catalog.pg_class c" RELATION_JOINS
			  " WHERE c.relkind IN ('r', 'p', 'i', 'I', 'm', 'S', 'v', 'f', 't')",
			  "reading the relations", &result, &ignored) == 0) {
		for (int i = 0; i < PQntuples(result); i++)
			take_relation(measure, statement, result, i);
		PQclear(result);
	}
	const struct own_locks *locks = &measure->run->locks;
	int64_t *before = mem_zalloc(locks->count + 1, sizeof(*before));
	for (size_t i = 0; i < locks->count; i++) {
		const struct relation *relation = relation_table_find(&measure->relations, locks->items[i].oid);
		before[i] = relation ? relation->size_bytes : RELATION_SIZE_UNKNOWN;
	}
	relation_table_measure(&measure->relations, measure->run->probe, sql);
	struct size_sum sum = {0};
	bool any = false;
	for (size_t i = 0; i < locks->count; i++) {
		const struct own_lock *lock = &locks->items[i];
		const struct relation *relation = relation_table_find(&measure->relations, lock->oid);
		if (!relation || lock != own_locks_strongest(locks, lock->oid) || !relation->ours ||
		    (relation->kind != 'r' && relation->kind != 'm'))
			continue;
		any = true;
		add_size(&sum, before[i], relation->size_bytes, lock->rank);
	}
	statement->size_delta_bytes = any && !sum.unknown ? sum.delta_bytes : INT64_MIN;
	free(before);
}
