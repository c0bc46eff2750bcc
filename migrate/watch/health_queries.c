/* What a server is asked about its health: see health_queries.h. */
#include "health_queries.h"

#include "clock.h"

/*
 * Connections of our own, but for the migration's: they are counted apart, and their snapshots, which last for the
 * length of a sample, are nobody's problem.
 */
#define OWN "coalesce(application_name = 'rehearse' OR application_name LIKE 'rehearse %watch', false)"

static const char activity_sql[] =
	"WITH a AS MATERIALIZED (SELECT state, backend_type, wait_event_type, wait_event, xact_start, backend_xid,"
	" backend_xmin, " OWN " AS own"
	" FROM pg_catalog.pg_stat_get_activity(NULL) WHERE pid <> pg_catalog.pg_backend_pid()),"
	" c AS MATERIALIZED (SELECT * FROM a WHERE NOT own AND backend_type IN ('client backend', 'parallel worker'))"
	" SELECT 'sessions.total', NULL, count(*) FROM c"
	" UNION ALL SELECT 'sessions.active', NULL, count(*) FROM c WHERE state = 'active'"
	" UNION ALL SELECT 'sessions.waiting', NULL, count(*) FROM c WHERE state = 'active' AND wait_event_type <> "
	"'Client'"
	" UNION ALL SELECT 'sessions.idle_in_transaction', NULL, count(*) FROM c WHERE state LIKE 'idle in "
	"transaction%'"
	" UNION ALL SELECT 'sessions.own', NULL, count(*) + 1 FROM a WHERE own"
	" UNION ALL SELECT 'vacuum.workers', NULL, count(*) FROM a WHERE backend_type = 'autovacuum worker'"
	" UNION ALL SELECT 'xact.age_ns', NULL, coalesce((extract(epoch FROM max(pg_catalog.clock_timestamp() -"
	" xact_start)) * 1000000000)::bigint, 0) FROM a WHERE NOT own AND backend_type IS DISTINCT FROM 'autovacuum "
	"worker'"
	" AND backend_type IS DISTINCT FROM 'walsender'"
	" UNION ALL SELECT 'wait', coalesce(wait_event_type || ':' || wait_event, 'CPU'), count(*) FROM c"
	" WHERE state = 'active' GROUP BY 2";

/*
 * What holds back the horizon behind which vacuum may remove rows: snapshots, prepared transactions, slots (theirs and
 * a standby's). A vacuum's own snapshot does not count, nor does another database's, which only shared catalogs feel.
 */
static const char xmin_sql[] =
	"WITH b AS (SELECT coalesce(max(pg_catalog.age(backend_xmin)), 0) AS n FROM "
	"pg_catalog.pg_stat_get_activity(NULL) s"
	" WHERE pid <> pg_catalog.pg_backend_pid() AND backend_type IS DISTINCT FROM 'autovacuum worker'"
	" AND NOT " OWN " AND (coalesce(datid, 0) = 0 OR datid = (SELECT oid FROM pg_catalog.pg_database"
	" WHERE datname = pg_catalog.current_database()))"
	" AND NOT EXISTS (SELECT FROM pg_catalog.pg_stat_get_progress_info('VACUUM') v WHERE v.pid = s.pid)),"
	" p AS (SELECT coalesce(max(pg_catalog.age(transaction)), 0) AS n, coalesce((extract(epoch FROM"
	" max(pg_catalog.clock_timestamp() - prepared)) * 1000000000)::bigint, 0) AS ns FROM "
	"pg_catalog.pg_prepared_xact()),"
	" s AS (SELECT coalesce(max(greatest(pg_catalog.age(xmin), pg_catalog.age(catalog_xmin))), 0) AS n"
	" FROM pg_catalog.pg_get_replication_slots())"
	" SELECT 'xmin.age_xids', NULL, greatest(b.n, p.n, s.n)::bigint FROM b, p, s"
	" UNION ALL SELECT 'xmin.backends_xids', NULL, n FROM b UNION ALL SELECT 'xmin.prepared_xids', NULL, n FROM p"
	" UNION ALL SELECT 'xmin.slots_xids', NULL, n FROM s UNION ALL SELECT 'xact.prepared_age_ns', NULL, ns FROM p";

