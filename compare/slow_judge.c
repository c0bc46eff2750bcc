/* Query-seconds lost without a lock wait: see slow_judge.h. */
#include "slow_judge.h"

#include "block_test.h"
#include "clock.h"
#include "latency_judge.h"
#include "mem.h"

#include <math.h>

#define SEED	    UINT64_C(0x736c6f776e657373)
#define BIN_MIN_NS  (100 * NS_PER_MS)
#define SPAN_BINS   24
#define BINS_BEFORE 4096 /* as far back as the noise floor looks */
#define BINS_BEHIND 4096
/* How well the length of a lock wait is known: two sampling intervals, and some. */
#define WAIT_ERROR_NS (50 * NS_PER_MS)

struct slow_bin {
	float excess_s;
	uint32_t n;
	double sum_log_ratio;
};

/* A touched fingerprint's bins, around the migration's start at bin `zero`. */
struct slow_series {
	uint32_t fingerprint;
	struct slow_bin *bins;
};

struct slow_judge {
	struct windows windows;
	bool (*touches)(void *context, uint32_t fingerprint);
	void *context;
	int64_t bin_ns;
	size_t zero;   /* bin of the migration's start */
	size_t span;   /* bins of the migration itself */
	size_t during; /* … and of its recovery */
	size_t bins;
	uint32_t fingerprints;
	int32_t *series_of;	     /* by fingerprint: -2 not asked, -1 not touched, else row of series */
	struct slow_series together; /* of all statements, touched or not; from the migration's start on */
	double (*together_ns)[JUDGE_LANES];
	struct slow_series *series;
	size_t count;
	size_t capacity;
	struct slow_query *queries; /* by row of series, sorted at the end */
	double query_s;
	double noise_floor_s;
};

static int64_t least(int64_t a, int64_t b)
{
	return a < b ? a : b;
}

struct slow_judge *slow_judge_new(const struct windows *windows, uint32_t fingerprints,
				  bool (*touches)(void *context, uint32_t fingerprint), void *context)
{
	struct slow_judge *judge = mem_zalloc(1, sizeof(*judge));
	const struct window *during = &windows->of[WINDOW_DURING];
	const struct window *before = &windows->of[WINDOW_BEFORE];
	/* Beyond the last recorded statement there is nothing to be slow: a migration that outlasts the traffic is
	 * looked at for as long as there was any. */
	int64_t traffic = windows->last_due_ns - windows->migration_start_ns + 1;
	int64_t span = least(windows->migration_end_ns - windows->migration_start_ns, traffic);
	int64_t window = least(during->end_ns - during->start_ns, traffic);
	span = span > 0 ? span : 0;
	window = window > 0 ? window : 0;
	judge->windows = *windows;
	judge->touches = touches;
	judge->context = context;
	judge->bin_ns = span / SPAN_BINS > BIN_MIN_NS ? span / SPAN_BINS : BIN_MIN_NS;
	judge->span = (size_t)((span + judge->bin_ns - 1) / judge->bin_ns);
	judge->during = (size_t)((window + judge->bin_ns - 1) / judge->bin_ns);
	if (judge->during > BINS_BEHIND)
		judge->during = BINS_BEHIND;
	int64_t back = before->end_ns > before->start_ns ? (before->end_ns - before->start_ns) / judge->bin_ns : 0;
	judge->zero = back < BINS_BEFORE ? (size_t)back : BINS_BEFORE;
	judge->bins = judge->zero + judge->during;
	judge->fingerprints = fingerprints;
	judge->series_of = mem_zalloc(fingerprints, sizeof(*judge->series_of));
	for (uint32_t f = 0; f < fingerprints; f++)
		judge->series_of[f] = -2;
	judge->together.bins = mem_zalloc(judge->bins ? judge->bins : 1, sizeof(struct slow_bin));
	judge->together_ns = mem_zalloc(judge->bins ? judge->bins : 1, sizeof(*judge->together_ns));
	return judge;
}

void slow_judge_free(struct slow_judge *judge)
{
	if (!judge)
		return;
	for (size_t i = 0; i < judge->count; i++)
		free(judge->series[i].bins);
	free(judge->series);
	free(judge->together.bins);
	free(judge->together_ns);
	free(judge->series_of);
	free(judge->queries);
	free(judge);
}

static struct slow_series *get_series(struct slow_judge *judge, uint32_t fingerprint)
{
	int32_t *row = &judge->series_of[fingerprint];
	if (*row == -2) {
		*row = -1;
		if (judge->touches(judge->context, fingerprint)) {
			MEM_GROW(judge->series, judge->count, judge->capacity);
			*row = (int32_t)judge->count;
			judge->series[judge->count++] = (struct slow_series){
				fingerprint, mem_zalloc(judge->bins ? judge->bins : 1, sizeof(struct slow_bin))};
		}
	}
	return *row < 0 ? NULL : &judge->series[*row];
}

