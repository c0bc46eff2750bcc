/* Connections of the checks: see check_server.h. */
#include "check_server.h"

#include "clock.h"
#include "stop_flag.h"

#include <errno.h>
#include <poll.h>

#define LOOK_MS		   50 /* how often deadline and interrupt are looked at */
#define ROWS_BETWEEN_LOOKS 1024

/*
 * One text for one value, and no name that is looked up where the user can have put another: as pg_dump's session. With
 * row_security off a table whose rows would be hidden from us is an error, and never compared in part.
 */
static const char settings[] =
	"SET search_path = ''; SET DateStyle = 'ISO, YMD'; SET IntervalStyle = 'postgres'; SET TimeZone = 'UTC';"
	" SET extra_float_digits = 3; SET bytea_output = 'hex'; SET xmloption = 'content'; SET row_security = off;"
	" SET statement_timeout = 0; SET lock_timeout = '30s'; SET idle_in_transaction_session_timeout = 0;"
	" SET default_transaction_read_only = on; SET jit = off";

int check_server_open(const char *url, struct check_server *server, struct error *err)
{
	memset(server, 0, sizeof(*server));
	int rc = pg_conn_open(url, PG_CONN_APPLICATION " checks", &server->conn, err);
	if (rc == 0)
		rc = pg_conn_run(server->conn, settings, "settings for the checks", err);
	if (rc == 0) {
		const char *encoding = PQparameterStatus(server->conn, "server_encoding");
		server->version = PQserverVersion(server->conn);
		server->byte_order = encoding && (strcmp(encoding, "UTF8") == 0 || strcmp(encoding, "SQL_ASCII") == 0);
	}
	if (rc < 0)
		check_server_close(server);
	return rc;
}

void check_server_close(struct check_server *server)
{
	PQfinish(server->conn);
	server->conn = NULL;
}

static void cancel_query(PGconn *conn)
{
	char ignored[256];
	PGcancel *cancel = PQgetCancel(conn);
	if (cancel)
		(void)PQcancel(cancel, ignored, (int)sizeof(ignored));
	PQfreeCancel(cancel);
}

static int lost(PGconn *conn, struct error *err)
{
	char *place = pg_conn_place(conn);
	int rc = error_set(err, ERR_UNAVAILABLE, "%s: the connection was lost during the checks", place);
	free(place);
	return rc;
}

/* Whether to go on waiting; CHECK_ANSWERED when there is time left. */
static enum check_answer look(const struct check_limits *limits, struct error *err)
{
	if (stop_flag_is_set(limits->cancelled)) {
		(void)error_set(err, ERR_INTERRUPTED, "interrupted");
		return CHECK_ENDED;
	}
	return limits->deadline_ns && clock_mono_ns() >= limits->deadline_ns ? CHECK_OUT_OF_TIME : CHECK_ANSWERED;
}

/* Waits until the server has something to say, or LOOK_MS have gone. */
static bool wait_for_input(PGconn *conn)
{
	struct pollfd fd = {.fd = PQsocket(conn), .events = POLLIN};
	int n = poll(&fd, 1, LOOK_MS);
	return n >= 0 || errno == EINTR ? PQconsumeInput(conn) == 1 : false;
}

/* What a failed result means, once it is there. */
static enum check_answer judge_result(PGconn *conn, const PGresult *result, char why[100], struct error *err)
{
	ExecStatusType status = PQresultStatus(result);
	if (status == PGRES_TUPLES_OK || status == PGRES_COMMAND_OK || status == PGRES_COPY_OUT)
		return CHECK_ANSWERED;
	const char *sqlstate = PQresultErrorField(result, PG_DIAG_SQLSTATE);
	if (PQstatus(conn) != CONNECTION_OK || !sqlstate) {
		(void)lost(conn, err);
		return CHECK_ENDED;
	}
	bool denied = strcmp(sqlstate, "42501") == 0;
	if (why)
		(void)snprintf(why, 100, denied ? "permission denied (%s)" : "the server refused the question (%s)",
			       sqlstate);
	return denied ? CHECK_DENIED : CHECK_REFUSED;
}

static void drain(PGconn *conn)
{
	for (PGresult *rest; (rest = PQgetResult(conn));) {
		bool copying = PQresultStatus(rest) == PGRES_COPY_OUT;
		PQclear(rest);
		char *line;
		while (copying && PQgetCopyData(conn, &line, 0) > 0)
			PQfreemem(line);
	}
}

/* One answer is in, or the time is up. */
static enum check_answer await(struct check_server *server, const struct check_limits *limits, PGresult **result,
			       char why[100], struct error *err)
{
	enum check_answer answer = CHECK_ANSWERED;
	while (answer == CHECK_ANSWERED && PQisBusy(server->conn)) {
		if (!wait_for_input(server->conn)) {
			(void)lost(server->conn, err);
			return CHECK_ENDED;
		}
		answer = look(limits, err);
	}
	if (answer != CHECK_ANSWERED) {
		cancel_query(server->conn);
		drain(server->conn);
		if (why)
			(void)snprintf(why, 100, "%s", CHECK_NO_TIME);
		return answer;
	}
	*result = PQgetResult(server->conn);
	answer = judge_result(server->conn, *result, why, err);
	if (PQresultStatus(*result) != PGRES_COPY_OUT)
		drain(server->conn);
	return answer;
}

