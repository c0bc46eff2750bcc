/* The statistics judge: see latency_judge.h. */
#include "latency_judge.h"

#include "block_test.h"
#include "clock.h"
#include "mem.h"
#include "quantile_sketch.h"

#include <math.h>

#define SEED	     UINT64_C(0x7265686561727365) /* any fixed number: "rehearse" */
#define DELTA_P95_MS 5.0
#define EXTRA_SHARE  0.01
/* A shorter queue is no overload: a client without think time queues for as long as its statement was slower by. */
#define QUEUED_MIN_NS (5 * NS_PER_MS)
#define POWER_Z	      0.84 /* 80 % power */
#define FLIPS_Z	      4.0  /* about where 0.0005 lies for the largest of some twenty fingerprints */

struct latency_block {
	uint32_t n;
	double sum_log_ratio;
};

/* One fingerprint in one window. */
struct latency_cell {
	uint64_t n;
	uint64_t blocked;
	double total_ns[JUDGE_LANES];
	struct quantile_sketch sketch[JUDGE_LANES];
	uint64_t service_n;
	double service_ns[JUDGE_LANES];
	double net_ns[JUDGE_LANES]; /* latency of the executions that service_n counts, the locks' part taken off */
	struct quantile_sketch service_sketch[JUDGE_LANES];
	struct latency_block *sent; /* of service, by the time of sending: behind `blocks` */
	struct latency_block blocks[];
};

struct block_load {
	uint32_t n;
	uint32_t queued; /* on the baseline, for long and for more than half of the latency */
};

struct latency_judge {
	struct windows windows;
	uint32_t fingerprints;
	double margin;
	double *margins;	     /* by fingerprint: the margin, or what the noise floor makes of it */
	struct latency_cell **cells; /* [window * fingerprints + fingerprint] */
	struct block_load *load[WINDOW_COUNT];
	double total_ns[WINDOW_COUNT];	 /* time in statements on the baseline */
	double service_ns[WINDOW_COUNT]; /* … of it service */
	struct latency_query *queries;
	size_t count;
	size_t capacity;
	struct latency_query before;
	bool before_differs;
	uint64_t saturated;
	uint64_t blocks;
	uint64_t untested;
};

const char *latency_result_name(enum latency_result result)
{
	static const char *const names[] = {"clear", "cannot_tell", "queued", "slower", "hurts"};
	return names[result];
}

struct latency_judge *latency_judge_new(const struct windows *windows, uint32_t fingerprints, double margin)
{
	struct latency_judge *judge = mem_zalloc(1, sizeof(*judge));
	judge->windows = *windows;
	judge->fingerprints = fingerprints;
	judge->margin = margin;
	judge->margins = mem_zalloc(fingerprints, sizeof(*judge->margins));
	for (uint32_t f = 0; f < fingerprints; f++)
		judge->margins[f] = margin;
	judge->cells = mem_zalloc((size_t)fingerprints * WINDOW_COUNT, sizeof(struct latency_cell *));
	for (int w = 0; w < WINDOW_COUNT; w++)
		judge->load[w] = mem_zalloc(windows->of[w].blocks, sizeof(struct block_load));
	return judge;
}

void latency_judge_free(struct latency_judge *judge)
{
	if (!judge)
		return;
	for (size_t i = 0; i < (size_t)judge->fingerprints * WINDOW_COUNT; i++)
		free(judge->cells[i]);
	for (int w = 0; w < WINDOW_COUNT; w++)
		free(judge->load[w]);
	free(judge->cells);
	free(judge->margins);
	free(judge->queries);
	free(judge);
}

void latency_judge_know_noise(struct latency_judge *judge, uint32_t fingerprint, double log_rms)
{
	double noise = exp(LATENCY_NOISE_TIMES * log_rms);
	if (fingerprint < judge->fingerprints && noise > judge->margins[fingerprint])
		judge->margins[fingerprint] = noise;
}

