/* The migration ledger on a terminal: see trace_table.h. */
#include "trace_table.h"

#include "clock.h"
#include "lock_effect.h"
#include "trace_blocked.h"
#include "trace_text.h"

#define INDENT	     5
#define HELD_WIDTH   9
#define MODE_WIDTH   24
#define BLOCKS_WIDTH 17
#define NAMES_SHOWN  12		      /* of each list; --json has all */
#define LINES_SHOWN  20		      /* of a statement's locks, and of relations out of reach */
#define REPEATS_MIN  3		      /* of a statement, to be told in one line */
#define HELD_ON_NS   (10 * NS_PER_MS) /* locks held on for less are not worth a line */

struct table {
	const struct ledger *ledger;
	const struct trace_table_options *options;
	struct strbuf *out;
	int relation_width;
	int where_width;
	bool any_sampled;
};

static void add_indent(struct table *table)
{
	strbuf_addf(table->out, "%*s", INDENT, "");
}

/* "! text", for what to look out for. */
__attribute__((format(printf, 2, 3))) static void add_warning(struct table *table, const char *format, ...)
{
	char text[2000];
	va_list arguments;
	va_start(arguments, format);
	(void)vsnprintf(text, sizeof(text), format, arguments);
	va_end(arguments);
	add_indent(table);
	strbuf_add_str(table->out, "! ");
	trace_text_wrap(table->out, text, INDENT + 2, table->options->width);
}

static void add_note(struct table *table, const char *text)
{
	add_indent(table);
	trace_text_wrap(table->out, text, INDENT, table->options->width);
}

/* "builds public.a, public.b" into a buffer that holds at most so much; the rest is counted. */
static void join_names(const char *verb, const struct ledger_names *names, char *out, size_t size)
{
	size_t len = (size_t)snprintf(out, size, "%s ", verb);
	for (size_t i = 0; i < names->count; i++) {
		size_t need = strlen(names->items[i]) + 40;
		if (i == NAMES_SHOWN || len + need >= size) {
			(void)snprintf(out + len, size - len, " and %zu more", names->count - i);
			return;
		}
		len += (size_t)snprintf(out + len, size - len, "%s%s", i ? ", " : "", names->items[i]);
	}
}

static void add_names(struct table *table, const char *verb, const struct ledger_names *names, bool warn)
{
	char text[1500];
	if (names->count == 0)
		return;
	join_names(verb, names, text, sizeof(text));
	if (warn)
		add_warning(table, "%s", text);
	else
		add_note(table, text);
}

/*
 * Nobody misses it: what the statement made itself, which others do not see before its transaction ends, and an index
 * that is dropped concurrently, which nobody uses any more when it is locked.
 */
static bool is_out_of_use(const struct ledger_statement *statement, const struct ledger_lock *lock)
{
	return ledger_names_have(&statement->relations_created, lock->relation) ||
	       ledger_names_have(&statement->indexes_built, lock->relation) ||
	       (statement->locks_known == LEDGER_LOCKS_SAMPLED &&
		ledger_names_have(&statement->indexes_dropped, lock->relation));
}

/* TRUNCATE: a new file, without reading or writing a row. */
static bool empties(const struct ledger_statement *statement)
{
	return statement->kind == LEDGER_KIND_DATA && statement->rewrite_count > 0;
}

