/* Reading a replay file: see replay_file.h. Writing is in replay_writer.c; docs/formats.md has the layout. */
#include "replay_file.h"

#include "chunk_file.h"
#include "mem.h"
#include "sql_fingerprint.h"
#include "strbuf.h"

#include <stdlib.h>

struct replay_file {
	struct chunk_reader *chunks;
	uint32_t *batches; /* chunk numbers of the item chunks, in order */
	size_t batch_count;
	size_t batch_capacity;
	uint64_t item_count;
	uint64_t kind_counts[ITEM_KIND_COUNT];
	int64_t start_wall_ns;
	int64_t span_ns;
	struct arena arena; /* the tables and the bytes that they point into */
	struct replay_session *sessions;
	struct replay_text *texts;
	const char **sources;
	uint32_t session_count;
	uint32_t text_count;
	uint32_t source_count;
	json_t *capture;
};

static int damaged(const struct replay_file *file, const struct chunk_info *info, const char *what, struct error *err)
{
	return error_set(err, ERR_DATA, "%s: damaged at offset %llu: %s", chunk_reader_path(file->chunks),
			 (unsigned long long)info->offset, what);
}

static void load_sessions(struct replay_file *file, struct byte_reader *r, uint32_t count)
{
	file->sessions = arena_alloc(&file->arena, count * sizeof(*file->sessions));
	file->session_count = count;
	for (uint32_t i = 0; i < count; i++) {
		struct replay_session *s = &file->sessions[i];
		s->user = byte_get_span(r);
		s->database = byte_get_span(r);
		s->application = byte_get_span(r);
		s->client = byte_get_span(r);
	}
}

static void load_texts(struct replay_file *file, struct byte_reader *r, uint32_t count)
{
	file->texts = arena_alloc(&file->arena, count * sizeof(*file->texts));
	file->text_count = count;
	for (uint32_t i = 0; i < count; i++) {
		struct replay_text *t = &file->texts[i];
		t->fingerprint = byte_get_u64(r);
		t->template_text = byte_get_span(r);
		t->normalized = byte_get_span(r);
	}
}

static void load_sources(struct replay_file *file, struct byte_reader *r, uint32_t count)
{
	file->sources = arena_alloc(&file->arena, count * sizeof(*file->sources));
	file->source_count = count;
	for (uint32_t i = 0; i < count; i++) {
		struct span path = byte_get_span(r);
		file->sources[i] = arena_copy(&file->arena, path.p ? path.p : "", path.len);
	}
}

static int load_summary(struct replay_file *file, const struct chunk_info *info, struct byte_reader *r,
			struct error *err)
{
	file->start_wall_ns = byte_get_signed(r);
	file->span_ns = byte_get_signed(r);
	uint64_t items = byte_get_varint(r);
	for (int i = 0; i < ITEM_KIND_COUNT; i++)
		file->kind_counts[i] = byte_get_varint(r);
	struct span text = byte_get_span(r);
	json_error_t why;
	file->capture = r->failed ? NULL : json_loadb(text.p, text.len, 0, &why);
	if (!file->capture || items != file->item_count)
		return damaged(file, info, "the summary does not fit the file", err);
	return 0;
}

/* Loads one chunk of a table; rows take at least a byte each, which bounds count. */
static int load_chunk(struct replay_file *file, size_t index, struct error *err)
{
	const struct chunk_info *info = chunk_reader_info(file->chunks, index);
	if (memcmp(info->type, "ITEM", 4) == 0) {
		if (info->first != file->item_count)
			return damaged(file, info, "items are missing before this chunk", err);
		MEM_GROW(file->batches, file->batch_count, file->batch_capacity);
		file->batches[file->batch_count++] = (uint32_t)index;
		file->item_count += info->count;
		return 0;
	}
	unsigned char *data = NULL;
	size_t capacity = 0;
	size_t len = 0;
	int rc = chunk_reader_read(file->chunks, index, &data, &capacity, &len, err);
	if (rc < 0) {
		free(data);
		return rc;
	}
	struct byte_reader r;
	char *bytes = arena_copy(&file->arena, data, len);
	free(data);
	byte_reader_init(&r, bytes, len);
	if (info->count > len)
		return damaged(file, info, "the chunk's count is impossible", err);
	if (memcmp(info->type, "SESS", 4) == 0)
		load_sessions(file, &r, info->count);
	else if (memcmp(info->type, "TEXT", 4) == 0)
		load_texts(file, &r, info->count);
	else if (memcmp(info->type, "SRCS", 4) == 0)
		load_sources(file, &r, info->count);
	else if (memcmp(info->type, "SUMM", 4) == 0)
		rc = load_summary(file, info, &r, err);
	if (rc == 0 && r.failed)
		rc = damaged(file, info, "a row is cut off", err);
	return rc;
}

