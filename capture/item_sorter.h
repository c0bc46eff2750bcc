/*
 * Items in the order of their times, however many: they are collected in memory up to a limit, sorted, and spilled as a
 * run to a temporary file that has no name any more; in the end all runs are merged. Items of equal time come in the
 * order of their numbers.
 */
#ifndef ITEM_SORTER_H
#define ITEM_SORTER_H

#include "arena.h"
#include "item.h"

#define ITEM_SORTER_MEMORY ((size_t)24 * 1024 * 1024)

/* What of an item may still change after it was encoded, and what decides its place. */
struct sort_head {
	int64_t time_ns;
	uint64_t number; /* unique, ascending with the order in which items arose */
	int64_t duration_ns;
	uint32_t dotted_len; /* pg_parameters: a value that may have been cut, 0 for none */
	uint32_t sqlstate;
	uint32_t len;	   /* bytes of the encoded item behind it */
	uint32_t reserved; /* 0: no byte of a head is left unset */
};

struct item_sorter;

/* beside: the temporary file is made in this file's folder, once it is needed. */
struct item_sorter *item_sorter_new(const char *beside, size_t memory);
void item_sorter_free(struct item_sorter *sorter);
/* bytes: item_encode()'s, head->len of them. */
int item_sorter_add(struct item_sorter *sorter, const struct sort_head *head, const void *bytes, struct error *err);
/*
 * After the last add: the items in order. 1, 0 at the end, or negative. The item's times, duration and sqlstate are the
 * head's; its spans are valid until the next call, its arrays are from the arena, which is the caller's to clear.
 */
int item_sorter_next(struct item_sorter *sorter, struct arena *arena, struct sort_head *head, struct item *item,
		     struct error *err);

#endif