/* The kind of work, in a word or two. */
static void format_work(const struct ledger_statement *statement, char *out, size_t size)
{
	bool ddl = statement->kind == LEDGER_KIND_DDL;
	char rows[32];
	trace_text_number(statement->rows_scanned, rows, sizeof(rows));
	const char *code = statement->runs_code ? ", runs code" : "";
	if (statement->sqlstate[0])
		(void)snprintf(out, size, "FAILED");
	else if (empties(statement))
		(void)snprintf(out, size, "empties%s", code);
	else if (strncasecmp(statement->sql, "ANALYZE", 7) == 0)
		(void)snprintf(out, size, "sample of rows%s", code);
	else if (statement->rewrite_count > 0)
		(void)snprintf(out, size, "rewrite%s", code);
	else if (ddl && statement->relations_created.count > 0)
		(void)snprintf(out, size, "creates%s", code);
	else if (ddl && statement->indexes_built.count > 0)
		(void)snprintf(out, size, "index build%s", code);
	else if (ddl && statement->rows_scanned > 0)
		(void)snprintf(out, size, "scan of %s rows%s", rows, code);
	else if (ddl && statement->rows_scanned == 0)
		(void)snprintf(out, size, "metadata only%s", code);
	else if (statement->kind == LEDGER_KIND_DATA)
		(void)snprintf(out, size, "changes data%s", code);
	else
		(void)snprintf(out, size, "%s", statement->runs_code ? "runs code" : "");
}

static void add_head(struct table *table, const struct ledger_statement *statement, size_t number)
{
	char where[320] = "-", at[32], took[32], work[120];
	if (statement->file)
		(void)snprintf(where, sizeof(where), "%s:%u", statement->file, (unsigned)statement->line);
	trace_text_duration(statement->start_ns - table->ledger->start_ns, at, sizeof(at));
	trace_text_duration(statement->end_ns - statement->start_ns, took, sizeof(took));
	format_work(statement, work, sizeof(work));
	strbuf_addf(table->out, "%3zu  ", number);
	trace_text_pad_end(table->out, where, table->where_width);
	strbuf_addf(table->out, " %9s %9s  %s\n", at, took, work);
	add_indent(table);
	if (table->options->whole_sql)
		trace_text_wrap(table->out, statement->sql, INDENT, table->options->width);
	else
		trace_text_cut(table->out, statement->sql, table->options->width - INDENT);
}

static void add_lock(struct table *table, const struct ledger_statement *statement, const struct ledger_lock *lock)
{
	char held[32], shown[48];
	bool sampled = statement->locks_known == LEDGER_LOCKS_SAMPLED;
	int64_t held_ns = ledger_lock_held_ns(lock);
	held_ns -= ledger_measuring_between_ns(table->ledger, statement->backend_pid, lock->acquired_ns,
					       lock->released_ns);
	const char *words = lock_effect_words(lock_effect_of(lock_mode_rank(lock->mode)));
	trace_text_duration(held_ns, held, sizeof(held));
	if (held_ns == 0 && lock->waited_ns > 0)
		(void)snprintf(held, sizeof(held), "never had");
	(void)snprintf(shown, sizeof(shown), "%s%s", sampled ? "~" : "", held);
	add_indent(table);
	trace_text_pad(table->out, lock->relation, table->relation_width);
	strbuf_addf(table->out, " %-*s %*s  %s\n", MODE_WIDTH, lock->mode, HELD_WIDTH, shown, words);
	table->any_sampled |= sampled;
	if (lock->index_of[0]) {
		strbuf_addf(table->out, "%*s(of ", INDENT + 2, "");
		trace_text_cut(table->out, lock->index_of, table->options->width - INDENT - 7);
		strbuf_truncate(table->out, table->out->len - 1);
		strbuf_add_str(table->out, ")\n");
	}
}

/* The strongest first, when there are too many to be shown. */
static void add_locks(struct table *table, const struct ledger_statement *statement)
{
	size_t shown = 0, left = 0;
	char more[80];
	for (int rank = LOCK_RANK_MAX; rank > 0; rank--) {
		for (size_t i = 0; i < statement->lock_count; i++) {
			const struct ledger_lock *lock = &statement->locks[i];
			if (lock_mode_rank(lock->mode) != rank || is_out_of_use(statement, lock))
				continue;
			if (shown < LINES_SHOWN)
				add_lock(table, statement, lock);
			else
				left++;
			shown++;
		}
	}
	if (left == 0)
		return;
	(void)snprintf(more, sizeof(more), "and %zu more locks; --json has all of them", left);
	add_note(table, more);
}

