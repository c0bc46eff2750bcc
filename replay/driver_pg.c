/*
 * PostgreSQL over libpq's asynchronous interface. A request may take several round trips (close a stale statement,
 * prepare, execute); `stage` says which one is under way. Results come row by row, so that a huge one costs no memory.
 *
 * libpq 15 sources: https://www.postgresql.org/docs/15/libpq-async.html
 */
#include "driver.h"
#include "mem.h"
#include "num.h"
#include "sql_lexer.h"
#include "sqlstate.h"
#include "strbuf.h"

#include <libpq-fe.h>
#include <netdb.h>
#include <uthash.h>
#include <xxhash.h>

#define SQL_MAX ((size_t)64 * 1024 * 1024)

struct driver_target {
	PQconninfoOption *options; /* as the URL says; user, dbname and application_name come from each session */
	char *hostaddr;		   /* the host's address, NULL for a Unix socket or when the URL has one */
	bool check_results;
};

/* What a connection is doing. */
enum stage {
	STAGE_CONNECTING, /* PQconnectPoll */
	STAGE_IDLE,	  /* nothing was asked for */
	STAGE_CLOSING, /* DEALLOCATE of a statement whose name is needed for another text, or whose plan is outdated */
	STAGE_PREPARING, /* Parse of a named statement */
	STAGE_RUNNING	 /* the request itself */
};

/* A named prepared statement of the session. */
struct statement {
	uint64_t text_hash;
	bool prepared;
	bool stale; /* its plan is outdated: close and prepare it before the next use */
	UT_hash_handle hh;
	char name[];
};

struct driver_conn {
	PGconn *pg;
	enum stage stage;
	struct driver_result result;
	struct statement *statements;
	/* The request under way, kept for its later stages. */
	struct statement *statement;
	struct strbuf sql;
	struct strbuf values; /* the parameters' bytes, NUL-terminated one behind the other */
	const char **parameters;
	size_t parameter_capacity;
	uint32_t parameter_count;
	bool copy_out;
	bool check_results;
	char lost_reason[256];
};

static void ignore_notice(void *context, const PGresult *result)
{
	(void)context;
	(void)result;
}

static const char *option_value(const PQconninfoOption *options, const char *keyword)
{
	for (const PQconninfoOption *o = options; o->keyword; o++) {
		if (strcmp(o->keyword, keyword) == 0)
			return o->val && *o->val ? o->val : NULL;
	}
	return NULL;
}

/* The first address of a host name, as text; NULL when the host is a folder, a list, or not to be resolved. */
static int resolve(const char *host, char **out, struct error *err)
{
	*out = NULL;
	if (!host || host[0] == '/' || host[0] == '@' || strchr(host, ','))
		return 0;
	struct addrinfo hints = {.ai_socktype = SOCK_STREAM};
	struct addrinfo *found = NULL;
	int rc = getaddrinfo(host, NULL, &hints, &found);
	if (rc != 0)
		return error_set(err, ERR_UNAVAILABLE, "host %s: %s", host, gai_strerror(rc));
	char text[NI_MAXHOST];
	if (getnameinfo(found->ai_addr, found->ai_addrlen, text, sizeof(text), NULL, 0, NI_NUMERICHOST) == 0)
		*out = mem_strdup(text);
	freeaddrinfo(found);
	return 0;
}

static void pg_target_free(struct driver_target *target)
{
	if (!target)
		return;
	PQconninfoFree(target->options);
	free(target->hostaddr);
	free(target);
}

static int pg_target_open(const char *url, bool check_results, struct driver_target **out, struct error *err)
{
	char *why = NULL;
	PQconninfoOption *options = PQconninfoParse(url, &why);
	if (!options) {
		/* libpq's words may quote the URL, and the URL may hold a password. */
		PQfreemem(why);
		return error_set(err, ERR_USAGE, "the target's URL is not one that libpq can read");
	}
	struct driver_target *target = mem_zalloc(1, sizeof(*target));
	target->options = options;
	target->check_results = check_results;
	int rc = 0;
	if (!option_value(options, "hostaddr"))
		rc = resolve(option_value(options, "host"), &target->hostaddr, err);
	if (rc < 0) {
		pg_target_free(target);
		return rc;
	}
	*out = target;
	return 0;
}

#define PARAMETERS_MAX 64

