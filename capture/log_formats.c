/* Which format a log has: see log_formats.h. */
#include "log_formats.h"

#include "mem.h"
#include "pg_csvlog.h"
#include "pg_jsonlog.h"
#include "pg_stderr.h"

#define CANDIDATES_MAX 40

struct log_formats {
	const struct log_format *candidates[CANDIDATES_MAX];
	size_t count;
	struct log_format *of_stderr[CANDIDATES_MAX];
	size_t stderr_count;
	struct log_format self; /* log_formats_auto() */
};

struct log_parser {
	const struct log_formats *formats;
	struct log_zone *zone;
	const struct log_format *format; /* once it is known */
	struct log_parser *inner;
};

static const char *const usual_prefixes[] = {
	"%t:%r:%u@%d:[%p]:",			   /* RDS */
	"%m:%r:%u@%d:[%p]:%l:%e:%s:%v:%x:%c:%q%a", /* Aurora from 16 on */
	"%m:%r:%u@%d:[%p]:",
	"%m [%p] %q%u@%d ", /* Debian */
	"%m [%p] ",	    /* the server's default from 10 on */
	"%m [%p] %q[user=%u,db=%d,app=%a] ",
	"%m [%p]: [%l-1] db=%d,user=%u ", /* Cloud SQL */
	"%m [%p] db=%d,user=%u ",
	"%m [%p]: user=%u,db=%d,app=%a,client=%h ",
	"%m [%p] user=%u,db=%d,app=%a,client=%h ",
	"%t [%p]: [%l-1] user=%u,db=%d,app=%a,client=%h ", /* pgBadger's */
	"%t [%p]: user=%u,db=%d,app=%a,client=%h ",
	"%m [%p]: [%l-1] user=%u,db=%d,app=%a,client=%h ",
	"%t [%p]: [%l-1] user=%u,db=%d ",
	"%m [%p]: [%l-1] user=%u,db=%d ",
	"%t [%p]: user=%u,db=%d,client=%h ",
	"%m [%p] %u@%d ",
	"%t [%p] %u@%d ",
	"%t [%p-%l] %q%u@%d ", /* Debian's until 9.6 */
	"%t [%p]: [%l-1] ",
	"%t [%p] ",
	"%t-%c-", /* Azure */
	"%t %u@%d [%p] ",
	"%m %u@%d [%p] ",
	"%t %a %u %d %h %p ",
};

static void auto_explain(const char *data, size_t len, char *out, size_t size)
{
	(void)data;
	(void)len;
	(void)snprintf(out, size,
		       "neither csvlog nor jsonlog nor stderr with a usual prefix; --log-line-prefix gives another");
}

static struct log_parser *auto_open(const struct log_format *format, struct log_zone *zone)
{
	struct log_parser *parser = mem_zalloc(1, sizeof(*parser));
	parser->formats = format->settings;
	parser->zone = zone;
	return parser;
}

static void auto_free(struct log_parser *parser)
{
	if (!parser)
		return;
	if (parser->inner)
		parser->format->free(parser->inner);
	free(parser);
}

static enum log_scan auto_scan(struct log_parser *parser, char *data, size_t len, bool last, size_t *used,
			       struct log_record *record, struct error *err)
{
	if (!parser->inner) {
		if (len < LOG_FORMATS_SAMPLE && !last)
			return LOG_SCAN_MORE;
		size_t sample = len < LOG_FORMATS_SAMPLE ? len : LOG_FORMATS_SAMPLE;
		const struct log_format *found = log_formats_detect(parser->formats, parser->zone, data, sample);
		if (!found) {
			*used = sample;
			return len ? LOG_SCAN_UNPARSED : LOG_SCAN_END;
		}
		parser->format = found;
		parser->inner = found->open(found, parser->zone);
	}
	return parser->format->scan(parser->inner, data, len, last, used, record, err);
}

