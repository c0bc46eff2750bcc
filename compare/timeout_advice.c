/* Timeouts that fit a migration: see timeout_advice.h. */
#include "timeout_advice.h"

#include "clock.h"
#include "mem.h"

#include <math.h>

#define MINUTE (60 * NS_PER_S)
#define HOUR   (60 * MINUTE)

/* Round figures, as people write them. */
static const int64_t ladder[] = {
	NS_PER_MS,	 2 * NS_PER_MS,	  5 * NS_PER_MS,   10 * NS_PER_MS, 20 * NS_PER_MS, 50 * NS_PER_MS,
	100 * NS_PER_MS, 200 * NS_PER_MS, 500 * NS_PER_MS, NS_PER_S,	   2 * NS_PER_S,   5 * NS_PER_S,
	10 * NS_PER_S,	 20 * NS_PER_S,	  30 * NS_PER_S,   MINUTE,	   2 * MINUTE,	   5 * MINUTE,
	10 * MINUTE,	 15 * MINUTE,	  20 * MINUTE,	   30 * MINUTE,	   45 * MINUTE,	   HOUR,
	2 * HOUR,	 3 * HOUR,	  4 * HOUR,	   6 * HOUR,	   8 * HOUR,	   12 * HOUR,
	24 * HOUR,
};
#define STEPS (sizeof(ladder) / sizeof(*ladder))

static int64_t round_down(int64_t ns)
{
	size_t i = STEPS;
	while (i > 1 && ladder[i - 1] > ns)
		i--;
	return ladder[i - 1];
}

/* Beyond a day, whole days; INT_MAX milliseconds, 24 days, is what the settings hold. */
static int64_t round_up(int64_t ns)
{
	size_t i = 0;
	while (i < STEPS && ladder[i] < ns)
		i++;
	if (i < STEPS)
		return ladder[i];
	int64_t days = (ns + 24 * HOUR - 1) / (24 * HOUR);
	return (days < 24 ? days : 24) * 24 * HOUR;
}

void timeout_advice_format(int64_t ns, char out[TIMEOUT_SETTING_MAX])
{
	static const struct {
		int64_t unit;
		const char *name;
	} units[] = {{24 * HOUR, "d"}, {HOUR, "h"}, {MINUTE, "min"}, {NS_PER_S, "s"}, {NS_PER_MS, "ms"}};
	size_t i = 0;
	while (i < 4 && (ns < units[i].unit || ns % units[i].unit != 0))
		i++;
	(void)snprintf(out, TIMEOUT_SETTING_MAX, "%lld%s", (long long)(ns / units[i].unit), units[i].name);
}

/* From where on a stall of the table is told; where nothing is told, the default. */
static int64_t stall_level_ns(const struct thresholds *thresholds, const char *table)
{
	const struct threshold *rule = thresholds_find(thresholds, "stall.max", table);
	double s = rule->warn.set ? rule->warn.value : rule->fail.set ? rule->fail.value : 0;
	return s >= 0.002 && s < 1e6 ? (int64_t)llround(s * 1e9) : 100 * NS_PER_MS;
}

