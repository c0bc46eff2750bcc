/* Room for clones: see clone_space.h. */
#include "clone_space.h"

#include "mem.h"

#include <fcntl.h>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <sys/statvfs.h>
#include <unistd.h>

/* What a server writes in any case, its first WAL segment. */
#define SLACK_BYTES ((int64_t)16 * 1024 * 1024)

/* Can a copy in `folder` share the blocks of that file (FICLONE)? */
static bool shares_blocks(const char *file, const char *folder)
{
	char *path = mem_printf("%s/.share", folder);
	int from = open(file, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	int to = open(path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	bool shared = from >= 0 && to >= 0 && ioctl(to, FICLONE, from) == 0;
	if (from >= 0)
		(void)close(from);
	if (to >= 0) {
		(void)close(to);
		(void)unlink(path);
	}
	free(path);
	return shared;
}

static int64_t source_bytes(const struct clone_source *source)
{
	struct error ignored = ERROR_INIT;
	char *text = NULL;
	if (!source->running)
		return folder_disk_bytes(source->folder);
	int rc = pg_conn_value(source->conn, "SELECT sum(pg_database_size(oid))::bigint FROM pg_catalog.pg_database",
			       "asking for its size", &text, &ignored);
	int64_t bytes = rc == 0 && text ? strtoll(text, NULL, 10) : -1;
	free(text);
	return bytes;
}

int clone_space_check(const struct clone_source *source, const struct clone_set *set, struct error *err)
{
	const char *folder = set->clones[0].folder;
	struct statvfs fs;
	int64_t each = source_bytes(source);
	if (each < 0 || statvfs(folder, &fs) != 0)
		return 0;
	char *sample = source->running || source->packed ? NULL : mem_printf("%s/PG_VERSION", source->folder);
	char *marker = clone_record_marker(&set->records[0]), *own = mem_printf("%s/%s", folder, marker);
	int64_t copies = (int64_t)set->count;
	if (sample && shares_blocks(sample, folder))
		copies = 0;
	else if (shares_blocks(own, folder))
		copies = 1;
	free(own);
	free(marker);
	free(sample);
	int64_t needed = copies * each + (int64_t)set->count * SLACK_BYTES;
	int64_t there = (int64_t)fs.f_bavail * (int64_t)fs.f_frsize;
	if (needed <= there)
		return 0;
	const char *slash = strrchr(folder, '/');
	return error_set(err, ERR_INTERNAL,
			 "%zu clones need %.1f MB in %.*s, where %.1f MB are free; choose another place with "
			 "--clone-folder",
			 set->count, (double)needed / 1e6, (int)(slash - folder), folder, (double)there / 1e6);
}
