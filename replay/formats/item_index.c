/* The item index of a run directory: see item_index.h. */
#include "item_index.h"

#include "chunk_file.h"
#include "columns.h"
#include "mem.h"
#include "sql_fingerprint.h"

#include <uthash.h>

#define ITEM_INDEX_VERSION 1

static const struct column columns[] = {
	COLUMN(struct item_index_row, due_ns),
	COLUMN(struct item_index_row, capture_duration_ns),
	COLUMN(struct item_index_row, session),
	COLUMN(struct item_index_row, fingerprint),
	COLUMN(struct item_index_row, capture_sqlstate),
	COLUMN(struct item_index_row, source_file),
	COLUMN(struct item_index_row, source_line),
	COLUMN(struct item_index_row, kind),
	COLUMN(struct item_index_row, flags),
};
#define COLUMN_COUNT (sizeof(columns) / sizeof(columns[0]))

struct known_fingerprint {
	uint64_t hash;
	uint32_t row;
	UT_hash_handle hh;
};

struct item_index_writer {
	struct chunk_writer *chunks;
	struct item_index_row *rows; /* the page being filled */
	uint32_t row_count;
	uint64_t first;
	unsigned char *packed;
	struct known_fingerprint *known;
	struct strbuf fingerprints;
	uint32_t fingerprint_count;
};

static void writer_free(struct item_index_writer *writer)
{
	struct known_fingerprint *entry;
	struct known_fingerprint *next;
	HASH_ITER (hh, writer->known, entry, next) {
		HASH_DEL(writer->known, entry);
		free(entry);
	}
	strbuf_release(&writer->fingerprints);
	free(writer->rows);
	free(writer->packed);
	free(writer);
}

int item_index_writer_open(const char *path, struct item_index_writer **out, struct error *err)
{
	struct item_index_writer *writer = mem_zalloc(1, sizeof(*writer));
	strbuf_init(&writer->fingerprints, CHUNK_RAW_MAX);
	int rc = chunk_writer_open(path, "RIDX", ITEM_INDEX_VERSION, &writer->chunks, err);
	if (rc < 0) {
		writer_free(writer);
		return rc;
	}
	writer->rows = mem_zalloc(ITEM_INDEX_PAGE, sizeof(*writer->rows));
	writer->packed = mem_alloc(ITEM_INDEX_PAGE * columns_row_size(columns, COLUMN_COUNT));
	*out = writer;
	return 0;
}

static int flush_page(struct item_index_writer *writer, struct error *err)
{
	if (writer->row_count == 0)
		return 0;
	columns_pack(columns, COLUMN_COUNT, writer->rows, sizeof(*writer->rows), writer->row_count, writer->packed);
	int rc = chunk_writer_add(writer->chunks, "PAGE", writer->row_count, writer->first, writer->packed,
				  writer->row_count * columns_row_size(columns, COLUMN_COUNT), err);
	writer->first += writer->row_count;
	writer->row_count = 0;
	return rc;
}

int item_index_writer_add(struct item_index_writer *writer, const struct item_index_row *row, struct error *err)
{
	writer->rows[writer->row_count++] = *row;
	return writer->row_count == ITEM_INDEX_PAGE ? flush_page(writer, err) : 0;
}

uint32_t item_index_writer_fingerprint(struct item_index_writer *writer, uint64_t hash, struct span text)
{
	struct known_fingerprint *entry;
	HASH_FIND(hh, writer->known, &hash, sizeof(hash), entry);
	if (!entry) {
		entry = mem_zalloc(1, sizeof(*entry));
		entry->hash = hash;
		entry->row = writer->fingerprint_count++;
		HASH_ADD(hh, writer->known, hash, sizeof(hash), entry);
		byte_put_u64(&writer->fingerprints, hash);
		byte_put_span(&writer->fingerprints, text);
	}
	return entry->row;
}

static int write_sessions(struct item_index_writer *writer, const struct replay_file *file, struct error *err)
{
	struct strbuf table;
	strbuf_init(&table, CHUNK_RAW_MAX);
	uint32_t count = replay_file_session_count(file);
	for (uint32_t i = 0; i < count; i++) {
		const struct replay_session *s = replay_file_session(file, i);
		byte_put_span(&table, s->user);
		byte_put_span(&table, s->database);
		byte_put_span(&table, s->application);
	}
	int rc = table.overflow ? error_set(err, ERR_INTERNAL, "the session table is larger than 64 MB")
				: chunk_writer_add(writer->chunks, "SESS", count, 0, table.data, table.len, err);
	strbuf_clear(&table);
	count = replay_file_source_count(file);
	for (uint32_t i = 0; i < count; i++)
		byte_put_span(&table, span_from_str(replay_file_source(file, i)));
	if (rc == 0)
		rc = chunk_writer_add(writer->chunks, "SRCS", count, 0, table.data, table.len, err);
	strbuf_release(&table);
	return rc;
}

int item_index_writer_commit(struct item_index_writer *writer, const struct replay_file *file, struct error *err)
{
	int rc = flush_page(writer, err);
	if (rc == 0 && writer->fingerprints.overflow)
		rc = error_set(err, ERR_INTERNAL, "the fingerprint table is larger than 64 MB");
	if (rc == 0)
		rc = chunk_writer_add(writer->chunks, "FPRT", writer->fingerprint_count, 0, writer->fingerprints.data,
				      writer->fingerprints.len, err);
	if (rc == 0)
		rc = write_sessions(writer, file, err);
	rc = chunk_writer_end(writer->chunks, rc, err);
	writer_free(writer);
	return rc;
}

void item_index_writer_abort(struct item_index_writer *writer)
{
	if (!writer)
		return;
	chunk_writer_abort(writer->chunks);
	writer_free(writer);
}

