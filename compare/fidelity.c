/*
 * Fidelity: see fidelity.h. The bands are those of docs/verdict.md. Pair skew is meant as the harness's: |h_M - h_B|;
 * if one clone is slower, its queues are what the run is to show, not a fault.
 */
#include "fidelity.h"

#include "clock.h"
#include "mem.h"
#include "sqlstate.h"

#include <uthash.h>

#define SLACK_NS NS_PER_US /* times are rounded when they are written */

struct fidelity_divergence {
	uint32_t sqlstate; /* 0: an error of the capture that did not happen again */
	uint64_t count;
	UT_hash_handle hh;
};

const char *fidelity_grade_name(enum fidelity_grade grade)
{
	static const char *const names[] = {"A", "B", "unfit"};
	return names[grade];
}

void fidelity_init(struct fidelity *fidelity, uint32_t sessions)
{
	memset(fidelity, 0, sizeof(*fidelity));
	fidelity->sessions = sessions;
	fidelity->skew = mem_zalloc(1, sizeof(*fidelity->skew));
	for (int lane = 0; lane < JUDGE_LANES; lane++) {
		fidelity->last_done_ns[lane] = mem_zalloc(sessions, sizeof(int64_t));
		for (uint32_t s = 0; s < sessions; s++)
			fidelity->last_done_ns[lane][s] = INT64_MIN;
	}
}

void fidelity_release(struct fidelity *fidelity)
{
	struct fidelity_divergence *d, *next;
	HASH_ITER (hh, fidelity->worst, d, next) {
		HASH_DEL(fidelity->worst, d);
		free(d);
	}
	for (int lane = 0; lane < JUDGE_LANES; lane++)
		free(fidelity->last_done_ns[lane]);
	free(fidelity->skew);
	memset(fidelity, 0, sizeof(*fidelity));
}

static void add_lane(struct fidelity *fidelity, const struct pair *pair, enum judge_lane lane, bool before)
{
	const struct run_record *r = pair->lane[lane];
	if (!pair_was_sent(pair, lane)) {
		fidelity->unaccounted += r->outcome > RUN_SKIPPED ||
					 (r->outcome == RUN_SKIPPED &&
					  (r->reason == RUN_SKIP_NONE || r->reason >= RUN_SKIP_REASON_COUNT));
		return;
	}
	struct fidelity_punctual *p = &fidelity->punctual[before ? FIDELITY_BEFORE : FIDELITY_SINCE][lane];
	p->sent++;
	p->within_1ms += r->lag_us <= 1000;
	p->within_10ms += r->lag_us <= 10000;
	/* A cancel is sent into the middle of what it cancels. */
	if (pair->item->kind == ITEM_CANCEL)
		return;
	int64_t *last = &fidelity->last_done_ns[lane][pair->item->session];
	int64_t done = pair_done_ns(pair, lane);
	fidelity->order_violations += pair_sent_ns(pair, lane) + SLACK_NS < *last;
	if (done > *last)
		*last = done;
}

static void count_divergence(struct fidelity *fidelity, uint32_t sqlstate)
{
	struct fidelity_divergence *d;
	HASH_FIND(hh, fidelity->worst, &sqlstate, sizeof(sqlstate), d);
	if (!d) {
		d = mem_zalloc(1, sizeof(*d));
		d->sqlstate = sqlstate;
		HASH_ADD(hh, fidelity->worst, sqlstate, sizeof(sqlstate), d);
	}
	d->count++;
	fidelity->diverged++;
}

/* Baseline against capture: what went well and now fails, or the reverse. Without an error code in the log: went well.
 */
static void add_divergence(struct fidelity *fidelity, const struct pair *pair)
{
	const struct run_record *b = pair->lane[JUDGE_BASELINE];
	if (b->outcome == RUN_SKIPPED && b->reason == RUN_SKIP_SESSION_LOST) {
		fidelity->skipped_baseline++;
		return;
	}
	if (!pair_was_sent(pair, JUDGE_BASELINE) || (b->flags & RUN_CENSORED))
		return;
	bool failed = b->outcome == RUN_ERROR;
	if (failed != (pair->item->capture_sqlstate != 0))
		count_divergence(fidelity, failed ? b->sqlstate : 0);
}

