/*
 * What can be said about a migration's SQL before it runs: errors for what cannot work, notes for what is unwise.
 * Amended data is a class of its own (B14): apart from DDL, whose locks would be held all the while, and marked as
 * such.
 */
#ifndef WORKFLOW_CHECK_H
#define WORKFLOW_CHECK_H

#include "error.h"
#include "workflow_folder.h"

/* Adds a note to the folder's. */
void workflow_check_note(struct workflow_folder *folder, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* ERR_DATA with file and line; notes go to the folder. Sets migration->amends_data. */
int workflow_check_migration(struct workflow_folder *folder, struct workflow_migration *migration, struct error *err);

#endif
