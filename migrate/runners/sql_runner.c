/*
 * Runs a migration's statements and keeps the ledger: see sql_runner.h.
 *
 * Two connections: `conn` runs the migration and is asked, before COMMIT, what it
 * holds; `probe` looks on from outside: samples while a statement runs, sizes before, WAL positions before and after.
 */
#include "sql_runner.h"

#include "clock.h"
#include "logging.h"
#include "mem.h"
#include "own_locks.h"
#include "pg_conn.h"
#include "relation_table.h"
#include "runner_wait.h"
#include "sql_fingerprint.h"
#include "sql_lexer.h"
#include "statement_measure.h"
#include "statement_run.h"
#include "stop_flag.h"
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

struct runner {
	const struct sql_runner_options *options;
	struct ledger *ledger;
	struct statement_runner run;
	struct statement_measure measure;
	/* The migration's open transaction: */
	size_t first_statement; /* index in the ledger of its first statement, NO_STATEMENT when none is open */
};

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
	statement_measure_end_transaction(&runner->measure);
	ledger->end_ns = end_ns;
}

static void reload_relations(struct runner *runner)
{
	struct error ignored = ERROR_INIT; /* what was rolled back is not so */
	(void)relation_table_load(&runner->measure.relations, runner->run.probe, &ignored);
}

/* Returns when it was done, on clock_mono_ns(). */
static int64_t roll_back(struct runner *runner)
{
	if (PQstatus(runner->run.conn) == CONNECTION_OK && in_transaction(runner))
		(void)run_own(runner, "ROLLBACK");
	int64_t done_ns = clock_mono_ns();
	reload_relations(runner);
	return done_ns;
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
		statement_measure_sampled(&runner->measure, statement);
	else if (manner == MANNER_WRAPPED)
		statement_measure_inside(&runner->measure, statement);
	if (manner == MANNER_BARE) {
		statement_measure_outside(&runner->measure, statement, sql);
		if (outcome == STATEMENT_OK)
			statement_measure_sampled(&runner->measure, statement);
	}
}

static enum statement_outcome run_statement(struct runner *runner, const struct migration_statement *from)
{
	bool in_block = in_transaction(runner);
	enum manner manner = choose_manner(from->sql, in_block);
	char *sql = mem_strndup(from->sql.p, from->sql.len);
	const struct safe_message_place place = {.sql = from->sql, .line = from->line};
	if (!in_block) {
		relation_table_measure(&runner->measure.relations, runner->run.probe, from->sql);
		statement_measure_begin(&runner->measure);
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
	int64_t transaction_end_ns = result.end_ns; /* of a statement that ended it itself */
	if (outcome == STATEMENT_OK && manner == MANNER_WRAPPED && !in_block) {
		outcome = commit(runner, statement, &place);
		transaction_end_ns = clock_mono_ns();
	}
	if (outcome != STATEMENT_OK)
		transaction_end_ns = roll_back(runner);
	if (manner == MANNER_CONTROL && outcome == STATEMENT_OK && in_block && !in_transaction(runner))
		reload_relations(runner); /* COMMIT or ROLLBACK of the file's */
	if (!in_transaction(runner))
		end_transaction(runner, since_t0(runner, transaction_end_ns));
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
	return stop_flag_is_set(runner->options->cancelled);
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
		end_transaction(runner, since_t0(runner, roll_back(runner)));
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
		rc = relation_table_load(&runner->measure.relations, run->probe, err);
	run->database_oid = runner->measure.relations.database_oid;
	return rc;
}

int sql_runner_run(const struct sql_runner_options *options, struct ledger *ledger, struct error *err)
{
	struct runner runner = {.options = options, .ledger = ledger, .first_statement = NO_STATEMENT};
	relation_table_init(&runner.measure.relations);
	own_locks_init(&runner.run.locks);
	runner.run.interval_ns = options->interval_ns > 0 ? options->interval_ns : DEFAULT_INTERVAL_NS;
	runner.run.cancelled = options->cancelled;
	runner.measure.run = &runner.run;
	runner.measure.t0_ns = options->t0_ns;
	int rc = connect_both(&runner, err);
	if (rc == 0) {
		runner_wait_until(options->start_at_ns, options->cancelled);
		int64_t now_ns = clock_mono_ns();
		runner.run.deadline_ns = options->timeout_ns > 0 ? now_ns + options->timeout_ns : 0;
		ledger->start_ns = ledger->end_ns = since_t0(&runner, now_ns);
		run_all(&runner);
	}
	PQfinish(runner.run.conn);
	PQfinish(runner.run.probe);
	relation_table_release(&runner.measure.relations);
	own_locks_release(&runner.run.locks);
	free(runner.measure.held);
	return rc;
}
