/*
 * What the health samples say of each statement (requirement I3): see query_waits.h. Limits on the servers' health
 * (I1): see health_judge.h. They are off until somebody sets one. A level that the baseline reaches too, in the same
 * time, is the traffic's doing, and passes.
 */
#include "judgement.h"
#include "mem.h"

void judgement_start_waits(struct judgement *j)
{
	struct query_waits_lane lanes[JUDGE_LANES];
	for (int lane = 0; lane < JUDGE_LANES; lane++)
		lanes[lane].log = health_judge_log(j->health, (enum judge_lane)lane, &lanes[lane].reason);
	j->waits = query_waits_new(&j->data, lanes);
}

static bool is_set(const struct threshold *rule)
{
	return rule && (rule->warn.set || rule->fail.set);
}

void judgement_apply_health_rules(struct judgement *j)
{
	for (size_t i = 0; i < health_judge_limit_count(); i++) {
		struct health_limit limit = health_judge_limit(j->health, i);
		if (!is_set(thresholds_find(j->thresholds, limit.rule, "")) || !j->data.has_migration || !limit.known)
			continue;
		struct rule_result *r = judgement_add_rule(j, limit.rule, "", limit.migrating);
		if (thresholds_judge(j->thresholds, r->rule, "", limit.baseline) >= r->result)
			r->result = THRESHOLD_PASS;
		if (r->result == THRESHOLD_PASS)
			continue;
		struct strbuf values[2];
		for (int lane = 0; lane < JUDGE_LANES; lane++)
			strbuf_init(&values[lane], 100);
		threshold_format_value(r->rule, limit.migrating, &values[0]);
		threshold_format_value(r->rule, limit.baseline, &values[1]);
		r->sentence = mem_printf("%s %s since the migration began (%s on the baseline)", limit.what,
					 values[0].data, values[1].data);
		strbuf_release(&values[0]);
		strbuf_release(&values[1]);
	}
}

const char *judgement_next_unknown_limit(const struct judgement *j, bool only_failing, size_t *index)
{
	while (j->data.has_migration && *index < health_judge_limit_count()) {
		struct health_limit limit = health_judge_limit(j->health, (*index)++);
		const struct threshold *rule = thresholds_find(j->thresholds, limit.rule, "");
		if (is_set(rule) && !limit.known && (rule->fail.set || !only_failing))
			return limit.rule;
	}
	return NULL;
}
