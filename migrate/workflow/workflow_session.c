/* Our hold on a target: see workflow_session.h. */
#include "workflow_session.h"

#include "clock.h"
#include "logging.h"
#include "mem.h"
#include "pg_conn.h"
#include "pg_target.h"
#include "stop_flag.h"

#include <pthread.h>
#include <pwd.h>
#include <unistd.h>

#define LOCK_LOOK_NS (200 * NS_PER_MS) /* between attempts at the lock */
#define SQL_MAX	     ((size_t)64 * 1024)
#define APPLICATION  PG_CONN_APPLICATION " migrate"

struct workflow_session {
	PGconn *conn;
	pthread_mutex_t mutex; /* over conn */
	char *url;
	char *place;
	char *user;
	struct workflow_table table;
	struct workflow_history history;
};

static int check_target(const struct workflow_session_options *options, char **place, struct error *err)
{
	struct pg_target target;
	int rc = pg_target_probe(options->url, &target, err);
	if (rc)
		return rc;
	*place = mem_printf("%s:%s/%s", target.host, target.port, target.database ? target.database : "");
	if (!options->reads_only && !options->for_real && !target.marked)
		rc = error_set(err, ERR_USAGE,
			       "%s is not marked as a clone, and a migration changes it for good; give --for-real if "
			       "that is meant",
			       *place);
	pg_target_release(&target);
	return rc;
}

/* "shop (alice@build-7)": the database's user, and who that was here. */
static char *describe_user(PGconn *conn)
{
	char host[65] = "";
	char buffer[1024];
	struct passwd entry, *found = NULL;
	(void)gethostname(host, sizeof(host) - 1);
	(void)getpwuid_r(geteuid(), &entry, buffer, sizeof(buffer), &found);
	const char *user = PQuser(conn);
	return mem_printf("%s (%s@%s)", user ? user : "", found ? found->pw_name : "", host);
}

static char *lock_sql(const struct workflow_session *session, const char *format_before, const char *format_after)
{
	return mem_printf("%spg_catalog.hashtextextended('rehearse migrate %s', 0)%s", format_before,
			  session->table.text, format_after);
}

static int try_lock(struct workflow_session *session, bool *got, struct error *err)
{
	char *value = NULL;
	char *sql = lock_sql(session, "SELECT pg_catalog.pg_try_advisory_lock(", ")");
	int rc = pg_conn_value(session->conn, sql, "locking", &value, err);
	*got = rc == 0 && value && value[0] == 't';
	free(value);
	free(sql);
	return rc;
}

/* Who holds it: pg_locks shows a bigint key's halves as classid and objid, with objsubid 1 (manual, 54.12). */
static char *describe_holder(struct workflow_session *session)
{
	struct error ignored = ERROR_INIT;
	char *who = NULL;
	char *sql =
		lock_sql(session,
			 "SELECT pg_catalog.format('process %s, user %s, from %s, since %s', a.pid, a.usename,"
			 " coalesce(pg_catalog.host(a.client_addr), 'this machine'),"
			 " pg_catalog.to_char(a.backend_start, 'YYYY-MM-DD HH24:MI:SS TZ'))"
			 " FROM pg_catalog.pg_locks l JOIN pg_catalog.pg_stat_activity a ON a.pid = l.pid"
			 " WHERE l.locktype = 'advisory' AND l.granted AND l.objsubid = 1 AND l.database ="
			 " (SELECT d.oid FROM pg_catalog.pg_database d WHERE d.datname = pg_catalog.current_database())"
			 " AND ((l.classid::bigint << 32) | l.objid::bigint) = ",
			 " LIMIT 1");
	(void)pg_conn_value(session->conn, sql, "asking who runs", &who, &ignored);
	free(sql);
	return who;
}

/*
 * Asked for again and again, not waited for: a backend that waits inside of pg_advisory_lock() has a snapshot, and
 * CREATE INDEX CONCURRENTLY of the runner at work would wait for that one, each for the other.
 */
