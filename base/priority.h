/*
 * Being on time on a busy machine. What sleeps until a moment and then does a little (a lane that sends an item, a
 * sampler that looks at the locks) must run when the moment has come, or it measures itself. Where we may (root, or a
 * limit that allows it) it gets a real-time priority, else a better nice value, else nothing.
 */
#ifndef PRIORITY_H
#define PRIORITY_H

#include <stdbool.h>
#include <sys/types.h>

/* For a thread or process by its id; 0 is the calling thread. Never for what may compute for long. */
void priority_make_urgent(pid_t id);
/* A better nice value only: for what is in a hurry and does compute. */
void priority_make_keen(pid_t id);
/*
 * For a process that is ours in all but name: true when it runs on this machine under that program name (a server's
 * backend that answers our sampler).
 */
bool priority_is_local(pid_t pid, const char *program);

#endif
