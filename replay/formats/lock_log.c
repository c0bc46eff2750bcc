/*
 * The lock sampler's file: see lock_log.h and docs/formats.md.
 *
 *   {"schema": "rehearse.lock-log/1", "lane": "migrating", "interval_ms": 10}
 *   {"pid": 41, "type": "relation", "relation": "public.t", "relation_oid": 16390, "mode": "RowExclusiveLock",
 *    "start_s": 1.5, "end_s": 1.8, "samples": 30, "blockers": [{"pid": 40, "first_s": 1.5, "last_s": 1.8}]}
 *   {"end": true, "start_s": -0.5, "end_s": 60.1, "samples": 6060, "waits": 1, "gaps": [{"start_s": 2, "end_s": 2.1}]}
 *
 * Lines are written as text, not through a JSON library, so that a time keeps its nanoseconds whatever its size.
 */
#include "lock_log.h"

#include "clock.h"
#include "json_file.h"
#include "mem.h"
#include "out_file.h"
#include "strbuf.h"

#include <math.h>
#include <unistd.h>

#define LINE_MAX_BYTES ((size_t)4 * 1024 * 1024)
#define BLOCKERS_MAX   4096
#define GAPS_MAX       20000
#define SCHEMA	       "rehearse.lock-log/1"

struct lock_log_writer {
	struct out_file *file;
	struct strbuf line;
	uint64_t waits;
};

static void add_seconds(struct strbuf *line, const char *key, int64_t ns)
{
	uint64_t size = ns < 0 ? (uint64_t)0 - (uint64_t)ns : (uint64_t)ns;
	strbuf_addf(line, "\"%s\": %s%llu.%09llu", key, ns < 0 ? "-" : "", (unsigned long long)(size / 1000000000U),
		    (unsigned long long)(size % 1000000000U));
}

static void add_text(struct strbuf *line, const char *key, const char *text)
{
	json_t *value = json_from_bytes(text, strlen(text));
	char *quoted = json_dumps(value, JSON_ENCODE_ANY);
	strbuf_addf(line, "\"%s\": %s", key, quoted ? quoted : "\"\"");
	free(quoted);
	json_decref(value);
}

static int write_line(struct lock_log_writer *writer, struct error *err)
{
	strbuf_add_char(&writer->line, '\n');
	if (writer->line.overflow)
		return error_set(err, ERR_INTERNAL, "lock log: a line is longer than %zu bytes", LINE_MAX_BYTES);
	int rc = out_file_write(writer->file, writer->line.data, writer->line.len, err);
	strbuf_clear(&writer->line);
	return rc;
}

int lock_log_writer_open(const char *path, const char *lane, int64_t interval_ns, struct lock_log_writer **out,
			 struct error *err)
{
	struct lock_log_writer *writer = mem_zalloc(1, sizeof(*writer));
	strbuf_init(&writer->line, LINE_MAX_BYTES);
	int rc = out_file_open(path, &writer->file, err);
	if (rc == 0) {
		strbuf_addf(&writer->line, "{\"schema\": \"" SCHEMA "\", ");
		add_text(&writer->line, "lane", lane);
		strbuf_addf(&writer->line, ", \"interval_ms\": %.6f}", ns_to_ms(interval_ns));
		rc = write_line(writer, err);
	}
	if (rc) {
		lock_log_writer_abort(writer);
		return rc;
	}
	*out = writer;
	return 0;
}

int lock_log_writer_add(struct lock_log_writer *writer, const struct lock_wait *wait, struct error *err)
{
	struct strbuf *line = &writer->line;
	strbuf_addf(line, "{\"pid\": %d, ", (int)wait->pid);
	add_text(line, "type", wait->lock_type);
	strbuf_add_str(line, ", ");
	add_text(line, "relation", wait->relation);
	strbuf_addf(line, ", \"relation_oid\": %u, ", (unsigned)wait->relation_oid);
	add_text(line, "mode", wait->mode);
	strbuf_add_str(line, ", ");
	add_seconds(line, "start_s", wait->start_ns);
	strbuf_add_str(line, ", ");
	add_seconds(line, "end_s", wait->end_ns);
	strbuf_addf(line, ", \"samples\": %u, \"blockers\": [", (unsigned)wait->samples);
	for (size_t i = 0; i < wait->blocker_count && i < BLOCKERS_MAX; i++) {
		strbuf_addf(line, "%s{\"pid\": %d, ", i ? ", " : "", (int)wait->blockers[i].pid);
		add_seconds(line, "first_s", wait->blockers[i].first_ns);
		strbuf_add_str(line, ", ");
		add_seconds(line, "last_s", wait->blockers[i].last_ns);
		strbuf_add_char(line, '}');
	}
	strbuf_add_str(line, "]}");
	writer->waits++;
	return write_line(writer, err);
}