static void advise_lock(const struct production_estimate *estimate, const struct ledger *ledger,
			const struct thresholds *thresholds, char *(*head)(const char *), struct timeout_advice *out)
{
	char shut[DURATION_TEXT_MAX];
	char level[DURATION_TEXT_MAX];
	char waited[DURATION_TEXT_MAX];
	char setting[TIMEOUT_SETTING_MAX];
	if (estimate->shutting == PRODUCTION_NONE) {
		out->lock_why =
			mem_strdup("No statement takes a lock that keeps readers or writers out of a table that "
				   "they use: a lock_timeout matters little.");
		return;
	}
	const struct production_statement *p = &estimate->statements[estimate->shutting];
	const char *table = estimate->shut_out;
	int64_t level_ns = stall_level_ns(thresholds, table);
	int64_t left_ns = level_ns - p->shut_ns;
	bool fits = left_ns >= level_ns / 2;
	out->lock_ns = round_down(fits ? left_ns : level_ns / 2);
	clock_format_duration(p->shut_ns, shut);
	clock_format_duration(level_ns, level);
	clock_format_duration(p->waited_ns, waited);
	timeout_advice_format(out->lock_ns, setting);
	char *sql = head(ledger->statements[estimate->shutting].sql ? ledger->statements[estimate->shutting].sql : "");
	/* The statement may be long over when its lock goes. */
	const char *until = p->shut_ns > p->best_ns + NS_PER_MS ? ", to the end of its transaction" : "";
	char *wait = p->waited_ns >= NS_PER_MS ? mem_printf(" In this run it waited %s for its locks.", waited)
					       : mem_strdup("");
	if (p->shut_ns < level_ns)
		out->lock_why =
			mem_printf("`%s` keeps others out of `%s` for %s at best%s, and a stall there counts from "
				   "%s on: a wait of %s %s. Retry when it runs out.%s",
				   sql, table, shut, until, level, setting,
				   fits ? "stays below that" : "and that together go beyond it", wait);
	else
		out->lock_why =
			mem_printf("`%s` itself keeps others out of `%s` for %s at best%s, and a stall there counts "
				   "from %s on: no lock_timeout helps against that, it only keeps the wait for "
				   "the lock from adding to it. Retry when it runs out.%s",
				   sql, table, shut, until, level, wait);
	free(wait);
	free(sql);
}

static void advise_statement(const struct production_estimate *estimate, const struct ledger *ledger,
			     int64_t deploy_timeout_ns, char *(*head)(const char *), struct timeout_advice *out)
{
	char best[DURATION_TEXT_MAX];
	char allowed[DURATION_TEXT_MAX];
	char setting[TIMEOUT_SETTING_MAX];
	if (estimate->longest == PRODUCTION_NONE) {
		out->statement_why = mem_strdup("The migration sent no statement.");
		return;
	}
	int64_t best_ns = estimate->statements[estimate->longest].best_ns;
	const char *text = ledger->statements[estimate->longest].sql;
	char *sql = head(text ? text : "");
	int64_t twice_ns = best_ns < 12 * 24 * HOUR ? 2 * best_ns : 24 * 24 * HOUR;
	int64_t want_ns = round_up(twice_ns > NS_PER_S ? twice_ns : NS_PER_S);
	clock_format_duration(best_ns, best);
	clock_format_duration(deploy_timeout_ns, allowed);
	timeout_advice_format(want_ns, setting);
	if (deploy_timeout_ns && best_ns > deploy_timeout_ns) {
		out->statement_why =
			mem_printf("`%s` takes %s at best, and the deploy timeout is %s: no "
				   "statement_timeout fits both. Run it outside of that step (with %s, twice "
				   "its best case), or do its work in batches.",
				   sql, best, allowed, setting);
	} else if (deploy_timeout_ns && want_ns > deploy_timeout_ns) {
		out->statement_ns = deploy_timeout_ns;
		out->statement_why =
			mem_printf("`%s` takes %s at best; the deploy timeout of %s leaves less than twice "
				   "that for what caches and traffic add.",
				   sql, best, allowed);
	} else {
		out->statement_ns = want_ns;
		out->statement_why = mem_printf("`%s` takes %s at best; twice that, rounded up, leaves room for what "
						"caches and traffic add.",
						sql, best);
	}
	free(sql);
}

void timeout_advice_make(const struct production_estimate *estimate, const struct ledger *ledger,
			 const struct thresholds *thresholds, int64_t deploy_timeout_ns, char *(*head)(const char *sql),
			 struct timeout_advice *out)
{
	*out = (struct timeout_advice){0};
	advise_lock(estimate, ledger, thresholds, head, out);
	advise_statement(estimate, ledger, deploy_timeout_ns, head, out);
}

void timeout_advice_release(struct timeout_advice *advice)
{
	free(advice->lock_why);
	free(advice->statement_why);
	*advice = (struct timeout_advice){0};
}
