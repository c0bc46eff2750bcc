/*
 * Threads under a log reader: see log_pipeline.h. Three kinds of hands touch a block, one after the other: the reading
 * thread fills `raw`; a worker reads records from a copy of it (formats may change bytes in place) until no whole
 * record is left; the caller walks over the records, and joins what was left with the block behind it. That join is
 * read with a parser of its own until a record begins where the worker found one too: from a record's beginning on, all
 * readings are the same.
 */
#include "log_pipeline.h"

#include "log_reader.h"
#include "mem.h"
#include "pg_statement.h"
#include "strbuf.h"
#include "text_table.h"
#include "work_ring.h"

#include <pthread.h>

#define THREADS_MAX 8U
#define SLOTS_MAX   (THREADS_MAX + 3)
/* Damage longer than this is not looked through for a record. */
#define JOIN_MAX  ((size_t)256 * 1024 * 1024)
#define JOIN_STEP ((size_t)8 * 1024) /* how much of the next block is joined at first */

#define NEEDS_MORE 100 /* beside enum log_read: there is no whole record in the bytes at hand */

/* What one call of the format's scan() said. */
struct entry {
	enum log_scan scan;
	bool has_split;
	size_t at;	       /* where in the block the call began */
	size_t first_literal;  /* of the split, in the block's */
	uint64_t lines_at;     /* line ends in the block before that place */
	uint64_t lines_before; /* and behind it, before the record's first line */
	struct log_record record;
	struct pg_event event;
	struct text_split split;
};

struct block {
	char *raw;
	size_t raw_len;
	size_t raw_capacity;
	bool last; /* the file ends behind it */
	int read_rc;
	struct error read_err; /* what stopped the reading behind this block */
	int64_t file_bytes;
	/* the worker's */
	char *copy;
	size_t copy_capacity;
	struct entry *entries;
	size_t count;
	size_t capacity;
	size_t parsed;	       /* bytes that the entries took */
	uint64_t lines_parsed; /* line ends in them */
	struct error scan_err; /* of an entry LOG_SCAN_FAILED, the last one */
	struct text_literals literals;
	struct arena arena;
};

/* What each worker, and the caller, needs to read records. */
struct hand {
	struct log_zone *zone;
	struct text_splitter *splitter;
};

struct log_pipeline {
	struct in_file *in;
	uint32_t file;
	const struct log_format *format;
	size_t block_bytes;
	struct work_ring *ring;
	void *slots[SLOTS_MAX];
	struct block blocks[SLOTS_MAX];
	unsigned threads;
	struct hand hands[THREADS_MAX + 1]; /* the last is the caller's */
	pthread_t reading_thread;
	bool reading;
	/* the caller's: the block it is in, and whether it walks over its entries or reads the join */
	struct block *block;
	size_t next_entry;
	bool joining;
	struct log_parser *parser;
	struct strbuf join;
	size_t join_pos;
	size_t join_own;   /* bytes in front of the block's */
	size_t join_block; /* bytes of the block in the join */
	bool in_order;	   /* no worker reads records */
	bool ended;
	uint64_t line; /* at the block's beginning, or at join_pos */
	uint64_t records;
	int64_t text_bytes; /* taken by entries and joins */
	int64_t file_bytes;
	struct log_record record; /* the join's, with what belongs to it */
	struct pg_event event;
	struct text_literals literals;
	struct text_split split;
	struct arena arena;
	char first[LOG_EXPLAIN_MAX];
	size_t first_len;
};

static uint64_t count_line_ends(const char *p, size_t len)
{
	uint64_t lines = 0;
	const char *end = p + len;
	for (; p < end && (p = memchr(p, '\n', (size_t)(end - p))); p++)
		lines++;
	return lines;
}

uint64_t log_count_lines(const struct log_format *format, const char *p, size_t n, uint64_t *before)
{
	size_t blank = 0;
	while (blank < n && (p[blank] == '\n' || p[blank] == '\r'))
		blank++;
	*before = blank ? count_line_ends(p, blank) : 0;
	bool single = format->caps.single_lines && blank < n && p[blank] == '{';
	return *before + (single ? p[n - 1] == '\n' : count_line_ends(p + blank, n - blank));
}

