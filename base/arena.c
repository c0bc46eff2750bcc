/* Memory that is freed all at once: see arena.h. */
#include "arena.h"

#include "mem.h"

struct arena_block {
	struct arena_block *next;
	size_t size;
	_Alignas(16) unsigned char data[];
};

void arena_init(struct arena *arena, size_t block_size)
{
	memset(arena, 0, sizeof(*arena));
	arena->block_size = block_size;
}

void arena_release(struct arena *arena)
{
	while (arena->head) {
		struct arena_block *next = arena->head->next;
		free(arena->head);
		arena->head = next;
	}
	arena->used = 0;
	arena->total = 0;
}

void arena_clear(struct arena *arena)
{
	struct arena_block *keep = NULL;
	while (arena->head) {
		struct arena_block *block = arena->head;
		arena->head = block->next;
		if (!keep || block->size > keep->size) {
			free(keep);
			keep = block;
		} else {
			free(block);
		}
	}
	if (keep)
		keep->next = NULL;
	arena->head = keep;
	arena->used = 0;
	arena->total = 0;
}

void *arena_alloc(struct arena *arena, size_t size)
{
	size = (size + 15) & ~(size_t)15;
	if (!arena->head || arena->head->size - arena->used < size) {
		size_t block_size = size > arena->block_size ? size : arena->block_size;
		struct arena_block *block = mem_alloc(sizeof(*block) + block_size);
		block->size = block_size;
		block->next = arena->head;
		arena->head = block;
		arena->used = 0;
	}
	void *got = arena->head->data + arena->used;
	arena->used += size;
	arena->total += size;
	return got;
}

char *arena_copy(struct arena *arena, const void *data, size_t len)
{
	char *copy = arena_alloc(arena, len + 1);
	if (len)
		memcpy(copy, data, len);
	copy[len] = '\0';
	return copy;
}