int lock_log_writer_commit(struct lock_log_writer *writer, int64_t start_ns, int64_t end_ns, uint64_t samples,
			   const struct lock_gap *gaps, size_t gap_count, struct error *err)
{
	struct strbuf *line = &writer->line;
	strbuf_add_str(line, "{\"end\": true, ");
	add_seconds(line, "start_s", start_ns);
	strbuf_add_str(line, ", ");
	add_seconds(line, "end_s", end_ns);
	strbuf_addf(line, ", \"samples\": %llu, \"waits\": %llu, \"gaps\": [", (unsigned long long)samples,
		    (unsigned long long)writer->waits);
	for (size_t i = 0; i < gap_count; i++) {
		/* Past the ceiling the last gap swallows the rest: too blind is honest, too seeing is not. */
		bool last = i + 1 == GAPS_MAX;
		strbuf_add_str(line, i ? ", {" : "{");
		add_seconds(line, "start_s", gaps[i].start_ns);
		strbuf_add_str(line, ", ");
		add_seconds(line, "end_s", gaps[last ? gap_count - 1 : i].end_ns);
		strbuf_add_char(line, '}');
		if (last)
			break;
	}
	strbuf_add_str(line, "]}");
	int rc = write_line(writer, err);
	if (rc == 0) {
		struct out_file *file = writer->file;
		writer->file = NULL;
		rc = out_file_commit(file, err);
	}
	lock_log_writer_abort(writer);
	return rc;
}

void lock_log_writer_abort(struct lock_log_writer *writer)
{
	if (!writer)
		return;
	out_file_abort(writer->file);
	strbuf_release(&writer->line);
	free(writer);
}

/* Reading. Each get_ answers false when the member is missing or of another kind; the line is then refused. */

static bool get_ns(const json_t *object, const char *key, int64_t *out)
{
	const json_t *value = json_object_get(object, key);
	double seconds = json_number_value(value);
	if (!json_is_number(value) || !(fabs(seconds) < 9e9))
		return false;
	*out = llround(seconds * 1e9);
	return true;
}

static bool get_int(const json_t *object, const char *key, int64_t min, int64_t max, int64_t *out)
{
	const json_t *value = json_object_get(object, key);
	*out = json_integer_value(value);
	return json_is_integer(value) && *out >= min && *out <= max;
}

static bool get_text(const json_t *object, const char *key, char *out, size_t size)
{
	const char *text = json_string_value(json_object_get(object, key));
	if (!text || strlen(text) >= size)
		return false;
	(void)snprintf(out, size, "%s", text);
	return true;
}

static const char *read_header(const json_t *line, struct lock_log *log)
{
	const char *schema = json_string_value(json_object_get(line, "schema"));
	const json_t *interval = json_object_get(line, "interval_ms");
	double ms = json_number_value(interval);
	if (!schema || strcmp(schema, SCHEMA) != 0)
		return "not a lock log (" SCHEMA ")";
	if (!json_is_number(interval) || !(ms > 0 && ms < 1e6))
		return "interval_ms is missing or out of range";
	log->interval_ns = llround(ms * 1e6);
	return NULL;
}

