/*
 * The statements' texts, each template once. A log of millions of statements has few templates; what would not end
 * (texts built with names in them, lists of every length) is kept out by two ceilings, and such a text then goes into
 * its item whole (REPLAY_TEXT_WHOLE).
 *
 * Taking a text apart is most of the work and needs no table: splitters do that in any thread, each with a table of its
 * own, and the one text table then has only to know their entries.
 */
#ifndef TEXT_TABLE_H
#define TEXT_TABLE_H

#include "replay_file.h"

#include <stdbool.h>

#define TEXT_TABLE_MAX	     65535U
#define TEXT_TABLE_BYTES_MAX ((size_t)32 * 1024 * 1024)

struct text_table;
struct text_entry;
struct text_splitter;
struct text_shape;

/* A text taken apart. Valid as long as the text, the literals and the arena that were given. */
struct text_split {
	struct span text;
	uint64_t text_hash;	  /* XXH3 of the text */
	struct text_shape *shape; /* NULL when it has no template: it goes whole */
	const struct span *literals;
	uint32_t literal_count;
};

/* Literals of many texts, one behind the other. */
struct text_literals {
	struct span *items;
	size_t count;
	size_t capacity;
};

struct text_splitter *text_splitter_new(void);
/* What it split must not be looked up any more. */
void text_splitter_free(struct text_splitter *splitter);
/*
 * Takes the text apart. Literals are appended to *literals, which may move them: split->literals is left for the caller
 * to set. Shapes that the splitter has no room for are made in the arena.
 */
void text_splitter_split(struct text_splitter *splitter, struct span text, struct text_literals *literals,
			 struct arena *arena, struct text_split *split);

/* What is known of a text, and its literals; valid until the next look-up. */
struct text_use {
	struct text_entry *entry; /* NULL when the text goes whole */
	bool copy;		  /* pg_statement_is_copy() */
	unsigned parameter_max;	  /* pg_statement_parameter_max() */
	struct span text;
	uint64_t text_hash; /* XXH3 */
	const struct span *literals;
	uint32_t literal_count;
};

struct text_table *text_table_new(struct replay_writer *writer);
void text_table_free(struct text_table *table);
/* The next look-up of this very text (the same bytes at the same place) finds it taken apart. NULL for none. */
void text_table_offer(struct text_table *table, const struct text_split *split);
void text_table_look_up(struct text_table *table, struct span text, struct text_use *out);
/* The row that an item names; the text is added to the replay file when it is its first. */
uint32_t text_table_row(struct text_table *table, const struct text_use *use);

#endif
