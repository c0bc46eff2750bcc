/* PostgreSQL's protocol 3 as bytes: see wire.h. */
#include "wire.h"

#include "mem.h"

#include <ctype.h>

#define HEADER	    ((size_t)5) /* type and length */
#define READ_ROOM   ((size_t)64 * 1024)
#define KEEP_MAX    ((size_t)256 * 1024) /* an emptied buffer larger than this gives its memory back */
#define SMALL_MAX   10000		 /* PQ_SMALL_MESSAGE_LIMIT */
#define MESSAGE_MAX 0x3fffffff		 /* PQ_LARGE_MESSAGE_LIMIT: MaxAllocSize - 1 */

void wire_buffer_release(struct wire_buffer *buffer)
{
	free(buffer->data);
	memset(buffer, 0, sizeof(*buffer));
}

void wire_buffer_clear(struct wire_buffer *buffer)
{
	if (buffer->capacity > KEEP_MAX)
		wire_buffer_release(buffer);
	buffer->start = buffer->end = 0;
}

char *wire_buffer_room(struct wire_buffer *buffer, size_t len)
{
	if (buffer->capacity - buffer->end >= len && buffer->data)
		return buffer->data + buffer->end;
	size_t used = wire_buffer_len(buffer);
	if (buffer->start > 0) {
		memmove(buffer->data, buffer->data + buffer->start, used);
		buffer->start = 0;
		buffer->end = used;
	}
	if (buffer->capacity - used < len || !buffer->data) {
		size_t capacity = buffer->capacity ? buffer->capacity : 4096;
		while (capacity - used < len)
			capacity *= 2;
		buffer->data = mem_realloc(buffer->data, capacity, 1);
		buffer->capacity = capacity;
	}
	return buffer->data + buffer->end;
}

void wire_buffer_advance(struct wire_buffer *buffer, size_t len)
{
	buffer->end += len;
}

void wire_buffer_take(struct wire_buffer *buffer, size_t len)
{
	buffer->start += len;
	if (buffer->start == buffer->end)
		buffer->start = buffer->end = 0;
}

void wire_buffer_add(struct wire_buffer *buffer, const void *data, size_t len)
{
	if (len == 0)
		return;
	memcpy(wire_buffer_room(buffer, len), data, len);
	buffer->end += len;
}

static uint32_t load_u32(const char *p)
{
	const unsigned char *b = (const unsigned char *)p;
	return (uint32_t)b[0] << 24 | (uint32_t)b[1] << 16 | (uint32_t)b[2] << 8 | (uint32_t)b[3];
}

static void store_u32(char *p, uint32_t value)
{
	const unsigned char b[4] = {(unsigned char)(value >> 24), (unsigned char)(value >> 16),
				    (unsigned char)(value >> 8), (unsigned char)value};
	memcpy(p, b, 4);
}

/* The longest message of that type, with its length word; 0 for a type that does not exist. As in SocketBackend(). */
static uint32_t longest(enum wire_side side, char type)
{
	if (side == WIRE_FROM_SERVER)
		return type && strchr("RSKZENATDCIsnt123GHWdcVv", type) ? MESSAGE_MAX : 0;
	if (type && strchr("QFBPdp", type))
		return MESSAGE_MAX;
	return type && strchr("XCDEHScf", type) ? SMALL_MAX : 0;
}

static size_t longest_whole(enum wire_side side, char type)
{
	if (side == WIRE_FROM_SERVER)
		return type == 'E' || type == 'N' ? WIRE_ERROR_MAX : WIRE_WHOLE_MAX;
	return type == 'Q' || type == 'P' ? WIRE_TEXT_MAX : WIRE_WHOLE_MAX;
}

void wire_reader_init(struct wire_reader *reader, enum wire_side side)
{
	memset(reader, 0, sizeof(*reader));
	reader->side = side;
}

void wire_reader_release(struct wire_reader *reader)
{
	wire_buffer_release(&reader->bytes);
}

char *wire_reader_room(struct wire_reader *reader, size_t *len)
{
	struct wire_buffer *bytes = &reader->bytes;
	size_t have = wire_buffer_len(bytes);
	if (have == 0)
		wire_buffer_clear(bytes);
	size_t wanted = reader->want > have ? reader->want - have : 1;
	if (wanted < READ_ROOM)
		wanted = bytes->capacity - bytes->end >= READ_ROOM / 2 ? 1 : READ_ROOM;
	char *room = wire_buffer_room(bytes, wanted);
	*len = bytes->capacity - bytes->end;
	return room;
}