static PGconn *start_connection(const struct driver_target *target, const struct driver_login *login)
{
	const char *keywords[PARAMETERS_MAX + 1];
	const char *values[PARAMETERS_MAX + 1];
	size_t n = 0;
	for (const PQconninfoOption *o = target->options; o->keyword && n < PARAMETERS_MAX - 4; o++) {
		if (!o->val || strcmp(o->keyword, "user") == 0 || strcmp(o->keyword, "dbname") == 0 ||
		    strcmp(o->keyword, "application_name") == 0)
			continue;
		keywords[n] = o->keyword;
		values[n++] = o->val;
	}
	const char *extra[][2] = {{"user", login->user},
				  {"dbname", login->database},
				  {"application_name", login->application},
				  {"hostaddr", target->hostaddr}};
	for (size_t i = 0; i < sizeof(extra) / sizeof(extra[0]); i++) {
		if (!extra[i][1] || !*extra[i][1])
			continue;
		keywords[n] = extra[i][0];
		values[n++] = extra[i][1];
	}
	keywords[n] = NULL;
	values[n] = NULL;
	/* expand_dbname 0: a recorded database name is a name, never a connection string. */
	return PQconnectStartParams(keywords, values, 0);
}

/*
 * A verbose message says "FATAL:  53300: sorry, …": the code is the five characters between two colons. Every code has
 * a digit, which "FATAL" has not.
 */
static uint32_t sqlstate_from_message(const char *message)
{
	for (const char *p = strchr(message, ':'); p; p = strchr(p + 1, ':')) {
		const char *q = p + 1;
		q += strspn(q, " ");
		char code[SQLSTATE_TEXT_MAX] = "";
		if (strlen(q) > 5 && q[5] == ':') {
			memcpy(code, q, 5);
			uint32_t packed = strpbrk(code, "0123456789") ? sqlstate_pack(code) : 0;
			if (packed)
				return packed;
		}
	}
	return 0;
}

static enum driver_step lose(struct driver_conn *conn)
{
	const char *message = conn->pg ? PQerrorMessage(conn->pg) : "out of memory";
	if (conn->result.sqlstate == 0) {
		uint32_t said = sqlstate_from_message(message);
		const char *otherwise =
			conn->stage == STAGE_CONNECTING ? SQLSTATE_CANNOT_CONNECT : SQLSTATE_CONNECTION_LOST;
		conn->result.sqlstate = said ? said : sqlstate_pack(otherwise);
	}
	if (!conn->lost_reason[0]) {
		(void)snprintf(conn->lost_reason, sizeof(conn->lost_reason), "%s", message);
		for (char *p = conn->lost_reason; *p; p++) {
			if ((unsigned char)*p < 0x20)
				*p = ' ';
		}
	}
	return DRIVER_LOST;
}

static enum driver_step poll_connection(struct driver_conn *conn)
{
	switch (PQconnectPoll(conn->pg)) {
	case PGRES_POLLING_READING:
		return DRIVER_WAIT_READ;
	case PGRES_POLLING_WRITING:
		return DRIVER_WAIT_WRITE;
	case PGRES_POLLING_OK:
		(void)PQsetnonblocking(conn->pg, 1);
		(void)PQsetErrorVerbosity(conn->pg, PQERRORS_DEFAULT);
		conn->stage = STAGE_IDLE;
		return DRIVER_DONE;
	default:
		return lose(conn);
	}
}

static enum driver_step pg_open(struct driver_target *target, const struct driver_login *login,
				struct driver_conn **out)
{
	struct driver_conn *conn = mem_zalloc(1, sizeof(*conn));
	strbuf_init(&conn->sql, SQL_MAX);
	strbuf_init(&conn->values, SQL_MAX);
	conn->stage = STAGE_CONNECTING;
	conn->check_results = target->check_results;
	conn->pg = start_connection(target, login);
	*out = conn;
	if (!conn->pg || PQstatus(conn->pg) == CONNECTION_BAD)
		return lose(conn);
	(void)PQsetErrorVerbosity(conn->pg, PQERRORS_VERBOSE);
	(void)PQsetNoticeReceiver(conn->pg, ignore_notice, NULL);
	return DRIVER_WAIT_WRITE;
}

static void forget_statements(struct driver_conn *conn)
{
	struct statement *s;
	struct statement *next;
	HASH_ITER (hh, conn->statements, s, next) {
		HASH_DEL(conn->statements, s);
		free(s);
	}
	conn->statement = NULL;
}

