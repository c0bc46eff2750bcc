/* A judged run as the document that verdict.json holds (docs/verdict.md): see judgement.h. */
#include "clock.h"
#include "json_file.h"
#include "judgement.h"
#include "mem.h"
#include "sqlstate.h"

#include <inttypes.h>
#include <math.h>

/* What a report can show; how many there are is said beside it. */
#define STALLS_MAX    200
#define QUERIES_MAX   300
#define ERRORS_MAX    300
#define EXPOSURES_MAX 200
#define CLIENTS_MAX   100

json_t *judgement_number(double value)
{
	if (!isfinite(value))
		return json_null();
	char text[40];
	(void)snprintf(text, sizeof(text), "%.6g", value);
	return json_real(strtod(text, NULL));
}

json_t *judgement_seconds(int64_t ns)
{
	return json_real(round((double)ns / 1e3) / 1e6);
}

static json_t *millis(int64_t ns)
{
	return json_real(round((double)ns / 1e3) / 1e3);
}

static json_t *hash_json(const struct judgement *j, uint32_t fingerprint)
{
	char text[20];
	if (fingerprint >= item_index_fingerprint_count(j->data.items))
		return json_null();
	(void)snprintf(text, sizeof(text), "%016" PRIx64, item_index_fingerprint(j->data.items, fingerprint)->hash);
	return json_string(text);
}

static json_t *sql_json(const struct judgement *j, uint32_t fingerprint)
{
	if (fingerprint >= item_index_fingerprint_count(j->data.items))
		return json_null();
	return json_text(judgement_fingerprint_text(j, fingerprint));
}

static json_t *rules_json(const struct judgement *j)
{
	json_t *list = json_array();
	for (size_t i = 0; i < j->rule_count; i++) {
		const struct rule_result *r = &j->rules[i];
		struct strbuf levels;
		strbuf_init(&levels, 200);
		threshold_format(r->rule, &levels);
		json_t *object = json_object();
		json_put(object, "name", json_string(r->rule->name));
		json_put(object, "entity", json_text(r->entity));
		json_put(object, "value", judgement_number(r->value));
		json_put(object, "unit",
			 json_string(r->rule->unit == THRESHOLD_SECONDS ? "s"
				     : r->rule->unit == THRESHOLD_RATIO ? "ratio"
				     : r->rule->unit == THRESHOLD_BYTES ? "bytes"
									: "count"));
		json_put(object, "threshold", json_string(levels.data));
		json_put(object, "result", json_string(threshold_result_name(r->result)));
		json_put(object, "finding", r->sentence ? json_text(r->sentence) : json_null());
		(void)json_array_append_new(list, object);
		strbuf_release(&levels);
	}
	return list;
}

static json_t *fidelity_json(const struct judgement *j)
{
	const struct fidelity *f = &j->fidelity;
	json_t *object = json_object();
	json_put(object, "grade", json_string(fidelity_grade_name(f->grade)));
	json_put(object, "reason", *f->reason ? json_text(f->reason) : json_null());
	json_t *figures = json_array();
	for (int i = 0; i < FIDELITY_FIGURES; i++) {
		json_t *figure = json_object();
		json_put(figure, "name", json_string(f->figures[i].name));
		json_put(figure, "value", judgement_number(f->figures[i].value));
		json_put(figure, "grade_a", judgement_number(f->figures[i].grade_a));
		json_put(figure, "unfit", judgement_number(f->figures[i].unfit));
		json_put(figure, "grade", json_string(fidelity_grade_name(f->figures[i].grade)));
		(void)json_array_append_new(figures, figure);
	}
	json_put(object, "figures", figures);
	uint64_t saturated;
	uint64_t blocks;
	latency_judge_saturation(j->latency, &saturated, &blocks);
	json_put(object, "items", json_integer((json_int_t)f->items));
	json_put(object, "statements", json_integer((json_int_t)f->statements));
	json_put(object, "blocks", json_integer((json_int_t)blocks));
	json_put(object, "saturated_blocks", json_integer((json_int_t)saturated));
	json_put(object, "tainted_sessions", json_integer((json_int_t)error_judge_tainted_sessions(j->errors)));
	return object;
}

