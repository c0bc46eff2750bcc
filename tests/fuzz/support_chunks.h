/*
 * Any bytes as a file of chunks (chunk_file.h). A first byte of 0: the rest is the file, which checksums mostly refuse.
 * Else the rest is a list of chunks (type, count, first, length, bytes) that are put into a sound container, so that
 * what reads their content sees anything.
 */
#ifndef SUPPORT_CHUNKS_H
#define SUPPORT_CHUNKS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct fuzz_chunks {
	const char *path; /* in the working folder */
	const char *kind;
	uint32_t version;
	const char *types[10];
	size_t type_count;
	const char *counted; /* chunks of this type number their entries through the file */
};

/* size at least 1. */
void fuzz_chunks_write(const struct fuzz_chunks *chunks, const uint8_t *data, size_t size);
void fuzz_check(bool right);

#endif
