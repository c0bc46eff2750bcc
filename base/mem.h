/*
 * Memory that is there or the program ends: allocation of small, bounded things has no useful recovery in a
 * command-line tool, so a failed one says so and exits with 70. Sizes that come from input are bounded by their parser
 * before they get here. Everything is freed with free().
 */
#ifndef MEM_H
#define MEM_H

#include <stddef.h>

void *mem_alloc(size_t size) __attribute__((malloc, returns_nonnull));
/* count * size bytes, zeroed; the product is checked. */
void *mem_zalloc(size_t count, size_t size) __attribute__((malloc, returns_nonnull));
/* count * size bytes; the product is checked. */
void *mem_realloc(void *old, size_t count, size_t size) __attribute__((returns_nonnull));
char *mem_strdup(const char *text) __attribute__((malloc, returns_nonnull));
char *mem_strndup(const char *text, size_t len) __attribute__((malloc, returns_nonnull));
char *mem_printf(const char *format, ...) __attribute__((format(printf, 1, 2), malloc, returns_nonnull));

/* Makes room for one more element in a growing array: items, its used count and its capacity (both size_t). */
#define MEM_GROW(items, used, capacity)                                               \
	do {                                                                          \
		if ((used) == (capacity)) {                                           \
			(capacity) = (capacity) ? (capacity)*2 : 16;                  \
			(items) = mem_realloc((items), (capacity), sizeof(*(items))); \
		}                                                                     \
	} while (0)

#endif
