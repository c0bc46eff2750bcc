/* PostgreSQL's protocol as bytes: cut, read and written; and what is none is refused. */
#include "mem.h"
#include "statement_names.h"
#include "wire.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void feed(struct wire_reader *reader, const char *data, size_t len)
{
	while (len > 0) {
		size_t room;
		char *to = wire_reader_room(reader, &room);
		size_t n = len < room ? len : room;
		assert_true(n > 0);
		memcpy(to, data, n);
		wire_reader_advance(reader, n);
		data += n;
		len -= n;
	}
}

static void feed_message(struct wire_reader *reader, char type, size_t body_len)
{
	struct wire_buffer out = {0};
	size_t mark = wire_begin(&out, type);
	memset(wire_buffer_room(&out, body_len ? body_len : 1), 'b', body_len);
	wire_buffer_advance(&out, body_len);
	wire_end(&out, mark);
	feed(reader, wire_buffer_at(&out), wire_buffer_len(&out));
	wire_buffer_release(&out);
}

static void test_messages_are_cut(void **state)
{
	(void)state;
	struct wire_reader reader;
	struct wire_message message;
	wire_reader_init(&reader, WIRE_FROM_TOOL);
	feed(&reader, "Q\0\0\0\x06x\0S\0\0\0", 11);
	assert_int_equal(wire_reader_next(&reader, &message), 1);
	assert_int_equal(message.type, 'Q');
	assert_true(message.first && message.last);
	assert_int_equal(message.len, 2);
	assert_int_equal(message.raw_len, 7);
	assert_string_equal(message.body, "x");
	assert_int_equal(wire_reader_next(&reader, &message), 0);
	char type;
	assert_false(wire_reader_peek(&reader, &type));
	feed(&reader, "\x04X\0\0\0\x04", 6);
	assert_true(wire_reader_peek(&reader, &type));
	assert_int_equal(type, 'S');
	assert_true(wire_reader_holds_terminate(&reader));
	assert_int_equal(wire_reader_next(&reader, &message), 1);
	assert_int_equal(message.body_len, 0);
	wire_reader_release(&reader);
}

/* What may be a gigabyte comes in pieces, each text whole. */
static void test_long_messages(void **state)
{
	(void)state;
	struct wire_reader reader;
	struct wire_message message;
	wire_reader_init(&reader, WIRE_FROM_TOOL);
	feed_message(&reader, 'Q', 1000000);
	assert_int_equal(wire_reader_next(&reader, &message), 1);
	assert_true(message.first && message.last);
	assert_int_equal(message.len, 1000000);
	feed(&reader, "d\0\x02\0\0", 5);
	assert_int_equal(wire_reader_next(&reader, &message), 0);
	size_t seen = 0;
	char block[5000];
	memset(block, 'c', sizeof(block));
	while (seen < 0x20000 - 4) {
		size_t left = 0x20000 - 4 - seen;
		feed(&reader, block, left < sizeof(block) ? left : sizeof(block));
		while (wire_reader_next(&reader, &message) == 1) {
			assert_true(!message.first || message.len >= WIRE_HEAD);
			assert_int_equal(message.first, seen == 0);
			seen += message.len;
		}
		if (seen == 0)
			continue;
		assert_int_equal(message.last, seen == 0x20000 - 4);
		assert_true(reader.bytes.capacity < 200000 || reader.bytes.capacity >= 1000000);
	}
	wire_reader_release(&reader);
}

static void expect_wrong(enum wire_side side, const char *data, size_t len)
{
	struct wire_reader reader;
	struct wire_message message;
	wire_reader_init(&reader, side);
	feed(&reader, data, len);
	assert_int_equal(wire_reader_next(&reader, &message), -1);
	assert_non_null(reader.wrong);
	assert_int_equal(wire_reader_next(&reader, &message), -1);
	wire_reader_release(&reader);
}

static void test_what_is_none(void **state)
{
	(void)state;
	expect_wrong(WIRE_FROM_TOOL, "GET / HTTP/1.0", 14);
	expect_wrong(WIRE_FROM_TOOL, "\0\0\0\0\0", 5);
	expect_wrong(WIRE_FROM_TOOL, "Q\0\0\0\x03", 5);
	expect_wrong(WIRE_FROM_TOOL, "Q\x7f\xff\xff\xff", 5);
	expect_wrong(WIRE_FROM_TOOL, "E\0\0\xff\xff", 5); /* longer than the server takes */
	expect_wrong(WIRE_FROM_SERVER, "Q\0\0\0\x04", 5);
	expect_wrong(WIRE_FROM_SERVER, "Z\xff\xff\xff\xff", 5);
}

