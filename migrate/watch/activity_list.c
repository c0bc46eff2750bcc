/* Samples joined into activities: see activity_list.h. */
#include "activity_list.h"

#include "clock.h"
#include "mem.h"

#define SAME_END_NS    (3 * NS_PER_S) /* two tellings of one end lie no further apart, sampling and clocks included */
#define NO_CHECKPOINT  SIZE_MAX
#define LOOK_BACK_ROWS 512 /* an activity that ended is looked for among the last so many */

void activity_list_init(struct activity_list *list)
{
	memset(list, 0, sizeof(*list));
	list->checkpoint = NO_CHECKPOINT;
}

void activity_list_release(struct activity_list *list)
{
	for (size_t i = 0; i < list->count; i++)
		free(list->items[i].phases);
	free(list->items);
	activity_list_init(list);
}

void activity_list_begin(struct activity_list *list, int64_t now_ns)
{
	list->now_ns = now_ns;
}

static void copy(char *out, size_t size, const char *text)
{
	(void)snprintf(out, size, "%s", text ? text : "");
}

static struct health_activity *add(struct activity_list *list, enum health_activity_kind kind, int64_t start_ns,
				   int64_t end_ns)
{
	if (list->count == HEALTH_ACTIVITIES_MAX) {
		list->lost++;
		return NULL;
	}
	MEM_GROW(list->items, list->count, list->capacity);
	struct health_activity *activity = &list->items[list->count++];
	memset(activity, 0, sizeof(*activity));
	activity->kind = kind;
	activity->start_ns = start_ns;
	activity->end_ns = end_ns;
	return activity;
}

/*
 * One build after another by the same backend on the same table shows without a sample between: another command or
 * index, or a phase that has done less than before, is another one.
 */
static bool goes_on(const struct health_activity *activity, const struct activity_row *row)
{
	const struct health_phase *last = activity->phase_count ? &activity->phases[activity->phase_count - 1] : NULL;
	if (!activity->open || activity->kind != row->kind || activity->pid != row->pid ||
	    strcmp(activity->relation, row->relation) != 0 || strcmp(activity->command, row->command) != 0 ||
	    (*activity->index && *row->index && strcmp(activity->index, row->index) != 0))
		return false;
	if (last && strcmp(last->name, row->phase) == 0)
		return row->done >= last->done;
	/* An index build never comes back to a phase, a vacuum does. */
	for (size_t i = 0; activity->kind == HEALTH_CREATE_INDEX && i < activity->phase_count; i++) {
		if (strcmp(activity->phases[i].name, row->phase) == 0)
			return false;
	}
	return true;
}

static struct health_activity *find_open(const struct activity_list *list, const struct activity_row *row)
{
	for (size_t i = list->count; i > 0; i--) {
		if (goes_on(&list->items[i - 1], row))
			return &list->items[i - 1];
	}
	return NULL;
}

static void see_phase(struct health_activity *activity, const struct activity_row *row, int64_t now_ns)
{
	struct health_phase *last = activity->phase_count ? &activity->phases[activity->phase_count - 1] : NULL;
	bool same = last && strncmp(last->name, row->phase, sizeof(last->name) - 1) == 0;
	/* Past the ceiling the last phase stands for the rest. */
	if (!same && activity->phase_count < HEALTH_PHASES_MAX) {
		activity->phases = mem_realloc(activity->phases, activity->phase_count + 1, sizeof(*activity->phases));
		last = &activity->phases[activity->phase_count++];
		memset(last, 0, sizeof(*last));
		copy(last->name, sizeof(last->name), row->phase);
		last->start_ns = now_ns;
	}
	last->end_ns = now_ns;
	last->done = row->done;
	last->total = row->total;
}

void activity_list_see(struct activity_list *list, const struct activity_row *row)
{
	struct health_activity *activity = find_open(list, row);
	if (!activity) {
		activity = add(list, row->kind, list->now_ns, list->now_ns);
		if (!activity)
			return;
		activity->pid = row->pid;
		activity->open = true;
		copy(activity->relation, sizeof(activity->relation), row->relation);
		copy(activity->command, sizeof(activity->command), row->command);
	}
	if (*row->index)
		copy(activity->index, sizeof(activity->index), row->index);
	activity->end_ns = list->now_ns;
	see_phase(activity, row, list->now_ns);
}

