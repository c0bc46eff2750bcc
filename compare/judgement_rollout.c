/* The migration in production: how long it takes at best, against what the deploy step allows (docs/rollout.md). */
#include "clock.h"
#include "json_file.h"
#include "judgement.h"
#include "mem.h"
#include "timeout_advice.h"

#include <math.h>

#define EXCEEDING_MAX 20 /* statements that are named one by one */

void judgement_estimate_production(struct judgement *j)
{
	const struct lock_log *locks = j->data.has_locks[JUDGE_MIGRATING] ? &j->data.locks[JUDGE_MIGRATING] : NULL;
	j->has_production = j->data.has_migration && j->data.has_ledger;
	if (j->has_production)
		production_estimate_make(&j->data.ledger, locks, &j->rollout->ratios, &j->production);
}

/* "as many rows as the clone", "120 times the clone's rows", "up to 120 times the clone's rows" */
static char *ratio_words(const struct row_ratios *ratios)
{
	double most = ratios->all;
	if (!ratios->given)
		return mem_strdup("with as many rows as the clone");
	for (size_t i = 0; i < ratios->count; i++)
		most = fmax(most, ratios->tables[i].ratio);
	return mem_printf("with %s%.6g times the clone's rows", ratios->count > 0 ? "up to " : "", most);
}

static char *longest_words(const struct judgement *j)
{
	const struct production_estimate *e = &j->production;
	char best[DURATION_TEXT_MAX];
	if (e->longest == PRODUCTION_NONE || e->count < 2)
		return mem_strdup("");
	const char *sql = j->data.ledger.statements[e->longest].sql;
	char *head = judgement_sql_head(sql ? sql : "");
	clock_format_duration(e->statements[e->longest].best_ns, best);
	char *text = mem_printf("; `%s` alone takes %s", head, best);
	free(head);
	return text;
}

static void judge_best_case(struct judgement *j)
{
	int64_t allowed_ns = j->rollout->deploy_timeout_ns;
	char best[DURATION_TEXT_MAX];
	char allowed[DURATION_TEXT_MAX];
	if (!j->has_production || allowed_ns <= 0)
		return;
	double share = (double)j->production.best_ns / (double)allowed_ns;
	struct rule_result *r = judgement_add_rule(j, "migration.best_case", "", share);
	if (r->result == THRESHOLD_PASS)
		return;
	char *rows = ratio_words(&j->rollout->ratios);
	char *longest = longest_words(j);
	clock_format_duration(j->production.best_ns, best);
	clock_format_duration(allowed_ns, allowed);
	if (share > 1)
		r->sentence = mem_printf("in production, %s, the migration takes %s at best, more than the deploy "
					 "timeout of %s%s",
					 rows, best, allowed, longest);
	else
		r->sentence = mem_printf("in production, %s, the migration takes %s at best, %.0f %% of the deploy "
					 "timeout of %s%s",
					 rows, best, 100 * share, allowed, longest);
	free(longest);
	free(rows);
}

void judgement_apply_rollout_rules(struct judgement *j)
{
	judge_best_case(j);
	judgement_apply_blackout_rule(j);
}

static json_t *ratios_json(const struct judgement *j)
{
	const struct row_ratios *ratios = &j->rollout->ratios;
	json_t *list = json_array();
	for (size_t i = 0; i < ratios->count; i++) {
		json_t *object = json_object();
		json_put(object, "table", json_text(ratios->tables[i].table));
		json_put(object, "ratio", json_real(ratios->tables[i].ratio));
		json_put(object, "concerned", json_boolean(j->production.ratio_used[i]));
		(void)json_array_append_new(list, object);
	}
	return list;
}

