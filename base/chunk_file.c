/* The container that the project's own files share: see chunk_file.h. */
#include "chunk_file.h"

#include "byte_code.h"
#include "mem.h"
#include "out_file.h"
#include "work_ring.h"

#include <errno.h>
#include <fcntl.h>
#include <libdeflate.h>
#include <sys/stat.h>
#include <unistd.h>
#include <xxhash.h>

#define HEADER_SIZE  16
#define CHUNK_HEAD   32 /* with the checksum */
#define TRAILER_SIZE 32
#define FOOTER_ROW   24

static const char file_magic[4] = {'R', 'H', 'R', 'S'};
static const char chunk_magic[4] = {'C', 'H', 'N', 'K'};
static const char footer_type[4] = {'F', 'O', 'O', 'T'};
static const char trailer_magic[8] = {'R', 'H', 'R', 'S', 'E', 'N', 'D', '\n'};

/* Level 1 of libdeflate: three times as fast as zlib's level 1, and no larger (docs/decisions/0003-libdeflate.md). */
#define DEFLATE_LEVEL 1

/* A chunk on its way: its bytes, and what becomes of them. */
struct packing {
	char type[4];
	uint32_t count;
	bool footer;
	size_t info; /* index of its row, unless it is the footer */
	unsigned char *raw;
	size_t raw_capacity;
	size_t raw_len;
	unsigned char *packed; /* with the chunk's head in front */
	size_t packed_capacity;
	size_t packed_len; /* 0: out of memory, or something else that libdeflate does not say */
};

#define PACKINGS_MAX ((size_t)WORK_RING_THREADS_MAX + 2)

struct chunk_writer {
	struct out_file *file;
	struct chunk_info *chunks;
	size_t count;
	size_t capacity;
	struct libdeflate_compressor *compressors[WORK_RING_THREADS_MAX];
	struct packing packings[PACKINGS_MAX];
	void *slots[PACKINGS_MAX];
	struct work_ring *ring; /* NULL: whoever adds a chunk packs it */
};

static void writer_free(struct chunk_writer *writer)
{
	work_ring_free(writer->ring);
	for (size_t i = 0; i < WORK_RING_THREADS_MAX; i++)
		libdeflate_free_compressor(writer->compressors[i]);
	for (size_t i = 0; i < PACKINGS_MAX; i++) {
		free(writer->packings[i].raw);
		free(writer->packings[i].packed);
	}
	free(writer->chunks);
	free(writer);
}

int chunk_writer_open(const char *path, const char kind[4], uint32_t version, struct chunk_writer **out,
		      struct error *err)
{
	struct chunk_writer *writer = mem_zalloc(1, sizeof(*writer));
	int rc = out_file_open(path, &writer->file, err);
	if (rc < 0) {
		writer_free(writer);
		return rc;
	}
	struct strbuf head;
	strbuf_init(&head, HEADER_SIZE);
	strbuf_add(&head, file_magic, 4);
	strbuf_add(&head, kind, 4);
	byte_put_u32(&head, version);
	byte_put_u32(&head, 0);
	rc = out_file_write(writer->file, head.data, head.len, err);
	strbuf_release(&head);
	if (rc < 0) {
		chunk_writer_abort(writer);
		return rc;
	}
	*out = writer;
	return 0;
}

/* The checksum covers the chunk's head too, so that a flipped length or type is found. */
static uint64_t chunk_checksum(const void *head, const void *stored, size_t len)
{
	return XXH3_64bits_withSeed(stored, len, XXH3_64bits(head, CHUNK_HEAD - 8));
}

/* Head and deflated bytes into packing->packed. In any thread; each has a compressor of its own. */
static void pack(void *context, unsigned thread, void *slot)
{
	struct chunk_writer *writer = context;
	struct packing *packing = slot;
	packing->packed_len = 0;
	if (!writer->compressors[thread])
		writer->compressors[thread] = libdeflate_alloc_compressor(DEFLATE_LEVEL);
	struct libdeflate_compressor *compressor = writer->compressors[thread];
	if (!compressor)
		return;
	size_t need = CHUNK_HEAD + libdeflate_zlib_compress_bound(compressor, packing->raw_len);
	if (need > packing->packed_capacity) {
		packing->packed = mem_realloc(packing->packed, need, 1);
		packing->packed_capacity = need;
	}
	size_t len = libdeflate_zlib_compress(compressor, packing->raw, packing->raw_len, packing->packed + CHUNK_HEAD,
					      packing->packed_capacity - CHUNK_HEAD);
	if (len == 0)
		return;
	struct strbuf head;
	strbuf_init(&head, CHUNK_HEAD);
	strbuf_add(&head, chunk_magic, 4);
	strbuf_add(&head, packing->type, 4);
	byte_put_u32(&head, (uint32_t)packing->raw_len);
	byte_put_u32(&head, (uint32_t)len);
	byte_put_u32(&head, packing->count);
	byte_put_u32(&head, 0);
	byte_put_u64(&head, chunk_checksum(head.data, packing->packed + CHUNK_HEAD, len));
	memcpy(packing->packed, head.data, CHUNK_HEAD);
	strbuf_release(&head);
	packing->packed_len = CHUNK_HEAD + len;
}