/*
 * With --check-results: whether both lanes read the same. It is told, and decides nothing: docs/verdict.md says why.
 * Behind it what the checks beside the replay found.
 */
static json_t *data_checks_json(const struct judgement *j)
{
	const struct error_rows *rows = error_judge_rows(j->errors);
	json_t *checks = json_array();
	if (rows->digests > 0)
		(void)json_array_append_new(checks, json_pack("{s:s, s:I, s:I, s:s}", "name", "result_digests",
							      "compared", (json_int_t)rows->digests, "differing",
							      (json_int_t)rows->digest_mismatches, "result", "told"));
	judgement_add_data_checks(j, checks);
	return checks;
}

/* What calibrate knows of this workload on this machine; null when it was never asked. */
static json_t *calibration_json(const struct judgement *j)
{
	const struct noise_floor *noise = &j->data.noise;
	if (noise->runs == 0)
		return json_null();
	json_t *object = json_object();
	json_put(object, "workload", json_text(noise->workload));
	json_put(object, "machine", json_text(noise->machine));
	json_put(object, "runs", json_integer(noise->runs));
	for (int i = 0; i < 4; i++)
		json_put(object, verdict_outcome_name((enum verdict_outcome)i), json_integer(noise->outcomes[i]));
	json_put(object, "statements", json_integer((json_int_t)noise->count));
	return object;
}

/* n runs without an alarm prove with 95 % confidence that the rate is below 1 - 0.05^(1/n). */
static json_t *alarm_note(const struct judgement *j)
{
	const struct noise_floor *noise = &j->data.noise;
	uint32_t judged = noise->runs - noise->outcomes[VERDICT_INVALID];
	if (judged == 0)
		return json_string(
			"The rate of false alarms is measured on runs without a migration; 0 alarms in 100 such runs "
			"prove less than 3 % with 95 % confidence, 300 prove less than 1 %.");
	uint32_t alarms = noise->outcomes[VERDICT_HURTS];
	char *text =
		alarms ? mem_printf("%u of %u runs without a migration on this machine were alarms.", alarms, judged)
		       : mem_printf("None of %u runs without a migration on this machine was an alarm, which proves "
				    "a rate below %.1f %% with 95 %% confidence.",
				    judged, 100 * (1 - pow(0.05, 1.0 / judged)));
	json_t *value = json_string(text);
	free(text);
	return value;
}

static json_t *waits_json(const struct stall_control *control)
{
	json_t *waits = json_object();
	json_put(waits, "waits", json_integer((json_int_t)control->waits));
	json_put(waits, "longest_ms", millis(control->longest_ns));
	return waits;
}

static json_t *noise_json(const struct judgement *j)
{
	const struct error_rows *rows = error_judge_rows(j->errors);
	const struct latency_query *before = latency_judge_before(j->latency);
	double slow = slow_judge_noise_floor(j->slow);
	json_t *object = json_object();
	json_put(object, "lanes_differ_before", json_boolean(before != NULL));
	json_put(object, "slow_query_seconds", slow < 0 ? json_null() : judgement_number(slow));
	json_put(object, "rows_compared", json_integer((json_int_t)rows->pairs));
	json_put(object, "rows_differing", json_integer((json_int_t)rows->mismatches));
	json_put(object, "rows_differing_before", json_integer((json_int_t)rows->before));
	json_put(object, "lock_waits_baseline", waits_json(stall_judge_other_waits(j->stalls, JUDGE_BASELINE)));
	json_put(object, "lock_waits_not_of_the_migration",
		 waits_json(stall_judge_other_waits(j->stalls, JUDGE_MIGRATING)));
	json_put(object, "lock_waits_of_measuring", waits_json(stall_judge_measuring_waits(j->stalls)));
	json_put(object, "calibration", calibration_json(j));
	json_put(object, "alarm_rate_note", alarm_note(j));
	return object;
}

