/*
 * A run directory, opened for judging: everything that `compare` knows comes from here (docs/formats.md). The small
 * files (run.json, the ledger, the lock logs, the sessions) are in memory; the items and the two run logs stay on disk
 * and are read page by page (pairing.h).
 */
#ifndef RUN_DATA_H
#define RUN_DATA_H

#include "error.h"
#include "item_index.h"
#include "ledger.h"
#include "lock_log.h"
#include "noise_floor.h"
#include "run_log.h"

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

enum judge_lane {
	JUDGE_BASELINE,
	JUDGE_MIGRATING,
	JUDGE_LANES
};
/* "baseline", "migrating" */
const char *judge_lane_name(enum judge_lane lane);

struct run_data {
	char *dir;
	json_t *run; /* run.json */
	struct item_index *items;
	struct run_log *logs[JUDGE_LANES];
	struct lock_log locks[JUDGE_LANES]; /* of the sampler and, merged into it, of the server's own log */
	bool has_locks[JUDGE_LANES];
	bool has_server_locks[JUDGE_LANES];	   /* the server's own log was there */
	struct run_session *sessions[JUDGE_LANES]; /* which backend served which session, and when; by pid */
	size_t session_count[JUDGE_LANES];
	struct ledger ledger;
	bool has_ledger;
	struct noise_floor noise; /* of earlier runs without a migration; runs 0: there were none */
	bool has_migration;	  /* a migration began */
	bool wanted_migration;	  /* one was asked for */
	bool complete;
	bool interrupted;
	int64_t end_ns;		    /* of the run; times count from its start */
	int64_t migration_start_ns; /* without a migration: end_ns */
	int64_t migration_end_ns;
};

/*
 * Fills *data, which the caller releases whatever the result. ERR_DATA with the file when one is not what it should be,
 * ERR_USAGE for a run on one lane: there is nothing to compare.
 */
int run_data_open(const char *dir, struct run_data *data, struct error *err);
void run_data_release(struct run_data *data);

#define RUN_DATA_NO_SESSION UINT32_MAX
/*
 * The replayed session that the backend served at that time, of one lane's sessions, which are sorted by pid: a pid may
 * have served several, one after another.
 */
uint32_t run_data_find_session(const struct run_session *sessions, size_t count, int32_t pid, int64_t at_ns);

#endif