static int write_packed(struct chunk_writer *writer, const struct packing *packing, struct error *err)
{
	if (packing->packed_len == 0)
		return error_set(err, ERR_INTERNAL, "a chunk could not be deflated");
	if (!packing->footer)
		writer->chunks[packing->info].offset = (uint64_t)out_file_offset(writer->file);
	return out_file_write(writer->file, packing->packed, packing->packed_len, err);
}

/* Writes the oldest chunk under way. */
static int write_oldest(struct chunk_writer *writer, struct error *err)
{
	const struct packing *packing = work_ring_take(writer->ring);
	int rc = packing ? write_packed(writer, packing, err) : error_set(err, ERR_INTERNAL, "a chunk was lost");
	work_ring_release(writer->ring);
	return rc;
}

void chunk_writer_use_threads(struct chunk_writer *writer, unsigned threads)
{
	if (writer->ring || threads == 0)
		return;
	if (threads > WORK_RING_THREADS_MAX)
		threads = WORK_RING_THREADS_MAX;
	for (size_t i = 0; i < PACKINGS_MAX; i++)
		writer->slots[i] = &writer->packings[i];
	writer->ring = work_ring_new(threads, writer->slots, (size_t)threads + 2, pack, writer);
}

static int write_chunk(struct chunk_writer *writer, const char type[4], uint32_t count, const void *data, size_t len,
		       bool footer, struct error *err)
{
	if (len > CHUNK_RAW_MAX)
		return error_set(err, ERR_INTERNAL, "a chunk of %zu bytes is over the limit", len);
	struct packing *packing = &writer->packings[0];
	if (writer->ring) {
		int rc = work_ring_is_full(writer->ring) ? write_oldest(writer, err) : 0;
		if (rc < 0)
			return rc;
		packing = work_ring_claim(writer->ring);
	}
	if (len > packing->raw_capacity) {
		packing->raw = mem_realloc(packing->raw, len, 1);
		packing->raw_capacity = len;
	}
	if (len)
		memcpy(packing->raw, data, len);
	packing->raw_len = len;
	memcpy(packing->type, type, 4);
	packing->count = count;
	packing->footer = footer;
	packing->info = footer ? 0 : writer->count - 1;
	if (writer->ring) {
		work_ring_submit(writer->ring);
		return 0;
	}
	pack(writer, 0, packing);
	return write_packed(writer, packing, err);
}

/* Writes what is under way. From then on the caller packs for itself. */
static int finish_threads(struct chunk_writer *writer, struct error *err)
{
	if (!writer->ring)
		return 0;
	int rc = 0;
	work_ring_end(writer->ring);
	for (const struct packing *packing; rc == 0 && (packing = work_ring_take(writer->ring));) {
		rc = write_packed(writer, packing, err);
		work_ring_release(writer->ring);
	}
	work_ring_free(writer->ring);
	writer->ring = NULL;
	return rc;
}

int chunk_writer_add(struct chunk_writer *writer, const char type[4], uint32_t count, uint64_t first, const void *data,
		     size_t len, struct error *err)
{
	MEM_GROW(writer->chunks, writer->count, writer->capacity);
	struct chunk_info *info = &writer->chunks[writer->count++];
	info->offset = 0; /* known once it is written */
	memcpy(info->type, type, 4);
	info->count = count;
	info->first = first;
	return write_chunk(writer, type, count, data, len, false, err);
}