/* The bin of a time, which must not lie before the first. */
static struct slow_bin *find_bin(const struct slow_judge *judge, const struct slow_series *series, int64_t time_ns)
{
	int64_t offset = time_ns - judge->windows.migration_start_ns;
	/* Division that rounds down on both sides of zero. */
	int64_t at = offset >= 0 ? offset / judge->bin_ns : -((-offset + judge->bin_ns - 1) / judge->bin_ns);
	at += (int64_t)judge->zero;
	if (at < 0)
		return NULL;
	return &series->bins[(size_t)at < judge->bins ? (size_t)at : judge->bins - 1];
}

/*
 * The service times, less what a lock held up of the migrating one. That is known to WAIT_ERROR_NS only: by so much the
 * difference is made smaller, in either direction.
 */
static int64_t net_service_ns(const struct pair *pair, int64_t waited_ns)
{
	int64_t base = pair->lane[JUDGE_BASELINE]->service_ns;
	int64_t mig = pair->lane[JUDGE_MIGRATING]->service_ns - waited_ns;
	if (waited_ns > 0) {
		int64_t more = mig - base;
		int64_t sure = more > 0 ? more - WAIT_ERROR_NS : more + WAIT_ERROR_NS;
		mig = (more > 0) == (sure > 0) ? base + sure : base;
	}
	return mig < 0 ? 0 : mig;
}

static double log_ratio(double migrating_ns, double base_ns)
{
	return log((migrating_ns + LATENCY_OFFSET_NS) / (base_ns + LATENCY_OFFSET_NS));
}

/* By the time of sending; series is NULL for a statement that the migration did not touch. */
static void add_evidence(struct slow_judge *judge, const struct slow_series *series, const struct pair *pair,
			 int64_t waited_ns)
{
	int64_t sent = pair_sent_ns(pair, JUDGE_MIGRATING);
	if (sent < judge->windows.migration_start_ns)
		sent = judge->windows.migration_start_ns;
	int64_t base = pair->lane[JUDGE_BASELINE]->service_ns;
	int64_t mig = net_service_ns(pair, waited_ns);
	struct slow_bin *all = find_bin(judge, &judge->together, sent);
	all->n++;
	judge->together_ns[all - judge->together.bins][JUDGE_BASELINE] += (double)base;
	judge->together_ns[all - judge->together.bins][JUDGE_MIGRATING] += (double)mig;
	if (!series)
		return;
	struct slow_bin *bin = find_bin(judge, series, sent);
	bin->n++;
	bin->sum_log_ratio += log_ratio((double)mig, (double)base);
}

void slow_judge_add(struct slow_judge *judge, const struct pair *pair, enum window_kind window, int64_t waited_ns,
		    int64_t lock_caused_ns)
{
	if (!judge->windows.migration || (window != WINDOW_BEFORE && window != WINDOW_DURING) ||
	    !pair_has_latency(pair) || pair->item->fingerprint >= judge->fingerprints || judge->bins == 0)
		return;
	struct slow_series *series = get_series(judge, pair->item->fingerprint);
	if (window == WINDOW_DURING)
		add_evidence(judge, series, pair, waited_ns);
	if (!series)
		return;
	int64_t due = pair->item->due_ns;
	if (window == WINDOW_DURING && due < judge->windows.migration_start_ns)
		due = judge->windows.migration_start_ns;
	struct slow_bin *bin = find_bin(judge, series, due);
	if (!bin)
		return;
	int64_t base = run_record_latency_ns(pair->lane[JUDGE_BASELINE]);
	int64_t mig = run_record_latency_ns(pair->lane[JUDGE_MIGRATING]) - lock_caused_ns;
	if (mig < 0)
		mig = 0;
	if (mig > base)
		bin->excess_s += (float)ns_to_s(mig - base);
}

static void fill_query(const struct slow_judge *judge, const struct slow_series *series, double *dense,
		       struct slow_query *q)
{
	double *d = mem_zalloc(judge->span, sizeof(*d));
	memset(q, 0, sizeof(*q));
	q->fingerprint = series->fingerprint;
	q->p = 1;
	for (size_t i = 0; i < judge->during; i++)
		q->query_s += series->bins[judge->zero + i].excess_s;
	for (size_t i = 0; i < judge->span; i++) {
		const struct slow_bin *bin = &series->bins[judge->zero + i];
		dense[i] = 0;
		if (i >= judge->during || bin->n == 0)
			continue;
		double mean = bin->sum_log_ratio / bin->n;
		dense[i] = mean - log1p(LATENCY_TAU);
		d[q->blocks++] = mean;
		q->n += bin->n;
	}
	struct block_ratio ratio = block_test_ratio(d, q->blocks, SEED + series->fingerprint);
	q->ratio = ratio.ratio;
	q->ci_low = ratio.low;
	q->ci_high = ratio.high;
	free(d);
}

