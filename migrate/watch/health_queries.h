/*
 * What a server is asked about its health, for each version from 12 to 18: the one place where it matters which view
 * has which column since when. A query's rows are (name of a series, key or NULL, value), so that one loop takes them
 * all in; only `progress` (health_progress_column) and `sessions` (pid, wait event) have rows of their own.
 *
 * Sources: the manual's chapters "The Cumulative Statistics System" and "Progress Reporting" of each version, and
 * src/backend/catalog/system_views.sql. Functions are used in place of views where the view joins catalogs that a
 * migration may have locked.
 */
#ifndef HEALTH_QUERIES_H
#define HEALTH_QUERIES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum health_group {
	HEALTH_GROUP_ACTIVITY,	  /* sessions by wait event, the oldest transaction */
	HEALTH_GROUP_XMIN,	  /* what keeps dead rows from being removed */
	HEALTH_GROUP_WAL,	  /* WAL written, and what slots hold back of it */
	HEALTH_GROUP_STANDBYS,	  /* lag; backups that are being taken */
	HEALTH_GROUP_DATABASE,	  /* commits, blocks, temporary files, deadlocks */
	HEALTH_GROUP_CHECKPOINTS, /* */
	HEALTH_GROUP_PROGRESS,	  /* vacuums, index builds, backups under way */
	HEALTH_GROUP_TABLES,	  /* dead and live rows */
	HEALTH_GROUP_SIZE,	  /* of the database */
	HEALTH_GROUP_SESSIONS,	  /* who is active and waits for what: not of a sample, but of a look (health_pace.h) */
	HEALTH_GROUPS
};

enum health_progress_column {
	HEALTH_PROGRESS_KIND, /* as health_activity_name() */
	HEALTH_PROGRESS_PID,
	HEALTH_PROGRESS_RELATION,
	HEALTH_PROGRESS_INDEX,
	HEALTH_PROGRESS_COMMAND,
	HEALTH_PROGRESS_PHASE,
	HEALTH_PROGRESS_DONE,
	HEALTH_PROGRESS_TOTAL,
	HEALTH_PROGRESS_COLUMNS
};

/* Rows of `tables` that are no series: how many microseconds ago a table's last automatic vacuum or analyze ended. */
#define HEALTH_ROW_AUTOVACUUM_ENDED  "ended.autovacuum"
#define HEALTH_ROW_AUTOANALYZE_ENDED "ended.autoanalyze"

struct health_query {
	const char *name;      /* of the group, as notes say it */
	int64_t interval_ns;   /* between two of them, at least */
	bool may_be_slow;      /* grows with the number of tables: asked less often where it takes long */
	bool needs_stats_role; /* tells about others only to a member of pg_read_all_stats */
	const char *sql;
};

/* For a server of that version (150020 is 15.20). The text lives for ever. */
struct health_query health_query_for(enum health_group group, int server_version_num);

#endif
