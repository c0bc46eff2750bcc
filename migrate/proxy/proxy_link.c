/* One side of a proxied connection: see proxy_link.h. */
#include "proxy_link.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/types.h>

void proxy_link_init(struct proxy_link *link, enum wire_side side, int fd, void *tls)
{
	memset(link, 0, sizeof(*link));
	link->fd = fd;
	link->tls = tls;
	wire_reader_init(&link->in, side);
	int flags = fcntl(fd, F_GETFL);
	(void)fcntl(fd, F_SETFL, flags | O_NONBLOCK);
	if (tls)
		(void)SSL_set_mode(tls, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
}

void proxy_link_release(struct proxy_link *link)
{
	wire_reader_release(&link->in);
	wire_buffer_release(&link->out);
}

static bool is_temporary(int error)
{
	return error == EAGAIN || error == EWOULDBLOCK || error == EINTR;
}

/* Bytes read or written, 0 when it has to wait, -1 when the connection is gone. */
static ssize_t tls_result(struct proxy_link *link, int got)
{
	if (got > 0)
		return got;
	int why = SSL_get_error(link->tls, got);
	ERR_clear_error();
	if (why == SSL_ERROR_WANT_WRITE)
		link->tls_wants_out = true;
	return why == SSL_ERROR_WANT_READ || why == SSL_ERROR_WANT_WRITE ? 0 : -1;
}

static ssize_t read_some(struct proxy_link *link, char *room, size_t len)
{
	if (link->tls) {
		ERR_clear_error();
		return tls_result(link, SSL_read(link->tls, room, len > INT32_MAX ? INT32_MAX : (int)len));
	}
	ssize_t got = recv(link->fd, room, len, 0);
	if (got > 0)
		return got;
	return got < 0 && is_temporary(errno) ? 0 : -1;
}

static ssize_t write_some(struct proxy_link *link, const char *data, size_t len)
{
	if (link->tls) {
		ERR_clear_error();
		return tls_result(link, SSL_write(link->tls, data, len > INT32_MAX ? INT32_MAX : (int)len));
	}
	ssize_t sent = send(link->fd, data, len, MSG_NOSIGNAL);
	return sent < 0 && is_temporary(errno) ? 0 : sent;
}

void proxy_link_read(struct proxy_link *link)
{
	size_t len;
	char *room = wire_reader_room(&link->in, &len);
	link->tls_wants_out = false;
	if (link->ended)
		return;
	ssize_t got = read_some(link, room, len);
	if (got > 0)
		wire_reader_advance(&link->in, (size_t)got);
	link->ended = got < 0;
}

void proxy_link_write(struct proxy_link *link)
{
	while (wire_buffer_len(&link->out) > 0) {
		ssize_t sent = write_some(link, wire_buffer_at(&link->out), wire_buffer_len(&link->out));
		if (sent == 0)
			return;
		if (sent < 0) { /* what it said before it went may still be there to be read */
			wire_buffer_clear(&link->out);
			return;
		}
		wire_buffer_take(&link->out, (size_t)sent);
	}
	wire_buffer_clear(&link->out);
}

short proxy_link_events(const struct proxy_link *link, bool to_read)
{
	short events = 0;
	if (to_read && !link->ended)
		events |= POLLIN;
	if (wire_buffer_len(&link->out) > 0 || link->tls_wants_out)
		events |= POLLOUT;
	return events;
}

bool proxy_link_has_more(const struct proxy_link *link)
{
	return link->tls && SSL_pending(link->tls) > 0;
}
