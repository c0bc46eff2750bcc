/*
 * When each item of a replay file is due in a run: the file's own time, cut to a part of it and scaled. Both lanes and
 * the run's item index ask the same schedule, so they cannot disagree.
 */
#ifndef SCHEDULE_H
#define SCHEDULE_H

#include "error.h"
#include "item_index.h"
#include "replay_file.h"
#include "run_log.h"

#include <stdbool.h>
#include <stdint.h>

struct schedule_options {
	double speed;	     /* 2 is twice as fast as recorded; 0: everything is due at once (--speed max) */
	int64_t start_at_ns; /* part of the file to replay, from its start; stop_at_ns 0 is its end */
	int64_t stop_at_ns;
	int64_t skip_idle_ns;  /* a time without any item is cut to this, 0: kept */
	uint32_t max_sessions; /* sessions that would make more than so many at once are left out, 0: none are */
};

/* A cut idle time: items at or after time_ns are due shift_ns earlier than recorded. */
struct schedule_cut {
	int64_t time_ns;
	int64_t shift_ns;
};

enum session_part {
	SESSION_OUTSIDE, /* nothing of it lies in the part */
	SESSION_INSIDE,
	SESSION_TOO_MANY /* left out by max_sessions */
};

struct schedule {
	struct schedule_options options;
	uint64_t item_count;
	uint64_t due_count; /* items inside the part */
	int64_t last_due_ns;
	uint32_t sessions;	      /* sessions that take part */
	uint32_t max_open;	      /* most sessions open at once */
	unsigned char *session_parts; /* by session row: enum session_part */
	struct schedule_cut *cuts;    /* by time */
	size_t cut_count;
	size_t cut_capacity;
};

/*
 * Reads the file once: finds which sessions take part and how many at once, and writes the run's item index to
 * index_path. *cancelled may be NULL.
 */
int schedule_prepare(const struct replay_file *file, const struct schedule_options *options, const char *index_path,
		     const volatile bool *cancelled, struct schedule *out, struct error *err);
void schedule_release(struct schedule *schedule);

/*
 * When the item is due, from the run's start. RUN_SKIP_NONE, or why it has no part in the run. The connect of a session
 * that was opened before the part is due at its start.
 */
enum run_skip_reason schedule_due(const struct schedule *schedule, const struct item *item, int64_t *due_ns);

/* A time of the file as a time of the run: cut and scaled. For what happens beside the items, such as the migration. */
int64_t schedule_map_ns(const struct schedule *schedule, int64_t time_ns);

#endif
