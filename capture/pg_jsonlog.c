/*
 * PostgreSQL's jsonlog: see pg_jsonlog.h. A scanner of our own, because a document tree for each of millions of lines
 * is what would take the time: objects whose values are strings, numbers, booleans, null or (one level down) such
 * objects again; arrays and deeper objects are passed over. Strict: a line is a record when all of it is JSON. Escapes
 * are resolved in place, since a character is never longer than its escape.
 */
#include "pg_jsonlog.h"

#include "clock.h"
#include "mem.h"
#include "num.h"

#define DEPTH_MAX  32
#define TIME_MAX_S 7258118400U /* the year 2200 */

struct log_parser {
	struct log_zone *zone;
};

enum key {
	KEY_TIME,
	KEY_USER,
	KEY_DATABASE,
	KEY_PID,
	KEY_HOST,
	KEY_CLIENT, /* CloudNativePG: host and port in one */
	KEY_SESSION_ID,
	KEY_SESSION_LINE,
	KEY_SEVERITY,
	KEY_SQLSTATE,
	KEY_MESSAGE,
	KEY_DETAIL,
	KEY_CONTEXT,
	KEY_QUERY,
	KEY_APPLICATION,
	KEY_BACKEND_TYPE,
	KEY_LOGGER, /* these two stand outside of "record" */
	KEY_STAMP,
	KEY_COUNT,
	KEY_NONE
};

struct reader {
	char *p;
	char *end;
	struct span values[KEY_COUNT];
	bool inner; /* in "record" */
	bool has_record;
};

static enum key find_key(struct span name, bool inner)
{
	static const struct {
		const char *name;
		enum key key;
	} known[] = {
		{"timestamp", KEY_TIME},
		{"user", KEY_USER},
		{"dbname", KEY_DATABASE},
		{"pid", KEY_PID},
		{"remote_host", KEY_HOST},
		{"session_id", KEY_SESSION_ID},
		{"line_num", KEY_SESSION_LINE},
		{"error_severity", KEY_SEVERITY},
		{"state_code", KEY_SQLSTATE},
		{"message", KEY_MESSAGE},
		{"detail", KEY_DETAIL},
		{"context", KEY_CONTEXT},
		{"statement", KEY_QUERY},
		{"application_name", KEY_APPLICATION},
		{"backend_type", KEY_BACKEND_TYPE},
		/* CloudNativePG's */
		{"log_time", KEY_TIME},
		{"user_name", KEY_USER},
		{"database_name", KEY_DATABASE},
		{"process_id", KEY_PID},
		{"connection_from", KEY_CLIENT},
		{"session_line_num", KEY_SESSION_LINE},
		{"sql_state_code", KEY_SQLSTATE},
		{"query", KEY_QUERY},
		{"logger", KEY_LOGGER},
		{"ts", KEY_STAMP},
	};
	for (size_t i = 0; i < sizeof(known) / sizeof(*known); i++) {
		if (span_equal_str(name, known[i].name))
			return inner && known[i].key >= KEY_LOGGER ? KEY_NONE : known[i].key;
	}
	return KEY_NONE;
}

static void skip_blanks(struct reader *r)
{
	while (r->p < r->end && (*r->p == ' ' || *r->p == '\t' || *r->p == '\r'))
		r->p++;
}

static bool take(struct reader *r, char c)
{
	skip_blanks(r);
	if (r->p == r->end || *r->p != c)
		return false;
	r->p++;
	return true;
}

static bool hex4(const char *p, const char *end, unsigned *out)
{
	if (end - p < 4)
		return false;
	unsigned value = 0;
	for (int i = 0; i < 4; i++) {
		char c = p[i];
		unsigned digit;
		if (c >= '0' && c <= '9')
			digit = (unsigned)(c - '0');
		else if ((c | 0x20) >= 'a' && (c | 0x20) <= 'f')
			digit = (unsigned)((c | 0x20) - 'a') + 10;
		else
			return false;
		value = value * 16 + digit;
	}
	*out = value;
	return true;
}