int log_foreign(const char *path, const struct log_format *format, const char *first, size_t len, struct error *err)
{
	if (len == 0)
		return error_set(err, ERR_DATA, "%s: is empty", path);
	char why[128] = "";
	format->explain(first, len, why, sizeof(why));
	return error_set(err, ERR_DATA, "%s:1: is no %s record: %s", path, format->name, why);
}

/* ---- the reading thread ---- */

/* The last place in the block behind a line end at which a record seems to begin; 0 when there is none. */
static size_t find_cut(const struct log_format *format, const char *p, size_t len)
{
	for (size_t end = len; end > 0;) {
		const char *line_end = memrchr(p, '\n', end);
		if (!line_end)
			return 0;
		size_t at = (size_t)(line_end - p) + 1;
		if (at < len && (!format->begins || format->begins(p + at, len - at)))
			return at;
		end = at - 1;
	}
	return 0;
}

/* Fills the block behind what it holds. */
static void read_block(struct log_pipeline *pipeline, struct block *block)
{
	while (block->raw_len < pipeline->block_bytes) {
		ssize_t got = in_file_read(pipeline->in, block->raw + block->raw_len,
					   pipeline->block_bytes - block->raw_len, &block->read_err);
		if (got <= 0) {
			block->read_rc = (int)got;
			block->last = got == 0;
			break;
		}
		block->raw_len += (size_t)got;
	}
	block->file_bytes = in_file_consumed_bytes(pipeline->in);
}

static void *run_reading(void *argument)
{
	struct log_pipeline *pipeline = argument;
	char *carry = mem_alloc(pipeline->block_bytes);
	size_t carried = 0;
	for (bool done = false; !done;) {
		struct block *block = work_ring_claim(pipeline->ring);
		if (!block)
			break;
		if (!block->raw)
			block->raw = mem_alloc(pipeline->block_bytes);
		block->last = false;
		block->read_rc = 0;
		error_clear(&block->read_err);
		memcpy(block->raw, carry, carried);
		block->raw_len = carried;
		carried = 0;
		read_block(pipeline, block);
		done = block->last || block->read_rc < 0;
		size_t cut = done || pipeline->in_order ? 0 : find_cut(pipeline->format, block->raw, block->raw_len);
		if (cut > 0) {
			carried = block->raw_len - cut;
			memcpy(carry, block->raw + cut, carried);
			block->raw_len = cut;
		}
		work_ring_submit(pipeline->ring);
	}
	work_ring_end(pipeline->ring);
	free(carry);
	return NULL;
}

/* ---- reading records, in any thread ---- */

/*
 * Reads what the record means and takes its statement apart, if it has one. Literals may move: the split is told where
 * they are later.
 */
static bool read_meaning(const struct hand *hand, const struct log_record *record, struct pg_event *event,
			 struct text_literals *literals, struct arena *arena, struct text_split *split)
{
	pg_statement_read(record, event);
	bool has =
		event->kind == PG_EVENT_STATEMENT || event->kind == PG_EVENT_EXECUTE || event->kind == PG_EVENT_ERROR;
	if (has && event->text.len > 0)
		text_splitter_split(hand->splitter, event->text, literals, arena, split);
	return has && event->text.len > 0;
}

/* Reads the records of a block as if one began at its first byte. */
static void read_records(const struct log_pipeline *pipeline, const struct hand *hand, struct block *block)
{
	struct log_parser *parser = pipeline->format->open(pipeline->format, hand->zone);
	uint64_t lines = 0;
	for (size_t pos = 0;;) {
		MEM_GROW(block->entries, block->count, block->capacity);
		struct entry *entry = &block->entries[block->count];
		size_t used = 0;
		entry->record = (struct log_record){.file = pipeline->file};
		entry->has_split = false;
		entry->scan = pipeline->format->scan(parser, block->copy + pos, block->raw_len - pos, block->last,
						     &used, &entry->record, &block->scan_err);
		if (entry->scan == LOG_SCAN_MORE)
			break;
		entry->at = pos;
		entry->lines_at = lines;
		lines += log_count_lines(pipeline->format, block->raw + pos, used, &entry->lines_before);
		pos += used;
		block->parsed = pos;
		block->lines_parsed = lines;
		block->count++;
		entry->first_literal = block->literals.count;
		if (entry->scan == LOG_SCAN_RECORD)
			entry->has_split = read_meaning(hand, &entry->record, &entry->event, &block->literals,
							&block->arena, &entry->split);
		else if (entry->scan != LOG_SCAN_UNPARSED)
			break;
	}
	pipeline->format->free(parser);
}

