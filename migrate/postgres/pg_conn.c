/* Connections of our own to PostgreSQL: see pg_conn.h. */
#include "pg_conn.h"

#include "mem.h"

#define CONNECT_TIMEOUT_S "10"

static void drop_notice(void *context, const char *message)
{
	(void)context;
	(void)message; /* may quote values */
}

bool pg_conn_is_conninfo(const char *text)
{
	if (strncmp(text, "postgresql://", 13) == 0 || strncmp(text, "postgres://", 11) == 0)
		return true;
	if (text[0] == '/' || text[0] == '.' || !strchr(text, '='))
		return false;
	char *why = NULL;
	PQconninfoOption *options = PQconninfoParse(text, &why);
	PQfreemem(why);
	PQconninfoFree(options);
	return options != NULL;
}

char *pg_conn_place(PGconn *conn)
{
	const char *host = PQhost(conn), *port = PQport(conn);
	return mem_printf("%s:%s", host && *host ? host : "localhost", port && *port ? port : "5432");
}

/* libpq's words for a failed connection: several lines, the last one being the reason. */
static int cannot_connect(PGconn *conn, struct error *err)
{
	char *place = pg_conn_place(conn);
	const char *said = PQerrorMessage(conn);
	const char *reason = strstr(said, "failed: ");
	reason = reason ? reason + 8 : said;
	int rc = error_set(err, ERR_UNAVAILABLE, "%s: cannot connect: %.*s", place, (int)strcspn(reason, "\n"), reason);
	free(place);
	return rc;
}

int pg_conn_open(const char *url, const char *application, PGconn **out, struct error *err)
{
	/* libpq quotes the offending part in its message, which may be the password: so the message is not shown. */
	char *why = NULL;
	PQconninfoOption *options = PQconninfoParse(url, &why);
	PQfreemem(why);
	if (!options)
		return error_set(err, ERR_USAGE, "the target is no libpq URI (postgresql://user@host:port/database)");
	PQconninfoFree(options);
	const char *const keys[] = {"connect_timeout", "dbname",	  "application_name",
				    "client_encoding", "keepalives_idle", NULL};
	const char *const values[] = {CONNECT_TIMEOUT_S, url, application, "UTF8", "30", NULL};
	PGconn *conn = PQconnectdbParams(keys, values, 1);
	if (!conn)
		return error_set(err, ERR_INTERNAL, "out of memory");
	(void)PQsetNoticeProcessor(conn, drop_notice, NULL);
	if (PQstatus(conn) != CONNECTION_OK) {
		int rc = cannot_connect(conn, err);
		PQfinish(conn);
		return rc;
	}
	*out = conn;
	return 0;
}

int pg_conn_query(PGconn *conn, const char *sql, const char *what, PGresult **out, struct error *err)
{
	PGresult *result = PQexec(conn, sql);
	ExecStatusType status = PQresultStatus(result);
	if (status == PGRES_TUPLES_OK || status == PGRES_COMMAND_OK) {
		*out = result;
		return 0;
	}
	const char *sqlstate = PQresultErrorField(result, PG_DIAG_SQLSTATE);
	const char *message = PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY);
	char *place = pg_conn_place(conn);
	int rc;
	if (PQstatus(conn) != CONNECTION_OK)
		rc = error_set(err, ERR_UNAVAILABLE, "%s: %s: the connection was lost", place, what);
	else
		rc = error_set(err, ERR_INTERNAL, "%s: %s: %s (%s)", place, what, message ? message : "no answer",
			       sqlstate ? sqlstate : "no SQLSTATE");
	free(place);
	PQclear(result);
	return rc;
}

int pg_conn_run(PGconn *conn, const char *sql, const char *what, struct error *err)
{
	PGresult *result = NULL;
	int rc = pg_conn_query(conn, sql, what, &result, err);
	if (rc == 0)
		PQclear(result);
	return rc;
}

int pg_conn_value(PGconn *conn, const char *sql, const char *what, char **out, struct error *err)
{
	PGresult *result = NULL;
	*out = NULL;
	int rc = pg_conn_query(conn, sql, what, &result, err);
	if (rc)
		return rc;
	if (PQntuples(result) > 0 && !PQgetisnull(result, 0, 0))
		*out = mem_strdup(PQgetvalue(result, 0, 0));
	PQclear(result);
	return 0;
}

int64_t pg_conn_int(const PGresult *result, int row, int column, int64_t fallback)
{
	if (row >= PQntuples(result) || PQgetisnull(result, row, column))
		return fallback;
	const char *text = PQgetvalue(result, row, column);
	char *end = NULL;
	long long number = strtoll(text, &end, 10);
	return end != text && (*end == '\0' || *end == '.') ? number : fallback;
}
