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

/* Lengths are stored plus 1, so that NULL has a code of its own. */
static void put_value(struct strbuf *out, struct span value)
{
	if (!value.p) {
		byte_put_varint(out, 0);
		return;
	}
	byte_put_varint(out, (uint64_t)value.len + 1);
	strbuf_add(out, value.p, value.len);
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

void item_encode(const struct item *item, struct strbuf *out)
{
	strbuf_add_char(out, (char)((unsigned)item->kind | (unsigned)item->flags << 4));
	byte_put_varint(out, item->session);
	byte_put_signed(out, item->time_ns);
	byte_put_signed(out, item->duration_ns);
	byte_put_varint(out, item->sqlstate);
	byte_put_varint(out, item->source_file);
	byte_put_varint(out, item->source_line);
	if (!has_text(item->kind))
		return;
	byte_put_varint(out, item->text);
	byte_put_varint(out, item->literal_count);
	for (uint32_t i = 0; i < item->literal_count; i++)
		byte_put_span(out, item->literals[i]);
	if (item->kind != ITEM_EXECUTE)
		return;
	byte_put_span(out, item->statement_name);
	byte_put_varint(out, item->parameter_count);
	for (uint32_t i = 0; i < item->parameter_count; i++)
		put_value(out, item->parameters[i]);
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

bool item_decode(struct byte_reader *r, struct arena *arena, struct item *out)
{
	unsigned char head;
	byte_get_fixed(r, &head, 1);
	memset(out, 0, sizeof(*out));
	out->kind = (enum item_kind)(head & 15);
	out->flags = (uint8_t)(head >> 4);
	if (out->kind < ITEM_CONNECT || out->kind > ITEM_DISCONNECT)
		r->failed = true;
	out->session = get_u32(r);
	out->time_ns = byte_get_signed(r);
	out->duration_ns = byte_get_signed(r);
	out->sqlstate = get_u32(r);
	out->source_file = get_u32(r);
	out->source_line = byte_get_varint(r);
	out->text = ITEM_NO_TEXT;
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
