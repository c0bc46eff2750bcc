/*
 * Samples of who waits, joined into waits. No server and no clock in here, so that the joining can be tested: the
 * caller says when a sample was taken and what it showed. All times in nanoseconds from the run's start.
 */
#ifndef WAIT_LIST_H
#define WAIT_LIST_H

#include "lock_log.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* One ungranted lock as a sample shows it. A backend waits for one lock at a time. */
struct wait_row {
	int32_t pid;
	const char *lock_type;
	const char *mode;
	uint32_t database; /* 0: shared by all */
	uint32_t relation_oid;
	int64_t start_id; /* waitstart as the server tells it, the same for all samples of one wait; 0: not told (yet)
			   */
	int64_t start_ns; /* waitstart on our clock, when start_id is not 0 */
};

/* A wait and what it takes to name its relation later. */
struct wait_entry {
	struct lock_wait wait;
	uint32_t database;
	size_t blocker_capacity;
};

struct wait_open;

struct wait_list {
	struct wait_entry *entries; /* open and closed, in order of appearance */
	size_t count;
	size_t capacity;
	struct wait_open *open; /* by pid */
	int64_t sent_ns;	/* of the sample that is being added */
	int64_t previous_sent_ns;
	bool has_previous; /* the sample before this one was complete and followed without a break */
};

void wait_list_init(struct wait_list *list);
void wait_list_release(struct wait_list *list);
/* A sample whose query was sent at sent_ns; then its rows; then the end, which closes the waits that it did not show.
 */
void wait_list_begin(struct wait_list *list, int64_t sent_ns);
void wait_list_see(struct wait_list *list, const struct wait_row *row);
void wait_list_end(struct wait_list *list);
/* A backend that stands before `pid`, which waits, at the time of the last sample. */
void wait_list_blocker(struct wait_list *list, int32_t pid, int32_t blocker);
/* The connection was lost: what was open ends where it was last seen. */
void wait_list_break(struct wait_list *list);
/* Number of waits that are open. */
size_t wait_list_open_count(const struct wait_list *list);
/*
 * Up to max pids whose blockers should be asked next: all when they are few, else those that have none yet and then in
 * turn, because each question takes all of the server's lock partitions.
 */
size_t wait_list_choose(const struct wait_list *list, uint64_t turn, int32_t *pids, size_t max);

#endif
