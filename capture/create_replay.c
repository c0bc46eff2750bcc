/*
 * From logs to a replay file: see create_replay.h. The files' records come merged into sessions, whose items the sorter
 * brings into the order of their times. Only then is it known which parameters a limit has cut, so those items are left
 * out on the way from the sorter to the file.
 */
#include "create_replay.h"

#include "clock.h"
#include "json_file.h"
#include "log_merge.h"
#include "mem.h"
#include "pg_session.h"
#include "stop_flag.h"
#include "work_ring.h"

#define PROGRESS_EVERY 16384 /* records */
#define THREADS_MAX    4

struct job {
	const struct create_replay_options *options;
	struct create_replay_result *result;
	const volatile bool *cancelled;
	struct log_zone *zone;
	struct log_formats *formats;
	struct log_filter *filter;
	struct log_sources sources;
	struct log_merge *merge;
	struct replay_writer *writer;
	struct text_table *texts;
	struct item_sorter *sorter;
	struct pg_sessions *sessions;
};

/* ---- reading ---- */

static int tick(struct job *job, int64_t done_bytes, struct error *err)
{
	if (stop_flag_is_set(job->cancelled))
		return error_set(err, ERR_INTERRUPTED, "interrupted");
	if (job->options->progress)
		job->options->progress(job->options->progress_context, done_bytes, job->sources.total_bytes);
	return 0;
}

static int read_records(struct job *job, struct error *err)
{
	for (unsigned n = 0;; n++) {
		if (n % PROGRESS_EVERY == 0) {
			int rc = tick(job, log_merge_file_bytes(job->merge), err);
			if (rc < 0)
				return rc;
		}
		const struct log_record *record;
		int rc = log_merge_next(job->merge, &record, err);
		text_table_offer(job->texts, rc == LOG_READ_RECORD ? record->split : NULL);
		if (rc == LOG_READ_RECORD)
			rc = pg_sessions_add(job->sessions, record, err);
		else if (rc == LOG_READ_UNPARSED)
			pg_sessions_add_unparsed(job->sessions, record);
		else if (rc == LOG_READ_DUPLICATE)
			pg_sessions_add_duplicate(job->sessions, record);
		else
			return rc;
		if (rc < 0)
			return rc;
	}
}

/* ---- writing ---- */

static bool was_cut(const struct sort_head *head, size_t cut_length)
{
	return cut_length > 0 && head->dotted_len + 3 >= cut_length;
}

/* The end of a path that is too long for it says most. */
static void set_example(struct job *job, enum skip_reason reason, struct log_place place)
{
	if (place.line == 0)
		return;
	const char *path = job->sources.items[place.file].path;
	size_t len = strlen(path);
	size_t room = LOG_EXAMPLE_MAX - 24;
	(void)snprintf(job->result->examples[reason], LOG_EXAMPLE_MAX, "%s:%llu", len > room ? path + len - room : path,
		       (unsigned long long)place.line);
}

static int write_items(struct job *job, struct error *err)
{
	struct create_replay_result *result = job->result;
	size_t cut_length = pg_sessions_cut_length(job->sessions);
	bool first = true;
	for (uint32_t row = 0; row < pg_sessions_count(job->sessions); row++) {
		struct replay_session session;
		pg_sessions_row(job->sessions, row, &session);
		(void)replay_writer_add_session(job->writer, &session);
	}
	for (unsigned n = 0;; n++) {
		struct sort_head head;
		struct span body;
		int rc = item_sorter_next(job->sorter, &head, &body, err);
		if (rc <= 0)
			return rc;
		if (head.dotted_len > 0 && was_cut(&head, cut_length)) {
			result->items[head.kind]--;
			if (result->skipped[SKIP_TRUNCATED]++ == 0)
				set_example(job, SKIP_TRUNCATED,
					    (struct log_place){head.source_file, head.source_line});
			continue;
		}
		if (first && !(head.flags & ITEM_INFERRED)) {
			result->first_ns = head.time_ns;
			first = false;
		}
		result->last_ns = head.time_ns;
		struct item item = item_sorter_item(&head);
		rc = replay_writer_add_coded(job->writer, &item, body, err);
		if (rc == 0 && n % PROGRESS_EVERY == 0)
			rc = tick(job, log_merge_file_bytes(job->merge), err);
		if (rc < 0)
			return rc;
	}
}