void wire_reader_advance(struct wire_reader *reader, size_t len)
{
	wire_buffer_advance(&reader->bytes, len);
}

/* Header of the message at p. False, with the reason, for what is none. */
static bool read_header(enum wire_side side, const char *p, size_t *body_len, const char **wrong)
{
	uint32_t length = load_u32(p + 1), max = longest(side, p[0]);
	if (max == 0 || length < 4 || length > max) {
		*wrong = max == 0 ? "a message of an unknown type" : "a message of an impossible length";
		return false;
	}
	*body_len = length - 4;
	return true;
}

static void hand_out(struct wire_reader *reader, struct wire_message *out, size_t header, size_t len)
{
	out->type = reader->type;
	out->body_len = reader->body_len;
	out->raw = wire_buffer_at(&reader->bytes);
	out->raw_len = header + len;
	out->body = out->raw + header;
	out->len = len;
	out->first = header > 0;
	reader->left -= len;
	out->last = reader->left == 0;
	reader->want = 0;
	reader->bytes.start += header + len; /* and not wire_buffer_take(): the bytes are still to be looked at */
}

int wire_reader_next(struct wire_reader *reader, struct wire_message *out)
{
	size_t have = wire_buffer_len(&reader->bytes);
	if (reader->wrong)
		return -1;
	if (reader->left > 0) {
		if (have == 0)
			return 0;
		hand_out(reader, out, 0, have < reader->left ? have : reader->left);
		return 1;
	}
	reader->want = HEADER;
	if (have < HEADER)
		return 0;
	const char *p = wire_buffer_at(&reader->bytes);
	size_t body_len;
	if (!read_header(reader->side, p, &body_len, &reader->wrong))
		return -1;
	bool whole = body_len <= longest_whole(reader->side, p[0]);
	reader->want = HEADER + (whole ? body_len : WIRE_HEAD);
	if (have < reader->want)
		return 0;
	reader->type = p[0];
	reader->body_len = reader->left = body_len;
	hand_out(reader, out, HEADER, whole ? body_len : WIRE_HEAD); /* the same however it arrived */
	return 1;
}

bool wire_reader_peek(const struct wire_reader *reader, char *type)
{
	size_t have = wire_buffer_len(&reader->bytes), body_len;
	const char *wrong;
	const char *p = wire_buffer_at(&reader->bytes);
	if (reader->left > 0 || have < HEADER || !read_header(reader->side, p, &body_len, &wrong) ||
	    have - HEADER < body_len)
		return false;
	*type = p[0];
	return true;
}

bool wire_reader_holds_terminate(const struct wire_reader *reader)
{
	const char *p = wire_buffer_at(&reader->bytes), *wrong;
	size_t have = wire_buffer_len(&reader->bytes), body_len;
	size_t at = reader->left;
	while (at < have && have - at >= HEADER && read_header(reader->side, p + at, &body_len, &wrong)) {
		if (p[at] == 'X')
			return true;
		at += HEADER + body_len;
	}
	return false;
}

int wire_reader_startup(struct wire_reader *reader, uint32_t *code, const char **body, size_t *len)
{
	size_t have = wire_buffer_len(&reader->bytes);
	reader->want = 8;
	if (have < 8)
		return 0;
	const char *p = wire_buffer_at(&reader->bytes);
	uint32_t length = load_u32(p);
	if (length < 8 || length > WIRE_STARTUP_MAX) {
		reader->wrong = "no startup packet";
		return -1;
	}
	reader->want = length;
	if (have < length)
		return 0;
	*code = load_u32(p + 4);
	*body = p + 8;
	*len = length - 8;
	reader->want = 0;
	reader->bytes.start += length;
	return 1;
}

const char *wire_get_bytes(struct wire_cursor *cursor, size_t len)
{
	if ((size_t)(cursor->end - cursor->p) < len) {
		cursor->failed = true;
		cursor->p = cursor->end;
		return NULL;
	}
	const char *at = cursor->p;
	cursor->p += len;
	return at;
}

uint8_t wire_get_u8(struct wire_cursor *cursor)
{
	const char *p = wire_get_bytes(cursor, 1);
	return p ? (uint8_t)*p : 0;
}

uint16_t wire_get_u16(struct wire_cursor *cursor)
{
	const unsigned char *p = (const unsigned char *)wire_get_bytes(cursor, 2);
	return p ? (uint16_t)((unsigned)p[0] << 8 | p[1]) : 0;
}

