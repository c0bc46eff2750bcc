/*
 * Run directories made by hand, for tests of the judges: the test says which items were due when and what became of
 * them on both lanes; everything else of a run is filled in as a quiet run would have it. Each session is opened at
 * time 0 by a connect and has backend 1000 + session on the baseline, 2000 + session on the migrating lane.
 */
#ifndef SUPPORT_RUN_H
#define SUPPORT_RUN_H

#include "item_index.h"
#include "ledger.h"
#include "lock_log.h"
#include "run_log.h"

#include <jansson.h>

#define SUPPORT_MS		       INT64_C(1000000)
#define SUPPORT_S		       INT64_C(1000000000)
#define SUPPORT_BASELINE_PID(session)  (1000 + (int32_t)(session))
#define SUPPORT_MIGRATING_PID(session) (2000 + (int32_t)(session))
#define SUPPORT_MIGRATION_PID	       9000

/* What a lane made of an item. Zeroes are an item sent on time that went well, at once. */
struct support_outcome {
	int64_t queue_ns;
	int64_t lag_ns;
	int64_t service_ns;
	uint32_t rows;
	const char *sqlstate; /* NULL: went well */
	uint8_t flags;
	bool skipped;
};

struct support_run;
struct support_run *support_run_new(uint32_t sessions);
/* A folder of its own under /tmp, removed by support_run_free() unless SUPPORT_RUN_KEEP is set: to look at one. */
const char *support_run_dir(const struct support_run *run);
/* Whose session it is; without this app's of web. The texts live as long as the run. */
void support_run_client(struct support_run *run, uint32_t session, const char *user, const char *application);
/* A statement; items may be added in any order. capture_sqlstate may be NULL. */
void support_run_add(struct support_run *run, int64_t due_ns, uint32_t session, const char *sql,
		     const char *capture_sqlstate, struct support_outcome baseline, struct support_outcome migrating);
/* Filled by the test; outcome LEDGER_NONE is a run without a migration. */
struct ledger *support_run_ledger(struct support_run *run);
/* One statement of the migration with one lock on one relation, held from start to end. */
struct ledger_statement *support_run_migrate(struct support_run *run, const char *sql, const char *relation,
					     const char *mode, int64_t start_ns, int64_t end_ns);
/* A wait on the migrating lane, behind blocker_pid. */
void support_run_wait(struct support_run *run, int32_t pid, const char *relation, const char *mode, int64_t start_ns,
		      int64_t end_ns, int32_t blocker_pid);
void support_run_gap(struct support_run *run, int64_t start_ns, int64_t end_ns);
/* run.json as it will be written, to change it. Valid after support_run_write() too. */
json_t *support_run_json(struct support_run *run);
/* Writes everything; end_ns is the run's end. */
void support_run_write(struct support_run *run, int64_t end_ns);
void support_run_free(struct support_run *run);

#endif
