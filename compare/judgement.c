/* Walking over a run with all judges: see judgement.h. */
#include "judgement.h"

#include "clock.h"
#include "mem.h"

static bool locks_of(void *context, uint32_t fingerprint)
{
	struct judgement *j = context;
	return touched_by_lock(j->touched, item_index_fingerprint(j->data.items, fingerprint)->text);
}

static int survey(struct judgement *j, struct error *err)
{
	struct windows_survey *windows = windows_survey_new(&j->data);
	struct pairing *pairing;
	struct pair pair;
	int rc;
	pairing_open(&j->data, &pairing);
	while ((rc = pairing_next(pairing, &pair, err)) > 0)
		windows_survey_add(windows, &pair);
	if (rc == 0)
		windows_survey_finish(windows, &j->windows);
	pairing_free(pairing);
	windows_survey_free(windows);
	return rc;
}

/* What earlier runs without a migration say of this workload's noise: fewer than a handful say nothing. */
static void know_noise(struct judgement *j)
{
	const struct noise_floor *noise = &j->data.noise;
	for (uint32_t f = 0; f < item_index_fingerprint_count(j->data.items); f++) {
		const struct noise_statement *s =
			noise_floor_find(noise, item_index_fingerprint(j->data.items, f)->hash);
		if (s && s->runs >= NOISE_FLOOR_RUNS_MIN)
			latency_judge_know_noise(j->latency, f, s->log_rms);
	}
}

static void start_judges(struct judgement *j)
{
	uint32_t fingerprints = item_index_fingerprint_count(j->data.items);
	uint32_t sessions = item_index_session_count(j->data.items);
	const struct threshold *stall = thresholds_find(j->thresholds, "stall.max", "");
	const struct threshold *ratio = thresholds_find(j->thresholds, "latency.ratio", "");
	struct stall_input stalls = {
		.locks = j->data.has_locks[JUDGE_MIGRATING] ? &j->data.locks[JUDGE_MIGRATING] : NULL,
		.baseline_locks = j->data.has_locks[JUDGE_BASELINE] ? &j->data.locks[JUDGE_BASELINE] : NULL,
		.server_log = j->data.has_server_locks[JUDGE_MIGRATING],
		.ledger = &j->data.ledger,
		.sessions = j->data.sessions[JUDGE_MIGRATING],
		.session_count = j->data.session_count[JUDGE_MIGRATING],
		.item_sessions = sessions,
		.exposure_ns = stall->warn.set ? (int64_t)(stall->warn.value * 1e9) : 100 * NS_PER_MS,
	};
	struct error_input errors = {j->data.items, j->touched, j->data.has_migration, j->data.migration_start_ns,
				     j->data.migration_end_ns};
	j->stalls = stall_judge_new(&stalls);
	j->errors = error_judge_new(&errors);
	j->latency = latency_judge_new(&j->windows, fingerprints, ratio->fail.set ? ratio->fail.value : 1.25);
	know_noise(j);
	j->slow = slow_judge_new(&j->windows, fingerprints, locks_of, j);
	j->clients = client_tally_new(&j->data);
	j->timeline = timeline_new(&j->data);
	j->health = health_judge_new(j->data.dir, &j->windows, &j->data.ledger, j->data.end_ns);
	judgement_start_waits(j);
	fidelity_init(&j->fidelity, sessions);
}

static int walk(struct judgement *j, struct error *err)
{
	struct pairing *pairing;
	struct pair pair;
	int rc;
	pairing_open(&j->data, &pairing);
	while ((rc = pairing_next(pairing, &pair, err)) > 0) {
		int64_t blocked_ns;
		int64_t waited_ns;
		int64_t lock_caused_ns;
		enum window_kind window = windows_find(&j->windows, &pair);
		stall_judge_add(j->stalls, &pair, &blocked_ns, &waited_ns, &lock_caused_ns);
		error_judge_add(j->errors, &pair, blocked_ns);
		latency_judge_add(j->latency, &pair, window, waited_ns, lock_caused_ns);
		slow_judge_add(j->slow, &pair, window, waited_ns, lock_caused_ns);
		client_tally_add(j->clients, &pair, blocked_ns);
		query_waits_add(j->waits, &pair, window);
		fidelity_add(&j->fidelity, &pair, window);
		timeline_add(j->timeline, &pair);
	}
	pairing_free(pairing);
	if (rc < 0)
		return rc;
	stall_judge_finish(j->stalls);
	error_judge_finish(j->errors);
	latency_judge_finish(j->latency);
	slow_judge_finish(j->slow);
	client_tally_finish(j->clients);
	query_waits_finish(j->waits);
	fidelity_finish(&j->fidelity);
	return 0;
}

