/* The health sampler's connection: see health_link.h. */
#include "health_link.h"

#include "clock.h"
#include "health_watch.h"
#include "pg_conn.h"

#include <poll.h>
#include <string.h>

#define STATEMENT_TIMEOUT "500ms"
#define PATIENCE_NS	  (2 * NS_PER_S) /* for an answer, the server's own timeout included */
#define STOP_PATIENCE_NS  (NS_PER_S / 2)
#define TIMEOUTS_MAX	  3

void health_link_hurry(struct health_link *link, bool only_seldom)
{
	for (int i = 0; i < HEALTH_GROUPS; i++) {
		if (!only_seldom || link->groups[i].query.may_be_slow)
			link->groups[i].pace.due_ns = INT64_MIN;
	}
}

void health_link_init(struct health_link *link, const char *url, double time_scale, atomic_bool *stop)
{
	memset(link, 0, sizeof(*link));
	link->url = url;
	link->time_scale = time_scale;
	link->stop = stop;
	health_link_hurry(link, false); /* the run's time is negative at first */
}

void health_link_release(struct health_link *link)
{
	if (link->conn)
		PQfinish(link->conn);
	link->conn = NULL;
}

/* What the session is to be like: never in anybody's way, and its names are qualified. */
static int set_up_session(PGconn *conn, int version, struct error *err)
{
	static const char what[] = "health watch";
	int rc = pg_conn_run(conn,
			     "SET statement_timeout = '" STATEMENT_TIMEOUT
			     "'; SET lock_timeout = '100ms'; SET jit = off;"
			     " SET default_transaction_read_only = on; SET max_parallel_workers_per_gather = 0;"
			     " SET search_path = pg_catalog",
			     what, err);
	if (rc == 0 && version >= 140000)
		rc = pg_conn_run(conn, "SET idle_session_timeout = 0", what, err);
	if (rc == 0 && version >= 150000) /* each figure is looked at once: no copies for consistency's sake */
		rc = pg_conn_run(conn, "SET stats_fetch_consistency = 'none'", what, err);
	return rc;
}

/* *all: whether we see everybody's sessions. */
static int learn_session(struct health_link *link, bool *all, struct error *err)
{
	PGresult *result = NULL;
	int rc = pg_conn_query(link->conn,
			       "SELECT pg_catalog.pg_has_role(current_user, 'pg_read_all_stats', 'USAGE')::int,"
			       " (extract(epoch FROM backend_start) * 1000000)::bigint"
			       " FROM pg_catalog.pg_stat_get_activity(pg_catalog.pg_backend_pid())",
			       "health watch", &result, err);
	if (rc < 0)
		return rc;
	*all = pg_conn_int(result, 0, 0, 0) == 1;
	link->backend_start_wall_ns = pg_conn_int(result, 0, 1, 0) * 1000;
	link->backend_pid = PQbackendPID(link->conn);
	PQclear(result);
	return 0;
}

static void turn_off(struct health_link_group *group, const char *reason)
{
	group->off = true;
	(void)snprintf(group->reason, sizeof(group->reason), "%s", reason);
}

/* A statement that cannot be prepared is not known to this server: that group is off, the others are not. */
static void prepare_group(struct health_link *link, struct health_link_group *group, enum health_group which, bool all)
{
	group->query = health_query_for(which, link->version);
	group->pace.interval_ns = (int64_t)((double)group->query.interval_ns * link->time_scale);
	if (group->query.needs_stats_role && !all)
		turn_off(group, "the role is no member of pg_read_all_stats (pg_monitor)");
	if (group->off)
		return;
	PGresult *result = PQprepare(link->conn, group->query.name, group->query.sql, 0, NULL);
	if (PQresultStatus(result) != PGRES_COMMAND_OK && PQstatus(link->conn) == CONNECTION_OK)
		turn_off(group, "this version of the server does not know the question");
	PQclear(result);
}

