/* A run log: see run_log.h. */
#include "run_log.h"

#include "byte_code.h"
#include "chunk_file.h"
#include "columns.h"
#include "mem.h"

#include <stdlib.h>

#define RUN_LOG_VERSION 1
#define SESSION_BYTES	32 /* a session's row takes fewer */

static const struct column columns[] = {
	COLUMN(struct run_record, late_ns), COLUMN(struct run_record, service_ns), COLUMN(struct run_record, lag_us),
	COLUMN(struct run_record, rows),    COLUMN(struct run_record, sqlstate),   COLUMN(struct run_record, outcome),
	COLUMN(struct run_record, flags),   COLUMN(struct run_record, reason),	   COLUMN(struct run_record, digest),
};
#define COLUMN_COUNT (sizeof(columns) / sizeof(columns[0]))

const char *run_skip_reason_name(enum run_skip_reason reason)
{
	static const char *const names[RUN_SKIP_REASON_COUNT] = {
		"not_reached",	     "session_lost", "interrupted",  "nothing_to_cancel", "outside",
		"behind_unfinished", "unsendable",   "max_sessions", "stalled",
	};
	return (unsigned)reason < RUN_SKIP_REASON_COUNT ? names[reason] : "unknown";
}

/* A page in which some ordinals are still open. */
struct open_page {
	struct open_page *next;
	uint32_t page;
	uint32_t missing; /* ordinals without a record */
	struct run_record records[RUN_LOG_PAGE];
};

struct run_log_writer {
	struct chunk_writer *chunks;
	uint64_t item_count;
	uint32_t page_count;
	uint32_t next_new;	 /* pages from here on have no record yet */
	struct open_page *open;	 /* unordered; a handful */
	struct open_page *spare; /* for the next page: pages come and go at the pace of the replay */
	unsigned char *packed;
	struct run_session *sessions;
	size_t session_count;
	size_t session_capacity;
};

int run_log_writer_open(const char *path, uint64_t item_count, struct run_log_writer **out, struct error *err)
{
	struct run_log_writer *writer = mem_zalloc(1, sizeof(*writer));
	int rc = chunk_writer_open(path, "RLOG", RUN_LOG_VERSION, &writer->chunks, err);
	if (rc < 0) {
		free(writer);
		return rc;
	}
	writer->item_count = item_count;
	writer->page_count = (uint32_t)((item_count + RUN_LOG_PAGE - 1) / RUN_LOG_PAGE);
	writer->packed = mem_alloc(RUN_LOG_PAGE * columns_row_size(columns, COLUMN_COUNT));
	*out = writer;
	return 0;
}

static void writer_free(struct run_log_writer *writer)
{
	while (writer->open) {
		struct open_page *next = writer->open->next;
		free(writer->open);
		writer->open = next;
	}
	free(writer->spare);
	free(writer->packed);
	free(writer->sessions);
	free(writer);
}

static uint32_t page_length(const struct run_log_writer *writer, uint32_t page)
{
	uint64_t left = writer->item_count - (uint64_t)page * RUN_LOG_PAGE;
	return left < RUN_LOG_PAGE ? (uint32_t)left : RUN_LOG_PAGE;
}

static struct open_page *add_page(struct run_log_writer *writer)
{
	struct open_page *page = writer->spare;
	if (page)
		memset(page->records, 0, sizeof(page->records));
	else
		page = mem_zalloc(1, sizeof(*page));
	writer->spare = NULL;
	page->page = writer->next_new++;
	page->missing = page_length(writer, page->page);
	page->next = writer->open;
	writer->open = page;
	return page;
}

static int write_page(struct run_log_writer *writer, const struct open_page *page, struct error *err)
{
	uint32_t count = page_length(writer, page->page);
	columns_pack(columns, COLUMN_COUNT, page->records, sizeof(page->records[0]), count, writer->packed);
	return chunk_writer_add(writer->chunks, "PAGE", count, (uint64_t)page->page * RUN_LOG_PAGE, writer->packed,
				count * columns_row_size(columns, COLUMN_COUNT), err);
}