static void add_sizes(struct table *table, const struct ledger_statement *statement)
{
	char text[200] = "", part[60], rows[32];
	bool changes = statement->size_delta_bytes != INT64_MIN && statement->size_delta_bytes != 0;
	size_t len = 0;
	if (statement->wal_bytes >= 1024) {
		trace_text_bytes(statement->wal_bytes, part, sizeof(part));
		len += (size_t)snprintf(text + len, sizeof(text) - len, "%s of WAL", part);
	}
	if (changes) {
		trace_text_bytes(statement->size_delta_bytes, part, sizeof(part));
		len += (size_t)snprintf(text + len, sizeof(text) - len, "%ssize %s%s", len ? ", " : "",
					statement->size_delta_bytes > 0 ? "+" : "", part);
	}
	if (statement->rewrite_count > 0 && statement->rows_scanned > 0) {
		trace_text_number(statement->rows_scanned, rows, sizeof(rows));
		len += (size_t)snprintf(text + len, sizeof(text) - len, "%s%s rows read", len ? ", " : "", rows);
	}
	if (len)
		add_note(table, text);
}

/* "None seen" is not "none". */
static void warn_of_unseen(struct table *table, const struct ledger_statement *statement)
{
	bool changes = statement->kind == LEDGER_KIND_DDL || statement->kind == LEDGER_KIND_DATA;
	if (statement->locks_known == LEDGER_LOCKS_SAMPLED && statement->lock_count == 0 && changes &&
	    !statement->sqlstate[0])
		add_warning(table, "its locks were held too shortly to be seen");
}

static void warn_of_waits(struct table *table, const struct ledger_statement *statement)
{
	for (size_t i = 0; i < statement->lock_count; i++) {
		const struct ledger_lock *lock = &statement->locks[i];
		char waited[32];
		if (lock->waited_ns <= 0)
			continue;
		trace_text_duration(lock->waited_ns, waited, sizeof(waited));
		add_warning(table, "waited %s for %s; whoever came after it waited too", waited, lock->relation);
	}
}

/* Locks that keep readers or writers out, held on to the transaction's end. */
static void warn_of_held_on(struct table *table, const struct ledger_statement *statement)
{
	for (size_t i = 0; i < statement->lock_count; i++) {
		const struct ledger_lock *lock = &statement->locks[i];
		enum lock_effect effect = lock_effect_of(lock_mode_rank(lock->mode));
		char held_on[32];
		int64_t held_on_ns = lock->released_ns - statement->end_ns -
				     ledger_measuring_between_ns(table->ledger, statement->backend_pid,
								 statement->end_ns, lock->released_ns);
		if (effect < LOCK_EFFECT_WRITES || held_on_ns < HELD_ON_NS || is_out_of_use(statement, lock))
			continue;
		trace_text_duration(held_on_ns, held_on, sizeof(held_on));
		add_warning(table, "%s stays locked for %s after it ended, until the transaction did", lock->relation,
			    held_on);
	}
}

static void warn_of_data(struct table *table, const struct ledger_statement *statement)
{
	char rows[32];
	int64_t changed = statement->rows_changed;
	if (statement->kind != LEDGER_KIND_DATA && changed <= 0)
		return;
	if (changed < 0 && statement->kind == LEDGER_KIND_DATA)
		changed = statement->rows_affected;
	trace_text_number(changed, rows, sizeof(rows));
	if (empties(statement))
		add_warning(table, "changes data: all rows are removed");
	else if (changed >= 0)
		add_warning(table, "changes data: %s %s", rows, changed == 1 ? "row" : "rows");
	else
		add_warning(table, "changes data: how many rows is not known");
}

static void warn_of_code(struct table *table, const struct ledger_statement *statement)
{
	if (!statement->runs_code)
		return;
	if (statement->functions.count > 0)
		add_names(table, "ran the code of", &statement->functions, true);
	add_warning(table, "the statements inside are not seen one by one; what they did is counted here");
}

