/*
 * The container that the project's own files share (docs/formats.md): a header, compressed chunks that each carry a
 * checksum, and a footer that lists them. A file that was cut, changed or never finished is refused with the offset at
 * which it went wrong.
 *
 *   header   magic "RHRS", kind (4 bytes), version u32, reserved u32
 *   chunk    "CHNK", type (4 bytes), raw length u32, stored length u32, count u32, reserved u32, XXH3 of the above and
 * of the stored bytes u64, then the stored bytes (zlib) footer   a chunk of type "FOOT": for each chunk offset u64,
 * type, count u32, first u64 (a number of the caller's) trailer  offset of the footer u64, number of chunks u64, XXH3
 * of these 16 bytes u64, "RHRSEND\n"
 *
 * All integers little-endian.
 */
#ifndef CHUNK_FILE_H
#define CHUNK_FILE_H

#include "error.h"

#include <stddef.h>
#include <stdint.h>

#define CHUNK_RAW_MAX ((size_t)64 * 1024 * 1024)

struct chunk_info {
	uint64_t offset;
	char type[4];
	uint32_t count; /* how many things the chunk holds, as the writer said */
	uint64_t first; /* e.g. the first ordinal in it */
};

struct chunk_writer;
struct chunk_reader;

/* kind names the format in four characters ("RPLY"), version its revision. Temporary name until commit. */
int chunk_writer_open(const char *path, const char kind[4], uint32_t version, struct chunk_writer **out,
		      struct error *err);
/* Packs chunks in threads of its own from then on; they are written in the order in which they were added. */
void chunk_writer_use_threads(struct chunk_writer *writer, unsigned threads);
int chunk_writer_add(struct chunk_writer *writer, const char type[4], uint32_t count, uint64_t first, const void *data,
		     size_t len, struct error *err);
/* Writes the footer, syncs and renames; frees the writer whatever the result. */
int chunk_writer_commit(struct chunk_writer *writer, struct error *err);
void chunk_writer_abort(struct chunk_writer *writer);
/* Commits when rc, the result of writing everything, is 0, and aborts otherwise; returns the first failure. */
int chunk_writer_end(struct chunk_writer *writer, int rc, struct error *err);

/* Checks header, trailer and footer. ERR_DATA with the offset when anything is off. */
int chunk_reader_open(const char *path, const char kind[4], uint32_t version, struct chunk_reader **out,
		      struct error *err);
size_t chunk_reader_count(const struct chunk_reader *reader);
const struct chunk_info *chunk_reader_info(const struct chunk_reader *reader, size_t index);
/*
 * Reads and checks chunk `index` into *data (of *len bytes), which is grown with realloc as needed (*capacity) and
 * stays the caller's. Safe from several threads, each with its own buffer.
 */
int chunk_reader_read(struct chunk_reader *reader, size_t index, unsigned char **data, size_t *capacity, size_t *len,
		      struct error *err);
const char *chunk_reader_path(const struct chunk_reader *reader);
int64_t chunk_reader_size_bytes(const struct chunk_reader *reader);
void chunk_reader_free(struct chunk_reader *reader);

#endif
