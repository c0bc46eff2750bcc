/*
 * PostgreSQL's csvlog: see pg_csvlog.h. A scanner of our own instead of libcsv (docs/decisions/0001-csvlog-scanner.md):
 * it finds a record's end first, jumping from quote to quote with memchr, and makes the spans without copying.
 *
 * A record is accepted only when all of it is right: a time stamp in the first column, quotes only around whole fields,
 * at least 23 columns. That strictness is what makes it safe to begin anywhere. After damage, or at the start of a log
 * that was cut, the next line that begins with a time stamp and is such a record is taken; a whole log line inside a
 * literal is not mistaken for one, because its quotes are doubled there.
 */
#include "pg_csvlog.h"

#include "clock.h"
#include "csv_masks.h"
#include "mem.h"
#include "num.h"

#define COLUMNS_MIN 23
#define COLUMNS_MAX 64 /* of those beyond, only the number counts */

enum column {
	COL_TIME = 0,
	COL_USER = 1,
	COL_DATABASE = 2,
	COL_PID = 3,
	COL_CLIENT = 4,
	COL_SESSION_ID = 5,
	COL_SESSION_LINE = 6,
	COL_SEVERITY = 11,
	COL_SQLSTATE = 12,
	COL_MESSAGE = 13,
	COL_DETAIL = 14,
	COL_CONTEXT = 18,
	COL_QUERY = 19,
	COL_APPLICATION = 22,
	COL_BACKEND_TYPE = 23
};

struct field {
	char *p;
	size_t len;
	bool doubled; /* holds doubled quotes */
};

#define STAMP_SECOND  19 /* "2026-11-21 20:08:01" */
#define ZONE_NAME_MAX 16

struct log_parser {
	struct log_zone *zone;
	char second[STAMP_SECOND]; /* of the stamp before, with what it stands for */
	char zone_name[ZONE_NAME_MAX];
	size_t zone_len; /* 0: no stamp yet */
	int64_t second_ns;
	size_t resync_from; /* while looking for the next record: bytes of the data already looked at */
	size_t field_count;
	struct field fields[COLUMNS_MAX];
};

static struct log_parser *csvlog_open(const struct log_format *format, struct log_zone *zone)
{
	(void)format;
	struct log_parser *parser = mem_zalloc(1, sizeof(*parser));
	parser->zone = zone;
	return parser;
}

static void csvlog_free(struct log_parser *parser)
{
	free(parser);
}

/* "dddd-dd-dd dd:dd:dd" */
static bool looks_like_stamp(const char *p, size_t len)
{
	static const char shape[] = "0000-00-00 00:00:00";
	if (len < sizeof(shape) - 1)
		return false;
	/* digits are told by their upper half and, once 6 is added, again by it */
	for (size_t i = 0; i < sizeof(shape) - 1; i += 8) {
		if (i + 8 > sizeof(shape) - 1)
			i = sizeof(shape) - 1 - 8;
		uint64_t bytes;
		uint64_t wanted;
		memcpy(&bytes, p + i, 8);
		memcpy(&wanted, shape + i, 8);
		/* 0x10 set and 0x0f clear: a '0' of the shape */
		uint64_t digit = wanted >> 4 & ~(wanted | wanted >> 1 | wanted >> 2 | wanted >> 3) &
				 UINT64_C(0x0101010101010101);
		uint64_t digits = digit * 0xff;
		uint64_t six = digits & UINT64_C(0x0606060606060606);
		uint64_t high = UINT64_C(0xf0f0f0f0f0f0f0f0);
		if ((bytes ^ wanted) & ~(digits & ~high))
			return false;
		if (((bytes & digits) + six) & high & digits & ~(wanted & high))
			return false;
	}
	return true;
}

enum split {
	SPLIT_RECORD,
	SPLIT_MORE,
	SPLIT_BROKEN
};

/* From the opening quote at p: sets *field and returns what stands behind the closing quote, or NULL when it is not
 * there. */
static char *split_quoted(char *p, char *end, struct field *field)
{
	*field = (struct field){.p = p + 1};
	for (char *at = p + 1; at < end; at += 2) {
		at = memchr(at, '"', (size_t)(end - at));
		if (!at)
			return NULL;
		if (at + 1 == end || at[1] != '"') {
			field->len = (size_t)(at - field->p);
			return at + 1;
		}
		field->doubled = true;
	}
	return NULL;
}

static char *split_bare(char *p, char *end, struct field *field)
{
	char *at = p;
	while (at < end && *at != ',' && *at != '\n' && *at != '"')
		at++;
	*field = (struct field){.p = p, .len = (size_t)(at - p)};
	return at;
}

