/*
 * All files of a capture as one stream: see log_merge.h. What was given out is remembered only where files overlap,
 * and for half a minute of log time: the same record stands in both at the same time, so its copy comes soon after it.
 */
#include "log_merge.h"

#include "clock.h"
#include "mem.h"

#include <xxhash.h>

#define SLOTS	     4
#define THREADED_MAX 2 /* files that are read with threads at once */
#define SLOT_NS	     (10 * NS_PER_S)
#define SLOT_SIZE    ((size_t)1024)   /* entries at first */
#define TWIN_NS	     (300 * NS_PER_S) /* a file's first records lie in so much time, or too few are written */
#define NO_TIME	     INT64_MIN

/* How often something was seen: an open hash table that only grows. */
struct seen {
	uint64_t *keys; /* 0: free */
	uint32_t *counts;
	size_t capacity;
	size_t used;
};

struct slot {
	int64_t number; /* of the ten seconds that it holds */
	struct seen seen;
};

struct stream {
	struct log_reader *reader;
	const struct log_source *source;
	const struct log_record *head; /* the reader's */
	int kind;		       /* enum log_read of the head */
	int64_t key_ns;		       /* the head's place; of bytes that are no record, the one before */
};

struct log_merge {
	const struct log_sources *sources;
	struct log_zone *zone;
	struct replay_writer *writer;
	size_t next; /* source */
	struct stream *streams;
	size_t count;
	size_t capacity;
	size_t given;	   /* whose head was given out: it is read on at the next call. SIZE_MAX for none */
	int64_t closed_ns; /* the last time of a file that has ended */
	struct slot slots[SLOTS];
	int64_t done_text_bytes;
	int64_t done_file_bytes;
	unsigned threads; /* 0: none but the caller's */
	size_t block_bytes;
};

/* ---- what was seen ---- */

static void seen_release(struct seen *seen)
{
	free(seen->keys);
	free(seen->counts);
	*seen = (struct seen){0};
}

static uint32_t *seen_find(struct seen *seen, uint64_t key);

static void seen_grow(struct seen *seen)
{
	struct seen old = *seen;
	seen->capacity = old.capacity ? old.capacity * 2 : SLOT_SIZE;
	seen->used = 0;
	seen->keys = mem_zalloc(seen->capacity, sizeof(*seen->keys));
	seen->counts = mem_zalloc(seen->capacity, sizeof(*seen->counts));
	for (size_t i = 0; i < old.capacity; i++) {
		if (old.keys[i])
			*seen_find(seen, old.keys[i]) = old.counts[i];
	}
	seen_release(&old);
}

/* The count of a key, 0 when it is new; valid until the next call. */
static uint32_t *seen_find(struct seen *seen, uint64_t key)
{
	if (seen->used * 2 >= seen->capacity)
		seen_grow(seen);
	key |= 1;
	size_t at = (size_t)(key >> 1) & (seen->capacity - 1);
	while (seen->keys[at] && seen->keys[at] != key)
		at = (at + 1) & (seen->capacity - 1);
	if (!seen->keys[at]) {
		seen->keys[at] = key;
		seen->used++;
	}
	return &seen->counts[at];
}

static int64_t key_time(const struct log_record *record)
{
	int64_t step = record->uncertainty_ns;
	return step > 0 ? record->time_ns - record->time_ns % step : record->time_ns;
}

static uint64_t add_span(uint64_t hash, struct span text)
{
	return XXH3_64bits_withSeed(text.p, text.len, hash + text.len);
}

static uint64_t identity(const struct log_record *record)
{
	uint64_t hash = (uint64_t)key_time(record);
	if (record->session_id.len > 0 && record->session_line > 0)
		return add_span(hash ^ ((uint64_t)record->session_line << 20), record->session_id);
	hash = add_span(hash + record->pid, record->message);
	hash = add_span(hash, record->severity);
	hash = add_span(hash, record->detail);
	hash = add_span(hash, record->context);
	return add_span(hash, record->client);
}

static bool is_duplicate(struct log_merge *merge, const struct log_record *record)
{
	int64_t number = key_time(record) / SLOT_NS;
	struct slot *slot = &merge->slots[(uint64_t)number % SLOTS];
	if (slot->number != number) {
		if (slot->number > number)
			return false; /* far behind: what stood there is forgotten */
		slot->number = number;
		seen_release(&slot->seen);
	}
	uint64_t hash = identity(record);
	uint32_t in_file = ++*seen_find(&slot->seen, hash ^ ((uint64_t)(record->file + 1) * 0x9e3779b97f4a7c15U));
	uint32_t *given = seen_find(&slot->seen, hash);
	if (in_file <= *given)
		return true;
	++*given;
	return false;
}

/* ---- streams ---- */

struct log_merge *log_merge_new(const struct log_sources *sources, struct log_zone *zone, struct replay_writer *writer)
{
	struct log_merge *merge = mem_zalloc(1, sizeof(*merge));
	merge->sources = sources;
	merge->zone = zone;
	merge->writer = writer;
	merge->given = SIZE_MAX;
	merge->closed_ns = NO_TIME;
	for (size_t i = 0; i < SLOTS; i++)
		merge->slots[i].number = NO_TIME;
	return merge;
}

void log_merge_free(struct log_merge *merge)
{
	if (!merge)
		return;
	for (size_t i = 0; i < merge->count; i++)
		log_reader_free(merge->streams[i].reader);
	for (size_t i = 0; i < SLOTS; i++)
		seen_release(&merge->slots[i].seen);
	free(merge->streams);
	free(merge);
}