int replay_file_open(const char *path, struct replay_file **out, struct error *err)
{
	struct replay_file *file = mem_zalloc(1, sizeof(*file));
	arena_init(&file->arena, (size_t)256 * 1024);
	int rc = chunk_reader_open(path, "RPLY", REPLAY_FILE_VERSION, &file->chunks, err);
	for (size_t i = 0; rc == 0 && i < chunk_reader_count(file->chunks); i++)
		rc = load_chunk(file, i, err);
	if (rc == 0 && (!file->capture || file->text_count == 0))
		rc = error_set(err, ERR_DATA, "%s: damaged: a table is missing", path);
	if (rc < 0) {
		replay_file_free(file);
		return rc;
	}
	*out = file;
	return 0;
}

void replay_file_free(struct replay_file *file)
{
	if (!file)
		return;
	chunk_reader_free(file->chunks);
	arena_release(&file->arena);
	json_decref(file->capture);
	free(file->batches);
	free(file);
}

uint64_t replay_file_item_count(const struct replay_file *file)
{
	return file->item_count;
}

uint64_t replay_file_kind_count(const struct replay_file *file, enum item_kind kind)
{
	return file->kind_counts[kind];
}

int64_t replay_file_start_wall_ns(const struct replay_file *file)
{
	return file->start_wall_ns;
}

int64_t replay_file_span_ns(const struct replay_file *file)
{
	return file->span_ns;
}

uint32_t replay_file_session_count(const struct replay_file *file)
{
	return file->session_count;
}

const struct replay_session *replay_file_session(const struct replay_file *file, uint32_t row)
{
	return &file->sessions[row];
}

uint32_t replay_file_text_count(const struct replay_file *file)
{
	return file->text_count;
}

const struct replay_text *replay_file_text(const struct replay_file *file, uint32_t row)
{
	return &file->texts[row];
}

uint32_t replay_file_source_count(const struct replay_file *file)
{
	return file->source_count;
}

const char *replay_file_source(const struct replay_file *file, uint32_t row)
{
	return row < file->source_count ? file->sources[row] : "";
}

const json_t *replay_file_capture(const struct replay_file *file)
{
	return file->capture;
}

const char *replay_file_path(const struct replay_file *file)
{
	return chunk_reader_path(file->chunks);
}

uint32_t replay_file_batch_count(const struct replay_file *file)
{
	return (uint32_t)file->batch_count;
}

void replay_batch_init(struct replay_batch *batch)
{
	memset(batch, 0, sizeof(*batch));
	arena_init(&batch->arena, (size_t)128 * 1024);
}

void replay_batch_release(struct replay_batch *batch)
{
	arena_release(&batch->arena);
	free(batch->bytes);
	memset(batch, 0, sizeof(*batch));
}

/* What a checksum cannot promise: that a file of ours refers only to rows that it has. */
static bool item_fits(const struct replay_file *file, const struct item *item)
{
	if (item->session >= file->session_count || item->time_ns < 0)
		return false;
	return item->text == ITEM_NO_TEXT || item->text < file->text_count;
}

int replay_file_read_batch(const struct replay_file *file, uint32_t index, struct replay_batch *batch,
			   struct error *err)
{
	const struct chunk_info *info = chunk_reader_info(file->chunks, file->batches[index]);
	size_t len = 0;
	arena_clear(&batch->arena);
	batch->count = 0;
	int rc = chunk_reader_read(file->chunks, file->batches[index], &batch->bytes, &batch->capacity, &len, err);
	if (rc < 0)
		return rc;
	if (info->count > len)
		return damaged(file, info, "the chunk's count is impossible", err);
	struct byte_reader r;
	byte_reader_init(&r, batch->bytes, len);
	batch->items = arena_alloc(&batch->arena, info->count * sizeof(*batch->items));
	struct item_run run = {0};
	for (uint32_t i = 0; i < info->count; i++) {
		if (!item_run_decode(&run, &r, &batch->arena, &batch->items[i]) || !item_fits(file, &batch->items[i]))
			return damaged(file, info, "an item does not make sense", err);
	}
	if (byte_reader_left(&r) != 0)
		return damaged(file, info, "bytes are left behind the last item", err);
	batch->first_ordinal = info->first;
	batch->count = info->count;
	return 0;
}

void replay_item_sql(const struct replay_file *file, const struct item *item, struct strbuf *out)
{
	if (item->text == ITEM_NO_TEXT)
		return;
	(void)sql_template_expand(file->texts[item->text].template_text, item->literals, item->literal_count, out);
}

uint64_t replay_item_fingerprint(const struct replay_file *file, const struct item *item, struct strbuf *normalized)
{
	if (item->text == ITEM_NO_TEXT)
		return 0;
	if (item->text == REPLAY_TEXT_WHOLE && item->literal_count == 1)
		return sql_fingerprint(SQL_POSTGRESQL, item->literals[0], normalized);
	const struct replay_text *text = &file->texts[item->text];
	if (normalized)
		strbuf_add(normalized, text->normalized.p, text->normalized.len);
	return text->fingerprint;
}