/* The largest sum of the significant fingerprints in any window as long as the migration's, before it. */
static double find_noise_floor(const struct slow_judge *judge)
{
	double largest = -1;
	double sum = 0;
	if (judge->zero < judge->during || judge->during == 0) {
		/* Before is shorter than the window: what there is, scaled up. */
		for (size_t i = 0; i < judge->count; i++) {
			for (size_t b = 0; judge->queries[i].significant && b < judge->zero; b++)
				sum += judge->series[i].bins[b].excess_s;
		}
		return judge->zero ? sum * (double)judge->during / (double)judge->zero : -1;
	}
	for (size_t b = 0; b < judge->zero; b++) {
		for (size_t i = 0; i < judge->count; i++) {
			if (!judge->queries[i].significant)
				continue;
			sum += judge->series[i].bins[b].excess_s;
			if (b >= judge->during)
				sum -= judge->series[i].bins[b - judge->during].excess_s;
		}
		if (b + 1 >= judge->during && sum > largest)
			largest = sum;
	}
	return largest < 0 ? 0 : largest;
}

static int compare_queries(const void *a, const void *b)
{
	const struct slow_query *x = a;
	const struct slow_query *y = b;
	if (x->significant != y->significant)
		return x->significant ? -1 : 1;
	return (x->query_s < y->query_s) - (x->query_s > y->query_s);
}

/*
 * All statements of a bin as one: the ratio of their times, not the mean of their ratios, or the many that are not slow
 * would hide the few that are. It changes its sign when the lanes are swapped, which is all that the test asks.
 */
static void weigh_together(struct slow_judge *judge)
{
	for (size_t b = 0; b < judge->bins; b++) {
		struct slow_bin *bin = &judge->together.bins[b];
		const double *ns = judge->together_ns[b];
		bin->sum_log_ratio = bin->n * log_ratio(ns[JUDGE_MIGRATING], ns[JUDGE_BASELINE]);
	}
}

/* Beyond chance, and at least twice as slow. */
static bool is_proven(const struct slow_query *q)
{
	return q->blocks >= BLOCK_TEST_MIN && q->p <= LATENCY_ALPHA && q->ci_low > SLOW_RATIO_MIN;
}

void slow_judge_finish(struct slow_judge *judge)
{
	struct slow_query together;
	struct block_series *tests = mem_zalloc(judge->count + 1, sizeof(*tests));
	double *p = mem_zalloc(judge->count + 1, sizeof(*p));
	double *dense = mem_zalloc((judge->count + 1) * judge->span, sizeof(*dense));
	judge->queries = mem_zalloc(judge->count, sizeof(*judge->queries));
	judge->noise_floor_s = -1;
	for (size_t i = 0; i < judge->count; i++) {
		fill_query(judge, &judge->series[i], dense + i * judge->span, &judge->queries[i]);
		bool testable = judge->queries[i].blocks >= BLOCK_TEST_MIN;
		tests[i] = (struct block_series){dense + i * judge->span, testable ? judge->span : 0, 0};
	}
	double *last = dense + judge->count * judge->span;
	weigh_together(judge);
	fill_query(judge, &judge->together, last, &together);
	tests[judge->count] = (struct block_series){last, together.blocks >= BLOCK_TEST_MIN ? judge->span : 0, 0};
	if (judge->count)
		block_test_sign_flips(tests, judge->count + 1, SEED, p);
	together.p = p[judge->count];
	double total = 0;
	for (size_t i = 0; i < judge->count; i++) {
		struct slow_query *q = &judge->queries[i];
		q->p = p[i];
		q->significant = is_proven(q);
		if (!q->significant && judge->count && is_proven(&together) && q->ratio > SLOW_RATIO_MIN) {
			q->significant = true;
			q->p = together.p;
		}
		if (q->significant)
			total += q->query_s;
	}
	if (total > 0) {
		judge->noise_floor_s = find_noise_floor(judge);
		if (judge->noise_floor_s >= 0 && total >= SLOW_NOISE_TIMES * judge->noise_floor_s)
			judge->query_s = total;
	}
	if (judge->count)
		qsort(judge->queries, judge->count, sizeof(*judge->queries), compare_queries);
	free(dense);
	free(p);
	free(tests);
}

double slow_judge_query_seconds(const struct slow_judge *judge)
{
	return judge->query_s;
}

double slow_judge_noise_floor(const struct slow_judge *judge)
{
	return judge->noise_floor_s;
}

size_t slow_judge_count(const struct slow_judge *judge)
{
	return judge->count;
}

const struct slow_query *slow_judge_query(const struct slow_judge *judge, size_t index)
{
	return &judge->queries[index];
}
