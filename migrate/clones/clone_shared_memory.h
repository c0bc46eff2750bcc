/*
 * What a killed server leaves in shared memory. A server that ends takes its own away, and one that starts in the same
 * data directory takes away what the last one left; a clone's directory never starts again.
 */
#ifndef CLONE_SHARED_MEMORY_H
#define CLONE_SHARED_MEMORY_H

#include <sys/types.h>

/*
 * Removes what the server in `data` under the open folder `dir` left: its System V segment, and its POSIX ones under
 * /dev/shm. Only what is uid's, and only when nobody is attached to the first, which every process of the server is.
 * What cannot be made out stays.
 */
void clone_remove_shared_memory(int dir, uid_t uid);

#endif