static char *put_utf8(char *out, unsigned c)
{
	if (c < 0x80) {
		*out++ = (char)c;
	} else if (c < 0x800) {
		*out++ = (char)(0xc0 | (c >> 6));
		*out++ = (char)(0x80 | (c & 0x3f));
	} else if (c < 0x10000) {
		*out++ = (char)(0xe0 | (c >> 12));
		*out++ = (char)(0x80 | ((c >> 6) & 0x3f));
		*out++ = (char)(0x80 | (c & 0x3f));
	} else {
		*out++ = (char)(0xf0 | (c >> 18));
		*out++ = (char)(0x80 | ((c >> 12) & 0x3f));
		*out++ = (char)(0x80 | ((c >> 6) & 0x3f));
		*out++ = (char)(0x80 | (c & 0x3f));
	}
	return out;
}

/* From behind "\u": one escape, or the two of a surrogate pair; a lone half becomes U+FFFD. */
static bool read_unicode(char **in, const char *end, unsigned *out)
{
	unsigned high, low;
	if (!hex4(*in, end, &high))
		return false;
	*in += 4;
	*out = high;
	if (high < 0xd800 || high > 0xdfff)
		return true;
	*out = 0xfffd;
	if (high < 0xdc00 && end - *in >= 6 && (*in)[0] == '\\' && (*in)[1] == 'u' && hex4(*in + 2, end, &low) &&
	    low >= 0xdc00 && low <= 0xdfff) {
		*out = 0x10000 + ((high - 0xd800) << 10) + (low - 0xdc00);
		*in += 6;
	}
	return true;
}

static bool read_escape(char **in, const char *end, char **out)
{
	static const char from[] = "\"\\/bfnrt";
	static const char to[] = "\"\\/\b\f\n\r\t";
	if (*in == end)
		return false;
	char c = *(*in)++;
	if (c == 'u') {
		unsigned code;
		if (!read_unicode(in, end, &code))
			return false;
		*out = put_utf8(*out, code);
		return true;
	}
	const char *found = c ? strchr(from, c) : NULL;
	if (!found)
		return false;
	*(*out)++ = to[found - from];
	return true;
}

/* The end of the string that begins at p: its closing quote. NULL when there is none. */
static char *string_end(char *p, char *end, bool *escapes)
{
	*escapes = false;
	for (char *from = p;;) {
		char *quote = from < end ? memchr(from, '"', (size_t)(end - from)) : NULL;
		if (!quote)
			return NULL;
		size_t slashes = 0;
		while (quote - slashes > p && quote[-(ptrdiff_t)slashes - 1] == '\\')
			slashes++;
		if (slashes % 2 == 0) {
			*escapes = memchr(p, '\\', (size_t)(quote - p)) != NULL;
			return quote;
		}
		from = quote + 1;
	}
}

/* A string, from behind its quote. It is only looked at when value is NULL: then its escapes are not checked. */
static bool read_string(struct reader *r, struct span *value, bool resolve)
{
	bool escapes;
	char *close = string_end(r->p, r->end, &escapes);
	if (!close)
		return false;
	char *start = r->p;
	char *out = start;
	r->p = close + 1;
	if (!escapes || !resolve) {
		*value = (struct span){start, (size_t)(close - start)};
		return true;
	}
	for (char *in = start; in < close;) {
		char *slash = memchr(in, '\\', (size_t)(close - in));
		size_t n = (size_t)((slash ? slash : close) - in);
		memmove(out, in, n);
		out += n;
		if (!slash)
			break;
		in = slash + 1;
		if (!read_escape(&in, close, &out))
			return false;
	}
	*value = (struct span){start, (size_t)(out - start)};
	return true;
}

static bool skip_value(struct reader *r, unsigned depth);

/* What is between brackets, from behind the opening one. */
static bool skip_nested(struct reader *r, char close, unsigned depth)
{
	if (depth == 0)
		return false;
	if (take(r, close))
		return true;
	do {
		struct span name;
		if (close == '}' && (!take(r, '"') || !read_string(r, &name, false) || !take(r, ':')))
			return false;
		if (!skip_value(r, depth - 1))
			return false;
	} while (take(r, ','));
	return take(r, close);
}

