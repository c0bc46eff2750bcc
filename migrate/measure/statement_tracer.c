/*
 * Watches the statements of one backend and keeps the ledger: see statement_tracer.h. What is found out lives in
 * statement_measure.c, what is sampled in trace_probe.c; here is when each of that is due, and what a transaction's
 * statements have in common.
 */
#include "statement_tracer.h"

#include "clock.h"
#include "mem.h"
#include "sql_fingerprint.h"
#include "statement_measure.h"
#include "statement_shape.h"
#include "strbuf.h"

#define SQL_SHOWN_MAX ((size_t)16 * 1024)
#define NO_STATEMENT  SIZE_MAX
#define EAGER_NS      (50 * NS_PER_MS) /* a bare statement is looked at without pause for so long */

/*
 * A migration that changes a million rows one by one is not to take an hour longer for being measured: after so many
 * quick changes of rows in a row the next ones are only looked at (statement_tracer.h), until one is not quick.
 */
#define QUICK_AFTER 100
#define QUICK_NS    (5 * NS_PER_MS)

/* Lock modes by what takes them: from ShareUpdateExclusiveLock on it is no longer rows that are changed. */
#define DATA_RANK 3
#define DDL_RANK  4

struct statement_tracer {
	struct statement_tracer_options options;
	struct statement_measure measure;
	/* The statement at hand: */
	struct traced_text text;
	struct statement_shape shape;
	enum statement_manner manner;
	enum traced_state state; /* before it */
	int64_t wal_before;	 /* -1: not asked for */
	bool quick;		 /* one more of many quick changes of rows */
	unsigned quick_count;	 /* of them, in a row */
	/* Its transaction: */
	size_t first_statement; /* index in the ledger of its first statement, NO_STATEMENT when none is open */
	bool looked;		/* the database was looked at, before it changed anything */
	bool unmeasured;	/* what its backend counts holds the rows of statements that were only looked at */
	bool defined_function;	/* known to it alone: which queries call it cannot be told */
	bool stale;		/* what is known of the catalogs may be wrong */
};

static int64_t since_t0(const struct statement_tracer *tracer, int64_t ns)
{
	return ns - tracer->options.t0_ns;
}

static struct ledger_statement *current(const struct statement_tracer *tracer)
{
	return &tracer->options.ledger->statements[tracer->options.ledger->statement_count - 1];
}

static struct statement_shape shape_of(const struct statement_tracer *tracer, struct span sql)
{
	return statement_shape_of(sql, code_table_has_function, &tracer->measure.code);
}

static enum statement_manner manner_of(const struct statement_shape *shape, enum traced_state state)
{
	if (shape->is_control)
		return STATEMENT_CONTROL;
	if (state == TRACED_IN_TRANSACTION)
		return STATEMENT_WRAPPED;
	if (shape->ends_transactions || shape->needs_transaction)
		return STATEMENT_BARE;
	return shape->is_plain_read ? STATEMENT_READ : STATEMENT_WRAPPED;
}

int statement_tracer_open(const struct statement_tracer_options *options, struct statement_tracer **out,
			  struct error *err)
{
	struct statement_tracer *tracer = mem_zalloc(1, sizeof(*tracer));
	struct statement_measure *measure = &tracer->measure;
	*out = NULL;
	tracer->options = *options;
	tracer->first_statement = NO_STATEMENT;
	statement_measure_init(measure);
	measure->t0_ns = options->t0_ns;
	measure->ask = options->ask;
	measure->ask_context = options->ask_context;
	int rc = trace_probe_open(&measure->probe, options->url, options->pid, options->interval_ns, err);
	if (rc == 0)
		rc = relation_table_load(&measure->relations, measure->probe.conn, NULL, NULL, err);
	if (rc == 0)
		rc = code_table_load(&measure->code, measure->probe.conn, NULL, err);
	if (rc) {
		statement_tracer_close(tracer);
		return rc;
	}
	statement_measure_prepare(measure);
	*out = tracer;
	return 0;
}

