/*
 * Runs a migration's statements and keeps the ledger: see sql_runner.h. What each does is found out by the tracer
 * (measure/statement_tracer.h); here they are sent, committed, cancelled and rolled back.
 */
#include "sql_runner.h"

#include "clock.h"
#include "logging.h"
#include "mem.h"
#include "pg_conn.h"
#include "runner_wait.h"
#include "sql_fingerprint.h"
#include "statement_run.h"
#include "statement_tracer.h"
#include "stop_flag.h"
#include "strbuf.h"

#define QUESTIONS_MAX ((size_t)64 * 1024)

struct runner {
	const struct sql_runner_options *options;
	struct ledger *ledger;
	struct statement_runner run;
	struct statement_tracer *tracer;
};

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

/* The tracer's questions: one text of several statements is one round trip. See statement_tracer.h. */
static int ask(void *context, const char *const *statements, size_t count, PGresult **results, struct error *err)
{
	PGconn *conn = ((struct runner *)context)->run.conn;
	struct strbuf text;
	strbuf_init(&text, QUESTIONS_MAX);
	for (size_t i = 0; i < count; i++)
		strbuf_addf(&text, "%s;", statements[i]);
	bool sent = !text.overflow && PQsendQuery(conn, text.data) == 1;
	strbuf_release(&text);
	bool failed = !sent;
	PGresult *result;
	for (size_t i = 0; sent && (result = PQgetResult(conn)); i++) {
		ExecStatusType status = PQresultStatus(result);
		failed |= status != PGRES_COMMAND_OK && status != PGRES_TUPLES_OK;
		if (failed || i >= count)
			PQclear(result);
		else
			results[i] = result;
	}
	return failed ? error_set(err, ERR_INTERNAL, "the migration's backend does not answer") : 0;
}

/* Returns when it was done, on clock_mono_ns(). */
static int64_t roll_back(struct runner *runner)
{
	if (PQstatus(runner->run.conn) == CONNECTION_OK && in_transaction(runner))
		(void)run_own(runner, "ROLLBACK");
	return clock_mono_ns();
}

/* Runs the statement, between BEGIN and COMMIT of ours when that is its manner; may change that to bare. */
static void run_in_manner(struct runner *runner, const char *sql, const struct safe_message_place *place, bool in_block,
			  enum statement_manner *manner, struct statement_result *result)
{
	if (*manner == STATEMENT_WRAPPED && !in_block)
		(void)run_own(runner, "BEGIN");
	statement_run(&runner->run, sql, place, runner->tracer, result);
	if (result->outcome != STATEMENT_FAILED || !statement_tracer_wants_bare(runner->tracer, result->sqlstate))
		return;
	(void)run_own(runner, "ROLLBACK");
	free(result->message);
	*manner = STATEMENT_BARE;
	statement_run(&runner->run, sql, place, runner->tracer, result);
}

/* COMMIT of a statement of ours; a deferred constraint may fail it. */
static enum statement_outcome commit(struct runner *runner, const struct safe_message_place *place)
{
	struct statement_result result;
	statement_run(&runner->run, "COMMIT", place, NULL, &result);
	if (result.outcome != STATEMENT_OK)
		statement_tracer_commit_failed(runner->tracer, result.sqlstate, result.message);
	free(result.message);
	return result.outcome;
}

static enum statement_outcome run_unmeasured(struct runner *runner, const struct migration_statement *from)
{
	const struct safe_message_place place = {.sql = from->sql, .line = from->line};
	struct ledger_statement *statement = ledger_add_statement(runner->ledger);
	char *sql = mem_strndup(from->sql.p, from->sql.len);
	struct statement_result result;
	struct strbuf shown;
	strbuf_init(&shown, from->sql.len * 2 + 1024);
	sql_redact(SQL_POSTGRESQL, from->sql, &shown);
	statement->sql = strbuf_detach(&shown);
	statement->file = mem_strdup(from->file);
	statement->line = from->line;
	statement->backend_pid = PQbackendPID(runner->run.conn);
	statement->start_ns = clock_mono_ns() - runner->options->t0_ns;
	statement_run(&runner->run, sql, &place, NULL, &result);
	statement->end_ns = statement->transaction_end_ns = result.end_ns - runner->options->t0_ns;
	statement->rows_affected = result.rows;
	memcpy(statement->sqlstate, result.sqlstate, sizeof(statement->sqlstate));
	statement->message = result.message;
	runner->ledger->end_ns = statement->end_ns;
	if (result.outcome != STATEMENT_OK)
		runner->ledger->end_ns = roll_back(runner) - runner->options->t0_ns;
	free(sql);
	return result.outcome;
}