static struct latency_cell *get_cell(struct latency_judge *judge, enum window_kind window, uint32_t fingerprint)
{
	struct latency_cell **cell = &judge->cells[(size_t)window * judge->fingerprints + fingerprint];
	if (!*cell) {
		const struct window *w = &judge->windows.of[window];
		size_t blocks = (size_t)w->blocks + w->sent_blocks;
		*cell = mem_zalloc(1, sizeof(**cell) + blocks * sizeof(struct latency_block));
		(*cell)->sent = (*cell)->blocks + w->blocks;
	}
	return *cell;
}

static void add_to_block(struct latency_block *block, int64_t base_ns, int64_t migrating_ns)
{
	block->n++;
	block->sum_log_ratio += log(((double)migrating_ns + LATENCY_OFFSET_NS) / ((double)base_ns + LATENCY_OFFSET_NS));
}

/*
 * Service of an execution that no lock held up itself. By the time of sending: sessions that catch up after a stall run
 * side by side what was due one by one, and that is to stay in the blocks of those seconds.
 */
static void add_service(struct latency_judge *judge, struct latency_cell *cell, const struct pair *pair,
			enum window_kind window, int64_t lock_caused_ns)
{
	const struct window *w = &judge->windows.of[window];
	cell->service_n++;
	for (int lane = 0; lane < JUDGE_LANES; lane++) {
		int64_t service = pair->lane[lane]->service_ns;
		int64_t latency = run_record_latency_ns(pair->lane[lane]);
		cell->service_ns[lane] += (double)service;
		cell->net_ns[lane] += (double)(lane == JUDGE_MIGRATING ? latency - lock_caused_ns : latency);
		quantile_sketch_add(&cell->service_sketch[lane], service);
	}
	add_to_block(&cell->sent[windows_sent_block(w, pair)], pair->lane[JUDGE_BASELINE]->service_ns,
		     pair->lane[JUDGE_MIGRATING]->service_ns);
}

void latency_judge_add(struct latency_judge *judge, const struct pair *pair, enum window_kind window, int64_t waited_ns,
		       int64_t lock_caused_ns)
{
	if (window == WINDOW_WARMUP || !pair_has_latency(pair) || pair->item->fingerprint >= judge->fingerprints)
		return;
	struct latency_cell *cell = get_cell(judge, window, pair->item->fingerprint);
	uint32_t b = windows_block(&judge->windows.of[window], pair);
	int64_t base = run_record_latency_ns(pair->lane[JUDGE_BASELINE]);
	int64_t mig = run_record_latency_ns(pair->lane[JUDGE_MIGRATING]);
	judge->load[window][b].n++;
	int64_t queue = pair_queue_ns(pair, JUDGE_BASELINE);
	judge->load[window][b].queued += queue > base / 2 && queue > QUEUED_MIN_NS;
	judge->total_ns[window] += (double)base;
	judge->service_ns[window] += (double)pair->lane[JUDGE_BASELINE]->service_ns;
	if (waited_ns == 0)
		add_service(judge, cell, pair, window, lock_caused_ns);
	/*
	 * What is left of a latency when a lock's debt is taken off is as exact as the debt: milliseconds, and the
	 * statement may take less. Taking only those with a large rest would choose the slow ones.
	 */
	if (lock_caused_ns > 0) {
		cell->blocked++;
		return;
	}
	cell->n++;
	cell->total_ns[JUDGE_BASELINE] += (double)base;
	cell->total_ns[JUDGE_MIGRATING] += (double)mig;
	quantile_sketch_add(&cell->sketch[JUDGE_BASELINE], base);
	quantile_sketch_add(&cell->sketch[JUDGE_MIGRATING], mig);
	add_to_block(&cell->blocks[b], base, mig);
}

static bool is_saturated(const struct latency_judge *judge, int window, uint32_t b)
{
	const struct block_load *load = &judge->load[window][b];
	return load->queued * 2 > load->n;
}

static uint32_t blocks_of(const struct latency_judge *judge, int window, bool service)
{
	return service ? judge->windows.of[window].sent_blocks : judge->windows.of[window].blocks;
}

