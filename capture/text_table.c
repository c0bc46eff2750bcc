/* The statements' texts, each template once: see text_table.h. What is asked of a text is asked once per template too.
 */
#include "text_table.h"

#include "mem.h"
#include "pg_statement.h"
#include "sql_fingerprint.h"

#include <xxhash.h>

#define HASH_FUNCTION(key, len, out) ((out) = (unsigned)XXH3_64bits((key), (len)))
#include <uthash.h>

#define LITERALS_MAX	   ((size_t)65535)
#define TEMPLATE_BYTES_MAX ((size_t)256 * 1024)
/* A splitter's own table: enough for what comes again and again; the rest is made anew each time. */
#define SHAPES_MAX	 8192U
#define SHAPES_BYTES_MAX ((size_t)2 * 1024 * 1024)

/* A template and what is asked of texts like it, as one splitter knows it. */
struct text_shape {
	struct span template_text;
	uint64_t hash;
	unsigned parameter_max;
	bool copy;
	/* The text table's, and touched by nobody else. */
	bool known;
	struct text_entry *entry;
};

struct text_splitter {
	struct text_shape **slots; /* open addressing, SHAPES_MAX * 2 of them */
	uint32_t count;
	size_t bytes;
	struct arena arena;
	struct strbuf template_text;
};

struct text_entry {
	UT_hash_handle hh;
	struct span template_text;
	uint32_t row; /* ITEM_NO_TEXT until an item names it */
};

struct text_table {
	struct replay_writer *writer;
	struct text_entry *entries;
	uint32_t count;
	size_t bytes;
	struct arena arena;
	const struct text_split *offered;
	/* For texts that nobody has taken apart yet. */
	struct text_splitter *splitter;
	struct text_literals literals;
	struct arena scratch;
	struct span whole;
};

/* ---- splitters ---- */

struct text_splitter *text_splitter_new(void)
{
	struct text_splitter *splitter = mem_zalloc(1, sizeof(*splitter));
	splitter->slots = mem_zalloc((size_t)SHAPES_MAX * 2, sizeof(*splitter->slots));
	arena_init(&splitter->arena, (size_t)64 * 1024);
	strbuf_init(&splitter->template_text, (size_t)32 * 1024 * 1024);
	return splitter;
}

void text_splitter_free(struct text_splitter *splitter)
{
	if (!splitter)
		return;
	arena_release(&splitter->arena);
	strbuf_release(&splitter->template_text);
	free(splitter->slots);
	free(splitter);
}

/* The place of the template, or the empty one where it would be. */
static struct text_shape **find_shape(struct text_splitter *splitter, struct span template_text, uint64_t hash)
{
	for (size_t at = hash % (SHAPES_MAX * 2);; at = (at + 1) % (SHAPES_MAX * 2)) {
		struct text_shape *shape = splitter->slots[at];
		if (!shape || (shape->hash == hash && span_equal(shape->template_text, template_text)))
			return &splitter->slots[at];
	}
}

static struct text_shape *new_shape(struct arena *arena, struct span text, struct span template_text, uint64_t hash)
{
	struct text_shape *shape = arena_alloc(arena, sizeof(*shape));
	*shape = (struct text_shape){
		.template_text = {arena_copy(arena, template_text.p, template_text.len), template_text.len},
		.hash = hash,
		.parameter_max = pg_statement_parameter_max(text),
		.copy = pg_statement_is_copy(text),
	};
	return shape;
}

static bool split_template(struct text_splitter *splitter, struct span text, struct text_literals *literals,
			   size_t *count)
{
	size_t room = text.len < LITERALS_MAX ? text.len + 1 : LITERALS_MAX;
	if (literals->capacity - literals->count < room) {
		literals->capacity = (literals->count + room) * 2;
		literals->items = mem_realloc(literals->items, literals->capacity, sizeof(*literals->items));
	}
	strbuf_clear(&splitter->template_text);
	return sql_template_split(SQL_POSTGRESQL, text, &splitter->template_text, literals->items + literals->count,
				  room, count) &&
	       !splitter->template_text.overflow && splitter->template_text.len <= TEMPLATE_BYTES_MAX;
}

