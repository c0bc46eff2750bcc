/* The proxy's connection to the clone: see proxy_upstream.h. */
#include "proxy_upstream.h"

#include "clock.h"
#include "mem.h"
#include "num.h"
#include "sqlstate.h"
#include "strbuf.h"

#include <ctype.h>
#include <poll.h>

#define DEFAULT_TIMEOUT_NS (10 * NS_PER_S)
#define LOOK_MS		   50
#define CONNINFO_MAX	   65536

bool proxy_startup_next(struct span startup, size_t *pos, const char **name, const char **value)
{
	struct wire_cursor cursor = wire_cursor_over(startup.p, startup.len);
	(void)wire_get_bytes(&cursor, *pos);
	*name = wire_get_string(&cursor);
	if (!**name)
		return false;
	*value = wire_get_string(&cursor);
	*pos = (size_t)(cursor.p - startup.p);
	return !cursor.failed;
}

const char *proxy_startup_find(struct span startup, const char *name)
{
	const char *key, *value;
	for (size_t pos = 0; proxy_startup_next(startup, &pos, &key, &value);) {
		if (strcmp(key, name) == 0)
			return value;
	}
	return NULL;
}

/* " -c name=value" as pg_split_opts() of the server reads it: white space and backslashes escaped. */
static void add_setting(struct strbuf *options, const char *name, const char *value)
{
	const char *const parts[] = {name, "=", value};
	strbuf_add_str(options, " -c ");
	for (size_t i = 0; i < 3; i++) {
		for (const char *p = parts[i]; *p; p++) {
			if (isspace((unsigned char)*p) || *p == '\\')
				strbuf_add_char(options, '\\');
			strbuf_add_char(options, *p);
		}
	}
}

static bool is_one_of(const char *name, const char *const *names)
{
	for (; *names; names++) {
		if (strcmp(name, *names) == 0)
			return true;
	}
	return false;
}

/* The URL's own options, then the tool's, then the settings that its packet names by themselves. */
static void collect_options(const char *url, struct span startup, struct strbuf *options)
{
	static const char *const known[] = {
		"user", "database", "options", "replication", "application_name", "client_encoding", NULL};
	PQconninfoOption *parsed = PQconninfoParse(url, NULL);
	for (const PQconninfoOption *option = parsed; option && option->keyword; option++) {
		if (strcmp(option->keyword, "options") == 0 && option->val)
			strbuf_add_str(options, option->val);
	}
	PQconninfoFree(parsed);
	const char *name, *value;
	for (size_t pos = 0; proxy_startup_next(startup, &pos, &name, &value);) {
		if (strcmp(name, "options") == 0) {
			strbuf_add_char(options, ' ');
			strbuf_add_str(options, value);
		}
	}
	for (size_t pos = 0; proxy_startup_next(startup, &pos, &name, &value);) {
		if (!is_one_of(name, known) && strncmp(name, "_pq_.", 5) != 0)
			add_setting(options, name, value);
	}
}

static PGconn *begin_connecting(const char *url, struct span startup)
{
	const char *user = proxy_startup_find(startup, "user"), *database = proxy_startup_find(startup, "database");
	struct strbuf options;
	strbuf_init(&options, (size_t)4 * WIRE_STARTUP_MAX);
	collect_options(url, startup, &options);
	/* libpq passes over values that are empty, and later ones go before earlier ones; only the first dbname may be
	 * a URI. A tool that names no database means the one named like its user: so the protocol says. */
	const char *const keys[] = {"dbname",	       "user",	     "dbname", "options", "application_name",
				    "client_encoding", "gssencmode", NULL};
	const char *const values[] = {url,
				      user,
				      database ? database : user,
				      options.data,
				      proxy_startup_find(startup, "application_name"),
				      proxy_startup_find(startup, "client_encoding"),
				      "disable",
				      NULL};
	PGconn *conn = options.overflow ? NULL : PQconnectStartParams(keys, values, 1);
	strbuf_release(&options);
	return conn;
}

static int64_t deadline_of(PGconn *conn)
{
	int64_t seconds = 0, timeout_ns = DEFAULT_TIMEOUT_NS;
	struct error ignored = ERROR_INIT;
	PQconninfoOption *options = PQconninfo(conn);
	for (const PQconninfoOption *option = options; option && option->keyword; option++) {
		if (strcmp(option->keyword, "connect_timeout") == 0 && option->val &&
		    num_parse_int(option->val, 1, 86400, &seconds, &ignored) == 0)
			timeout_ns = seconds * NS_PER_S;
	}
	PQconninfoFree(options);
	return clock_mono_ns() + timeout_ns;
}

static void set_refusal(struct proxy_refusal *refusal, const char *sqlstate, const char *message, size_t len)
{
	(void)snprintf(refusal->sqlstate, sizeof(refusal->sqlstate), "%s", sqlstate);
	(void)snprintf(refusal->message, sizeof(refusal->message), "%.*s", (int)(len < 500 ? len : 500), message);
}