static void test_startup_packets(void **state)
{
	(void)state;
	struct wire_reader reader;
	uint32_t code;
	const char *body;
	size_t len;
	wire_reader_init(&reader, WIRE_FROM_TOOL);
	feed(&reader, "\0\0\0\x08\x04\xd2\x16\x2f\0\0\0\x0e\0\x03\0\0user", 20);
	assert_int_equal(wire_reader_startup(&reader, &code, &body, &len), 1);
	assert_int_equal(code, WIRE_SSL_REQUEST);
	assert_int_equal(wire_reader_startup(&reader, &code, &body, &len), 0);
	feed(&reader, "\0\0", 2);
	assert_int_equal(wire_reader_startup(&reader, &code, &body, &len), 1);
	assert_int_equal(code, WIRE_PROTOCOL_3);
	assert_int_equal(len, 6);
	wire_reader_release(&reader);
	wire_reader_init(&reader, WIRE_FROM_TOOL);
	feed(&reader, "\0\0\x30\0\0\x03\0\0", 8); /* 12,288 bytes */
	assert_int_equal(wire_reader_startup(&reader, &code, &body, &len), -1);
	wire_reader_release(&reader);
}

static void test_errors(void **state)
{
	(void)state;
	static const char body[] = "SFEHLER\0VERROR\0C42601\0Msyntax\0P17\0Rscanner_yyerror\0";
	struct wire_error error;
	wire_read_error(body, sizeof(body), &error);
	assert_string_equal(error.severity, "ERROR");
	assert_string_equal(error.sqlstate, "42601");
	assert_string_equal(error.message, "syntax");
	assert_string_equal(error.routine, "scanner_yyerror");
	assert_int_equal(error.position, 17);
	struct wire_buffer out = {0};
	wire_put_error_shifted(&out, 'E', body, sizeof(body), 100);
	wire_read_error(wire_buffer_at(&out) + 5, wire_buffer_len(&out) - 5, &error);
	assert_int_equal(error.position, 117);
	assert_string_equal(error.message, "syntax");
	wire_buffer_release(&out);
	wire_read_error("Mcut in the midd", 16, &error);
	assert_string_equal(error.message, "");
}

static void test_tags(void **state)
{
	(void)state;
	assert_int_equal(wire_tag_rows("INSERT 0 5", 11), 5);
	assert_int_equal(wire_tag_rows("SELECT 1234567890123", 21), 1234567890123);
	assert_int_equal(wire_tag_rows("CREATE TABLE", 13), -1);
	assert_int_equal(wire_tag_rows("SELECT 99999999999999999999", 28), -1);
	assert_int_equal(wire_tag_rows("", 0), -1);
	assert_int_equal(wire_tag_rows("7", 1), -1);
}

static void test_names(void **state)
{
	(void)state;
	struct statement_names names = {0};
	assert_null(statement_names_portal(&names, ""));
	statement_names_prepare(&names, "a", span_from_str("SELECT 1"));
	statement_names_prepare(&names, "", span_from_str("SELECT 2"));
	statement_names_bind(&names, "", "a", (struct span){NULL, 0});
	statement_names_bind(&names, "p", "", span_from_str("raw"));
	assert_string_equal(statement_names_portal(&names, "")->text, "SELECT 1");
	assert_null(statement_names_portal(&names, "")->bind);
	assert_string_equal(statement_names_portal(&names, "p")->bind, "raw");
	statement_names_close(&names, 'S', "a"); /* the portal stays */
	assert_string_equal(statement_names_portal(&names, "")->text, "SELECT 1");
	statement_names_bind(&names, "q", "a", (struct span){NULL, 0});
	assert_null(statement_names_portal(&names, "q")->text);
	statement_names_drop_unnamed(&names);
	assert_null(statement_names_portal(&names, ""));
	statement_names_drop_portals(&names);
	assert_null(statement_names_portal(&names, "p"));
	for (int i = 0; i < STATEMENT_NAMES_MAX + 10; i++) {
		char name[16];
		(void)snprintf(name, sizeof(name), "%d", i);
		statement_names_prepare(&names, name, span_from_str("SELECT 3"));
	}
	statement_names_bind(&names, "", "10009", (struct span){NULL, 0});
	assert_null(statement_names_portal(&names, "")->text);
	statement_names_prepare(&names, "0", span_from_str(""));
	statement_names_bind(&names, "", "0", (struct span){NULL, 0});
	assert_string_equal(statement_names_portal(&names, "")->text, "");
	statement_names_release(&names);
	assert_int_equal(names.text_bytes, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_messages_are_cut),
		cmocka_unit_test(test_long_messages),
		cmocka_unit_test(test_what_is_none),
		cmocka_unit_test(test_startup_packets),
		cmocka_unit_test(test_errors),
		cmocka_unit_test(test_tags),
		cmocka_unit_test(test_names),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
