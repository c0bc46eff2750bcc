/* The files of a capture: see log_sources.h. */
#include "log_sources.h"

#include "clock.h"
#include "in_file.h"
#include "logging.h"
#include "mem.h"

#include <dirent.h>
#include <errno.h>
#include <sys/stat.h>
#include <xxhash.h>

#define SAMPLE_MAX (LOG_FORMATS_SAMPLE * 16)

uint64_t log_source_record_hash(const struct log_record *record)
{
	uint64_t seed = (uint64_t)(record->time_ns / NS_PER_S) * 0x9e3779b97f4a7c15U + record->pid;
	return XXH3_64bits_withSeed(record->message.p, record->message.len, seed);
}

static void add(struct log_sources *sources, const char *path, size_t given, bool in_folder)
{
	MEM_GROW(sources->items, sources->count, sources->capacity);
	sources->items[sources->count++] = (struct log_source){
		.path = mem_strdup(path), .given = given, .in_folder = in_folder, .first_ns = INT64_MAX};
}

static int visible(const struct dirent *entry)
{
	return entry->d_name[0] != '.';
}

/* All files of a folder, by name; folders in it are not entered. */
static int add_folder(struct log_sources *sources, const char *path, size_t given, struct error *err)
{
	struct dirent **names;
	int count = scandir(path, &names, visible, alphasort);
	if (count < 0)
		return error_set_errno(err, ERR_DATA, "%s: cannot open", path);
	size_t before = sources->count;
	for (int i = 0; i < count; i++) {
		char *name = mem_printf("%s/%s", path, names[i]->d_name);
		struct stat st;
		if (stat(name, &st) == 0 && S_ISREG(st.st_mode) && st.st_size > 0)
			add(sources, name, given, true);
		free(name);
		free(names[i]);
	}
	free(names);
	return sources->count > before ? 0 : error_set(err, ERR_DATA, "%s: a folder without files", path);
}

/* The file's beginning, text. */
static int read_sample(const char *path, char *sample, size_t size, size_t *len, struct error *err)
{
	struct in_file *in;
	int rc = in_file_open(path, &in, err);
	if (rc < 0)
		return rc;
	*len = 0;
	while (*len < size) {
		ssize_t got = in_file_read(in, sample + *len, size - *len, err);
		if (got <= 0) {
			/* What is damaged behind its beginning is for the reader to say. */
			rc = *len == 0 ? (int)got : 0;
			break;
		}
		*len += (size_t)got;
	}
	in_file_free(in);
	return rc;
}

static void take_sample(struct log_source *source, struct log_zone *zone, char *data, size_t len)
{
	struct log_parser *parser = source->format->open(source->format, zone);
	for (size_t at = 0; at < len && source->sample_count < LOG_SOURCE_SAMPLE;) {
		struct log_record record = {0};
		struct error ignored = ERROR_INIT;
		size_t used = 0;
		enum log_scan scan = source->format->scan(parser, data + at, len - at, true, &used, &record, &ignored);
		if (scan == LOG_SCAN_END || scan == LOG_SCAN_MORE || scan == LOG_SCAN_FAILED || used == 0)
			break;
		at += used;
		if (scan != LOG_SCAN_RECORD)
			continue;
		if (source->sample_count == 0)
			source->first_ns = record.time_ns;
		if (record.pid > 0)
			source->sample[source->sample_count++] = log_source_record_hash(&record);
	}
	source->format->free(parser);
}

static int look_at(struct log_source *source, const struct log_formats *formats, struct log_zone *zone, char *sample,
		   struct error *err)
{
	size_t len = 0;
	int rc = read_sample(source->path, sample, LOG_FORMATS_SAMPLE, &len, err);
	if (rc < 0)
		return rc;
	source->format = log_formats_detect(formats, zone, sample, len);
	if (!source->format && len == LOG_FORMATS_SAMPLE) {
		/* A file that begins in the middle of a long record. */
		rc = read_sample(source->path, sample, SAMPLE_MAX, &len, err);
		if (rc < 0)
			return rc;
		source->format = log_formats_detect(formats, zone, sample, len);
	}
	if (!source->format && source->in_folder)
		return 0;
	if (!source->format)
		source->format = log_formats_auto(formats); /* whose reader says what is wrong */
	else
		take_sample(source, zone, sample, len);
	return 0;
}

