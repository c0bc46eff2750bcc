/*
 * Reading a file from its beginning to its end, plain or gzip (told apart by the magic bytes, never by the name;
 * several gzip members in a row are one stream). "-" is standard input.
 */
#ifndef IN_FILE_H
#define IN_FILE_H

#include "error.h"

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct in_file;

/* ERR_DATA when there is no such file, when it is a folder, or when it cannot be read. */
int in_file_open(const char *path, struct in_file **out, struct error *err);
/* Up to size bytes into buf; 0 at the end, negative on an error (a damaged or cut gzip stream is ERR_DATA). */
ssize_t in_file_read(struct in_file *file, void *buf, size_t size, struct error *err);
/* Bytes taken from the file itself (compressed, if it is), and its size or -1 when that is not known. For progress. */
int64_t in_file_consumed_bytes(const struct in_file *file);
int64_t in_file_size_bytes(const struct in_file *file);
const char *in_file_path(const struct in_file *file);
void in_file_free(struct in_file *file);

#endif
