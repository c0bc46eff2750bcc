/* Findings against thresholds, and the outcome: see judgement.h. Order and precedence are those of docs/verdict.md. */
#include "clock.h"
#include "judgement.h"
#include "mem.h"
#include "sqlstate.h"

#include <math.h>

#define BEFORE_ERRORS_MAX 0.05

struct rule_result *judgement_add_rule(struct judgement *j, const char *name, const char *entity, double value)
{
	MEM_GROW(j->rules, j->rule_count, j->rule_capacity);
	struct rule_result *r = &j->rules[j->rule_count++];
	memset(r, 0, sizeof(*r));
	r->rule = thresholds_find(j->thresholds, name, entity);
	r->entity = mem_strdup(entity);
	r->value = value;
	r->result = thresholds_judge(j->thresholds, r->rule, entity, value);
	return r;
}

static void apply_slow_rule(struct judgement *j)
{
	double lost = slow_judge_query_seconds(j->slow);
	struct rule_result *r = judgement_add_rule(j, "slow.query_seconds", "", lost);
	if (r->result == THRESHOLD_PASS || slow_judge_count(j->slow) == 0)
		return;
	const struct slow_query *q = slow_judge_query(j->slow, 0);
	char *length = judgement_duration(
		ns_to_s(j->windows.of[WINDOW_DURING].end_ns - j->windows.of[WINDOW_DURING].start_ns));
	char *head = judgement_sql_head(judgement_fingerprint_text(j, q->fingerprint));
	char *migration = judgement_statement_head(j, 0);
	r->sentence =
		mem_printf("statements lost %.3g query-seconds in %s without waiting for a lock, from %s on; `%s` "
			   "was %.3g times as slow",
			   lost, length, migration, head, q->ratio);
	free(migration);
	free(head);
	free(length);
}

static void apply_latency_rule(struct judgement *j)
{
	bool any = false;
	for (size_t i = 0; i < latency_judge_count(j->latency) && j->data.has_migration; i++) {
		const struct latency_query *q = latency_judge_query(j->latency, i);
		if (q->result != LATENCY_HURTS && q->result != LATENCY_SLOWER)
			continue;
		const char *text = judgement_fingerprint_text(j, q->fingerprint);
		struct rule_result *r = judgement_add_rule(j, "latency.ratio", text, q->ci_low);
		any = true;
		/* The rest of the conditions: enough executions, and a difference that matters. */
		if (q->result == LATENCY_SLOWER && r->result == THRESHOLD_FAIL)
			r->result = THRESHOLD_WARN;
		if (r->result == THRESHOLD_PASS)
			continue;
		r->sentence = judgement_latency_sentence(j, q);
	}
	if (!any)
		(void)judgement_add_rule(j, "latency.ratio", "", 0);
}

/* Where it failed; of a migration tool also how it ended, which may be all there is to know. */
static char *failure_sentence(const struct judgement *j)
{
	const struct ledger *ledger = &j->data.ledger;
	const struct ledger_statement *s = judgement_failed_statement(j);
	if (ledger->outcome == LEDGER_TIMEOUT)
		return mem_strdup("the migration did not end in the time that it was given");
	struct strbuf text;
	strbuf_init(&text, 8192);
	strbuf_add_str(&text, "the migration failed");
	if (s) {
		char *head = judgement_sql_head(s->sql ? s->sql : "");
		strbuf_addf(&text, " at `%s` with %s%s%s", head, s->sqlstate, s->message ? ": " : "",
			    s->message ? s->message : "");
		if (s->file)
			strbuf_addf(&text, " (%s:%u)", s->file, s->line);
		free(head);
	}
	if (ledger->problem)
		strbuf_addf(&text, "%s%s", s ? "; " : ": ", ledger->problem);
	return strbuf_detach(&text);
}

static void apply_migration_rules(struct judgement *j)
{
	const struct ledger *ledger = &j->data.ledger;
	bool failed = ledger->outcome == LEDGER_FAILED || ledger->outcome == LEDGER_TIMEOUT;
	struct rule_result *r = judgement_add_rule(j, "migration.failed", "", failed);
	if (r->result != THRESHOLD_PASS)
		r->sentence = failure_sentence(j);
	int64_t measuring_ns = judgement_measuring_ns(j);
	double length = j->data.has_migration
				? ns_to_s(j->data.migration_end_ns - j->data.migration_start_ns - measuring_ns)
				: 0;
	r = judgement_add_rule(j, "migration.duration", "", length);
	if (r->result != THRESHOLD_PASS)
		r->sentence =
			measuring_ns < NS_PER_MS
				? mem_printf("the migration took %.2f s", length)
				: mem_printf("the migration took %.2f s (without %.2f s in which it was measured)",
					     length, ns_to_s(measuring_ns));
}

