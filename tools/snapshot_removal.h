/* Removing clones by their records, one after the other, with a line and a JSON entry for each. */
#ifndef SNAPSHOT_REMOVAL_H
#define SNAPSHOT_REMOVAL_H

#include "clone_list.h"
#include "error.h"

#include <jansson.h>
#include <stdbool.h>

struct snapshot_removal {
	bool dry_run;
	json_t *removed;
	json_t *kept;
	json_t *failed;
	struct error first; /* of what failed */
};

void snapshot_removal_init(struct snapshot_removal *removal, bool dry_run);
void snapshot_removal_release(struct snapshot_removal *removal);
/* why: a few words for people. */
void snapshot_removal_take(struct snapshot_removal *removal, const struct clone_list *list,
			   const struct clone_entry *entry, const char *why);
void snapshot_removal_keep(struct snapshot_removal *removal, const struct clone_entry *entry, const char *why);
/* One that cannot be acted upon. */
void snapshot_removal_fail(struct snapshot_removal *removal, const struct clone_entry *entry, const struct error *err);
/* Prints counts, or the object with --json; 0, or the first failure's code with err set. */
int snapshot_removal_finish(const struct snapshot_removal *removal, const char *schema, struct error *err);

#endif