static struct statement *find_statement(struct driver_conn *conn, const char *name)
{
	struct statement *s;
	size_t len = strlen(name);
	HASH_FIND(hh, conn->statements, name, len, s);
	if (!s) {
		s = mem_zalloc(1, sizeof(*s) + len + 1);
		memcpy(s->name, name, len + 1);
		HASH_ADD_KEYPTR(hh, conn->statements, s->name, len, s);
	}
	return s;
}

/* After a send: what libpq still has to write, and then the answer. */
static enum driver_step flush(struct driver_conn *conn)
{
	int left = PQflush(conn->pg);
	if (left < 0)
		return lose(conn);
	return left > 0 ? DRIVER_WAIT_BOTH : DRIVER_WAIT_READ;
}

static enum driver_step start_running(struct driver_conn *conn, bool prepared, const char *name)
{
	int sent;
	conn->stage = STAGE_RUNNING;
	if (!prepared)
		sent = PQsendQuery(conn->pg, conn->sql.data);
	else if (*name)
		sent = PQsendQueryPrepared(conn->pg, name, (int)conn->parameter_count, conn->parameters, NULL, NULL, 0);
	else
		sent = PQsendQueryParams(conn->pg, conn->sql.data, (int)conn->parameter_count, NULL, conn->parameters,
					 NULL, NULL, 0);
	if (!sent)
		return lose(conn);
	(void)PQsetSingleRowMode(conn->pg);
	return flush(conn);
}

static enum driver_step start_preparing(struct driver_conn *conn)
{
	conn->stage = STAGE_PREPARING;
	if (!PQsendPrepare(conn->pg, conn->statement->name, conn->sql.data, 0, NULL))
		return lose(conn);
	return flush(conn);
}

/* libpq 15 has no Close message, so the statement goes the SQL way. */
static enum driver_step start_closing(struct driver_conn *conn)
{
	struct strbuf text;
	char *quoted = PQescapeIdentifier(conn->pg, conn->statement->name, strlen(conn->statement->name));
	if (!quoted)
		return lose(conn);
	strbuf_init(&text, SQL_MAX);
	strbuf_addf(&text, "DEALLOCATE %s", quoted);
	PQfreemem(quoted);
	conn->stage = STAGE_CLOSING;
	int sent = PQsendQuery(conn->pg, text.data);
	strbuf_release(&text);
	return sent ? flush(conn) : lose(conn);
}

static void keep_parameters(struct driver_conn *conn, const struct driver_request *request)
{
	strbuf_clear(&conn->values);
	while (conn->parameter_capacity < request->parameter_count) {
		conn->parameter_capacity = conn->parameter_capacity ? conn->parameter_capacity * 2 : 16;
		conn->parameters = mem_realloc(conn->parameters, conn->parameter_capacity, sizeof(*conn->parameters));
	}
	conn->parameter_count = request->parameter_count;
	/* The buffer may move while it grows: offsets first. An offset of 0 stands for NULL, so that none is in use. */
	strbuf_add_char(&conn->values, '\0');
	for (uint32_t i = 0; i < request->parameter_count; i++) {
		size_t offset = 0;
		if (request->parameters[i]) {
			offset = conn->values.len;
			strbuf_add(&conn->values, request->parameters[i], strlen(request->parameters[i]) + 1);
		}
		conn->parameters[i] = (const char *)offset;
	}
	for (uint32_t i = 0; i < request->parameter_count; i++) {
		size_t offset = (size_t)conn->parameters[i];
		conn->parameters[i] = offset ? conn->values.data + offset : NULL;
	}
}

static enum driver_step pg_send(struct driver_conn *conn, const struct driver_request *request)
{
	memset(&conn->result, 0, sizeof(conn->result));
	conn->copy_out = false;
	strbuf_clear(&conn->sql);
	strbuf_add(&conn->sql, request->sql, request->sql_len);
	conn->statement = NULL;
	if (!request->prepared)
		return start_running(conn, false, "");
	keep_parameters(conn, request);
	if (!*request->name)
		return start_running(conn, true, "");
	struct statement *s = conn->statement = find_statement(conn, request->name);
	uint64_t hash = XXH3_64bits(request->sql, request->sql_len);
	bool other_text = s->prepared && s->text_hash != hash;
	s->text_hash = hash;
	if (s->prepared && (s->stale || other_text) && PQtransactionStatus(conn->pg) != PQTRANS_INERROR)
		return start_closing(conn);
	return s->prepared ? start_running(conn, true, s->name) : start_preparing(conn);
}