void text_splitter_split(struct text_splitter *splitter, struct span text, struct text_literals *literals,
			 struct arena *arena, struct text_split *split)
{
	size_t count = 0;
	*split = (struct text_split){.text = text, .text_hash = XXH3_64bits(text.p, text.len)};
	if (!split_template(splitter, text, literals, &count))
		return;
	literals->count += count;
	split->literal_count = (uint32_t)count;
	struct span template_text = {splitter->template_text.data, splitter->template_text.len};
	uint64_t hash = XXH3_64bits(template_text.p, template_text.len);
	struct text_shape **place = find_shape(splitter, template_text, hash);
	split->shape = *place;
	if (split->shape)
		return;
	bool keep = splitter->count < SHAPES_MAX && template_text.len <= SHAPES_BYTES_MAX - splitter->bytes;
	split->shape = new_shape(keep ? &splitter->arena : arena, text, template_text, hash);
	if (keep) {
		*place = split->shape;
		splitter->count++;
		splitter->bytes += template_text.len;
	}
}

/* ---- the table ---- */

struct text_table *text_table_new(struct replay_writer *writer)
{
	struct text_table *table = mem_zalloc(1, sizeof(*table));
	table->writer = writer;
	table->splitter = text_splitter_new();
	arena_init(&table->arena, (size_t)256 * 1024);
	arena_init(&table->scratch, (size_t)64 * 1024);
	return table;
}

void text_table_free(struct text_table *table)
{
	if (!table)
		return;
	HASH_CLEAR(hh, table->entries);
	arena_release(&table->arena);
	arena_release(&table->scratch);
	text_splitter_free(table->splitter);
	free(table->literals.items);
	free(table);
}

/* NULL when the table is full. */
static struct text_entry *add_entry(struct text_table *table, struct span template_text)
{
	if (table->count == TEXT_TABLE_MAX || template_text.len > TEXT_TABLE_BYTES_MAX - table->bytes)
		return NULL;
	struct text_entry *entry = arena_alloc(&table->arena, sizeof(*entry));
	*entry = (struct text_entry){
		.template_text = {arena_copy(&table->arena, template_text.p, template_text.len), template_text.len},
		.row = ITEM_NO_TEXT,
	};
	table->count++;
	table->bytes += template_text.len;
	HASH_ADD_KEYPTR(hh, table->entries, entry->template_text.p, entry->template_text.len, entry);
	return entry;
}

static struct text_entry *entry_of(struct text_table *table, struct text_shape *shape)
{
	if (!shape->known) {
		HASH_FIND(hh, table->entries, shape->template_text.p, shape->template_text.len, shape->entry);
		if (!shape->entry)
			shape->entry = add_entry(table, shape->template_text);
		/* A full table has room for shorter templates still, so that answer is not kept. */
		shape->known = shape->entry != NULL;
	}
	return shape->entry;
}

void text_table_offer(struct text_table *table, const struct text_split *split)
{
	table->offered = split;
}

void text_table_look_up(struct text_table *table, struct span text, struct text_use *out)
{
	const struct text_split *split = table->offered;
	struct text_split own;
	*out = (struct text_use){.text = text};
	if (!split || split->text.p != text.p || split->text.len != text.len) {
		arena_clear(&table->scratch);
		table->literals.count = 0;
		text_splitter_split(table->splitter, text, &table->literals, &table->scratch, &own);
		own.literals = table->literals.items;
		split = &own;
	}
	out->text_hash = split->text_hash;
	out->entry = split->shape ? entry_of(table, split->shape) : NULL;
	out->copy = split->shape ? split->shape->copy : pg_statement_is_copy(text);
	out->parameter_max = split->shape ? split->shape->parameter_max : pg_statement_parameter_max(text);
	if (out->entry) {
		out->literals = split->literals;
		out->literal_count = split->literal_count;
	} else {
		table->whole = text;
		out->literals = &table->whole;
		out->literal_count = 1;
	}
}

uint32_t text_table_row(struct text_table *table, const struct text_use *use)
{
	if (!use->entry)
		return REPLAY_TEXT_WHOLE;
	if (use->entry->row == ITEM_NO_TEXT) {
		struct strbuf normalized;
		strbuf_init(&normalized, SQL_FINGERPRINT_TEXT_MAX + 16);
		uint64_t fingerprint = sql_fingerprint(SQL_POSTGRESQL, use->text, &normalized);
		struct replay_text text = {use->entry->template_text, fingerprint, {normalized.data, normalized.len}};
		use->entry->row = replay_writer_add_text(table->writer, &text);
		strbuf_release(&normalized);
	}
	return use->entry->row;
}
