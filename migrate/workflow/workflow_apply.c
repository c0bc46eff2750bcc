/*
 * One migration, run: see workflow_apply.h.
 *
 * In a transaction the history's row is written by the migration's own connection, so nothing is left to say after it
 * but how long it took, and nothing at all after a failure. One case is open: when the connection is lost at COMMIT,
 * only the history knows how that ended. Without a transaction the session's connection writes "half up" before, the
 * number of each statement as it begins, and "applied" behind: a runner that is killed leaves what is true.
 */
#include "workflow_apply.h"

#include "clock.h"
#include "logging.h"
#include "mem.h"
#include "sql_runner.h"
#include "stop_flag.h"
#include "workflow_script.h"
#include "workflow_sql.h"

#include <errno.h>
#include <sys/random.h>

#define HISTORY_SQL_MAX	 ((size_t)64 * 1024)
#define PAUSE_FIRST_NS	 (200 * NS_PER_MS) /* doubled with each attempt */
#define PAUSE_LONGEST_NS (10 * NS_PER_S)
#define LOOK_NS		 (50 * NS_PER_MS)

/* What one call of workflow_apply() knows. */
struct attempt {
	struct workflow_job *job;
	struct workflow_result *result;
	struct workflow_script script;
	struct ledger ledger;
};

static const struct migration *sql_of(const struct workflow_job *job)
{
	return job->down ? &job->migration->down : &job->migration->up;
}

static void fail(struct attempt *attempt, enum workflow_outcome outcome, const struct error *why)
{
	struct workflow_result *result = attempt->result;
	result->outcome = outcome;
	result->interrupted = why->code == ERR_INTERRUPTED;
	free(result->message);
	result->message = mem_strdup(why->text);
}

/* The history's row; duration_ms is -1 where it is not known (yet). */
static struct workflow_entry entry_of(const struct workflow_job *job, enum workflow_state state, int64_t duration_ms)
{
	return (struct workflow_entry){.id = job->migration->meta.id,
				       .title = job->migration->meta.title,
				       .checksum = job->migration->checksum,
				       .state = state,
				       .batch = job->batch,
				       .applied_by = workflow_session_user(job->session),
				       .duration_ms = duration_ms};
}

/* What the migration's own transaction writes. */
static void history_of(const struct workflow_job *job, struct strbuf *out)
{
	const struct workflow_table *table = workflow_session_table(job->session);
	strbuf_init(out, HISTORY_SQL_MAX);
	if (job->down) {
		workflow_history_sql_forget(table, job->migration->meta.id, out);
		return;
	}
	if (!workflow_session_history(job->session)->exists)
		workflow_history_sql_create(table, out);
	const struct workflow_entry entry = entry_of(job, WORKFLOW_APPLIED, -1);
	workflow_session_sql_put(job->session, &entry, out);
}

/* Called by the runner before each statement. */
static void statement_begins(void *context, size_t index)
{
	struct attempt *attempt = context;
	struct workflow_job *job = attempt->job;
	struct error err = ERROR_INIT;
	size_t number = attempt->script.numbers[index];
	if (number == 0)
		return;
	atomic_store(&job->statement, (uint32_t)number);
	if (job->migration->meta.transaction)
		return;
	if (workflow_session_set_statement(job->session, job->migration->meta.id, (int64_t)number, &err) != 0) {
		log_warn("%s: %s; the migration is stopped", job->migration->meta.id, err.text);
		stop_flag_set(&job->stop);
	}
}

/* Half of it to one and a half of it, so that those who lost against each other do not meet again. */
static int64_t jittered(int64_t pause_ns)
{
	uint32_t random = UINT32_MAX / 2;
	if (getrandom(&random, sizeof(random), GRND_NONBLOCK) != (ssize_t)sizeof(random))
		errno = 0; /* then without */
	return pause_ns / 2 + (int64_t)((double)pause_ns * ((double)random / (double)UINT32_MAX));
}

static void pause_before(const struct workflow_job *job, unsigned attempts)
{
	int64_t pause_ns = PAUSE_FIRST_NS;
	for (unsigned i = 1; i < attempts && pause_ns < PAUSE_LONGEST_NS; i++)
		pause_ns *= 2;
	int64_t until_ns = clock_mono_ns() + jittered(pause_ns < PAUSE_LONGEST_NS ? pause_ns : PAUSE_LONGEST_NS);
	for (int64_t now_ns; (now_ns = clock_mono_ns()) < until_ns && !stop_flag_is_set(&job->stop);)
		clock_sleep_until_ns(now_ns + LOOK_NS < until_ns ? now_ns + LOOK_NS : until_ns);
}

/* The statement that ended it, or NULL. */
static const struct ledger_statement *last_of(const struct ledger *ledger)
{
	return ledger->statement_count ? &ledger->statements[ledger->statement_count - 1] : NULL;
}

static bool is_lost(const struct ledger_statement *last)
{
	return strncmp(last->sqlstate, "08", 2) == 0 || strncmp(last->sqlstate, "57P0", 4) == 0;
}