#define WAL_SQL(lost)                                                                                         \
	"WITH w AS MATERIALIZED (SELECT pg_catalog.pg_current_wal_insert_lsn() AS lsn),"                      \
	" s AS MATERIALIZED (SELECT slot_name, active, greatest(w.lsn - restart_lsn, 0)::bigint AS kept" lost \
	" FROM pg_catalog.pg_get_replication_slots(), w)"                                                     \
	" SELECT 'wal.bytes', NULL, (lsn - '0/0'::pg_lsn)::bigint FROM w"                                     \
	" UNION ALL SELECT 'slots.count', NULL, count(*) FROM s"                                              \
	" UNION ALL SELECT 'slots.inactive', NULL, count(*) FROM s WHERE NOT active"                          \
	" UNION ALL SELECT 'slots.retained_bytes', NULL, coalesce(max(kept), 0) FROM s"                       \
	" UNION ALL SELECT 'slot.retained_bytes', slot_name, kept FROM s WHERE kept IS NOT NULL"

static const char wal_sql_12[] = WAL_SQL("");
static const char wal_sql_13[] =
	WAL_SQL(", wal_status") " UNION ALL SELECT 'slots.lost', NULL, count(*) FROM s WHERE wal_status = 'lost'";

static const char standbys_sql[] =
	"WITH s AS MATERIALIZED (SELECT state, replay_lag, pg_catalog.pg_current_wal_insert_lsn() - replay_lsn AS "
	"behind"
	" FROM pg_catalog.pg_stat_get_wal_senders())"
	" SELECT 'standbys.count', NULL, count(*) FROM s WHERE state <> 'backup'"
	" UNION ALL SELECT 'standbys.backups', NULL, count(*) FROM s WHERE state = 'backup'"
	" UNION ALL SELECT 'standbys.lag_bytes', NULL, max(behind)::bigint FROM s WHERE state <> 'backup'"
	" UNION ALL SELECT 'standbys.lag_ns', NULL, (extract(epoch FROM max(replay_lag)) * 1000000000)::bigint FROM s"
	" WHERE state <> 'backup'";

static const char database_sql[] =
	"SELECT v.name, NULL, v.n FROM pg_catalog.pg_stat_database d, LATERAL (VALUES ('db.commits', d.xact_commit),"
	" ('db.rollbacks', d.xact_rollback), ('db.blocks_hit', d.blks_hit), ('db.blocks_read', d.blks_read),"
	" ('db.temp_files', d.temp_files), ('db.temp_bytes', d.temp_bytes), ('db.deadlocks', d.deadlocks),"
	" ('db.conflicts', d.conflicts)) v(name, n)"
	" WHERE d.datid = (SELECT oid FROM pg_catalog.pg_database WHERE datname = pg_catalog.current_database())";

#define CHECKPOINTS_SQL(timed, requested, write, sync, buffers, view)                                              \
	"SELECT v.name, NULL, v.n FROM pg_catalog." view " c, LATERAL (VALUES ('checkpoints.timed', c." timed ")," \
	" ('checkpoints.requested', c." requested "), ('checkpoints.write_ms', c." write "::bigint),"              \
	" ('checkpoints.sync_ms', c." sync "::bigint), ('checkpoints.buffers', c." buffers ")) v(name, n)"

static const char checkpoints_sql_12[] =
	CHECKPOINTS_SQL("checkpoints_timed", "checkpoints_req", "checkpoint_write_time", "checkpoint_sync_time",
			"buffers_checkpoint", "pg_stat_bgwriter");
static const char checkpoints_sql_17[] = CHECKPOINTS_SQL("num_timed", "num_requested", "write_time", "sync_time",
							 "buffers_written", "pg_stat_checkpointer");

/* Names of another database's tables cannot be looked up from ours. */
#define NAME(view, oid)                                                                        \
	"CASE WHEN " view ".datname = pg_catalog.current_database() THEN nullif(" view "." oid \
	", 0)::regclass::text ELSE pg_catalog.concat('oid ', " view "." oid ", ' of ', " view ".datname) END"