static void close_page(struct run_log_writer *writer, struct open_page *page)
{
	struct open_page **link = &writer->open;
	while (*link != page)
		link = &(*link)->next;
	*link = page->next;
	free(writer->spare);
	writer->spare = page;
}

static struct open_page *find_page(struct run_log_writer *writer, uint32_t number)
{
	for (struct open_page *page = writer->open; page; page = page->next) {
		if (page->page == number)
			return page;
	}
	struct open_page *page = NULL;
	while (number >= writer->next_new && writer->next_new < writer->page_count)
		page = add_page(writer);
	return page;
}

int run_log_writer_put(struct run_log_writer *writer, uint64_t ordinal, const struct run_record *record,
		       struct error *err)
{
	struct open_page *page = find_page(writer, (uint32_t)(ordinal / RUN_LOG_PAGE));
	struct run_record *slot = page ? &page->records[ordinal % RUN_LOG_PAGE] : NULL;
	if (!slot || slot->outcome != RUN_NOT_REACHED)
		return error_set(err, ERR_INTERNAL, "item %llu has a second outcome", (unsigned long long)ordinal);
	*slot = *record;
	if (--page->missing > 0)
		return 0;
	int rc = write_page(writer, page, err);
	close_page(writer, page);
	return rc;
}

void run_log_writer_add_session(struct run_log_writer *writer, const struct run_session *session)
{
	MEM_GROW(writer->sessions, writer->session_count, writer->session_capacity);
	writer->sessions[writer->session_count++] = *session;
}

static int write_rest(struct run_log_writer *writer, struct error *err)
{
	while (writer->next_new < writer->page_count)
		(void)add_page(writer);
	int rc = 0;
	for (struct open_page *page = writer->open; rc == 0 && page; page = page->next)
		rc = write_page(writer, page, err);
	if (rc < 0)
		return rc;
	struct strbuf table;
	strbuf_init(&table, writer->session_count * SESSION_BYTES);
	for (size_t i = 0; i < writer->session_count; i++) {
		byte_put_varint(&table, writer->sessions[i].session);
		byte_put_signed(&table, writer->sessions[i].backend_pid);
		byte_put_signed(&table, writer->sessions[i].opened_ns);
		byte_put_signed(&table, writer->sessions[i].closed_ns);
	}
	rc = chunk_writer_add(writer->chunks, "SESS", (uint32_t)writer->session_count, 0, table.data, table.len, err);
	strbuf_release(&table);
	return rc;
}

int run_log_writer_commit(struct run_log_writer *writer, struct error *err)
{
	int rc = write_rest(writer, err);
	rc = chunk_writer_end(writer->chunks, rc, err);
	writer_free(writer);
	return rc;
}

void run_log_writer_abort(struct run_log_writer *writer)
{
	if (!writer)
		return;
	chunk_writer_abort(writer->chunks);
	writer_free(writer);
}

struct run_log {
	struct chunk_reader *chunks;
	uint64_t count;
	uint32_t *pages; /* chunk number of each page: pages are written as they fill up */
	uint32_t page_count;
	struct run_session *sessions;
	uint32_t session_count;
	unsigned char *data;
	size_t capacity;
};

static int damaged(const struct run_log *log, const struct chunk_info *info, struct error *err)
{
	return error_set(err, ERR_DATA, "%s: damaged at offset %llu", chunk_reader_path(log->chunks),
			 (unsigned long long)info->offset);
}

