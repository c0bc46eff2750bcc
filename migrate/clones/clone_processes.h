/*
 * The processes of a clone, found without anybody having written down their ids: by the folder that they work in. What
 * was started a moment before we were killed is found like the rest.
 */
#ifndef CLONE_PROCESSES_H
#define CLONE_PROCESSES_H

#include <stdbool.h>
#include <stddef.h>

/* In the environment of the user's scripts for a clone: its record's id, and its lane. */
#define CLONE_ID_VARIABLE   "REHEARSE_CLONE_ID"
#define CLONE_LANE_VARIABLE "REHEARSE_CLONE_LANE"

/*
 * Ends PostgreSQL's programs that work at or below `folder`: SIGQUIT (immediate shutdown), and after 5 s SIGKILL. False
 * when something is still there.
 */
bool clone_stop_processes(const char *folder);
/*
 * Ends the lane's scripts of that id and all that they started, wherever it works: SIGTERM, after 5 s SIGKILL. For
 * those that a crash orphaned.
 */
bool clone_stop_scripts(const char *id, const char *lane);
/* How many of the clone's processes there are. */
size_t clone_count_processes(const char *folder);

#endif