static json_t *windows_json(const struct judgement *j)
{
	json_t *list = json_array();
	for (int kind = 0; kind < WINDOW_COUNT; kind++) {
		const struct window *w = &j->windows.of[kind];
		if (w->end_ns <= w->start_ns)
			continue;
		json_t *object = json_object();
		json_put(object, "name", json_string(window_kind_name(kind)));
		json_put(object, "start_s", judgement_seconds(w->start_ns));
		json_put(object, "end_s", judgement_seconds(w->end_ns));
		json_put(object, "block_s", judgement_seconds(w->block_ns));
		json_put(object, "blocks", json_integer(w->blocks));
		(void)json_array_append_new(list, object);
	}
	return list;
}

static json_t *link_json(const char *role, const char *who)
{
	json_t *object = json_object();
	json_put(object, "role", json_string(role));
	json_put(object, "who", json_string(who));
	return object;
}

/* Root first: who held on, then who made it worse. */
static json_t *chain_json(const struct judgement *j, const struct stall *s)
{
	json_t *list = json_array();
	if (s->root.found) {
		json_t *root = link_json("root", s->root.session == STALL_NO_SESSION ? "another backend" : "session");
		json_put(root, "pid", json_integer(s->root.pid));
		json_put(root, "session",
			 s->root.session == STALL_NO_SESSION ? json_null() : json_integer(s->root.session));
		if (s->root.session != STALL_NO_SESSION) {
			const struct item_session *session = item_index_session(j->data.items, s->root.session);
			json_put(root, "application", json_text(session->application ? session->application : ""));
			json_put(root, "user", json_text(session->user ? session->user : ""));
		}
		json_put(root, "fingerprint", hash_json(j, s->root.fingerprint));
		json_put(root, "sql", sql_json(j, s->root.fingerprint));
		json_put(root, "idle_in_transaction", json_boolean(s->root.idle));
		json_put(root, "held_up_ms", millis(s->root.waited_ns));
		(void)json_array_append_new(list, root);
	}
	json_t *migration = link_json(s->root.found ? "amplifier" : "root", "migration");
	if (s->statement < j->data.ledger.statement_count) {
		const struct ledger_statement *statement = &j->data.ledger.statements[s->statement];
		json_put(migration, "pid", json_integer(statement->backend_pid));
		json_put(migration, "statement", json_integer((json_int_t)s->statement));
		json_put(migration, "sql", statement->sql ? json_text(statement->sql) : json_null());
	}
	json_put(migration, "mode", json_string(s->mode));
	(void)json_array_append_new(list, migration);
	return list;
}

static json_t *stall_json(const struct judgement *j, const struct stall *s)
{
	json_t *object = json_object();
	json_t *channels = json_array();
	if (s->from_ledger)
		(void)json_array_append_new(channels, json_string("ledger"));
	if (s->witnesses & LOCK_SEEN_BY_SAMPLER)
		(void)json_array_append_new(channels, json_string("sampler"));
	if (s->witnesses & LOCK_SEEN_BY_SERVER)
		(void)json_array_append_new(channels, json_string("server_log"));
	if (s->victims)
		(void)json_array_append_new(channels, json_string("victims"));
	json_put(object, "relation", json_text(s->relation));
	json_put(object, "lock", json_string(stall_kind_name(s->kind)));
	json_put(object, "mode", json_string(s->mode));
	json_put(object, "blocks", json_string(stall_blocks(s)));
	json_put(object, "start_s", judgement_seconds(s->start_ns));
	json_put(object, "duration_ms", millis(stall_length_ns(s)));
	json_put(object, "measuring_ms", millis(s->measuring_ns));
	json_put(object, "longest_wait_ms", millis(s->longest_wait_ns));
	json_put(object, "exact_end", json_boolean(s->exact_end));
	json_put(object, "waits", json_integer((json_int_t)s->waits));
	json_put(object, "victims", json_integer((json_int_t)s->victims));
	json_put(object, "timed_out", json_integer((json_int_t)s->timed_out));
	json_put(object, "blocked_query_s", judgement_number(s->blocked_query_s));
	json_put(object, "confirmed", json_boolean(json_array_size(channels) >= 2));
	json_put(object, "chain", chain_json(j, s));
	json_put(object, "channels", channels);
	return object;
}