static int load_sessions(struct run_log *log, size_t chunk, struct error *err)
{
	const struct chunk_info *info = chunk_reader_info(log->chunks, chunk);
	size_t len = 0;
	int rc = chunk_reader_read(log->chunks, chunk, &log->data, &log->capacity, &len, err);
	if (rc < 0)
		return rc;
	if (info->count > len || log->sessions)
		return damaged(log, info, err);
	struct byte_reader r;
	byte_reader_init(&r, log->data, len);
	log->session_count = info->count;
	log->sessions = mem_zalloc(info->count, sizeof(*log->sessions));
	for (uint32_t i = 0; i < info->count; i++) {
		log->sessions[i].session = (uint32_t)byte_get_varint(&r);
		log->sessions[i].backend_pid = (int32_t)byte_get_signed(&r);
		log->sessions[i].opened_ns = byte_get_signed(&r);
		log->sessions[i].closed_ns = byte_get_signed(&r);
	}
	return r.failed ? damaged(log, info, err) : 0;
}

static int load_directory(struct run_log *log, struct error *err)
{
	size_t chunks = chunk_reader_count(log->chunks);
	log->pages = mem_alloc(chunks * sizeof(*log->pages));
	memset(log->pages, 0xff, chunks * sizeof(*log->pages));
	for (size_t i = 0; i < chunks; i++) {
		const struct chunk_info *info = chunk_reader_info(log->chunks, i);
		if (memcmp(info->type, "PAGE", 4) == 0) {
			uint64_t page = info->first / RUN_LOG_PAGE;
			if (page >= chunks || info->first % RUN_LOG_PAGE != 0 || log->pages[page] != UINT32_MAX ||
			    info->count > RUN_LOG_PAGE || info->count == 0)
				return damaged(log, info, err);
			log->pages[page] = (uint32_t)i;
			log->page_count++;
			log->count += info->count;
		} else {
			int rc = load_sessions(log, i, err);
			if (rc < 0)
				return rc;
		}
	}
	for (uint32_t page = 0; page < log->page_count; page++) {
		if (log->pages[page] == UINT32_MAX)
			return error_set(err, ERR_DATA, "%s: damaged: page %u is missing",
					 chunk_reader_path(log->chunks), page);
		const struct chunk_info *info = chunk_reader_info(log->chunks, log->pages[page]);
		if (info->count < RUN_LOG_PAGE && page + 1 < log->page_count)
			return damaged(log, info, err);
	}
	return 0;
}

int run_log_open(const char *path, struct run_log **out, struct error *err)
{
	struct run_log *log = mem_zalloc(1, sizeof(*log));
	int rc = chunk_reader_open(path, "RLOG", RUN_LOG_VERSION, &log->chunks, err);
	if (rc == 0)
		rc = load_directory(log, err);
	if (rc < 0) {
		run_log_free(log);
		return rc;
	}
	*out = log;
	return 0;
}

void run_log_free(struct run_log *log)
{
	if (!log)
		return;
	chunk_reader_free(log->chunks);
	free(log->pages);
	free(log->sessions);
	free(log->data);
	free(log);
}

uint64_t run_log_count(const struct run_log *log)
{
	return log->count;
}

uint32_t run_log_session_count(const struct run_log *log)
{
	return log->session_count;
}

const struct run_session *run_log_session(const struct run_log *log, uint32_t row)
{
	return &log->sessions[row];
}

int run_log_read_page(struct run_log *log, uint32_t page, struct run_record *records, uint32_t *count,
		      struct error *err)
{
	if (page >= log->page_count)
		return error_set(err, ERR_INTERNAL, "%s: has no page %u", chunk_reader_path(log->chunks), page);
	const struct chunk_info *info = chunk_reader_info(log->chunks, log->pages[page]);
	size_t len = 0;
	int rc = chunk_reader_read(log->chunks, log->pages[page], &log->data, &log->capacity, &len, err);
	if (rc < 0)
		return rc;
	if (len != info->count * columns_row_size(columns, COLUMN_COUNT))
		return damaged(log, info, err);
	memset(records, 0, info->count * sizeof(*records));
	columns_unpack(columns, COLUMN_COUNT, log->data, records, sizeof(*records), info->count);
	for (uint32_t i = 0; i < info->count; i++) {
		if (records[i].outcome > RUN_SKIPPED || records[i].reason >= RUN_SKIP_REASON_COUNT)
			return damaged(log, info, err);
	}
	*count = info->count;
	return 0;
}