void judgement_apply_rules(struct judgement *j)
{
	apply_migration_rules(j);
	judgement_apply_stall_rules(j);
	judgement_apply_error_rules(j);
	apply_slow_rule(j);
	apply_latency_rule(j);
	judgement_apply_health_rules(j);
	judgement_apply_check_rules(j);
	judgement_apply_rows_rules(j);
	/* What was seen comes before what is reckoned from it. */
	judgement_apply_rollout_rules(j);
}

static bool failed_with_the_server(const struct judgement *j)
{
	const struct ledger_statement *s = judgement_failed_statement(j);
	return j->data.ledger.outcome == LEDGER_FAILED && s &&
	       error_kind_of(sqlstate_pack(s->sqlstate), 0) == ERROR_INFRASTRUCTURE;
}

/* The server failed its sessions, then its migration: what came first is not the migration's doing. */
static bool server_failed_before(const struct judgement *j)
{
	for (size_t i = 0; failed_with_the_server(j) && i < error_judge_count(j->errors); i++) {
		const struct error_entry *e = error_judge_entry(j->errors, i);
		if (e->kind == ERROR_INFRASTRUCTURE && e->first_ns < 0 &&
		    e->lane[JUDGE_MIGRATING] > e->lane[JUDGE_BASELINE])
			return true;
	}
	return false;
}

/* A migration that the server refuses fails whatever the replay was worth, unless the server itself was failing. */
static bool failed_on_its_own(const struct judgement *j)
{
	return j->data.ledger.outcome == LEDGER_FAILED && !j->data.interrupted && judgement_failed_statement(j) &&
	       !failed_with_the_server(j);
}

/* Why the run cannot be judged; NULL when it can. */
static char *find_invalid(const struct judgement *j)
{
	const struct latency_query *before = latency_judge_before(j->latency);
	const struct fidelity *f = &j->fidelity;
	if (j->data.interrupted || j->data.ledger.outcome == LEDGER_CANCELLED)
		return mem_strdup("the run was interrupted");
	if (!j->data.complete)
		return mem_strdup("the run did not come to its end");
	if (*f->reason)
		return mem_strdup(f->reason);
	if (f->statements == 0)
		return mem_strdup("no statement was executed on both lanes");
	if (j->data.wanted_migration && !j->data.has_migration)
		return mem_strdup("the migration never began");
	if (server_failed_before(j))
		return mem_strdup("the migrating clone's server failed before the migration began");
	if (f->before_items && (double)f->before_one_sided > BEFORE_ERRORS_MAX * (double)f->before_items)
		return mem_printf(
			"the lanes differ before the migration: %llu of %llu items failed on one of them alone",
			(unsigned long long)f->before_one_sided, (unsigned long long)f->before_items);
	if (before) {
		char *head = judgement_sql_head(judgement_fingerprint_text(j, before->fingerprint));
		char *text = mem_printf("the lanes differ %s: `%s` takes %.2f times as long on the migrating one",
					j->data.has_migration ? "before the migration" : "without a migration", head,
					before->ratio);
		free(head);
		return text;
	}
	return NULL;
}

static char *capitalized(const char *sentence)
{
	char *text = mem_printf("%s.", sentence);
	if (*text >= 'a' && *text <= 'z')
		*text = (char)(*text - 'a' + 'A');
	return text;
}

/* The first failing rule's sentence, the worst stall before the others, and how many more fail. */
static char *hurts_reason(const struct judgement *j)
{
	const struct rule_result *first = NULL;
	size_t more = 0;
	for (size_t i = 0; i < j->rule_count; i++) {
		const struct rule_result *r = &j->rules[i];
		if (r->result != THRESHOLD_FAIL || !r->sentence)
			continue;
		bool both_stalls = first && first->rule && strcmp(first->rule->name, "stall.max") == 0 &&
				   strcmp(r->rule->name, "stall.max") == 0;
		if (!first || (both_stalls && r->value > first->value))
			first = r;
		/* The query-seconds of a stall are in the stall's own sentence. */
		more += strcmp(r->rule->name, "blocked.query_seconds") != 0;
	}
	if (!first)
		return mem_strdup("A rule failed.");
	if (strcmp(first->rule->name, "blocked.query_seconds") == 0 || more <= 1)
		return capitalized(first->sentence);
	char *text = mem_printf("%s (and %zu more finding%s)", first->sentence, more - 1, MANY_PLURAL(more - 1));
	char *reason = capitalized(text);
	free(text);
	return reason;
}