/* The columns that are read. */
static const unsigned char wanted[] = {COL_TIME,     COL_USER,	      COL_DATABASE,	COL_PID,
				       COL_CLIENT,   COL_SESSION_ID,  COL_SESSION_LINE, COL_SEVERITY,
				       COL_SQLSTATE, COL_MESSAGE,     COL_DETAIL,	COL_CONTEXT,
				       COL_QUERY,    COL_APPLICATION, COL_BACKEND_TYPE};

/* From where the fields' separators are to the fields that are wanted. */
static inline void fill_fields(struct log_parser *parser, char *data, const uint32_t *ends, bool doubled)
{
	size_t count = parser->field_count;
	for (size_t i = 0; i < sizeof(wanted); i++) {
		size_t column = wanted[i];
		if (column >= count)
			return;
		/* the first one's beginning is kept as the end of one before it */
		char *p = data + (uint32_t)(ends[column] + 1);
		size_t len = (size_t)(data + ends[column + 1] - p);
		size_t quoted = *p == '"';
		struct field *field = &parser->fields[column];
		field->p = p + quoted;
		field->len = len - 2 * quoted;
		field->doubled = doubled && quoted && memchr(field->p, '"', field->len);
	}
}

/*
 * Cuts a record by masks of 64 bytes. False for all that is out of the ordinary, which is then looked at byte by byte:
 * the end is not there, quotes stand where they must not, a carriage return.
 */
#if CSV_MASKS
static bool split_by_masks(struct log_parser *parser, char *data, size_t len, size_t *used)
{
	uint32_t ends[1 + COLUMNS_MAX + 64];
	ends[0] = UINT32_MAX; /* with 1 added: 0 */
	size_t count = 0;
	uint64_t inside_before = 0; /* all ones while a quoted field is open */
	uint64_t may_open = 1;	    /* bit 0: the byte before was a separator or a closing quote */
	uint64_t closed = 0;	    /* bit 0: the byte before was a closing quote */
	uint64_t doubled = 0;
	if (len > LOG_RECORD_MAX)
		len = LOG_RECORD_MAX;
	for (size_t base = 0; base < len; base += 64) {
		struct csv_masks masks;
		if (len - base >= 64) {
			csv_masks_load(data + base, &masks);
		} else {
			char rest[64] = {0};
			memcpy(rest, data + base, len - base);
			csv_masks_load(rest, &masks);
		}
		/* set from an opening quote to before its closing one */
		uint64_t inside = csv_masks_parity(masks.quotes) ^ inside_before;
		uint64_t separators = (masks.commas | masks.line_ends) & ~inside;
		uint64_t opening = masks.quotes & inside;
		uint64_t closing = masks.quotes & ~inside;
		uint64_t wrong = opening & ~((separators | closing) << 1 | may_open);
		wrong |= (closing << 1 | closed) & ~(separators | opening);
		uint64_t twice = opening & (closing << 1 | closed);
		uint64_t end = masks.line_ends & ~inside;
		uint64_t ours = end ? end ^ (end - 1) : UINT64_MAX; /* up to the record's last byte */
		if (wrong & ours)
			return false;
		doubled |= twice & ours;
		for (uint64_t left = separators & ours; left; left &= left - 1)
			ends[++count] = (uint32_t)(base + (unsigned)__builtin_ctzll(left));
		if (count > COLUMNS_MAX)
			return false;
		if (end) {
			*used = base + (unsigned)__builtin_ctzll(end) + 1;
			parser->field_count = count;
			if (count < COLUMNS_MIN || (*used > 1 && data[*used - 2] == '\r'))
				return false;
			fill_fields(parser, data, ends, doubled != 0);
			return true;
		}
		inside_before = (uint64_t)((int64_t)inside >> 63);
		may_open = (separators | closing) >> 63;
		closed = closing >> 63;
	}
	return false;
}
#else
static bool split_by_masks(struct log_parser *parser, char *data, size_t len, size_t *used)
{
	(void)parser, (void)data, (void)len, (void)used;
	return false;
}
#endif