int health_link_open(struct health_link *link, struct error *err)
{
	bool all = false;
	health_link_release(link);
	int rc = pg_conn_open(link->url, HEALTH_WATCH_APPLICATION, &link->conn, err);
	if (rc < 0)
		return rc;
	link->version = PQserverVersion(link->conn);
	rc = set_up_session(link->conn, link->version, err);
	if (rc == 0)
		rc = learn_session(link, &all, err);
	for (int i = 0; rc == 0 && i < HEALTH_GROUPS; i++)
		prepare_group(link, &link->groups[i], (enum health_group)i, all);
	if (rc < 0)
		health_link_release(link);
	return rc;
}

/* The last result of what was sent, NULL when the connection failed or nothing came in time: then it is closed. */
static PGresult *await_result(struct health_link *link)
{
	PGconn *conn = link->conn;
	PGresult *last = NULL;
	int64_t deadline_ns = clock_mono_ns() + PATIENCE_NS;
	for (;;) {
		while (PQisBusy(conn)) {
			struct pollfd fd = {.fd = PQsocket(conn), .events = POLLIN};
			(void)poll(&fd, 1, 100);
			int64_t now_ns = clock_mono_ns();
			if (atomic_load(link->stop) && deadline_ns > now_ns + STOP_PATIENCE_NS)
				deadline_ns = now_ns + STOP_PATIENCE_NS;
			if (!PQconsumeInput(conn) || now_ns > deadline_ns)
				goto lost;
		}
		PGresult *next = PQgetResult(conn);
		if (!next)
			break;
		PQclear(last);
		last = next;
	}
	if (PQstatus(conn) == CONNECTION_OK && last)
		return last;
lost:
	PQclear(last);
	health_link_release(link);
	return NULL;
}

/* Why there is no answer, and whether it makes sense to ask again. */
static void refuse(struct health_link_group *group, const char *sqlstate)
{
	size_t size = sizeof(group->reason);
	if (strcmp(sqlstate, "57014") == 0) {
		group->off = ++group->timeouts >= TIMEOUTS_MAX;
		(void)snprintf(group->reason, size, "the answer takes longer than " STATEMENT_TIMEOUT "%s",
			       group->off ? ", three times in a row: given up" : "");
		return;
	}
	group->timeouts = 0;
	group->off = strncmp(sqlstate, "42", 2) == 0 || strncmp(sqlstate, "0A", 2) == 0;
	if (strcmp(sqlstate, "42501") == 0)
		(void)snprintf(group->reason, size, "the role may not ask for it (42501)");
	else if (strcmp(sqlstate, "55000") == 0)
		(void)snprintf(group->reason, size, "not to be had in the server's state: in recovery, say (55000)");
	else if (strcmp(sqlstate, "55P03") == 0)
		(void)snprintf(group->reason, size, "the catalog was locked (55P03)");
	else
		(void)snprintf(group->reason, size, "the server refuses the question (%.5s)", sqlstate);
}

enum health_answer health_link_ask(struct health_link *link, enum health_group which, int64_t now_ns, PGresult **result)
{
	struct health_link_group *group = &link->groups[which];
	if (!link->conn)
		return HEALTH_LOST;
	if (group->off)
		return HEALTH_UNKNOWN;
	if (!health_pace_is_due(&group->pace, now_ns))
		return HEALTH_NOT_DUE;
	int64_t sent_ns = clock_mono_ns();
	PGresult *got = NULL;
	if (PQsendQueryPrepared(link->conn, group->query.name, 0, NULL, NULL, NULL, 0))
		got = await_result(link);
	else
		health_link_release(link);
	if (!got)
		return HEALTH_LOST;
	health_pace_done(&group->pace, now_ns, group->query.may_be_slow ? clock_mono_ns() - sent_ns : 0);
	if (PQresultStatus(got) == PGRES_TUPLES_OK) {
		group->timeouts = 0;
		*result = got;
		return HEALTH_ANSWERED;
	}
	const char *sqlstate = PQresultErrorField(got, PG_DIAG_SQLSTATE);
	refuse(group, sqlstate ? sqlstate : "?");
	PQclear(got);
	return HEALTH_UNKNOWN;
}