/* A short run says what it saw, and how much it could not have seen. */
static char *clear_reason(const struct judgement *j)
{
	int64_t longest = judgement_longest_stall_ns(j);
	size_t undecided = 0;
	size_t queries = latency_judge_count(j->latency);
	struct strbuf text;
	if (!j->data.has_migration)
		return mem_strdup("There was no migration, and the two lanes behaved alike.");
	for (size_t i = 0; i < queries; i++)
		undecided += latency_judge_query(j->latency, i)->result == LATENCY_CANNOT_TELL;
	strbuf_init(&text, 1024);
	if (longest) {
		char *length = judgement_duration(ns_to_s(longest));
		strbuf_addf(&text, "The longest stall was %s", length);
		free(length);
	} else {
		strbuf_add_str(&text, "No statement waited for the migration's locks");
	}
	judgement_tell_failures(j, &text);
	strbuf_add_str(&text, ", and none was seen to become slower");
	if (undecided)
		strbuf_addf(&text, " (%zu of %zu comparisons of latencies undecided)", undecided, queries);
	strbuf_add_char(&text, '.');
	char *praise = check_judge_praise(&j->checks);
	if (praise)
		strbuf_addf(&text, " %s", praise);
	free(praise);
	return strbuf_detach(&text);
}

void judgement_decide(struct judgement *j)
{
	bool failing = false;
	bool undecided = false;
	for (size_t i = 0; i < j->rule_count; i++)
		failing |= j->rules[i].result == THRESHOLD_FAIL;
	for (size_t i = 0; i < latency_judge_count(j->latency); i++)
		undecided |= latency_judge_query(j->latency, i)->result == LATENCY_CANNOT_TELL;
	char *gross = judgement_gross_sentence(j);
	j->invalid = find_invalid(j);
	j->blind = j->data.has_migration ? stall_judge_blindness(j->stalls) : NULL;
	if (j->data.has_migration && j->data.ledger.outcome == LEDGER_NONE)
		j->blind = mem_strdup("the migration's ledger is missing");
	size_t limit = 0;
	const char *unknown = judgement_next_unknown_limit(j, true, &limit);
	if (!j->blind)
		j->blind = check_judge_blindness(&j->checks);
	if (j->invalid && !failed_on_its_own(j)) {
		j->outcome = VERDICT_INVALID;
		j->reason = capitalized(j->invalid);
	} else if (failing) {
		j->outcome = VERDICT_HURTS;
		j->reason = hurts_reason(j);
	} else if (j->server_failed_ns) {
		j->outcome = VERDICT_INVALID;
		j->invalid = mem_printf("the migrating clone's server failed %.1f s after the migration had ended; "
					"whether that was its doing cannot be told",
					ns_to_s(j->server_failed_ns));
		j->reason = capitalized(j->invalid);
	} else if (j->data.ledger.problem) {
		/* The migration tool says that all went well, and what it did says otherwise. */
		j->outcome = VERDICT_CANNOT_TELL;
		j->reason = capitalized(j->data.ledger.problem);
	} else if (j->blind) {
		j->outcome = VERDICT_CANNOT_TELL;
		j->reason = capitalized(j->blind);
	} else if (unknown) {
		j->outcome = VERDICT_CANNOT_TELL;
		j->reason = mem_printf("The limit %s cannot be judged: the run does not have that series.", unknown);
	} else if (*j->fidelity.late) {
		j->outcome = VERDICT_CANNOT_TELL;
		j->reason = capitalized(j->fidelity.late);
	} else if (gross) {
		j->outcome = VERDICT_CANNOT_TELL;
		j->reason = capitalized(gross);
	} else if (j->strict && undecided) {
		j->outcome = VERDICT_CANNOT_TELL;
		j->reason = mem_strdup("Some statements ran too seldom, or too unevenly, to be told apart from noise.");
	} else {
		j->outcome = VERDICT_CLEAR;
		j->reason = clear_reason(j);
	}
	free(gross);
}
