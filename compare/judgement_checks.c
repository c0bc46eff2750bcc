/* The checks' findings among the rules: see check_judge.h. */
#include "clock.h"
#include "judgement.h"
#include "mem.h"

#define UNDER_TRAFFIC "under traffic"

/* The rollback that ran beside the replay is in the ledger. */
static void judge_rollback_under_traffic(struct judgement *j)
{
	const struct ledger_rollback *rollback = &j->data.ledger.rollback;
	if (rollback->outcome == LEDGER_NONE)
		return;
	bool failed = rollback->outcome != LEDGER_OK;
	struct rule_result *r = judgement_add_rule(j, "rollback.failed", UNDER_TRAFFIC, failed);
	const struct ledger_statement *s = judgement_failed_statement(j);
	if (r->result != THRESHOLD_PASS && s) {
		char *head = judgement_sql_head(s->sql ? s->sql : "");
		r->sentence = mem_printf("the rollback failed under traffic at `%s` with %s", head, s->sqlstate);
		free(head);
	} else if (r->result != THRESHOLD_PASS) {
		r->sentence = mem_strdup("the rollback failed under traffic");
	}
	double seconds = ns_to_s(rollback->end_ns - rollback->start_ns);
	r = judgement_add_rule(j, "rollback.duration", UNDER_TRAFFIC, seconds);
	if (r->result != THRESHOLD_PASS)
		r->sentence = mem_printf("under traffic the rollback took %.2f s", seconds);
}

json_t *judgement_rollback_json(const struct judgement *j)
{
	const struct ledger_rollback *rollback = &j->data.ledger.rollback;
	if (rollback->outcome == LEDGER_NONE)
		return json_null();
	return json_pack("{s:s, s:f, s:f}", "outcome", ledger_outcome_name(rollback->outcome), "start_s",
			 ns_to_s(rollback->start_ns), "end_s", ns_to_s(rollback->end_ns));
}

void judgement_apply_check_rules(struct judgement *j)
{
	judge_rollback_under_traffic(j);
	for (size_t i = 0; i < j->checks.count; i++) {
		const struct check_finding *finding = &j->checks.findings[i];
		struct rule_result *r = judgement_add_rule(j, finding->rule, finding->entity, finding->value);
		if (r->result != THRESHOLD_PASS && finding->sentence)
			r->sentence = mem_strdup(finding->sentence);
	}
}

static const char *result_of(const void *context, const char *rule, const char *entity)
{
	const struct judgement *j = context;
	for (size_t i = 0; i < j->rule_count; i++) {
		if (strcmp(j->rules[i].rule->name, rule) != 0 || strcmp(j->rules[i].entity, entity) != 0)
			continue;
		/* A rule that is off judges nothing. */
		bool off = !j->rules[i].rule->warn.set && !j->rules[i].rule->fail.set;
		return off ? "told" : threshold_result_name(j->rules[i].result);
	}
	return "told";
}

void judgement_add_data_checks(const struct judgement *j, json_t *list)
{
	check_judge_add_data(&j->checks, list, result_of, j);
}
