/*
 * Failures and row counts against thresholds, and in words: see judgement.h. A clear verdict never says that nothing
 * failed where something did: what was only worth a warning, or is within chance, is said with its number and code.
 */
#include "clock.h"
#include "judgement.h"
#include "mem.h"
#include "sqlstate.h"

#include <strings.h>

#define SERVER_FAILED_LATE_NS (5 * NS_PER_S)
#define CODES_TOLD	      3

static const char *error_rule(enum error_kind kind)
{
	switch (kind) {
	case ERROR_SCHEMA:
	case ERROR_CONSTRAINT:
	case ERROR_REFUSED:
		return "errors.new";
	case ERROR_LOCK_VICTIM:
		return "errors.lock_victims";
	case ERROR_REPLAN:
		return "errors.replan";
	default:
		return "errors.other";
	}
}

/*
 * A server that failed well after the migration had ended: by what, nobody can tell from here, and it ends the run
 * rather than the migration.
 */
static bool failed_too_late(struct judgement *j, const struct error_entry *e)
{
	int64_t after_ns = e->first_ns - j->data.migration_end_ns;
	if (e->kind != ERROR_INFRASTRUCTURE || error_entry_is_by_lock(e) || after_ns < SERVER_FAILED_LATE_NS)
		return false;
	if (j->server_failed_ns == 0 || after_ns < j->server_failed_ns)
		j->server_failed_ns = after_ns;
	return true;
}

/* "`insert …` fails with P0001 on the migrating lane: 341 times, first at 10.08 s" */
static char *error_sentence(const struct judgement *j, const struct error_entry *e, const char *code)
{
	const char *how = "fails with";
	const char *where = " on the migrating lane";
	char *head = judgement_sql_head(judgement_fingerprint_text(j, e->fingerprint));
	if (e->kind == ERROR_LOCK_VICTIM && e->with_lock_evidence) {
		how = "was ended with";
		where = " while it waited for the migration's lock";
	} else if (e->kind == ERROR_INFRASTRUCTURE && error_entry_is_by_lock(e)) {
		how = "failed with";
		where = " after it had waited for the migration's lock";
	}
	char *sentence = mem_printf("`%s` %s %s%s: %llu time%s, first at %.2f s", head, how, code, where,
				    (unsigned long long)e->count, MANY_PLURAL(e->count), ns_to_s(e->first_ns));
	free(head);
	return sentence;
}

void judgement_apply_error_rules(struct judgement *j)
{
	static const char *const names[] = {"errors.new", "errors.lock_victims", "errors.other", "errors.replan"};
	bool seen[4] = {false};
	for (size_t i = 0; i < error_judge_count(j->errors); i++) {
		const struct error_entry *e = error_judge_entry(j->errors, i);
		char code[SQLSTATE_TEXT_MAX];
		if (e->result != ERROR_MIGRATION || failed_too_late(j, e))
			continue;
		const char *name = error_rule(e->kind);
		sqlstate_unpack(e->sqlstate, code);
		char *entity = mem_printf("%s %s", code, judgement_fingerprint_text(j, e->fingerprint));
		struct rule_result *r = judgement_add_rule(j, name, entity, (double)e->count);
		for (int k = 0; k < 4; k++)
			seen[k] |= strcmp(name, names[k]) == 0;
		if (r->result != THRESHOLD_PASS)
			r->sentence = error_sentence(j, e, code);
		free(entity);
	}
	for (int k = 0; k < 4; k++) {
		if (!seen[k])
			(void)judgement_add_rule(j, names[k], "", 0);
	}
}

static bool is_query(const char *sql)
{
	static const char *const words[] = {"select", "with", "values", "table", "fetch", "show", NULL};
	for (int i = 0; words[i]; i++) {
		if (strncasecmp(sql, words[i], strlen(words[i])) == 0)
			return true;
	}
	return false;
}

/* "`select …` returns no rows any more where the baseline has some: 342 times, from 10.05 s on" */
static char *rows_sentence(const struct judgement *j, const struct broken_rows *b)
{
	const char *sql = judgement_fingerprint_text(j, b->fingerprint);
	char *head = judgement_sql_head(sql);
	char *sentence = mem_printf("`%s` %s %s on the migrating lane: %llu time%s, first at %.2f s", head,
				    is_query(sql) ? "returns" : "affects",
				    b->lost ? "no rows any more" : "another number of rows than before",
				    (unsigned long long)b->count, MANY_PLURAL(b->count), ns_to_s(b->first_ns));
	free(head);
	return sentence;
}