static int write_end(struct chunk_writer *writer, struct error *err)
{
	struct strbuf buf;
	int rc = finish_threads(writer, err);
	if (rc < 0)
		return rc;
	strbuf_init(&buf, CHUNK_RAW_MAX);
	for (size_t i = 0; i < writer->count; i++) {
		const struct chunk_info *info = &writer->chunks[i];
		byte_put_u64(&buf, info->offset);
		strbuf_add(&buf, info->type, 4);
		byte_put_u32(&buf, info->count);
		byte_put_u64(&buf, info->first);
	}
	uint64_t offset = (uint64_t)out_file_offset(writer->file);
	rc = buf.overflow ? error_set(err, ERR_INTERNAL, "too many chunks")
			  : write_chunk(writer, footer_type, (uint32_t)writer->count, buf.data, buf.len, true, err);
	if (rc == 0) {
		strbuf_clear(&buf);
		byte_put_u64(&buf, offset);
		byte_put_u64(&buf, writer->count);
		byte_put_u64(&buf, XXH3_64bits(buf.data, 16));
		strbuf_add(&buf, trailer_magic, 8);
		rc = out_file_write(writer->file, buf.data, buf.len, err);
	}
	strbuf_release(&buf);
	return rc;
}

int chunk_writer_commit(struct chunk_writer *writer, struct error *err)
{
	int rc = write_end(writer, err);
	if (rc < 0)
		out_file_abort(writer->file);
	else
		rc = out_file_commit(writer->file, err);
	writer_free(writer);
	return rc;
}

void chunk_writer_abort(struct chunk_writer *writer)
{
	if (!writer)
		return;
	out_file_abort(writer->file);
	writer_free(writer);
}

int chunk_writer_end(struct chunk_writer *writer, int rc, struct error *err)
{
	if (rc == 0)
		return chunk_writer_commit(writer, err);
	chunk_writer_abort(writer);
	return rc;
}

struct chunk_reader {
	char *path;
	int fd;
	uint64_t size;
	struct chunk_info *chunks;
	size_t count;
};

static int damaged(const struct chunk_reader *reader, uint64_t offset, struct error *err, const char *what)
{
	return error_set(err, ERR_DATA, "%s: damaged at offset %llu: %s", reader->path, (unsigned long long)offset,
			 what);
}

static int read_at(const struct chunk_reader *reader, uint64_t offset, void *out, size_t len, struct error *err)
{
	unsigned char *p = out;
	while (len > 0) {
		ssize_t got = pread(reader->fd, p, len, (off_t)offset);
		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return error_set_errno(err, ERR_DATA, "%s: cannot read", reader->path);
		if (got == 0)
			return damaged(reader, offset, err, "the file ends here");
		p += got;
		offset += (uint64_t)got;
		len -= (size_t)got;
	}
	return 0;
}

/* Reads, checks and inflates the chunk at offset. want_type names the type it must have. */
static int read_chunk_at(const struct chunk_reader *reader, uint64_t offset, const char want_type[4],
			 unsigned char **data, size_t *capacity, size_t *len, struct error *err)
{
	unsigned char head[CHUNK_HEAD];
	int rc = read_at(reader, offset, head, sizeof(head), err);
	if (rc < 0)
		return rc;
	struct byte_reader r;
	byte_reader_init(&r, head + 8, CHUNK_HEAD - 8);
	uint32_t raw_len = byte_get_u32(&r);
	uint32_t stored_len = byte_get_u32(&r);
	(void)byte_get_u64(&r);
	uint64_t checksum = byte_get_u64(&r);
	if (memcmp(head, chunk_magic, 4) != 0 || memcmp(head + 4, want_type, 4) != 0)
		return damaged(reader, offset, err, "no chunk of that type begins here");
	if (raw_len > CHUNK_RAW_MAX || stored_len > reader->size - offset)
		return damaged(reader, offset, err, "the chunk's length is impossible");
	unsigned char *stored = mem_alloc(stored_len);
	rc = read_at(reader, offset + CHUNK_HEAD, stored, stored_len, err);
	if (rc == 0 && chunk_checksum(head, stored, stored_len) != checksum)
		rc = damaged(reader, offset, err, "the chunk's checksum differs");
	if (rc == 0) {
		if (*capacity < raw_len || !*data) {
			*data = mem_realloc(*data, raw_len ? raw_len : 1, 1);
			*capacity = raw_len;
		}
		struct libdeflate_decompressor *inflater = libdeflate_alloc_decompressor();
		enum libdeflate_result result =
			inflater ? libdeflate_zlib_decompress(inflater, stored, stored_len, *data, raw_len, NULL)
				 : LIBDEFLATE_INSUFFICIENT_SPACE;
		libdeflate_free_decompressor(inflater);
		if (result != LIBDEFLATE_SUCCESS)
			rc = damaged(reader, offset, err, "the chunk does not inflate");
		*len = raw_len;
	}
	free(stored);
	return rc;
}