static int look_at_all(struct log_sources *sources, const char *output, const struct log_formats *formats,
		       struct log_zone *zone, struct error *err)
{
	char *sample = mem_alloc(SAMPLE_MAX);
	struct stat out;
	bool have_output = stat(output, &out) == 0;
	size_t kept = 0;
	int rc = 0;
	for (size_t i = 0; i < sources->count; i++) {
		struct log_source *source = &sources->items[i];
		struct stat st;
		source->regular = stat(source->path, &st) == 0 && S_ISREG(st.st_mode);
		/* The finished file takes the output's name: that must not be a log's. */
		if (rc == 0 && source->regular && have_output && st.st_dev == out.st_dev && st.st_ino == out.st_ino)
			rc = error_set(err, ERR_USAGE, "%s: is a log; it cannot be the output too", output);
		source->size_bytes = source->regular ? (int64_t)st.st_size : -1;
		if (rc == 0 && source->regular && source->size_bytes == 0 && sources->count > 1) {
			log_warn("%s: left out: it is empty", source->path); /* an hour without a word */
			free(source->path);
			continue;
		}
		if (rc == 0 && source->regular)
			rc = look_at(source, formats, zone, sample, err);
		else
			source->format = log_formats_auto(formats);
		if (rc == 0 && !source->format) {
			log_warn("%s: left out: it is no log that is recognised", source->path);
			free(source->path);
			continue;
		}
		sources->items[kept++] = *source;
	}
	sources->count = kept;
	free(sample);
	if (rc == 0 && kept == 0)
		return error_set(err, ERR_DATA, "none of the files is a log that is recognised");
	return rc;
}

static int rank(const struct log_source *source)
{
	return source->format->caps.single_lines ? 1 : source->format->settings ? 2 : 0;
}

static bool share_records(const struct log_source *a, const struct log_source *b)
{
	for (size_t i = 0; i < a->sample_count; i++) {
		for (size_t j = 0; j < b->sample_count; j++) {
			if (a->sample[i] == b->sample[j])
				return true;
		}
	}
	return false;
}

/* The file of a better format that holds what this one does. */
static const struct log_source *twin_of(const struct log_sources *sources, const struct log_source *source)
{
	for (size_t i = 0; i < sources->count; i++) {
		const struct log_source *other = &sources->items[i];
		if (other->format && rank(other) < rank(source) && share_records(other, source))
			return other;
	}
	return NULL;
}

static void drop_twins(struct log_sources *sources)
{
	bool *drop = mem_zalloc(sources->count, sizeof(*drop));
	for (size_t i = 0; i < sources->count; i++) {
		const struct log_source *twin = twin_of(sources, &sources->items[i]);
		drop[i] = twin != NULL;
		if (twin)
			log_warn("%s: left out: the same log as %s, in another format", sources->items[i].path,
				 twin->path);
	}
	size_t kept = 0;
	for (size_t i = 0; i < sources->count; i++) {
		if (drop[i])
			free(sources->items[i].path);
		else
			sources->items[kept++] = sources->items[i];
	}
	sources->count = kept;
	free(drop);
}

static int compare(const void *left, const void *right)
{
	const struct log_source *a = left;
	const struct log_source *b = right;
	if (a->first_ns != b->first_ns)
		return a->first_ns < b->first_ns ? -1 : 1;
	if (a->given != b->given)
		return a->given < b->given ? -1 : 1;
	return strcmp(a->path, b->path);
}

int log_sources_open(const char *const *paths, size_t count, const char *output, const struct log_formats *formats,
		     struct log_zone *zone, struct log_sources *out, struct error *err)
{
	*out = (struct log_sources){0};
	int rc = 0;
	for (size_t i = 0; i < count && rc == 0; i++) {
		struct stat st;
		if (stat(paths[i], &st) == 0 && S_ISDIR(st.st_mode))
			rc = add_folder(out, paths[i], i, err);
		else
			add(out, paths[i], i, false);
	}
	if (rc == 0)
		rc = look_at_all(out, output, formats, zone, err);
	if (rc < 0) {
		log_sources_release(out);
		return rc;
	}
	drop_twins(out);
	qsort(out->items, out->count, sizeof(*out->items), compare);
	for (size_t i = 0; i < out->count; i++) {
		out->mixed = out->mixed || out->items[i].format != out->items[0].format;
		if (out->items[i].size_bytes < 0)
			out->total_bytes = -1;
		else if (out->total_bytes >= 0)
			out->total_bytes += out->items[i].size_bytes;
	}
	return 0;
}

void log_sources_release(struct log_sources *sources)
{
	for (size_t i = 0; i < sources->count; i++)
		free(sources->items[i].path);
	free(sources->items);
	*sources = (struct log_sources){0};
}
