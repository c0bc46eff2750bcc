/* What the servers' health says beside the latencies: see health_judge.h. Its place in verdict.json: health_json.c. */
#include "health_judge.h"

#include "clock.h"
#include "health_judgement.h"
#include "mem.h"
#include "run_dir.h"

#include <math.h>
#include <unistd.h>

enum limit_kind {
	LIMIT_MAX,    /* the largest value */
	LIMIT_GROWTH, /* the largest value, less the last one before */
};

static const struct {
	const char *rule;
	const char *figure;
	enum limit_kind kind;
	const char *what;
} limits[] = {
	{"health.oldest_xmin_s", "oldest_transaction_s", LIMIT_MAX, "the oldest open transaction was as old as"},
	{"health.oldest_xmin_xids", "oldest_xmin_xids", LIMIT_MAX, "the oldest xmin lay behind by, in transactions,"},
	{"health.dead_tuples", "dead_tuples", LIMIT_GROWTH, "dead rows grew by"},
	{"health.wal_bytes_per_s", "wal_bytes_per_s", LIMIT_MAX, "WAL was written, in bytes a second, at"},
	{"health.slot_retained_bytes", "slot_retained_bytes", LIMIT_MAX, "a replication slot held back"},
	{"health.size_growth_bytes", "database_size_bytes", LIMIT_GROWTH, "the database grew by"},
	{"health.standby_lag_s", "standby_lag_s", LIMIT_MAX, "the slowest standby lagged by"},
	{"health.cpu_cores", "server_cpu_cores", LIMIT_MAX, "the server's processes used, in processors,"},
};
#define LIMIT_COUNT (sizeof(limits) / sizeof(limits[0]))

struct health_judge *health_judge_new(const char *run_dir, const struct windows *windows, const struct ledger *ledger,
				      int64_t end_ns)
{
	static const char *const names[JUDGE_LANES] = {HEALTH_LOG_BASELINE, HEALTH_LOG_MIGRATING};
	struct health_judge *judge = mem_zalloc(1, sizeof(*judge));
	const struct health_log *logs[JUDGE_LANES] = {NULL, NULL};
	judge->windows = windows;
	judge->end_ns = end_ns;
	judge->bin_ns = end_ns / HEALTH_BINS_MAX + 1;
	if (judge->bin_ns < NS_PER_S)
		judge->bin_ns = NS_PER_S;
	for (int lane = 0; lane < JUDGE_LANES; lane++) {
		char *path = run_dir_path(run_dir, names[lane]);
		judge->there[lane] = access(path, F_OK) == 0;
		health_lane_read(&judge->lanes[lane], path, windows, judge->bin_ns);
		if (!judge->there[lane])
			(void)snprintf(judge->lanes[lane].reason, sizeof(judge->lanes[lane].reason),
				       "the run has no %s", names[lane]);
		logs[lane] = judge->lanes[lane].log;
		free(path);
	}
	noise_list_fill(&judge->noise, logs, windows, ledger);
	health_waits_fill(judge);
	return judge;
}

void health_judge_free(struct health_judge *judge)
{
	if (!judge)
		return;
	noise_list_release(&judge->noise);
	free(judge->waits);
	for (int lane = 0; lane < JUDGE_LANES; lane++)
		health_lane_release(&judge->lanes[lane]);
	free(judge);
}

struct health_log *health_judge_log(const struct health_judge *judge, enum judge_lane lane, const char **reason)
{
	*reason = judge->lanes[lane].reason;
	return judge->lanes[lane].log;
}

size_t health_judge_limit_count(void)
{
	return LIMIT_COUNT;
}

/* False when it is not known since the migration's start. */
static bool limit_value(const struct health_lane *lane, size_t limit, double *value)
{
	size_t figure = health_figure_find(limits[limit].figure);
	const struct health_stat *of = figure < health_figure_count() ? lane->of[figure] : NULL;
	*value = 0;
	if (!of)
		return false;
	struct health_stat since = health_stat_join(&of[WINDOW_DURING], &of[WINDOW_AFTER]);
	if (since.n == 0)
		return false;
	*value = since.max;
	if (limits[limit].kind == LIMIT_GROWTH) {
		const struct health_stat *before = of[WINDOW_BEFORE].n ? &of[WINDOW_BEFORE] : &of[WINDOW_WARMUP];
		*value = fmax(0, since.max - (before->n ? before->last : since.first));
	}
	return true;
}

struct health_limit health_judge_limit(const struct health_judge *judge, size_t index)
{
	struct health_limit limit = {.rule = limits[index].rule, .what = limits[index].what};
	limit.known = limit_value(&judge->lanes[JUDGE_MIGRATING], index, &limit.migrating);
	(void)limit_value(&judge->lanes[JUDGE_BASELINE], index, &limit.baseline);
	return limit;
}

char *health_judge_noise(const struct health_judge *judge, const struct window *window)
{
	return noise_list_sentence(&judge->noise, window);
}
