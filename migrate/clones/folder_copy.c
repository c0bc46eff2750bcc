/* Whole folders copied, given away, removed: see folder_copy.h. */
#include "folder_copy.h"

#include "mem.h"
#include "stop_flag.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#define COPY_BLOCK ((size_t)1024 * 1024)
#define COPY_SLICE ((size_t)64 * 1024 * 1024) /* between two looks at cancelling */
#define DEPTH_MAX  64

struct copy {
	const struct folder_copy_options *options;
	struct folder_copy_stats *stats;
	const char *from;
	unsigned char *block; /* for where the kernel does not copy by itself */
	int depth;
	struct error *err;
};

static int full(const struct copy *copy, const char *relative)
{
	return error_set_errno(copy->err, ERR_INTERNAL, "copying %s/%s", copy->from, relative);
}

static bool is_cancelled(const struct copy *copy)
{
	return stop_flag_is_set(copy->options->cancelled);
}

/* Bytes [at, at + len) by read and write. */
static int copy_by_hand(struct copy *copy, int in, int out, off_t at, off_t len, const char *relative)
{
	if (!copy->block)
		copy->block = mem_alloc(COPY_BLOCK);
	while (len > 0) {
		size_t want = len < (off_t)COPY_BLOCK ? (size_t)len : COPY_BLOCK;
		ssize_t got = pread(in, copy->block, want, at);
		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return full(copy, relative);
		if (got == 0)
			return 0;
		for (ssize_t done = 0; done < got;) {
			ssize_t put = pwrite(out, copy->block + done, (size_t)(got - done), at + done);
			if (put < 0 && errno != EINTR)
				return full(copy, relative);
			done += put > 0 ? put : 0;
		}
		at += got;
		len -= got;
	}
	return 0;
}

/* Bytes [at, at + len) by the kernel, which shares blocks where it can. */
static int copy_range(struct copy *copy, int in, int out, off_t at, off_t len, const char *relative)
{
	while (len > 0) {
		off_t from = at, to = at;
		size_t want = len < (off_t)COPY_SLICE ? (size_t)len : COPY_SLICE;
		ssize_t got = copy_file_range(in, &from, out, &to, want, 0);
		if (is_cancelled(copy))
			return error_set(copy->err, ERR_INTERRUPTED, "copying %s: interrupted", copy->from);
		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0 && (errno == EXDEV || errno == EINVAL || errno == ENOSYS || errno == EOPNOTSUPP))
			return copy_by_hand(copy, in, out, at, len, relative);
		if (got < 0)
			return full(copy, relative);
		if (got == 0) /* shorter than it was */
			return 0;
		at += got;
		len -= got;
	}
	return 0;
}

/* Data between holes only, and the length set at the end. */
static int copy_data(struct copy *copy, int in, int out, off_t size, const char *relative)
{
	off_t at = 0;
	while (at < size) {
		off_t data = lseek(in, at, SEEK_DATA);
		if (data < 0 && errno == ENXIO)
			break; /* a hole to the end */
		if (data < 0)
			data = at; /* a file system without holes */
		off_t hole = lseek(in, data, SEEK_HOLE);
		if (hole < 0 || hole > size)
			hole = size;
		int rc = copy_range(copy, in, out, data, hole - data, relative);
		if (rc)
			return rc;
		at = hole > data ? hole : size;
	}
	return ftruncate(out, size) == 0 ? 0 : full(copy, relative);
}

static int give(const struct copy *copy, int fd, const char *relative)
{
	if (copy->options->uid == (uid_t)-1)
		return 0;
	return fchown(fd, copy->options->uid, copy->options->gid) == 0 ? 0 : full(copy, relative);
}

