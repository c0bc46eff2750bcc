/*
 * What the migration's locks did to others, as rules and sentences: see judgement.h. All times here are without those
 * in which a lock was held only because the migration was being measured.
 */
#include "clock.h"
#include "json_file.h"
#include "judgement.h"
#include "ledger_index.h"
#include "lock_effect.h"
#include "measuring_spans.h"
#include "mem.h"

#include <uthash.h>

#define UNTESTED_MAX 200
#define DEDUCTED_MIN NS_PER_MS /* less is not worth a word */

char *judgement_statement_head(const struct judgement *j, size_t statement)
{
	if (statement >= j->data.ledger.statement_count || !j->data.ledger.statements[statement].sql)
		return mem_strdup("the migration");
	char *head = judgement_sql_head(j->data.ledger.statements[statement].sql);
	char *quoted = mem_printf("`%s`", head);
	free(head);
	return quoted;
}

/* "`ALTER TABLE orders …` blocked all access to public.orders for 2.31 s; 412 statements waited 488 query-seconds; …"
 */
static char *stall_sentence(const struct judgement *j, const struct stall *s)
{
	struct strbuf text;
	char *head = judgement_statement_head(j, s->statement);
	char *length = judgement_duration(ns_to_s(stall_length_ns(s)));
	char *whom = stall_describe(s);
	strbuf_init(&text, 4096);
	strbuf_addf(&text, "%s blocked %s for %s", head, whom, length);
	if (s->measuring_ns >= DEDUCTED_MIN) {
		char *measuring = judgement_duration(ns_to_s(s->measuring_ns));
		strbuf_addf(&text, " (without %s in which it was measured)", measuring);
		free(measuring);
	}
	strbuf_addf(&text, "; %llu statement%s waited %.3g query-seconds", (unsigned long long)s->victims,
		    MANY_PLURAL(s->victims), s->blocked_query_s);
	if (s->timed_out)
		strbuf_addf(&text, "; %llu timed out", (unsigned long long)s->timed_out);
	if (s->root.found && s->root.fingerprint != ITEM_NO_TEXT) {
		char *root = judgement_sql_head(judgement_fingerprint_text(j, s->root.fingerprint));
		strbuf_addf(&text, "; it had queued behind %s`%s`", s->root.idle ? "the open transaction of " : "",
			    root);
		free(root);
	} else if (s->root.found) {
		strbuf_addf(&text, "; it had queued behind another session's lock");
	}
	free(whom);
	free(length);
	free(head);
	return strbuf_detach(&text);
}

struct ranked_stall {
	const struct stall *stall;
	size_t index;
};

/* By relation, the longest first, the earliest of equals. */
static int compare_ranked(const void *a, const void *b)
{
	const struct ranked_stall *x = a;
	const struct ranked_stall *y = b;
	int order = strcmp(x->stall->relation, y->stall->relation);
	int64_t more = stall_length_ns(x->stall) - stall_length_ns(y->stall);
	if (order)
		return order;
	if (more)
		return more > 0 ? -1 : 1;
	return (x->index > y->index) - (x->index < y->index);
}

static int compare_index(const void *a, const void *b)
{
	const struct ranked_stall *x = a;
	const struct ranked_stall *y = b;
	return (x->index > y->index) - (x->index < y->index);
}

/* The longest stall of each relation, by start; *count of them, to be freed. */
static struct ranked_stall *longest_of_each(const struct judgement *j, size_t *count)
{
	size_t n = stall_judge_count(j->stalls);
	struct ranked_stall *ranked = mem_zalloc(n + 1, sizeof(*ranked));
	*count = 0;
	for (size_t i = 0; i < n; i++)
		ranked[i] = (struct ranked_stall){stall_judge_stall(j->stalls, i), i};
	qsort(ranked, n, sizeof(*ranked), compare_ranked);
	for (size_t i = 0; i < n; i++) {
		if (*count == 0 || strcmp(ranked[*count - 1].stall->relation, ranked[i].stall->relation) != 0)
			ranked[(*count)++] = ranked[i];
	}
	qsort(ranked, *count, sizeof(*ranked), compare_index);
	return ranked;
}

