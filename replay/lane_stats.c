/* What a lane counted: see lane_stats.h. */
#include "lane_stats.h"

#include "clock.h"
#include "sqlstate.h"

static void count_errors(struct lane_stats *stats, uint32_t sqlstate, uint64_t count)
{
	int i = 0;
	while (i < LANE_ERROR_CODES - 1 && stats->errors[i].count > 0 && stats->errors[i].sqlstate != sqlstate)
		i++;
	if (stats->errors[i].count == 0)
		stats->errors[i].sqlstate = i < LANE_ERROR_CODES - 1 ? sqlstate : 0;
	stats->errors[i].count += count;
}

void lane_stats_count_error(struct lane_stats *stats, uint32_t sqlstate)
{
	count_errors(stats, sqlstate, 1);
}

void lane_stats_merge(struct lane_stats *into, const struct lane_stats *from)
{
	into->items_sent += from->items_sent;
	into->items_ok += from->items_ok;
	into->items_error += from->items_error;
	into->items_skipped += from->items_skipped;
	for (int i = 0; i < RUN_SKIP_REASON_COUNT; i++)
		into->skipped_by_reason[i] += from->skipped_by_reason[i];
	into->statements += from->statements;
	into->censored += from->censored;
	into->replans += from->replans;
	into->sessions += from->sessions;
	into->rows += from->rows;
	for (int i = 0; i < LANE_ERROR_CODES && from->errors[i].count > 0; i++)
		count_errors(into, from->errors[i].sqlstate, from->errors[i].count);
	histogram_merge(&into->lag, &from->lag);
	histogram_merge(&into->latency, &from->latency);
	if (from->elapsed_ns > into->elapsed_ns)
		into->elapsed_ns = from->elapsed_ns;
	into->cpu_ns += from->cpu_ns;
	if (from->max_rss_bytes > into->max_rss_bytes)
		into->max_rss_bytes = from->max_rss_bytes;
	if (!into->lost_reason[0])
		memcpy(into->lost_reason, from->lost_reason, sizeof(into->lost_reason));
}

int lane_stats_check(const struct lane_stats *stats, uint64_t item_count, struct error *err)
{
	uint64_t by_reason = 0;
	for (int i = 0; i < RUN_SKIP_REASON_COUNT; i++)
		by_reason += stats->skipped_by_reason[i];
	if (stats->items_sent + stats->items_skipped != item_count || by_reason != stats->items_skipped)
		return error_set(err, ERR_INTERNAL, "%llu items, but %llu sent and %llu skipped (%llu with a reason)",
				 (unsigned long long)item_count, (unsigned long long)stats->items_sent,
				 (unsigned long long)stats->items_skipped, (unsigned long long)by_reason);
	if (stats->items_ok + stats->items_error != stats->items_sent)
		return error_set(err, ERR_INTERNAL, "%llu items sent, but %llu ok and %llu failed",
				 (unsigned long long)stats->items_sent, (unsigned long long)stats->items_ok,
				 (unsigned long long)stats->items_error);
	return 0;
}

static json_t *quantiles_ms(const struct histogram *h)
{
	static const struct {
		const char *name;
		double q;
	} wanted[] = {{"p50", 0.5}, {"p90", 0.9}, {"p99", 0.99}, {"p999", 0.999}, {"max", 1}};
	json_t *object = json_object();
	for (size_t i = 0; i < sizeof(wanted) / sizeof(wanted[0]); i++)
		(void)json_object_set_new(object, wanted[i].name,
					  json_real(ns_to_ms(histogram_quantile_ns(h, wanted[i].q))));
	return object;
}

static json_t *errors_to_json(const struct lane_stats *stats)
{
	json_t *object = json_object();
	for (int i = 0; i < LANE_ERROR_CODES && stats->errors[i].count > 0; i++) {
		char code[SQLSTATE_TEXT_MAX];
		sqlstate_unpack(stats->errors[i].sqlstate, code);
		(void)json_object_set_new(object, code[0] ? code : "other",
					  json_integer((json_int_t)stats->errors[i].count));
	}
	return object;
}

static double share(uint64_t part, uint64_t whole)
{
	return whole ? (double)part / (double)whole : 1;
}

json_t *lane_stats_to_json(const struct lane_stats *stats)
{
	json_t *skipped = json_object();
	for (int i = 0; i < RUN_SKIP_REASON_COUNT; i++) {
		if (stats->skipped_by_reason[i] > 0)
			(void)json_object_set_new(skipped, run_skip_reason_name((enum run_skip_reason)i),
						  json_integer((json_int_t)stats->skipped_by_reason[i]));
	}
	double elapsed_s = ns_to_s(stats->elapsed_ns);
	json_t *lane = json_pack("{s:I, s:I, s:I, s:I, s:o, s:I, s:I, s:I, s:I, s:I, s:f, s:f}", "items_sent",
				 (json_int_t)stats->items_sent, "items_ok", (json_int_t)stats->items_ok, "items_error",
				 (json_int_t)stats->items_error, "items_skipped", (json_int_t)stats->items_skipped,
				 "skipped", skipped, "statements", (json_int_t)stats->statements, "censored",
				 (json_int_t)stats->censored, "replans", (json_int_t)stats->replans, "sessions",
				 (json_int_t)stats->sessions, "rows", (json_int_t)stats->rows, "elapsed_s", elapsed_s,
				 "statements_per_s", elapsed_s > 0 ? (double)stats->statements / elapsed_s : 0.0);
	(void)json_object_set_new(lane, "lag_ms", quantiles_ms(&stats->lag));
	(void)json_object_set_new(
		lane, "lag_within",
		json_pack("{s:f, s:f}", "1ms", share(histogram_count_below(&stats->lag, NS_PER_MS), stats->lag.total),
			  "10ms", share(histogram_count_below(&stats->lag, 10 * NS_PER_MS), stats->lag.total)));
	(void)json_object_set_new(lane, "latency_ms", quantiles_ms(&stats->latency));
	(void)json_object_set_new(lane, "errors", errors_to_json(stats));
	(void)json_object_set_new(lane, "cpu_s", json_real(ns_to_s(stats->cpu_ns)));
	(void)json_object_set_new(lane, "max_rss_bytes", json_integer((json_int_t)stats->max_rss_bytes));
	(void)json_object_set_new(lane, "lost_reason", json_string(stats->lost_reason));
	return lane;
}