/*
 * The block means of a cell, dense (0 where there is none) less `shift`, and packed into d. Returns how many there are.
 * A queue adds up what came before it, so a saturated block says nothing of latencies; of service it does.
 */
static size_t block_means(const struct latency_judge *judge, int window, const struct latency_cell *cell, bool service,
			  double sign, double shift, double *dense, double *d)
{
	const struct latency_block *blocks = service ? cell->sent : cell->blocks;
	size_t n = 0;
	for (uint32_t b = 0; b < blocks_of(judge, window, service); b++) {
		if (dense)
			dense[b] = 0;
		if (blocks[b].n == 0 || (!service && is_saturated(judge, window, b)))
			continue;
		double mean = sign * blocks[b].sum_log_ratio / blocks[b].n;
		if (dense)
			dense[b] = mean - shift;
		d[n++] = mean;
	}
	return n;
}

static double mean_of(const double *d, size_t n)
{
	double sum = 0;
	for (size_t i = 0; i < n; i++)
		sum += d[i];
	return n ? sum / (double)n : 0;
}

/* The ratio that would have passed the test and the margin with 80 % power, given this scatter between blocks. */
static double smallest_effect(const double *d, size_t n, double margin)
{
	if (n < BLOCK_TEST_MIN)
		return 0;
	double mean = mean_of(d, n);
	double squares = 0;
	for (size_t i = 0; i < n; i++)
		squares += (d[i] - mean) * (d[i] - mean);
	double error = sqrt(squares / (double)(n - 1) / (double)n);
	double by_interval = log(margin) + (1.96 + POWER_Z) * error;
	double by_flips = log1p(LATENCY_TAU) + (FLIPS_Z + POWER_Z) * error;
	return exp(by_interval > by_flips ? by_interval : by_flips);
}

static void fill_service(const struct latency_judge *judge, int window, uint32_t fingerprint, double sign,
			 const struct latency_cell *cell, struct latency_service *s)
{
	double *d = mem_zalloc(judge->windows.of[window].sent_blocks, sizeof(*d));
	s->n = cell->service_n;
	s->p = 1;
	s->blocks = block_means(judge, window, cell, true, sign, 0, NULL, d);
	struct block_ratio ratio = block_test_ratio(d, s->blocks, SEED + fingerprint);
	s->ratio = ratio.ratio;
	s->ci_low = ratio.low;
	s->ci_high = ratio.high;
	for (int lane = 0; lane < JUDGE_LANES; lane++) {
		s->p95_ms[lane] = quantile_sketch_ms(&cell->service_sketch[lane], 0.95);
		s->total_s[lane] = cell->service_ns[lane] / 1e9;
	}
	if (judge->service_ns[window] > 0)
		s->extra_share = (cell->service_ns[JUDGE_MIGRATING] - cell->service_ns[JUDGE_BASELINE]) /
				 judge->service_ns[window];
	s->tested = s->n >= LATENCY_MIN_EXECUTIONS && s->blocks >= BLOCK_TEST_MIN;
	free(d);
}

static void fill_query(const struct latency_judge *judge, int window, uint32_t fingerprint, double sign,
		       struct latency_query *q)
{
	const struct latency_cell *cell = judge->cells[(size_t)window * judge->fingerprints + fingerprint];
	double *d = mem_zalloc(judge->windows.of[window].blocks, sizeof(*d));
	memset(q, 0, sizeof(*q));
	q->fingerprint = fingerprint;
	q->window = (enum window_kind)window;
	q->n = cell->n;
	q->all = cell->n + cell->blocked;
	q->blocked = cell->blocked;
	q->p = 1;
	q->blocks = block_means(judge, window, cell, false, sign, 0, NULL, d);
	struct block_ratio ratio = block_test_ratio(d, q->blocks, SEED + fingerprint);
	q->ratio = ratio.ratio;
	q->ci_low = ratio.low;
	q->ci_high = ratio.high;
	q->margin = judge->margins[fingerprint];
	q->smallest_effect = smallest_effect(d, q->blocks, q->margin);
	q->baseline_p95_ms = quantile_sketch_ms(&cell->sketch[JUDGE_BASELINE], 0.95);
	q->migrating_p95_ms = quantile_sketch_ms(&cell->sketch[JUDGE_MIGRATING], 0.95);
	if (judge->total_ns[window] > 0)
		q->extra_share =
			(cell->total_ns[JUDGE_MIGRATING] - cell->total_ns[JUDGE_BASELINE]) / judge->total_ns[window];
	q->tested = q->n >= LATENCY_MIN_EXECUTIONS && q->blocks >= BLOCK_TEST_MIN;
	fill_service(judge, window, fingerprint, sign, cell, &q->service);
	free(d);
}