static int take_lock(struct workflow_session *session, const struct workflow_session_options *options,
		     struct error *err)
{
	int64_t until_ns = clock_mono_ns() + options->wait_ns;
	for (bool told = false;;) {
		bool got = false;
		int rc = try_lock(session, &got, err);
		if (rc || got)
			return rc;
		char *who = describe_holder(session);
		int64_t now_ns = clock_mono_ns();
		if (stop_flag_is_set(options->cancelled))
			rc = error_set(err, ERR_INTERRUPTED, "interrupted while another runner was at work");
		else if (now_ns >= until_ns)
			rc = error_set(err, ERR_UNAVAILABLE, "%s: another runner is at work (%s); --wait waits for it",
				       session->place, who ? who : "who it is cannot be seen");
		else if (!told)
			log_info("waiting for another runner (%s)", who ? who : "who it is cannot be seen");
		told = true;
		free(who);
		if (rc)
			return rc;
		int64_t next_ns = now_ns + LOCK_LOOK_NS;
		clock_sleep_until_ns(next_ns < until_ns ? next_ns : until_ns);
	}
}

int workflow_session_open(const struct workflow_session_options *options, struct workflow_session **out,
			  struct error *err)
{
	struct workflow_session *session = mem_zalloc(1, sizeof(*session));
	(void)pthread_mutex_init(&session->mutex, NULL);
	session->url = mem_strdup(options->url);
	int rc = workflow_table_parse(options->table, &session->table, err);
	if (rc == 0)
		rc = check_target(options, &session->place, err);
	if (rc == 0)
		rc = pg_conn_open(options->url, APPLICATION, &session->conn, err);
	if (rc == 0)
		rc = pg_conn_run(session->conn, "SET statement_timeout = 0; SET lock_timeout = '10s'", "our settings",
				 err);
	if (rc == 0) {
		struct error ignored = ERROR_INIT; /* newer than some servers, and not needed */
		(void)pg_conn_run(session->conn, "SET idle_session_timeout = 0", "our settings", &ignored);
		session->user = describe_user(session->conn);
		if (!options->reads_only)
			rc = take_lock(session, options, err);
	}
	if (rc == 0)
		rc = workflow_history_load(session->conn, &session->table, &session->history, err);
	if (rc == 0)
		*out = session;
	else
		workflow_session_close(session);
	return rc;
}

void workflow_session_close(struct workflow_session *session)
{
	if (!session)
		return;
	PQfinish(session->conn);
	(void)pthread_mutex_destroy(&session->mutex);
	workflow_history_release(&session->history);
	free(session->url);
	free(session->place);
	free(session->user);
	free(session);
}

const char *workflow_session_url(const struct workflow_session *session)
{
	return session->url;
}

const char *workflow_session_place(const struct workflow_session *session)
{
	return session->place;
}

const char *workflow_session_user(const struct workflow_session *session)
{
	return session->user;
}

const struct workflow_table *workflow_session_table(const struct workflow_session *session)
{
	return &session->table;
}

const struct workflow_history *workflow_session_history(const struct workflow_session *session)
{
	return &session->history;
}

int workflow_session_run(struct workflow_session *session, const char *sql, struct error *err)
{
	(void)pthread_mutex_lock(&session->mutex);
	int rc = pg_conn_run(session->conn, sql, session->table.text, err);
	(void)pthread_mutex_unlock(&session->mutex);
	if (rc == -ERR_INTERNAL) /* the server's no: not allowed to, no such schema */
		err->code = ERR_DATA;
	return rc ? -err->code : 0;
}

int workflow_session_check(struct workflow_session *session, struct error *err)
{
	int rc = workflow_session_run(session, "SELECT 1", err);
	if (rc)
		return error_context(err, "the lock against other runners is lost, nothing more is started");
	return 0;
}

int workflow_session_create_table(struct workflow_session *session, struct error *err)
{
	struct strbuf sql;
	if (session->history.exists)
		return 0;
	strbuf_init(&sql, SQL_MAX);
	workflow_history_sql_create(&session->table, &sql);
	int rc = workflow_session_run(session, sql.data, err);
	session->history.exists = rc == 0;
	strbuf_release(&sql);
	return rc;
}