void log_merge_use_threads(struct log_merge *merge, unsigned threads, size_t block_bytes)
{
	merge->threads = threads;
	merge->block_bytes = block_bytes;
}

static void close_stream(struct log_merge *merge, size_t index)
{
	struct stream *stream = &merge->streams[index];
	merge->done_text_bytes += log_reader_text_bytes(stream->reader);
	merge->done_file_bytes += log_reader_file_bytes(stream->reader);
	if (stream->key_ns > merge->closed_ns)
		merge->closed_ns = stream->key_ns;
	log_reader_free(stream->reader);
	/* in order: of equal times the earlier file's record comes first */
	memmove(stream, stream + 1, (merge->count - index - 1) * sizeof(*stream));
	merge->count--;
}

/* Reads the stream's next head; at its end the stream is closed. */
static int advance(struct log_merge *merge, size_t index, struct error *err)
{
	struct stream *stream = &merge->streams[index];
	stream->kind = log_reader_next(stream->reader, &stream->head, err);
	if (stream->kind < 0)
		return stream->kind;
	if (stream->kind == LOG_READ_RECORD)
		stream->key_ns = key_time(stream->head);
	else if (stream->kind == LOG_READ_END)
		close_stream(merge, index);
	return 0;
}

static int open_next(struct log_merge *merge, struct error *err)
{
	const struct log_source *source = &merge->sources->items[merge->next++];
	uint32_t row = replay_writer_add_source(merge->writer, source->path);
	MEM_GROW(merge->streams, merge->count, merge->capacity);
	struct stream *stream = &merge->streams[merge->count];
	*stream = (struct stream){.source = source, .key_ns = NO_TIME};
	int rc = log_reader_open(source->path, row, source->format, merge->zone, &stream->reader, err);
	if (rc < 0)
		return rc;
	/* Many files side by side would each hold blocks: those that come late do without. */
	if (merge->threads > 0 && merge->count < THREADED_MAX)
		log_reader_use_threads(stream->reader, merge->threads, merge->block_bytes);
	merge->count++;
	return advance(merge, merge->count - 1, err);
}

static size_t earliest(const struct log_merge *merge)
{
	size_t best = 0;
	for (size_t i = 1; i < merge->count; i++) {
		if (merge->streams[i].key_ns < merge->streams[best].key_ns)
			best = i;
	}
	return best;
}

static bool next_is_due(const struct log_merge *merge, int64_t time_ns, int64_t early_ns)
{
	if (merge->next == merge->sources->count)
		return false;
	int64_t first_ns = merge->sources->items[merge->next].first_ns;
	return first_ns != INT64_MAX && first_ns - early_ns <= time_ns;
}

/* Whether a copy of the record may have come, or may come yet. */
static bool overlaps(const struct log_merge *merge, const struct log_record *record)
{
	return merge->count > 1 || next_is_due(merge, record->time_ns, SLOT_NS) ||
	       (merge->closed_ns != NO_TIME && record->time_ns <= merge->closed_ns + SLOT_NS);
}

/* A log in two formats whose files do not begin together: its records would count twice. */
static int check_twins(const struct log_merge *merge, const struct stream *stream, struct error *err)
{
	uint64_t hash = 0;
	for (size_t i = 0; i < merge->sources->count; i++) {
		const struct log_source *other = &merge->sources->items[i];
		if (other->format == stream->source->format || stream->head->pid == 0 ||
		    stream->head->time_ns < other->first_ns - 2 * NS_PER_S ||
		    stream->head->time_ns > other->first_ns + TWIN_NS)
			continue;
		if (hash == 0)
			hash = log_source_record_hash(stream->head);
		for (size_t n = 0; n < other->sample_count; n++) {
			if (other->sample[n] == hash)
				return error_set(err, ERR_DATA,
						 "%s and %s are the same log in two formats; give one of them",
						 stream->source->path, other->path);
		}
	}
	return 0;
}

int log_merge_next(struct log_merge *merge, const struct log_record **record, struct error *err)
{
	int rc = 0;
	if (merge->given != SIZE_MAX) {
		rc = advance(merge, merge->given, err);
		merge->given = SIZE_MAX;
	}
	while (rc == 0) {
		if (merge->count == 0) {
			if (merge->next == merge->sources->count)
				return LOG_READ_END;
			rc = open_next(merge, err);
			continue;
		}
		size_t at = earliest(merge);
		if (next_is_due(merge, merge->streams[at].key_ns, NS_PER_S)) {
			rc = open_next(merge, err);
			continue;
		}
		struct stream *stream = &merge->streams[at];
		merge->given = at;
		*record = stream->head;
		if (stream->kind != LOG_READ_RECORD)
			return stream->kind;
		if (merge->sources->mixed && (rc = check_twins(merge, stream, err)) < 0)
			return rc;
		return merge->sources->count > 1 && overlaps(merge, *record) && is_duplicate(merge, *record)
			       ? LOG_READ_DUPLICATE
			       : LOG_READ_RECORD;
	}
	return rc;
}

int64_t log_merge_text_bytes(const struct log_merge *merge)
{
	int64_t sum = merge->done_text_bytes;
	for (size_t i = 0; i < merge->count; i++)
		sum += log_reader_text_bytes(merge->streams[i].reader);
	return sum;
}

int64_t log_merge_file_bytes(const struct log_merge *merge)
{
	int64_t sum = merge->done_file_bytes;
	for (size_t i = 0; i < merge->count; i++)
		sum += log_reader_file_bytes(merge->streams[i].reader);
	return sum;
}
