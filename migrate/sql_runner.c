/*
 * Runs a migration's statements and keeps the ledger: see sql_runner.h.
 *
 * Three connections' worth of care in two connections: `conn` runs the migration and is asked, before COMMIT, what it
 * holds; `probe` looks on from outside: samples while a statement runs, sizes before, WAL positions before and after.
 * What is asked on `conn` stands in a savepoint with a lock_timeout, so that measuring can neither wait nor fail the
 * migration. Rows scanned are those of the backend itself: what parallel workers of an index build read is not
 * among them.
 */
#include "sql_runner.h"

#include "clock.h"
#include "logging.h"
#include "mem.h"
#include "own_locks.h"
#include "pg_conn.h"
#include "relation_table.h"
#include "sql_fingerprint.h"
#include "sql_lexer.h"
#include "statement_run.h"
#include "strbuf.h"

#define DEFAULT_INTERVAL_NS (10 * NS_PER_MS)
#define SQL_SHOWN_MAX	    ((size_t)16 * 1024)
#define NO_STATEMENT	    SIZE_MAX

/* How a statement is run. */
enum manner {
	MANNER_WRAPPED, /* between BEGIN and COMMIT of ours */
	MANNER_BARE,	/* by itself: it may end transactions, or cannot run inside of one */
	MANNER_CONTROL	/* by itself, and nothing to measure: BEGIN, COMMIT, SET … */
};

struct held_lock {
	uint32_t oid;
	int rank;
};

struct runner {
	const struct sql_runner_options *options;
	struct ledger *ledger;
	struct statement_runner run;
	struct relation_table relations;
	/* The migration's open transaction: */
	size_t first_statement; /* index in the ledger of its first statement, NO_STATEMENT when none is open */
	struct held_lock *held; /* strongest mode on each relation, from the statements before */
	size_t held_count;
	size_t held_capacity;
};

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

static struct sql_token next_word(struct sql_lexer *lexer)
{
	struct sql_token token;
	do {
		token = sql_lexer_next(lexer);
	} while (token.kind == SQL_TOKEN_SPACE || token.kind == SQL_TOKEN_COMMENT);
	return token;
}

static bool is_one_of(const struct sql_token *token, const char *const *words)
{
	for (; *words; words++) {
		if (sql_token_is_word(token, *words))
			return true;
	}
	return false;
}

/* A DO block that ends transactions itself; its body is a string, so its words are looked for in that. */
static bool body_commits(struct span sql)
{
	static const char *const words[] = {"COMMIT", "ROLLBACK"};
	for (size_t w = 0; w < 2; w++) {
		size_t len = strlen(words[w]);
		for (size_t i = 0; i + len <= sql.len; i++) {
			if (strncasecmp(sql.p + i, words[w], len) == 0)
				return true;
		}
	}
	return false;
}

static enum manner choose_manner(struct span sql, bool in_block)
{
	static const char *const control[] = {"BEGIN",	 "START", "COMMIT", "END",     "ROLLBACK", "ABORT", "SAVEPOINT",
					      "RELEASE", "SET",	  "RESET",  "DISCARD", "PREPARE",  NULL};
	struct sql_lexer lexer;
	sql_lexer_init(&lexer, SQL_POSTGRESQL, sql.p, sql.len);
	struct sql_token first = next_word(&lexer);
	if (is_one_of(&first, control))
		return MANNER_CONTROL;
	if (in_block)
		return MANNER_WRAPPED; /* by the file's own BEGIN */
	if (sql_token_is_word(&first, "CALL") || (sql_token_is_word(&first, "DO") && body_commits(sql)))
		return MANNER_BARE;
	return MANNER_WRAPPED;
}

static int64_t since_t0(const struct runner *runner, int64_t ns)
{
	return ns - runner->options->t0_ns;
}

static bool in_transaction(const struct runner *runner)
{
	PGTransactionStatusType status = PQtransactionStatus(runner->run.conn);
	return status == PQTRANS_INTRANS || status == PQTRANS_INERROR;
}

/* Runs a command of ours on the migration's connection. */
static bool run_own(struct runner *runner, const char *sql)
{
	struct error ignored = ERROR_INIT;
	return pg_conn_run(runner->run.conn, sql, "migration", &ignored) == 0;
}

