/*
 * Whole folders: copied as cheaply as the file system allows (shared blocks, holes kept), given to another user, and
 * removed. No symbolic link is ever followed on the way down, so that a link cannot lead a root's copy or removal
 * somewhere else.
 */
#ifndef FOLDER_COPY_H
#define FOLDER_COPY_H

#include "error.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

enum folder_copy_choice {
	FOLDER_COPY,	  /* the file, or the folder with what is in it */
	FOLDER_SKIP,	  /* nothing of it */
	FOLDER_COPY_EMPTY /* the folder without what is in it */
};

struct folder_copy_options {
	uid_t uid; /* owner of the copies, (uid_t)-1 for ourselves */
	gid_t gid;
	/* What to do with an entry, by its path below the folder; NULL: everything. */
	enum folder_copy_choice (*choose)(const char *relative);
	/* A symbolic link of the folder itself that stands for a folder, and is copied as one ("pg_wal"); may be NULL.
	 */
	const char *follow;
	const volatile bool *cancelled; /* may be NULL */
	void (*progress)(void *context, int64_t bytes);
	void *progress_context;
};

struct folder_copy_stats {
	int64_t bytes; /* of files, as long as they are */
	uint64_t files;
	uint64_t reflinked; /* of them, those that share their blocks */
};

/* `to` must not exist; its folder must. A symbolic link inside is ERR_DATA, a full disk ERR_INTERNAL. */
int folder_copy(const char *from, const char *to, const struct folder_copy_options *options,
		struct folder_copy_stats *stats, struct error *err);
/* Gives the folder and all in it to that user. */
int folder_give(const char *path, uid_t uid, gid_t gid, struct error *err);
/* Removes what is in the folder that dir_fd is open on, but for the entry `kept`; path is for messages. */
int folder_clear(int dir_fd, const char *kept, const char *path, struct error *err);
/* Writes out its files and asks the kernel to forget what it has cached of them. */
int folder_drop_cache(const char *path, struct error *err);
/* The room that its files take on the disk; -1 when it cannot be read. Links are not followed, but for pg_wal's. */
int64_t folder_disk_bytes(const char *path);
/* Removes it with all in it. 0 when it was not there. */
int folder_remove(const char *path, struct error *err);

#endif
