/*
 * What the two judges of latencies found, in sentences and in the document: see judgement.h and docs/verdict.md. Beside
 * what the user felt stands what a statement itself took, because a queue hands the slowness of one statement to
 * others.
 */
#include "json_file.h"
#include "judgement.h"
#include "mem.h"

static json_t *known(bool is_known, double value)
{
	return is_known ? judgement_number(value) : json_null();
}

/* "`insert …` takes 21.2 times as long (14.6 to 30.7; itself 18.2 times) from the migration on" */
char *judgement_latency_sentence(const struct judgement *j, const struct latency_query *q)
{
	struct strbuf text;
	char *head = judgement_sql_head(judgement_fingerprint_text(j, q->fingerprint));
	char *noise = health_judge_noise(j->health, &j->windows.of[q->window]);
	strbuf_init(&text, 4096);
	strbuf_addf(&text, "`%s` takes %.2f times as long%s (%.2f to %.2f", head, q->ratio,
		    q->by_service ? " to execute" : "", q->ci_low, q->ci_high);
	if (!q->by_service && q->service.blocks)
		strbuf_addf(&text, "; to execute %.2f times", q->service.ratio);
	strbuf_addf(&text, ") %s", windows_phrase(&j->windows, q->window));
	if (noise)
		strbuf_addf(&text, " (meanwhile %s)", noise);
	free(noise);
	free(head);
	return strbuf_detach(&text);
}

char *judgement_gross_sentence(const struct judgement *j)
{
	struct latency_total total;
	if (!latency_judge_gross(j->latency, &total))
		return NULL;
	char *migrating = judgement_duration(total.s[JUDGE_MIGRATING]);
	char *baseline = judgement_duration(total.s[JUDGE_BASELINE]);
	char *head = judgement_sql_head(judgement_fingerprint_text(j, total.fingerprint));
	char *text = mem_printf("%s the same statements took %s in all on the migrating lane and %s on the baseline, "
				"waits for the migration's locks apart, and it could not be proven of any of them "
				"that it became slower; most of it went into `%s`",
				j->data.has_migration ? "since the migration began" : "without a migration", migrating,
				baseline, head);
	free(head);
	free(baseline);
	free(migrating);
	return text;
}

json_t *judgement_latency_total_json(const struct judgement *j)
{
	struct latency_total total;
	bool gross = latency_judge_gross(j->latency, &total);
	json_t *object = json_object();
	json_put(object, "statements", json_integer((json_int_t)total.n));
	json_put(object, "baseline_s", judgement_number(total.s[JUDGE_BASELINE]));
	json_put(object, "migrating_s", judgement_number(total.s[JUDGE_MIGRATING]));
	json_put(object, "service_baseline_s", judgement_number(total.service_s[JUDGE_BASELINE]));
	json_put(object, "service_migrating_s", judgement_number(total.service_s[JUDGE_MIGRATING]));
	json_put(object, "gross", json_boolean(gross));
	return object;
}

/* slow.query_seconds proved it, on the service times of the migration's own span: then these are the row's figures. */
void judgement_add_slow(const struct slow_query *slow, json_t *object)
{
	json_put(object, "judged", json_string("service"));
	json_put(object, "n", json_integer((json_int_t)slow->n));
	json_put(object, "blocks", json_integer((json_int_t)slow->blocks));
	json_put(object, "ratio", known(slow->blocks, slow->ratio));
	json_put(object, "ci_low", known(slow->blocks, slow->ci_low));
	json_put(object, "ci_high", known(slow->blocks, slow->ci_high));
	json_put(object, "p", judgement_number(slow->p));
	json_put(object, "service_n", json_integer((json_int_t)slow->n));
	json_put(object, "service_ratio", known(slow->blocks, slow->ratio));
	json_put(object, "service_ci_low", known(slow->blocks, slow->ci_low));
	json_put(object, "service_ci_high", known(slow->blocks, slow->ci_high));
	json_put(object, "service_p", judgement_number(slow->p));
}

void judgement_add_service(const struct judgement *j, const struct latency_query *q, json_t *object)
{
	const struct latency_service *s = &q->service;
	json_put(object, "when", json_string(windows_phrase(&j->windows, q->window)));
	json_put(object, "judged", json_string(q->by_service ? "service" : "latency"));
	json_put(object, "service_n", json_integer((json_int_t)s->n));
	json_put(object, "service_ratio", known(s->blocks, s->ratio));
	json_put(object, "service_ci_low", known(s->blocks, s->ci_low));
	json_put(object, "service_ci_high", known(s->blocks, s->ci_high));
	json_put(object, "service_p", known(s->tested, s->p));
	json_put(object, "service_baseline_p95_ms", known(s->n, s->p95_ms[JUDGE_BASELINE]));
	json_put(object, "service_migrating_p95_ms", known(s->n, s->p95_ms[JUDGE_MIGRATING]));
}