int judgement_run(struct judgement *j, const char *run_dir, const struct judge_options *options, struct error *err)
{
	memset(j, 0, sizeof(*j));
	thresholds_init(&j->defaults);
	j->thresholds = options && options->thresholds ? options->thresholds : &j->defaults;
	j->strict = options && options->strict;
	rollout_init(&j->no_rollout);
	j->rollout = options && options->rollout ? options->rollout : &j->no_rollout;
	int rc = run_data_open(run_dir, &j->data, err);
	if (rc == 0)
		rc = check_judge_load(&j->checks, run_dir, err);
	if (rc < 0)
		return rc;
	judgement_estimate_production(j);
	j->touched = touched_new(&j->data.ledger);
	rc = survey(j, err);
	if (rc < 0)
		return rc;
	start_judges(j);
	return walk(j, err);
}

void judgement_release(struct judgement *j)
{
	for (size_t i = 0; i < j->rule_count; i++) {
		free(j->rules[i].entity);
		free(j->rules[i].sentence);
	}
	free(j->rules);
	free(j->invalid);
	free(j->blind);
	free(j->reason);
	production_estimate_release(&j->production);
	rollout_release(&j->no_rollout);
	check_judge_release(&j->checks);
	timeline_free(j->timeline);
	query_waits_free(j->waits);
	health_judge_free(j->health);
	client_tally_free(j->clients);
	if (j->fidelity.skew)
		fidelity_release(&j->fidelity);
	slow_judge_free(j->slow);
	latency_judge_free(j->latency);
	error_judge_free(j->errors);
	stall_judge_free(j->stalls);
	touched_free(j->touched);
	run_data_release(&j->data);
	thresholds_release(&j->defaults);
	memset(j, 0, sizeof(*j));
}

const char *judgement_fingerprint_text(const struct judgement *j, uint32_t fingerprint)
{
	if (fingerprint >= item_index_fingerprint_count(j->data.items))
		return "(no statement)";
	return item_index_fingerprint(j->data.items, fingerprint)->text;
}

#define HEAD_MAX 48

char *judgement_sql_head(const char *sql)
{
	char head[HEAD_MAX + 1];
	size_t n = 0;
	bool cut = false;
	for (const char *p = sql; *p; p++) {
		bool space = *p == ' ' || *p == '\n' || *p == '\t' || *p == '\r';
		if (space && (n == 0 || head[n - 1] == ' '))
			continue;
		if (n == HEAD_MAX) {
			cut = true;
			break;
		}
		head[n++] = space ? ' ' : *p;
	}
	/* Back to the end of a word, which is also never the middle of a character. */
	while (cut && n > 0 && head[n - 1] != ' ')
		n--;
	while (n > 0 && (head[n - 1] == ' ' || head[n - 1] == ';'))
		n--;
	head[n] = '\0';
	return n ? mem_printf("%s%s", head, cut ? " …" : "") : mem_strdup("(statement)");
}

char *judgement_duration(double s)
{
	if (s >= 100)
		return mem_printf("%.0f s", s);
	if (s > 0 && s < 0.001)
		return mem_strdup("less than 1 ms");
	return s >= 1 ? mem_printf("%.2f s", s) : mem_printf("%.0f ms", s * 1e3);
}

const struct ledger_statement *judgement_failed_statement(const struct judgement *j)
{
	for (size_t i = j->data.ledger.statement_count; i > 0; i--) {
		if (*j->data.ledger.statements[i - 1].sqlstate)
			return &j->data.ledger.statements[i - 1];
	}
	return NULL;
}