struct item_index {
	struct chunk_reader *chunks;
	struct arena arena;
	uint64_t count;
	uint32_t page_count; /* pages are the file's first chunks */
	struct item_fingerprint *fingerprints;
	struct item_session *sessions;
	const char **sources;
	uint32_t fingerprint_count;
	uint32_t session_count;
	uint32_t source_count;
	unsigned char *data;
	size_t capacity;
};

static const char *get_string(struct item_index *index, struct byte_reader *r)
{
	struct span text = byte_get_span(r);
	return arena_copy(&index->arena, text.p ? text.p : "", text.len);
}

static void load_table(struct item_index *index, const struct chunk_info *info, struct byte_reader *r)
{
	uint32_t count = info->count;
	if (memcmp(info->type, "FPRT", 4) == 0) {
		index->fingerprints = arena_alloc(&index->arena, count * sizeof(*index->fingerprints));
		index->fingerprint_count = count;
		for (uint32_t i = 0; i < count; i++) {
			index->fingerprints[i].hash = byte_get_u64(r);
			index->fingerprints[i].text = get_string(index, r);
		}
	} else if (memcmp(info->type, "SESS", 4) == 0) {
		index->sessions = arena_alloc(&index->arena, count * sizeof(*index->sessions));
		index->session_count = count;
		for (uint32_t i = 0; i < count; i++) {
			index->sessions[i].user = get_string(index, r);
			index->sessions[i].database = get_string(index, r);
			index->sessions[i].application = get_string(index, r);
		}
	} else if (memcmp(info->type, "SRCS", 4) == 0) {
		index->sources = arena_alloc(&index->arena, count * sizeof(*index->sources));
		index->source_count = count;
		for (uint32_t i = 0; i < count; i++)
			index->sources[i] = get_string(index, r);
	}
}

static int damaged(const struct item_index *index, const struct chunk_info *info, struct error *err)
{
	return error_set(err, ERR_DATA, "%s: damaged at offset %llu", chunk_reader_path(index->chunks),
			 (unsigned long long)info->offset);
}

static int load_chunk(struct item_index *index, size_t number, struct error *err)
{
	const struct chunk_info *info = chunk_reader_info(index->chunks, number);
	if (memcmp(info->type, "PAGE", 4) == 0) {
		bool full_so_far = index->count == (uint64_t)index->page_count * ITEM_INDEX_PAGE;
		if (number != index->page_count || !full_so_far || info->first != index->count ||
		    info->count > ITEM_INDEX_PAGE)
			return damaged(index, info, err);
		index->count += info->count;
		index->page_count++;
		return 0;
	}
	size_t len = 0;
	int rc = chunk_reader_read(index->chunks, number, &index->data, &index->capacity, &len, err);
	if (rc < 0)
		return rc;
	struct byte_reader r;
	byte_reader_init(&r, index->data, len);
	if (info->count > len)
		return damaged(index, info, err);
	load_table(index, info, &r);
	return r.failed ? damaged(index, info, err) : 0;
}

int item_index_open(const char *path, struct item_index **out, struct error *err)
{
	struct item_index *index = mem_zalloc(1, sizeof(*index));
	arena_init(&index->arena, (size_t)64 * 1024);
	int rc = chunk_reader_open(path, "RIDX", ITEM_INDEX_VERSION, &index->chunks, err);
	for (size_t i = 0; rc == 0 && i < chunk_reader_count(index->chunks); i++)
		rc = load_chunk(index, i, err);
	if (rc < 0) {
		item_index_free(index);
		return rc;
	}
	*out = index;
	return 0;
}

void item_index_free(struct item_index *index)
{
	if (!index)
		return;
	chunk_reader_free(index->chunks);
	arena_release(&index->arena);
	free(index->data);
	free(index);
}

uint64_t item_index_count(const struct item_index *index)
{
	return index->count;
}

uint32_t item_index_fingerprint_count(const struct item_index *index)
{
	return index->fingerprint_count;
}

const struct item_fingerprint *item_index_fingerprint(const struct item_index *index, uint32_t row)
{
	return &index->fingerprints[row];
}

uint32_t item_index_session_count(const struct item_index *index)
{
	return index->session_count;
}

const struct item_session *item_index_session(const struct item_index *index, uint32_t row)
{
	return &index->sessions[row];
}

uint32_t item_index_source_count(const struct item_index *index)
{
	return index->source_count;
}

const char *item_index_source(const struct item_index *index, uint32_t row)
{
	return row < index->source_count ? index->sources[row] : "";
}

int item_index_read_page(struct item_index *index, uint32_t page, struct item_index_row *rows, uint32_t *count,
			 struct error *err)
{
	if (page >= index->page_count)
		return error_set(err, ERR_INTERNAL, "%s: has no page %u", chunk_reader_path(index->chunks), page);
	const struct chunk_info *info = chunk_reader_info(index->chunks, page);
	size_t len = 0;
	int rc = chunk_reader_read(index->chunks, page, &index->data, &index->capacity, &len, err);
	if (rc < 0)
		return rc;
	if (len != info->count * columns_row_size(columns, COLUMN_COUNT))
		return damaged(index, info, err);
	memset(rows, 0, info->count * sizeof(*rows));
	columns_unpack(columns, COLUMN_COUNT, index->data, rows, sizeof(*rows), info->count);
	for (uint32_t i = 0; i < info->count; i++) {
		if (rows[i].session >= index->session_count ||
		    (rows[i].fingerprint != ITEM_NO_TEXT && rows[i].fingerprint >= index->fingerprint_count))
			return damaged(index, info, err);
	}
	*count = info->count;
	return 0;
}