/* What a statement did to the session's prepared statements. */
static void note_command(struct driver_conn *conn, const PGresult *result)
{
	const char *tag = PQcmdStatus((PGresult *)result);
	if (strcmp(tag, "DISCARD ALL") == 0 || strcmp(tag, "DEALLOCATE ALL") == 0) {
		forget_statements(conn);
	} else if (strcmp(tag, "DEALLOCATE") == 0 && conn->stage == STAGE_RUNNING) {
		/* The name is the statement's last token; quoted ones keep their case. */
		struct sql_lexer lexer;
		struct span name = {NULL, 0};
		sql_lexer_init(&lexer, SQL_POSTGRESQL, conn->sql.data, conn->sql.len);
		for (struct sql_token t = sql_lexer_next(&lexer); t.kind != SQL_TOKEN_END; t = sql_lexer_next(&lexer)) {
			if (t.kind == SQL_TOKEN_WORD)
				name = t.text;
			else if (t.kind == SQL_TOKEN_QUOTED_NAME)
				name = (struct span){t.text.p + 1, t.text.len - 2};
		}
		struct statement *s = NULL;
		if (name.p)
			HASH_FIND(hh, conn->statements, name.p, name.len, s);
		if (s)
			s->prepared = false;
	}
}

static void note_error(struct driver_conn *conn, const PGresult *result)
{
	const char *code = PQresultErrorField(result, PG_DIAG_SQLSTATE);
	if (conn->result.sqlstate == 0)
		conn->result.sqlstate = sqlstate_pack(code ? code : SQLSTATE_CONNECTION_LOST);
	/* "cached plan must not change result type": told by its place in the server, since messages are translated. */
	const char *function = PQresultErrorField(result, PG_DIAG_SOURCE_FUNCTION);
	if (code && strcmp(code, "0A000") == 0 && function && strcmp(function, "RevalidateCachedQuery") == 0) {
		conn->result.replan = true;
		if (conn->statement)
			conn->statement->stale = true;
	}
}

/* Rows add up, so that their order does not matter; a NULL differs from an empty value. */
static void digest_row(struct driver_conn *conn, const PGresult *row)
{
	uint64_t hash = 0;
	for (int i = 0; i < PQnfields(row); i++) {
		bool null = PQgetisnull(row, 0, i);
		hash = XXH3_64bits_withSeed(PQgetvalue(row, 0, i), null ? 0 : (size_t)PQgetlength(row, 0, i),
					    hash + (null ? 2 : 1));
	}
	conn->result.digest += hash;
}

static void take_result(struct driver_conn *conn, const PGresult *result)
{
	switch (PQresultStatus(result)) {
	case PGRES_COMMAND_OK:
	case PGRES_TUPLES_OK: {
		uint64_t rows = 0;
		size_t used;
		const char *count = PQcmdTuples((PGresult *)result);
		if (conn->stage == STAGE_RUNNING && num_scan_digits(count, strlen(count), &rows, &used))
			conn->result.rows += rows;
		note_command(conn, result);
		break;
	}
	case PGRES_SINGLE_TUPLE:
		if (conn->check_results)
			digest_row(conn, result);
		break;
	case PGRES_COPY_IN:
		/* The log has no data for it, so the statement ends with an error of the client's. */
		(void)PQputCopyEnd(conn->pg, "the data of COPY is not in the log");
		break;
	case PGRES_COPY_OUT:
	case PGRES_COPY_BOTH:
		conn->copy_out = true;
		break;
	case PGRES_FATAL_ERROR:
	case PGRES_BAD_RESPONSE:
		note_error(conn, result);
		break;
	default:
		break; /* an empty query, a notice: nothing to note */
	}
}

/* Drains COPY … TO STDOUT. True when its end was reached. */
static bool drain_copy(struct driver_conn *conn)
{
	char *row;
	int len;
	while ((len = PQgetCopyData(conn->pg, &row, 1)) > 0)
		PQfreemem(row);
	if (len == 0)
		return false;
	conn->copy_out = false;
	return true;
}

