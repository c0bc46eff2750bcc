/*
 * Writing a health log: see health_log.h and docs/formats.md. A sample is its time as a difference from the one before,
 * the number of its values, and for each the series (difference) and the value (difference from that series' value
 * before, within the chunk). Most series hardly move from one second to the next, so a value takes two or three bytes
 * before it is deflated.
 */
#include "byte_code.h"
#include "chunk_file.h"
#include "health_log.h"
#include "health_log_file.h"
#include "mem.h"

#include <uthash.h>

#define SAMPLES_PER_CHUNK 600

struct known_series {
	struct health_series id;
	uint32_t row;
	UT_hash_handle hh;
};

struct health_log_writer {
	struct chunk_writer *chunks;
	char lane[32];
	int64_t interval_ns;
	struct known_series *known;
	struct known_series *rows[HEALTH_SERIES_MAX];
	uint32_t series_count;
	uint64_t series_lost;
	int64_t value[HEALTH_SERIES_MAX];    /* of this sample */
	bool is_set[HEALTH_SERIES_MAX];	     /* … */
	int64_t previous[HEALTH_SERIES_MAX]; /* as last written into this chunk */
	struct strbuf chunk;
	uint32_t chunk_samples;
	int64_t chunk_time_ns; /* of the last sample in it */
	int64_t time_ns;
	uint64_t samples;
	int64_t first_ns;
	int64_t last_ns;
};

int health_log_writer_open(const char *path, const char *lane, int64_t interval_ns, struct health_log_writer **out,
			   struct error *err)
{
	struct health_log_writer *writer = mem_zalloc(1, sizeof(*writer));
	(void)snprintf(writer->lane, sizeof(writer->lane), "%s", lane);
	writer->interval_ns = interval_ns;
	strbuf_init(&writer->chunk, CHUNK_RAW_MAX);
	int rc = chunk_writer_open(path, HEALTH_LOG_KIND, HEALTH_LOG_VERSION, &writer->chunks, err);
	if (rc < 0) {
		health_log_writer_abort(writer);
		return rc;
	}
	*out = writer;
	return 0;
}

uint32_t health_log_writer_series(struct health_log_writer *writer, const char *name, const char *key)
{
	struct health_series id;
	memset(&id, 0, sizeof(id)); /* all of it is hashed */
	(void)snprintf(id.name, sizeof(id.name), "%s", name);
	(void)snprintf(id.key, sizeof(id.key), "%s", key ? key : "");
	struct known_series *entry;
	HASH_FIND(hh, writer->known, &id, sizeof(id), entry);
	if (entry)
		return entry->row;
	if (writer->series_count == HEALTH_SERIES_MAX) {
		writer->series_lost++;
		return HEALTH_NO_SERIES;
	}
	entry = mem_zalloc(1, sizeof(*entry));
	entry->id = id;
	entry->row = writer->series_count;
	writer->rows[writer->series_count++] = entry;
	HASH_ADD(hh, writer->known, id, sizeof(id), entry);
	return entry->row;
}

void health_log_writer_begin(struct health_log_writer *writer, int64_t time_ns)
{
	writer->time_ns = time_ns;
	memset(writer->is_set, 0, sizeof(writer->is_set));
}

void health_log_writer_set(struct health_log_writer *writer, uint32_t series, int64_t value)
{
	if (series >= writer->series_count)
		return;
	writer->value[series] = value;
	writer->is_set[series] = true;
}

static int flush_chunk(struct health_log_writer *writer, struct error *err)
{
	if (writer->chunk_samples == 0)
		return 0;
	if (writer->chunk.overflow)
		return error_set(err, ERR_INTERNAL, "health log: a chunk is larger than 64 MB");
	int rc = chunk_writer_add(writer->chunks, HEALTH_CHUNK_SAMPLES, writer->chunk_samples,
				  writer->samples - writer->chunk_samples, writer->chunk.data, writer->chunk.len, err);
	strbuf_clear(&writer->chunk);
	memset(writer->previous, 0, sizeof(writer->previous));
	writer->chunk_samples = 0;
	writer->chunk_time_ns = 0;
	return rc;
}

/* Differences wrap around as unsigned numbers do, so that no value whatever is out of range. */
static int64_t difference(int64_t value, int64_t from)
{
	return (int64_t)((uint64_t)value - (uint64_t)from);
}

