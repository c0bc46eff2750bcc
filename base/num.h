/*
 * Numbers from text, in one place. All functions take the whole string or nothing: trailing characters, an empty string
 * and overflow are refused. They return 0, or -ERR_USAGE with a message that names what was expected.
 */
#ifndef NUM_H
#define NUM_H

#include "error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

int num_parse_int(const char *text, int64_t min, int64_t max, int64_t *out, struct error *err);
int num_parse_double(const char *text, double min, double max, double *out, struct error *err);
/* "250ms", "1.5s", "2m", "1h", "90" (seconds), "1h30m"; never negative. */
int num_parse_duration(const char *text, int64_t *out_ns, struct error *err);
/* "65536", "128kB", "128MB", "2GB" (powers of 1024, as in postgresql.conf). */
int num_parse_size(const char *text, int64_t *out_bytes, struct error *err);
/* Digits only, for parsers of input: reads at most len bytes, false when there is no digit or on overflow; *used says
   how many bytes were digits. */
bool num_scan_digits(const char *text, size_t len, uint64_t *out, size_t *used);

#endif
