/*
 * The proxy's outside: see tracing_proxy.h. One thread listens; each connection gets one of its own, which greets it
 * (proxy_greeting.c), logs in to the clone (proxy_upstream.c) and relays (proxy_session.c).
 */
#include "tracing_proxy.h"

#include "clock.h"
#include "logging.h"
#include "mem.h"
#include "pg_conn.h"
#include "proxy_greeting.h"
#include "proxy_session.h"
#include "proxy_upstream.h"
#include "quiet_thread.h"
#include "strbuf.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/rand.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#define SESSIONS_MAX 100
#define GUESTS_MAX   150 /* sessions, those that are logging in, and those that only want to cancel */
#define LOOK_MS	     50
#define SECRET_BYTES 24

/* One connection and its thread. */
struct guest {
	struct tracing_proxy *proxy;
	pthread_t thread;
	int fd;
	atomic_bool done;
	bool counted; /* among the sessions */
	struct proxy_session session;
	struct guest *next;
};

struct tracing_proxy {
	struct proxy_shared shared;
	int listen_fd;
	int port;
	char *user;
	char *database;
	char *tool_url;
	pthread_t listener;
	bool listening;
	struct guest *guests; /* shared.lock, as are the next two */
	size_t guest_count;
	size_t session_count;
	struct ledger *ledgers; /* of sessions that are over */
	size_t ledger_count;
	size_t ledger_capacity;
};

/* ---- A connection's thread ---- */

static void say_goodbye(struct proxy_session *session, const char *sqlstate, const char *message)
{
	wire_put_error(&session->tool.out, "FATAL", sqlstate, message);
	proxy_greeting_flush(&session->tool);
}

/* A cancel request has a connection of its own, and no answer. */
static void cancel_for(struct tracing_proxy *proxy, const struct proxy_greeting *greeting)
{
	(void)pthread_mutex_lock(&proxy->shared.lock);
	for (struct guest *guest = proxy->guests; guest; guest = guest->next) {
		struct proxy_session *session = &guest->session;
		if (session->cancel && (uint32_t)PQbackendPID(session->conn) == greeting->pid &&
		    session->secret == greeting->secret)
			proxy_session_cancel(session);
	}
	(void)pthread_mutex_unlock(&proxy->shared.lock);
}

static bool count_session(struct guest *guest)
{
	struct tracing_proxy *proxy = guest->proxy;
	(void)pthread_mutex_lock(&proxy->shared.lock);
	guest->counted = proxy->session_count < SESSIONS_MAX;
	proxy->session_count += guest->counted;
	(void)pthread_mutex_unlock(&proxy->shared.lock);
	return guest->counted;
}

static bool log_in(struct guest *guest, const struct proxy_greeting *greeting)
{
	struct proxy_session *session = &guest->session;
	struct proxy_shared *shared = &guest->proxy->shared;
	struct proxy_refusal refusal = {0};
	PGconn *conn = proxy_upstream_connect(shared->url, (struct span){greeting->startup, greeting->startup_len},
					      &shared->stopping, &refusal);
	if (!conn) {
		say_goodbye(session, refusal.sqlstate, refusal.message);
		return false;
	}
	if (!proxy_upstream_take_over(conn, &session->server)) {
		say_goodbye(session, "0A000", "rehearse: this libpq has another TLS library than OpenSSL");
		PQfinish(conn);
		return false;
	}
	PGcancel *cancel = PQgetCancel(conn);
	const char *plain = PQparameterStatus(conn, "standard_conforming_strings");
	session->plain_strings = plain && strcmp(plain, "on") == 0;
	(void)RAND_bytes((unsigned char *)&session->secret, sizeof(session->secret));
	(void)pthread_mutex_lock(&shared->lock);
	session->conn = conn;
	session->cancel = cancel;
	(void)pthread_mutex_unlock(&shared->lock);
	size_t mark = wire_begin(&session->tool.out, 'R');
	wire_put_u32(&session->tool.out, 0); /* AuthenticationOk */
	wire_end(&session->tool.out, mark);
	proxy_upstream_put_welcome(conn, session->secret, &session->tool.out);
	session_put_ready(session);
	return true;
}

static void log_out(struct guest *guest)
{
	struct proxy_session *session = &guest->session;
	struct proxy_shared *shared = &guest->proxy->shared;
	(void)pthread_mutex_lock(&shared->lock);
	PQfreeCancel(session->cancel);
	session->cancel = NULL;
	(void)pthread_mutex_unlock(&shared->lock);
	PQfinish(session->conn);
	session->conn = NULL;
	log_debug("migration proxy: a session is over: %zu statements%s%s", session->ledger.statement_count,
		  session->why[0] ? ", " : "", session->why);
}