/* Sent on one lane; on the other its session had lost the connection. */
static bool lost_on_one(const struct pair *pair)
{
	for (int lane = 0; lane < JUDGE_LANES; lane++) {
		const struct run_record *r = pair->lane[lane];
		if (r->outcome == RUN_SKIPPED && r->reason == RUN_SKIP_SESSION_LOST)
			return pair_was_sent(pair, !lane);
	}
	return false;
}

void fidelity_add(struct fidelity *fidelity, const struct pair *pair, enum window_kind window)
{
	bool before = window == WINDOW_WARMUP || window == WINDOW_BEFORE;
	fidelity->items++;
	bool both = true;
	for (int lane = 0; lane < JUDGE_LANES; lane++) {
		add_lane(fidelity, pair, lane, before);
		both &= pair_was_sent(pair, lane);
		/* Connects that the migration made fail are the error judge's. */
		bool ours = lane == JUDGE_BASELINE || before;
		if (ours && pair->item->kind == ITEM_CONNECT && pair->lane[lane]->outcome == RUN_ERROR) {
			fidelity->connects_failed[lane]++;
			if (!fidelity->connect_code)
				fidelity->connect_code = pair->lane[lane]->sqlstate;
		}
	}
	fidelity->connects += pair->item->kind == ITEM_CONNECT;
	add_divergence(fidelity, pair);
	if (before && (both || lost_on_one(pair))) {
		fidelity->before_items++;
		fidelity->before_one_sided +=
			pair->lane[JUDGE_BASELINE]->outcome != pair->lane[JUDGE_MIGRATING]->outcome;
	}
	if (!both)
		return;
	fidelity->statements += pair_is_statement(pair);
	if (before) {
		int64_t skew_us = (int64_t)pair->lane[JUDGE_BASELINE]->lag_us - pair->lane[JUDGE_MIGRATING]->lag_us;
		histogram_add(fidelity->skew, (skew_us < 0 ? -skew_us : skew_us) * NS_PER_US);
	}
}

/* Items that were due on the baseline: those outside --start-at and --stop-at would thin out what went wrong. */
static uint64_t items_due(const struct fidelity *fidelity)
{
	return fidelity->punctual[FIDELITY_BEFORE][JUDGE_BASELINE].sent +
	       fidelity->punctual[FIDELITY_SINCE][JUDGE_BASELINE].sent + fidelity->skipped_baseline;
}

static double share(uint64_t part, uint64_t whole, double of_none)
{
	return whole ? (double)part / (double)whole : of_none;
}

static void set_figure(struct fidelity_figure *f, const char *name, double value, double grade_a, double unfit)
{
	bool higher_is_better = grade_a > unfit;
	*f = (struct fidelity_figure){name, value, grade_a, unfit, FIDELITY_B};
	if (higher_is_better ? value >= grade_a : value <= grade_a)
		f->grade = FIDELITY_A;
	else if (higher_is_better ? value < unfit : value > unfit)
		f->grade = FIDELITY_UNFIT;
}

/* Of the two lanes the worse. */
static double worst_share(const struct fidelity *fidelity, enum fidelity_span span, bool within_10ms)
{
	double worst = 1;
	for (int lane = 0; lane < JUDGE_LANES; lane++) {
		const struct fidelity_punctual *p = &fidelity->punctual[span][lane];
		double here = share(within_10ms ? p->within_10ms : p->within_1ms, p->sent, 1);
		worst = here < worst ? here : worst;
	}
	return worst;
}

static const struct fidelity_divergence *find_worst(const struct fidelity *fidelity)
{
	const struct fidelity_divergence *worst = NULL;
	for (const struct fidelity_divergence *d = fidelity->worst; d; d = d->hh.next) {
		if (!worst || d->count > worst->count)
			worst = d;
	}
	return worst;
}

static void explain_divergence(struct fidelity *fidelity)
{
	char code[SQLSTATE_TEXT_MAX];
	const struct fidelity_divergence *worst = find_worst(fidelity);
	if (fidelity->skipped_baseline > fidelity->diverged || !worst) {
		(void)snprintf(fidelity->reason, sizeof(fidelity->reason),
			       "%llu of %llu items could not be sent on the baseline: their sessions had lost their "
			       "connection",
			       (unsigned long long)fidelity->skipped_baseline, (unsigned long long)items_due(fidelity));
		return;
	}
	sqlstate_unpack(worst->sqlstate, code);
	if (!worst->sqlstate)
		(void)snprintf(fidelity->reason, sizeof(fidelity->reason),
			       "%llu of %llu items that failed when they were recorded went well on the baseline",
			       (unsigned long long)worst->count, (unsigned long long)items_due(fidelity));
	else
		(void)snprintf(fidelity->reason, sizeof(fidelity->reason),
			       "%llu of %llu items that went well when they were recorded failed on the baseline, "
			       "most of them (%llu) with %s",
			       (unsigned long long)fidelity->diverged, (unsigned long long)items_due(fidelity),
			       (unsigned long long)worst->count, code);
}