static bool is_bare(char c)
{
	return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || c == '-' || c == '+' || c == '.' || c == 'E';
}

/* A number, true, false or null */
static bool read_bare(struct reader *r, struct span *value)
{
	char *start = r->p;
	while (r->p < r->end && is_bare(*r->p))
		r->p++;
	*value = (struct span){start, (size_t)(r->p - start)};
	if (span_equal_str(*value, "null"))
		value->len = 0;
	return r->p > start;
}

static bool skip_value(struct reader *r, unsigned depth)
{
	struct span value;
	if (take(r, '{'))
		return skip_nested(r, '}', depth);
	if (take(r, '['))
		return skip_nested(r, ']', depth);
	if (take(r, '"'))
		return read_string(r, &value, false);
	return read_bare(r, &value);
}

static bool read_object(struct reader *r);

static bool read_member(struct reader *r, bool check_only)
{
	struct span name, value;
	if (!take(r, '"') || !read_string(r, &name, !check_only) || !take(r, ':'))
		return false;
	skip_blanks(r);
	if (!r->inner && span_equal_str(name, "record") && take(r, '{')) {
		r->inner = r->has_record = true;
		bool right = read_object(r);
		r->inner = false;
		return right;
	}
	enum key key = find_key(name, r->inner);
	if (key == KEY_NONE)
		return skip_value(r, DEPTH_MAX);
	if (take(r, '"') ? !read_string(r, &value, true) : !read_bare(r, &value))
		return false;
	r->values[key] = value;
	return true;
}

/* From behind the opening brace. */
static bool read_object(struct reader *r)
{
	if (take(r, '}'))
		return true;
	do {
		if (!read_member(r, false))
			return false;
	} while (take(r, ','));
	return take(r, '}');
}

/* ---- records ---- */

static int64_t decimal(struct span text)
{
	uint64_t value = 0;
	size_t used = 0;
	return text.len && num_scan_digits(text.p, text.len, &value, &used) && value < INT64_MAX ? (int64_t)value : 0;
}

static int64_t session_start_s(struct span id)
{
	int64_t value = 0;
	for (size_t i = 0; i < id.len && i < 12; i++) {
		char c = id.p[i];
		if (c == '.')
			return value;
		if (!((c >= '0' && c <= '9') || (c >= 'a' && c <= 'f')))
			return 0;
		value = value * 16 + (c <= '9' ? c - '0' : c - 'a' + 10);
	}
	return 0;
}

static struct span value_of(const struct reader *r, enum key key)
{
	return r->values[key].p ? r->values[key] : (struct span){"", 0};
}

/* The operator's own stamp: "2026-11-21T20:08:01.123Z", or seconds since 1970. */
static bool operator_time(struct span text, int64_t *out_ns)
{
	char copy[48];
	if (text.len == 0 || text.len >= sizeof(copy))
		return false;
	memcpy(copy, text.p, text.len);
	copy[text.len] = '\0';
	uint64_t seconds = 0;
	size_t used = 0;
	if (text.len > 4 && copy[4] == '-')
		return log_zone_parse_given(NULL, copy, out_ns);
	if (!num_scan_digits(copy, text.len, &seconds, &used) || seconds > TIME_MAX_S)
		return false;
	*out_ns = (int64_t)seconds * NS_PER_S;
	return true;
}