uint32_t wire_get_u32(struct wire_cursor *cursor)
{
	const char *p = wire_get_bytes(cursor, 4);
	return p ? load_u32(p) : 0;
}

const char *wire_get_string(struct wire_cursor *cursor)
{
	const char *text = cursor->p;
	size_t left = (size_t)(cursor->end - cursor->p);
	const char *nul = left ? memchr(text, '\0', left) : NULL;
	if (!nul) {
		cursor->failed = true;
		cursor->p = cursor->end;
		return "";
	}
	cursor->p = nul + 1;
	return text;
}

/* A number of at most nine digits, 0 for what is none. */
static int small_number(const char *text)
{
	size_t digits = strspn(text, "0123456789");
	return digits > 0 && digits < 10 && text[digits] == '\0' ? (int)strtol(text, NULL, 10) : 0;
}

void wire_read_error(const char *body, size_t len, struct wire_error *out)
{
	*out = (struct wire_error){"", "", "", "", 0};
	struct wire_cursor cursor = wire_cursor_over(body, len);
	for (;;) {
		uint8_t field = wire_get_u8(&cursor);
		if (field == 0)
			return;
		const char *text = wire_get_string(&cursor);
		if (cursor.failed)
			return;
		if (field == 'V' || (field == 'S' && !*out->severity))
			out->severity = text;
		else if (field == 'C')
			out->sqlstate = text;
		else if (field == 'M')
			out->message = text;
		else if (field == 'R')
			out->routine = text;
		else if (field == 'P')
			out->position = small_number(text);
	}
}

void wire_put_error_shifted(struct wire_buffer *out, char type, const char *body, size_t len, int shift)
{
	struct wire_cursor cursor = wire_cursor_over(body, len);
	size_t mark = wire_begin(out, type);
	for (;;) {
		uint8_t field = wire_get_u8(&cursor);
		if (field == 0)
			break;
		const char *text = wire_get_string(&cursor);
		if (cursor.failed)
			break;
		char shifted[16];
		int position = field == 'P' ? small_number(text) : 0;
		if (position > 0) {
			(void)snprintf(shifted, sizeof(shifted), "%d", position + shift);
			text = shifted;
		}
		wire_put_u8(out, field);
		wire_put_string(out, text);
	}
	wire_put_u8(out, 0);
	wire_end(out, mark);
}

int64_t wire_tag_rows(const char *body, size_t len)
{
	size_t end = len > 0 && body[len - 1] == '\0' ? len - 1 : len, begin = end;
	while (begin > 0 && isdigit((unsigned char)body[begin - 1]))
		begin--;
	if (begin == end || begin == 0 || body[begin - 1] != ' ' || end - begin > 18)
		return -1;
	int64_t rows = 0;
	for (; begin < end; begin++)
		rows = rows * 10 + (body[begin] - '0');
	return rows;
}

size_t wire_begin(struct wire_buffer *out, char type)
{
	size_t mark = wire_buffer_len(out);
	wire_buffer_add(out, &type, 1);
	wire_put_u32(out, 0);
	return mark;
}

void wire_end(struct wire_buffer *out, size_t mark)
{
	store_u32(out->data + out->start + mark + 1, (uint32_t)(wire_buffer_len(out) - mark - 1));
}

void wire_put_u8(struct wire_buffer *out, uint8_t value)
{
	wire_buffer_add(out, &value, 1);
}

void wire_put_u16(struct wire_buffer *out, uint16_t value)
{
	const unsigned char b[2] = {(unsigned char)(value >> 8), (unsigned char)value};
	wire_buffer_add(out, b, 2);
}

void wire_put_u32(struct wire_buffer *out, uint32_t value)
{
	char b[4];
	store_u32(b, value);
	wire_buffer_add(out, b, 4);
}

void wire_put_string(struct wire_buffer *out, const char *text)
{
	wire_buffer_add(out, text, strlen(text) + 1);
}

void wire_put_empty(struct wire_buffer *out, char type)
{
	wire_end(out, wire_begin(out, type));
}

void wire_put_error(struct wire_buffer *out, const char *severity, const char *sqlstate, const char *message)
{
	const char fields[] = "SVCM";
	const char *const texts[] = {severity, severity, sqlstate, message};
	size_t mark = wire_begin(out, 'E');
	for (size_t i = 0; i < 4; i++) {
		wire_put_u8(out, (uint8_t)fields[i]);
		wire_put_string(out, texts[i]);
	}
	wire_put_u8(out, 0);
	wire_end(out, mark);
}
