/* Reading a plain or gzip file from its beginning to its end: see in_file.h. */
#include "in_file.h"

#include "mem.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

#define RAW_SIZE ((size_t)256 * 1024)

struct in_file {
	char *path;
	int fd;
	int64_t size;
	int64_t consumed;
	bool gzip;
	bool raw_ended;	  /* read() said end of file */
	bool member_done; /* between two gzip members */
	z_stream inflater;
	size_t raw_pos;
	size_t raw_len;
	unsigned char raw[RAW_SIZE];
};

static int fill_raw(struct in_file *file, struct error *err)
{
	while (!file->raw_ended) {
		ssize_t got = read(file->fd, file->raw, RAW_SIZE);
		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return error_set_errno(err, ERR_DATA, "%s: cannot read", file->path);
		file->raw_pos = 0;
		file->raw_len = (size_t)got;
		file->raw_ended = got == 0;
		return 0;
	}
	return 0;
}

/* A first short read from a pipe may hold a single byte of the magic. */
static int fill_first(struct in_file *file, struct error *err)
{
	size_t len = 0;
	while (len < 2) {
		ssize_t got = read(file->fd, file->raw + len, RAW_SIZE - len);
		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return error_set_errno(err, ERR_DATA, "%s: cannot read", file->path);
		if (got == 0)
			break;
		len += (size_t)got;
	}
	file->raw_len = len;
	return 0;
}

int in_file_open(const char *path, struct in_file **out, struct error *err)
{
	bool is_stdin = strcmp(path, "-") == 0;
	int fd = is_stdin ? dup(STDIN_FILENO) : open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return error_set_errno(err, ERR_DATA, "%s: cannot open", path);
	struct stat st;
	if (fstat(fd, &st) == 0 && S_ISDIR(st.st_mode)) {
		(void)close(fd);
		return error_set(err, ERR_DATA, "%s: is a folder, not a file", path);
	}
	struct in_file *file = mem_zalloc(1, sizeof(*file));
	file->path = mem_strdup(is_stdin ? "standard input" : path);
	file->fd = fd;
	file->size = S_ISREG(st.st_mode) ? (int64_t)st.st_size : -1;
	(void)posix_fadvise(fd, 0, 0, POSIX_FADV_SEQUENTIAL);
	int rc = fill_first(file, err);
	if (rc == 0 && file->raw_len >= 2 && file->raw[0] == 0x1f && file->raw[1] == 0x8b) {
		file->gzip = true;
		if (inflateInit2(&file->inflater, 15 + 16) != Z_OK) {
			file->gzip = false;
			rc = error_set(err, ERR_INTERNAL, "%s: zlib did not start", path);
		}
	}
	if (rc < 0) {
		in_file_free(file);
		return rc;
	}
	*out = file;
	return 0;
}

/* Past the buffer: what is read in large pieces need not be copied. */
static ssize_t read_directly(struct in_file *file, void *buf, size_t size, struct error *err)
{
	ssize_t got = 0;
	while (!file->raw_ended) {
		got = read(file->fd, buf, size);
		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return error_set_errno(err, ERR_DATA, "%s: cannot read", file->path);
		file->raw_ended = got == 0;
		break;
	}
	file->consumed += got;
	return got;
}

static ssize_t read_plain(struct in_file *file, void *buf, size_t size, struct error *err)
{
	if (file->raw_pos == file->raw_len && size >= RAW_SIZE / 4)
		return read_directly(file, buf, size, err);
	if (file->raw_pos == file->raw_len) {
		int rc = fill_raw(file, err);
		if (rc < 0)
			return rc;
		if (file->raw_ended)
			return 0;
	}
	size_t n = file->raw_len - file->raw_pos;
	if (n > size)
		n = size;
	memcpy(buf, file->raw + file->raw_pos, n);
	file->raw_pos += n;
	file->consumed += (int64_t)n;
	return (ssize_t)n;
}

static ssize_t read_gzip(struct in_file *file, void *buf, size_t size, struct error *err)
{
	z_stream *z = &file->inflater;
	z->next_out = buf;
	z->avail_out = size > UINT32_MAX ? UINT32_MAX : (uInt)size;
	uInt room = z->avail_out;
	while (z->avail_out == room) {
		if (file->raw_pos == file->raw_len && !file->raw_ended) {
			int rc = fill_raw(file, err);
			if (rc < 0)
				return rc;
		}
		if (file->raw_ended) {
			if (file->member_done)
				return 0;
			return error_set(err, ERR_DATA, "%s: the gzip stream is cut off after %lld bytes", file->path,
					 (long long)file->consumed);
		}
		if (file->member_done) {
			/* What follows a member is another one, or padding that gzip ignores too. */
			if (file->raw[file->raw_pos] != 0x1f)
				return 0;
			(void)inflateReset(z);
			file->member_done = false;
		}
		z->next_in = file->raw + file->raw_pos;
		z->avail_in = (uInt)(file->raw_len - file->raw_pos);
		uInt before = z->avail_in;
		int rc = inflate(z, Z_NO_FLUSH);
		file->raw_pos += before - z->avail_in;
		file->consumed += before - z->avail_in;
		if (rc == Z_STREAM_END)
			file->member_done = true;
		else if (rc != Z_OK && rc != Z_BUF_ERROR)
			return error_set(err, ERR_DATA, "%s: the gzip stream is damaged near byte %lld", file->path,
					 (long long)file->consumed);
	}
	return (ssize_t)(room - z->avail_out);
}

ssize_t in_file_read(struct in_file *file, void *buf, size_t size, struct error *err)
{
	if (size == 0)
		return 0;
	return file->gzip ? read_gzip(file, buf, size, err) : read_plain(file, buf, size, err);
}

int64_t in_file_consumed_bytes(const struct in_file *file)
{
	return file->consumed;
}

int64_t in_file_size_bytes(const struct in_file *file)
{
	return file->size;
}

const char *in_file_path(const struct in_file *file)
{
	return file->path;
}

void in_file_free(struct in_file *file)
{
	if (!file)
		return;
	if (file->gzip)
		(void)inflateEnd(&file->inflater);
	(void)close(file->fd);
	free(file->path);
	free(file);
}