static int fill_record(struct log_parser *parser, const struct reader *r, struct log_record *record, struct error *err)
{
	bool operator_line = value_of(r, KEY_LOGGER).len > 0 && value_of(r, KEY_TIME).len == 0;
	if (operator_line) {
		record->severity = span_from_str("LOG");
		return operator_time(value_of(r, KEY_STAMP), &record->time_ns) ? 0 : 1;
	}
	int rc = log_zone_parse(parser->zone, value_of(r, KEY_TIME), &record->time_ns, err);
	if (rc != 0)
		return rc;
	int64_t pid = decimal(value_of(r, KEY_PID));
	if (pid <= 0 || pid > UINT32_MAX || value_of(r, KEY_SEVERITY).len == 0)
		return 1;
	record->pid = (uint32_t)pid;
	record->user = value_of(r, KEY_USER);
	record->database = value_of(r, KEY_DATABASE);
	record->client_bare = r->values[KEY_CLIENT].p == NULL;
	record->client = value_of(r, record->client_bare ? KEY_HOST : KEY_CLIENT);
	record->session_id = value_of(r, KEY_SESSION_ID);
	record->session_line = decimal(value_of(r, KEY_SESSION_LINE));
	record->session_start_s = session_start_s(record->session_id);
	record->severity = value_of(r, KEY_SEVERITY);
	record->sqlstate = value_of(r, KEY_SQLSTATE);
	record->message = value_of(r, KEY_MESSAGE);
	record->detail = value_of(r, KEY_DETAIL);
	record->context = value_of(r, KEY_CONTEXT);
	record->query = value_of(r, KEY_QUERY);
	record->application = value_of(r, KEY_APPLICATION);
	record->backend_type = value_of(r, KEY_BACKEND_TYPE);
	return 0;
}

static struct log_parser *jsonlog_open(const struct log_format *format, struct log_zone *zone)
{
	(void)format;
	struct log_parser *parser = mem_zalloc(1, sizeof(*parser));
	parser->zone = zone;
	return parser;
}

static void jsonlog_free(struct log_parser *parser)
{
	free(parser);
}

/* Lines that are no objects up to the next that may be one: one stretch of damage. */
static size_t damaged_length(const char *data, size_t len)
{
	size_t at = 0;
	while (at < len) {
		const char *end = memchr(data + at, '\n', len - at);
		if (!end)
			return at > 0 ? at : len;
		at = (size_t)(end - data) + 1;
		if (at < len && data[at] == '{')
			break;
	}
	return at;
}

static enum log_scan jsonlog_scan(struct log_parser *parser, char *data, size_t len, bool last, size_t *used,
				  struct log_record *record, struct error *err)
{
	size_t start = 0;
	while (start < len && (data[start] == '\n' || data[start] == '\r' || data[start] == '\0'))
		start++;
	if (start == len) {
		*used = len;
		return last ? LOG_SCAN_END : LOG_SCAN_MORE;
	}
	const char *newline = memchr(data + start, '\n', len - start);
	if (!newline && !last && len - start < LOG_RECORD_MAX)
		return LOG_SCAN_MORE;
	size_t line = newline ? (size_t)(newline - data) - start : len - start;
	if (data[start] != '{') {
		/* With the lines behind it, as far as all of them are there: how much was read changes no count. */
		size_t n = damaged_length(data + start, len - start);
		bool ends = start + n < len && data[start + n] == '{';
		if (!ends && !last && len - start < LOG_RECORD_MAX)
			return LOG_SCAN_MORE;
		*used = start + n;
		return LOG_SCAN_UNPARSED;
	}
	*used = start + line + (newline != NULL);
	if (line > LOG_RECORD_MAX)
		return LOG_SCAN_UNPARSED;
	struct reader r = {.p = data + start + 1, .end = data + start + line};
	if (!read_object(&r))
		return LOG_SCAN_UNPARSED;
	skip_blanks(&r);
	if (r.p != r.end)
		return LOG_SCAN_UNPARSED;
	int rc = fill_record(parser, &r, record, err);
	if (rc < 0)
		return LOG_SCAN_FAILED;
	return rc == 0 ? LOG_SCAN_RECORD : LOG_SCAN_UNPARSED;
}

static bool jsonlog_begins(const char *data, size_t len)
{
	return len > 0 && data[0] == '{';
}

static void jsonlog_explain(const char *data, size_t len, char *out, size_t size)
{
	(void)data;
	(void)len;
	(void)snprintf(out, size, "no line is an object with a timestamp, a process and a severity");
}

const struct log_format pg_jsonlog_format = {
	.name = "PostgreSQL jsonlog",
	.caps = {.session_ids = true,
		 .sqlstates = true,
		 .single_lines = true,
		 .independent = true,
		 .resolution_ns = 1000000},
	.open = jsonlog_open,
	.free = jsonlog_free,
	.scan = jsonlog_scan,
	.begins = jsonlog_begins,
	.explain = jsonlog_explain,
};
