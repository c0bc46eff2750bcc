/*
 * A folder for files that must not outlive us, because they hold recorded literals: removed when it is released, and by
 * a guardian process (clone_guardian.h) when we die before that, kill -9 included.
 */
#ifndef SCRATCH_FOLDER_H
#define SCRATCH_FOLDER_H

#include "clone_guardian.h"
#include "error.h"

struct scratch_folder {
	char *path;   /* mode 0700, under $TMPDIR or /var/tmp; NULL: none */
	char *record; /* for the guardian; never made */
	struct clone_guardian guardian;
};

/* name becomes part of the folder's: "rehearse-NAME.XXXXXX". Fork-safe only before the program's threads. */
int scratch_folder_init(struct scratch_folder *folder, const char *name, struct error *err);
/* Removes the folder with the files in it (it holds no folders). Fine for one that was zeroed and never made. */
void scratch_folder_release(struct scratch_folder *folder);

#endif
