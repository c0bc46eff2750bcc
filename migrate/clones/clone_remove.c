/* Taking a clone down from its record: see clone_remove.h. */
#include "clone_remove.h"

#include "clock.h"
#include "clone_processes.h"
#include "clone_script.h"
#include "clone_shared_memory.h"
#include "folder_copy.h"
#include "mem.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#define TRIES 30

/* As open(), but no part of the path may be a symbolic link (openat2(2), RESOLVE_NO_SYMLINKS). */
static int open_without_links(const char *path)
{
	struct open_how how = {.flags = O_RDONLY | O_DIRECTORY | O_CLOEXEC, .resolve = RESOLVE_NO_SYMLINKS};
	return (int)syscall(SYS_openat2, AT_FDCWD, path, &how, sizeof(how));
}

static void sync_and_close(int fd)
{
	(void)fsync(fd);
	(void)close(fd);
}

int clone_folder_create(const struct clone_record *record, struct error *err)
{
	if (mkdir(record->folder, 0700) != 0 && errno == EEXIST)
		return error_set(err, ERR_USAGE, "%s is there already; another run has that name", record->folder);
	int dir = open_without_links(record->folder);
	if (dir < 0)
		return error_set_errno(err, ERR_INTERNAL, "%s: cannot make the folder", record->folder);
	char *marker = clone_record_marker(record);
	int fd = openat(dir, marker, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	int rc = fd < 0 ? error_set_errno(err, ERR_INTERNAL, "%s: cannot mark the folder", record->folder) : 0;
	if (fd >= 0)
		sync_and_close(fd);
	sync_and_close(dir);
	free(marker);
	return rc;
}

/* 1: ours; 0: empty, so nobody's; negative: it has something in it and no mark of ours. */
static int look_at_folder(int dir, const char *marker, const struct clone_record *record, struct error *err)
{
	struct stat info;
	if (fstatat(dir, marker, &info, AT_SYMLINK_NOFOLLOW) == 0 && S_ISREG(info.st_mode) &&
	    info.st_uid == record->uid)
		return 1;
	if (fstat(dir, &info) == 0 && info.st_uid != record->run_uid && info.st_uid != record->uid)
		return error_set(err, ERR_DATA, "%s belongs to another user; it is left alone", record->folder);
	char *name = strrchr(record->folder, '/') + 1;
	int parent = openat(dir, "..", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	bool gone = parent >= 0 && unlinkat(parent, name, AT_REMOVEDIR) == 0; /* works on an empty one only */
	if (parent >= 0)
		(void)close(parent);
	if (gone || lstat(record->folder, &info) != 0) /* somebody else was at it too */
		return 0;
	return error_set(err, ERR_DATA, "%s does not have the mark of clone %s; it is left alone", record->folder,
			 record->name);
}

static int clear_marked(int dir, const char *marker, const struct clone_record *record, struct error *err)
{
	int rc = -1;
	for (int try = 0; try < TRIES && rc; try++) {
		if (try)
			clock_sleep_until_ns(clock_mono_ns() + 100 * NS_PER_MS);
		error_clear(err);
		bool ended = clone_stop_processes(record->folder);
		clone_remove_shared_memory(dir, record->run_uid);
		rc = ended ? folder_clear(dir, marker, record->folder, err)
			   : error_set(err, ERR_INTERNAL, "%s: its server does not end", record->folder);
	}
	return rc;
}

/* The mark, then the folder itself, by its parent as it is on the disk now. */
static int remove_marked(int dir, const char *marker, const struct clone_record *record, struct error *err)
{
	int parent = openat(dir, "..", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int rc = 0;
	if (parent < 0)
		return errno == ENOENT ? 0 : error_set_errno(err, ERR_INTERNAL, "%s: its parent", record->folder);
	(void)unlinkat(dir, marker, 0);
	if (unlinkat(parent, strrchr(record->folder, '/') + 1, AT_REMOVEDIR) != 0 && errno != ENOENT)
		rc = error_set_errno(err, ERR_INTERNAL, "%s: cannot remove it", record->folder);
	(void)close(parent);
	return rc;
}

static int remove_folder(const struct clone_record *record, struct error *err)
{
	struct stat info;
	if (lstat(record->folder, &info) != 0 && errno == ENOENT)
		return 0;
	int dir = open_without_links(record->folder);
	if (dir < 0 && errno == ENOENT)
		return 0;
	if (dir < 0)
		return error_set_errno(err, ERR_DATA, "%s: left alone, not a folder that a clone was put into",
				       record->folder);
	char *marker = clone_record_marker(record);
	int rc = look_at_folder(dir, marker, record, err);
	if (rc > 0) {
		rc = clear_marked(dir, marker, record, err);
		rc = rc ? rc : remove_marked(dir, marker, record, err);
	}
	free(marker);
	(void)close(dir);
	return rc;
}

int clone_remove(const char *state_folder, const struct clone_record *record, struct error *err)
{
	int rc;
	if (strcmp(record->provider, "command") == 0)
		rc = clone_script_destroy(state_folder, record, NULL, err);
	else
		rc = remove_folder(record, err);
	if (rc == 0)
		clone_record_unlink(state_folder, record);
	return rc;
}
