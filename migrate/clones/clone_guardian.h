/*
 * A small process that outlives us for a moment. It holds the other end of a pipe; when we end for whatever reason
 * without having told it that all is well (kill -9, a crash), it takes down what the records that it was given name. It
 * is the fast way: when it is killed too, `cleanup` does the same later, from the records on disk.
 */
#ifndef CLONE_GUARDIAN_H
#define CLONE_GUARDIAN_H

#include "clone_record.h"
#include "error.h"

#include <stddef.h>
#include <sys/types.h>

struct clone_guardian {
	pid_t pid; /* 0: none */
	int fd;	   /* our end */
};

/*
 * Starts it for these records, which are there already, before anything else is. It is forked, not executed: start it
 * before the program's threads where that can be done.
 */
int clone_guardian_start(struct clone_guardian *guardian, const char *state_folder, const struct clone_record *records,
			 size_t count, struct error *err);
/* All is taken down, or is to stay: the guardian ends and does nothing. */
void clone_guardian_dismiss(struct clone_guardian *guardian);

#endif
