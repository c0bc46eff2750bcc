/*
 * Who made a clone: a process, told from a later one of the same number by its start time, on one machine, since one
 * boot of it. Records name it, so that whoever finds a clone later can tell whether anybody still needs it.
 */
#ifndef CLONE_OWNER_H
#define CLONE_OWNER_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct clone_owner {
	char *user; /* for people */
	char *host;
	char *boot_id; /* of the kernel's run: another one means that the process is gone */
	pid_t pid;
	uint64_t pid_started; /* ticks since boot, /proc/PID/stat */
};

enum clone_owner_state {
	CLONE_OWNER_ALIVE,
	CLONE_OWNER_GONE,
	CLONE_OWNER_ELSEWHERE /* on another machine: cannot be known here */
};

/* This process. */
void clone_owner_init_self(struct clone_owner *owner);
void clone_owner_release(struct clone_owner *owner);
enum clone_owner_state clone_owner_look(const struct clone_owner *owner);

#endif
