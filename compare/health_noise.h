/*
 * What the servers were busy with beside the traffic, on both lanes: checkpoints, vacuums, backups. On one lane alone
 * such a thing makes that lane slower, and a reader of a latency must see it; on both it weighs on both. It is told,
 * and decides nothing (requirement I4).
 */
#ifndef HEALTH_NOISE_H
#define HEALTH_NOISE_H

#include "health_log.h"
#include "ledger.h"
#include "pairing.h"
#include "windows.h"

enum noise_cause {
	NOISE_OTHER,	/* nothing speaks for the migration */
	NOISE_PERHAPS,	/* the migration's consequence, perhaps: its table, or a checkpoint that WAL asked for */
	NOISE_MIGRATION /* done by a backend of the migration */
};
const char *noise_cause_name(enum noise_cause cause);

struct noise_event {
	enum judge_lane lane;
	const struct health_activity *activity;
	bool one_sided; /* nothing of the kind on the other lane at the time */
	enum noise_cause cause;
};

struct noise_list {
	struct noise_event *events; /* by start */
	size_t count;
	size_t one_sided;
};

/* logs[lane] may be NULL; then nothing on the other lane is called one-sided. */
void noise_list_fill(struct noise_list *list, const struct health_log *const logs[JUDGE_LANES],
		     const struct windows *windows, const struct ledger *ledger);
void noise_list_release(struct noise_list *list);
/* True for what may make a lane slower: not an index build, which is work that somebody asked for. */
bool noise_is_background(enum health_activity_kind kind);
/*
 * "a checkpoint ran on the migrating lane alone from 12.0 s to 14.3 s", of those within the window: the longest, and
 * how many more; to be freed. NULL when there is none.
 */
char *noise_list_sentence(const struct noise_list *list, const struct window *window);

#endif
