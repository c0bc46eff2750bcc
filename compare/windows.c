/* The windows of a run: see windows.h. */
#include "windows.h"

#include "clock.h"
#include "mem.h"

#define BIN_MIN_NS (100 * NS_PER_MS)
#define BINS_MAX   65536
/* Recovered: for half a second the mean queue is within 5 ms of the baseline's. */
#define CALM_BINS 5
#define CALM_NS	  (5 * NS_PER_MS)

struct survey_bin {
	uint32_t n;
	double excess_ns; /* sum of q on the migrating lane minus that on the baseline */
};

struct windows_survey {
	int64_t last_due_ns;
	const struct run_data *data;
	int64_t bin_ns;
	size_t bins;
	struct survey_bin *bin;
};

const char *window_kind_name(enum window_kind kind)
{
	static const char *const names[WINDOW_COUNT] = {"warm-up", "before", "during", "after"};
	return names[kind];
}

/* 1 s to 10 s, about thirty to a span; one of many hours gets longer blocks, to bound memory. */
static void cut_blocks(int64_t len, int64_t *block_ns, uint32_t *blocks)
{
	len = len > 0 ? len : 0;
	int64_t block = len / 30;
	if (block < NS_PER_S)
		block = NS_PER_S;
	if (block > 10 * NS_PER_S)
		block = 10 * NS_PER_S;
	if (len / block >= WINDOW_BLOCKS_MAX)
		block = len / WINDOW_BLOCKS_MAX + 1;
	*block_ns = block;
	*blocks = (uint32_t)((len + block / 2) / block);
	if (*blocks == 0)
		*blocks = 1;
}

void windows_set(struct windows *windows, bool migration, int64_t start_ns, int64_t end_ns, int64_t recovery_end_ns,
		 int64_t run_end_ns)
{
	memset(windows, 0, sizeof(*windows));
	windows->migration = migration;
	windows->migration_start_ns = start_ns;
	windows->migration_end_ns = end_ns;
	int64_t warm = start_ns / 10 < 2 * NS_PER_S ? start_ns / 10 : 2 * NS_PER_S;
	int64_t recovered = recovery_end_ns > end_ns ? recovery_end_ns : end_ns;
	windows->of[WINDOW_WARMUP] = (struct window){.end_ns = warm};
	windows->of[WINDOW_BEFORE] = (struct window){.start_ns = warm, .end_ns = start_ns};
	windows->of[WINDOW_DURING] = (struct window){.start_ns = start_ns, .end_ns = recovered};
	windows->of[WINDOW_AFTER] =
		(struct window){.start_ns = recovered, .end_ns = run_end_ns > recovered ? run_end_ns : recovered};
	for (int kind = 0; kind < WINDOW_COUNT; kind++) {
		struct window *w = &windows->of[kind];
		cut_blocks(w->end_ns - w->start_ns, &w->sent_block_ns, &w->sent_blocks);
		w->block_ns = w->sent_block_ns;
		w->blocks = w->sent_blocks;
	}
}

void windows_end_traffic(struct windows *windows, int64_t last_due_ns)
{
	windows->last_due_ns = last_due_ns;
	for (int kind = 0; kind < WINDOW_COUNT; kind++) {
		struct window *w = &windows->of[kind];
		if (w->start_ns <= last_due_ns && last_due_ns < w->end_ns)
			cut_blocks(last_due_ns + 1 - w->start_ns, &w->block_ns, &w->blocks);
	}
}

const char *windows_phrase(const struct windows *windows, enum window_kind kind)
{
	static const char *const phrases[WINDOW_COUNT] = {"in the warm-up", "before the migration",
							  "during the migration", "after the migration"};
	int64_t recovery = windows->of[WINDOW_DURING].end_ns - windows->migration_end_ns;
	int64_t length = windows->migration_end_ns - windows->migration_start_ns;
	if (kind == WINDOW_DURING && recovery > length && recovery > NS_PER_S)
		return "from the migration on";
	return phrases[kind];
}