void activity_list_end(struct activity_list *list)
{
	for (size_t i = 0; i < list->count; i++) {
		struct health_activity *activity = &list->items[i];
		if (activity->open && activity->kind != HEALTH_CHECKPOINT && activity->end_ns < list->now_ns)
			activity->open = false;
	}
}

void activity_list_ended(struct activity_list *list, enum health_activity_kind kind, const char *relation,
			 int64_t end_ns)
{
	size_t oldest = list->count > LOOK_BACK_ROWS ? list->count - LOOK_BACK_ROWS : 0;
	for (size_t i = list->count; i > oldest; i--) {
		struct health_activity *activity = &list->items[i - 1];
		if (activity->kind != kind || strcmp(activity->relation, relation) != 0)
			continue;
		if (end_ns < activity->start_ns - SAME_END_NS || end_ns > activity->end_ns + SAME_END_NS)
			continue;
		/* Between two samples: the server knows the end better than they do. */
		if (!activity->open && end_ns > activity->end_ns)
			activity->end_ns = end_ns;
		return;
	}
	struct health_activity *activity = add(list, kind, end_ns, end_ns);
	if (activity)
		copy(activity->relation, sizeof(activity->relation), relation);
}

static void set_buffers(struct health_activity *activity, int64_t buffers)
{
	if (activity->phase_count == 0) {
		activity->phases = mem_zalloc(1, sizeof(*activity->phases));
		activity->phase_count = 1;
		copy(activity->phases[0].name, sizeof(activity->phases[0].name), "writing");
	}
	struct health_phase *phase = &activity->phases[0];
	phase->start_ns = activity->start_ns;
	phase->end_ns = activity->end_ns;
	phase->done += buffers;
	phase->total = -1;
}

/*
 * A spread checkpoint is counted when it begins and reports its buffers as it writes them; one in a hurry tells
 * everything when it ends. The time that it took is told at the end in either case: from that its beginning is
 * reckoned.
 */
void activity_list_checkpoints(struct activity_list *list, const struct activity_checkpoints *counters, int64_t now_ns)
{
	int64_t begun = counters->timed - list->timed + counters->requested - list->requested;
	int64_t spent_ms = counters->spent_ms - list->spent_ms;
	int64_t buffers = counters->buffers - list->buffers;
	bool asked = counters->requested > list->requested;
	bool sound = list->has_counters && begun >= 0 && spent_ms >= 0 && buffers >= 0; /* else they were reset */
	list->timed = counters->timed;
	list->requested = counters->requested;
	list->spent_ms = counters->spent_ms;
	list->buffers = counters->buffers;
	list->has_counters = true;
	if (!sound || (begun == 0 && spent_ms == 0 && buffers == 0))
		return;
	struct health_activity *activity = list->checkpoint < list->count ? &list->items[list->checkpoint] : NULL;
	if (!activity && begun == 0 && spent_ms == 0)
		return; /* blocks of a checkpoint whose beginning was before ours is not known: its end will show */
	if (!activity) {
		activity = add(list, HEALTH_CHECKPOINT, now_ns, now_ns);
		if (!activity)
			return;
		activity->open = true;
		copy(activity->command, sizeof(activity->command), asked ? "requested" : "timed");
		list->checkpoint = list->count - 1;
	}
	activity->end_ns = now_ns;
	if (spent_ms > 0) {
		int64_t start_ns = now_ns - spent_ms * NS_PER_MS;
		if (start_ns < activity->start_ns)
			activity->start_ns = start_ns;
		activity->open = false;
		list->checkpoint = NO_CHECKPOINT;
	}
	set_buffers(activity, buffers);
}

void activity_list_break(struct activity_list *list)
{
	for (size_t i = 0; i < list->count; i++)
		list->items[i].open = false;
	list->checkpoint = NO_CHECKPOINT;
	list->has_counters = false;
}