/* 4084934 as "4,084,934" */
static void format_count(uint64_t value, char out[32])
{
	char digits[24];
	int len = snprintf(digits, sizeof(digits), "%llu", (unsigned long long)value);
	size_t at = 0;
	for (int i = 0; i < len; i++) {
		if (i > 0 && (len - i) % 3 == 0)
			out[at++] = ',';
		out[at++] = digits[i];
	}
	out[at] = '\0';
}

static int no_statements(const struct create_replay_result *result, struct error *err)
{
	char records[32];
	format_count(result->log_records, records);
	const uint64_t *skipped = result->skipped;
	if (skipped[SKIP_UNKNOWN_SEVERITY] > 0)
		return error_set(
			err, ERR_DATA,
			"none of %s records is a statement; the log's messages are not in English: the log needs "
			"lc_messages=C",
			records);
	if (skipped[SKIP_FILTERED] > 0) {
		char filtered[32];
		char by[256] = "";
		size_t len = 0;
		format_count(skipped[SKIP_FILTERED], filtered);
		for (enum filter_reason reason = FILTER_TIME; reason < FILTER_REASON_COUNT; reason++) {
			if (result->filtered[reason] > 0)
				len += (size_t)snprintf(by + len, sizeof(by) - len, "%s%s %llu", len ? ", " : "",
							filter_reason_name(reason),
							(unsigned long long)result->filtered[reason]);
		}
		return error_set(err, ERR_DATA,
				 "none of %s records is left as a statement: the filters take out %s (%s)", records,
				 filtered, by);
	}
	return error_set(err, ERR_DATA,
			 "none of %s records is a statement; the log needs log_statement=all or "
			 "log_min_duration_statement=0",
			 records);
}

/* Every record is in an item or under a reason, exactly once. */
static int check_identity(const struct create_replay_result *result, struct error *err)
{
	uint64_t sum = 0;
	for (int kind = 0; kind < ITEM_KIND_COUNT; kind++)
		sum += result->items[kind] - result->inferred[kind];
	for (int reason = 0; reason < SKIP_REASON_COUNT; reason++)
		sum += result->skipped[reason];
	if (sum != result->log_records)
		return error_set(err, ERR_INTERNAL, "%llu records were read, but %llu are accounted for",
				 (unsigned long long)result->log_records, (unsigned long long)sum);
	return 0;
}

static int convert(struct job *job, struct error *err)
{
	struct create_replay_result *result = job->result;
	int rc = read_records(job, err);
	result->log_bytes = log_merge_text_bytes(job->merge);
	if (rc == 0)
		rc = pg_sessions_finish(job->sessions, err);
	if (rc < 0)
		return rc;
	const struct pg_session_counts *counts = pg_sessions_counts(job->sessions);
	result->log_records = counts->records;
	result->sessions = pg_sessions_count(job->sessions);
	memcpy(result->items, counts->items, sizeof(result->items));
	memcpy(result->inferred, counts->inferred, sizeof(result->inferred));
	memcpy(result->skipped, counts->skipped, sizeof(result->skipped));
	memcpy(result->filtered, counts->filtered, sizeof(result->filtered));
	result->uncertainty_ns = counts->uncertainty_ns;
	for (enum skip_reason reason = SKIP_COPY; reason < SKIP_REASON_COUNT; reason++)
		set_example(job, reason, counts->examples[reason]);
	rc = write_items(job, err);
	if (rc < 0)
		return rc;
	result->statements = result->items[ITEM_SIMPLE] + result->items[ITEM_EXECUTE];
	return result->statements == 0 ? no_statements(result, err) : check_identity(result, err);
}

static int start(struct job *job, struct error *err)
{
	const struct create_replay_options *options = job->options;
	int rc = log_zone_open(options->log_timezone, &job->zone, err);
	if (rc == 0)
		rc = log_formats_open(options->format, options->log_line_prefix, &job->formats, err);
	if (rc == 0)
		rc = log_filter_open(&options->filter, job->zone, &job->filter, err);
	if (rc == 0)
		rc = log_sources_open(options->logs, options->log_count, options->output, job->formats, job->zone,
				      &job->sources, err);
	if (rc == 0)
		rc = replay_writer_open(options->output, &job->writer, err);
	if (rc < 0)
		return rc;
	job->texts = text_table_new(job->writer);
	job->sorter =
		item_sorter_new(options->output, options->sort_memory ? options->sort_memory : ITEM_SORTER_MEMORY);
	struct pg_session_options sessions = {
		.texts = job->texts, .sorter = job->sorter, .filter = job->filter, .idle_ns = options->session_idle_ns};
	job->sessions = pg_sessions_new(&sessions);
	job->merge = log_merge_new(&job->sources, job->zone, job->writer);
	unsigned threads = options->threads ? options->threads : work_ring_usual_threads(THREADS_MAX);
	log_merge_use_threads(job->merge, threads, options->block_bytes);
	replay_writer_use_threads(job->writer, threads);
	return 0;
}

