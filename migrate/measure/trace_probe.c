/* The connection that looks at a traced backend: see trace_probe.h. */
#include "trace_probe.h"

#include "clock.h"

#define DEFAULT_INTERVAL_NS (10 * NS_PER_MS)
#define SAMPLE		    "rehearse_own_locks"
#define WAL_POSITION	    "rehearse_wal_position"

static int prepare(struct trace_probe *probe, const char *name, const char *sql, struct error *err)
{
	PGresult *prepared = PQprepare(probe->conn, name, sql, 0, NULL);
	int rc = 0;
	if (PQresultStatus(prepared) != PGRES_COMMAND_OK)
		rc = error_set(err, ERR_DATA, "the server cannot tell the migration's locks: %s",
			       PQresultErrorMessage(prepared));
	PQclear(prepared);
	return rc;
}

int trace_probe_open(struct trace_probe *probe, const char *url, int32_t pid, int64_t interval_ns, struct error *err)
{
	memset(probe, 0, sizeof(*probe));
	own_locks_init(&probe->locks);
	probe->pid = pid;
	probe->interval_ns = interval_ns > 0 ? interval_ns : DEFAULT_INTERVAL_NS;
	int rc = pg_conn_open(url, PG_CONN_APPLICATION " migration watch", &probe->conn, err);
	if (rc == 0)
		rc = pg_conn_run(probe->conn, "SET statement_timeout = 0; SET lock_timeout = '50ms'; SET jit = off",
				 "migration watch", err);
	if (rc == 0)
		rc = prepare(probe, SAMPLE, own_locks_query(PQserverVersion(probe->conn)), err);
	if (rc == 0)
		rc = prepare(probe, WAL_POSITION, "SELECT pg_catalog.pg_current_wal_insert_lsn() - '0/0'", err);
	PGresult *result = NULL;
	if (rc == 0)
		rc = pg_conn_query(probe->conn,
				   "SELECT oid FROM pg_catalog.pg_database WHERE datname = current_database()",
				   "reading the database's OID", &result, err);
	if (rc == 0)
		probe->database_oid = (uint32_t)pg_conn_int(result, 0, 0, 0);
	PQclear(result);
	return rc;
}

void trace_probe_release(struct trace_probe *probe)
{
	PQfinish(probe->conn);
	own_locks_release(&probe->locks);
	memset(probe, 0, sizeof(*probe));
}

void trace_probe_begin(struct trace_probe *probe, int64_t start_ns, int64_t first_ns, int64_t eager_until_ns)
{
	own_locks_begin(&probe->locks, start_ns);
	probe->next_sample_ns = first_ns;
	probe->eager_until_ns = eager_until_ns;
	probe->stale = true; /* what is still under way was asked before the start */
	probe->running = true;
}

void trace_probe_end(struct trace_probe *probe)
{
	probe->running = false;
	probe->stale = true;
}

/* pid and database as the parameters of own_locks_query(). */
struct sample_values {
	char pid[16];
	char database[16];
};

static void fill_values(const struct trace_probe *probe, struct sample_values *text, const char *values[2])
{
	(void)snprintf(text->pid, sizeof(text->pid), "%d", (int)probe->pid);
	(void)snprintf(text->database, sizeof(text->database), "%u", (unsigned)probe->database_oid);
	values[0] = text->pid;
	values[1] = text->database;
}

static void send_sample(struct trace_probe *probe, int64_t now_ns)
{
	struct sample_values text;
	const char *values[2];
	fill_values(probe, &text, values);
	probe->sample_sent_ns = now_ns;
	probe->next_sample_ns += probe->interval_ns;
	if (now_ns < probe->eager_until_ns)
		probe->next_sample_ns = now_ns;
	else if (probe->next_sample_ns < now_ns)
		probe->next_sample_ns = now_ns + probe->interval_ns;
	probe->stale = false;
	probe->busy = PQsendQueryPrepared(probe->conn, SAMPLE, 2, values, NULL, NULL, 0) == 1;
	probe->lost = !probe->busy;
}

static void take_sample(struct trace_probe *probe)
{
	PGresult *result;
	while ((result = PQgetResult(probe->conn))) {
		if (!probe->stale && PQresultStatus(result) == PGRES_TUPLES_OK)
			own_locks_sample(&probe->locks, result, probe->sample_sent_ns);
		PQclear(result);
	}
	probe->busy = false;
}

int64_t trace_probe_step(struct trace_probe *probe, int64_t now_ns)
{
	if (probe->busy) {
		if (!PQconsumeInput(probe->conn))
			probe->lost = true;
		if (probe->lost || !PQisBusy(probe->conn))
			take_sample(probe);
	}
	if (!probe->running || probe->lost)
		return INT64_MAX;
	if (!probe->busy && now_ns >= probe->next_sample_ns)
		send_sample(probe, now_ns);
	return probe->busy ? INT64_MAX : probe->next_sample_ns;
}

int trace_probe_socket(const struct trace_probe *probe)
{
	return probe->busy ? PQsocket(probe->conn) : -1;
}

bool trace_probe_quiet(struct trace_probe *probe)
{
	if (probe->busy)
		take_sample(probe);
	if (PQstatus(probe->conn) != CONNECTION_OK)
		probe->lost = true;
	return !probe->lost;
}

PGresult *trace_probe_locks_now(struct trace_probe *probe)
{
	struct sample_values text;
	const char *values[2];
	if (!trace_probe_quiet(probe))
		return NULL;
	fill_values(probe, &text, values);
	PGresult *result = PQexecPrepared(probe->conn, SAMPLE, 2, values, NULL, NULL, 0);
	if (PQresultStatus(result) == PGRES_TUPLES_OK)
		return result;
	PQclear(result);
	return NULL;
}

int64_t trace_probe_wal_position(struct trace_probe *probe)
{
	if (!trace_probe_quiet(probe))
		return -1;
	PGresult *result = PQexecPrepared(probe->conn, WAL_POSITION, 0, NULL, NULL, NULL, 0);
	int64_t position = PQresultStatus(result) == PGRES_TUPLES_OK ? pg_conn_int(result, 0, 0, -1) : -1;
	PQclear(result);
	return position;
}
