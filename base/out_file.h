/*
 * Writing a file so that its final name never shows a half-written one: a temporary name in the same folder, and a
 * rename at the end. Mode 0600: what we write holds recorded statements.
 */
#ifndef OUT_FILE_H
#define OUT_FILE_H

#include "error.h"

#include <stddef.h>
#include <stdint.h>

struct out_file;

int out_file_open(const char *path, struct out_file **out, struct error *err);
/* Buffered. A full disk is ERR_INTERNAL and names the file. */
int out_file_write(struct out_file *file, const void *data, size_t len, struct error *err);
/* Bytes written so far: the offset of the next write. */
int64_t out_file_offset(const struct out_file *file);
/* Flushes, syncs, renames and frees; on an error nothing is left and file is freed too. */
int out_file_commit(struct out_file *file, struct error *err);
/* Removes the temporary file and frees; NULL is fine. */
void out_file_abort(struct out_file *file);
/* The whole of a small file in one call. */
int out_file_save(const char *path, const void *data, size_t len, struct error *err);

#endif