static int copy_file(struct copy *copy, int from_dir, int to_dir, const char *name, const char *relative)
{
	int in = openat(from_dir, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	struct stat info;
	if (in < 0 || fstat(in, &info) != 0) {
		int rc = error_set_errno(copy->err, ERR_DATA, "%s/%s: cannot open", copy->from, relative);
		if (in >= 0)
			(void)close(in);
		return rc;
	}
	int out = openat(to_dir, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, info.st_mode & 0700);
	int rc = out < 0 ? full(copy, relative) : 0;
	if (rc == 0 && ioctl(out, FICLONE, in) == 0)
		copy->stats->reflinked++;
	else if (rc == 0)
		rc = copy_data(copy, in, out, info.st_size, relative);
	if (rc == 0)
		rc = give(copy, out, relative);
	(void)close(in);
	if (out >= 0 && close(out) != 0 && rc == 0)
		rc = full(copy, relative);
	copy->stats->files++;
	copy->stats->bytes += info.st_size;
	if (copy->options->progress)
		copy->options->progress(copy->options->progress_context, copy->stats->bytes);
	return rc;
}

static int copy_folder(struct copy *copy, int from_dir, int to_dir, const char *relative, bool empty);

static int copy_subfolder(struct copy *copy, int from_dir, int to_dir, const char *name, const char *relative,
			  bool follow, bool empty)
{
	int from = openat(from_dir, name, O_RDONLY | O_DIRECTORY | (follow ? 0 : O_NOFOLLOW) | O_CLOEXEC);
	if (from < 0)
		return error_set_errno(copy->err, ERR_DATA, "%s/%s: cannot open", copy->from, relative);
	int rc = mkdirat(to_dir, name, 0700) == 0 ? 0 : full(copy, relative);
	int to = rc == 0 ? openat(to_dir, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC) : -1;
	if (rc == 0 && to < 0)
		rc = full(copy, relative);
	if (rc == 0)
		rc = give(copy, to, relative);
	if (rc == 0)
		rc = copy_folder(copy, from, to, relative, empty);
	(void)close(from);
	if (to >= 0)
		(void)close(to);
	return rc;
}

static int copy_entry(struct copy *copy, int from_dir, int to_dir, const char *name, const char *relative)
{
	enum folder_copy_choice choice = copy->options->choose ? copy->options->choose(relative) : FOLDER_COPY;
	struct stat info;
	if (choice == FOLDER_SKIP)
		return 0;
	if (is_cancelled(copy))
		return error_set(copy->err, ERR_INTERRUPTED, "copying %s: interrupted", copy->from);
	if (fstatat(from_dir, name, &info, AT_SYMLINK_NOFOLLOW) != 0)
		return error_set_errno(copy->err, ERR_DATA, "%s/%s: cannot look at it", copy->from, relative);
	bool follow = S_ISLNK(info.st_mode) && copy->options->follow && strcmp(relative, copy->options->follow) == 0;
	if (S_ISDIR(info.st_mode) || follow)
		return copy_subfolder(copy, from_dir, to_dir, name, relative, follow, choice == FOLDER_COPY_EMPTY);
	if (S_ISREG(info.st_mode))
		return copy_file(copy, from_dir, to_dir, name, relative);
	if (S_ISLNK(info.st_mode))
		return error_set(
			copy->err, ERR_DATA,
			"%s/%s is a symbolic link; tablespaces and links out of a data directory are not copied",
			copy->from, relative);
	return 0; /* a socket or a pipe */
}

static int copy_folder(struct copy *copy, int from_dir, int to_dir, const char *relative, bool empty)
{
	if (empty)
		return 0;
	if (++copy->depth > DEPTH_MAX)
		return error_set(copy->err, ERR_DATA, "%s/%s: folders nest too deep", copy->from, relative);
	int fd = dup(from_dir);
	DIR *dir = fd >= 0 ? fdopendir(fd) : NULL;
	if (!dir)
		return full(copy, relative);
	int rc = 0;
	for (const struct dirent *entry; rc == 0 && (entry = readdir(dir));) {
		if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
			continue;
		char *below = *relative ? mem_printf("%s/%s", relative, entry->d_name) : mem_strdup(entry->d_name);
		rc = copy_entry(copy, from_dir, to_dir, entry->d_name, below);
		free(below);
	}
	(void)closedir(dir);
	copy->depth--;
	return rc;
}

int folder_copy(const char *from, const char *to, const struct folder_copy_options *options,
		struct folder_copy_stats *stats, struct error *err)
{
	struct copy copy = {.options = options, .stats = stats, .from = from, .err = err};
	memset(stats, 0, sizeof(*stats));
	int rc = 0;
	int from_dir = open(from, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (from_dir < 0)
		return error_set_errno(err, ERR_DATA, "%s: cannot open", from);
	if (mkdir(to, 0700) != 0)
		rc = error_set_errno(err, ERR_INTERNAL, "%s: cannot make the folder", to);
	int to_dir = rc == 0 ? open(to, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC) : -1;
	if (rc == 0 && to_dir < 0)
		rc = error_set_errno(err, ERR_INTERNAL, "%s: cannot open", to);
	if (rc == 0)
		rc = give(&copy, to_dir, "");
	if (rc == 0)
		rc = copy_folder(&copy, from_dir, to_dir, "", false);
	(void)close(from_dir);
	if (to_dir >= 0)
		(void)close(to_dir);
	free(copy.block);
	return rc;
}

/* Goes through a folder, deepest first; `leave` gets each entry after those inside it. */
static int walk(int parent, const char *name, int depth, int (*leave)(int dir, const char *name, bool folder, void *to),
		void *to)
{
	int fd = openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0) {
		if (errno == ENOTDIR || errno == ELOOP)
			return leave(parent, name, false, to);
		return -1;
	}
	DIR *dir = depth < DEPTH_MAX ? fdopendir(fd) : NULL;
	if (!dir) {
		(void)close(fd);
		return -1;
	}
	int rc = 0;
	for (const struct dirent *entry; (entry = readdir(dir));) {
		if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
			continue;
		if (walk(dirfd(dir), entry->d_name, depth + 1, leave, to) != 0 && errno != ENOENT)
			rc = -1;
	}
	int saved = errno;
	(void)closedir(dir);
	errno = saved;
	if (leave(parent, name, true, to) != 0)
		rc = -1;
	return rc;
}

static int leave_removed(int dir, const char *name, bool folder, void *to)
{
	(void)to;
	return unlinkat(dir, name, folder ? AT_REMOVEDIR : 0);
}

struct owner {
	uid_t uid;
	gid_t gid;
};

static int leave_given(int dir, const char *name, bool folder, void *to)
{
	(void)folder;
	const struct owner *owner = to;
	return fchownat(dir, name, owner->uid, owner->gid, AT_SYMLINK_NOFOLLOW);
}

int folder_give(const char *path, uid_t uid, gid_t gid, struct error *err)
{
	struct owner owner = {uid, gid};
	if (walk(AT_FDCWD, path, 0, leave_given, &owner) != 0)
		return error_set_errno(err, ERR_INTERNAL, "%s: cannot give it to user %u", path, (unsigned)uid);
	return 0;
}

int folder_remove(const char *path, struct error *err)
{
	if (walk(AT_FDCWD, path, 0, leave_removed, NULL) != 0 && errno != ENOENT)
		return error_set_errno(err, ERR_INTERNAL, "%s: cannot remove all of it", path);
	return 0;
}

/* Pages that are not on the disk yet would stay: posix_fadvise(2). */
static int leave_dropped(int dir, const char *name, bool folder, void *to)
{
	(void)to;
	int fd = folder ? -1 : openat(dir, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	if (fd < 0)
		return 0;
	int rc = fdatasync(fd) == 0 || errno == EINVAL ? 0 : -1;
	(void)posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
	(void)close(fd);
	return rc;
}

int folder_drop_cache(const char *path, struct error *err)
{
	if (walk(AT_FDCWD, path, 0, leave_dropped, NULL) != 0)
		return error_set_errno(err, ERR_INTERNAL, "%s: cannot empty its cache", path);
	return 0;
}

int folder_clear(int dir_fd, const char *kept, const char *path, struct error *err)
{
	int fd = openat(dir_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *dir = fd >= 0 ? fdopendir(fd) : NULL;
	int rc = dir ? 0 : -1;
	for (const struct dirent *entry; dir && (entry = readdir(dir));) {
		if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0 ||
		    strcmp(entry->d_name, kept) == 0)
			continue;
		if (walk(dir_fd, entry->d_name, 1, leave_removed, NULL) != 0 && errno != ENOENT)
			rc = -1;
	}
	if (rc)
		rc = error_set_errno(err, ERR_INTERNAL, "%s: cannot remove all of it", path);
	if (dir)
		(void)closedir(dir);
	return rc;
}

static int64_t bytes_below(int parent, const char *name, int depth)
{
	bool is_wal = depth == 1 && strcmp(name, "pg_wal") == 0;
	int fd = openat(parent, name, O_RDONLY | O_DIRECTORY | (is_wal || depth == 0 ? 0 : O_NOFOLLOW) | O_CLOEXEC);
	DIR *dir = fd >= 0 && depth < DEPTH_MAX ? fdopendir(fd) : NULL;
	if (!dir) {
		if (fd >= 0)
			(void)close(fd);
		return -1;
	}
	int64_t sum = 0;
	for (const struct dirent *entry; (entry = readdir(dir));) {
		struct stat info;
		if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0 ||
		    fstatat(dirfd(dir), entry->d_name, &info, AT_SYMLINK_NOFOLLOW) != 0)
			continue;
		int64_t below = S_ISDIR(info.st_mode) || S_ISLNK(info.st_mode)
					? bytes_below(dirfd(dir), entry->d_name, depth + 1)
					: 0;
		sum += (int64_t)info.st_blocks * 512 + (below > 0 ? below : 0); /* stat(2): always units of 512 */
	}
	(void)closedir(dir);
	return sum;
}

int64_t folder_disk_bytes(const char *path)
{
	return bytes_below(AT_FDCWD, path, 0);
}