static void explain(struct fidelity *fidelity)
{
	static const char *const texts[FIDELITY_FIGURES] = {
		"only %.1f %% of the items were sent within 1 ms of their time: the replaying machine is too slow",
		"only %.1f %% of the items were sent within 10 ms of their time: the replaying machine is too slow",
		"%.0f items were sent before the one before them in their session had ended",
		"%.0f items were neither sent nor counted under a reason",
		"the two lanes were sent the same item up to %.1f ms apart (99th percentile, before the migration)",
	};
	for (int lane = 0; lane < JUDGE_LANES; lane++) {
		char code[SQLSTATE_TEXT_MAX];
		if (fidelity->connects_failed[lane] * 20 <= fidelity->connects)
			continue;
		sqlstate_unpack(fidelity->connect_code, code);
		(void)snprintf(fidelity->reason, sizeof(fidelity->reason), "%llu of %llu connects failed on the %s: %s",
			       (unsigned long long)fidelity->connects_failed[lane],
			       (unsigned long long)fidelity->connects,
			       lane == JUDGE_BASELINE ? "baseline" : "migrating lane", code);
		return;
	}
	for (int i = 0; i < FIDELITY_FIGURES; i++) {
		const struct fidelity_figure *f = &fidelity->figures[i];
		if (f->grade != FIDELITY_UNFIT)
			continue;
		if (!texts[i]) {
			explain_divergence(fidelity);
			return;
		}
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
		(void)snprintf(fidelity->reason, sizeof(fidelity->reason), texts[i], i < 2 ? f->value * 100 : f->value);
#pragma GCC diagnostic pop
		return;
	}
}

/* Late since the migration: told, and never unfit by itself. */
static void note_lateness(struct fidelity *fidelity)
{
	for (int i = 6; i < FIDELITY_FIGURES; i++) {
		struct fidelity_figure *f = &fidelity->figures[i];
		if (f->grade != FIDELITY_UNFIT)
			continue;
		f->grade = FIDELITY_B;
		(void)snprintf(
			fidelity->late, sizeof(fidelity->late),
			"since the migration began only %.1f %% of the items were sent within %s of their time: the "
			"machine was overloaded",
			f->value * 100, i == 6 ? "1 ms" : "10 ms");
	}
}

void fidelity_finish(struct fidelity *fidelity)
{
	struct fidelity_figure *f = fidelity->figures;
	set_figure(&f[0], "lag_within_1ms", worst_share(fidelity, FIDELITY_BEFORE, false), 0.95, 0.80);
	set_figure(&f[1], "lag_within_10ms", worst_share(fidelity, FIDELITY_BEFORE, true), 0.999, 0.99);
	set_figure(&f[2], "order_violations", (double)fidelity->order_violations, 0, 0);
	set_figure(&f[3], "items_unaccounted", (double)fidelity->unaccounted, 0, 0);
	set_figure(&f[4], "pair_skew_p99_ms", ns_to_ms(histogram_quantile_ns(fidelity->skew, 0.99)), 2, 20);
	set_figure(&f[5], "divergence_from_capture",
		   share(fidelity->diverged + fidelity->skipped_baseline, items_due(fidelity), 0), 0.005, 0.05);
	set_figure(&f[6], "lag_within_1ms_since_migration", worst_share(fidelity, FIDELITY_SINCE, false), 0.95, 0.80);
	set_figure(&f[7], "lag_within_10ms_since_migration", worst_share(fidelity, FIDELITY_SINCE, true), 0.999, 0.99);
	note_lateness(fidelity);
	fidelity->grade = FIDELITY_A;
	for (int i = 0; i < FIDELITY_FIGURES; i++) {
		if (f[i].grade > fidelity->grade)
			fidelity->grade = f[i].grade;
	}
	explain(fidelity);
	if (*fidelity->reason)
		fidelity->grade = FIDELITY_UNFIT;
}