static void keep_ledger(struct guest *guest)
{
	struct tracing_proxy *proxy = guest->proxy;
	(void)pthread_mutex_lock(&proxy->shared.lock);
	proxy->session_count -= guest->counted;
	if (guest->session.ledger.statement_count > 0) {
		MEM_GROW(proxy->ledgers, proxy->ledger_count, proxy->ledger_capacity);
		proxy->ledgers[proxy->ledger_count++] = guest->session.ledger;
		ledger_init(&guest->session.ledger);
	}
	(void)pthread_mutex_unlock(&proxy->shared.lock);
}

static void *serve(void *argument)
{
	struct guest *guest = argument;
	struct proxy_session *session = &guest->session;
	struct proxy_shared *shared = &guest->proxy->shared;
	struct proxy_greeting *greeting = mem_zalloc(1, sizeof(*greeting));
	proxy_link_init(&session->tool, WIRE_FROM_TOOL, guest->fd, NULL);
	switch (proxy_greet(&session->tool, shared->password, &shared->stopping, greeting)) {
	case PROXY_GUEST_CANCEL:
		cancel_for(guest->proxy, greeting);
		break;
	case PROXY_GUEST_TOOL:
		if (!count_session(guest)) {
			say_goodbye(session, "53300", "rehearse: too many connections through the tracing proxy");
		} else if (log_in(guest, greeting)) {
			proxy_session_run(session);
			log_out(guest);
		}
		break;
	case PROXY_GUEST_NONE:
	default:
		break;
	}
	free(greeting);
	(void)close(guest->fd);
	keep_ledger(guest);
	atomic_store(&guest->done, true);
	return NULL;
}

/* ---- The listener's thread ---- */

static void free_guest(struct guest *guest)
{
	proxy_session_release(&guest->session);
	free(guest);
}

/* Threads that have ended; all of them, waiting for their end, when `all` is set. */
static void reap(struct tracing_proxy *proxy, bool all)
{
	struct guest *over = NULL;
	(void)pthread_mutex_lock(&proxy->shared.lock);
	for (struct guest **link = &proxy->guests; *link;) {
		struct guest *guest = *link;
		if (!all && !atomic_load(&guest->done)) {
			link = &guest->next;
			continue;
		}
		*link = guest->next;
		guest->next = over;
		over = guest;
		proxy->guest_count--;
	}
	(void)pthread_mutex_unlock(&proxy->shared.lock);
	while (over) {
		struct guest *guest = over;
		over = guest->next;
		(void)pthread_join(guest->thread, NULL);
		free_guest(guest);
	}
}