static void work(void *context, unsigned thread, void *slot)
{
	struct log_pipeline *pipeline = context;
	struct block *block = slot;
	block->count = 0;
	block->parsed = 0;
	block->lines_parsed = 0;
	block->literals.count = 0;
	arena_clear(&block->arena);
	if (pipeline->in_order)
		return;
	if (block->raw_len >= block->copy_capacity) {
		block->copy_capacity = block->raw_len + 1;
		block->copy = mem_realloc(block->copy, block->copy_capacity, 1);
	}
	if (block->raw_len)
		memcpy(block->copy, block->raw, block->raw_len);
	block->copy[block->raw_len] = '\0'; /* for those who are told a length and look for a NUL nevertheless */
	read_records(pipeline, &pipeline->hands[thread], block);
}

/* ---- the caller ---- */

static void open_hand(struct log_pipeline *pipeline, unsigned index, struct log_zone *zone)
{
	struct hand *hand = &pipeline->hands[index];
	struct error none;
	hand->zone = zone;
	/* A zone without a name cannot fail to open. */
	if (!zone && log_zone_open(NULL, &hand->zone, &none) < 0)
		hand->zone = NULL;
	hand->splitter = text_splitter_new();
}

struct log_pipeline *log_pipeline_new(struct in_file *in, uint32_t file, const struct log_format *format,
				      struct log_zone *zone, unsigned threads, size_t block_bytes)
{
	struct log_pipeline *pipeline = mem_zalloc(1, sizeof(*pipeline));
	pipeline->in = in;
	pipeline->file = file;
	pipeline->format = format;
	pipeline->block_bytes = block_bytes;
	/* What a named zone makes of an abbreviation may depend on the stamps before. */
	pipeline->in_order = !format->caps.independent || log_zone_is_named(zone);
	pipeline->threads = threads < 1 ? 1 : threads > THREADS_MAX ? THREADS_MAX : threads;
	if (pipeline->in_order)
		pipeline->threads = 1;
	pipeline->line = 1;
	pipeline->parser = format->open(format, zone);
	strbuf_init(&pipeline->join, JOIN_MAX);
	arena_init(&pipeline->arena, (size_t)64 * 1024);
	for (unsigned i = 0; i < pipeline->threads; i++)
		open_hand(pipeline, i, NULL);
	open_hand(pipeline, pipeline->threads, zone);
	size_t slots = (size_t)pipeline->threads + 3;
	for (size_t i = 0; i < slots; i++) {
		arena_init(&pipeline->blocks[i].arena, (size_t)16 * 1024);
		pipeline->slots[i] = &pipeline->blocks[i];
	}
	pipeline->ring = work_ring_new(pipeline->threads, pipeline->slots, slots, work, pipeline);
	pipeline->reading = pthread_create(&pipeline->reading_thread, NULL, run_reading, pipeline) == 0;
	return pipeline;
}

void log_pipeline_free(struct log_pipeline *pipeline)
{
	if (!pipeline)
		return;
	work_ring_stop(pipeline->ring);
	if (pipeline->reading)
		(void)pthread_join(pipeline->reading_thread, NULL);
	work_ring_free(pipeline->ring);
	for (size_t i = 0; i < SLOTS_MAX; i++) {
		struct block *block = &pipeline->blocks[i];
		free(block->raw);
		free(block->copy);
		free(block->entries);
		free(block->literals.items);
		arena_release(&block->arena);
	}
	for (unsigned i = 0; i <= pipeline->threads; i++) {
		if (i < pipeline->threads)
			log_zone_free(pipeline->hands[i].zone);
		text_splitter_free(pipeline->hands[i].splitter);
	}
	pipeline->format->free(pipeline->parser);
	strbuf_release(&pipeline->join);
	free(pipeline->literals.items);
	arena_release(&pipeline->arena);
	free(pipeline);
}

static int foreign(const struct log_pipeline *pipeline, struct error *err)
{
	return log_foreign(in_file_path(pipeline->in), pipeline->format, pipeline->first, pipeline->first_len, err);
}