void workflow_session_sql_put(struct workflow_session *session, const struct workflow_entry *entry, struct strbuf *out)
{
	(void)pthread_mutex_lock(&session->mutex);
	workflow_history_sql_put(session->conn, &session->table, entry, out);
	(void)pthread_mutex_unlock(&session->mutex);
}

void workflow_session_has_table(struct workflow_session *session)
{
	if (!session->history.exists) /* never written while others may read it: then it is there from the start */
		session->history.exists = true;
}

int workflow_session_put(struct workflow_session *session, const struct workflow_entry *entry, struct error *err)
{
	struct strbuf sql;
	strbuf_init(&sql, SQL_MAX);
	workflow_session_sql_put(session, entry, &sql);
	int rc = workflow_session_run(session, sql.data, err);
	strbuf_release(&sql);
	return rc;
}

int workflow_session_set_state(struct workflow_session *session, const char *id, enum workflow_state state,
			       int64_t statement, const char *reason, struct error *err)
{
	struct strbuf sql;
	strbuf_init(&sql, SQL_MAX);
	(void)pthread_mutex_lock(&session->mutex);
	workflow_history_sql_state(session->conn, &session->table, id, state, statement, reason, &sql);
	(void)pthread_mutex_unlock(&session->mutex);
	int rc = workflow_session_run(session, sql.data, err);
	strbuf_release(&sql);
	return rc;
}

int workflow_session_set_statement(struct workflow_session *session, const char *id, int64_t statement,
				   struct error *err)
{
	char *sql = mem_printf("UPDATE %s SET statement = %lld WHERE id = '%s'", session->table.quoted,
			       (long long)statement, id);
	int rc = workflow_session_run(session, sql, err);
	free(sql);
	return rc;
}

int workflow_session_set_duration(struct workflow_session *session, const char *id, int64_t duration_ms,
				  struct error *err)
{
	char *sql = mem_printf(
		"UPDATE %s SET duration_ms = %lld, applied_at = pg_catalog.clock_timestamp() WHERE id = '%s'",
		session->table.quoted, (long long)duration_ms, id);
	int rc = workflow_session_run(session, sql, err);
	free(sql);
	return rc;
}

int workflow_session_forget(struct workflow_session *session, const char *id, struct error *err)
{
	struct strbuf sql;
	strbuf_init(&sql, SQL_MAX);
	workflow_history_sql_forget(&session->table, id, &sql);
	int rc = workflow_session_run(session, sql.data, err);
	strbuf_release(&sql);
	return rc;
}

int workflow_session_state(struct workflow_session *session, const char *id, char **out, struct error *err)
{
	char *there = NULL;
	char *sql = mem_printf("SELECT pg_catalog.to_regclass('%s')", session->table.quoted);
	*out = NULL;
	(void)pthread_mutex_lock(&session->mutex);
	int rc = pg_conn_value(session->conn, sql, session->table.text, &there, err);
	free(sql);
	if (rc == 0 && there) {
		sql = mem_printf("SELECT state FROM %s WHERE id = '%s'", session->table.quoted, id);
		rc = pg_conn_value(session->conn, sql, session->table.text, out, err);
		free(sql);
	}
	(void)pthread_mutex_unlock(&session->mutex);
	free(there);
	return rc;
}

int workflow_session_invalid_indexes(struct workflow_session *session, char **out, struct error *err)
{
	static const char sql[] = "SELECT pg_catalog.string_agg(pg_catalog.quote_ident(n.nspname) || '.' ||"
				  " pg_catalog.quote_ident(c.relname), E'\n' ORDER BY c.oid)"
				  " FROM pg_catalog.pg_index i JOIN pg_catalog.pg_class c ON c.oid = i.indexrelid"
				  " JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace"
				  " WHERE NOT i.indisvalid AND c.relkind = 'i'";
	(void)pthread_mutex_lock(&session->mutex);
	int rc = pg_conn_value(session->conn, sql, "asking for invalid indexes", out, err);
	(void)pthread_mutex_unlock(&session->mutex);
	return rc;
}