/* Cuts the record at data into fields; *used gets its length with its line end. */
static enum split split_record(struct log_parser *parser, char *data, size_t len, bool last, size_t *used)
{
	if (split_by_masks(parser, data, len, used))
		return SPLIT_RECORD;
	char *p = data;
	char *end = data + len;
	parser->field_count = 0;
	for (;;) {
		struct field field;
		p = p < end && *p == '"' ? split_quoted(p, end, &field) : split_bare(p, end, &field);
		if (!p)
			return last || len > LOG_RECORD_MAX ? SPLIT_BROKEN : SPLIT_MORE;
		if (parser->field_count < COLUMNS_MAX)
			parser->fields[parser->field_count] = field;
		parser->field_count++;
		if (p == end && !last)
			return len > LOG_RECORD_MAX ? SPLIT_BROKEN : SPLIT_MORE;
		if (p + 1 < end && *p == '\r' && p[1] == '\n')
			p++;
		if (p == end || *p == '\n') {
			*used = (size_t)(p - data) + (p < end);
			return *used > LOG_RECORD_MAX || parser->field_count < COLUMNS_MIN ? SPLIT_BROKEN
											   : SPLIT_RECORD;
		}
		if (*p != ',')
			return *p == '\r' && p + 1 == end && !last ? SPLIT_MORE : SPLIT_BROKEN;
		p++;
	}
}

/* Makes doubled quotes single, in place. */
static void undouble(struct field *field)
{
	char *out = field->p;
	char *end = field->p + field->len;
	for (char *in = field->p; in < end; in++) {
		char *quote = memchr(in, '"', (size_t)(end - in));
		size_t n = (size_t)((quote ? quote + 1 : end) - in);
		memmove(out, in, n);
		out += n;
		if (!quote)
			break;
		in = quote + 1; /* the second of the two is passed over by the loop */
	}
	field->len = (size_t)(out - field->p);
	/* What is left over must not look like further lines to whoever counts them. */
	memset(out, '"', (size_t)(end - out));
	field->doubled = false;
}

static inline struct span field_text(struct log_parser *parser, enum column column)
{
	if ((size_t)column >= parser->field_count)
		return (struct span){"", 0};
	struct field *field = &parser->fields[column];
	if (field->doubled)
		undouble(field);
	return (struct span){field->p, field->len};
}

/* "65f0c1d2.1a23": when the session began, in hexadecimal seconds, and its pid */
static int64_t session_start_s(struct span id)
{
	int64_t value = 0;
	size_t i = 0;
	for (; i < id.len && i < 12 && id.p[i] != '.'; i++) {
		char c = id.p[i];
		if (c >= '0' && c <= '9')
			value = value * 16 + (c - '0');
		else if (c >= 'a' && c <= 'f')
			value = value * 16 + (c - 'a' + 10);
		else
			return 0;
	}
	return i < id.len && id.p[i] == '.' ? value : 0;
}

/*
 * The stamp: its second is nearly always that of the record before, and then the fraction is all that is read. As
 * log_zone_parse() otherwise.
 */
static int read_time(struct log_parser *parser, struct span text, int64_t *out_ns, struct error *err)
{
	size_t at = STAMP_SECOND;
	int64_t fraction_ns = 0;
	if (text.len > at && text.p[at] == '.') {
		int64_t unit = NS_PER_S / 10;
		for (at++; at < text.len && text.p[at] >= '0' && text.p[at] <= '9'; at++) {
			fraction_ns += (text.p[at] - '0') * unit;
			unit /= 10;
		}
	}
	size_t zone_len = text.len > at ? text.len - at : 0;
	if (zone_len > 0 && zone_len == parser->zone_len && memcmp(text.p, parser->second, STAMP_SECOND) == 0 &&
	    memcmp(text.p + at, parser->zone_name, zone_len) == 0) {
		*out_ns = parser->second_ns + fraction_ns;
		return 0;
	}
	int rc = log_zone_parse(parser->zone, text, out_ns, err);
	if (rc == 0 && zone_len <= ZONE_NAME_MAX) {
		memcpy(parser->second, text.p, STAMP_SECOND);
		memcpy(parser->zone_name, text.p + at, zone_len);
		parser->zone_len = zone_len;
		parser->second_ns = *out_ns - fraction_ns;
	}
	return rc;
}

/* 0, 1 when it is no record after all, negative when the zone is not known. */
static int fill_record(struct log_parser *parser, struct log_record *record, struct error *err)
{
	int rc = read_time(parser, field_text(parser, COL_TIME), &record->time_ns, err);
	if (rc != 0)
		return rc;
	struct span pid = field_text(parser, COL_PID);
	uint64_t number = 0;
	size_t used = 0;
	if (!num_scan_digits(pid.p, pid.len, &number, &used) || used != pid.len || number > UINT32_MAX)
		return 1;
	record->pid = (uint32_t)number;
	record->session_id = field_text(parser, COL_SESSION_ID);
	if (record->session_id.len == 0)
		return 1;
	record->session_start_s = session_start_s(record->session_id);
	struct span line = field_text(parser, COL_SESSION_LINE);
	record->session_line = num_scan_digits(line.p, line.len, &number, &used) ? (int64_t)number : 0;
	record->user = field_text(parser, COL_USER);
	record->database = field_text(parser, COL_DATABASE);
	record->client = field_text(parser, COL_CLIENT);
	record->severity = field_text(parser, COL_SEVERITY);
	record->sqlstate = field_text(parser, COL_SQLSTATE);
	record->message = field_text(parser, COL_MESSAGE);
	record->detail = field_text(parser, COL_DETAIL);
	record->context = field_text(parser, COL_CONTEXT);
	record->query = field_text(parser, COL_QUERY);
	record->application = field_text(parser, COL_APPLICATION);
	record->backend_type = field_text(parser, COL_BACKEND_TYPE);
	return 0;
}