/* "vacuum" by a worker of its own accord is "autovacuum", "analyze" is "autoanalyze". */
#define BY_WORKER(view, kind)                                                                              \
	"pg_catalog.concat(CASE WHEN EXISTS (SELECT FROM pg_catalog.pg_stat_get_activity(" view ".pid) w " \
	"WHERE w.backend_type = 'autovacuum worker') THEN 'auto' END, '" kind "')"

#define PROGRESS_12                                                                                                    \
	"SELECT " BY_WORKER("v", "vacuum") ", v.pid, " NAME(                                                           \
		"v",                                                                                                   \
		"relid") ", NULL, 'VACUUM', v.phase,"                                                                  \
			 " CASE WHEN v.phase LIKE 'vacuuming heap%' THEN v.heap_blks_vacuumed ELSE "                   \
			 "v.heap_blks_scanned END,"                                                                    \
			 " v.heap_blks_total FROM pg_catalog.pg_stat_progress_vacuum v"                                \
			 " UNION ALL SELECT 'create_index', i.pid, " NAME("i", "relid") ", " NAME(                     \
				 "i",                                                                                  \
				 "index_relid") ", i.command,"                                                         \
						" i.phase, CASE WHEN i.phase LIKE '%sorting%' THEN NULL WHEN i.phase " \
						"LIKE 'waiting%' THEN i.lockers_done "                                 \
						"WHEN i.phase LIKE '%loading tuples%'"                                 \
						" THEN i.tuples_done ELSE i.blocks_done END, CASE WHEN i.phase LIKE "  \
						"'waiting%' THEN i.lockers_total"                                      \
						" WHEN i.phase LIKE '%loading tuples%' THEN i.tuples_total ELSE "      \
						"i.blocks_total END"                                                   \
						" FROM pg_catalog.pg_stat_progress_create_index i"                     \
						" UNION ALL SELECT 'rewrite', c.pid, " NAME(                           \
							"c",                                                           \
							"relid") ", NULL, c.command, c.phase, c.heap_blks_scanned,"    \
								 " c.heap_blks_total FROM "                            \
								 "pg_catalog.pg_stat_progress_cluster c"
#define PROGRESS_13                                                                                                    \
	PROGRESS_12                                                                                                    \
	" UNION ALL SELECT " BY_WORKER("a", "analyze") ", a.pid, " NAME(                                               \
		"a", "relid") ", NULL, 'ANALYZE', a.phase,"                                                            \
			      " a.sample_blks_scanned, a.sample_blks_total FROM pg_catalog.pg_stat_progress_analyze a" \
			      " UNION ALL SELECT 'backup', b.pid, NULL, NULL, 'BASE_BACKUP', b.phase, "                \
			      "b.backup_streamed, b.backup_total"                                                      \
			      " FROM pg_catalog.pg_stat_progress_basebackup b"
#define PROGRESS_14                                                                                       \
	PROGRESS_13                                                                                       \
	" UNION ALL SELECT 'copy', y.pid, " NAME("y",                                                     \
						 "relid") ", NULL, y.command, y.type, y.bytes_processed," \
							  " y.bytes_total FROM pg_catalog.pg_stat_progress_copy y"

/* Before 13 a backup shows only as a WAL sender in that state. */
static const char progress_sql_12[] =
	PROGRESS_12 " UNION ALL SELECT 'backup', s.pid, NULL, NULL, 'BASE_BACKUP', s.state, NULL::bigint, NULL::bigint"
		    " FROM pg_catalog.pg_stat_get_wal_senders() s WHERE s.state = 'backup'";
static const char progress_sql_13[] = PROGRESS_13;
static const char progress_sql_14[] = PROGRESS_14;

