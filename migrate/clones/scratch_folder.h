/*
 * A folder for files that must not outlive us, because they hold recorded literals: removed when it is released, by a
 * guardian process (clone_guardian.h) when we die before that, kill -9 included, and by `cleanup` when that died too.
 * It has a record like a clone's (provider "scratch").
 */
#ifndef SCRATCH_FOLDER_H
#define SCRATCH_FOLDER_H

#include "clone_guardian.h"
#include "clone_record.h"
#include "error.h"

struct scratch_folder {
	char *path; /* mode 0700, under $TMPDIR or /var/tmp; NULL: none */
	char *state_folder;
	struct clone_record record;
	struct clone_guardian guardian;
};

/* name becomes part of the folder's: "rehearse-NAME-RANDOM". Fork-safe only before the program's threads. */
int scratch_folder_init(struct scratch_folder *folder, const char *name, struct error *err);
/* Removes the folder with all that is in it. Fine for one that was zeroed and never made. */
void scratch_folder_release(struct scratch_folder *folder);

#endif