/* What an entry or a call of scan() means for the caller; line is the record's. */
static int give(struct log_pipeline *pipeline, enum log_scan scan, uint64_t line, bool at_end,
		const struct error *scan_err, struct log_record *record, struct error *err)
{
	record->line = line;
	record->file = pipeline->file;
	switch (scan) {
	case LOG_SCAN_RECORD:
		pipeline->records++;
		return LOG_READ_RECORD;
	case LOG_SCAN_UNPARSED:
		if (pipeline->records == 0 && (pipeline->text_bytes > (int64_t)LOG_FOREIGN_MAX || at_end))
			return foreign(pipeline, err);
		return LOG_READ_UNPARSED;
	case LOG_SCAN_FAILED:
		*err = *scan_err;
		return error_context(err, "%s:%llu", in_file_path(pipeline->in), (unsigned long long)line);
	case LOG_SCAN_END:
		pipeline->ended = true;
		return pipeline->records == 0 ? foreign(pipeline, err) : LOG_READ_END;
	case LOG_SCAN_MORE:
		break;
	}
	return NEEDS_MORE;
}

static int give_entry(struct log_pipeline *pipeline, const struct log_record **out, struct error *err)
{
	struct block *block = pipeline->block;
	struct entry *entry = &block->entries[pipeline->next_entry++];
	size_t end = pipeline->next_entry < block->count ? block->entries[pipeline->next_entry].at : block->parsed;
	pipeline->text_bytes += (int64_t)(end - entry->at);
	struct log_record *record = &entry->record;
	*out = record;
	if (entry->scan == LOG_SCAN_RECORD)
		record->event = &entry->event;
	if (entry->has_split) {
		entry->split.literals = block->literals.items + entry->first_literal;
		record->split = &entry->split;
	}
	return give(pipeline, entry->scan, pipeline->line + entry->lines_at + entry->lines_before,
		    block->last && end == block->raw_len, &block->scan_err, record, err);
}

/* The block's entries go on where the join has come to: from there the join is not needed. */
static bool meets_block(struct log_pipeline *pipeline)
{
	const struct block *block = pipeline->block;
	if (pipeline->join_pos < pipeline->join_own || pipeline->in_order)
		return false;
	size_t at = pipeline->join_pos - pipeline->join_own;
	size_t low = 0;
	size_t high = block->count;
	while (low < high) {
		size_t middle = low + (high - low) / 2;
		if (block->entries[middle].at < at)
			low = middle + 1;
		else
			high = middle;
	}
	bool entry = low < block->count && block->entries[low].at == at;
	if (!entry && (low < block->count || at != block->parsed))
		return false;
	pipeline->next_entry = low;
	pipeline->joining = false;
	pipeline->line -= entry ? block->entries[low].lines_at : block->lines_parsed;
	strbuf_clear(&pipeline->join);
	return true;
}

/* Takes more bytes of the block into the join, in steps that grow. False when there are none. */
static bool extend_join(struct log_pipeline *pipeline)
{
	const struct block *block = pipeline->block;
	size_t left = block->raw_len - pipeline->join_block;
	size_t step = pipeline->in_order || pipeline->join_block > JOIN_STEP ? pipeline->join_block : JOIN_STEP;
	if (pipeline->in_order || step > left)
		step = left;
	strbuf_add(&pipeline->join, block->raw + pipeline->join_block, step);
	pipeline->join_block += step;
	return step > 0;
}

/* Drops what the join has taken, so that it begins where the next call will. */
static void trim_join(struct log_pipeline *pipeline)
{
	struct strbuf *join = &pipeline->join;
	memmove(join->data, join->data + pipeline->join_pos, join->len - pipeline->join_pos);
	strbuf_truncate(join, join->len - pipeline->join_pos);
	pipeline->join_pos = 0;
}