/* The catalog is read once; pg_stat_all_tables would join indexes and compute twenty figures for each table. */
static const char tables_sql[] =
	"WITH t AS MATERIALIZED (SELECT c.oid, c.relkind, pg_catalog.pg_stat_get_dead_tuples(c.oid) AS dead,"
	" pg_catalog.pg_stat_get_live_tuples(c.oid) AS live, pg_catalog.clock_timestamp() -"
	" pg_catalog.pg_stat_get_last_autovacuum_time(c.oid) AS vacuumed, pg_catalog.clock_timestamp() -"
	" pg_catalog.pg_stat_get_last_autoanalyze_time(c.oid) AS analyzed"
	" FROM pg_catalog.pg_class c WHERE c.relkind IN ('r', 'm', 't')),"
	" top AS MATERIALIZED (SELECT oid, dead, live FROM t WHERE relkind <> 't' AND dead > 0"
	" ORDER BY dead DESC LIMIT 8)"
	" SELECT 'tables.count', NULL, count(*) FROM t WHERE relkind <> 't'"
	" UNION ALL SELECT 'tables.dead', NULL, coalesce(sum(dead), 0)::bigint FROM t"
	" UNION ALL SELECT 'tables.live', NULL, coalesce(sum(live), 0)::bigint FROM t WHERE relkind <> 't'"
	" UNION ALL SELECT 'table.dead', oid::regclass::text, dead FROM top"
	" UNION ALL SELECT 'table.live', oid::regclass::text, live FROM top"
	" UNION ALL (SELECT '" HEALTH_ROW_AUTOVACUUM_ENDED "', oid::regclass::text, (extract(epoch FROM vacuumed) *"
	" 1000000)::bigint FROM t WHERE vacuumed < '2 minutes' AND relkind <> 't' ORDER BY vacuumed LIMIT 32)"
	" UNION ALL (SELECT '" HEALTH_ROW_AUTOANALYZE_ENDED "', oid::regclass::text, (extract(epoch FROM analyzed) *"
	" 1000000)::bigint FROM t WHERE analyzed < '2 minutes' AND relkind <> 't' ORDER BY analyzed LIMIT 32)";

static const char size_sql[] =
	"SELECT 'db.size_bytes', NULL, pg_catalog.pg_database_size(pg_catalog.current_database())";

/*
 * Asked ten times a second, so that it does nothing but list. A parallel worker goes by its leader's pid: what it waits
 * for is what the leader's statement waits for. Before 13 the server does not say whose it is.
 */
#define SESSIONS_SQL(pid, types)                                                                         \
	"SELECT " pid ", coalesce(wait_event_type || ':' || wait_event, 'CPU')"                          \
	" FROM pg_catalog.pg_stat_get_activity(NULL) WHERE state = 'active' AND backend_type IN (" types \
	") AND pid <> pg_catalog.pg_backend_pid() AND NOT " OWN

static const char sessions_sql_12[] = SESSIONS_SQL("pid", "'client backend'");
static const char sessions_sql_13[] = SESSIONS_SQL("coalesce(leader_pid, pid)", "'client backend', 'parallel worker'");

struct health_query health_query_for(enum health_group group, int server_version_num)
{
	int version = server_version_num / 10000;
	switch (group) {
	case HEALTH_GROUP_ACTIVITY:
		return (struct health_query){"activity", NS_PER_S, false, true, activity_sql};
	case HEALTH_GROUP_XMIN:
		return (struct health_query){"xmin", NS_PER_S, false, false, xmin_sql};
	case HEALTH_GROUP_WAL:
		return (struct health_query){"wal", NS_PER_S, false, false, version >= 13 ? wal_sql_13 : wal_sql_12};
	case HEALTH_GROUP_STANDBYS:
		return (struct health_query){"standbys", NS_PER_S, false, true, standbys_sql};
	case HEALTH_GROUP_DATABASE:
		return (struct health_query){"database", NS_PER_S, false, false, database_sql};
	case HEALTH_GROUP_CHECKPOINTS:
		return (struct health_query){"checkpoints", NS_PER_S, false, false,
					     version >= 17 ? checkpoints_sql_17 : checkpoints_sql_12};
	case HEALTH_GROUP_PROGRESS:
		return (struct health_query){"progress", NS_PER_S, false, true,
					     version >= 14   ? progress_sql_14
					     : version == 13 ? progress_sql_13
							     : progress_sql_12};
	case HEALTH_GROUP_TABLES:
		return (struct health_query){"tables", NS_PER_S, true, false, tables_sql};
	case HEALTH_GROUP_SESSIONS:
		return (struct health_query){"sessions", 0, false, true,
					     version >= 13 ? sessions_sql_13 : sessions_sql_12};
	case HEALTH_GROUP_SIZE:
	default:
		return (struct health_query){"size", 2 * NS_PER_S, true, false, size_sql};
	}
}