static void add(struct log_formats *formats, const struct log_format *format)
{
	if (formats->count < CANDIDATES_MAX)
		formats->candidates[formats->count++] = format;
}

static int add_stderr(struct log_formats *formats, const char *prefix, struct error *err)
{
	struct log_format *format;
	int rc = pg_stderr_new(prefix, &format, err);
	if (rc < 0)
		return rc;
	formats->of_stderr[formats->stderr_count++] = format;
	add(formats, format);
	return 0;
}

int log_formats_open(enum log_format_kind kind, const char *prefix, struct log_formats **out, struct error *err)
{
	if (prefix && kind != LOG_FORMAT_AUTO && kind != LOG_FORMAT_STDERR)
		return error_set(err, ERR_USAGE, "--log-line-prefix goes with stderr logs");
	struct log_formats *formats = mem_zalloc(1, sizeof(*formats));
	formats->self = (struct log_format){
		.name = "PostgreSQL log",
		.settings = formats,
		.open = auto_open,
		.free = auto_free,
		.scan = auto_scan,
		.explain = auto_explain,
	};
	if (kind == LOG_FORMAT_AUTO || kind == LOG_FORMAT_CSVLOG)
		add(formats, &pg_csvlog_format);
	if (kind == LOG_FORMAT_AUTO || kind == LOG_FORMAT_JSONLOG)
		add(formats, &pg_jsonlog_format);
	int rc = 0;
	if (prefix)
		rc = add_stderr(formats, prefix, err);
	for (size_t i = 0; !prefix && (kind == LOG_FORMAT_AUTO || kind == LOG_FORMAT_STDERR) && rc == 0 &&
			   i < sizeof(usual_prefixes) / sizeof(*usual_prefixes);
	     i++)
		rc = add_stderr(formats, usual_prefixes[i], err);
	if (rc < 0)
		log_formats_free(formats);
	else
		*out = formats;
	return rc;
}

void log_formats_free(struct log_formats *formats)
{
	if (!formats)
		return;
	for (size_t i = 0; i < formats->stderr_count; i++)
		pg_stderr_free(formats->of_stderr[i]);
	free(formats);
}

const struct log_format *log_formats_auto(const struct log_formats *formats)
{
	return formats->count == 1 ? formats->candidates[0] : &formats->self;
}

/* How many of the bytes are records in this format. The bytes are a copy of the caller's: a format may change them. */
static size_t record_bytes(const struct log_format *format, struct log_zone *zone, char *data, size_t len)
{
	struct log_parser *parser = format->open(format, zone);
	size_t sum = 0;
	for (size_t at = 0; at < len;) {
		struct log_record record = {0};
		struct error err = ERROR_INIT;
		size_t used = 0;
		enum log_scan scan = format->scan(parser, data + at, len - at, true, &used, &record, &err);
		if (scan == LOG_SCAN_END || scan == LOG_SCAN_MORE || used == 0)
			break;
		if (scan == LOG_SCAN_RECORD)
			sum += used;
		at += used;
		if (scan == LOG_SCAN_FAILED) {
			sum = len; /* its stamp was read, in a zone that is not known: the caller will say so */
			break;
		}
	}
	format->free(parser);
	return sum;
}

const struct log_format *log_formats_detect(const struct log_formats *formats, struct log_zone *zone, const char *data,
					    size_t len)
{
	if (formats->count == 1)
		return formats->candidates[0];
	char *copy = mem_alloc(len ? len : 1);
	const struct log_format *best = NULL;
	size_t best_bytes = 0;
	for (size_t i = 0; i < formats->count && best_bytes < len; i++) {
		memcpy(copy, data, len);
		size_t bytes = record_bytes(formats->candidates[i], zone, copy, len);
		if (bytes > best_bytes) {
			best_bytes = bytes;
			best = formats->candidates[i];
		}
		/* csvlog and jsonlog look like nothing else. */
		if (!formats->candidates[i]->settings && bytes > len / 2)
			break;
	}
	free(copy);
	return best;
}
