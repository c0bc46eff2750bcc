/*
 * From logs to a replay file: see create_replay.h. The files are put in the order of their first records, read one
 * after the other into sessions, whose items the sorter brings into the order of their times. Only then is it known
 * which parameters a limit has cut, so those items are left out on the way from the sorter to the file.
 */
#include "create_replay.h"

#include "clock.h"
#include "json_file.h"
#include "log_reader.h"
#include "mem.h"
#include "pg_csvlog.h"
#include "pg_session.h"

#include <regex.h>
#include <sys/stat.h>

#define PROGRESS_EVERY 16384 /* records */

struct source {
	const char *path;
	int64_t first_ns;
	size_t given; /* its place on the command line */
};

struct filter {
	regex_t *include;
	regex_t *exclude;
	size_t include_count;
	size_t exclude_count;
};

struct job {
	const struct create_replay_options *options;
	struct create_replay_result *result;
	const volatile bool *cancelled;
	const struct log_format *format;
	struct log_zone *zone;
	struct filter filter;
	struct source *sources;
	int64_t total_bytes;
	int64_t done_bytes; /* of the files that are finished */
	struct replay_writer *writer;
	struct text_table *texts;
	struct item_sorter *sorter;
	struct pg_sessions *sessions;
};

/* ---- filters ---- */

static int compile(const char *const *texts, size_t count, regex_t **out, size_t *out_count, struct error *err)
{
	*out = mem_zalloc(count ? count : 1, sizeof(**out));
	for (size_t i = 0; i < count; i++) {
		int rc = regcomp(&(*out)[i], texts[i], REG_EXTENDED);
		if (rc != 0) {
			char why[128];
			(void)regerror(rc, &(*out)[i], why, sizeof(why));
			return error_set(err, ERR_USAGE, "%s is no regular expression: %s", texts[i], why);
		}
		*out_count = i + 1;
	}
	return 0;
}

static bool matches_one(const regex_t *expressions, size_t count, struct span text)
{
	for (size_t i = 0; i < count; i++) {
		/* REG_STARTEND: the text has no NUL behind it */
		regmatch_t match = {.rm_so = 0, .rm_eo = (regoff_t)text.len};
		if (regexec(&expressions[i], text.p, 1, &match, REG_STARTEND) == 0)
			return true;
	}
	return false;
}

static bool is_wanted(void *context, struct span text)
{
	const struct filter *filter = context;
	if (filter->include_count > 0 && !matches_one(filter->include, filter->include_count, text))
		return false;
	return !matches_one(filter->exclude, filter->exclude_count, text);
}

static void filter_release(struct filter *filter)
{
	for (size_t i = 0; i < filter->include_count; i++)
		regfree(&filter->include[i]);
	for (size_t i = 0; i < filter->exclude_count; i++)
		regfree(&filter->exclude[i]);
	free(filter->include);
	free(filter->exclude);
}

/* ---- sources ---- */

static int compare_sources(const void *left, const void *right)
{
	const struct source *a = left;
	const struct source *b = right;
	if (a->first_ns != b->first_ns)
		return a->first_ns < b->first_ns ? -1 : 1;
	return (a->given > b->given) - (a->given < b->given);
}

/* The time of the file's first record. What cannot be read twice (a pipe) stays behind all others. */
static int peek(struct job *job, struct source *source, struct error *err)
{
	source->first_ns = INT64_MAX;
	struct stat st;
	if (stat(source->path, &st) < 0 || !S_ISREG(st.st_mode))
		return 0;
	struct log_reader *reader;
	int rc = log_reader_open(source->path, 0, job->format, job->zone, &reader, err);
	if (rc < 0)
		return rc;
	struct log_record record;
	do
		rc = log_reader_next(reader, &record, err);
	while (rc == LOG_READ_UNPARSED);
	if (rc == LOG_READ_RECORD)
		source->first_ns = record.time_ns;
	log_reader_free(reader);
	return rc < 0 ? rc : 0;
}

/* The finished file takes the output's name: that must not be a log's. */
static bool is_output(const struct job *job, const struct stat *log)
{
	struct stat st;
	return stat(job->options->output, &st) == 0 && st.st_dev == log->st_dev && st.st_ino == log->st_ino;
}

static int order_sources(struct job *job, struct error *err)
{
	size_t count = job->options->log_count;
	job->sources = mem_zalloc(count, sizeof(*job->sources));
	for (size_t i = 0; i < count; i++) {
		job->sources[i] = (struct source){.path = job->options->logs[i], .given = i};
		struct stat st;
		if (stat(job->sources[i].path, &st) < 0 || !S_ISREG(st.st_mode))
			job->total_bytes = -1;
		else if (is_output(job, &st))
			return error_set(err, ERR_USAGE, "%s: is a log; it cannot be the output too",
					 job->options->output);
		else if (job->total_bytes >= 0)
			job->total_bytes += st.st_size;
		int rc = count > 1 ? peek(job, &job->sources[i], err) : 0;
		if (rc < 0)
			return rc;
	}
	qsort(job->sources, count, sizeof(*job->sources), compare_sources);
	return 0;
}

/* ---- reading ---- */

static int tick(struct job *job, int64_t done_bytes, struct error *err)
{
	if (job->cancelled && *job->cancelled)
		return error_set(err, ERR_INTERRUPTED, "interrupted");
	if (job->options->progress)
		job->options->progress(job->options->progress_context, done_bytes, job->total_bytes);
	return 0;
}

