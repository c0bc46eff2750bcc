/* What the servers were busy with beside the traffic: see health_noise.h. */
#include "health_noise.h"

#include "clock.h"
#include "mem.h"

#define SAME_TIME_NS (3 * NS_PER_S) /* two lanes sampled once a second do a thing "at the same time" */

const char *noise_cause_name(enum noise_cause cause)
{
	static const char *const names[] = {"other", "perhaps_the_migration", "migration"};
	return names[cause];
}

bool noise_is_background(enum health_activity_kind kind)
{
	return kind != HEALTH_CREATE_INDEX && kind != HEALTH_REWRITE && kind != HEALTH_COPY;
}

static bool has_like(const struct health_log *log, const struct health_activity *activity)
{
	for (size_t i = 0; i < log->activity_count; i++) {
		const struct health_activity *other = &log->activities[i];
		if (other->kind == activity->kind && strcmp(other->relation, activity->relation) == 0 &&
		    other->start_ns <= activity->end_ns + SAME_TIME_NS &&
		    activity->start_ns <= other->end_ns + SAME_TIME_NS)
			return true;
	}
	return false;
}

static bool is_migrations(const struct ledger *ledger, const struct health_activity *activity)
{
	for (size_t i = 0; i < ledger->statement_count; i++) {
		const struct ledger_statement *s = &ledger->statements[i];
		if (activity->pid && s->backend_pid == activity->pid && activity->end_ns >= s->start_ns - NS_PER_S)
			return true;
	}
	return false;
}

static bool is_migrations_table(const struct ledger *ledger, const char *relation)
{
	for (size_t i = 0; *relation && i < ledger->statement_count; i++) {
		for (size_t l = 0; l < ledger->statements[i].lock_count; l++) {
			if (strcmp(ledger->statements[i].locks[l].relation, relation) == 0)
				return true;
		}
	}
	return false;
}

static enum noise_cause cause_of(const struct health_activity *activity, enum judge_lane lane,
				 const struct windows *windows, const struct ledger *ledger)
{
	if (lane == JUDGE_BASELINE || !windows->migration)
		return NOISE_OTHER;
	if (is_migrations(ledger, activity))
		return NOISE_MIGRATION;
	bool since = activity->end_ns >= windows->migration_start_ns;
	bool asked = activity->kind == HEALTH_CHECKPOINT && strcmp(activity->command, "requested") == 0;
	return since && (asked || is_migrations_table(ledger, activity->relation)) ? NOISE_PERHAPS : NOISE_OTHER;
}

static int compare_events(const void *a, const void *b)
{
	const struct noise_event *x = a;
	const struct noise_event *y = b;
	if (x->activity->start_ns != y->activity->start_ns)
		return x->activity->start_ns < y->activity->start_ns ? -1 : 1;
	return (x->lane > y->lane) - (x->lane < y->lane);
}

void noise_list_fill(struct noise_list *list, const struct health_log *const logs[JUDGE_LANES],
		     const struct windows *windows, const struct ledger *ledger)
{
	size_t capacity = 0;
	memset(list, 0, sizeof(*list));
	for (int lane = 0; lane < JUDGE_LANES; lane++) {
		const struct health_log *other = logs[lane == JUDGE_BASELINE ? JUDGE_MIGRATING : JUDGE_BASELINE];
		for (size_t i = 0; logs[lane] && i < logs[lane]->activity_count; i++) {
			const struct health_activity *activity = &logs[lane]->activities[i];
			if (!noise_is_background(activity->kind))
				continue;
			MEM_GROW(list->events, list->count, capacity);
			struct noise_event *event = &list->events[list->count++];
			*event = (struct noise_event){.lane = lane,
						      .activity = activity,
						      .one_sided = other && !has_like(other, activity),
						      .cause = cause_of(activity, lane, windows, ledger)};
			list->one_sided += event->one_sided;
		}
	}
	if (list->count > 1)
		qsort(list->events, list->count, sizeof(*list->events), compare_events);
}

void noise_list_release(struct noise_list *list)
{
	free(list->events);
	memset(list, 0, sizeof(*list));
}

static const char *kind_words(enum health_activity_kind kind)
{
	static const char *const words[HEALTH_ACTIVITY_KINDS] = {
		"an automatic vacuum", "an automatic analyze", "a vacuum",  "an analyze", "a checkpoint",
		"a base backup",       "an index build",       "a rewrite", "a copy"};
	return words[kind];
}

char *noise_list_sentence(const struct noise_list *list, const struct window *window)
{
	const struct noise_event *longest = NULL;
	size_t count = 0;
	for (size_t i = 0; i < list->count; i++) {
		const struct noise_event *event = &list->events[i];
		const struct health_activity *activity = event->activity;
		if (!event->one_sided || event->lane != JUDGE_MIGRATING || event->cause == NOISE_MIGRATION ||
		    activity->end_ns < window->start_ns || activity->start_ns >= window->end_ns)
			continue;
		count++;
		if (!longest ||
		    activity->end_ns - activity->start_ns > longest->activity->end_ns - longest->activity->start_ns)
			longest = event;
	}
	if (!longest)
		return NULL;
	const struct health_activity *a = longest->activity;
	char *more = count > 1 ? mem_printf(", and %zu more such", count - 1) : mem_strdup("");
	char *text =
		mem_printf("%s%s%s ran on the migrating lane alone from %.1f s to %.1f s%s", kind_words(a->kind),
			   *a->relation ? " of " : "", a->relation, ns_to_s(a->start_ns), ns_to_s(a->end_ns), more);
	free(more);
	return text;
}