/* Whether the database is as it was: nothing but settings went well, and the one that failed, if one did, did nothing.
 */
static bool left_nothing(const struct attempt *attempt)
{
	const struct ledger *ledger = &attempt->ledger;
	if (attempt->job->migration->meta.transaction)
		return true;
	for (size_t i = 0; i < ledger->statement_count; i++) {
		const struct ledger_statement *statement = &ledger->statements[i];
		unsigned kind = workflow_sql_look(attempt->script.all.statements[i].sql);
		bool failed = statement->sqlstate[0] != '\0';
		if (failed && (is_lost(statement) || (kind & WORKFLOW_SQL_BY_STEPS)))
			return false;
		if (!failed && !(kind & WORKFLOW_SQL_CONTROL))
			return false;
	}
	return true;
}

static bool is_worth_another(const struct attempt *attempt)
{
	const struct ledger_statement *last = last_of(&attempt->ledger);
	bool lock = last && (strcmp(last->sqlstate, "55P03") == 0 || strcmp(last->sqlstate, "40P01") == 0);
	return attempt->ledger.outcome == LEDGER_FAILED && lock && left_nothing(attempt);
}

static void note_place(struct attempt *attempt, const struct ledger_statement *last)
{
	struct workflow_result *result = attempt->result;
	const struct workflow_job *job = attempt->job;
	const char *path = job->down ? job->migration->down_path : job->migration->up_path;
	bool own = workflow_script_is_own(last->file);
	const char *what = !own					  ? ""
			   : strncmp(last->sql, "COMMIT", 6) == 0 ? "at COMMIT: "
								  : "at a statement of ours: ";
	bool needs_none = strcmp(last->sqlstate, "25001") == 0;
	result->file = mem_strdup(path);
	result->line = own ? 0 : last->line;
	result->statement = attempt->script.numbers[attempt->ledger.statement_count - 1];
	memcpy(result->sqlstate, last->sqlstate, sizeof(result->sqlstate));
	free(result->message);
	result->message = mem_printf("%s%s%s", what, last->message ? last->message : "it was stopped",
				     needs_none ? "; set \"transaction\" to false" : "");
}

/* Why it did not go well, and what that leaves. */
static void note_failure(struct attempt *attempt)
{
	struct workflow_result *result = attempt->result;
	const struct ledger_statement *last = last_of(&attempt->ledger);
	result->outcome = left_nothing(attempt) ? WORKFLOW_FAILED : WORKFLOW_HALF_WAY;
	result->interrupted = attempt->ledger.outcome == LEDGER_CANCELLED;
	if (last && last->sqlstate[0]) {
		note_place(attempt, last);
		return;
	}
	/* Between two statements: the last one that had begun is done. */
	result->statement = last ? attempt->script.numbers[attempt->ledger.statement_count - 1] : 0;
	free(result->message);
	result->message = result->statement ? mem_printf("it was stopped behind statement %zu", result->statement)
					    : mem_strdup("it was stopped");
}

/* A connection that is lost at COMMIT leaves it open which way it went: the history has the answer. */
static void settle_lost(struct attempt *attempt)
{
	const struct workflow_job *job = attempt->job;
	const struct ledger_statement *last = last_of(&attempt->ledger);
	struct error err = ERROR_INIT;
	char *state = NULL;
	if (!job->migration->meta.transaction || !last || !is_lost(last))
		return;
	if (workflow_session_state(job->session, job->migration->meta.id, &state, &err) != 0) {
		attempt->result->outcome = WORKFLOW_UNKNOWN;
	} else {
		bool applied = state && strcmp(state, workflow_state_name(WORKFLOW_APPLIED)) == 0;
		if (applied != job->down) {
			log_info("%s: the connection was lost, and the history says that all of it is done",
				 job->migration->meta.id);
			attempt->result->outcome = WORKFLOW_DONE;
		}
	}
	free(state);
}

/* Runs it until it is done, or fails in a way that another attempt would not mend. */
static void run_attempts(struct attempt *attempt)
{
	struct workflow_job *job = attempt->job;
	struct workflow_result *result = attempt->result;
	const struct workflow_meta *meta = &job->migration->meta;
	int retries = meta->retries >= 0 ? meta->retries : job->retries;
	for (;;) {
		struct error err = ERROR_INIT;
		const struct sql_runner_options options = {.url = workflow_session_url(job->session),
							   .migration = &attempt->script.all,
							   .t0_ns = clock_mono_ns(),
							   .cancelled = &job->stop,
							   .unmeasured = job->unmeasured,
							   .begin = statement_begins,
							   .begin_context = attempt};
		atomic_store(&job->attempt, ++result->attempts);
		ledger_init(&attempt->ledger);
		if (sql_runner_run(&options, &attempt->ledger, &err) != 0) {
			fail(attempt, WORKFLOW_FAILED, &err);
			return;
		}
		workflow_result_add(result, meta, &attempt->ledger);
		if (attempt->ledger.outcome == LEDGER_OK) {
			result->outcome = WORKFLOW_DONE;
			return;
		}
		if (!is_worth_another(attempt) || retries-- <= 0 || stop_flag_is_set(&job->stop)) {
			note_failure(attempt);
			return;
		}
		ledger_release(&attempt->ledger);
		pause_before(job, result->attempts);
	}
}

