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

struct text_entry {
	UT_hash_handle hh;
	struct span template_text;
	uint32_t row; /* ITEM_NO_TEXT until an item names it */
	unsigned parameter_max;
	bool copy;
};

struct text_table {
	struct replay_writer *writer;
	struct text_entry *entries;
	uint32_t count;
	size_t bytes;
	struct arena arena;
	struct strbuf template_text;
	struct span whole;
	struct span literals[LITERALS_MAX];
};

struct text_table *text_table_new(struct replay_writer *writer)
{
	struct text_table *table = mem_zalloc(1, sizeof(*table));
	table->writer = writer;
	arena_init(&table->arena, (size_t)256 * 1024);
	strbuf_init(&table->template_text, (size_t)32 * 1024 * 1024);
	return table;
}

void text_table_free(struct text_table *table)
{
	if (!table)
		return;
	HASH_CLEAR(hh, table->entries);
	arena_release(&table->arena);
	strbuf_release(&table->template_text);
	free(table);
}

static struct text_entry *add_entry(struct text_table *table, struct span text)
{
	size_t len = table->template_text.len;
	if (table->count == TEXT_TABLE_MAX || len > TEMPLATE_BYTES_MAX || len > TEXT_TABLE_BYTES_MAX - table->bytes)
		return NULL;
	struct text_entry *entry = arena_alloc(&table->arena, sizeof(*entry));
	*entry = (struct text_entry){
		.template_text = {arena_copy(&table->arena, table->template_text.data, len), len},
		.row = ITEM_NO_TEXT,
		.parameter_max = pg_statement_parameter_max(text),
		.copy = pg_statement_is_copy(text),
	};
	table->count++;
	table->bytes += len;
	HASH_ADD_KEYPTR(hh, table->entries, entry->template_text.p, len, entry);
	return entry;
}

void text_table_look_up(struct text_table *table, struct span text, struct text_use *out)
{
	*out = (struct text_use){.text = text};
	size_t count = 0;
	strbuf_clear(&table->template_text);
	if (sql_template_split(SQL_POSTGRESQL, text, &table->template_text, table->literals, LITERALS_MAX, &count) &&
	    !table->template_text.overflow) {
		HASH_FIND(hh, table->entries, table->template_text.data, table->template_text.len, out->entry);
		if (!out->entry)
			out->entry = add_entry(table, text);
	}
	if (out->entry) {
		out->copy = out->entry->copy;
		out->parameter_max = out->entry->parameter_max;
		out->literals = table->literals;
		out->literal_count = (uint32_t)count;
	} else {
		out->copy = pg_statement_is_copy(text);
		out->parameter_max = pg_statement_parameter_max(text);
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