static json_t *stalls_json(const struct judgement *j)
{
	json_t *list = json_array();
	for (size_t i = 0; i < stall_judge_count(j->stalls) && i < STALLS_MAX; i++)
		(void)json_array_append_new(list, stall_json(j, stall_judge_stall(j->stalls, i)));
	return list;
}

static json_t *exposures_json(const struct judgement *j)
{
	json_t *list = json_array();
	for (size_t i = 0; i < stall_judge_exposure_count(j->stalls) && i < EXPOSURES_MAX; i++) {
		const struct stall_exposure *e = stall_judge_exposure(j->stalls, i);
		json_t *object = json_object();
		json_put(object, "relation", json_text(e->lock->relation));
		json_put(object, "mode", json_string(e->lock->mode));
		json_put(object, "start_s", judgement_seconds(e->lock->acquired_ns));
		json_put(object, "held_ms", millis(e->held_ns));
		json_put(object, "measuring_ms", millis(e->measuring_ns));
		json_put(object, "statement", json_integer((json_int_t)e->statement));
		(void)json_array_append_new(list, object);
	}
	return list;
}

static const struct slow_query *find_slow(const struct judgement *j, uint32_t fingerprint)
{
	for (size_t i = 0; i < slow_judge_count(j->slow); i++) {
		if (slow_judge_query(j->slow, i)->fingerprint == fingerprint)
			return slow_judge_query(j->slow, i);
	}
	return NULL;
}

static json_t *query_json(const struct judgement *j, const struct latency_query *q)
{
	json_t *object = json_object();
	const struct slow_query *slow = q->window == WINDOW_DURING ? find_slow(j, q->fingerprint) : NULL;
	bool slow_hurts = slow && slow->significant && slow_judge_query_seconds(j->slow) > 0;
	json_put(object, "fingerprint", hash_json(j, q->fingerprint));
	json_put(object, "sql", sql_json(j, q->fingerprint));
	json_put(object, "window", json_string(window_kind_name(q->window)));
	json_put(object, "n", json_integer((json_int_t)q->n));
	json_put(object, "blocks", json_integer((json_int_t)q->blocks));
	json_put(object, "ratio", q->blocks ? judgement_number(q->ratio) : json_null());
	json_put(object, "ci_low", q->blocks ? judgement_number(q->ci_low) : json_null());
	json_put(object, "ci_high", q->blocks ? judgement_number(q->ci_high) : json_null());
	json_put(object, "p", q->tested ? judgement_number(q->p) : json_null());
	json_put(object, "baseline_p95_ms", judgement_number(q->baseline_p95_ms));
	json_put(object, "migrating_p95_ms", judgement_number(q->migrating_p95_ms));
	json_put(object, "delta_p95_ms", judgement_number(q->migrating_p95_ms - q->baseline_p95_ms));
	json_put(object, "extra_share", judgement_number(q->extra_share));
	json_put(object, "margin", judgement_number(q->margin));
	json_put(object, "blocked_share", judgement_number(q->all ? (double)q->blocked / (double)q->all : 0));
	judgement_add_service(j, q, object);
	if (slow_hurts)
		judgement_add_slow(slow, object);
	json_put(object, "waits", query_waits_of(j->waits, q->fingerprint));
	json_put(object, "slow_query_s", slow ? judgement_number(slow->query_s) : json_null());
	json_put(object, "smallest_effect",
		 q->smallest_effect > 0 ? judgement_number(q->smallest_effect) : json_null());
	json_put(object, "result", json_string(slow_hurts ? "hurts" : latency_result_name(q->result)));
	json_put(object, "why",
		 slow_hurts ? json_string("slow.query_seconds")
		 : q->why   ? json_string(q->why)
			    : json_null());
	return object;
}

/* Those that hurt by slow.query_seconds come first: the statistics judge ranks them as undecided. */
static json_t *queries_json(const struct judgement *j)
{
	json_t *list = json_array();
	for (size_t i = 0; i < latency_judge_count(j->latency) && i < QUERIES_MAX; i++) {
		json_t *object = query_json(j, latency_judge_query(j->latency, i));
		const char *result = json_string_value(json_object_get(object, "result"));
		if (latency_judge_query(j->latency, i)->result != LATENCY_HURTS && strcmp(result, "hurts") == 0)
			(void)json_array_insert_new(list, 0, object);
		else
			(void)json_array_append_new(list, object);
	}
	return list;
}