static void add_statement(struct table *table, const struct ledger_statement *statement, size_t number)
{
	add_head(table, statement, number);
	add_locks(table, statement);
	add_sizes(table, statement);
	const struct ledger_names rewrites = {statement->rewrites, statement->rewrite_count};
	add_names(table, empties(statement) ? "gives a new file to" : "rewrites", &rewrites, false);
	add_names(table, "creates", &statement->relations_created, false);
	add_names(table, "drops", &statement->relations_dropped, false);
	add_names(table, "builds", &statement->indexes_built, false);
	add_names(table, "drops", &statement->indexes_dropped, false);
	if (statement->sqlstate[0])
		add_warning(table, "failed: %s (%s)", statement->message ? statement->message : "no message",
			    statement->sqlstate);
	warn_of_unseen(table, statement);
	warn_of_waits(table, statement);
	warn_of_held_on(table, statement);
	add_names(table, "leaves invalid, a cost to writers and of no use to readers:", &statement->indexes_invalid,
		  true);
	add_names(table, "adds the trigger", &statement->triggers_added, true);
	add_names(table, "drops the trigger", &statement->triggers_dropped, true);
	add_names(table, "disables the trigger", &statement->triggers_disabled, true);
	add_names(table, "enables the trigger", &statement->triggers_enabled, true);
	warn_of_data(table, statement);
	warn_of_code(table, statement);
}

/*
 * The same change of rows or query once more, with nothing to say that its first line has not said: a migration that
 * goes through a million rows one by one is not a million lines.
 */
static bool is_repeat(const struct ledger_statement *first, const struct ledger_statement *statement)
{
	if ((statement->kind != LEDGER_KIND_DATA && statement->kind != LEDGER_KIND_READ) ||
	    statement->kind != first->kind || statement->backend_pid != first->backend_pid || statement->sqlstate[0] ||
	    first->sqlstate[0] || statement->runs_code || statement->rewrite_count > 0 ||
	    strcmp(statement->sql, first->sql) != 0)
		return false;
	for (size_t i = 0; i < statement->lock_count; i++) {
		if (lock_effect_of(lock_mode_rank(statement->locks[i].mode)) >= LOCK_EFFECT_WRITES ||
		    statement->locks[i].waited_ns > 0)
			return false;
	}
	return true;
}

static size_t count_repeats(const struct ledger *ledger, size_t first)
{
	size_t end = first + 1;
	while (end < ledger->statement_count && is_repeat(&ledger->statements[first], &ledger->statements[end]))
		end++;
	return end - first - 1;
}

/* Statements first + 1 to first + count, counted from 0. */
static void add_repeats(struct table *table, size_t first, size_t count)
{
	const struct ledger_statement *statements = &table->ledger->statements[first + 1];
	int64_t rows = 0, longest_ns = 0, wal_bytes = 0;
	char took[32], longest[32], number[32], wal[32], text[300];
	for (size_t i = 0; i < count; i++) {
		int64_t took_ns = statements[i].end_ns - statements[i].start_ns;
		longest_ns = took_ns > longest_ns ? took_ns : longest_ns;
		rows += statements[i].rows_affected > 0 ? statements[i].rows_affected : 0;
		wal_bytes += statements[i].wal_bytes > 0 ? statements[i].wal_bytes : 0;
	}
	trace_text_duration(statements[count - 1].end_ns - statements[0].start_ns, took, sizeof(took));
	trace_text_duration(longest_ns, longest, sizeof(longest));
	trace_text_number(rows, number, sizeof(number));
	trace_text_bytes(wal_bytes, wal, sizeof(wal));
	int len = snprintf(text, sizeof(text), "and the same %zu times more, to %zu, in %s, the longest %s: %s %s",
			   count, first + 1 + count, took, longest, number, rows == 1 ? "row" : "rows");
	if (wal_bytes >= 1024 && len > 0)
		(void)snprintf(text + len, sizeof(text) - (size_t)len, ", %s of WAL", wal);
	add_note(table, text);
}