/* The longest first. */
static json_t *exceeding_json(const struct judgement *j)
{
	const struct production_estimate *e = &j->production;
	json_t *list = json_array();
	int64_t below_ns = INT64_MAX;
	size_t last = PRODUCTION_NONE;
	while (j->rollout->deploy_timeout_ns > 0 && json_array_size(list) < EXCEEDING_MAX) {
		size_t next = PRODUCTION_NONE;
		for (size_t i = 0; i < e->count; i++) {
			int64_t ns = e->statements[i].best_ns;
			bool listed = ns > below_ns || (ns == below_ns && last != PRODUCTION_NONE && i <= last);
			if (!listed && !e->statements[i].of_rollback && ns > j->rollout->deploy_timeout_ns &&
			    (next == PRODUCTION_NONE || ns > e->statements[next].best_ns))
				next = i;
		}
		if (next == PRODUCTION_NONE)
			break;
		below_ns = e->statements[next].best_ns;
		last = next;
		(void)json_array_append_new(list, json_integer((json_int_t)next));
	}
	return list;
}

static json_t *setting_json(int64_t ns, const char *why)
{
	char text[TIMEOUT_SETTING_MAX];
	json_t *object = json_object();
	timeout_advice_format(ns > 0 ? ns : NS_PER_MS, text);
	json_put(object, "setting", ns > 0 ? json_string(text) : json_null());
	json_put(object, "value_s", ns > 0 ? judgement_seconds(ns) : json_null());
	json_put(object, "why", json_text(why));
	return object;
}

static json_t *advice_json(const struct judgement *j)
{
	struct timeout_advice advice;
	json_t *object = json_object();
	timeout_advice_make(&j->production, &j->data.ledger, j->thresholds, j->rollout->deploy_timeout_ns,
			    judgement_sql_head, &advice);
	json_put(object, "lock_timeout", setting_json(advice.lock_ns, advice.lock_why));
	json_put(object, "statement_timeout", setting_json(advice.statement_ns, advice.statement_why));
	timeout_advice_release(&advice);
	return object;
}

json_t *judgement_production_json(const struct judgement *j)
{
	const struct production_estimate *e = &j->production;
	if (!j->has_production)
		return json_null();
	int64_t allowed_ns = j->rollout->deploy_timeout_ns;
	char *rows = ratio_words(&j->rollout->ratios);
	json_t *object = json_object();
	json_put(object, "label", json_string("best case"));
	json_put(object, "rows", json_text(rows));
	json_put(object, "row_ratio_given", json_boolean(j->rollout->ratios.given));
	json_put(object, "row_ratio", json_real(j->rollout->ratios.all));
	json_put(object, "row_ratios", ratios_json(j));
	json_put(object, "complete", json_boolean(j->data.ledger.outcome == LEDGER_OK));
	json_put(object, "took_s", judgement_seconds(e->took_ns));
	json_put(object, "lock_waits_s", judgement_seconds(e->waited_ns));
	json_put(object, "measuring_s", judgement_seconds(e->measuring_ns));
	json_put(object, "between_s", judgement_seconds(e->between_ns));
	json_put(object, "best_case_s", judgement_seconds(e->best_ns));
	json_put(object, "deploy_timeout_s", allowed_ns > 0 ? judgement_seconds(allowed_ns) : json_null());
	json_put(object, "longest", e->longest == PRODUCTION_NONE ? json_null() : json_integer((json_int_t)e->longest));
	json_put(object, "exceeding", exceeding_json(j));
	json_put(object, "advice", advice_json(j));
	free(rows);
	return object;
}

void judgement_add_best_cases(const struct judgement *j, json_t *statements)
{
	size_t i;
	json_t *statement;
	json_array_foreach (statements, i, statement) {
		json_t *object = json_null();
		if (j->has_production && i < j->production.count) {
			const struct production_statement *p = &j->production.statements[i];
			object = json_object();
			json_put(object, "work", json_string(statement_work_name(p->growth.work)));
			json_put(object, "grows", json_boolean(statement_work_grows(p->growth.work)));
			json_put(object, "row_ratio", json_real(p->growth.ratio));
			json_put(object, "lock_waits_s", judgement_seconds(p->waited_ns));
			json_put(object, "best_case_s", judgement_seconds(p->best_ns));
			json_put(object, "shut_out_s", judgement_seconds(p->shut_ns));
		}
		json_put(statement, "production", object);
	}
}