enum window_kind windows_find(const struct windows *windows, const struct pair *pair)
{
	int64_t due = pair->item->due_ns;
	if (!windows->migration)
		return due < windows->of[WINDOW_WARMUP].end_ns ? WINDOW_WARMUP : WINDOW_BEFORE;
	if (due < windows->migration_start_ns) {
		for (int lane = 0; lane < JUDGE_LANES; lane++) {
			if (pair_was_sent(pair, lane) && pair_done_ns(pair, lane) > windows->migration_start_ns)
				return WINDOW_DURING;
		}
		return due < windows->of[WINDOW_WARMUP].end_ns ? WINDOW_WARMUP : WINDOW_BEFORE;
	}
	return due < windows->of[WINDOW_DURING].end_ns ? WINDOW_DURING : WINDOW_AFTER;
}

uint32_t windows_block(const struct window *window, const struct pair *pair)
{
	int64_t offset = pair->item->due_ns - window->start_ns;
	int64_t block = offset > 0 ? offset / window->block_ns : 0;
	return block < window->blocks ? (uint32_t)block : window->blocks - 1;
}

uint32_t windows_sent_block(const struct window *window, const struct pair *pair)
{
	int64_t offset = pair_sent_ns(pair, JUDGE_MIGRATING) - window->start_ns;
	int64_t block = offset > 0 ? offset / window->sent_block_ns : 0;
	return block < window->sent_blocks ? (uint32_t)block : window->sent_blocks - 1;
}

struct windows_survey *windows_survey_new(const struct run_data *data)
{
	struct windows_survey *survey = mem_zalloc(1, sizeof(*survey));
	survey->data = data;
	survey->bin_ns = data->end_ns / BINS_MAX + 1;
	if (survey->bin_ns < BIN_MIN_NS)
		survey->bin_ns = BIN_MIN_NS;
	survey->bins = (size_t)(data->end_ns / survey->bin_ns) + 1;
	survey->bin = mem_zalloc(survey->bins, sizeof(*survey->bin));
	return survey;
}

void windows_survey_add(struct windows_survey *survey, const struct pair *pair)
{
	if (!pair_was_sent(pair, JUDGE_BASELINE) || !pair_was_sent(pair, JUDGE_MIGRATING) || pair->item->due_ns < 0)
		return;
	if (pair->item->due_ns > survey->last_due_ns)
		survey->last_due_ns = pair->item->due_ns;
	size_t i = (size_t)(pair->item->due_ns / survey->bin_ns);
	struct survey_bin *bin = &survey->bin[i < survey->bins ? i : survey->bins - 1];
	bin->n++;
	bin->excess_ns += (double)(pair_queue_ns(pair, JUDGE_MIGRATING) - pair_queue_ns(pair, JUDGE_BASELINE));
}

/* The start of the first calm half second behind the migration, else the end of the run. */
static int64_t find_recovery(const struct windows_survey *survey)
{
	const struct run_data *data = survey->data;
	size_t calm = 0;
	size_t first = (size_t)(data->migration_end_ns / survey->bin_ns);
	for (size_t i = first; i < survey->bins; i++) {
		const struct survey_bin *bin = &survey->bin[i];
		bool queued = bin->n > 0 && bin->excess_ns > (double)bin->n * CALM_NS;
		calm = queued ? 0 : calm + 1;
		if (calm == CALM_BINS) {
			int64_t at = (int64_t)(i + 1 - CALM_BINS) * survey->bin_ns;
			return at > data->migration_end_ns ? at : data->migration_end_ns;
		}
	}
	return data->end_ns;
}

void windows_survey_finish(const struct windows_survey *survey, struct windows *out)
{
	const struct run_data *data = survey->data;
	if (data->has_migration)
		windows_set(out, true, data->migration_start_ns, data->migration_end_ns, find_recovery(survey),
			    data->end_ns);
	else
		windows_set(out, false, data->end_ns, data->end_ns, data->end_ns, data->end_ns);
	windows_end_traffic(out, survey->last_due_ns);
}

void windows_survey_free(struct windows_survey *survey)
{
	if (!survey)
		return;
	free(survey->bin);
	free(survey);
}
