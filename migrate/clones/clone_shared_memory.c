/* What a killed server leaves in shared memory: see clone_shared_memory.h. */
#include "clone_shared_memory.h"

#include "mem.h"

#include <fcntl.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/shm.h>
#include <sys/stat.h>
#include <unistd.h>

/*
 * The beginning of a server's System V segment (PostgreSQL's storage/pg_shmem.h, PGShmemHeader; the same since 9.4 for
 * what is here). Its dsm_control names the POSIX segment that lists the others.
 */
struct segment_header {
	int32_t magic;
	pid_t creator_pid;
	size_t total_size;
	size_t free_offset;
	uint32_t dsm_control;
};

#define SEGMENT_MAGIC 679834894

/*
 * That list (storage/ipc/dsm.c, dsm_control_header): three numbers, and from byte 16 on items of 40 bytes (14 and
 * later) or 24 (before), which begin with the segment's number and how many hold it, 0 for an item that is free. The
 * file is as long as all its items, so its length tells which.
 */
struct control_header {
	uint32_t magic;
	uint32_t used_items;
	uint32_t all_items;
	uint32_t filler;
};

struct control_item {
	uint32_t segment;
	uint32_t holders;
};

#define CONTROL_MAGIC	  0x9a503d32u
#define CONTROL_BYTES_MAX ((size_t)64 << 20) /* more than 262,143 backends, the most there can be, need */

static int open_segment(uint32_t number, uid_t uid, struct stat *info)
{
	char path[64];
	(void)snprintf(path, sizeof(path), "/dev/shm/PostgreSQL.%u", number);
	int fd = open(path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	if (fd >= 0 && (fstat(fd, info) != 0 || !S_ISREG(info->st_mode) || info->st_uid != uid)) {
		(void)close(fd);
		return -1;
	}
	return fd;
}

static void remove_segment(uint32_t number, uid_t uid)
{
	char path[64];
	struct stat info;
	int fd = open_segment(number, uid, &info);
	if (fd < 0)
		return;
	(void)snprintf(path, sizeof(path), "/dev/shm/PostgreSQL.%u", number);
	(void)unlink(path);
	(void)close(fd);
}

static void remove_listed(const char *list, size_t size, uid_t uid)
{
	struct control_header header;
	memcpy(&header, list, sizeof(header));
	if (header.magic != CONTROL_MAGIC || header.all_items == 0 || header.used_items > header.all_items)
		return;
	size_t each = (size - sizeof(header)) / header.all_items;
	if ((each != 40 && each != 24) || size != sizeof(header) + each * header.all_items)
		return;
	for (uint32_t i = 0; i < header.used_items; i++) {
		struct control_item item;
		memcpy(&item, list + sizeof(header) + i * each, sizeof(item));
		if (item.holders)
			remove_segment(item.segment, uid);
	}
}

static void remove_posix_segments(uint32_t control, uid_t uid)
{
	struct stat info;
	int fd = open_segment(control, uid, &info);
	if (fd < 0)
		return;
	size_t size = (size_t)info.st_size;
	if (size >= sizeof(struct control_header) && size <= CONTROL_BYTES_MAX) {
		char *list = mem_alloc(size);
		if (pread(fd, list, size, 0) == (ssize_t)size)
			remove_listed(list, size, uid);
		free(list);
	}
	(void)close(fd);
	remove_segment(control, uid);
}

/* The number of the POSIX segment that lists the others; 0 when this is not the server's. */
static uint32_t control_of(int id, pid_t server)
{
	const struct segment_header *header = shmat(id, NULL, SHM_RDONLY);
	if (header == (void *)-1)
		return 0;
	uint32_t control = header->magic == SEGMENT_MAGIC && header->creator_pid == server ? header->dsm_control : 0;
	(void)shmdt(header);
	return control;
}

/*
 * Line 7 of postmaster.pid has key and id of the System V segment (PostgreSQL's miscadmin.h, LOCK_FILE_LINE_SHMEM_KEY),
 * the first line the server's pid.
 */
void clone_remove_shared_memory(int dir, uid_t uid)
{
	char line[128] = "";
	long server = 0;
	int fd = openat(dir, "data/postmaster.pid", O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	FILE *file = fd >= 0 ? fdopen(fd, "r") : NULL;
	for (int i = 0; file && i < 7; i++) {
		if (!fgets(line, sizeof(line), file))
			line[0] = '\0';
		if (i == 0)
			server = strtol(line, NULL, 10);
	}
	if (file)
		(void)fclose(file);
	char *end = NULL;
	unsigned long key = strtoul(line, &end, 10);
	long id = end != line ? strtol(end, NULL, 10) : -1;
	struct shmid_ds info;
	if (key == 0 || id < 0 || shmctl((int)id, IPC_STAT, &info) != 0)
		return;
	if (info.shm_nattch != 0 || info.shm_perm.uid != uid || info.shm_perm.__key != (key_t)key ||
	    info.shm_segsz < sizeof(struct segment_header))
		return;
	uint32_t control = control_of((int)id, (pid_t)server);
	if (control)
		remove_posix_segments(control, uid);
	(void)shmctl((int)id, IPC_RMID, NULL);
}