static const char *read_wait(const json_t *line, struct lock_log *log, size_t *capacity)
{
	struct lock_wait wait = {0};
	int64_t pid, oid, samples;
	const json_t *blockers = json_object_get(line, "blockers");
	if (!get_int(line, "pid", INT32_MIN, INT32_MAX, &pid) || !get_int(line, "relation_oid", 0, UINT32_MAX, &oid) ||
	    !get_int(line, "samples", 0, UINT32_MAX, &samples) || !get_ns(line, "start_s", &wait.start_ns) ||
	    !get_ns(line, "end_s", &wait.end_ns) || !json_is_array(blockers) ||
	    !get_text(line, "type", wait.lock_type, sizeof(wait.lock_type)) ||
	    !get_text(line, "relation", wait.relation, sizeof(wait.relation)) ||
	    !get_text(line, "mode", wait.mode, sizeof(wait.mode)) || wait.end_ns < wait.start_ns)
		return "a wait with a member that is missing or out of range";
	wait.pid = (int32_t)pid;
	wait.relation_oid = (uint32_t)oid;
	wait.samples = (uint32_t)samples;
	size_t count = json_array_size(blockers);
	struct lock_blocker *list = mem_zalloc(count + 1, sizeof(*list));
	for (size_t i = 0; i < count; i++) {
		const json_t *one = json_array_get(blockers, i);
		if (!get_int(one, "pid", INT32_MIN, INT32_MAX, &pid) || !get_ns(one, "first_s", &list[i].first_ns) ||
		    !get_ns(one, "last_s", &list[i].last_ns)) {
			free(list);
			return "a blocker with a member that is missing or out of range";
		}
		list[i].pid = (int32_t)pid;
	}
	wait.blockers = list;
	wait.blocker_count = count;
	MEM_GROW(log->waits, log->wait_count, *capacity);
	log->waits[log->wait_count++] = wait;
	return NULL;
}

static const char *read_end(const json_t *line, struct lock_log *log)
{
	int64_t samples, waits;
	const json_t *gaps = json_object_get(line, "gaps");
	if (!get_ns(line, "start_s", &log->start_ns) || !get_ns(line, "end_s", &log->end_ns) || !json_is_array(gaps) ||
	    !get_int(line, "samples", 0, INT64_MAX, &samples) || !get_int(line, "waits", 0, INT64_MAX, &waits))
		return "the last line has a member that is missing or out of range";
	if ((uint64_t)waits != log->wait_count)
		return "the last line counts other waits than the file has";
	log->samples = (uint64_t)samples;
	log->gap_count = json_array_size(gaps);
	log->gaps = mem_zalloc(log->gap_count + 1, sizeof(*log->gaps));
	for (size_t i = 0; i < log->gap_count; i++) {
		const json_t *gap = json_array_get(gaps, i);
		if (!get_ns(gap, "start_s", &log->gaps[i].start_ns) || !get_ns(gap, "end_s", &log->gaps[i].end_ns))
			return "a gap without start_s and end_s";
	}
	log->complete = true;
	return NULL;
}

static const char *read_line(const char *text, size_t number, struct lock_log *log, size_t *capacity)
{
	json_t *line = json_loads(text, JSON_REJECT_DUPLICATES, NULL);
	const char *why;
	if (!json_is_object(line))
		why = "not a JSON object";
	else if (log->complete)
		why = "a line behind the last one";
	else if (number == 1)
		why = read_header(line, log);
	else if (json_object_get(line, "end"))
		why = read_end(line, log);
	else
		why = read_wait(line, log, capacity);
	json_decref(line);
	return why;
}

static int compare_waits(const void *a, const void *b)
{
	const struct lock_wait *left = a, *right = b;
	if (left->start_ns != right->start_ns)
		return left->start_ns < right->start_ns ? -1 : 1;
	return (left->pid > right->pid) - (left->pid < right->pid);
}

int lock_log_load(const char *path, struct lock_log *log, struct error *err)
{
	memset(log, 0, sizeof(*log));
	FILE *file = fopen(path, "re");
	if (!file)
		return error_set_errno(err, ERR_DATA, "%s: cannot open", path);
	char *text = mem_alloc(LINE_MAX_BYTES);
	const char *why = NULL;
	size_t number = 0, capacity = 0;
	while (!why && fgets(text, (int)LINE_MAX_BYTES, file)) {
		size_t len = strlen(text);
		number++;
		if (len == 0 || text[len - 1] != '\n')
			why = "the line is cut";
		else
			why = read_line(text, number, log, &capacity);
	}
	if (!why && ferror(file))
		why = "cannot be read";
	else if (!why && number == 0)
		why = "the file is empty";
	(void)fclose(file);
	free(text);
	if (why) {
		lock_log_release(log);
		return error_set(err, ERR_DATA, "%s:%zu: %s", path, number ? number : 1, why);
	}
	if (log->wait_count > 1)
		qsort(log->waits, log->wait_count, sizeof(*log->waits), compare_waits);
	return 0;
}

void lock_log_release(struct lock_log *log)
{
	for (size_t i = 0; i < log->wait_count; i++)
		free(log->waits[i].blockers);
	free(log->waits);
	free(log->gaps);
	memset(log, 0, sizeof(*log));
}
