/*
 * The statements' texts, each template once. A log of millions of statements has few templates; what would not end
 * (texts built with names in them, lists of every length) is kept out by two ceilings, and such a text then goes into
 * its item whole (REPLAY_TEXT_WHOLE).
 */
#ifndef TEXT_TABLE_H
#define TEXT_TABLE_H

#include "replay_file.h"

#include <stdbool.h>

#define TEXT_TABLE_MAX	     65535U
#define TEXT_TABLE_BYTES_MAX ((size_t)32 * 1024 * 1024)

struct text_table;
struct text_entry;

/* What is known of a text, and its literals; valid until the next look-up. */
struct text_use {
	struct text_entry *entry; /* NULL when the text goes whole */
	bool copy;		  /* pg_statement_is_copy() */
	unsigned parameter_max;	  /* pg_statement_parameter_max() */
	struct span text;
	const struct span *literals;
	uint32_t literal_count;
};

struct text_table *text_table_new(struct replay_writer *writer);
void text_table_free(struct text_table *table);
void text_table_look_up(struct text_table *table, struct span text, struct text_use *out);
/* The row that an item names; the text is added to the replay file when it is its first. */
uint32_t text_table_row(struct text_table *table, const struct text_use *use);

#endif
