/*
 * Reading a health log: see health_log.h. Every count is checked against what is left of its chunk before anything is
 * made of it, and a chunk must be used up to its last byte.
 */
#include "health_log.h"

#include "byte_code.h"
#include "chunk_file.h"
#include "health_log_file.h"
#include "health_look.h"
#include "mem.h"

/* A walk over the chunks of one type, which are read one after another. */
struct chunk_walk {
	size_t chunk; /* the next one to be read */
	unsigned char *data;
	size_t capacity;
	struct byte_reader at;
	uint32_t left; /* samples, or looks, in the chunk */
	uint64_t seen;
};

struct health_cursor {
	struct chunk_reader *reader;
	uint32_t version;
	struct chunk_walk samples;
	int64_t time_ns;
	int64_t *previous; /* by series, within the chunk */
	struct health_value *values;
	struct chunk_walk looks;
	int64_t look_us;
	int64_t asked_ns; /* of the look before */
	struct health_active *active;
};

const char *health_activity_name(enum health_activity_kind kind)
{
	static const char *const names[HEALTH_ACTIVITY_KINDS] = {"autovacuum",	 "autoanalyze", "vacuum",
								 "analyze",	 "checkpoint",	"backup",
								 "create_index", "rewrite",	"copy"};
	return names[kind];
}

static int damaged(const struct health_log *log, const char *what, struct error *err)
{
	return error_set(err, ERR_DATA, "%s: %s", chunk_reader_path(log->cursor->reader), what);
}

/* Text of a fixed width; what does not fit was not written by us. */
static void get_text(struct byte_reader *r, char *out, size_t size)
{
	struct span text = byte_get_span(r);
	if (r->failed || text.len >= size || memchr(text.p ? text.p : "", 0, text.len)) {
		r->failed = true;
		*out = '\0';
		return;
	}
	if (text.len)
		memcpy(out, text.p, text.len);
	out[text.len] = '\0';
}

static void get_activity(struct byte_reader *r, struct health_activity *activity)
{
	uint64_t kind = byte_get_varint(r);
	int64_t pid = byte_get_signed(r);
	get_text(r, activity->relation, sizeof(activity->relation));
	get_text(r, activity->index, sizeof(activity->index));
	get_text(r, activity->command, sizeof(activity->command));
	activity->start_ns = byte_get_signed(r);
	activity->end_ns = byte_get_signed(r);
	uint64_t open = byte_get_varint(r);
	uint64_t phases = byte_get_varint(r);
	if (kind >= HEALTH_ACTIVITY_KINDS || pid < INT32_MIN || pid > INT32_MAX || open > 1 ||
	    phases > HEALTH_PHASES_MAX || activity->end_ns < activity->start_ns)
		r->failed = true;
	if (r->failed)
		return;
	activity->kind = (enum health_activity_kind)kind;
	activity->pid = (int32_t)pid;
	activity->open = open;
	activity->phases = mem_zalloc((size_t)phases + 1, sizeof(*activity->phases));
	activity->phase_count = (size_t)phases;
	for (size_t i = 0; i < activity->phase_count; i++) {
		struct health_phase *phase = &activity->phases[i];
		get_text(r, phase->name, sizeof(phase->name));
		phase->start_ns = byte_get_signed(r);
		phase->end_ns = byte_get_signed(r);
		phase->done = byte_get_signed(r);
		phase->total = byte_get_signed(r);
	}
}

static void get_summary(struct byte_reader *r, struct health_log *log)
{
	get_text(r, log->lane, sizeof(log->lane));
	log->interval_ns = byte_get_signed(r);
	log->samples = byte_get_varint(r);
	log->start_ns = byte_get_signed(r);
	log->end_ns = byte_get_signed(r);
	log->series_lost = byte_get_varint(r);
	log->activities_lost = byte_get_varint(r);
	if (log->has_looks) {
		log->looks = byte_get_varint(r);
		log->active_lost = byte_get_varint(r);
	}
	if (log->interval_ns <= 0 || log->end_ns < log->start_ns)
		r->failed = true;
}

