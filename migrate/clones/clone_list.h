/*
 * All clones that there are records of, and what may become of each: the one place that decides whom `cleanup` may
 * remove.
 */
#ifndef CLONE_LIST_H
#define CLONE_LIST_H

#include "clone_record.h"
#include "error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What cleanup goes by; only the last two are removed unasked. */
enum clone_life {
	CLONE_IN_USE,	  /* its owner lives */
	CLONE_SNAPSHOT,	  /* kept on purpose */
	CLONE_ELSEWHERE,  /* made on another machine, and nothing of it is on this one */
	CLONE_UNREADABLE, /* a record that says what no record of ours says: it is never acted upon */
	CLONE_EXPIRED,	  /* its time to live is over, whoever has it */
	CLONE_ORPHAN	  /* its owner died; so did that of another clone of its set */
};

struct clone_entry {
	char *file; /* of the record, in the state folder */
	struct clone_record record;
	enum clone_life life;
	bool running; /* provider local: its server is there */
	char *why;    /* unreadable: what is wrong; else NULL */
};

struct clone_list {
	char *state_folder;
	struct clone_entry *entries; /* by name */
	size_t count;
};

/* Reads all of them, as of now; drops drafts of records that a crash left. state_dir as in clone_state_folder(). */
int clone_list_load(struct clone_list *list, const char *state_dir, int64_t now_wall_ns, struct error *err);
void clone_list_release(struct clone_list *list);
const char *clone_life_name(enum clone_life life);
/* True for cleanup without further words. */
bool clone_life_is_over(enum clone_life life);
/* By the name of a clone, or of the set that it is of. */
bool clone_entry_is_named(const struct clone_entry *entry, const char *name);

#endif
