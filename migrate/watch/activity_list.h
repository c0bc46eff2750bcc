/*
 * Samples of what a server is busy with, joined into activities (health_log.h): a vacuum that three samples show is one
 * activity with its phases. Checkpoints show in no view while they run; they are reckoned from the checkpointer's
 * counters. What is shorter than a sampling interval is missed, but for checkpoints and automatic vacuums, of which the
 * server keeps the end.
 */
#ifndef ACTIVITY_LIST_H
#define ACTIVITY_LIST_H

#include "health_log.h"

struct activity_row {
	enum health_activity_kind kind;
	int32_t pid;
	const char *relation; /* "" for none, as for all of these */
	const char *index;
	const char *command;
	const char *phase;
	int64_t done; /* -1: not known */
	int64_t total;
};

struct activity_list {
	struct health_activity *items;
	size_t count;
	size_t capacity;
	uint64_t lost; /* beyond HEALTH_ACTIVITIES_MAX */
	int64_t now_ns;
	/* the checkpointer's counters at the sample before */
	bool has_counters;
	int64_t timed;
	int64_t requested;
	int64_t spent_ms;
	int64_t buffers;
	size_t checkpoint; /* index of the one under way, SIZE_MAX */
};

/* Its counters as they are now. */
struct activity_checkpoints {
	int64_t timed;
	int64_t requested;
	int64_t spent_ms; /* writing and syncing */
	int64_t buffers;
};

void activity_list_init(struct activity_list *list);
void activity_list_release(struct activity_list *list);
/* A sample: begin, what it shows, end, which closes whatever it did not show. */
void activity_list_begin(struct activity_list *list, int64_t now_ns);
void activity_list_see(struct activity_list *list, const struct activity_row *row);
void activity_list_end(struct activity_list *list);
/* An automatic vacuum or analyze that ended at end_ns; adds one unless it was seen, or was told before. */
void activity_list_ended(struct activity_list *list, enum health_activity_kind kind, const char *relation,
			 int64_t end_ns);
void activity_list_checkpoints(struct activity_list *list, const struct activity_checkpoints *counters, int64_t now_ns);
/* The server is gone, or another one came: nothing is under way, no counter can be compared. */
void activity_list_break(struct activity_list *list);

#endif