static double blocked_query_s(const struct judgement *j)
{
	double query_s = 0;
	for (size_t i = 0; i < stall_judge_count(j->stalls); i++)
		query_s += stall_judge_stall(j->stalls, i)->blocked_query_s;
	return query_s;
}

void judgement_apply_stall_rules(struct judgement *j)
{
	const struct stall *longest = NULL;
	double query_s = blocked_query_s(j);
	size_t count;
	struct ranked_stall *ranked = longest_of_each(j, &count);
	for (size_t i = 0; i < count; i++) {
		const struct stall *s = ranked[i].stall;
		struct rule_result *r = judgement_add_rule(j, "stall.max", s->relation, ns_to_s(stall_length_ns(s)));
		if (r->result != THRESHOLD_PASS)
			r->sentence = stall_sentence(j, s);
		if (!longest || stall_length_ns(s) > stall_length_ns(longest))
			longest = s;
	}
	free(ranked);
	if (!longest)
		(void)judgement_add_rule(j, "stall.max", "", 0);
	struct rule_result *r = judgement_add_rule(j, "blocked.query_seconds", "", query_s);
	size_t n = stall_judge_count(j->stalls);
	if (r->result != THRESHOLD_PASS && longest)
		r->sentence =
			n == 1 ? stall_sentence(j, longest)
			       : mem_printf("statements waited %.3g query-seconds for the migration's locks in %zu "
					    "stalls",
					    query_s, n);
}

int64_t judgement_longest_stall_ns(const struct judgement *j)
{
	int64_t longest = 0;
	for (size_t i = 0; i < stall_judge_count(j->stalls); i++) {
		int64_t length = stall_length_ns(stall_judge_stall(j->stalls, i));
		longest = length > longest ? length : longest;
	}
	return longest;
}

int64_t judgement_measuring_ns(const struct judgement *j)
{
	if (!j->data.has_migration)
		return 0;
	return measuring_spans_idle_ns(stall_judge_measuring(j->stalls), &j->data.ledger, j->data.migration_start_ns,
				       j->data.migration_end_ns);
}

struct told_table {
	const char *name;
	UT_hash_handle hh;
};

static bool was_told(struct told_table **told, const char *name)
{
	struct told_table *entry;
	HASH_FIND_STR(*told, name, entry);
	if (entry)
		return true;
	entry = mem_zalloc(1, sizeof(*entry));
	entry->name = name;
	HASH_ADD_KEYPTR(hh, *told, entry->name, strlen(entry->name), entry);
	return false;
}

/* Strongly locked, there before the migration, and used by no recorded statement as far as can be seen. */
static bool is_untested(const struct judgement *j, const struct touched_names *named, size_t statement,
			const struct ledger_lock *lock)
{
	if (lock_mode_rank(lock->mode) < 4 || ledger_lock_is_system(lock) ||
	    ledger_index_is_new(stall_judge_ledger(j->stalls), statement, lock))
		return false;
	/* Nobody names an index: it is used when its table is. */
	return !touched_names_have(named, lock->index_of[0] ? lock->index_of : lock->relation) &&
	       !stall_judge_has_victims(j->stalls, lock->relation);
}

void judgement_add_untested_tables(const struct judgement *j, json_t *list)
{
	const struct ledger *ledger = &j->data.ledger;
	struct touched_names *named = touched_names_new();
	struct told_table *told = NULL;
	struct told_table *next;
	struct told_table *entry;
	size_t shown = 0;
	for (uint32_t f = 0; ledger->statement_count && f < item_index_fingerprint_count(j->data.items); f++)
		touched_names_add(named, judgement_fingerprint_text(j, f));
	for (size_t i = 0; i < ledger->statement_count; i++) {
		for (size_t l = 0; l < ledger->statements[i].lock_count && shown < UNTESTED_MAX; l++) {
			const struct ledger_lock *lock = &ledger->statements[i].locks[l];
			if (!is_untested(j, named, i, lock) || was_told(&told, lock->relation))
				continue;
			(void)json_array_append_new(
				list, json_pack("{s:o, s:s}", "what", json_text(lock->relation), "why",
						"locked by the migration, and named by no recorded statement"));
			shown++;
		}
	}
	HASH_ITER (hh, told, entry, next) {
		HASH_DEL(told, entry);
		free(entry);
	}
	touched_names_free(named);
}
