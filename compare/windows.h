/*
 * The windows of a run: spans of intended time that are judged apart. A warm-up is dropped; `before` is a comparison of
 * two equal databases and shows the noise; `during` is the migration and what follows until the queues that it left are
 * worked off; `after` is the new schema in use. Without a migration everything behind the warm-up is `before`.
 *
 * A migration that leaves statements slow for good has queues that never end: then `during` is all of the rest, and is
 * called so (windows_phrase).
 */
#ifndef WINDOWS_H
#define WINDOWS_H

#include "pairing.h"

enum window_kind {
	WINDOW_WARMUP,
	WINDOW_BEFORE,
	WINDOW_DURING,
	WINDOW_AFTER,
	WINDOW_COUNT
};
/* "warm-up", "before", "during", "after" */
const char *window_kind_name(enum window_kind kind);

#define WINDOW_BLOCKS_MAX 240

struct window {
	int64_t start_ns;
	int64_t end_ns;
	int64_t block_ns; /* the unit of the statistics judge, by due time: no longer than statements are due */
	uint32_t blocks;
	int64_t sent_block_ns; /* … and by the time of sending, which a session that queues may reach much later */
	uint32_t sent_blocks;
};

struct windows {
	bool migration;
	int64_t migration_start_ns;
	int64_t migration_end_ns;
	int64_t last_due_ns; /* the recorded traffic ends here; a slow migration may outlast it */
	struct window of[WINDOW_COUNT];
};

/* From the times alone; recovery_end_ns is where `during` ends. For a run without a migration start = end_ns. */
void windows_set(struct windows *windows, bool migration, int64_t start_ns, int64_t end_ns, int64_t recovery_end_ns,
		 int64_t run_end_ns);
/* The window of a pair: by due time, but one that was due before the migration and ended after its start is `during`.
 */
enum window_kind windows_find(const struct windows *windows, const struct pair *pair);
/* The block of a pair within its window, by due time. */
uint32_t windows_block(const struct window *window, const struct pair *pair);
/* … and by the time at which the migrating lane sent it. */
uint32_t windows_sent_block(const struct window *window, const struct pair *pair);
/* Nothing is due behind last_due_ns: blocks by due time are cut from what lies before it. */
void windows_end_traffic(struct windows *windows, int64_t last_due_ns);
/* "before the migration", "during", "after"; "from the migration on" where the queues that it left outlasted it. */
const char *windows_phrase(const struct windows *windows, enum window_kind kind);

/* A first walk over the run, to see where the queues end: q of the two lanes, in bins of at least 100 ms. */
struct windows_survey;
struct windows_survey *windows_survey_new(const struct run_data *data);
void windows_survey_add(struct windows_survey *survey, const struct pair *pair);
void windows_survey_finish(const struct windows_survey *survey, struct windows *out);
void windows_survey_free(struct windows_survey *survey);

#endif