void statement_tracer_close(struct statement_tracer *tracer)
{
	if (!tracer)
		return;
	statement_tracer_abandon(tracer, clock_mono_ns());
	statement_measure_release(&tracer->measure);
	free(tracer);
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

static void add_to_ledger(struct statement_tracer *tracer)
{
	struct ledger_statement *statement = ledger_add_statement(tracer->options.ledger);
	const struct traced_text *text = &tracer->text;
	statement->file = text->file ? mem_strdup(text->file) : NULL;
	statement->line = text->line;
	statement->sql = shown_sql(text->sql);
	statement->backend_pid = tracer->options.pid;
	statement->kind = tracer->shape.kind;
	statement->runs_code = tracer->shape.runs_code;
	if (tracer->first_statement == NO_STATEMENT)
		tracer->first_statement = tracer->options.ledger->statement_count - 1;
}

/* It changes rows and, as far as is known, does nothing else. */
static bool changes_rows_alone(const struct statement_tracer *tracer)
{
	return tracer->shape.kind == LEDGER_KIND_DATA && !tracer->shape.runs_code && !tracer->stale &&
	       !tracer->defined_function;
}

/*
 * The database as it is before the statement: once for each transaction, before the first of its statements that may
 * change anything. One that changes rows costs a look at its own tables alone, so that a thousand of them stay quick.
 */
static void look_before(struct statement_tracer *tracer)
{
	bool measured = tracer->manner == STATEMENT_WRAPPED || tracer->manner == STATEMENT_BARE;
	if (!measured || tracer->looked || tracer->quick || tracer->shape.is_plain_read || tracer->state == TRACED_BUSY)
		return;
	bool rows_alone = changes_rows_alone(tracer) && tracer->state == TRACED_IDLE;
	statement_measure_look(&tracer->measure, tracer->text.sql, !rows_alone, rows_alone);
	tracer->looked = true;
	tracer->stale = false;
}

/* What statements before it did and nobody measured is not its own. */
static void count_anew(struct statement_tracer *tracer)
{
	if (tracer->unmeasured && !tracer->quick && tracer->manner == STATEMENT_WRAPPED &&
	    tracer->state == TRACED_IN_TRANSACTION)
		tracer->unmeasured = !statement_measure_inside(&tracer->measure, NULL);
}

enum statement_manner statement_tracer_prepare(struct statement_tracer *tracer, const struct traced_text *text,
					       enum traced_state state)
{
	tracer->text = *text;
	tracer->state = state;
	tracer->shape = shape_of(tracer, text->sql);
	if (tracer->defined_function && tracer->shape.is_plain_read) {
		tracer->shape.is_plain_read = false;
		tracer->shape.kind = LEDGER_KIND_UNKNOWN;
	}
	tracer->manner = manner_of(&tracer->shape, state);
	tracer->quick = tracer->quick_count >= QUICK_AFTER && changes_rows_alone(tracer);
	if (tracer->quick && state == TRACED_IDLE)
		tracer->manner = STATEMENT_READ;
	bool counts = tracer->manner == STATEMENT_WRAPPED || tracer->shape.begins_transaction;
	if (state == TRACED_IDLE && counts)
		statement_measure_begin(&tracer->measure);
	look_before(tracer);
	count_anew(tracer);
	bool writes_wal =
		tracer->manner == STATEMENT_WRAPPED || tracer->manner == STATEMENT_BARE || tracer->shape.commits;
	tracer->wal_before = writes_wal && !tracer->quick ? trace_probe_wal_position(&tracer->measure.probe) : -1;
	add_to_ledger(tracer);
	return tracer->manner;
}

void statement_tracer_start(struct statement_tracer *tracer)
{
	int64_t now_ns = clock_mono_ns();
	struct trace_probe *probe = &tracer->measure.probe;
	bool at_once = tracer->manner == STATEMENT_WRAPPED || tracer->manner == STATEMENT_BARE;
	/* What holds nothing worth knowing at its very beginning is let off its first sample when it is quick. */
	trace_probe_begin(probe, now_ns, at_once ? now_ns : now_ns + probe->interval_ns,
			  tracer->manner == STATEMENT_BARE ? now_ns + EAGER_NS : 0);
	struct ledger_statement *statement = current(tracer);
	statement->start_ns = statement->end_ns = since_t0(tracer, now_ns);
	if (tracer->options.ledger->statement_count == 1)
		tracer->options.ledger->start_ns = statement->start_ns;
}

int64_t statement_tracer_step(struct statement_tracer *tracer, int64_t now_ns)
{
	return trace_probe_step(&tracer->measure.probe, now_ns);
}

int statement_tracer_socket(const struct statement_tracer *tracer)
{
	return trace_probe_socket(&tracer->measure.probe);
}

bool statement_tracer_wants_bare(struct statement_tracer *tracer, const char *sqlstate)
{
	/* "cannot run inside a transaction block", "invalid transaction termination" */
	bool refused = sqlstate && (strcmp(sqlstate, "25001") == 0 || strcmp(sqlstate, "2D000") == 0);
	if (!refused || tracer->manner != STATEMENT_WRAPPED || tracer->state != TRACED_IDLE)
		return false;
	tracer->manner = STATEMENT_BARE;
	return true;
}

static int strongest_rank(const struct ledger_statement *statement)
{
	int best = 0;
	for (size_t i = 0; i < statement->lock_count; i++) {
		int rank = lock_mode_rank(statement->locks[i].mode);
		best = rank > best ? rank : best;
	}
	return best;
}

/* What code turned out to be. In doubt (it failed before it did anything) it read. */
static enum ledger_kind kind_by_deeds(const struct ledger_statement *statement)
{
	int rank = strongest_rank(statement);
	bool changed_schema = statement->rewrite_count || statement->indexes_built.count ||
			      statement->indexes_dropped.count || statement->relations_created.count ||
			      statement->relations_dropped.count || statement->triggers_added.count ||
			      statement->triggers_dropped.count || statement->triggers_disabled.count ||
			      statement->triggers_enabled.count;
	if (changed_schema || rank >= DDL_RANK)
		return LEDGER_KIND_DDL;
	return statement->rows_changed > 0 || rank == DATA_RANK ? LEDGER_KIND_DATA : LEDGER_KIND_READ;
}

static void measure_after(struct statement_tracer *tracer, struct ledger_statement *statement,
			  const struct traced_result *result, bool failed)
{
	struct statement_measure *measure = &tracer->measure;
	bool known = false, measured = false;
	if (tracer->manner == STATEMENT_CONTROL && !failed)
		return; /* takes no locks on relations, and waits for none */
	if (tracer->quick && !failed && result->can_ask) {
		known = statement_measure_locks(measure, statement);
	} else if (tracer->manner == STATEMENT_WRAPPED && !failed && result->can_ask) {
		int64_t begin_ns = clock_mono_ns();
		known = statement_measure_inside(measure, statement);
		statement->measuring_ns = clock_mono_ns() - begin_ns;
		if (known && tracer->unmeasured)
			statement->rows_scanned = statement->rows_changed = -1; /* those of a whole pipeline */
		measured = known;
	} else {
		statement_measure_sampled(measure, statement, tracer->manner == STATEMENT_WRAPPED);
	}
	if (tracer->manner == STATEMENT_BARE)
		statement_measure_outside(measure, statement, tracer->text.sql);
	tracer->unmeasured = measured ? false : tracer->unmeasured || !failed;
	statement->locks_known = known ? LEDGER_LOCKS_BEFORE_COMMIT : LEDGER_LOCKS_SAMPLED;
	statement->runs_code |= statement->functions.count > 0;
	if (statement->kind == LEDGER_KIND_UNKNOWN)
		statement->kind = kind_by_deeds(statement);
}

static void note_quickness(struct statement_tracer *tracer, const struct ledger_statement *statement, bool failed)
{
	bool quick = !failed && !statement->runs_code && statement->end_ns - statement->start_ns < QUICK_NS;
	if (changes_rows_alone(tracer))
		tracer->quick_count = quick ? tracer->quick_count + (tracer->quick_count < QUICK_AFTER) : 0;
}

void statement_tracer_end(struct statement_tracer *tracer, const struct traced_result *result)
{
	struct ledger_statement *statement = current(tracer);
	bool failed = result->sqlstate && result->sqlstate[0];
	trace_probe_end(&tracer->measure.probe);
	statement->end_ns = since_t0(tracer, result->end_ns);
	statement->rows_affected = result->rows;
	statement_tracer_commit_failed(tracer, result->sqlstate, result->message);
	measure_after(tracer, statement, result, failed);
	if (!failed && tracer->shape.returns_to_savepoint && result->can_ask) {
		size_t first = tracer->first_statement;
		struct ledger *ledger = tracer->options.ledger;
		statement_measure_rolled_back_to(&tracer->measure, ledger->statements + first,
						 ledger->statement_count - first, result->end_ns);
	}
	if (tracer->quick && !failed)
		statement->rows_changed = result->rows;
	note_quickness(tracer, statement, failed);
	tracer->stale |= failed;
	tracer->defined_function |= tracer->shape.defines_function || tracer->shape.runs_code;
}

void statement_tracer_commit_failed(struct statement_tracer *tracer, const char *sqlstate, const char *message)
{
	struct ledger_statement *statement = current(tracer);
	(void)snprintf(statement->sqlstate, sizeof(statement->sqlstate), "%s", sqlstate ? sqlstate : "");
	free(statement->message);
	statement->message = message ? mem_strdup(message) : NULL;
	tracer->stale |= statement->sqlstate[0] != '\0';
}

void statement_tracer_end_transaction(struct statement_tracer *tracer, int64_t transaction_end_ns)
{
	struct ledger *ledger = tracer->options.ledger;
	int64_t end_ns = since_t0(tracer, transaction_end_ns);
	if (tracer->first_statement == NO_STATEMENT)
		return;
	for (size_t i = tracer->first_statement; i < ledger->statement_count; i++) {
		struct ledger_statement *statement = &ledger->statements[i];
		statement->transaction_end_ns = end_ns;
		for (size_t j = 0; j < statement->lock_count; j++) {
			if (statement->locks[j].released_ns == LOCK_STILL_HELD)
				statement->locks[j].released_ns = end_ns;
		}
		/* Rolled back, or done: either way functions and files are to be read again before rows are changed. */
		tracer->stale |= statement->kind == LEDGER_KIND_DDL;
	}
	if (tracer->defined_function)
		statement_measure_look_at_code(&tracer->measure);
	tracer->first_statement = NO_STATEMENT;
	tracer->looked = false;
	tracer->unmeasured = false;
	tracer->defined_function = false;
	statement_measure_end_transaction(&tracer->measure);
	ledger->end_ns = end_ns;
}

void statement_tracer_abandon(struct statement_tracer *tracer, int64_t transaction_end_ns)
{
	struct ledger *ledger = tracer->options.ledger;
	for (size_t i = tracer->first_statement; i < ledger->statement_count; i++)
		ledger->statements[i].taken_back = true;
	statement_tracer_end_transaction(tracer, transaction_end_ns);
}

void statement_tracer_finish(struct statement_tracer *tracer, bool in_transaction, int64_t transaction_end_ns)
{
	if (!in_transaction)
		statement_tracer_end_transaction(tracer, transaction_end_ns);
	int64_t wal_after = tracer->wal_before >= 0 ? trace_probe_wal_position(&tracer->measure.probe) : -1;
	if (tracer->wal_before >= 0 && wal_after >= tracer->wal_before)
		current(tracer)->wal_bytes = wal_after - tracer->wal_before;
}