/* The next block, behind what is left of this one. 1, or negative: there is none, for a reason. */
static int next_block(struct log_pipeline *pipeline, struct error *err)
{
	struct block *old = pipeline->block;
	if (old) {
		if (!pipeline->joining && old->parsed < old->raw_len)
			strbuf_add(&pipeline->join, old->raw + old->parsed, old->raw_len - old->parsed);
		if (!pipeline->joining)
			pipeline->line += old->lines_parsed;
		else
			trim_join(pipeline);
		if (old->read_rc < 0) {
			*err = old->read_err;
			return old->read_rc;
		}
		if (old->last)
			return error_set(err, ERR_INTERNAL, "%s:%llu: the format asks for more than there is",
					 in_file_path(pipeline->in), (unsigned long long)pipeline->line);
		pipeline->block = NULL;
		work_ring_release(pipeline->ring);
	}
	if (pipeline->records == 0 && pipeline->join.len > LOG_FOREIGN_MAX)
		return foreign(pipeline, err);
	if (pipeline->join.overflow)
		return error_set(err, ERR_DATA, "%s:%llu: no record begins in %zu MB from here",
				 in_file_path(pipeline->in), (unsigned long long)pipeline->line, JOIN_MAX >> 20);
	struct block *block = pipeline->reading ? work_ring_take(pipeline->ring) : NULL;
	if (!block)
		return error_set(err, ERR_INTERNAL, "%s: no thread to read it with", in_file_path(pipeline->in));
	pipeline->block = block;
	pipeline->file_bytes = block->file_bytes;
	size_t n = LOG_EXPLAIN_MAX - pipeline->first_len;
	n = n < block->raw_len ? n : block->raw_len;
	memcpy(pipeline->first + pipeline->first_len, block->raw, n);
	pipeline->first_len += n;
	pipeline->next_entry = 0;
	pipeline->joining = pipeline->in_order || pipeline->join.len > 0;
	pipeline->join_pos = 0;
	pipeline->join_own = pipeline->join.len;
	pipeline->join_block = 0;
	return 1;
}

/* Reads on in the join. */
static int read_join(struct log_pipeline *pipeline, const struct log_record **out, struct error *err)
{
	const struct hand *hand = &pipeline->hands[pipeline->threads];
	const struct block *block = pipeline->block;
	struct strbuf *join = &pipeline->join;
	bool last = block->last && pipeline->join_block == block->raw_len;
	size_t used = 0;
	if (join->len == pipeline->join_pos && !last)
		return NEEDS_MORE;
	struct error scan_err = ERROR_INIT;
	struct log_record *record = &pipeline->record;
	*out = record;
	*record = (struct log_record){.file = pipeline->file};
	char *p = join->data + pipeline->join_pos;
	enum log_scan scan = pipeline->format->scan(pipeline->parser, p, join->len - pipeline->join_pos, last, &used,
						    record, &scan_err);
	if (scan == LOG_SCAN_MORE)
		return NEEDS_MORE;
	uint64_t before = 0;
	uint64_t line = pipeline->line;
	pipeline->line += log_count_lines(pipeline->format, p, used, &before);
	pipeline->join_pos += used;
	pipeline->text_bytes += (int64_t)used;
	if (scan == LOG_SCAN_RECORD) {
		pipeline->literals.count = 0;
		arena_clear(&pipeline->arena);
		record->event = &pipeline->event;
		if (read_meaning(hand, record, &pipeline->event, &pipeline->literals, &pipeline->arena,
				 &pipeline->split)) {
			pipeline->split.literals = pipeline->literals.items;
			record->split = &pipeline->split;
		}
	}
	return give(pipeline, scan, line + before, last && pipeline->join_pos == join->len, &scan_err, record, err);
}

int log_pipeline_next(struct log_pipeline *pipeline, const struct log_record **record, struct error *err)
{
	while (!pipeline->ended) {
		if (pipeline->block && pipeline->joining && !meets_block(pipeline)) {
			int rc = read_join(pipeline, record, err);
			if (rc != NEEDS_MORE)
				return rc;
			if (extend_join(pipeline))
				continue;
		} else if (pipeline->block && pipeline->next_entry < pipeline->block->count) {
			return give_entry(pipeline, record, err);
		}
		int rc = next_block(pipeline, err);
		if (rc < 0)
			return rc;
	}
	return LOG_READ_END;
}

int64_t log_pipeline_text_bytes(const struct log_pipeline *pipeline)
{
	return pipeline->text_bytes;
}

int64_t log_pipeline_file_bytes(const struct log_pipeline *pipeline)
{
	return pipeline->file_bytes;
}
