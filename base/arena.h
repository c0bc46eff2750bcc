/*
 * Memory that is freed all at once: one arena per batch of items, so that nothing is allocated or freed per item.
 * Memory is aligned to 16 bytes and not zeroed.
 */
#ifndef ARENA_H
#define ARENA_H

#include <stddef.h>

struct arena_block;

struct arena {
	struct arena_block *head;
	size_t used;	   /* bytes used in head */
	size_t total;	   /* bytes handed out since the last clear */
	size_t block_size; /* usual size of a block */
};

void arena_init(struct arena *arena, size_t block_size);
void arena_release(struct arena *arena);
/* Takes everything back; the largest block is kept for the next round. */
void arena_clear(struct arena *arena);
void *arena_alloc(struct arena *arena, size_t size) __attribute__((returns_nonnull));
/* A copy of len bytes with a NUL behind it. */
char *arena_copy(struct arena *arena, const void *data, size_t len) __attribute__((returns_nonnull));

#endif