/* What the service time alone proves. */
static enum latency_result judge_service(double sign, const struct latency_query *q)
{
	const struct latency_service *s = &q->service;
	double delta_p95 = sign * (s->p95_ms[JUDGE_MIGRATING] - s->p95_ms[JUDGE_BASELINE]);
	bool matters = delta_p95 >= DELTA_P95_MS || sign * s->extra_share >= EXTRA_SHARE;
	if (!s->tested || s->p > LATENCY_ALPHA)
		return LATENCY_CANNOT_TELL;
	return s->ci_low > q->margin && matters ? LATENCY_HURTS : LATENCY_SLOWER;
}

static void take_service(struct latency_query *q, enum latency_result result)
{
	const struct latency_service *s = &q->service;
	q->result = result;
	q->by_service = true;
	q->why = NULL;
	q->n = s->n;
	q->blocked = q->all - s->n;
	q->blocks = s->blocks;
	q->tested = true;
	q->p = s->p;
	q->ratio = s->ratio;
	q->ci_low = s->ci_low;
	q->ci_high = s->ci_high;
	q->baseline_p95_ms = s->p95_ms[JUDGE_BASELINE];
	q->migrating_p95_ms = s->p95_ms[JUDGE_MIGRATING];
	q->extra_share = s->extra_share;
}

static void judge_query(double sign, struct latency_query *q)
{
	double delta_p95 = sign * (q->migrating_p95_ms - q->baseline_p95_ms);
	bool matters = delta_p95 >= DELTA_P95_MS || sign * q->extra_share >= EXTRA_SHARE;
	enum latency_result service = judge_service(sign, q);
	if (!q->tested) {
		q->result = LATENCY_CANNOT_TELL;
		q->why = q->n < LATENCY_MIN_EXECUTIONS ? "fewer than 15 executions"
						       : "too short: fewer than 11 blocks of time with executions";
	} else if (q->p <= LATENCY_ALPHA) {
		q->result = q->ci_low > q->margin && matters ? LATENCY_HURTS : LATENCY_SLOWER;
	} else if (q->ci_high < q->margin) {
		q->result = LATENCY_CLEAR;
	} else {
		q->result = LATENCY_CANNOT_TELL;
		q->why = "the scatter between blocks is too wide";
	}
	if (service > LATENCY_QUEUED && service > q->result)
		take_service(q, service);
}

/*
 * Who only queued. A session hands on what its slow statement took, so beside one whose service time grew, those whose
 * own did not are its followers. Where nobody's service time accounts for it, the latencies stand as they are.
 */
static void excuse_followers(struct latency_query *queries, size_t count)
{
	bool cause[WINDOW_COUNT] = {false};
	for (size_t i = 0; i < count; i++) {
		const struct latency_query *q = &queries[i];
		cause[q->window] |= q->result == LATENCY_HURTS && judge_service(1, q) == LATENCY_HURTS;
	}
	for (size_t i = 0; i < count; i++) {
		struct latency_query *q = &queries[i];
		bool accused = q->result == LATENCY_HURTS || q->result == LATENCY_SLOWER;
		if (!accused || !cause[q->window] || judge_service(1, q) != LATENCY_CANNOT_TELL)
			continue;
		q->result = LATENCY_QUEUED;
		q->why = "its own service time did not grow: it queued behind a slower statement of its session";
	}
}

