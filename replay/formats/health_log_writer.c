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
#include "health_look.h"
#include "mem.h"

#include <stdlib.h>
#include <uthash.h>

#define SAMPLES_PER_CHUNK 600
#define LOOKS_PER_CHUNK	  600
#define LOOKS_BYTES	  ((size_t)1 << 20) /* a chunk of looks ends when it is so large, too */

struct known_series {
	struct health_series id;
	uint32_t row;
	UT_hash_handle hh;
};

struct known_event {
	struct health_event id;
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
	struct known_event *known_events;
	struct known_event *events[HEALTH_EVENTS_MAX];
	uint32_t event_count;
	struct strbuf look_chunk;
	uint32_t chunk_looks;
	int64_t look_us; /* of the last look in it */
	uint64_t looks;
	uint64_t active_lost;
};

int health_log_writer_open(const char *path, const char *lane, int64_t interval_ns, struct health_log_writer **out,
			   struct error *err)
{
	struct health_log_writer *writer = mem_zalloc(1, sizeof(*writer));
	(void)snprintf(writer->lane, sizeof(writer->lane), "%s", lane);
	writer->interval_ns = interval_ns;
	strbuf_init(&writer->chunk, CHUNK_RAW_MAX);
	strbuf_init(&writer->look_chunk, CHUNK_RAW_MAX);
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

uint32_t health_log_writer_event(struct health_log_writer *writer, const char *name)
{
	struct known_event *entry;
	struct health_event id;
	(void)snprintf(id.name, sizeof(id.name), "%s", name);
	HASH_FIND_STR(writer->known_events, id.name, entry);
	if (entry)
		return entry->row;
	if (writer->event_count == HEALTH_EVENTS_MAX)
		return HEALTH_NO_EVENT;
	entry = mem_zalloc(1, sizeof(*entry));
	entry->id = id;
	entry->row = writer->event_count;
	writer->events[writer->event_count++] = entry;
	HASH_ADD_STR(writer->known_events, id.name, entry);
	return entry->row;
}

void health_log_writer_lose(struct health_log_writer *writer, uint64_t processes)
{
	writer->active_lost += processes;
}

static int flush_looks(struct health_log_writer *writer, struct error *err)
{
	if (writer->chunk_looks == 0)
		return 0;
	if (writer->look_chunk.overflow)
		return error_set(err, ERR_INTERNAL, "health log: a chunk is larger than 64 MB");
	int rc = chunk_writer_add(writer->chunks, HEALTH_CHUNK_LOOKS, writer->chunk_looks,
				  writer->looks - writer->chunk_looks, writer->look_chunk.data, writer->look_chunk.len,
				  err);
	strbuf_clear(&writer->look_chunk);
	writer->chunk_looks = 0;
	writer->look_us = 0;
	return rc;
}

static int compare_active(const void *a, const void *b)
{
	const struct health_active *x = a;
	const struct health_active *y = b;
	if (x->pid != y->pid)
		return x->pid < y->pid ? -1 : 1;
	return (x->event > y->event) - (x->event < y->event);
}

int health_log_writer_look(struct health_log_writer *writer, int64_t asked_ns, int64_t answered_ns,
			   struct health_active *active, size_t count, struct error *err)
{
	struct health_look look = {.asked_ns = asked_ns, .answered_ns = answered_ns, .active = active};
	for (size_t i = 0; i < count; i++) {
		if (look.count < HEALTH_LOOK_MAX && active[i].pid > 0 && active[i].event < writer->event_count)
			active[look.count++] = active[i];
	}
	writer->active_lost += count - look.count;
	if (look.count)
		qsort(active, look.count, sizeof(*active), compare_active);
	health_look_put(&writer->look_chunk, &look, &writer->look_us);
	writer->looks++;
	writer->chunk_looks++;
	if (writer->chunk_looks < LOOKS_PER_CHUNK && writer->look_chunk.len < LOOKS_BYTES)
		return 0;
	return flush_looks(writer, err);
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
	for (uint32_t i = 0; i < writer->event_count; i++)
		put_text(&out, writer->events[i]->id.name);
	if (rc == 0)
		rc = add_chunk(writer, HEALTH_CHUNK_EVENTS, writer->event_count, &out, err);
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
	byte_put_varint(&out, writer->looks);
	byte_put_varint(&out, writer->active_lost);
	if (rc == 0)
		rc = add_chunk(writer, HEALTH_CHUNK_SUMMARY, 1, &out, err);
	strbuf_release(&out);
	return rc;
}

int health_log_writer_commit(struct health_log_writer *writer, const struct health_log_rest *rest, struct error *err)
{
	int rc = flush_chunk(writer, err);
	if (rc == 0)
		rc = flush_looks(writer, err);
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
	struct known_event *event;
	struct known_event *next_event;
	HASH_ITER (hh, writer->known_events, event, next_event) {
		HASH_DEL(writer->known_events, event);
		free(event);
	}
	strbuf_release(&writer->chunk);
	strbuf_release(&writer->look_chunk);
	free(writer);
}