/* What stands in the history after a migration without a transaction. */
static void write_ending(struct attempt *attempt)
{
	const struct workflow_job *job = attempt->job;
	struct workflow_result *result = attempt->result;
	struct error err = ERROR_INIT;
	const char *id = job->migration->meta.id;
	int rc;
	if (result->outcome == WORKFLOW_DONE && !job->down) {
		struct workflow_entry entry = entry_of(job, WORKFLOW_APPLIED, result->duration_ns / NS_PER_MS);
		rc = workflow_session_put(job->session, &entry, &err);
	} else if (result->outcome == WORKFLOW_DONE || (result->outcome == WORKFLOW_FAILED && !job->down)) {
		rc = workflow_session_forget(job->session, id, &err);
	} else if (result->outcome == WORKFLOW_FAILED) {
		rc = workflow_session_set_state(job->session, id, WORKFLOW_APPLIED, 0, NULL, &err);
	} else {
		enum workflow_state half = job->down ? WORKFLOW_HALF_DOWN : WORKFLOW_HALF_UP;
		rc = workflow_session_set_state(job->session, id, half, (int64_t)result->statement, result->message,
						&err);
	}
	if (rc != 0) /* the history says "half": that is seen, and put right by hand */
		fail(attempt, WORKFLOW_HALF_WAY, &err);
}

static void write_duration(const struct attempt *attempt)
{
	const char *id = attempt->job->migration->meta.id;
	struct error err = ERROR_INIT;
	if (workflow_session_set_duration(attempt->job->session, id, attempt->result->duration_ns / NS_PER_MS, &err) !=
	    0)
		log_warn("%s: it is applied; how long it took could not be written: %s", id, err.text);
}

static void run_in_transaction(struct attempt *attempt, int64_t lock_timeout_ns)
{
	struct error err = ERROR_INIT;
	struct strbuf history;
	history_of(attempt->job, &history);
	if (workflow_script_build(&attempt->script, sql_of(attempt->job), lock_timeout_ns, history.data, &err) != 0) {
		fail(attempt, WORKFLOW_FAILED, &err);
	} else {
		run_attempts(attempt);
		if (attempt->result->outcome == WORKFLOW_FAILED)
			settle_lost(attempt);
		if (attempt->result->outcome == WORKFLOW_DONE && !attempt->job->down)
			write_duration(attempt);
	}
	strbuf_release(&history);
}

/* "half up" before anything runs; taking back keeps the row and changes its state alone. */
static int write_beginning(const struct workflow_job *job, struct error *err)
{
	if (job->down)
		return workflow_session_set_state(job->session, job->migration->meta.id, WORKFLOW_HALF_DOWN, 0, NULL,
						  err);
	const struct workflow_entry entry = entry_of(job, WORKFLOW_HALF_UP, -1);
	int rc = workflow_session_create_table(job->session, err);
	return rc ? rc : workflow_session_put(job->session, &entry, err);
}

static void run_by_statement(struct attempt *attempt, int64_t lock_timeout_ns)
{
	struct error err = ERROR_INIT;
	if (workflow_script_build(&attempt->script, sql_of(attempt->job), lock_timeout_ns, NULL, &err) != 0 ||
	    write_beginning(attempt->job, &err) != 0) {
		fail(attempt, WORKFLOW_FAILED, &err);
		return;
	}
	char *before = NULL, *after = NULL;
	bool known = workflow_session_invalid_indexes(attempt->job->session, &before, &err) == 0;
	run_attempts(attempt);
	write_ending(attempt);
	if (known && attempt->result->outcome == WORKFLOW_HALF_WAY &&
	    workflow_session_invalid_indexes(attempt->job->session, &after, &err) == 0)
		workflow_result_add_invalid(attempt->result, before, after);
	free(before);
	free(after);
}

void workflow_apply(struct workflow_job *job, struct workflow_result *result)
{
	struct attempt attempt = {.job = job, .result = result};
	const struct workflow_meta *meta = &job->migration->meta;
	int64_t start_ns = clock_mono_ns();
	int64_t lock_timeout_ns = meta->lock_timeout_ns >= 0 ? meta->lock_timeout_ns : job->lock_timeout_ns;
	ledger_init(&attempt.ledger);
	result->statement_count = sql_of(job)->statement_count;
	if (meta->transaction)
		run_in_transaction(&attempt, lock_timeout_ns);
	else
		run_by_statement(&attempt, lock_timeout_ns);
	result->elapsed_ns = clock_mono_ns() - start_ns;
	ledger_release(&attempt.ledger);
	workflow_script_release(&attempt.script);
}