/* The tables behind the samples. A chunk says how many rows it has, and no row takes less than two bytes. */
static bool read_table(struct health_log *log, const struct chunk_info *info, struct byte_reader *r)
{
	size_t count = info->count;
	if (count > byte_reader_left(r))
		return false;
	if (memcmp(info->type, HEALTH_CHUNK_SERIES, 4) == 0 && !log->series && count <= HEALTH_SERIES_MAX) {
		log->series = mem_zalloc(count + 1, sizeof(*log->series));
		log->series_count = count;
		for (size_t i = 0; i < count; i++) {
			get_text(r, log->series[i].name, sizeof(log->series[i].name));
			get_text(r, log->series[i].key, sizeof(log->series[i].key));
		}
	} else if (log->has_looks && memcmp(info->type, HEALTH_CHUNK_EVENTS, 4) == 0 && !log->events &&
		   count <= HEALTH_EVENTS_MAX) {
		log->events = mem_zalloc(count + 1, sizeof(*log->events));
		log->event_count = count;
		for (size_t i = 0; i < count; i++)
			get_text(r, log->events[i].name, sizeof(log->events[i].name));
	} else if (memcmp(info->type, HEALTH_CHUNK_ACTIVITIES, 4) == 0 && !log->activities &&
		   count <= HEALTH_ACTIVITIES_MAX) {
		log->activities = mem_zalloc(count + 1, sizeof(*log->activities));
		for (size_t i = 0; i < count && !r->failed; i++) {
			get_activity(r, &log->activities[i]);
			log->activity_count = i + 1; /* also of the damaged one, whose phases are to be freed */
		}
	} else if (memcmp(info->type, HEALTH_CHUNK_GAPS, 4) == 0 && !log->gaps && count <= HEALTH_GAPS_MAX) {
		log->gaps = mem_zalloc(count + 1, sizeof(*log->gaps));
		log->gap_count = count;
		for (size_t i = 0; i < count; i++) {
			log->gaps[i].start_ns = byte_get_signed(r);
			log->gaps[i].end_ns = byte_get_signed(r);
		}
	} else if (memcmp(info->type, HEALTH_CHUNK_NOTES, 4) == 0 && !log->notes) {
		log->notes = mem_zalloc(count + 1, sizeof(*log->notes));
		log->note_count = count;
		for (size_t i = 0; i < count && !r->failed; i++) {
			get_text(r, log->notes[i].group, sizeof(log->notes[i].group));
			get_text(r, log->notes[i].reason, sizeof(log->notes[i].reason));
			log->notes[i].samples = byte_get_varint(r);
		}
	} else if (memcmp(info->type, HEALTH_CHUNK_SUMMARY, 4) == 0 && log->interval_ns == 0 && count == 1) {
		get_summary(r, log);
	} else {
		return false;
	}
	return !r->failed && byte_reader_left(r) == 0;
}

/* What is walked over, and not read whole. */
static bool is_walked(const struct health_log *log, const struct chunk_info *info)
{
	return memcmp(info->type, HEALTH_CHUNK_SAMPLES, 4) == 0 ||
	       (log->has_looks && memcmp(info->type, HEALTH_CHUNK_LOOKS, 4) == 0);
}

static int read_tables(struct health_log *log, struct error *err)
{
	struct health_cursor *cursor = log->cursor;
	struct chunk_walk *buffer = &cursor->samples; /* which has not begun */
	for (size_t i = 0; i < chunk_reader_count(cursor->reader); i++) {
		const struct chunk_info *info = chunk_reader_info(cursor->reader, i);
		struct byte_reader r;
		size_t len;
		if (is_walked(log, info))
			continue;
		int rc = chunk_reader_read(cursor->reader, i, &buffer->data, &buffer->capacity, &len, err);
		if (rc < 0)
			return rc;
		byte_reader_init(&r, buffer->data, len);
		if (!read_table(log, info, &r))
			return damaged(log, "a table of the health log is not what it should be", err);
	}
	if (!log->series || !log->activities || !log->gaps || !log->notes || log->interval_ns == 0 ||
	    (log->has_looks && !log->events))
		return damaged(log, "the health log lacks a table", err);
	return 0;
}

/* Of this version, or of one that we can read too. */
static int open_reader(const char *path, struct health_cursor *cursor, struct error *err)
{
	struct error older = ERROR_INIT;
	cursor->version = HEALTH_LOG_VERSION;
	int rc = chunk_reader_open(path, HEALTH_LOG_KIND, cursor->version, &cursor->reader, err);
	if (rc == 0 || chunk_reader_open(path, HEALTH_LOG_KIND, 1, &cursor->reader, &older) < 0)
		return rc;
	cursor->version = 1;
	error_clear(err);
	return 0;
}

int health_log_open(const char *path, struct health_log **out, struct error *err)
{
	struct health_log *log = mem_zalloc(1, sizeof(*log));
	struct health_cursor *cursor = mem_zalloc(1, sizeof(*cursor));
	log->cursor = cursor;
	int rc = open_reader(path, cursor, err);
	log->has_looks = cursor->version >= 2;
	if (rc == 0)
		rc = read_tables(log, err);
	if (rc < 0) {
		health_log_free(log);
		return rc;
	}
	cursor->previous = mem_zalloc(log->series_count + 1, sizeof(*cursor->previous));
	cursor->values = mem_zalloc(log->series_count + 1, sizeof(*cursor->values));
	cursor->active = mem_zalloc(HEALTH_LOOK_MAX, sizeof(*cursor->active));
	*out = log;
	return 0;
}

