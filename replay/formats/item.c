/* An item as bytes: see item.h. The layout is in docs/formats.md. */
#include "item.h"

#include "arena.h"

const char *item_kind_name(enum item_kind kind)
{
	static const char *const names[ITEM_KIND_COUNT] = {"none",    "connect", "simple",
							   "execute", "cancel",	 "disconnect"};
	return (unsigned)kind < ITEM_KIND_COUNT ? names[kind] : "none";
}

static bool has_text(enum item_kind kind)
{
	return kind == ITEM_SIMPLE || kind == ITEM_EXECUTE;
}

#define VARINT_MAX ((size_t)10)
#define HEAD_MAX   (1 + 6 * VARINT_MAX)

/* Bit flags beside a session's number in a run: what the item has of its own. */
enum own {
	OWN_DURATION = 1,
	OWN_SQLSTATE = 2,
	OWN_FILE = 4
};
#define OWN_BITS 3

/* Into room that was reserved; returns what is behind it. */
static inline char *write_varint(char *p, uint64_t value)
{
	while (value > 0x7f) {
		*p++ = (char)(value | 0x80);
		value >>= 7;
	}
	*p++ = (char)value;
	return p;
}

static inline char *write_signed(char *p, int64_t value)
{
	return write_varint(p, ((uint64_t)value << 1) ^ (uint64_t)(value >> 63));
}

static inline char *write_bytes(char *p, struct span data)
{
	if (data.len)
		memcpy(p, data.p, data.len);
	return p + data.len;
}

static size_t body_max(const struct item *item)
{
	size_t size = 4 * VARINT_MAX + item->statement_name.len;
	for (uint32_t i = 0; i < item->literal_count; i++)
		size += item->literals[i].len + VARINT_MAX;
	for (uint32_t i = 0; i < item->parameter_count; i++)
		size += item->parameters[i].len + VARINT_MAX;
	return size;
}

void item_encode_body(const struct item *item, struct strbuf *out)
{
	if (!has_text(item->kind))
		return;
	char *start = strbuf_reserve(out, body_max(item));
	if (!start)
		return;
	char *p = write_varint(start, item->text);
	p = write_varint(p, item->literal_count);
	for (uint32_t i = 0; i < item->literal_count; i++) {
		p = write_varint(p, item->literals[i].len);
		p = write_bytes(p, item->literals[i]);
	}
	if (item->kind == ITEM_EXECUTE) {
		p = write_varint(p, item->statement_name.len);
		p = write_bytes(p, item->statement_name);
		p = write_varint(p, item->parameter_count);
		for (uint32_t i = 0; i < item->parameter_count; i++) {
			/* Lengths are stored plus 1, so that NULL has a code of its own. */
			struct span value = item->parameters[i];
			p = write_varint(p, value.p ? (uint64_t)value.len + 1 : 0);
			p = value.p ? write_bytes(p, value) : p;
		}
	}
	strbuf_advance(out, (size_t)(p - start));
}

static inline char write_kind(const struct item *item)
{
	return (char)((unsigned)item->kind | (unsigned)item->flags << 4);
}

void item_encode(const struct item *item, struct strbuf *out)
{
	char *start = strbuf_reserve(out, HEAD_MAX);
	if (!start)
		return;
	char *p = start;
	*p++ = write_kind(item);
	p = write_varint(p, item->session);
	p = write_signed(p, item->time_ns);
	p = write_signed(p, item->duration_ns);
	p = write_varint(p, item->sqlstate);
	p = write_varint(p, item->source_file);
	p = write_varint(p, item->source_line);
	strbuf_advance(out, (size_t)(p - start));
	item_encode_body(item, out);
}

void item_run_encode(struct item_run *run, const struct item *item, struct span body, struct strbuf *out)
{
	char *start = strbuf_reserve(out, HEAD_MAX + body.len);
	if (!start)
		return;
	char *p = start;
	unsigned own = (item->duration_ns >= 0 ? OWN_DURATION : 0U) | (item->sqlstate ? OWN_SQLSTATE : 0U) |
		       (item->source_file != run->source_file ? OWN_FILE : 0U);
	*p++ = write_kind(item);
	p = write_varint(p, (uint64_t)item->session << OWN_BITS | own);
	p = write_varint(p, (uint64_t)(item->time_ns - run->time_ns));
	if (own & OWN_DURATION)
		p = write_varint(p, (uint64_t)item->duration_ns);
	if (own & OWN_SQLSTATE)
		p = write_varint(p, item->sqlstate);
	if (own & OWN_FILE)
		p = write_varint(p, item->source_file);
	p = write_signed(p, (int64_t)(item->source_line - run->source_line));
	p = write_bytes(p, body);
	strbuf_advance(out, (size_t)(p - start));
	*run = (struct item_run){item->time_ns, item->source_line, item->source_file};
}

