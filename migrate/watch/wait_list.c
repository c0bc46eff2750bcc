/* Samples of who waits, joined into waits: see wait_list.h. */
#include "wait_list.h"

#include "mem.h"

#include <uthash.h>

#define BLOCKERS_MAX 1024
#define START_SLACK  INT64_C(2000000) /* the clocks are compared to about a millisecond */

struct wait_open {
	int32_t pid;
	size_t entry;
	bool seen;	  /* in the sample that is being added */
	int64_t start_id; /* wait_row; 0 until the server has told it */
	UT_hash_handle hh;
};

void wait_list_init(struct wait_list *list)
{
	memset(list, 0, sizeof(*list));
}

static void forget_open(struct wait_list *list, struct wait_open *open)
{
	HASH_DEL(list->open, open);
	free(open);
}

void wait_list_break(struct wait_list *list)
{
	struct wait_open *open, *next;
	HASH_ITER (hh, list->open, open, next) {
		forget_open(list, open);
	}
	list->has_previous = false;
}

void wait_list_release(struct wait_list *list)
{
	wait_list_break(list);
	for (size_t i = 0; i < list->count; i++)
		free(list->entries[i].wait.blockers);
	free(list->entries);
	wait_list_init(list);
}

void wait_list_begin(struct wait_list *list, int64_t sent_ns)
{
	list->sent_ns = sent_ns;
	struct wait_open *open, *next;
	HASH_ITER (hh, list->open, open, next) {
		open->seen = false;
	}
}

/* Is this row the wait that the backend was seen in before, or the next one? */
static bool same_wait(const struct wait_list *list, const struct wait_open *open, const struct wait_row *row)
{
	const struct wait_entry *entry = &list->entries[open->entry];
	if (entry->wait.relation_oid != row->relation_oid || entry->database != row->database ||
	    strcmp(entry->wait.mode, row->mode) != 0 || strcmp(entry->wait.lock_type, row->lock_type) != 0)
		return false;
	if (open->start_id) /* a start that was there does not vanish while the wait goes on */
		return row->start_id == open->start_id;
	return row->start_id == 0 || row->start_ns <= entry->wait.end_ns + START_SLACK; /* before we last saw it */
}

/* The server's start, bounded by what we know: the sample before did not show it, so it began after that was sent. */
static int64_t bound_start(const struct wait_list *list, int64_t start_ns)
{
	if (list->has_previous && start_ns < list->previous_sent_ns)
		return list->previous_sent_ns;
	return start_ns;
}

static void touch(struct wait_list *list, struct wait_entry *entry)
{
	entry->wait.end_ns = list->sent_ns > entry->wait.start_ns ? list->sent_ns : entry->wait.start_ns;
	entry->wait.samples++;
}

static void open_wait(struct wait_list *list, const struct wait_row *row)
{
	MEM_GROW(list->entries, list->count, list->capacity);
	struct wait_entry *entry = &list->entries[list->count];
	memset(entry, 0, sizeof(*entry));
	entry->database = row->database;
	entry->wait.pid = row->pid;
	entry->wait.relation_oid = row->relation_oid;
	(void)snprintf(entry->wait.lock_type, sizeof(entry->wait.lock_type), "%s", row->lock_type);
	(void)snprintf(entry->wait.mode, sizeof(entry->wait.mode), "%s", row->mode);
	entry->wait.start_ns = row->start_id ? bound_start(list, row->start_ns) : list->sent_ns;
	touch(list, entry);
	struct wait_open *open = mem_zalloc(1, sizeof(*open));
	open->pid = row->pid;
	open->entry = list->count++;
	open->seen = true;
	open->start_id = row->start_id;
	HASH_ADD(hh, list->open, pid, sizeof(open->pid), open);
}

void wait_list_see(struct wait_list *list, const struct wait_row *row)
{
	struct wait_open *open = NULL;
	HASH_FIND(hh, list->open, &row->pid, sizeof(row->pid), open);
	if (open && open->seen)
		return; /* a second row for a backend: the first counts */
	if (open && !same_wait(list, open, row)) {
		forget_open(list, open);
		open = NULL;
	}
	if (!open) {
		open_wait(list, row);
		return;
	}
	struct wait_entry *entry = &list->entries[open->entry];
	open->seen = true;
	if (!open->start_id && row->start_id) {
		open->start_id = row->start_id;
		if (row->start_ns < entry->wait.start_ns) /* at most one interval before we saw it */
			entry->wait.start_ns = row->start_ns;
	}
	touch(list, entry);
}

void wait_list_end(struct wait_list *list)
{
	struct wait_open *open, *next;
	HASH_ITER (hh, list->open, open, next) {
		if (!open->seen)
			forget_open(list, open);
	}
	list->previous_sent_ns = list->sent_ns;
	list->has_previous = true;
}

void wait_list_blocker(struct wait_list *list, int32_t pid, int32_t blocker)
{
	struct wait_open *open = NULL;
	HASH_FIND(hh, list->open, &pid, sizeof(pid), open);
	if (!open)
		return;
	struct wait_entry *entry = &list->entries[open->entry];
	struct lock_wait *wait = &entry->wait;
	for (size_t i = 0; i < wait->blocker_count; i++) {
		if (wait->blockers[i].pid == blocker) {
			wait->blockers[i].last_ns = list->sent_ns;
			return;
		}
	}
	if (wait->blocker_count == BLOCKERS_MAX)
		return;
	MEM_GROW(wait->blockers, wait->blocker_count, entry->blocker_capacity);
	wait->blockers[wait->blocker_count++] =
		(struct lock_blocker){.pid = blocker, .first_ns = list->sent_ns, .last_ns = list->sent_ns};
}

size_t wait_list_open_count(const struct wait_list *list)
{
	return HASH_COUNT(list->open);
}

size_t wait_list_choose(const struct wait_list *list, uint64_t turn, int32_t *pids, size_t max)
{
	size_t total = HASH_COUNT(list->open), used = 0, index = 0;
	for (const struct wait_open *open = list->open; open && used < max; open = open->hh.next) {
		if (total <= max || list->entries[open->entry].wait.blocker_count == 0)
			pids[used++] = open->pid;
	}
	if (total <= max || used == max)
		return used;
	size_t from = (size_t)(turn * max % total);
	for (int round = 0; round < 2; round++) { /* from there to the end, then from the beginning to there */
		index = 0;
		for (const struct wait_open *open = list->open; open && used < max; open = open->hh.next, index++) {
			bool due = round == 0 ? index >= from : index < from;
			if (due && list->entries[open->entry].wait.blocker_count != 0)
				pids[used++] = open->pid;
		}
	}
	return used;
}
