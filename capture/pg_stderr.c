/*
 * PostgreSQL's stderr log: see pg_stderr.h. A record ends where the next line begins another one, so a record is given
 * out once the line behind it is there. Tabs are taken out in place, after the record's end is known.
 */
#include "pg_stderr.h"

#include "clock.h"
#include "log_line_prefix.h"
#include "mem.h"
#include "num.h"

#define SECOND_BYTES_MAX ((size_t)8 * 1024 * 1024) /* how far is looked ahead for a second's end */

struct log_parser {
	const struct log_line_prefix *prefix;
	struct log_zone *zone;
	struct prefix_names names;
	/* the second that is being spread */
	char stamp[40];
	size_t stamp_len;
	uint64_t second_records;
	uint64_t second_done;
};

enum part {
	PART_MESSAGE,
	PART_DETAIL,
	PART_CONTEXT,
	PART_STATEMENT,
	PART_LOCATION,
	PART_OTHER,
	PART_COUNT
};

struct parts {
	struct span text[PART_COUNT];
	size_t len; /* of the record, with its last line end */
};

static struct log_parser *stderr_open(const struct log_format *format, struct log_zone *zone)
{
	struct log_parser *parser = mem_zalloc(1, sizeof(*parser));
	parser->prefix = format->settings;
	parser->zone = zone;
	return parser;
}

static void stderr_free(struct log_parser *parser)
{
	if (!parser)
		return;
	prefix_names_release(&parser->names);
	free(parser);
}

/* ---- lines ---- */

/* The line at data + from without its end. False when its end is not there yet. */
static bool get_line(const char *data, size_t len, size_t from, bool last, struct span *line, size_t *next)
{
	const char *end = from < len ? memchr(data + from, '\n', len - from) : NULL;
	if (!end && !last)
		return false;
	size_t stop = end ? (size_t)(end - data) : len;
	*next = end ? stop + 1 : len;
	if (stop > from && data[stop - 1] == '\r')
		stop--;
	*line = (struct span){data + from, stop - from};
	return true;
}

static enum part part_of(struct span severity)
{
	switch (severity.p[0]) {
	case 'D':
		return PART_DETAIL;
	case 'C':
		return PART_CONTEXT;
	case 'S':
		return PART_STATEMENT;
	case 'L':
		return PART_LOCATION;
	default:
		return PART_OTHER;
	}
}

static bool same_process(const struct prefix_match *a, const struct prefix_match *b)
{
	return span_equal(prefix_field(a, 'p'), prefix_field(b, 'p')) &&
	       span_equal(prefix_field(a, 'c'), prefix_field(b, 'c'));
}

static enum log_scan find_parts(const struct log_parser *parser, const char *data, size_t len, bool last,
				const struct prefix_match *first, struct parts *parts)
{
	struct span line;
	size_t at = 0;
	if (!get_line(data, len, 0, last, &line, &at))
		return len > LOG_RECORD_MAX ? LOG_SCAN_UNPARSED : LOG_SCAN_MORE;
	enum part part = PART_MESSAGE;
	*parts = (struct parts){.text[PART_MESSAGE] = {line.p + first->used, line.len - first->used}};
	for (;;) {
		size_t next = 0;
		if (at == len && last)
			break;
		if (len > LOG_RECORD_MAX && at > LOG_RECORD_MAX)
			return LOG_SCAN_UNPARSED;
		if (!get_line(data, len, at, last, &line, &next))
			return len - at > LOG_RECORD_MAX ? LOG_SCAN_UNPARSED : LOG_SCAN_MORE;
		if (line.len > 0 && line.p[0] == '\t') {
			/* what lies between is the line end, so one span takes both lines */
			parts->text[part].len = (size_t)(line.p + line.len - parts->text[part].p);
		} else {
			struct prefix_match match;
			if (!log_line_prefix_match(parser->prefix, &parser->names, line, &match) || !match.secondary ||
			    !same_process(first, &match))
				break;
			part = part_of(match.severity);
			parts->text[part] = (struct span){line.p + match.used, line.len - match.used};
		}
		at = next;
	}
	parts->len = at;
	return LOG_SCAN_RECORD;
}

