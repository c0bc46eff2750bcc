/* What no decent client library sends, byte by byte: strangers, odd startup packets, messages split and out of place.
 */
#include "clock.h"
#include "mem.h"
#include "support_pg_server.h"
#include "tracing_proxy.h"
#include "wire.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <arpa/inet.h>
#include <cmocka.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

static struct pg_server server;
static struct tracing_proxy *proxy;
static struct wire_reader reader; /* of what the proxy says */
static int sock = -1;

static void hang_up(void)
{
	if (sock >= 0)
		(void)close(sock);
	sock = -1;
	wire_reader_release(&reader);
}

static void ring(void)
{
	struct sockaddr_in address = {.sin_family = AF_INET,
				      .sin_port = htons((uint16_t)tracing_proxy_port(proxy)),
				      .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	hang_up();
	sock = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(connect(sock, (struct sockaddr *)&address, sizeof(address)), 0);
	wire_reader_init(&reader, WIRE_FROM_SERVER);
}

static void say(const struct wire_buffer *bytes)
{
	assert_int_equal(send(sock, wire_buffer_at(bytes), wire_buffer_len(bytes), MSG_NOSIGNAL),
			 wire_buffer_len(bytes));
}

/* Some bytes more, false at the end of the connection. */
static bool hear(void)
{
	struct pollfd fd = {.fd = sock, .events = POLLIN};
	if (poll(&fd, 1, 20000) != 1)
		fail_msg("the proxy says nothing");
	size_t len;
	char *room = wire_reader_room(&reader, &len);
	ssize_t got = recv(sock, room, len, 0);
	if (got > 0)
		wire_reader_advance(&reader, (size_t)got);
	return got > 0;
}

/* The type of the next message, 0 at the end. */
static char next(struct wire_message *message)
{
	int got;
	while ((got = wire_reader_next(&reader, message)) == 0) {
		if (!hear())
			return 0;
	}
	assert_int_equal(got, 1);
	return message->type;
}

/* The types of all messages up to and with that one, notices and the server's settings left out. */
static void expect_types(const char *types)
{
	struct wire_message message;
	for (const char *p = types; *p;) {
		char type = next(&message);
		if (type == 'S' || type == 'N')
			continue;
		if (type != *p)
			fail_msg("%c instead of %c in %s", type ? type : '0', *p, types);
		p++;
	}
}

static void expect_fatal(const char *sqlstate)
{
	struct wire_message message;
	struct wire_error error;
	while (next(&message) != 'E')
		assert_int_not_equal(message.type, 0);
	wire_read_error(message.body, message.len, &error);
	assert_string_equal(error.severity, "FATAL");
	assert_string_equal(error.sqlstate, sqlstate);
	assert_int_equal(next(&message), 0);
}

static void put_startup(struct wire_buffer *out, uint32_t version, const char *option)
{
	struct wire_buffer body = {0};
	wire_put_u32(&body, version);
	wire_put_string(&body, "user");
	wire_put_string(&body, "postgres");
	if (option) {
		wire_put_string(&body, option);
		wire_put_string(&body, "1");
	}
	wire_put_u8(&body, 0);
	wire_put_u32(out, (uint32_t)wire_buffer_len(&body) + 4);
	wire_buffer_add(out, wire_buffer_at(&body), wire_buffer_len(&body));
	wire_buffer_release(&body);
}

static void put_text(struct wire_buffer *out, char type, const char *text)
{
	size_t mark = wire_begin(out, type);
	wire_put_string(out, text);
	wire_end(out, mark);
}

static void put_password(struct wire_buffer *out)
{
	put_text(out, 'p', tracing_proxy_password(proxy));
}

static void log_in(void)
{
	struct wire_buffer out = {0};
	ring();
	put_startup(&out, WIRE_PROTOCOL_3, NULL);
	put_password(&out);
	say(&out);
	wire_buffer_release(&out);
	expect_types("RRKZ");
}

static void test_strangers(void **state)
{
	(void)state;
	struct wire_buffer out = {0};
	struct wire_message message;
	ring();
	wire_buffer_add(&out, "GET / HTTP/1.1\r\n\r\n", 18);
	say(&out);
	assert_int_equal(next(&message), 0);
	ring();
	wire_buffer_clear(&out);
	put_startup(&out, 2 << 16, NULL);
	say(&out);
	expect_fatal("0A000");
	ring();
	wire_buffer_clear(&out);
	put_startup(&out, WIRE_PROTOCOL_3, "replication");
	say(&out);
	expect_fatal("0A000");
	ring();
	wire_buffer_clear(&out);
	put_startup(&out, WIRE_PROTOCOL_3, NULL);
	put_text(&out, 'Q', "SELECT 1"); /* in place of the password */
	say(&out);
	expect_fatal("08P01");
	wire_buffer_release(&out);
}

static void test_newer_protocols(void **state)
{
	(void)state;
	struct wire_buffer out = {0};
	ring();
	put_startup(&out, WIRE_PROTOCOL_3 + 2, "_pq_.odd");
	say(&out);
	struct wire_message message;
	assert_int_equal(next(&message), 'v');
	struct wire_cursor cursor = wire_cursor_over(message.body, message.len);
	assert_int_equal(wire_get_u32(&cursor), 0);
	assert_int_equal(wire_get_u32(&cursor), 1);
	assert_string_equal(wire_get_string(&cursor), "_pq_.odd");
	assert_int_equal(next(&message), 'R');
	wire_buffer_clear(&out);
	put_password(&out);
	say(&out);
	expect_types("RKZ");
	wire_buffer_release(&out);
}

/* TLS and GSSAPI are declined, each once; what begins to speak TLS all the same is not answered. */
static void test_encryption_is_declined(void **state)
{
	(void)state;
	struct wire_buffer out = {0};
	char answers[2] = "";
	ring();
	wire_put_u32(&out, 8);
	wire_put_u32(&out, WIRE_GSS_REQUEST);
	wire_put_u32(&out, 8);
	wire_put_u32(&out, WIRE_SSL_REQUEST);
	say(&out);
	assert_int_equal(recv(sock, answers, 2, MSG_WAITALL), 2);
	assert_memory_equal(answers, "NN", 2);
	wire_buffer_clear(&out);
	put_startup(&out, WIRE_PROTOCOL_3, NULL);
	put_password(&out);
	for (size_t i = 0; i < wire_buffer_len(&out); i++) /* byte by byte */
		assert_int_equal(send(sock, wire_buffer_at(&out) + i, 1, MSG_NOSIGNAL), 1);
	expect_types("RRKZ");
	wire_buffer_release(&out);
}

static void test_messages_that_do_not_belong(void **state)
{
	(void)state;
	struct wire_buffer out = {0};
	log_in();
	wire_buffer_add(&out, "?\0\0\0\x04", 5);
	say(&out);
	expect_fatal("08P01");
	log_in();
	wire_buffer_clear(&out);
	put_password(&out);
	say(&out);
	expect_fatal("08P01");
	/* data without a COPY is passed over, as the server does */
	log_in();
	wire_buffer_clear(&out);
	put_text(&out, 'd', "1");
	wire_put_empty(&out, 'c');
	put_text(&out, 'Q', "SELECT 1");
	say(&out);
	expect_types("TDCZ");
	wire_buffer_release(&out);
}

static void put_execute(struct wire_buffer *out, uint32_t max_rows)
{
	size_t mark = wire_begin(out, 'E');
	wire_put_string(out, "");
	wire_put_u32(out, max_rows);
	wire_end(out, mark);
}

static void put_limited(struct wire_buffer *out, const char *sql, uint32_t max_rows)
{
	size_t mark = wire_begin(out, 'P');
	wire_put_string(out, "");
	wire_put_string(out, sql);
	wire_put_u16(out, 0);
	wire_end(out, mark);
	mark = wire_begin(out, 'B');
	for (int i = 0; i < 4; i++)
		wire_put_u16(out, 0); /* "", "", no formats, no values, no formats */
	wire_end(out, mark);
	put_execute(out, max_rows);
}

static void put_extended(struct wire_buffer *out, const char *sql)
{
	put_limited(out, sql, 0);
}

static void test_flush_and_errors_in_a_pipeline(void **state)
{
	(void)state;
	struct wire_buffer out = {0};
	log_in();
	put_extended(&out, "SELECT 1");
	wire_put_empty(&out, 'H');
	say(&out);
	expect_types("12DC"); /* without a Sync */
	wire_buffer_clear(&out);
	put_extended(&out, "CREATE TABLE flushed (id int)"); /* its transaction has begun: BEGIN comes behind it */
	wire_put_empty(&out, 'H');
	say(&out);
	expect_types("12C");
	assert_int_equal(pg_server_ask(&server, "SELECT count(*) FROM pg_class WHERE relname = 'flushed'"), 0);
	wire_buffer_clear(&out);
	put_extended(&out, "SELEC");
	put_extended(&out, "SELECT 2");	 /* passed over */
	put_text(&out, 'Q', "SELECT 3"); /* this too */
	wire_put_empty(&out, 'S');
	put_extended(&out, "SELECT 4");
	wire_put_empty(&out, 'S');
	wire_put_empty(&out, 'S');
	say(&out);
	expect_types("EZ12DCZZ");
	assert_int_equal(pg_server_ask(&server, "SELECT count(*) FROM pg_class WHERE relname = 'flushed'"), 0);
	wire_buffer_release(&out);
}

/* A portal's rows in portions, as JDBC's fetch size has it: one statement in the ledger. */
static void test_rows_in_portions(void **state)
{
	(void)state;
	struct wire_buffer out = {0};
	log_in();
	put_text(&out, 'Q', "BEGIN");
	say(&out);
	expect_types("CZ");
	for (int sync = 0; sync < 2; sync++) {
		wire_buffer_clear(&out);
		put_limited(&out, "SELECT generate_series(1, 5)", 2);
		wire_put_empty(&out, sync ? 'S' : 'H');
		say(&out);
		expect_types(sync ? "12DDsZ" : "12DDs");
		wire_buffer_clear(&out);
		put_execute(&out, 2);
		wire_put_empty(&out, sync ? 'S' : 'H');
		put_execute(&out, 2);
		wire_put_empty(&out, 'S');
		say(&out);
		expect_types(sync ? "DDsZDCZ" : "DDsDCZ");
	}
	wire_buffer_clear(&out);
	put_text(&out, 'Q', "COMMIT");
	say(&out);
	expect_types("CZ");
	wire_buffer_release(&out);
}

static void test_a_sync_behind_copy(void **state)
{
	(void)state;
	struct wire_buffer out = {0};
	assert_int_equal(pg_server_run(&server, "CREATE TABLE filled (id int)"), 0);
	log_in();
	put_extended(&out, "COPY filled FROM STDIN");
	wire_put_empty(&out, 'S'); /* the server passes over it: it is taking data in */
	size_t mark = wire_begin(&out, 'd');
	wire_buffer_add(&out, "1\n2\n", 4);
	wire_end(&out, mark);
	wire_put_empty(&out, 'c');
	wire_put_empty(&out, 'S');
	say(&out);
	expect_types("12GCZ");
	assert_int_equal(pg_server_ask(&server, "SELECT count(*) FROM filled"), 2);
	wire_buffer_release(&out);
}

/* Sent, and gone, with a goodbye: the server would run it to its end. */
static void test_query_and_goodbye(void **state)
{
	(void)state;
	struct wire_buffer out = {0};
	log_in();
	put_text(&out, 'Q', "CREATE TABLE farewell AS SELECT 1 AS id FROM pg_sleep(0.5)");
	wire_put_empty(&out, 'X');
	say(&out);
	hang_up();
	int64_t deadline_ns = clock_mono_ns() + 10 * NS_PER_S;
	while (pg_server_ask(&server, "SELECT count(*) FROM pg_class WHERE relname = 'farewell'") != 1) {
		if (clock_mono_ns() > deadline_ns)
			fail_msg("it was not run");
		clock_sleep_until_ns(clock_mono_ns() + 50 * NS_PER_MS);
	}
	wire_buffer_release(&out);
}

static int start(void **state)
{
	(void)state;
	struct error err = ERROR_INIT;
	if (pg_server_start(&server, NULL) < 0)
		return -1;
	struct tracing_proxy_options options = {.url = server.url, .t0_ns = clock_mono_ns()};
	return tracing_proxy_start(&options, &proxy, &err);
}

static int stop(void **state)
{
	(void)state;
	struct error err = ERROR_INIT;
	struct ledger ledger;
	hang_up();
	ledger_init(&ledger);
	(void)tracing_proxy_stop(proxy, &ledger, &err);
	ledger_release(&ledger);
	pg_server_stop(&server);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_strangers),
		cmocka_unit_test(test_newer_protocols),
		cmocka_unit_test(test_encryption_is_declined),
		cmocka_unit_test(test_messages_that_do_not_belong),
		cmocka_unit_test(test_flush_and_errors_in_a_pipeline),
		cmocka_unit_test(test_rows_in_portions),
		cmocka_unit_test(test_a_sync_behind_copy),
		cmocka_unit_test(test_query_and_goodbye),
	};
	cmocka_set_test_filter(getenv("TEST_FILTER"));
	return cmocka_run_group_tests(tests, start, stop);
}
