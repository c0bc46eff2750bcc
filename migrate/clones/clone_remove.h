/*
 * Taking a clone down from its record alone, whoever does it: the process that made it, its guardian, or `cleanup` long
 * after both are gone. It may be begun anew at any point, and by two at once.
 *
 * A record is believed only so far. A folder is removed when no part of its path is a symbolic link, its owner is the
 * one in the record, and it holds the file whose name has the record's name and random id (clone_record_marker()), put
 * there by who made the record; an empty folder needs no mark. The mark goes last. So a record that somebody forged, or
 * a folder that somebody put in the place of ours, removes nothing.
 */
#ifndef CLONE_REMOVE_H
#define CLONE_REMOVE_H

#include "clone_record.h"
#include "error.h"

/* Makes the record's folder (0700) with the mark in it. ERR_USAGE when one of that name is there. */
int clone_folder_create(const struct clone_record *record, struct error *err);
/*
 * Ends the clone's processes, removes its folder or calls the user's destroy command, and removes the record when
 * nothing of the clone is left; on an error the record stays.
 */
int clone_remove(const char *state_folder, const struct clone_record *record, struct error *err);

#endif