int create_replay(const struct create_replay_options *options, struct create_replay_result *result,
		  const volatile bool *cancelled, struct error *err)
{
	*result = (struct create_replay_result){0};
	int64_t start_ns = clock_mono_ns();
	struct job job = {.options = options, .result = result, .cancelled = cancelled};
	int rc = options->log_count == 0 ? error_set(err, ERR_USAGE, "no log is given") : start(&job, err);
	if (rc == 0)
		rc = convert(&job, err);
	result->elapsed_ns = clock_mono_ns() - start_ns;
	if (rc == 0) {
		json_t *capture = create_replay_result_json(result, options->source_host);
		/* The same logs make the same file, byte by byte. */
		json_object_del(capture, "elapsed_s");
		rc = replay_writer_commit(job.writer, capture, err);
		json_decref(capture);
	} else if (job.writer) {
		replay_writer_abort(job.writer);
	}
	pg_sessions_free(job.sessions);
	item_sorter_free(job.sorter);
	text_table_free(job.texts);
	log_merge_free(job.merge);
	log_sources_release(&job.sources);
	log_filter_free(job.filter);
	log_formats_free(job.formats);
	log_zone_free(job.zone);
	return rc;
}

static json_t *count_json(uint64_t value)
{
	return json_integer((json_int_t)value);
}

json_t *create_replay_result_json(const struct create_replay_result *result, const char *source_host)
{
	json_t *items = json_object();
	json_t *inferred = json_object();
	for (enum item_kind kind = ITEM_CONNECT; kind < ITEM_KIND_COUNT; kind++) {
		json_object_set_new(items, item_kind_name(kind), count_json(result->items[kind]));
		if (kind == ITEM_CONNECT || kind == ITEM_CANCEL || kind == ITEM_DISCONNECT)
			json_object_set_new(inferred, item_kind_name(kind), count_json(result->inferred[kind]));
	}
	json_t *skipped = json_object();
	for (enum skip_reason reason = SKIP_COPY; reason < SKIP_REASON_COUNT; reason++) {
		if (reason <= SKIP_FILTERED || result->skipped[reason] > 0)
			json_object_set_new(skipped, skip_reason_name(reason), count_json(result->skipped[reason]));
	}
	json_t *filtered = json_object();
	for (enum filter_reason reason = FILTER_TIME; reason < FILTER_REASON_COUNT; reason++) {
		if (result->filtered[reason] > 0)
			json_object_set_new(filtered, filter_reason_name(reason), count_json(result->filtered[reason]));
	}
	json_t *examples = json_object();
	for (enum skip_reason reason = SKIP_COPY; reason < SKIP_REASON_COUNT; reason++) {
		const char *example = result->examples[reason];
		if (*example)
			json_object_set_new(examples, skip_reason_name(reason),
					    json_from_bytes(example, strlen(example)));
	}
	/* The shape that PostgreSQL gives its stamps: milliseconds. */
	double uncertainty_ms = result->uncertainty_ns ? ns_to_ms(result->uncertainty_ns) : 1.0;
	char first[RFC3339_MAX];
	char last[RFC3339_MAX];
	clock_format_rfc3339(result->first_ns, first);
	clock_format_rfc3339(result->last_ns, last);
	json_t *document =
		json_pack("{s:s, s:I, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:s, s:s, s:f, s:f}", "schema",
			  "rehearse.create-replay/1", "log_bytes", (json_int_t)result->log_bytes, "log_records",
			  count_json(result->log_records), "sessions", count_json(result->sessions), "statements",
			  count_json(result->statements), "items", items, "inferred", inferred, "skipped", skipped,
			  "filtered_by", filtered, "examples", examples, "first_time", first, "last_time", last,
			  "time_uncertainty_ms", uncertainty_ms, "elapsed_s", ns_to_s(result->elapsed_ns));
	if (source_host)
		json_object_set_new(document, "source_host", json_from_bytes(source_host, strlen(source_host)));
	return document;
}