/*
 * From a place where no record begins: up to the next line that begins one. The candidate's own end may lie behind the
 * data; then more is asked for, and the search goes on from where it stood.
 */
static enum log_scan resync(struct log_parser *parser, char *data, size_t len, bool last, size_t *used)
{
	size_t from = parser->resync_from < len ? parser->resync_from : 0;
	for (;;) {
		char *line_end = memchr(data + from, '\n', len - from);
		if (!line_end)
			break;
		size_t start = (size_t)(line_end - data) + 1;
		if (len - start < sizeof("2026-11-21 20:08:01") && !last) {
			parser->resync_from = from;
			return LOG_SCAN_MORE;
		}
		size_t record_len;
		if (looks_like_stamp(data + start, len - start)) {
			enum split split = split_record(parser, data + start, len - start, last, &record_len);
			/* Enough bytes behind a candidate to hold any record: then it is one, or split says broken. */
			if (split == SPLIT_MORE) {
				parser->resync_from = from;
				return LOG_SCAN_MORE;
			}
			if (split == SPLIT_RECORD) {
				parser->resync_from = 0;
				*used = start;
				return LOG_SCAN_UNPARSED;
			}
		}
		from = start;
	}
	parser->resync_from = 0;
	if (!last) {
		parser->resync_from = len > 0 ? len - 1 : 0;
		return LOG_SCAN_MORE;
	}
	*used = len;
	return LOG_SCAN_UNPARSED;
}

static enum log_scan csvlog_scan(struct log_parser *parser, char *data, size_t len, bool last, size_t *used,
				 struct log_record *record, struct error *err)
{
	if (parser->resync_from > 0)
		return resync(parser, data, len, last, used);
	size_t start = 0;
	/* Empty lines, and the NUL bytes that a crash leaves, are nobody's. */
	while (start < len && (data[start] == '\n' || data[start] == '\r' || data[start] == '\0'))
		start++;
	if (start == len) {
		*used = len;
		return last ? LOG_SCAN_END : LOG_SCAN_MORE;
	}
	size_t record_len = 0;
	if (len - start < sizeof("2026-11-21 20:08:01") && !last)
		return LOG_SCAN_MORE;
	if (!looks_like_stamp(data + start, len - start))
		return resync(parser, data, len, last, used);
	enum split split = split_record(parser, data + start, len - start, last, &record_len);
	if (split == SPLIT_MORE)
		return LOG_SCAN_MORE;
	if (split == SPLIT_BROKEN)
		return resync(parser, data, len, last, used);
	int rc = fill_record(parser, record, err);
	*used = start + record_len;
	if (rc < 0)
		return LOG_SCAN_FAILED;
	return rc == 0 ? LOG_SCAN_RECORD : LOG_SCAN_UNPARSED;
}

/* The file's first line, as far as a person can use it: how many columns it has. */
static void csvlog_explain(const char *data, size_t len, char *out, size_t size)
{
	size_t columns = 1;
	bool quoted = false;
	for (size_t i = 0; i < len && (quoted || data[i] != '\n'); i++) {
		if (data[i] == '"')
			quoted = !quoted;
		else if (data[i] == ',' && !quoted)
			columns++;
	}
	if (columns < COLUMNS_MIN)
		(void)snprintf(out, size, "%zu column%s, at least %d expected", columns, columns == 1 ? "" : "s",
			       COLUMNS_MIN);
	else
		(void)snprintf(out, size, "its first columns are not a time, user, database and process id");
}

const struct log_format pg_csvlog_format = {
	.name = "PostgreSQL csvlog",
	.caps = {.session_ids = true, .sqlstates = true, .resolution_ns = 1000000, .independent = true},
	.open = csvlog_open,
	.free = csvlog_free,
	.scan = csvlog_scan,
	.begins = looks_like_stamp,
	.explain = csvlog_explain,
};