static void welcome(struct tracing_proxy *proxy, int fd)
{
	int on = 1;
	(void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	struct guest *guest = mem_zalloc(1, sizeof(*guest));
	guest->proxy = proxy;
	guest->fd = fd;
	proxy_session_init(&guest->session, &proxy->shared);
	(void)pthread_mutex_lock(&proxy->shared.lock);
	struct error refused = ERROR_INIT;
	bool full = proxy->guest_count >= GUESTS_MAX;
	if (!full && quiet_thread_start(&guest->thread, serve, guest, "migration proxy", &refused) == 0) {
		guest->next = proxy->guests;
		proxy->guests = guest;
		proxy->guest_count++;
		guest = NULL;
	}
	(void)pthread_mutex_unlock(&proxy->shared.lock);
	if (!guest)
		return;
	log_warn("migration proxy: a connection was turned away: there are too many");
	(void)close(fd);
	free_guest(guest);
}

static void *listen_on(void *argument)
{
	struct tracing_proxy *proxy = argument;
	while (!atomic_load(&proxy->shared.stopping)) {
		struct pollfd fd = {.fd = proxy->listen_fd, .events = POLLIN};
		if (poll(&fd, 1, LOOK_MS) > 0) {
			int tool_fd = accept4(proxy->listen_fd, NULL, NULL, SOCK_CLOEXEC);
			if (tool_fd >= 0)
				welcome(proxy, tool_fd);
			else if (errno != EAGAIN && errno != EINTR && errno != ECONNABORTED)
				clock_sleep_until_ns(clock_mono_ns() + LOOK_MS * NS_PER_MS); /* out of descriptors */
		}
		reap(proxy, false);
	}
	return NULL;
}

/* ---- Start and stop ---- */

/* A socket of our own, or, when the caller has one that listens, that one once more. */
static int open_socket(struct tracing_proxy *proxy, int given_fd, struct error *err)
{
	struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t len = sizeof(address);
	bool given = given_fd > 0;
	proxy->listen_fd = given ? fcntl(given_fd, F_DUPFD_CLOEXEC, 0)
				 : socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (proxy->listen_fd < 0 || (!given && bind(proxy->listen_fd, (struct sockaddr *)&address, len) != 0) ||
	    (!given && listen(proxy->listen_fd, SESSIONS_MAX) != 0) ||
	    getsockname(proxy->listen_fd, (struct sockaddr *)&address, &len) != 0)
		return error_set_errno(err, ERR_INTERNAL, "migration proxy: listening on 127.0.0.1");
	proxy->port = ntohs(address.sin_port);
	return 0;
}

static int make_password(struct tracing_proxy *proxy, struct error *err)
{
	unsigned char bytes[SECRET_BYTES];
	if (RAND_bytes(bytes, sizeof(bytes)) != 1)
		return error_set(err, ERR_INTERNAL, "migration proxy: no random numbers for a password");
	for (size_t i = 0; i < sizeof(bytes); i++)
		(void)snprintf(proxy->shared.password + 2 * i, 3, "%02x", bytes[i]);
	return 0;
}

/* Is the clone there? And who are we in it, when the URL leaves that to libpq? */
static int look_at_clone(struct tracing_proxy *proxy, struct error *err)
{
	PGconn *conn = NULL;
	int rc = pg_conn_open(proxy->shared.url, PG_CONN_APPLICATION " migration proxy", &conn, err);
	if (rc)
		return rc;
	proxy->user = mem_strdup(PQuser(conn));
	proxy->database = mem_strdup(PQdb(conn));
	PQfinish(conn);
	return 0;
}

static void add_escaped(struct strbuf *out, const char *text)
{
	for (; *text; text++) {
		unsigned char c = (unsigned char)*text;
		if (isalnum(c) || strchr("-_.~", c))
			strbuf_add_char(out, (char)c);
		else
			strbuf_addf(out, "%%%02X", c);
	}
}

/* sslmode, because some drivers (Go's pq) demand TLS unless told not to. */
static void make_url(struct tracing_proxy *proxy)
{
	struct strbuf url;
	strbuf_init(&url, 8192);
	strbuf_add_str(&url, "postgresql://");
	add_escaped(&url, proxy->user);
	strbuf_addf(&url, ":%s@127.0.0.1:%d/", proxy->shared.password, proxy->port);
	add_escaped(&url, proxy->database);
	strbuf_add_str(&url, "?sslmode=disable");
	proxy->tool_url = strbuf_detach(&url);
}

static void free_proxy(struct tracing_proxy *proxy)
{
	if (proxy->listen_fd >= 0)
		(void)close(proxy->listen_fd);
	for (size_t i = 0; i < proxy->ledger_count; i++)
		ledger_release(&proxy->ledgers[i]);
	free(proxy->ledgers);
	free(proxy->shared.url);
	free(proxy->user);
	free(proxy->database);
	if (proxy->tool_url)
		OPENSSL_cleanse(proxy->tool_url, strlen(proxy->tool_url));
	free(proxy->tool_url);
	OPENSSL_cleanse(proxy->shared.password, sizeof(proxy->shared.password));
	(void)pthread_mutex_destroy(&proxy->shared.lock);
	free(proxy);
}

int tracing_proxy_start(const struct tracing_proxy_options *options, struct tracing_proxy **out, struct error *err)
{
	struct tracing_proxy *proxy = mem_zalloc(1, sizeof(*proxy));
	*out = NULL;
	proxy->listen_fd = -1;
	proxy->shared.url = mem_strdup(options->url);
	proxy->shared.t0_ns = options->t0_ns;
	proxy->shared.interval_ns = options->interval_ns;
	proxy->shared.statement_no = options->statement_no;
	(void)pthread_mutex_init(&proxy->shared.lock, NULL);
	int rc = look_at_clone(proxy, err);
	if (rc == 0)
		rc = make_password(proxy, err);
	if (rc == 0)
		rc = open_socket(proxy, options->listen_fd, err);
	if (rc == 0)
		rc = quiet_thread_start(&proxy->listener, listen_on, proxy, "migration proxy", err);
	if (rc) {
		free_proxy(proxy);
		return rc;
	}
	proxy->listening = true;
	make_url(proxy);
	*out = proxy;
	return 0;
}

const char *tracing_proxy_url(const struct tracing_proxy *proxy)
{
	return proxy->tool_url;
}

int tracing_proxy_port(const struct tracing_proxy *proxy)
{
	return proxy->port;
}

const char *tracing_proxy_user(const struct tracing_proxy *proxy)
{
	return proxy->user;
}

const char *tracing_proxy_password(const struct tracing_proxy *proxy)
{
	return proxy->shared.password;
}

const char *tracing_proxy_database(const struct tracing_proxy *proxy)
{
	return proxy->database;
}

void tracing_proxy_cancel(struct tracing_proxy *proxy)
{
	atomic_store(&proxy->shared.cancelled, true);
}

int tracing_proxy_stop(struct tracing_proxy *proxy, struct ledger *ledger, struct error *err)
{
	(void)err;
	atomic_store(&proxy->shared.stopping, true);
	(void)pthread_join(proxy->listener, NULL);
	reap(proxy, true);
	for (size_t i = 0; i < proxy->ledger_count; i++)
		ledger_merge(ledger, &proxy->ledgers[i]);
	free_proxy(proxy);
	return 0;
}