enum check_answer check_server_ask(struct check_server *const *servers, const char *const *queries, int count,
				   const struct check_limits *limits, PGresult **results, char why[100],
				   struct error *err)
{
	enum check_answer worst = CHECK_ANSWERED;
	bool sent[2] = {false, false};
	for (int i = 0; i < count; i++) {
		results[i] = NULL;
		sent[i] = PQsendQuery(servers[i]->conn, queries[i]) == 1;
		if (!sent[i]) {
			(void)lost(servers[i]->conn, err);
			worst = CHECK_ENDED;
		}
	}
	for (int i = 0; i < count; i++) {
		char reason[100] = "";
		struct error later = ERROR_INIT;
		if (!sent[i])
			continue;
		enum check_answer answer =
			await(servers[i], limits, &results[i], reason, worst == CHECK_ENDED ? &later : err);
		if (answer > worst) {
			worst = answer;
			if (why)
				(void)snprintf(why, 100, "%s", reason);
		}
	}
	return worst;
}

enum check_answer check_stream_open(struct check_stream *stream, struct check_server *server, const char *query,
				    const struct check_limits *limits, char why[100], struct error *err)
{
	PGresult *result = NULL;
	memset(stream, 0, sizeof(*stream));
	stream->server = server;
	stream->limits = limits;
	enum check_answer answer = check_server_ask(&server, &query, 1, limits, &result, why, err);
	PQclear(result);
	if (answer != CHECK_ANSWERED)
		stream->server = NULL; /* nothing to close */
	return answer;
}

/* COPY's text format (PostgreSQL manual, COPY, "Text Format"): \N is NULL, \b \f \n \r \t \v \\ stand for a byte. */
static struct span unescape(char *text, size_t len)
{
	static const char from[] = "bfnrtv";
	static const char to[] = "\b\f\n\r\t\v";
	if (len == 2 && text[0] == '\\' && text[1] == 'N')
		return (struct span){NULL, 0};
	size_t n = 0;
	for (size_t i = 0; i < len; i++) {
		if (text[i] == '\\' && i + 1 < len) {
			i++;
			const char *at = text[i] ? strchr(from, text[i]) : NULL;
			text[n++] = at ? to[at - from] : text[i];
		} else {
			text[n++] = text[i];
		}
	}
	return (struct span){text, n};
}

static void split_line(struct check_stream *stream, size_t len)
{
	char *p = stream->line, *end = stream->line + len;
	stream->count = 0;
	if (len && end[-1] == '\n')
		end--;
	while (stream->count < CHECK_FIELDS_MAX) {
		char *tab = memchr(p, '\t', (size_t)(end - p));
		char *stop = tab ? tab : end;
		stream->fields[stream->count++] = unescape(p, (size_t)(stop - p));
		if (!tab)
			return;
		p = tab + 1;
	}
}

/* The stream's last result says whether the rows were all of them. */
static enum check_answer end_stream(struct check_stream *stream, char why[100], struct error *err)
{
	PGconn *conn = stream->server->conn;
	PGresult *result = PQgetResult(conn);
	enum check_answer answer = judge_result(conn, result, why, err);
	PQclear(result);
	drain(conn);
	stream->ended = true;
	stream->server = NULL;
	return answer;
}

enum check_answer check_stream_next(struct check_stream *stream, char why[100], struct error *err)
{
	PGconn *conn = stream->server->conn;
	PQfreemem(stream->line);
	stream->line = NULL;
	for (;;) {
		int len = PQgetCopyData(conn, &stream->line, 1);
		if (len < 0)
			return end_stream(stream, why, err);
		if (len > 0)
			split_line(stream, (size_t)len);
		if (len > 0 && ++stream->rows % ROWS_BETWEEN_LOOKS != 0)
			return CHECK_ANSWERED;
		enum check_answer answer = look(stream->limits, err);
		if (answer == CHECK_OUT_OF_TIME && why)
			(void)snprintf(why, 100, "%s", CHECK_NO_TIME);
		if (answer != CHECK_ANSWERED || len > 0)
			return answer;
		if (!wait_for_input(conn)) {
			(void)lost(conn, err);
			return CHECK_ENDED;
		}
	}
}

void check_stream_close(struct check_stream *stream)
{
	PQfreemem(stream->line);
	stream->line = NULL;
	if (!stream->server)
		return;
	PGconn *conn = stream->server->conn;
	cancel_query(conn);
	for (char *line; PQgetCopyData(conn, &line, 0) > 0;)
		PQfreemem(line);
	drain(conn);
	stream->server = NULL;
}

void check_add_name(struct strbuf *out, const char *name)
{
	strbuf_add_char(out, '"');
	for (const char *p = name; *p; p++) {
		if (*p == '"')
			strbuf_add_char(out, '"');
		strbuf_add_char(out, *p);
	}
	strbuf_add_char(out, '"');
}