static int read_records(struct job *job, struct log_reader *reader, struct error *err)
{
	for (unsigned n = 0;; n++) {
		if (n % PROGRESS_EVERY == 0) {
			int rc = tick(job, job->done_bytes + log_reader_file_bytes(reader), err);
			if (rc < 0)
				return rc;
		}
		struct log_record record;
		int rc = log_reader_next(reader, &record, err);
		if (rc == LOG_READ_RECORD)
			rc = pg_sessions_add(job->sessions, &record, err);
		else if (rc == LOG_READ_UNPARSED)
			pg_sessions_add_unparsed(job->sessions);
		else
			return rc;
		if (rc < 0)
			return rc;
	}
}

static int read_source(struct job *job, const struct source *source, struct error *err)
{
	uint32_t row = replay_writer_add_source(job->writer, source->path);
	struct log_reader *reader;
	int rc = log_reader_open(source->path, row, job->format, job->zone, &reader, err);
	if (rc < 0)
		return rc;
	rc = read_records(job, reader, err);
	job->result->log_bytes += log_reader_text_bytes(reader);
	job->done_bytes += log_reader_file_bytes(reader);
	log_reader_free(reader);
	return rc;
}

/* ---- writing ---- */

static bool was_cut(const struct sort_head *head, size_t cut_length)
{
	return cut_length > 0 && head->dotted_len + 3 >= cut_length;
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
			result->skipped[SKIP_TRUNCATED]++;
			continue;
		}
		if (first)
			result->first_ns = head.time_ns;
		first = false;
		result->last_ns = head.time_ns;
		struct item item = item_sorter_item(&head);
		rc = replay_writer_add_coded(job->writer, &item, body, err);
		if (rc == 0 && n % PROGRESS_EVERY == 0)
			rc = tick(job, job->done_bytes, err);
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
		format_count(skipped[SKIP_FILTERED], filtered);
		return error_set(err, ERR_DATA,
				 "none of %s records is left: --include and --exclude take out %s statements", records,
				 filtered);
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
	for (size_t i = 0; i < job->options->log_count; i++) {
		int rc = read_source(job, &job->sources[i], err);
		if (rc < 0)
			return rc;
	}
	int rc = pg_sessions_finish(job->sessions, err);
	if (rc < 0)
		return rc;
	const struct pg_session_counts *counts = pg_sessions_counts(job->sessions);
	result->log_records = counts->records;
	result->sessions = pg_sessions_count(job->sessions);
	memcpy(result->items, counts->items, sizeof(result->items));
	memcpy(result->inferred, counts->inferred, sizeof(result->inferred));
	memcpy(result->skipped, counts->skipped, sizeof(result->skipped));
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
		rc = compile(options->include, options->include_count, &job->filter.include, &job->filter.include_count,
			     err);
	if (rc == 0)
		rc = compile(options->exclude, options->exclude_count, &job->filter.exclude, &job->filter.exclude_count,
			     err);
	if (rc == 0)
		rc = order_sources(job, err);
	if (rc == 0)
		rc = replay_writer_open(options->output, &job->writer, err);
	if (rc < 0)
		return rc;
	job->texts = text_table_new(job->writer);
	job->sorter =
		item_sorter_new(options->output, options->sort_memory ? options->sort_memory : ITEM_SORTER_MEMORY);
	bool filters = options->include_count + options->exclude_count > 0;
	struct pg_session_options sessions = {.texts = job->texts,
					      .sorter = job->sorter,
					      .wanted = filters ? is_wanted : NULL,
					      .wanted_context = &job->filter};
	job->sessions = pg_sessions_new(&sessions);
	return 0;
}

int create_replay(const struct create_replay_options *options, struct create_replay_result *result,
		  const volatile bool *cancelled, struct error *err)
{
	*result = (struct create_replay_result){0};
	int64_t start_ns = clock_mono_ns();
	struct job job = {.options = options, .result = result, .cancelled = cancelled, .format = &pg_csvlog_format};
	int rc = options->log_count == 0 ? error_set(err, ERR_USAGE, "no log is given") : start(&job, err);
	if (rc == 0)
		rc = convert(&job, err);
	result->elapsed_ns = clock_mono_ns() - start_ns;
	if (rc == 0) {
		json_t *capture = create_replay_result_json(result, options->source_host);
		rc = replay_writer_commit(job.writer, capture, err);
		json_decref(capture);
	} else if (job.writer) {
		replay_writer_abort(job.writer);
	}
	pg_sessions_free(job.sessions);
	item_sorter_free(job.sorter);
	text_table_free(job.texts);
	filter_release(&job.filter);
	log_zone_free(job.zone);
	free(job.sources);
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
	char first[RFC3339_MAX];
	char last[RFC3339_MAX];
	clock_format_rfc3339(result->first_ns, first);
	clock_format_rfc3339(result->last_ns, last);
	json_t *document =
		json_pack("{s:s, s:I, s:o, s:o, s:o, s:o, s:o, s:o, s:s, s:s, s:f}", "schema",
			  "rehearse.create-replay/1", "log_bytes", (json_int_t)result->log_bytes, "log_records",
			  count_json(result->log_records), "sessions", count_json(result->sessions), "statements",
			  count_json(result->statements), "items", items, "inferred", inferred, "skipped", skipped,
			  "first_time", first, "last_time", last, "elapsed_s", ns_to_s(result->elapsed_ns));
	if (source_host)
		json_object_set_new(document, "source_host", json_from_bytes(source_host, strlen(source_host)));
	return document;
}