static void rewind_walk(struct chunk_walk *walk)
{
	walk->chunk = 0;
	walk->left = 0;
	walk->seen = 0;
}

void health_log_rewind(struct health_log *log)
{
	rewind_walk(&log->cursor->samples);
	rewind_walk(&log->cursor->looks);
}

/* 1 when there is one more to be read at walk->at; *fresh when it is a chunk's first. 0 behind the last of `total`. */
static int walk_on(struct health_log *log, struct chunk_walk *walk, const char *type, uint64_t total, bool *fresh,
		   struct error *err)
{
	struct chunk_reader *reader = log->cursor->reader;
	*fresh = false;
	while (walk->left == 0) {
		size_t len;
		if (walk->chunk == chunk_reader_count(reader))
			return walk->seen == total ? 0 : damaged(log, "it has other samples than it says", err);
		size_t chunk = walk->chunk++;
		const struct chunk_info *info = chunk_reader_info(reader, chunk);
		if (memcmp(info->type, type, 4) != 0)
			continue;
		int rc = chunk_reader_read(reader, chunk, &walk->data, &walk->capacity, &len, err);
		if (rc < 0)
			return rc;
		byte_reader_init(&walk->at, walk->data, len);
		walk->left = info->count;
		*fresh = true;
	}
	return 1;
}

static int64_t sum(int64_t a, int64_t b)
{
	return (int64_t)((uint64_t)a + (uint64_t)b);
}

int health_log_next(struct health_log *log, struct health_sample *sample, struct error *err)
{
	struct health_cursor *cursor = log->cursor;
	struct chunk_walk *walk = &cursor->samples;
	struct byte_reader *r = &walk->at;
	bool fresh;
	int rc = walk_on(log, walk, HEALTH_CHUNK_SAMPLES, log->samples, &fresh, err);
	if (rc <= 0)
		return rc;
	if (fresh) {
		cursor->time_ns = 0;
		memset(cursor->previous, 0, (log->series_count + 1) * sizeof(*cursor->previous));
	}
	cursor->time_ns = sum(cursor->time_ns, byte_get_signed(r));
	uint64_t count = byte_get_varint(r);
	uint64_t row = 0;
	bool sound = count <= log->series_count;
	for (uint64_t i = 0; sound && i < count; i++) {
		uint64_t step = byte_get_varint(r);
		sound = !r->failed && step < log->series_count - row && (step > 0 || i == 0);
		if (!sound)
			break;
		row += step;
		cursor->previous[row] = sum(cursor->previous[row], byte_get_signed(r));
		cursor->values[i] = (struct health_value){(uint32_t)row, cursor->previous[row]};
	}
	walk->left--;
	if (!sound || r->failed || (walk->left == 0 && byte_reader_left(r) > 0))
		return damaged(log, "a sample of the health log is not what it should be", err);
	walk->seen++;
	*sample = (struct health_sample){cursor->time_ns, (size_t)count, cursor->values};
	return 1;
}

int health_log_next_look(struct health_log *log, struct health_look *look, struct error *err)
{
	struct health_cursor *cursor = log->cursor;
	struct chunk_walk *walk = &cursor->looks;
	bool fresh;
	int rc = walk_on(log, walk, HEALTH_CHUNK_LOOKS, log->looks, &fresh, err);
	if (rc <= 0)
		return rc;
	if (fresh)
		cursor->look_us = 0;
	bool sound = health_look_get(&walk->at, log->event_count, &cursor->look_us, cursor->active, look);
	walk->left--;
	if (!sound || (walk->left == 0 && byte_reader_left(&walk->at) > 0) ||
	    (walk->seen > 0 && look->asked_ns < cursor->asked_ns))
		return damaged(log, "a look at the sessions is not what it should be", err);
	cursor->asked_ns = look->asked_ns;
	walk->seen++;
	return 1;
}

uint32_t health_log_find(const struct health_log *log, const char *name, const char *key)
{
	for (size_t i = 0; i < log->series_count; i++) {
		if (strcmp(log->series[i].name, name) == 0 && strcmp(log->series[i].key, key) == 0)
			return (uint32_t)i;
	}
	return HEALTH_NO_SERIES;
}

void health_log_free(struct health_log *log)
{
	if (!log)
		return;
	for (size_t i = 0; i < log->activity_count; i++)
		free(log->activities[i].phases);
	free(log->series);
	free(log->activities);
	free(log->gaps);
	free(log->notes);
	free(log->events);
	if (log->cursor) {
		chunk_reader_free(log->cursor->reader);
		free(log->cursor->samples.data);
		free(log->cursor->looks.data);
		free(log->cursor->active);
		free(log->cursor->previous);
		free(log->cursor->values);
		free(log->cursor);
	}
	free(log);
}