static int64_t wal_position(struct runner *runner)
{
	struct error ignored = ERROR_INIT;
	PGresult *result = NULL;
	int64_t position = -1;
	if (pg_conn_query(runner->run.probe, "SELECT pg_catalog.pg_current_wal_insert_lsn() - '0/0'", "WAL position",
			  &result, &ignored) == 0)
		position = pg_conn_int(result, 0, 0, -1);
	PQclear(result);
	return position;
}

static char *shown_sql(struct span sql)
{
	struct strbuf text;
	strbuf_init(&text, sql.len * 2 + 1024);
	sql_redact(SQL_POSTGRESQL, sql, &text);
	if (text.len > SQL_SHOWN_MAX) {
		strbuf_truncate(&text, SQL_SHOWN_MAX);
		strbuf_add_str(&text, "…");
	}
	return strbuf_detach(&text);
}

static int held_rank(const struct runner *runner, uint32_t oid)
{
	for (size_t i = 0; i < runner->held_count; i++) {
		if (runner->held[i].oid == oid)
			return runner->held[i].rank;
	}
	return 0;
}

static void hold(struct runner *runner, uint32_t oid, int rank)
{
	for (size_t i = 0; i < runner->held_count; i++) {
		if (runner->held[i].oid == oid) {
			runner->held[i].rank = rank;
			return;
		}
	}
	MEM_GROW(runner->held, runner->held_count, runner->held_capacity);
	runner->held[runner->held_count++] = (struct held_lock){.oid = oid, .rank = rank};
}

/* An index's lock is worth a line only where its table's own lock does not say as much. */
static bool is_worth_a_line(const struct runner *runner, const struct relation *relation, int rank,
			    int (*table_rank)(const struct runner *, uint32_t))
{
	if (!relation || !relation->ours)
		return false; /* the system's, TOAST's, or the transient copy of a rewrite */
	return relation->table_oid == 0 || table_rank(runner, relation->table_oid) < rank;
}

static struct ledger_lock *add_lock(struct runner *runner, struct ledger_statement *statement,
				    const struct relation *relation, int rank)
{
	struct ledger_lock *lock = ledger_statement_add_lock(statement);
	(void)snprintf(lock->relation, sizeof(lock->relation), "%s", relation->name);
	(void)snprintf(lock->mode, sizeof(lock->mode), "%s", lock_mode_name(rank));
	lock->relation_oid = relation->oid;
	lock->waited_ns = own_locks_waited_ns(&runner->run.locks, relation->oid);
	lock->acquired_ns = statement->start_ns;
	lock->released_ns = statement->end_ns;
	const struct own_lock *seen = own_locks_find(&runner->run.locks, relation->oid, rank);
	if (seen && since_t0(runner, seen->acquired_ns) > lock->acquired_ns)
		lock->acquired_ns = since_t0(runner, seen->acquired_ns);
	return lock;
}

/* Locks as the backend itself told them before COMMIT: those that this statement added or made stronger. */
static void add_measured_locks(struct runner *runner, struct ledger_statement *statement, const PGresult *result)
{
	int rows = PQntuples(result);
	struct held_lock *fresh = mem_zalloc((size_t)rows + 1, sizeof(*fresh));
	size_t count = 0;
	for (int i = 0; i < rows; i++) {
		uint32_t oid = (uint32_t)pg_conn_int(result, i, COLUMN_OID, 0);
		int rank = lock_mode_rank(PQgetvalue(result, i, COLUMN_MODE));
		if (rank <= held_rank(runner, oid))
			continue;
		hold(runner, oid, rank);
		size_t at = 0;
		while (at < count && fresh[at].oid != oid)
			at++;
		fresh[at] = (struct held_lock){.oid = oid, .rank = rank};
		count += at == count;
	}
	for (size_t i = 0; i < count; i++) {
		const struct relation *relation = relation_table_find(&runner->relations, fresh[i].oid);
		if (is_worth_a_line(runner, relation, fresh[i].rank, held_rank))
			(void)add_lock(runner, statement, relation, fresh[i].rank);
	}
	free(fresh);
}