/* From a place where no record begins, to where one does. */
static enum log_scan pass_over(const struct log_parser *parser, const char *data, size_t len, bool last, size_t *used)
{
	size_t at = 0;
	for (;;) {
		struct span line;
		size_t next = 0;
		struct prefix_match match;
		if (at == len && last)
			break;
		if (!get_line(data, len, at, last, &line, &next)) {
			/* How much was read changes no count: one stretch is given at once, if it is not too long. */
			if (len < LOG_RECORD_MAX)
				return LOG_SCAN_MORE;
			if (at == 0)
				at = len;
			break;
		}
		if (log_line_prefix_match(parser->prefix, &parser->names, line, &match) && !match.secondary)
			break;
		if (at > LOG_RECORD_MAX)
			break;
		at = next;
	}
	*used = at;
	return LOG_SCAN_UNPARSED;
}

/* ---- a record's parts ---- */

/* Takes the tab behind each line end out. What is left over at the end is blanks: nobody counts lines in it. */
static struct span strip_tabs(struct span text)
{
	if (!text.p)
		return (struct span){"", 0};
	char *start = (char *)text.p; /* the caller's buffer, which a format may change */
	char *end = start + text.len;
	char *in = text.len ? memmem(start, text.len, "\n\t", 2) : NULL;
	if (!in)
		return text;
	char *out = in;
	while (in < end) {
		*out++ = '\n';
		in += 2;
		char *stop = in < end ? memmem(in, (size_t)(end - in), "\n\t", 2) : NULL;
		size_t n = (size_t)((stop ? stop : end) - in);
		memmove(out, in, n);
		out += n;
		if (!stop)
			break;
		in = stop;
	}
	memset(out, ' ', (size_t)(end - out));
	return (struct span){start, (size_t)(out - start)};
}

