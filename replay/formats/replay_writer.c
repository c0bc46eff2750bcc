/* Writing a replay file: see replay_file.h. Items stream out in batches; the tables follow at the end. */
#include "replay_file.h"

#include "chunk_file.h"
#include "mem.h"
#include "strbuf.h"

#define BATCH_ITEMS 4096
#define BATCH_BYTES ((size_t)1024 * 1024)
/* A table is one chunk, so this is also the most that a table may take. */
#define TABLE_BYTES (CHUNK_RAW_MAX - 1)

struct replay_writer {
	struct chunk_writer *chunks;
	struct strbuf sessions;
	struct strbuf texts;
	struct strbuf sources;
	uint32_t session_count;
	uint32_t text_count;
	uint32_t source_count;
	struct strbuf body; /* of one item */
	struct strbuf batch;
	struct item_run run; /* what the batch's items are told from */
	uint32_t batch_count;
	uint64_t batch_first;
	uint64_t item_count;
	uint64_t kind_counts[ITEM_KIND_COUNT];
	int64_t start_wall_ns;
	int64_t last_wall_ns;
};

static void writer_free(struct replay_writer *writer)
{
	strbuf_release(&writer->sessions);
	strbuf_release(&writer->texts);
	strbuf_release(&writer->sources);
	strbuf_release(&writer->body);
	strbuf_release(&writer->batch);
	free(writer);
}

int replay_writer_open(const char *path, struct replay_writer **out, struct error *err)
{
	struct replay_writer *writer = mem_zalloc(1, sizeof(*writer));
	strbuf_init(&writer->sessions, TABLE_BYTES);
	strbuf_init(&writer->texts, TABLE_BYTES);
	strbuf_init(&writer->sources, TABLE_BYTES);
	strbuf_init(&writer->body, CHUNK_RAW_MAX);
	strbuf_init(&writer->batch, CHUNK_RAW_MAX);
	int rc = chunk_writer_open(path, "RPLY", REPLAY_FILE_VERSION, &writer->chunks, err);
	if (rc < 0) {
		writer_free(writer);
		return rc;
	}
	struct replay_text whole = {.template_text = {"\0", 1}, .normalized = {"", 0}};
	(void)replay_writer_add_text(writer, &whole);
	*out = writer;
	return 0;
}

void replay_writer_use_threads(struct replay_writer *writer, unsigned threads)
{
	chunk_writer_use_threads(writer->chunks, threads);
}

uint32_t replay_writer_add_session(struct replay_writer *writer, const struct replay_session *session)
{
	byte_put_span(&writer->sessions, session->user);
	byte_put_span(&writer->sessions, session->database);
	byte_put_span(&writer->sessions, session->application);
	byte_put_span(&writer->sessions, session->client);
	return writer->session_count++;
}

uint32_t replay_writer_add_text(struct replay_writer *writer, const struct replay_text *text)
{
	byte_put_u64(&writer->texts, text->fingerprint);
	byte_put_span(&writer->texts, text->template_text);
	byte_put_span(&writer->texts, text->normalized);
	return writer->text_count++;
}

uint32_t replay_writer_add_source(struct replay_writer *writer, const char *path)
{
	byte_put_span(&writer->sources, span_from_str(path));
	return writer->source_count++;
}

static int flush_batch(struct replay_writer *writer, struct error *err)
{
	if (writer->batch_count == 0)
		return 0;
	int rc = chunk_writer_add(writer->chunks, "ITEM", writer->batch_count, writer->batch_first, writer->batch.data,
				  writer->batch.len, err);
	strbuf_clear(&writer->batch);
	writer->batch_first += writer->batch_count;
	writer->batch_count = 0;
	writer->run = (struct item_run){0};
	return rc;
}

int replay_writer_add_coded(struct replay_writer *writer, const struct item *item, struct span body, struct error *err)
{
	if (writer->item_count == 0)
		writer->start_wall_ns = item->time_ns;
	else if (item->time_ns < writer->last_wall_ns)
		return error_set(err, ERR_INTERNAL, "item %llu is due before the one in front of it",
				 (unsigned long long)writer->item_count);
	struct byte_reader r;
	byte_reader_init(&r, body.p, body.len);
	if (item->session >= writer->session_count || (body.len > 0 && byte_get_varint(&r) >= writer->text_count))
		return error_set(err, ERR_INTERNAL, "item %llu refers to a row that is not there",
				 (unsigned long long)writer->item_count);
	writer->last_wall_ns = item->time_ns;
	struct item relative = *item;
	relative.time_ns -= writer->start_wall_ns;
	item_run_encode(&writer->run, &relative, body, &writer->batch);
	if (writer->batch.overflow)
		return error_set(err, ERR_INTERNAL, "item %llu is larger than a chunk may be",
				 (unsigned long long)writer->item_count);
	writer->batch_count++;
	writer->item_count++;
	writer->kind_counts[item->kind]++;
	if (writer->batch_count == BATCH_ITEMS || writer->batch.len >= BATCH_BYTES)
		return flush_batch(writer, err);
	return 0;
}

int replay_writer_add_item(struct replay_writer *writer, const struct item *item, struct error *err)
{
	strbuf_clear(&writer->body);
	item_encode_body(item, &writer->body);
	if (writer->body.overflow)
		return error_set(err, ERR_INTERNAL, "item %llu is larger than a chunk may be",
				 (unsigned long long)writer->item_count);
	return replay_writer_add_coded(writer, item, (struct span){writer->body.data, writer->body.len}, err);
}

static int write_table(struct replay_writer *writer, const char type[4], const struct strbuf *table, uint32_t count,
		       struct error *err)
{
	if (table->overflow)
		return error_set(err, ERR_INTERNAL, "the table %.4s is larger than 64 MB", type);
	return chunk_writer_add(writer->chunks, type, count, 0, table->data, table->len, err);
}

static int write_summary(struct replay_writer *writer, const json_t *capture, struct error *err)
{
	char *text = json_dumps(capture, JSON_COMPACT);
	if (!text)
		return error_set(err, ERR_INTERNAL, "the account of the capture cannot be written as JSON");
	struct strbuf summary;
	strbuf_init(&summary, TABLE_BYTES);
	byte_put_signed(&summary, writer->start_wall_ns);
	byte_put_signed(&summary, writer->last_wall_ns - writer->start_wall_ns);
	byte_put_varint(&summary, writer->item_count);
	for (int i = 0; i < ITEM_KIND_COUNT; i++)
		byte_put_varint(&summary, writer->kind_counts[i]);
	byte_put_span(&summary, span_from_str(text));
	free(text);
	int rc = write_table(writer, "SUMM", &summary, 1, err);
	strbuf_release(&summary);
	return rc;
}

int replay_writer_commit(struct replay_writer *writer, const json_t *capture, struct error *err)
{
	int rc = flush_batch(writer, err);
	if (writer->item_count == 0)
		writer->start_wall_ns = writer->last_wall_ns = 0;
	if (rc == 0)
		rc = write_table(writer, "SESS", &writer->sessions, writer->session_count, err);
	if (rc == 0)
		rc = write_table(writer, "TEXT", &writer->texts, writer->text_count, err);
	if (rc == 0)
		rc = write_table(writer, "SRCS", &writer->sources, writer->source_count, err);
	if (rc == 0)
		rc = write_summary(writer, capture, err);
	rc = chunk_writer_end(writer->chunks, rc, err);
	writer_free(writer);
	return rc;
}

void replay_writer_abort(struct replay_writer *writer)
{
	if (!writer)
		return;
	chunk_writer_abort(writer->chunks);
	writer_free(writer);
}