static int seen_rank(const struct runner *runner, uint32_t oid)
{
	const struct own_lock *lock = own_locks_strongest(&runner->run.locks, oid);
	int before = held_rank(runner, oid);
	return lock && lock->rank > before ? lock->rank : before;
}

/* Locks as sampled from outside: for statements that cannot run inside a transaction, and for those that failed. */
static void add_sampled_locks(struct runner *runner, struct ledger_statement *statement)
{
	const struct own_locks *locks = &runner->run.locks;
	for (size_t i = 0; i < locks->count; i++) {
		const struct own_lock *seen = &locks->items[i];
		const struct relation *relation = relation_table_find(&runner->relations, seen->oid);
		if (seen != own_locks_strongest(locks, seen->oid) || seen->rank <= held_rank(runner, seen->oid) ||
		    !is_worth_a_line(runner, relation, seen->rank, seen_rank))
			continue;
		struct ledger_lock *lock = add_lock(runner, statement, relation, seen->rank);
		if (!seen->granted)
			lock->acquired_ns = lock->released_ns; /* wanted, and never had */
		else if (seen->gone_ns)
			lock->released_ns = since_t0(runner, seen->gone_ns);
	}
}

/* Takes a relation's row in; notes a rewrite when its file was replaced. */
static void take_relation(struct runner *runner, struct ledger_statement *statement, const PGresult *result, int row)
{
	const struct relation *known =
		relation_table_find(&runner->relations, (uint32_t)pg_conn_int(result, row, 0, 0));
	uint32_t before = known ? known->filenode : 0;
	const struct relation *now = relation_table_update(&runner->relations, result, row, 0);
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

static void take_measured_row(struct runner *runner, struct ledger_statement *statement, const PGresult *result, int i,
			      struct size_sum *sum)
{
	uint32_t oid = (uint32_t)pg_conn_int(result, i, COLUMN_OID, 0);
	int rank = lock_mode_rank(PQgetvalue(result, i, COLUMN_MODE));
	struct relation *known = relation_table_find(&runner->relations, oid);
	if (PQgetisnull(result, i, 0)) { /* dropped, or a copy that a rewrite made and dropped */
		if (known && known->ours && (known->kind == 'r' || known->kind == 'm' || known->kind == 'S')) {
			add_size(sum, known->size_bytes, 0, rank);
			known->size_bytes = 0;
		}
		return;
	}
	int64_t before = known ? known->size_bytes : 0;
	take_relation(runner, statement, result, i);
	known = relation_table_find(&runner->relations, oid);
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

/* Rows read from one relation since begin_counting() or the statement before. */
static int64_t count_rows(struct runner *runner, const PGresult *result, int row)
{
	struct relation *relation =
		relation_table_find(&runner->relations, (uint32_t)pg_conn_int(result, row, COLUMN_OID, 0));
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
static void begin_counting(struct runner *runner)
{
	struct error ignored = ERROR_INIT;
	PGresult *result = NULL;
	for (struct relation *relation = runner->relations.by_oid; relation; relation = relation->hh.next)
		relation->rows_before = 0;
	if (PQserverVersion(runner->run.conn) >= 150000) {
		(void)run_own(runner, "SELECT pg_catalog.pg_stat_force_next_flush()");
		return;
	}
	if (pg_conn_query(runner->run.conn,
			  "SELECT oid, r FROM (SELECT oid, pg_catalog.pg_stat_get_xact_tuples_returned(oid) AS r"
			  " FROM pg_catalog.pg_class WHERE relkind IN ('r', 'm', 't') AND oid >= 16384) c WHERE r > 0",
			  "rows read", &result, &ignored) != 0)
		return;
	for (int i = 0; i < PQntuples(result); i++) {
		struct relation *relation =
			relation_table_find(&runner->relations, (uint32_t)pg_conn_int(result, i, 0, 0));
		if (relation)
			relation->rows_before = pg_conn_int(result, i, 1, 0);
	}
	PQclear(result);
}

static void take_measured(struct runner *runner, struct ledger_statement *statement, const PGresult *result)
{
	struct size_sum sum = {0};
	int64_t rows = 0;
	for (int i = 0; i < PQntuples(result); i++) {
		if (row_is_repeated(result, i)) /* another mode on the same relation */
			continue;
		take_measured_row(runner, statement, result, i, &sum);
		rows += count_rows(runner, result, i);
	}
	add_measured_locks(runner, statement, result);
	statement->size_delta_bytes = sum.unknown ? INT64_MIN : sum.delta_bytes;
	statement->rows_scanned = rows;
}

/* Asks the migration's own backend what it holds. False when it could not be told. */
static bool measure_inside(struct runner *runner, struct ledger_statement *statement)
{
	PGconn *conn = runner->run.conn;
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
		(void)run_own(runner, "ROLLBACK TO rehearse_measure; RELEASE rehearse_measure");
	if (answer)
		take_measured(runner, statement, answer);
	else
		add_sampled_locks(runner, statement);
	PQclear(answer);
	return answer != NULL;
}

/* After a statement that ran bare, from outside: files by the whole catalog, sizes of what it was seen to lock. */
static void measure_outside(struct runner *runner, struct ledger_statement *statement, struct span sql)
{
	struct error ignored = ERROR_INIT;
	PGresult *result = NULL;
	if (pg_conn_query(runner->run.probe,
			  "SELECT " RELATION_COLUMNS " FROM pg_catalog.pg_class c" RELATION_JOINS
			  " WHERE c.relkind IN ('r', 'p', 'i', 'I', 'm', 'S', 'v', 'f', 't')",
			  "reading the relations", &result, &ignored) == 0) {
		for (int i = 0; i < PQntuples(result); i++)
			take_relation(runner, statement, result, i);
		PQclear(result);
	}
	const struct own_locks *locks = &runner->run.locks;
	int64_t *before = mem_zalloc(locks->count + 1, sizeof(*before));
	for (size_t i = 0; i < locks->count; i++) {
		const struct relation *relation = relation_table_find(&runner->relations, locks->items[i].oid);
		before[i] = relation ? relation->size_bytes : RELATION_SIZE_UNKNOWN;
	}
	relation_table_measure(&runner->relations, runner->run.probe, sql);
	struct size_sum sum = {0};
	bool any = false;
	for (size_t i = 0; i < locks->count; i++) {
		const struct own_lock *lock = &locks->items[i];
		const struct relation *relation = relation_table_find(&runner->relations, lock->oid);
		if (!relation || lock != own_locks_strongest(locks, lock->oid) || !relation->ours ||
		    (relation->kind != 'r' && relation->kind != 'm'))
			continue;
		any = true;
		add_size(&sum, before[i], relation->size_bytes, lock->rank);
	}
	statement->size_delta_bytes = any && !sum.unknown ? sum.delta_bytes : INT64_MIN;
	free(before);
}

/* The transaction has ended: everything that its statements held is released. */
static void end_transaction(struct runner *runner, int64_t end_ns)
{
	struct ledger *ledger = runner->ledger;
	for (size_t i = runner->first_statement; i < ledger->statement_count; i++) {
		struct ledger_statement *statement = &ledger->statements[i];
		statement->transaction_end_ns = end_ns;
		for (size_t j = 0; j < statement->lock_count; j++) {
			struct ledger_lock *lock = &statement->locks[j];
			bool never_had = lock->waited_ns > 0 && lock->acquired_ns == lock->released_ns;
			if (lock->released_ns >= statement->end_ns && !never_had) /* else it was seen to go before */
				lock->released_ns = end_ns;
		}
	}
	runner->first_statement = NO_STATEMENT;
	runner->held_count = 0;
	ledger->end_ns = end_ns;
}

static void reload_relations(struct runner *runner)
{
	struct error ignored = ERROR_INIT; /* what was rolled back is not so */
	(void)relation_table_load(&runner->relations, runner->run.probe, &ignored);
}

static void roll_back(struct runner *runner)
{
	if (PQstatus(runner->run.conn) == CONNECTION_OK && in_transaction(runner))
		(void)run_own(runner, "ROLLBACK");
	reload_relations(runner);
}

static bool needs_no_transaction(const struct statement_result *result)
{
	return strcmp(result->sqlstate, "25001") == 0 || strcmp(result->sqlstate, "2D000") == 0;
}

/* Runs the statement, between BEGIN and COMMIT of ours when that is its manner; may change that to bare. */
static void run_in_manner(struct runner *runner, const char *sql, const struct safe_message_place *place, bool in_block,
			  enum manner *manner, struct statement_result *result)
{
	if (*manner == MANNER_WRAPPED && !in_block)
		(void)run_own(runner, "BEGIN");
	statement_run(&runner->run, sql, place, true, result);
	if (*manner != MANNER_WRAPPED || in_block || result->outcome != STATEMENT_FAILED ||
	    !needs_no_transaction(result))
		return;
	(void)run_own(runner, "ROLLBACK");
	free(result->message);
	*manner = MANNER_BARE;
	statement_run(&runner->run, sql, place, true, result);
}

static void record_result(struct ledger_statement *statement, struct statement_result *result)
{
	memcpy(statement->sqlstate, result->sqlstate, sizeof(statement->sqlstate));
	free(statement->message);
	statement->message = result->message;
	result->message = NULL;
}

/* COMMIT of a statement of ours; a deferred constraint may fail it. */
static enum statement_outcome commit(struct runner *runner, struct ledger_statement *statement,
				     const struct safe_message_place *place)
{
	struct statement_result result;
	statement_run(&runner->run, "COMMIT", place, false, &result);
	if (result.outcome != STATEMENT_OK)
		record_result(statement, &result);
	free(result.message);
	return result.outcome;
}

static void measure_after(struct runner *runner, struct ledger_statement *statement, enum manner manner,
			  enum statement_outcome outcome, struct span sql)
{
	if (outcome != STATEMENT_OK)
		add_sampled_locks(runner, statement);
	else if (manner == MANNER_WRAPPED)
		(void)measure_inside(runner, statement);
	if (manner == MANNER_BARE) {
		measure_outside(runner, statement, sql);
		if (outcome == STATEMENT_OK)
			add_sampled_locks(runner, statement);
	}
}

static enum statement_outcome run_statement(struct runner *runner, const struct migration_statement *from)
{
	bool in_block = in_transaction(runner);
	enum manner manner = choose_manner(from->sql, in_block);
	char *sql = mem_strndup(from->sql.p, from->sql.len);
	const struct safe_message_place place = {.sql = from->sql, .line = from->line};
	if (!in_block) {
		relation_table_measure(&runner->relations, runner->run.probe, from->sql);
		begin_counting(runner);
	}
	int64_t wal_before = wal_position(runner);
	struct ledger_statement *statement = ledger_add_statement(runner->ledger);
	statement->file = mem_strdup(from->file);
	statement->line = from->line;
	statement->sql = shown_sql(from->sql);
	statement->backend_pid = runner->run.pid;
	if (runner->first_statement == NO_STATEMENT)
		runner->first_statement = runner->ledger->statement_count - 1;

	struct statement_result result;
	run_in_manner(runner, sql, &place, in_block, &manner, &result);
	enum statement_outcome outcome = result.outcome;
	statement->start_ns = since_t0(runner, result.start_ns);
	statement->end_ns = since_t0(runner, result.end_ns);
	if (runner->ledger->statement_count == 1)
		runner->ledger->start_ns = statement->start_ns;
	record_result(statement, &result);
	measure_after(runner, statement, manner, outcome, from->sql);
	if (outcome == STATEMENT_OK && manner == MANNER_WRAPPED && !in_block)
		outcome = commit(runner, statement, &place);
	if (outcome != STATEMENT_OK)
		roll_back(runner);
	if (manner == MANNER_CONTROL && outcome == STATEMENT_OK && in_block && !in_transaction(runner))
		reload_relations(runner); /* COMMIT or ROLLBACK of the file's */
	if (!in_transaction(runner)) {
		bool alone = manner != MANNER_WRAPPED && runner->first_statement + 1 == runner->ledger->statement_count;
		end_transaction(runner, alone ? statement->end_ns : since_t0(runner, clock_mono_ns()));
	}
	int64_t wal_after = wal_position(runner);
	if (wal_before >= 0 && wal_after >= wal_before)
		statement->wal_bytes = wal_after - wal_before;
	free(sql);
	return outcome;
}

static enum ledger_outcome ledger_outcome_of(enum statement_outcome outcome)
{
	switch (outcome) {
	case STATEMENT_OK:
		return LEDGER_OK;
	case STATEMENT_TIMEOUT:
		return LEDGER_TIMEOUT;
	case STATEMENT_CANCELLED:
		return LEDGER_CANCELLED;
	case STATEMENT_FAILED:
	default:
		return LEDGER_FAILED;
	}
}

static bool is_cancelled(const struct runner *runner)
{
	return runner->options->cancelled && *runner->options->cancelled;
}

static void run_all(struct runner *runner)
{
	const struct migration *migration = runner->options->migration;
	enum statement_outcome outcome = STATEMENT_OK;
	size_t i = 0;
	for (; i < migration->statement_count && outcome == STATEMENT_OK; i++) {
		if (is_cancelled(runner))
			outcome = STATEMENT_CANCELLED;
		else if (runner->run.deadline_ns && clock_mono_ns() >= runner->run.deadline_ns)
			outcome = STATEMENT_TIMEOUT;
		if (outcome != STATEMENT_OK)
			break;
		if (runner->options->statement_no)
			*runner->options->statement_no = (uint32_t)(i + 1);
		outcome = run_statement(runner, &migration->statements[i]);
	}
	runner->ledger->statements_not_run = migration->statement_count - i;
	runner->ledger->outcome = ledger_outcome_of(outcome);
	if (in_transaction(runner)) {
		if (outcome == STATEMENT_OK)
			log_warn("the migration's files end inside a transaction: it is rolled back, as psql does");
		roll_back(runner);
		end_transaction(runner, since_t0(runner, clock_mono_ns()));
	}
}

static int connect_both(struct runner *runner, struct error *err)
{
	struct statement_runner *run = &runner->run;
	int rc = pg_conn_open(runner->options->url, PG_CONN_APPLICATION " migration", &run->conn, err);
	if (rc == 0)
		rc = pg_conn_open(runner->options->url, PG_CONN_APPLICATION " migration watch", &run->probe, err);
	if (rc == 0)
		rc = pg_conn_run(run->probe, "SET statement_timeout = 0; SET lock_timeout = '50ms'; SET jit = off",
				 "migration watch", err);
	if (rc)
		return rc;
	run->pid = PQbackendPID(run->conn);
	PGresult *prepared = PQprepare(run->probe, "own_locks", own_locks_query(PQserverVersion(run->probe)), 0, NULL);
	if (PQresultStatus(prepared) != PGRES_COMMAND_OK)
		rc = error_set(err, ERR_DATA, "the server cannot tell the migration's locks: %s",
			       PQresultErrorMessage(prepared));
	PQclear(prepared);
	if (rc == 0) /* messages are cleaned of values by their English form; needs a superuser, so it may fail */
		(void)run_own(runner, "SET lc_messages = 'C'");
	if (rc == 0)
		rc = relation_table_load(&runner->relations, run->probe, err);
	run->database_oid = runner->relations.database_oid;
	return rc;
}

static void wait_for_start(const struct runner *runner)
{
	int64_t start_ns = runner->options->start_at_ns;
	for (int64_t now_ns; (now_ns = clock_mono_ns()) < start_ns && !is_cancelled(runner);) {
		int64_t look_ns = now_ns + 50 * NS_PER_MS;
		clock_sleep_until_ns(look_ns < start_ns ? look_ns : start_ns);
	}
}

int sql_runner_run(const struct sql_runner_options *options, struct ledger *ledger, struct error *err)
{
	struct runner runner = {.options = options, .ledger = ledger, .first_statement = NO_STATEMENT};
	relation_table_init(&runner.relations);
	own_locks_init(&runner.run.locks);
	runner.run.interval_ns = options->interval_ns > 0 ? options->interval_ns : DEFAULT_INTERVAL_NS;
	runner.run.cancelled = options->cancelled;
	int rc = connect_both(&runner, err);
	if (rc == 0) {
		wait_for_start(&runner);
		int64_t now_ns = clock_mono_ns();
		runner.run.deadline_ns = options->timeout_ns > 0 ? now_ns + options->timeout_ns : 0;
		ledger->start_ns = ledger->end_ns = since_t0(&runner, now_ns);
		run_all(&runner);
	}
	PQfinish(runner.run.conn);
	PQfinish(runner.run.probe);
	relation_table_release(&runner.relations);
	own_locks_release(&runner.run.locks);
	free(runner.held);
	return rc;
}