static json_t *errors_json(const struct judgement *j)
{
	json_t *list = json_array();
	for (size_t i = 0; i < error_judge_count(j->errors) && i < ERRORS_MAX; i++) {
		const struct error_entry *e = error_judge_entry(j->errors, i);
		char code[SQLSTATE_TEXT_MAX];
		sqlstate_unpack(e->sqlstate, code);
		json_t *object = json_object();
		json_put(object, "sqlstate", json_string(code));
		json_put(object, "fingerprint", hash_json(j, e->fingerprint));
		json_put(object, "sql", sql_json(j, e->fingerprint));
		json_put(object, "capture", json_integer((json_int_t)e->capture));
		json_put(object, "baseline", json_integer((json_int_t)e->lane[JUDGE_BASELINE]));
		json_put(object, "migrating", json_integer((json_int_t)e->lane[JUDGE_MIGRATING]));
		json_put(object, "only_baseline", json_integer((json_int_t)e->only_baseline));
		json_put(object, "only_migrating", json_integer((json_int_t)e->only_migrating));
		json_put(object, "with_lock_evidence", json_integer((json_int_t)e->with_lock_evidence));
		json_put(object, "kind", json_string(error_kind_name(e->kind)));
		json_put(object, "p", judgement_number(e->p));
		json_put(object, "result", json_string(error_result_name(e->result)));
		json_put(object, "first_s", e->first_ns >= 0 ? judgement_seconds(e->first_ns) : json_null());
		if (e->first_ns >= 0 && e->source_file < item_index_source_count(j->data.items)) {
			json_put(object, "source", json_text(item_index_source(j->data.items, e->source_file)));
			json_put(object, "source_line", json_integer((json_int_t)e->source_line));
		}
		(void)json_array_append_new(list, object);
	}
	return list;
}

static void add_untested(json_t *list, const char *what, const char *why)
{
	json_t *object = json_object();
	json_put(object, "what", json_text(what));
	json_put(object, "why", json_text(why));
	(void)json_array_append_new(list, object);
}

static json_t *untested_json(const struct judgement *j)
{
	json_t *list = json_array();
	uint64_t saturated;
	uint64_t blocks;
	char text[300];
	latency_judge_saturation(j->latency, &saturated, &blocks);
	if (j->blind)
		add_untested(list, "lock waits", j->blind);
	if (saturated) {
		(void)snprintf(text, sizeof(text),
			       "in %" PRIu64 " of %" PRIu64
			       " blocks of time most statements had to queue on the baseline "
			       "already: this machine is smaller than what the traffic came from",
			       saturated, blocks);
		add_untested(list, "latencies under overload", text);
	}
	for (int kind = WINDOW_BEFORE; kind <= WINDOW_AFTER; kind++) {
		const struct window *w = &j->windows.of[kind];
		if ((kind > WINDOW_BEFORE && !j->windows.migration) || w->blocks >= 11)
			continue;
		(void)snprintf(text, sizeof(text), "the window %s the migration is %.1f s long; a test needs 11 s",
			       window_kind_name(kind), ns_to_s(w->end_ns - w->start_ns));
		add_untested(list, kind == WINDOW_BEFORE ? "whether the lanes were alike" : "lasting slowdowns", text);
	}
	if (latency_judge_untested(j->latency)) {
		(void)snprintf(text, sizeof(text), "%" PRIu64 " rarer fingerprints beyond the %d tested",
			       latency_judge_untested(j->latency), LATENCY_TESTED_MAX);
		add_untested(list, "latencies of rare statements", text);
	}
	if (stall_judge_unmapped_waits(j->stalls)) {
		(void)snprintf(text, sizeof(text),
			       "%" PRIu64 " waits behind the migration were of backends that serve no "
			       "recorded session",
			       stall_judge_unmapped_waits(j->stalls));
		add_untested(list, "other backends", text);
	}
	const char *unknown;
	for (size_t limit = 0; (unknown = judgement_next_unknown_limit(j, false, &limit));)
		add_untested(list, unknown, "a limit is set, and the run does not have that series");
	judgement_add_untested_tables(j, list);
	check_judge_add_untested(&j->checks, list);
	return list;
}