int health_log_writer_end(struct health_log_writer *writer, struct error *err)
{
	struct strbuf *out = &writer->chunk;
	uint64_t count = 0;
	uint32_t last = 0;
	for (uint32_t i = 0; i < writer->series_count; i++)
		count += writer->is_set[i];
	byte_put_signed(out, difference(writer->time_ns, writer->chunk_time_ns));
	byte_put_varint(out, count);
	for (uint32_t i = 0; i < writer->series_count; i++) {
		if (!writer->is_set[i])
			continue;
		byte_put_varint(out, i - last);
		byte_put_signed(out, difference(writer->value[i], writer->previous[i]));
		writer->previous[i] = writer->value[i];
		last = i;
	}
	writer->chunk_time_ns = writer->time_ns;
	if (writer->samples++ == 0)
		writer->first_ns = writer->time_ns;
	writer->last_ns = writer->time_ns;
	return ++writer->chunk_samples == SAMPLES_PER_CHUNK ? flush_chunk(writer, err) : 0;
}

static void put_text(struct strbuf *out, const char *text)
{
	byte_put_span(out, span_from_str(text));
}

static void put_activity(struct strbuf *out, const struct health_activity *activity)
{
	byte_put_varint(out, activity->kind);
	byte_put_signed(out, activity->pid);
	put_text(out, activity->relation);
	put_text(out, activity->index);
	put_text(out, activity->command);
	byte_put_signed(out, activity->start_ns);
	byte_put_signed(out, activity->end_ns);
	byte_put_varint(out, activity->open);
	byte_put_varint(out, activity->phase_count);
	for (size_t i = 0; i < activity->phase_count; i++) {
		const struct health_phase *phase = &activity->phases[i];
		put_text(out, phase->name);
		byte_put_signed(out, phase->start_ns);
		byte_put_signed(out, phase->end_ns);
		byte_put_signed(out, phase->done);
		byte_put_signed(out, phase->total);
	}
}

/* Adds what was put into *out as one chunk, and empties it. */
static int add_chunk(struct health_log_writer *writer, const char type[4], size_t count, struct strbuf *out,
		     struct error *err)
{
	int rc = out->overflow ? error_set(err, ERR_INTERNAL, "health log: a table is larger than 64 MB")
			       : chunk_writer_add(writer->chunks, type, (uint32_t)count, 0, out->data, out->len, err);
	strbuf_clear(out);
	return rc;
}

static int write_tables(struct health_log_writer *writer, const struct health_log_rest *rest, struct error *err)
{
	struct strbuf out;
	strbuf_init(&out, CHUNK_RAW_MAX);
	for (uint32_t i = 0; i < writer->series_count; i++) {
		put_text(&out, writer->rows[i]->id.name);
		put_text(&out, writer->rows[i]->id.key);
	}
	int rc = add_chunk(writer, HEALTH_CHUNK_SERIES, writer->series_count, &out, err);
	for (size_t i = 0; i < rest->activity_count; i++)
		put_activity(&out, &rest->activities[i]);
	if (rc == 0)
		rc = add_chunk(writer, HEALTH_CHUNK_ACTIVITIES, rest->activity_count, &out, err);
	for (size_t i = 0; i < rest->gap_count; i++) {
		byte_put_signed(&out, rest->gaps[i].start_ns);
		byte_put_signed(&out, rest->gaps[i].end_ns);
	}
	if (rc == 0)
		rc = add_chunk(writer, HEALTH_CHUNK_GAPS, rest->gap_count, &out, err);
	for (size_t i = 0; i < rest->note_count; i++) {
		put_text(&out, rest->notes[i].group);
		put_text(&out, rest->notes[i].reason);
		byte_put_varint(&out, rest->notes[i].samples);
	}
	if (rc == 0)
		rc = add_chunk(writer, HEALTH_CHUNK_NOTES, rest->note_count, &out, err);
	put_text(&out, writer->lane);
	byte_put_signed(&out, writer->interval_ns);
	byte_put_varint(&out, writer->samples);
	byte_put_signed(&out, writer->first_ns);
	byte_put_signed(&out, writer->last_ns);
	byte_put_varint(&out, writer->series_lost);
	byte_put_varint(&out, rest->activities_lost);
	if (rc == 0)
		rc = add_chunk(writer, HEALTH_CHUNK_SUMMARY, 1, &out, err);
	strbuf_release(&out);
	return rc;
}

int health_log_writer_commit(struct health_log_writer *writer, const struct health_log_rest *rest, struct error *err)
{
	int rc = flush_chunk(writer, err);
	if (rc == 0)
		rc = write_tables(writer, rest, err);
	struct chunk_writer *chunks = writer->chunks;
	writer->chunks = NULL;
	health_log_writer_abort(writer);
	return chunk_writer_end(chunks, rc, err);
}

void health_log_writer_abort(struct health_log_writer *writer)
{
	if (!writer)
		return;
	chunk_writer_abort(writer->chunks);
	struct known_series *entry;
	struct known_series *next;
	HASH_ITER (hh, writer->known, entry, next) {
		HASH_DEL(writer->known, entry);
		free(entry);
	}
	strbuf_release(&writer->chunk);
	free(writer);
}