/* Rows that are gone for good fail; of a table that the migration did not name they are a warning: who knows why. */
static void apply_broken_rows(struct judgement *j)
{
	bool seen[2] = {false, false};
	for (size_t i = 0; i < error_judge_broken_rows_count(j->errors); i++) {
		const struct broken_rows *b = error_judge_broken_rows(j->errors, i);
		struct rule_result *r =
			judgement_add_rule(j, b->lost ? "rows.lost" : "rows.changed",
					   judgement_fingerprint_text(j, b->fingerprint), (double)b->count);
		seen[b->lost] = true;
		if (r->result == THRESHOLD_FAIL && !b->touched)
			r->result = THRESHOLD_WARN;
		if (r->result != THRESHOLD_PASS)
			r->sentence = rows_sentence(j, b);
	}
	if (!seen[true])
		(void)judgement_add_rule(j, "rows.lost", "", 0);
	if (!seen[false])
		(void)judgement_add_rule(j, "rows.changed", "", 0);
}

void judgement_apply_rows_rules(struct judgement *j)
{
	const struct error_rows *rows = error_judge_rows(j->errors);
	apply_broken_rows(j);
	struct rule_result *r =
		judgement_add_rule(j, "rows.diff", "", j->data.has_migration ? (double)rows->touched : 0);
	if (r->result != THRESHOLD_PASS)
		r->sentence =
			mem_printf("%llu session%s got another number of rows from tables that the migration touched",
				   (unsigned long long)rows->touched, MANY_PLURAL(rows->touched));
}

struct told {
	unsigned long long failed;    /* because of the migration */
	unsigned long long held;      /* others that its locks had held up */
	unsigned long long by_chance; /* more than on the baseline, and no more than chance makes */
	char codes[CODES_TOLD][SQLSTATE_TEXT_MAX];
	size_t code_count; /* may be more than are kept */
};

static void tell_code(struct told *told, uint32_t sqlstate)
{
	char code[SQLSTATE_TEXT_MAX];
	sqlstate_unpack(sqlstate, code);
	for (size_t i = 0; i < told->code_count && i < CODES_TOLD; i++) {
		if (strcmp(told->codes[i], code) == 0)
			return;
	}
	if (told->code_count < CODES_TOLD)
		memcpy(told->codes[told->code_count], code, sizeof(code));
	told->code_count++;
}

static struct told count_failures(const struct judgement *j)
{
	struct told told = {0};
	for (size_t i = 0; i < error_judge_count(j->errors); i++) {
		const struct error_entry *e = error_judge_entry(j->errors, i);
		uint64_t more = e->lane[JUDGE_MIGRATING] > e->lane[JUDGE_BASELINE]
					? e->lane[JUDGE_MIGRATING] - e->lane[JUDGE_BASELINE]
					: 0;
		if (e->kind == ERROR_CASCADE)
			continue;
		bool counts = e->result == ERROR_MIGRATION;
		if (counts || e->with_lock_evidence)
			tell_code(&told, e->sqlstate);
		told.failed += counts ? e->count : 0;
		told.held += counts ? 0 : e->with_lock_evidence;
		if (e->result == ERROR_NOISE && more > e->with_lock_evidence)
			told.by_chance += more - e->with_lock_evidence;
	}
	return told;
}

/* What only warns; the worst by its statement. */
static void tell_rows(const struct judgement *j, struct strbuf *out)
{
	size_t statements = error_judge_broken_rows_count(j->errors);
	uint64_t sessions = error_judge_rows(j->errors)->touched;
	if (statements) {
		char *sentence = rows_sentence(j, error_judge_broken_rows(j->errors, 0));
		strbuf_addf(out, ", but %s", sentence);
		if (statements > 1)
			strbuf_addf(out, " (and %zu more such statement%s)", statements - 1,
				    MANY_PLURAL(statements - 1));
		free(sentence);
	} else if (sessions && j->data.has_migration) {
		strbuf_addf(out, ", %llu session%s got another number of rows", (unsigned long long)sessions,
			    MANY_PLURAL(sessions));
	}
}

static void tell_codes(const struct told *told, struct strbuf *out)
{
	for (size_t i = 0; i < told->code_count && i < CODES_TOLD; i++)
		strbuf_addf(out, "%s%s", i ? ", " : " with ", told->codes[i]);
	if (told->code_count > CODES_TOLD)
		strbuf_add_str(out, " …");
}

void judgement_tell_failures(const struct judgement *j, struct strbuf *out)
{
	struct told told = count_failures(j);
	unsigned long long all = told.failed + told.held;
	if (all) {
		strbuf_addf(out, ", %llu execution%s failed %s", all, MANY_PLURAL(all),
			    told.held == 0     ? "because of it"
			    : told.failed == 0 ? "behind its locks"
					       : "because of it or behind its locks");
		tell_codes(&told, out);
		strbuf_add_str(out, ", of which no rule makes more than a warning");
	} else {
		strbuf_add_str(out, ", none failed because of it");
	}
	if (told.by_chance)
		strbuf_addf(out, " (%llu more error%s than on the baseline, within chance)", told.by_chance,
			    MANY_PLURAL(told.by_chance));
	tell_rows(j, out);
}