static enum statement_outcome run_statement(struct runner *runner, const struct migration_statement *from)
{
	const struct traced_text text = {.sql = from->sql, .file = from->file, .line = from->line};
	const struct safe_message_place place = {.sql = from->sql, .line = from->line};
	bool in_block = in_transaction(runner);
	char *sql = mem_strndup(from->sql.p, from->sql.len);
	enum statement_manner manner =
		statement_tracer_prepare(runner->tracer, &text, in_block ? TRACED_IN_TRANSACTION : TRACED_IDLE);

	struct statement_result result;
	run_in_manner(runner, sql, &place, in_block, &manner, &result);
	enum statement_outcome outcome = result.outcome;
	const struct traced_result traced = {.end_ns = result.end_ns,
					     .sqlstate = result.sqlstate,
					     .message = result.message,
					     .rows = result.rows,
					     .can_ask = PQtransactionStatus(runner->run.conn) == PQTRANS_INTRANS};
	statement_tracer_end(runner->tracer, &traced);
	int64_t transaction_end_ns = result.end_ns; /* of a statement that ended it itself */
	if (outcome == STATEMENT_OK && manner == STATEMENT_WRAPPED && !in_block) {
		outcome = commit(runner, &place);
		transaction_end_ns = clock_mono_ns();
	}
	if (outcome != STATEMENT_OK)
		transaction_end_ns = roll_back(runner);
	statement_tracer_finish(runner->tracer, in_transaction(runner), transaction_end_ns);
	free(result.message);
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
		if (runner->options->begin)
			runner->options->begin(runner->options->begin_context, i);
		outcome = runner->tracer ? run_statement(runner, &migration->statements[i])
					 : run_unmeasured(runner, &migration->statements[i]);
	}
	runner->ledger->statements_not_run = migration->statement_count - i;
	runner->ledger->outcome = ledger_outcome_of(outcome);
	if (in_transaction(runner)) {
		int64_t end_ns = roll_back(runner);
		if (runner->tracer)
			statement_tracer_abandon(runner->tracer, end_ns);
		if (outcome == STATEMENT_OK && ledger_count_taken_back(runner->ledger) > 0)
			runner->ledger->problem =
				mem_strdup("the migration's files end inside a transaction, which is rolled back then: "
					   "the traffic met a schema without its changes");
		else if (outcome == STATEMENT_OK)
			log_warn("the migration's files end inside a transaction: it is rolled back, as psql does");
	}
}

static int connect_to(struct runner *runner, struct error *err)
{
	const struct sql_runner_options *options = runner->options;
	struct statement_runner *run = &runner->run;
	int rc = pg_conn_open(options->url, PG_CONN_APPLICATION " migration", &run->conn, err);
	if (rc)
		return rc;
	/* Messages are cleaned of values by their English form; needs a superuser, so it may fail. */
	(void)run_own(runner, "SET lc_messages = 'C'");
	if (options->unmeasured)
		return 0;
	const struct statement_tracer_options tracer = {.url = options->url,
							.pid = PQbackendPID(run->conn),
							.t0_ns = options->t0_ns,
							.interval_ns = options->interval_ns,
							.ledger = runner->ledger,
							.ask = ask,
							.ask_context = runner};
	return statement_tracer_open(&tracer, &runner->tracer, err);
}

int sql_runner_run(const struct sql_runner_options *options, struct ledger *ledger, struct error *err)
{
	struct runner runner = {.options = options, .ledger = ledger, .run.cancelled = options->cancelled};
	int rc = connect_to(&runner, err);
	if (rc == 0) {
		runner_wait_until(options->start_at_ns, options->cancelled);
		int64_t now_ns = clock_mono_ns();
		runner.run.deadline_ns = options->timeout_ns > 0 ? now_ns + options->timeout_ns : 0;
		ledger->start_ns = ledger->end_ns = now_ns - options->t0_ns;
		run_all(&runner);
	}
	statement_tracer_close(runner.tracer);
	PQfinish(runner.run.conn);
	return rc;
}