static int read_footer(struct chunk_reader *reader, struct error *err)
{
	unsigned char trailer[TRAILER_SIZE];
	uint64_t at = reader->size - TRAILER_SIZE;
	int rc = read_at(reader, at, trailer, sizeof(trailer), err);
	if (rc < 0)
		return rc;
	struct byte_reader r;
	byte_reader_init(&r, trailer, sizeof(trailer));
	uint64_t footer = byte_get_u64(&r);
	uint64_t count = byte_get_u64(&r);
	if (memcmp(trailer + 24, trailer_magic, 8) != 0)
		return damaged(reader, at, err, "the file's end is missing; it was cut or never finished");
	if (byte_get_u64(&r) != XXH3_64bits(trailer, 16) || footer < HEADER_SIZE || footer > at)
		return damaged(reader, at, err, "the trailer's checksum differs");
	unsigned char *data = NULL;
	size_t capacity = 0;
	size_t len = 0;
	rc = read_chunk_at(reader, footer, footer_type, &data, &capacity, &len, err);
	if (rc == 0 && (len % FOOTER_ROW != 0 || len / FOOTER_ROW != count))
		rc = damaged(reader, footer, err, "the footer's length is impossible");
	if (rc == 0) {
		reader->count = (size_t)count;
		reader->chunks = mem_zalloc(reader->count, sizeof(*reader->chunks));
		byte_reader_init(&r, data, len);
		for (size_t i = 0; i < reader->count; i++) {
			struct chunk_info *info = &reader->chunks[i];
			info->offset = byte_get_u64(&r);
			byte_get_fixed(&r, info->type, 4);
			info->count = byte_get_u32(&r);
			info->first = byte_get_u64(&r);
			if (info->offset < HEADER_SIZE || info->offset >= footer)
				rc = damaged(reader, footer, err, "the footer points outside the file");
		}
	}
	free(data);
	return rc;
}

static int check_header(struct chunk_reader *reader, const char kind[4], uint32_t version, struct error *err)
{
	unsigned char head[HEADER_SIZE];
	if (reader->size < HEADER_SIZE + TRAILER_SIZE)
		return damaged(reader, reader->size, err, "too short to be one of Rehearse's files");
	int rc = read_at(reader, 0, head, sizeof(head), err);
	if (rc < 0)
		return rc;
	if (memcmp(head, file_magic, 4) != 0)
		return damaged(reader, 0, err, "not one of Rehearse's files");
	if (memcmp(head + 4, kind, 4) != 0)
		return error_set(err, ERR_DATA, "%s: is of kind %.4s at offset 4, %.4s expected", reader->path,
				 (const char *)head + 4, kind);
	struct byte_reader r;
	byte_reader_init(&r, head + 8, 4);
	uint32_t found = byte_get_u32(&r);
	if (found != version)
		return error_set(err, ERR_DATA, "%s: has format version %u at offset 8, this program reads %u",
				 reader->path, found, version);
	return 0;
}

int chunk_reader_open(const char *path, const char kind[4], uint32_t version, struct chunk_reader **out,
		      struct error *err)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return error_set_errno(err, ERR_DATA, "%s: cannot open", path);
	struct stat st;
	if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode)) {
		(void)close(fd);
		return error_set(err, ERR_DATA, "%s: is not a regular file", path);
	}
	struct chunk_reader *reader = mem_zalloc(1, sizeof(*reader));
	reader->path = mem_strdup(path);
	reader->fd = fd;
	reader->size = (uint64_t)st.st_size;
	int rc = check_header(reader, kind, version, err);
	if (rc == 0)
		rc = read_footer(reader, err);
	if (rc < 0) {
		chunk_reader_free(reader);
		return rc;
	}
	*out = reader;
	return 0;
}

size_t chunk_reader_count(const struct chunk_reader *reader)
{
	return reader->count;
}

const struct chunk_info *chunk_reader_info(const struct chunk_reader *reader, size_t index)
{
	return &reader->chunks[index];
}

int chunk_reader_read(struct chunk_reader *reader, size_t index, unsigned char **data, size_t *capacity, size_t *len,
		      struct error *err)
{
	const struct chunk_info *info = &reader->chunks[index];
	return read_chunk_at(reader, info->offset, info->type, data, capacity, len, err);
}

const char *chunk_reader_path(const struct chunk_reader *reader)
{
	return reader->path;
}

int64_t chunk_reader_size_bytes(const struct chunk_reader *reader)
{
	return (int64_t)reader->size;
}

void chunk_reader_free(struct chunk_reader *reader)
{
	if (!reader)
		return;
	(void)close(reader->fd);
	free(reader->chunks);
	free(reader->path);
	free(reader);
}