/*
 * p values of all tested queries at once, latencies and services: the same flips for all that share their blocks,
 * against the largest of any.
 */
static void test_queries(const struct latency_judge *judge, struct latency_query *queries, size_t count, double sign)
{
	struct block_series *series = mem_zalloc(2 * count, sizeof(*series));
	double **dense = mem_zalloc(2 * count, sizeof(*dense));
	double *p = mem_zalloc(2 * count, sizeof(*p));
	double *scratch = mem_zalloc(WINDOW_BLOCKS_MAX + 2, sizeof(*scratch));
	double **to = mem_zalloc(2 * count, sizeof(*to));
	size_t n = 0;
	for (size_t i = 0; i < 2 * count; i++) {
		struct latency_query *q = &queries[i / 2];
		bool service = i % 2;
		if (!(service ? q->service.tested : q->tested))
			continue;
		uint32_t blocks = blocks_of(judge, (int)q->window, service);
		dense[n] = mem_zalloc(blocks, sizeof(double));
		(void)block_means(judge, (int)q->window,
				  judge->cells[(size_t)q->window * judge->fingerprints + q->fingerprint], service, sign,
				  log1p(LATENCY_TAU), dense[n], scratch);
		unsigned group = (unsigned)q->window + (service ? WINDOW_COUNT : 0);
		series[n] = (struct block_series){dense[n], blocks, group};
		to[n++] = service ? &q->service.p : &q->p;
	}
	if (n)
		block_test_sign_flips(series, n, SEED, p);
	for (size_t i = 0; i < n; i++) {
		*to[i] = p[i];
		free(dense[i]);
	}
	for (size_t i = 0; i < count; i++)
		judge_query(sign, &queries[i]);
	free(to);
	free(scratch);
	free(p);
	free(dense);
	free(series);
}

static int compare_by_time(const void *a, const void *b)
{
	const struct latency_query *x = a;
	const struct latency_query *y = b;
	bool x_tested = x->tested || x->service.tested;
	bool y_tested = y->tested || y->service.tested;
	if (x_tested != y_tested)
		return x_tested ? -1 : 1;
	return (x->service.n < y->service.n) - (x->service.n > y->service.n);
}

static int compare_by_result(const void *a, const void *b)
{
	const struct latency_query *x = a;
	const struct latency_query *y = b;
	if (x->result != y->result)
		return x->result > y->result ? -1 : 1;
	/* Who took the time, before who lost it by that. */
	bool accused = x->result == LATENCY_HURTS || x->result == LATENCY_SLOWER;
	double more = accused ? x->service.extra_share - y->service.extra_share : x->extra_share - y->extra_share;
	if (more > 0 || more < 0)
		return more > 0 ? -1 : 1;
	if (x->fingerprint != y->fingerprint)
		return x->fingerprint < y->fingerprint ? -1 : 1;
	return (x->window > y->window) - (x->window < y->window);
}

/* All cells of a window as queries, behind those that are there already. */
static void collect(struct latency_judge *judge, int window, double sign, struct latency_query **queries, size_t *count,
		    size_t *capacity)
{
	for (uint32_t f = 0; f < judge->fingerprints; f++) {
		if (!judge->cells[(size_t)window * judge->fingerprints + f])
			continue;
		MEM_GROW(*queries, *count, *capacity);
		fill_query(judge, window, f, sign, &(*queries)[(*count)++]);
	}
}

static void cap_tests(struct latency_judge *judge, struct latency_query *queries, size_t count)
{
	if (count)
		qsort(queries, count, sizeof(*queries), compare_by_time);
	for (size_t i = LATENCY_TESTED_MAX; i < count; i++) {
		judge->untested += queries[i].tested || queries[i].service.tested;
		queries[i].tested = false;
		queries[i].service.tested = false;
	}
}