/* A verbose message says "FATAL:  28P01: password …" and LOCATION lines behind; the last such code is the reason. */
static void read_refusal(const char *said, struct proxy_refusal *refusal)
{
	const char *last = strstr(said, "failed: ");
	last = last ? last + 8 : said;
	set_refusal(refusal, SQLSTATE_CANNOT_CONNECT, last, strcspn(last, "\n"));
	for (const char *p = strchr(said, ':'); p; p = strchr(p + 1, ':')) {
		const char *q = p + 1;
		q += strspn(q, " ");
		if (strlen(q) < 7 || q[5] != ':' || strspn(q, "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ") != 5)
			continue;
		char code[6];
		(void)snprintf(code, sizeof(code), "%.5s", q);
		const char *text = q + 6 + strspn(q + 6, " ");
		if (strpbrk(code, "0123456789")) /* FATAL has none, every code has one */
			set_refusal(refusal, code, text, strcspn(text, "\n"));
	}
}

static bool finish_connecting(PGconn *conn, const atomic_bool *stop, struct proxy_refusal *refusal)
{
	int64_t deadline_ns = deadline_of(conn);
	PostgresPollingStatusType step = PGRES_POLLING_WRITING;
	while (step != PGRES_POLLING_OK) {
		if (step == PGRES_POLLING_FAILED) {
			read_refusal(PQerrorMessage(conn), refusal);
			return false;
		}
		struct pollfd fd = {.fd = PQsocket(conn), .events = step == PGRES_POLLING_READING ? POLLIN : POLLOUT};
		if (poll(&fd, 1, LOOK_MS) > 0)
			step = PQconnectPoll(conn);
		if (step != PGRES_POLLING_OK && (clock_mono_ns() > deadline_ns || atomic_load(stop))) {
			static const char late[] = "the clone did not answer in time";
			set_refusal(refusal, SQLSTATE_CANNOT_CONNECT, late, strlen(late));
			return false;
		}
	}
	return true;
}

PGconn *proxy_upstream_connect(const char *url, struct span startup, const atomic_bool *stop,
			       struct proxy_refusal *refusal)
{
	PGconn *conn = begin_connecting(url, startup);
	if (!conn) {
		static const char large[] = "the startup packet is too large";
		set_refusal(refusal, "08P01", large, strlen(large));
		return NULL;
	}
	(void)PQsetErrorVerbosity(conn, PQERRORS_VERBOSE);
	bool connected = PQstatus(conn) != CONNECTION_BAD;
	if (!connected)
		read_refusal(PQerrorMessage(conn), refusal);
	else
		connected = finish_connecting(conn, stop, refusal);
	if (connected)
		return conn;
	PQfinish(conn);
	return NULL;
}

static void add_quoted(struct strbuf *out, const char *keyword, const char *value)
{
	strbuf_addf(out, "%s='", keyword);
	for (; *value; value++) {
		if (*value == '\'' || *value == '\\')
			strbuf_add_char(out, '\\');
		strbuf_add_char(out, *value);
	}
	strbuf_add_str(out, "' ");
}

char *proxy_upstream_url_of(const char *url, const char *database)
{
	struct strbuf out;
	strbuf_init(&out, CONNINFO_MAX);
	PQconninfoOption *options = PQconninfoParse(url, NULL);
	for (const PQconninfoOption *option = options; option && option->keyword; option++) {
		if (option->val && strcmp(option->keyword, "dbname") != 0)
			add_quoted(&out, option->keyword, option->val);
	}
	PQconninfoFree(options);
	add_quoted(&out, "dbname", database);
	return strbuf_detach(&out);
}

void proxy_upstream_put_welcome(PGconn *conn, uint32_t secret, struct wire_buffer *out)
{
	/* All that servers report of themselves up to release 18; libpq cannot list what it was told. */
	static const char *const reported[] = {"server_version",
					       "server_encoding",
					       "client_encoding",
					       "application_name",
					       "default_transaction_read_only",
					       "in_hot_standby",
					       "is_superuser",
					       "session_authorization",
					       "DateStyle",
					       "IntervalStyle",
					       "TimeZone",
					       "integer_datetimes",
					       "standard_conforming_strings",
					       "scram_iterations",
					       "search_path"};
	for (size_t i = 0; i < sizeof(reported) / sizeof(*reported); i++) {
		const char *value = PQparameterStatus(conn, reported[i]);
		if (!value)
			continue;
		size_t mark = wire_begin(out, 'S');
		wire_put_string(out, reported[i]);
		wire_put_string(out, value);
		wire_end(out, mark);
	}
	size_t mark = wire_begin(out, 'K');
	wire_put_u32(out, (uint32_t)PQbackendPID(conn));
	wire_put_u32(out, secret);
	wire_end(out, mark);
}

bool proxy_upstream_take_over(PGconn *conn, struct proxy_link *link)
{
	void *tls = PQsslInUse(conn) ? PQsslStruct(conn, "OpenSSL") : NULL;
	proxy_link_init(link, WIRE_FROM_SERVER, PQsocket(conn), tls);
	return tls || !PQsslInUse(conn);
}
