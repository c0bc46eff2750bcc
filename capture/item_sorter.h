/*
 * Items in the order of their times, however many: they are collected in memory up to a limit, sorted, and spilled as a
 * run to a temporary file that has no name any more; in the end all runs are merged. Items of equal time come in the
 * order of their numbers.
 */
#ifndef ITEM_SORTER_H
#define ITEM_SORTER_H

#include "item.h"

#define ITEM_SORTER_MEMORY ((size_t)24 * 1024 * 1024)

/* An item without its body, which stays as it was encoded: what may still change, and what decides its place. */
struct sort_head {
	int64_t time_ns;
	uint64_t number; /* unique, ascending with the order in which items arose */
	int64_t duration_ns;
	uint64_t source_line;
	uint32_t source_file;
	uint32_t session;
	uint32_t sqlstate;
	uint32_t dotted_len; /* pg_parameters: a value that may have been cut, 0 for none */
	uint32_t len;	     /* bytes of the body behind it */
	uint8_t kind;
	uint8_t flags;
	uint16_t reserved; /* 0: no byte of a head is left unset */
};

struct item_sorter;

/* beside: the temporary file is made in this file's folder, once it is needed. */
struct item_sorter *item_sorter_new(const char *beside, size_t memory);
void item_sorter_free(struct item_sorter *sorter);
/* body: item_encode_body()'s, head->len bytes. */
int item_sorter_add(struct item_sorter *sorter, const struct sort_head *head, const void *body, struct error *err);
/* After the last add: the items in order. 1, 0 at the end, or negative. *body is valid until the next call. */
int item_sorter_next(struct item_sorter *sorter, struct sort_head *head, struct span *body, struct error *err);
/* The head as an item, without what its body holds. */
struct item item_sorter_item(const struct sort_head *head);

#endif