/* The lanes before the migration, in both directions: they run the same, or something else is at work. */
static void check_before(struct latency_judge *judge)
{
	for (double sign = 1; sign >= -1; sign -= 2) {
		struct latency_query *queries = NULL;
		size_t count = 0;
		size_t capacity = 0;
		collect(judge, WINDOW_BEFORE, sign, &queries, &count, &capacity);
		cap_tests(judge, queries, count);
		test_queries(judge, queries, count, sign);
		for (size_t i = 0; i < count && !judge->before_differs; i++) {
			if (queries[i].result != LATENCY_HURTS)
				continue;
			judge->before = queries[i];
			judge->before_differs = true;
			if (sign < 0) {
				double low = judge->before.ci_low;
				judge->before.ratio = 1 / judge->before.ratio;
				judge->before.ci_low = 1 / judge->before.ci_high;
				judge->before.ci_high = 1 / low;
			}
		}
		free(queries);
	}
}

void latency_judge_finish(struct latency_judge *judge)
{
	for (int w = WINDOW_BEFORE; w < WINDOW_COUNT; w++) {
		for (uint32_t b = 0; b < judge->windows.of[w].blocks; b++) {
			judge->blocks += judge->load[w][b].n > 0;
			judge->saturated += judge->load[w][b].n > 0 && is_saturated(judge, w, b);
		}
	}
	check_before(judge);
	if (judge->windows.migration) {
		collect(judge, WINDOW_DURING, 1, &judge->queries, &judge->count, &judge->capacity);
		collect(judge, WINDOW_AFTER, 1, &judge->queries, &judge->count, &judge->capacity);
	} else {
		collect(judge, WINDOW_BEFORE, 1, &judge->queries, &judge->count, &judge->capacity);
	}
	cap_tests(judge, judge->queries, judge->count);
	test_queries(judge, judge->queries, judge->count, 1);
	excuse_followers(judge->queries, judge->count);
	if (judge->count)
		qsort(judge->queries, judge->count, sizeof(*judge->queries), compare_by_result);
}

size_t latency_judge_count(const struct latency_judge *judge)
{
	return judge->count;
}

const struct latency_query *latency_judge_query(const struct latency_judge *judge, size_t index)
{
	return &judge->queries[index];
}

void latency_judge_saturation(const struct latency_judge *judge, uint64_t *saturated, uint64_t *blocks)
{
	*saturated = judge->saturated;
	*blocks = judge->blocks;
}

bool latency_judge_gross(const struct latency_judge *judge, struct latency_total *total)
{
	double most_s = 0;
	*total = (struct latency_total){.fingerprint = ITEM_NO_TEXT};
	for (uint32_t f = 0; f < judge->fingerprints; f++) {
		double more_s = 0;
		for (int w = judge->windows.migration ? WINDOW_DURING : WINDOW_BEFORE; w < WINDOW_COUNT; w++) {
			const struct latency_cell *cell = judge->cells[(size_t)w * judge->fingerprints + f];
			if (!cell)
				continue;
			total->n += cell->service_n;
			for (int lane = 0; lane < JUDGE_LANES; lane++) {
				total->s[lane] += cell->net_ns[lane] / 1e9;
				total->service_s[lane] += cell->service_ns[lane] / 1e9;
			}
			more_s += (cell->service_ns[JUDGE_MIGRATING] - cell->service_ns[JUDGE_BASELINE]) / 1e9;
		}
		if (more_s > most_s) {
			most_s = more_s;
			total->fingerprint = f;
		}
	}
	return total->s[JUDGE_MIGRATING] > LATENCY_GROSS_TIMES * total->s[JUDGE_BASELINE] &&
	       total->s[JUDGE_MIGRATING] > total->s[JUDGE_BASELINE] + LATENCY_GROSS_S &&
	       total->service_s[JUDGE_MIGRATING] > LATENCY_GROSS_SERVICE * total->service_s[JUDGE_BASELINE];
}

const struct latency_query *latency_judge_before(const struct latency_judge *judge)
{
	return judge->before_differs ? &judge->before : NULL;
}

uint64_t latency_judge_untested(const struct latency_judge *judge)
{
	return judge->untested;
}
