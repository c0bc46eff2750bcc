/* What of a log is wanted: see log_filter.h. */
#include "log_filter.h"

#include "mem.h"
#include "sql_read_only.h"

#include <regex.h>

struct log_filter {
	struct log_filter_options options;
	int64_t from_ns;
	int64_t to_ns;
	regex_t *include;
	regex_t *exclude;
	size_t include_count;
	size_t exclude_count;
};

const char *filter_reason_name(enum filter_reason reason)
{
	static const char *const names[FILTER_REASON_COUNT] = {
		[FILTER_NONE] = "none",
		[FILTER_TIME] = "time",
		[FILTER_DATABASE] = "database",
		[FILTER_USER] = "user",
		[FILTER_APPLICATION] = "application",
		[FILTER_INCLUDE] = "include",
		[FILTER_EXCLUDE] = "exclude",
		[FILTER_READ_ONLY] = "read_only",
	};
	return names[reason];
}

static int compile(struct filter_words words, regex_t **out, size_t *out_count, struct error *err)
{
	*out = mem_zalloc(words.count ? words.count : 1, sizeof(**out));
	for (size_t i = 0; i < words.count; i++) {
		int rc = regcomp(&(*out)[i], words.items[i], REG_EXTENDED);
		if (rc != 0) {
			char why[128];
			(void)regerror(rc, &(*out)[i], why, sizeof(why));
			return error_set(err, ERR_USAGE, "%s is no regular expression: %s", words.items[i], why);
		}
		*out_count = i + 1;
	}
	return 0;
}

static int read_time(const char *option, const char *text, struct log_zone *zone, int64_t *out_ns, struct error *err)
{
	if (!text || log_zone_parse_given(zone, text, out_ns))
		return 0;
	return error_set(err, ERR_USAGE,
			 "%s %s: a time such as 2026-11-21T20:08:00Z or \"2026-11-21 20:08:00\" is meant", option,
			 text);
}

int log_filter_open(const struct log_filter_options *options, struct log_zone *zone, struct log_filter **out,
		    struct error *err)
{
	struct log_filter *filter = mem_zalloc(1, sizeof(*filter));
	filter->options = *options;
	filter->from_ns = INT64_MIN;
	filter->to_ns = INT64_MAX;
	int rc = read_time("--from", options->from, zone, &filter->from_ns, err);
	if (rc == 0)
		rc = read_time("--to", options->to, zone, &filter->to_ns, err);
	if (rc == 0 && filter->from_ns >= filter->to_ns)
		rc = error_set(err, ERR_USAGE, "--from %s is not before --to %s", options->from, options->to);
	if (rc == 0)
		rc = compile(options->include, &filter->include, &filter->include_count, err);
	if (rc == 0)
		rc = compile(options->exclude, &filter->exclude, &filter->exclude_count, err);
	if (rc < 0)
		log_filter_free(filter);
	else
		*out = filter;
	return rc;
}

void log_filter_free(struct log_filter *filter)
{
	if (!filter)
		return;
	for (size_t i = 0; i < filter->include_count; i++)
		regfree(&filter->include[i]);
	for (size_t i = 0; i < filter->exclude_count; i++)
		regfree(&filter->exclude[i]);
	free(filter->include);
	free(filter->exclude);
	free(filter);
}

enum filter_reason log_filter_time(const struct log_filter *filter, int64_t time_ns)
{
	return time_ns < filter->from_ns || time_ns >= filter->to_ns ? FILTER_TIME : FILTER_NONE;
}

int64_t log_filter_end_ns(const struct log_filter *filter)
{
	return filter->to_ns;
}

static bool holds(struct filter_words words, struct span text)
{
	for (size_t i = 0; i < words.count; i++) {
		if (span_equal_str(text, words.items[i]))
			return true;
	}
	return false;
}

static bool passes(struct filter_words wanted, struct filter_words unwanted, struct span text)
{
	return (wanted.count == 0 || holds(wanted, text)) && !holds(unwanted, text);
}

enum filter_reason log_filter_session(const struct log_filter *filter, struct span user, struct span database,
				      struct span application)
{
	const struct log_filter_options *o = &filter->options;
	if (!passes(o->database, o->exclude_database, database))
		return FILTER_DATABASE;
	if (!passes(o->user, o->exclude_user, user))
		return FILTER_USER;
	return passes(o->application, o->exclude_application, application) ? FILTER_NONE : FILTER_APPLICATION;
}

bool log_filter_needs_application(const struct log_filter *filter)
{
	return filter->options.application.count + filter->options.exclude_application.count > 0;
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

enum filter_reason log_filter_statement(const struct log_filter *filter, struct span text)
{
	if (filter->include_count > 0 && !matches_one(filter->include, filter->include_count, text))
		return FILTER_INCLUDE;
	if (matches_one(filter->exclude, filter->exclude_count, text))
		return FILTER_EXCLUDE;
	if (filter->options.read_only && !sql_is_read_only(SQL_POSTGRESQL, text))
		return FILTER_READ_ONLY;
	return FILTER_NONE;
}
