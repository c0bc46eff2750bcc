/* Any bytes as a file of chunks: see support_chunks.h. */
#include "support_chunks.h"

#include "chunk_file.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define HEADER_LEN 7
#define COUNT_MAX  4096

void fuzz_check(bool right)
{
	if (!right)
		abort();
}

static void write_raw(const char *path, const uint8_t *data, size_t size)
{
	FILE *file = fopen(path, "w");
	fuzz_check(file && fwrite(data, 1, size, file) == size && fclose(file) == 0);
}

static void write_chunks(const struct fuzz_chunks *chunks, const uint8_t *data, size_t size)
{
	struct error err = ERROR_INIT;
	struct chunk_writer *writer;
	fuzz_check(chunk_writer_open(chunks->path, chunks->kind, chunks->version, &writer, &err) == 0);
	uint64_t entries = 0;
	while (size >= HEADER_LEN) {
		const char *type = chunks->types[data[0] % chunks->type_count];
		uint32_t count = (uint32_t)(data[1] | data[2] << 8) % COUNT_MAX;
		uint64_t first = data[3];
		size_t len = (size_t)(data[4] | data[5] << 8 | data[6] << 16);
		data += HEADER_LEN;
		size -= HEADER_LEN;
		len = len < size ? len : size;
		if (strcmp(type, chunks->counted) == 0) {
			first += entries;
			entries += count;
		}
		fuzz_check(chunk_writer_add(writer, type, count, first, data, len, &err) == 0);
		data += len;
		size -= len;
	}
	fuzz_check(chunk_writer_commit(writer, &err) == 0);
}

void fuzz_chunks_write(const struct fuzz_chunks *chunks, const uint8_t *data, size_t size)
{
	if (data[0] == 0)
		write_raw(chunks->path, data + 1, size - 1);
	else
		write_chunks(chunks, data + 1, size - 1);
}
