/*
 * Any bytes as what a tool or a server sends: no length is believed that is not bounded, and what is read in pieces is
 * what is read at once. The first byte chooses the side and the pieces.
 */
#include "wire.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool right)
{
	if (!right)
		abort();
}

/* A digest of all that was read: types, lengths, bodies and fields. */
struct digest {
	uint64_t sum;
	size_t messages;
	size_t bytes;
	bool wrong;
};

static void mix(struct digest *digest, const void *data, size_t len)
{
	const unsigned char *p = data;
	for (size_t i = 0; i < len; i++)
		digest->sum = (digest->sum ^ p[i]) * UINT64_C(0x100000001b3);
}

static void read_fields(struct digest *digest, const struct wire_message *message)
{
	struct wire_error error;
	wire_read_error(message->body, message->len, &error);
	mix(digest, error.sqlstate, strlen(error.sqlstate));
	mix(digest, error.message, strlen(error.message));
	struct wire_buffer out = {0};
	wire_put_error_shifted(&out, 'E', message->body, message->len, 7);
	check(wire_buffer_len(&out) >= 6);
	wire_buffer_release(&out);
	check(wire_tag_rows(message->body, message->len) >= -1);
	struct wire_cursor cursor = wire_cursor_over(message->body, message->len);
	(void)wire_get_string(&cursor);
	(void)wire_get_u16(&cursor);
	(void)wire_get_u32(&cursor);
	(void)wire_get_bytes(&cursor, wire_get_u8(&cursor));
	check(cursor.p <= cursor.end);
}

static void take_all(struct wire_reader *reader, struct digest *digest)
{
	struct wire_message message;
	char peeked = 0;
	bool whole = wire_reader_peek(reader, &peeked);
	int got;
	while ((got = wire_reader_next(reader, &message)) == 1) {
		check(message.len <= message.body_len && message.raw_len >= message.len);
		check(!whole || !message.first || message.type == peeked);
		whole = false;
		if (message.first) {
			check(message.last || message.len == WIRE_HEAD);
			digest->messages++;
			mix(digest, &message.type, 1);
			if (message.last)
				read_fields(digest, &message);
		}
		digest->bytes += message.raw_len;
		mix(digest, message.body, message.len);
	}
	digest->wrong = got < 0;
}

static struct digest read_in_pieces(enum wire_side side, const uint8_t *data, size_t size, size_t piece)
{
	struct wire_reader reader;
	struct digest digest = {.sum = UINT64_C(0xcbf29ce484222325)};
	wire_reader_init(&reader, side);
	while (size > 0 && !digest.wrong) {
		size_t room;
		char *to = wire_reader_room(&reader, &room);
		size_t n = size < piece ? size : piece;
		n = n < room ? n : room;
		check(n > 0);
		memcpy(to, data, n);
		wire_reader_advance(&reader, n);
		data += n;
		size -= n;
		if (piece == SIZE_MAX)
			(void)wire_reader_holds_terminate(&reader);
		take_all(&reader, &digest);
		check(reader.bytes.capacity <= 4 * (WIRE_TEXT_MAX + 65536));
	}
	wire_reader_release(&reader);
	return digest;
}

static void read_startup(const uint8_t *data, size_t size, size_t piece)
{
	struct wire_reader reader;
	uint32_t code;
	const char *body;
	size_t len;
	wire_reader_init(&reader, WIRE_FROM_TOOL);
	while (size > 0) {
		size_t room;
		char *to = wire_reader_room(&reader, &room);
		size_t n = size < piece ? size : piece;
		n = n < room ? n : room;
		memcpy(to, data, n);
		wire_reader_advance(&reader, n);
		data += n;
		size -= n;
		int got = wire_reader_startup(&reader, &code, &body, &len);
		if (got < 0)
			break;
		if (got > 0)
			check(len <= WIRE_STARTUP_MAX);
		check(reader.bytes.capacity <= (size_t)512 * 1024);
	}
	wire_reader_release(&reader);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size == 0)
		return 0;
	enum wire_side side = data[0] & 1 ? WIRE_FROM_SERVER : WIRE_FROM_TOOL;
	size_t piece = (size_t)(data[0] >> 1) + 1;
	struct digest once = read_in_pieces(side, data + 1, size - 1, SIZE_MAX);
	struct digest pieces = read_in_pieces(side, data + 1, size - 1, piece);
	check(once.sum == pieces.sum && once.messages == pieces.messages && once.bytes == pieces.bytes &&
	      once.wrong == pieces.wrong);
	read_startup(data + 1, size - 1, piece);
	return 0;
}