static struct span get_value(struct byte_reader *r)
{
	uint64_t code = byte_get_varint(r);
	if (code == 0 || r->failed)
		return (struct span){NULL, 0};
	if (code - 1 > byte_reader_left(r)) {
		r->failed = true;
		return (struct span){NULL, 0};
	}
	struct span value = {(const char *)r->p, (size_t)(code - 1)};
	r->p += value.len;
	return value;
}

/* A count of things that take at least a byte each cannot be above the bytes that are left. */
static uint32_t get_count(struct byte_reader *r)
{
	uint64_t count = byte_get_varint(r);
	if (count > byte_reader_left(r)) {
		r->failed = true;
		return 0;
	}
	return (uint32_t)count;
}

static uint32_t get_u32(struct byte_reader *r)
{
	uint64_t value = byte_get_varint(r);
	if (value > UINT32_MAX)
		r->failed = true;
	return (uint32_t)value;
}

static bool decode_kind(struct byte_reader *r, struct item *out)
{
	unsigned char head;
	byte_get_fixed(r, &head, 1);
	memset(out, 0, sizeof(*out));
	out->text = ITEM_NO_TEXT;
	out->kind = (enum item_kind)(head & 15);
	out->flags = (uint8_t)(head >> 4);
	if (out->kind < ITEM_CONNECT || out->kind > ITEM_DISCONNECT)
		r->failed = true;
	return !r->failed;
}

static bool decode_body(struct byte_reader *r, struct arena *arena, struct item *out)
{
	if (r->failed || !has_text(out->kind))
		return !r->failed;
	out->text = get_u32(r);
	out->literal_count = get_count(r);
	struct span *literals = arena_alloc(arena, out->literal_count * sizeof(*literals));
	for (uint32_t i = 0; i < out->literal_count; i++)
		literals[i] = byte_get_span(r);
	out->literals = literals;
	if (r->failed || out->kind != ITEM_EXECUTE)
		return !r->failed;
	out->statement_name = byte_get_span(r);
	out->parameter_count = get_count(r);
	struct span *parameters = arena_alloc(arena, out->parameter_count * sizeof(*parameters));
	for (uint32_t i = 0; i < out->parameter_count; i++)
		parameters[i] = get_value(r);
	out->parameters = parameters;
	return !r->failed;
}

bool item_decode(struct byte_reader *r, struct arena *arena, struct item *out)
{
	if (!decode_kind(r, out))
		return false;
	out->session = get_u32(r);
	out->time_ns = byte_get_signed(r);
	out->duration_ns = byte_get_signed(r);
	out->sqlstate = get_u32(r);
	out->source_file = get_u32(r);
	out->source_line = byte_get_varint(r);
	return decode_body(r, arena, out);
}

bool item_run_decode(struct item_run *run, struct byte_reader *r, struct arena *arena, struct item *out)
{
	if (!decode_kind(r, out))
		return false;
	uint64_t session = byte_get_varint(r);
	uint64_t step_ns = byte_get_varint(r);
	if (session >> OWN_BITS > UINT32_MAX || step_ns > (uint64_t)(INT64_MAX - run->time_ns)) {
		r->failed = true;
		return false;
	}
	out->session = (uint32_t)(session >> OWN_BITS);
	out->time_ns = run->time_ns + (int64_t)step_ns;
	uint64_t duration_ns = session & OWN_DURATION ? byte_get_varint(r) : 0;
	if (duration_ns > INT64_MAX)
		r->failed = true;
	out->duration_ns = session & OWN_DURATION ? (int64_t)duration_ns : -1;
	out->sqlstate = session & OWN_SQLSTATE ? get_u32(r) : 0;
	out->source_file = session & OWN_FILE ? get_u32(r) : run->source_file;
	out->source_line = run->source_line + (uint64_t)byte_get_signed(r);
	*run = (struct item_run){out->time_ns, out->source_line, out->source_file};
	return decode_body(r, arena, out);
}