/* log_error_verbosity=verbose: "42P01: relation …", known by the record's LOCATION line. */
static void take_verbose_code(struct log_record *record)
{
	struct span message = record->message;
	if (message.len < 7 || message.p[5] != ':' || message.p[6] != ' ')
		return;
	for (size_t i = 0; i < 5; i++) {
		char c = message.p[i];
		if (!((c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z')))
			return;
	}
	record->sqlstate = (struct span){message.p, 5};
	record->message = (struct span){message.p + 7, message.len - 7};
}

/* " at character 22", which csvlog has in a column of its own */
static void drop_position(struct span *message)
{
	static const char mark[] = " at character ";
	size_t len = message->len;
	while (len > 0 && message->p[len - 1] >= '0' && message->p[len - 1] <= '9')
		len--;
	if (len < message->len && len >= sizeof(mark) - 1 &&
	    memcmp(message->p + len - (sizeof(mark) - 1), mark, sizeof(mark) - 1) == 0)
		message->len = len - (sizeof(mark) - 1);
}

const char *pg_stderr_guess_sqlstate(struct span message, struct span context)
{
	static const struct {
		const char *begins;
		const char *holds;
		const char *code;
	} known[] = {
		{"canceling statement due to user request", "", "57014"},
		{"canceling statement due to statement timeout", "", "57014"},
		{"canceling statement due to lock timeout", "", "55P03"},
		{"could not obtain lock on ", "", "55P03"},
		{"COPY from stdin failed: ", "", "57014"},
		{"deadlock detected", "", "40P01"},
		{"could not serialize access due to ", "", "40001"},
		{"current transaction is aborted, commands ignored until end of transaction block", "", "25P02"},
		{"duplicate key value violates unique constraint ", "", "23505"},
		{"null value in column ", " violates not-null constraint", "23502"},
		{"insert or update on table ", " violates foreign key constraint ", "23503"},
		{"update or delete on table ", " violates foreign key constraint ", "23503"},
		{"new row for relation ", " violates check constraint ", "23514"},
		{"division by zero", "", "22012"},
		{"invalid input syntax for type ", "", "22P02"},
		{"value too long for type ", "", "22001"},
		{"syntax error at ", "", "42601"},
		{"relation \"", "\" does not exist", "42P01"},
		{"column ", " does not exist", "42703"},
		{"prepared statement \"", "\" does not exist", "26000"},
		{"prepared statement \"", "\" already exists", "42P05"},
		{"cached plan must not change result type", "", "0A000"},
		{"terminating connection due to administrator command", "", "57P01"},
		{"terminating connection due to idle-in-transaction timeout", "", "25P03"},
		{"the database system is shutting down", "", "57P03"},
		{"the database system is starting up", "", "57P03"},
		{"database \"", "\" does not exist", "3D000"},
		{"password authentication failed for user ", "", "28P01"},
		{"sorry, too many clients already", "", "53300"},
	};
	/* A function can raise any text with any code. */
	if (context.len > 0 && memmem(context.p, context.len, " at RAISE", 9))
		return "";
	for (size_t i = 0; i < sizeof(known) / sizeof(*known); i++) {
		size_t len = strlen(known[i].holds);
		if (span_starts_with(message, known[i].begins) &&
		    (len == 0 || (message.len >= len && memmem(message.p, message.len, known[i].holds, len))))
			return known[i].code;
	}
	return "";
}

static bool is_error(struct span severity)
{
	return span_equal_str(severity, "ERROR") || span_equal_str(severity, "FATAL") ||
	       span_equal_str(severity, "PANIC");
}

static void fill_texts(struct log_record *record, const struct parts *parts)
{
	record->message = strip_tabs(parts->text[PART_MESSAGE]);
	record->detail = strip_tabs(parts->text[PART_DETAIL]);
	record->context = strip_tabs(parts->text[PART_CONTEXT]);
	record->query = strip_tabs(parts->text[PART_STATEMENT]);
	if (parts->text[PART_LOCATION].p)
		take_verbose_code(record);
	if (!is_error(record->severity))
		return;
	drop_position(&record->message);
	if (record->sqlstate.len == 0)
		record->sqlstate = span_from_str(pg_stderr_guess_sqlstate(record->message, record->context));
}

/* ---- who and when ---- */

/* "10.0.0.1(5432)" becomes "10.0.0.1:5432", as csvlog has it. */
static struct span remote(struct span text)
{
	char *open = text.len ? memrchr(text.p, '(', text.len) : NULL;
	if (!open || text.p[text.len - 1] != ')')
		return text;
	*open = ':';
	return (struct span){text.p, text.len - 1};
}

static uint64_t hex_number(struct span text)
{
	uint64_t value = 0;
	for (size_t i = 0; i < text.len && i < 12; i++)
		value = value * 16 + (uint64_t)(text.p[i] <= '9' ? text.p[i] - '0' : text.p[i] - 'a' + 10);
	return value;
}

static uint64_t decimal(struct span text)
{
	uint64_t value = 0;
	size_t used = 0;
	return text.len && num_scan_digits(text.p, text.len, &value, &used) ? value : 0;
}

static void fill_who(const struct prefix_match *match, struct log_record *record)
{
	record->user = prefix_field(match, 'u');
	record->database = prefix_field(match, 'd');
	record->application = prefix_field(match, 'a');
	record->backend_type = prefix_field(match, 'b');
	record->severity = match->severity;
	record->sqlstate = prefix_field(match, 'e');
	record->session_id = prefix_field(match, 'c');
	record->session_line = (int64_t)decimal(prefix_field(match, 'l'));
	record->pid = (uint32_t)decimal(prefix_field(match, 'p'));
	if (prefix_field(match, 'r').p) {
		record->client = remote(prefix_field(match, 'r'));
	} else {
		record->client = prefix_field(match, 'h');
		record->client_bare = true;
	}
	record->anonymous = !prefix_field(match, 'u').p && !prefix_field(match, 'r').p && !prefix_field(match, 'h').p;
	if (record->session_id.len > 0) {
		const char *dot = memchr(record->session_id.p, '.', record->session_id.len);
		size_t len = dot ? (size_t)(dot - record->session_id.p) : 0;
		record->session_start_s = (int64_t)hex_number((struct span){record->session_id.p, len});
		if (record->pid == 0)
			record->pid = (uint32_t)hex_number(
				(struct span){record->session_id.p + len + 1, record->session_id.len - len - 1});
	}
}

/* "1795300125.736" */
static int64_t epoch_ns(struct span text)
{
	uint64_t seconds = 0;
	size_t used = 0;
	if (!num_scan_digits(text.p, text.len, &seconds, &used) || seconds > 7258118400U)
		return 0;
	int64_t ns = (int64_t)seconds * NS_PER_S;
	int64_t unit = NS_PER_S / 10;
	for (size_t i = used + 1; i < text.len; i++, unit /= 10)
		ns += (text.p[i] - '0') * unit;
	return ns;
}

/* How many records from data on bear this stamp. False when the end of its second is not there yet. */
static bool count_second(const struct log_parser *parser, const char *data, size_t len, bool last, struct span stamp,
			 uint64_t *out)
{
	uint64_t count = 0;
	size_t at = 0;
	while (at < len && at < SECOND_BYTES_MAX) {
		struct span line;
		struct prefix_match match;
		size_t next = 0;
		if (!get_line(data, len, at, last, &line, &next))
			return false;
		if ((line.len == 0 || line.p[0] != '\t') &&
		    log_line_prefix_match(parser->prefix, &parser->names, line, &match)) {
			if (!span_equal(prefix_field(&match, 't'), stamp))
				break;
			count += !match.secondary;
		}
		at = next;
	}
	*out = count;
	return at < len || last || at >= SECOND_BYTES_MAX;
}

/* Sees to it that the second of this stamp is counted. False when more bytes are needed for that. */
static bool begin_second(struct log_parser *parser, const char *data, size_t len, bool last, struct span stamp)
{
	if (stamp.len == parser->stamp_len && memcmp(stamp.p, parser->stamp, stamp.len) == 0 &&
	    parser->second_done < parser->second_records)
		return true;
	bool same = stamp.len == parser->stamp_len && memcmp(stamp.p, parser->stamp, stamp.len) == 0;
	if (stamp.len > sizeof(parser->stamp))
		return true;
	uint64_t count = 0;
	if (!count_second(parser, data, len, last, stamp, &count))
		return false;
	memcpy(parser->stamp, stamp.p, stamp.len);
	parser->stamp_len = stamp.len;
	/* A second too long to be counted at once goes on, with less of it left for the rest. */
	parser->second_done = same ? parser->second_done : 0;
	parser->second_records = parser->second_done + (count ? count : 1);
	return true;
}

/* 0, 1 for a stamp that is none, negative. */
static int fill_time(struct log_parser *parser, const struct prefix_match *match, struct log_record *record,
		     struct error *err)
{
	if (prefix_field(match, 'n').p) {
		record->time_ns = epoch_ns(prefix_field(match, 'n'));
		return 0;
	}
	if (prefix_field(match, 'm').p)
		return log_zone_parse(parser->zone, prefix_field(match, 'm'), &record->time_ns, err);
	int rc = log_zone_parse(parser->zone, prefix_field(match, 't'), &record->time_ns, err);
	uint64_t done = parser->second_done < parser->second_records ? parser->second_done : parser->second_records - 1;
	if (parser->second_records > 0)
		record->time_ns += (int64_t)((double)NS_PER_S * ((double)done + 0.5) / (double)parser->second_records);
	record->uncertainty_ns = NS_PER_S;
	parser->second_done++;
	return rc;
}

/* "connection authorized: user=… database=… application_name=…" spells names that a prefix may have cut wrongly. */
static void learn_names(struct log_parser *parser, struct log_record *record)
{
	static const char received[] = "connection received: host=";
	struct span text = record->message;
	if (record->context.len > 0 || record->query.len > 0)
		return; /* a function's words */
	if (record->client.len == 0 && span_starts_with(text, received)) {
		/* for prefixes without %r and %h */
		text = (struct span){text.p + sizeof(received) - 1, text.len - (sizeof(received) - 1)};
		const char *end = memchr(text.p, ' ', text.len);
		record->client = (struct span){text.p, end ? (size_t)(end - text.p) : text.len};
		record->client_bare = true;
		return;
	}
	if (!span_starts_with(text, "connection authorized: user="))
		return;
	text = (struct span){text.p + 28, text.len - 28};
	char *database = memmem(text.p, text.len, " database=", 10);
	if (!database)
		return;
	struct span user = {text.p, (size_t)(database - text.p)};
	struct span rest = {database + 10, text.len - user.len - 10};
	char *application = memmem(rest.p, rest.len, " application_name=", 18);
	char *ssl = memmem(rest.p, rest.len, " SSL enabled (", 14);
	struct span name = {rest.p, application ? (size_t)(application - rest.p)
				    : ssl	? (size_t)(ssl - rest.p)
						: rest.len};
	prefix_names_learn(&parser->names, user);
	prefix_names_learn(&parser->names, name);
	if (application) {
		const char *end = ssl && ssl > application ? ssl : rest.p + rest.len;
		prefix_names_learn(&parser->names, (struct span){application + 18, (size_t)(end - application) - 18});
	}
	record->user = user;
	record->database = name;
}

static enum log_scan stderr_scan(struct log_parser *parser, char *data, size_t len, bool last, size_t *used,
				 struct log_record *record, struct error *err)
{
	size_t start = 0;
	while (start < len && (data[start] == '\n' || data[start] == '\r' || data[start] == '\0'))
		start++;
	if (start == len) {
		*used = len;
		return last ? LOG_SCAN_END : LOG_SCAN_MORE;
	}
	struct span line;
	struct prefix_match match;
	struct parts parts;
	size_t next = 0;
	if (!get_line(data, len, start, last, &line, &next) && len - start < LOG_RECORD_MAX)
		return LOG_SCAN_MORE;
	enum log_scan scan = LOG_SCAN_UNPARSED;
	if (next > 0 && log_line_prefix_match(parser->prefix, &parser->names, line, &match) && !match.secondary)
		scan = find_parts(parser, data + start, len - start, last, &match, &parts);
	else
		scan = pass_over(parser, data + start, len - start, last, used);
	if (scan == LOG_SCAN_MORE)
		return scan;
	if (scan == LOG_SCAN_UNPARSED) {
		/* a record too long: its first line is passed over, and what follows it sorts itself out */
		*used = start + (*used ? *used : next > start ? next - start : len - start);
		return scan;
	}
	if (prefix_field(&match, 't').p && !prefix_field(&match, 'm').p && !prefix_field(&match, 'n').p &&
	    !begin_second(parser, data + start, len - start, last, prefix_field(&match, 't')))
		return LOG_SCAN_MORE;
	*used = start + parts.len;
	int rc = fill_time(parser, &match, record, err);
	if (rc != 0)
		return rc < 0 ? LOG_SCAN_FAILED : LOG_SCAN_UNPARSED;
	fill_who(&match, record);
	fill_texts(record, &parts);
	learn_names(parser, record);
	return LOG_SCAN_RECORD;
}

static void stderr_explain(const char *data, size_t len, char *out, size_t size)
{
	(void)data;
	(void)len;
	(void)snprintf(out, size, "no line begins with the log_line_prefix and a severity");
}

int pg_stderr_new(const char *log_line_prefix, struct log_format **out, struct error *err)
{
	struct log_line_prefix *prefix = mem_zalloc(1, sizeof(*prefix));
	int rc = log_line_prefix_init(prefix, log_line_prefix, err);
	if (rc < 0) {
		free(prefix);
		return rc;
	}
	bool ids = false, codes = false, fine = false;
	for (size_t i = 0; i < prefix->count; i++) {
		ids = ids || prefix->tokens[i].escape == 'c';
		codes = codes || prefix->tokens[i].escape == 'e';
		fine = fine || prefix->tokens[i].escape == 'm' || prefix->tokens[i].escape == 'n';
	}
	struct log_format *format = mem_alloc(sizeof(*format));
	*format = (struct log_format){
		.name = "PostgreSQL stderr log",
		.caps = {.session_ids = ids, .sqlstates = codes, .resolution_ns = fine ? NS_PER_MS : NS_PER_S},
		.settings = prefix,
		.open = stderr_open,
		.free = stderr_free,
		.scan = stderr_scan,
		.explain = stderr_explain,
	};
	*out = format;
	return 0;
}

void pg_stderr_free(struct log_format *format)
{
	if (!format)
		return;
	free((struct log_line_prefix *)format->settings);
	free(format);
}