/* The stage's answer is complete: the next stage, or the end of the request. */
static enum driver_step end_stage(struct driver_conn *conn)
{
	enum stage ended = conn->stage;
	struct statement *s = conn->statement;
	bool failed = conn->result.sqlstate != 0;
	if (PQstatus(conn->pg) == CONNECTION_BAD)
		return lose(conn);
	conn->stage = STAGE_IDLE;
	if (ended == STAGE_CLOSING && s) {
		/* A statement that was gone already is as good as closed, and our DEALLOCATE is no item's error. */
		conn->result.sqlstate = 0;
		s->prepared = false;
		s->stale = false;
		return start_preparing(conn);
	} else if (ended == STAGE_PREPARING && s && !failed) {
		s->prepared = true;
		return start_running(conn, true, s->name);
	}
	conn->statement = NULL;
	return DRIVER_DONE;
}

static void drop_notifications(struct driver_conn *conn)
{
	PGnotify *notify;
	while ((notify = PQnotifies(conn->pg)))
		PQfreemem(notify);
}

static enum driver_step pg_advance(struct driver_conn *conn)
{
	if (conn->stage == STAGE_CONNECTING)
		return poll_connection(conn);
	if (!PQconsumeInput(conn->pg))
		return lose(conn);
	int left = PQflush(conn->pg);
	if (left < 0)
		return lose(conn);
	for (;;) {
		if (conn->copy_out && !drain_copy(conn))
			break;
		if (PQisBusy(conn->pg))
			break;
		PGresult *result = PQgetResult(conn->pg);
		if (!result) {
			drop_notifications(conn);
			return end_stage(conn);
		}
		take_result(conn, result);
		PQclear(result);
	}
	left = PQflush(conn->pg);
	if (left < 0)
		return lose(conn);
	return left > 0 ? DRIVER_WAIT_BOTH : DRIVER_WAIT_READ;
}

static enum driver_step pg_idle_input(struct driver_conn *conn)
{
	if (!PQconsumeInput(conn->pg))
		return lose(conn);
	drop_notifications(conn);
	/* A server that ends an idle connection says why before it closes: the error waits in libpq. */
	if (PQstatus(conn->pg) == CONNECTION_BAD)
		return lose(conn);
	return DRIVER_DONE;
}

static int pg_socket(const struct driver_conn *conn)
{
	return conn->pg ? PQsocket(conn->pg) : -1;
}

static const struct driver_result *pg_result(const struct driver_conn *conn)
{
	return &conn->result;
}

static enum driver_transaction pg_transaction(const struct driver_conn *conn)
{
	switch (PQtransactionStatus(conn->pg)) {
	case PQTRANS_INTRANS:
		return DRIVER_TRANSACTION_OPEN;
	case PQTRANS_INERROR:
		return DRIVER_TRANSACTION_FAILED;
	default:
		return DRIVER_TRANSACTION_NONE;
	}
}

static const char *pg_lost_reason(const struct driver_conn *conn)
{
	return conn->lost_reason;
}

static int32_t pg_backend_pid(const struct driver_conn *conn)
{
	return conn->pg ? PQbackendPID(conn->pg) : 0;
}

static void pg_close(struct driver_conn *conn)
{
	if (!conn)
		return;
	forget_statements(conn);
	PQfinish(conn->pg);
	strbuf_release(&conn->sql);
	strbuf_release(&conn->values);
	free(conn->parameters);
	free(conn);
}

static struct driver_cancel *pg_cancel_prepare(const struct driver_conn *conn)
{
	return (struct driver_cancel *)(conn->pg ? PQgetCancel(conn->pg) : NULL);
}

static void pg_cancel_free(struct driver_cancel *cancel)
{
	PQfreeCancel((PGcancel *)cancel);
}

static void pg_cancel_send(struct driver_cancel *cancel)
{
	char why[256];
	(void)PQcancel((PGcancel *)cancel, why, sizeof(why));
	pg_cancel_free(cancel);
}

const struct driver driver_pg = {
	.name = "postgresql",
	.caps = {.cancel = true, .prepared_statements = true},
	.target_open = pg_target_open,
	.target_free = pg_target_free,
	.open = pg_open,
	.send = pg_send,
	.advance = pg_advance,
	.socket = pg_socket,
	.result = pg_result,
	.transaction = pg_transaction,
	.lost_reason = pg_lost_reason,
	.backend_pid = pg_backend_pid,
	.idle_input = pg_idle_input,
	.close = pg_close,
	.cancel_prepare = pg_cancel_prepare,
	.cancel_send = pg_cancel_send,
	.cancel_free = pg_cancel_free,
};
