/* The checks' findings among the rules: see check_judge.h. */
#include "judgement.h"
#include "mem.h"

void judgement_apply_check_rules(struct judgement *j)
{
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
