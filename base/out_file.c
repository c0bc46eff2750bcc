/* Writing a file under a temporary name: see out_file.h. */
#include "out_file.h"

#include "mem.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <sys/stat.h>
#include <unistd.h>

#define BUFFER_SIZE ((size_t)256 * 1024)

struct out_file {
	char *path;
	char *temp_path;
	int fd;
	int64_t offset;
	size_t used;
	unsigned char buffer[BUFFER_SIZE];
};

int out_file_open(const char *path, struct out_file **out, struct error *err)
{
	struct stat st;
	if (stat(path, &st) == 0 && S_ISDIR(st.st_mode))
		return error_set(err, ERR_USAGE, "%s: is a folder, not a file", path);
	struct out_file *file = mem_zalloc(1, sizeof(*file));
	file->path = mem_strdup(path);
	file->temp_path = mem_printf("%s.XXXXXX.tmp", path);
	file->fd = mkostemps(file->temp_path, 4, O_CLOEXEC);
	if (file->fd < 0) {
		/* A folder that is not there, or not ours to write to, is the caller's choice; a full disk is not. */
		bool chosen = errno == ENOENT || errno == ENOTDIR || errno == EACCES || errno == EROFS;
		int rc = error_set_errno(err, chosen ? ERR_USAGE : ERR_INTERNAL, "%s: cannot write", path);
		free(file->temp_path);
		free(file->path);
		free(file);
		return rc;
	}
	*out = file;
	return 0;
}

static int write_all(struct out_file *file, const void *data, size_t len, struct error *err)
{
	const unsigned char *p = data;
	while (len > 0) {
		ssize_t done = write(file->fd, p, len);
		if (done < 0 && errno == EINTR)
			continue;
		if (done < 0)
			return error_set_errno(err, ERR_INTERNAL, "%s: cannot write", file->path);
		p += done;
		len -= (size_t)done;
	}
	return 0;
}

static int flush(struct out_file *file, struct error *err)
{
	size_t used = file->used;
	file->used = 0;
	return write_all(file, file->buffer, used, err);
}

int out_file_write(struct out_file *file, const void *data, size_t len, struct error *err)
{
	file->offset += (int64_t)len;
	if (len > BUFFER_SIZE - file->used) {
		int rc = flush(file, err);
		if (rc < 0)
			return rc;
		if (len >= BUFFER_SIZE)
			return write_all(file, data, len, err);
	}
	if (len)
		memcpy(file->buffer + file->used, data, len);
	file->used += len;
	return 0;
}

int64_t out_file_offset(const struct out_file *file)
{
	return file->offset;
}

static void release(struct out_file *file, bool remove)
{
	if (file->fd >= 0)
		(void)close(file->fd);
	if (remove)
		(void)unlink(file->temp_path);
	free(file->temp_path);
	free(file->path);
	free(file);
}

/* The rename itself is durable only once the folder is. */
static void sync_folder(const char *path)
{
	const char *slash = strrchr(path, '/');
	char *folder = slash ? mem_strndup(path, slash == path ? 1 : (size_t)(slash - path)) : mem_strdup(".");
	int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd >= 0) {
		(void)fsync(fd);
		(void)close(fd);
	}
	free(folder);
}

int out_file_commit(struct out_file *file, struct error *err)
{
	int rc = flush(file, err);
	if (rc == 0 && fsync(file->fd) < 0 && errno != EINVAL)
		rc = error_set_errno(err, ERR_INTERNAL, "%s: cannot write", file->path);
	int fd = file->fd;
	file->fd = -1;
	if (close(fd) < 0 && rc == 0)
		rc = error_set_errno(err, ERR_INTERNAL, "%s: cannot write", file->path);
	if (rc == 0 && rename(file->temp_path, file->path) < 0)
		rc = error_set_errno(err, ERR_INTERNAL, "%s: cannot rename into place", file->path);
	if (rc == 0)
		sync_folder(file->path);
	release(file, rc < 0);
	return rc;
}

void out_file_abort(struct out_file *file)
{
	if (file)
		release(file, true);
}

int out_file_save(const char *path, const void *data, size_t len, struct error *err)
{
	struct out_file *file;
	int rc = out_file_open(path, &file, err);
	if (rc < 0)
		return rc;
	rc = out_file_write(file, data, len, err);
	if (rc < 0) {
		out_file_abort(file);
		return rc;
	}
	return out_file_commit(file, err);
}
