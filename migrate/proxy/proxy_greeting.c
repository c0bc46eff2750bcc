/* How a tool gets in: see proxy_greeting.h. */
#include "proxy_greeting.h"

#include "clock.h"

#include <openssl/crypto.h>
#include <poll.h>

#define LOGIN_TIMEOUT_NS (10 * NS_PER_S)
#define FLUSH_TIMEOUT_NS (1 * NS_PER_S)
#define LOOK_MS		 50
#define AUTH_CLEARTEXT	 3

/* False when the tool is gone, the time is up, or the proxy stops. */
static bool wait_for_bytes(struct proxy_link *link, int64_t deadline_ns, const atomic_bool *stop)
{
	size_t before = wire_buffer_len(&link->in.bytes);
	while (wire_buffer_len(&link->in.bytes) == before) {
		if (link->ended || clock_mono_ns() > deadline_ns || atomic_load(stop))
			return false;
		proxy_link_write(link);
		struct pollfd fd = {.fd = link->fd, .events = proxy_link_events(link, true)};
		if (poll(&fd, 1, LOOK_MS) > 0)
			proxy_link_read(link);
	}
	return true;
}

void proxy_greeting_flush(struct proxy_link *link)
{
	int64_t deadline_ns = clock_mono_ns() + FLUSH_TIMEOUT_NS;
	for (;;) {
		proxy_link_write(link);
		if (wire_buffer_len(&link->out) == 0 || clock_mono_ns() > deadline_ns)
			return;
		struct pollfd fd = {.fd = link->fd, .events = POLLOUT};
		(void)poll(&fd, 1, LOOK_MS);
	}
}

static enum proxy_guest send_away(struct proxy_link *link, const char *sqlstate, const char *message)
{
	wire_put_error(&link->out, "FATAL", sqlstate, message);
	proxy_greeting_flush(link);
	return PROXY_GUEST_NONE;
}

/* "NegotiateProtocolVersion": 3.0 it is, and none of the options asked for. */
static void negotiate(struct proxy_link *link, uint32_t code, const char *body, size_t len)
{
	uint32_t refused = 0;
	struct wire_buffer names = {0};
	struct wire_cursor cursor = wire_cursor_over(body, len);
	for (;;) {
		const char *name = wire_get_string(&cursor);
		if (cursor.failed || !*name)
			break;
		(void)wire_get_string(&cursor);
		if (strncmp(name, "_pq_.", 5) == 0) {
			wire_put_string(&names, name);
			refused++;
		}
	}
	if (code > WIRE_PROTOCOL_3 || refused > 0) {
		size_t mark = wire_begin(&link->out, 'v');
		wire_put_u32(&link->out, 0); /* the newest minor version that is spoken here */
		wire_put_u32(&link->out, refused);
		wire_buffer_add(&link->out, wire_buffer_at(&names), wire_buffer_len(&names));
		wire_end(&link->out, mark);
	}
	wire_buffer_release(&names);
}

/* In a time that does not depend on where they differ. */
static bool is_the_password(const char *given, size_t len, const char *password)
{
	size_t right = strlen(password);
	return len == right && CRYPTO_memcmp(given, password, right) == 0;
}

static enum proxy_guest ask_password(struct proxy_link *link, const char *password, int64_t deadline_ns,
				     const atomic_bool *stop)
{
	size_t mark = wire_begin(&link->out, 'R');
	wire_put_u32(&link->out, AUTH_CLEARTEXT);
	wire_end(&link->out, mark);
	struct wire_message message;
	int got;
	while ((got = wire_reader_next(&link->in, &message)) == 0) {
		if (!wait_for_bytes(link, deadline_ns, stop))
			return PROXY_GUEST_NONE;
	}
	if (got < 0 || message.type != 'p' || !message.last || message.len == 0)
		return send_away(link, "08P01", "expected a password");
	if (!is_the_password(message.body, message.len - 1, password))
		return send_away(link, "28P01", "rehearse: this is not the password that the migration tool was given");
	return PROXY_GUEST_TOOL;
}

static enum proxy_guest take_startup(struct proxy_link *link, uint32_t code, const char *body, size_t len,
				     struct proxy_greeting *out)
{
	if (code >> 16 != 3)
		return send_away(link, "0A000", "rehearse: protocol 3 is spoken here");
	memcpy(out->startup, body, len);
	out->startup_len = len;
	struct wire_cursor cursor = wire_cursor_over(body, len);
	bool has_user = false;
	for (;;) {
		const char *name = wire_get_string(&cursor);
		if (cursor.failed || !*name)
			break;
		const char *value = wire_get_string(&cursor);
		has_user = has_user || (strcmp(name, "user") == 0 && *value);
		if (strcmp(name, "replication") == 0 && strcmp(value, "false") != 0 && strcmp(value, "0") != 0)
			return send_away(link, "0A000", "rehearse: replication does not go through the tracing proxy");
	}
	if (cursor.failed || !has_user)
		return send_away(link, "08P01", "the startup packet names no user");
	negotiate(link, code, body, len);
	return PROXY_GUEST_TOOL;
}

enum proxy_guest proxy_greet(struct proxy_link *link, const char *password, const atomic_bool *stop,
			     struct proxy_greeting *out)
{
	int64_t deadline_ns = clock_mono_ns() + LOGIN_TIMEOUT_NS;
	for (int declined = 0; declined <= 2;) { /* once TLS, once GSSAPI */
		uint32_t code;
		const char *body;
		size_t len;
		int got = wire_reader_startup(&link->in, &code, &body, &len);
		if (got < 0)
			return PROXY_GUEST_NONE; /* not this protocol: no word that it would understand */
		if (got == 0) {
			if (!wait_for_bytes(link, deadline_ns, stop))
				return PROXY_GUEST_NONE;
			continue;
		}
		if (code == WIRE_SSL_REQUEST || code == WIRE_GSS_REQUEST) {
			wire_put_u8(&link->out, 'N');
			declined++;
			continue;
		}
		if (code == WIRE_CANCEL) {
			struct wire_cursor cursor = wire_cursor_over(body, len);
			out->pid = wire_get_u32(&cursor);
			out->secret = wire_get_u32(&cursor);
			return cursor.failed ? PROXY_GUEST_NONE : PROXY_GUEST_CANCEL;
		}
		enum proxy_guest guest = take_startup(link, code, body, len, out);
		return guest == PROXY_GUEST_TOOL ? ask_password(link, password, deadline_ns, stop) : guest;
	}
	return PROXY_GUEST_NONE;
}