static json_t *environment_json(const struct judgement *j)
{
	json_t *object = json_object();
	json_t *environment = json_object_get(j->data.run, "environment");
	static const char *const keys[] = {"start_time", "commit",	"speed", "migrate_at_s",
					   "end_s",	 "replay_file", NULL};
	if (json_is_object(environment))
		(void)json_object_update(object, environment);
	for (size_t i = 0; keys[i]; i++) {
		json_t *value = json_object_get(j->data.run, keys[i]);
		if (value)
			(void)json_object_set(object, keys[i], value);
	}
	return object;
}

static json_t *migration_json(const struct judgement *j)
{
	static const char *const outcomes[] = {"none", "ok", "failed", "timeout", "cancelled"};
	json_t *object = json_object();
	json_put(object, "outcome", json_string(outcomes[j->data.ledger.outcome]));
	json_put(object, "start_s",
		 j->data.has_migration ? judgement_seconds(j->data.migration_start_ns) : json_null());
	json_put(object, "end_s", j->data.has_migration ? judgement_seconds(j->data.migration_end_ns) : json_null());
	json_put(object, "measuring_s", judgement_seconds(judgement_measuring_ns(j)));
	json_put(object, "statements_not_run", json_integer((json_int_t)j->data.ledger.statements_not_run));
	json_put(object, "tool", ledger_tool_to_json(&j->data.ledger));
	json_put(object, "problem", j->data.ledger.problem ? json_text(j->data.ledger.problem) : json_null());
	return object;
}

json_t *judgement_to_json(const struct judgement *j)
{
	json_t *object = json_object();
	const json_t *lanes = json_object_get(j->data.run, "lanes");
	json_put(object, "schema", json_string(VERDICT_SCHEMA));
	json_put(object, "outcome", json_string(verdict_outcome_name(j->outcome)));
	json_put(object, "reason", json_text(j->reason));
	json_put(object, "rules", rules_json(j));
	json_put(object, "fidelity", fidelity_json(j));
	json_put(object, "noise_floor", noise_json(j));
	json_put(object, "windows", windows_json(j));
	json_t *statements = ledger_to_json(&j->data.ledger);
	judgement_add_best_cases(j, statements);
	json_put(object, "migration", statements);
	json_put(object, "migration_run", migration_json(j));
	json_put(object, "production", judgement_production_json(j));
	json_put(object, "blackouts", judgement_blackouts_json(j));
	json_put(object, "stalls", stalls_json(j));
	json_put(object, "stalls_total", json_integer((json_int_t)stall_judge_count(j->stalls)));
	json_put(object, "exposures", exposures_json(j));
	json_put(object, "queries", queries_json(j));
	json_put(object, "latency_total", judgement_latency_total_json(j));
	json_put(object, "queries_total", json_integer((json_int_t)latency_judge_count(j->latency)));
	json_put(object, "errors", errors_json(j));
	json_put(object, "errors_total", json_integer((json_int_t)error_judge_count(j->errors)));
	json_put(object, "who", client_tally_to_json(j->clients, CLIENTS_MAX));
	json_put(object, "who_total", json_integer((json_int_t)client_tally_count(j->clients)));
	json_put(object, "data_checks", data_checks_json(j));
	json_put(object, "data_checks_total", json_integer((json_int_t)j->checks.results.data_count));
	json_put(object, "rollback", check_judge_rollback_json(&j->checks));
	json_put(object, "rollback_under_traffic", judgement_rollback_json(j));
	json_put(object, "schema_changes", check_judge_schema_json(&j->checks));
	json_put(object, "untested", untested_json(j));
	json_put(object, "lanes", json_deep_copy(lanes));
	json_put(object, "timeline", timeline_to_json(j->timeline));
	json_put(object, "health", health_judge_to_json(j->health));
	json_put(object, "query_waits", query_waits_to_json(j->waits));
	json_put(object, "environment", environment_json(j));
	return object;
}