static void add_blocked(struct table *table)
{
	struct trace_blocked blocked;
	trace_blocked_init(&blocked, table->ledger);
	if (blocked.count > 0) {
		strbuf_add_char(table->out, '\n');
		trace_text_pad(table->out, "OUT OF REACH", table->relation_width + INDENT);
		strbuf_addf(table->out, " %-*s %9s %9s\n", BLOCKS_WIDTH, "FOR", "LONGEST", "IN ALL");
	}
	for (size_t i = 0; i < blocked.count && i < LINES_SHOWN; i++) {
		const struct trace_blocked_relation *relation = &blocked.items[i];
		char longest[32], total[32];
		trace_text_duration(relation->longest_ns, longest, sizeof(longest));
		trace_text_duration(relation->total_ns, total, sizeof(total));
		trace_text_pad(table->out, relation->name, table->relation_width + INDENT);
		strbuf_addf(table->out, " %-*s %9s %9s\n", BLOCKS_WIDTH, lock_effect_words(relation->effect), longest,
			    total);
	}
	if (blocked.count > LINES_SHOWN)
		strbuf_addf(table->out, "and %zu more; --json has all of them\n", blocked.count - LINES_SHOWN);
	trace_blocked_release(&blocked);
}

static void add_outcome(struct table *table)
{
	const struct ledger *ledger = table->ledger;
	static const char *const words[] = {"nothing ran", "went through", "failed", "was ended by its time limit",
					    "was interrupted"};
	char took[32], text[1200];
	trace_text_duration(ledger->end_ns - ledger->start_ns, took, sizeof(took));
	int len = snprintf(text, sizeof(text), "%zu %s in %s: the migration %s", ledger->statement_count,
			   ledger->statement_count == 1 ? "statement" : "statements", took, words[ledger->outcome]);
	if (ledger->statements_not_run > 0 && len > 0)
		(void)snprintf(text + len, sizeof(text) - (size_t)len, "; %zu did not run", ledger->statements_not_run);
	strbuf_add_char(table->out, '\n');
	trace_text_wrap(table->out, text, 0, table->options->width);
	if (ledger->problem) {
		(void)snprintf(text, sizeof(text), "! %s", ledger->problem);
		trace_text_wrap(table->out, text, 0, table->options->width);
	}
	if (table->any_sampled)
		trace_text_wrap(table->out,
				"~ seen by sampling, for what cannot be asked before its locks are gone: short locks "
				"may be missing",
				0, table->options->width);
}

void trace_table_format(const struct ledger *ledger, const struct trace_table_options *options, struct strbuf *out)
{
	struct trace_table_options bounded = *options;
	if (bounded.width < TRACE_TABLE_WIDTH_MIN)
		bounded.width = TRACE_TABLE_WIDTH_MIN;
	struct table table = {.ledger = ledger, .options = &bounded, .out = out};
	int fixed = INDENT + 1 + MODE_WIDTH + 1 + HELD_WIDTH + 2 + BLOCKS_WIDTH;
	table.relation_width = bounded.width - fixed < 12 ? 12 : bounded.width - fixed;
	if (table.relation_width > 64)
		table.relation_width = 64;
	table.where_width = bounded.width - INDENT - 1 - 9 - 1 - 9 - 2 - 26;
	if (table.where_width > 48)
		table.where_width = 48;
	if (ledger->statement_count > 0) {
		strbuf_addf(out, "%3s  ", "#");
		trace_text_pad_end(out, "WHERE", table.where_width);
		strbuf_addf(out, " %9s %9s  %s\n", "AT", "TOOK", "WORK");
		add_indent(&table);
		trace_text_pad(out, "LOCKS", table.relation_width);
		strbuf_addf(out, " %-*s %*s  %s\n", MODE_WIDTH, "MODE", HELD_WIDTH, "HELD", "BLOCKS");
	}
	for (size_t i = 0; i < ledger->statement_count; i++) {
		size_t repeats = count_repeats(ledger, i);
		add_statement(&table, &ledger->statements[i], i + 1);
		if (repeats < REPEATS_MIN)
			continue;
		add_repeats(&table, i, repeats);
		i += repeats;
	}
	add_blocked(&table);
	add_outcome(&table);
}
