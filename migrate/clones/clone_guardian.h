/*
 * A small process that outlives us for a moment. It holds the other end of a pipe; when we end for whatever reason
 * without having told it that all is well (kill -9, a crash), it stops the servers that run in our clones' folders and
 * removes the folders and their records.
 */
#ifndef CLONE_GUARDIAN_H
#define CLONE_GUARDIAN_H

#include "error.h"

#include <stddef.h>
#include <sys/types.h>

struct clone_guardian {
	pid_t pid; /* 0: none */
	int fd;	   /* our end */
};

/*
 * Starts it for these folders and record files, before they exist. It is forked, not executed: start it before the
 * program's threads where that can be done.
 */
int clone_guardian_start(struct clone_guardian *guardian, char *const *folders, char *const *records, size_t count,
			 struct error *err);
/* All is taken down: the guardian ends and does nothing. */
void clone_guardian_dismiss(struct clone_guardian *guardian);
/*
 * Ends what PostgreSQL programs have their working folder at or below `folder`: SIGQUIT (immediate shutdown), and after
 * 5 s SIGKILL. Told by the working folder, so it finds those whose pid nobody wrote down.
 */
void clone_stop_processes(const char *folder);

#endif
