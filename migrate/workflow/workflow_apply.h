/*
 * Runs one migration, up or down, in the calling thread: in one transaction with its row of the history, or statement
 * by statement with a record of how far it came. A lock that was not had in time, and a deadlock, are tried again.
 */
#ifndef WORKFLOW_APPLY_H
#define WORKFLOW_APPLY_H

#include "workflow_result.h"
#include "workflow_session.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

struct workflow_job {
	struct workflow_session *session;
	const struct workflow_migration *migration;
	bool down;
	int64_t batch;		    /* for the history */
	int64_t lock_timeout_ns;    /* unless the meta file has one */
	int retries;		    /* likewise */
	bool unmeasured;	    /* sql_runner.h */
	volatile bool stop;	    /* set to end it: stop_flag.h */
	_Atomic uint32_t statement; /* that runs, from 1, for display */
	_Atomic uint32_t attempt;   /* from 1 */
};

/*
 * Fills *result, initialised by the caller. Everything that goes wrong is an outcome, with result->message. The history
 * table is made on the way, in the migration's transaction where it has one.
 */
void workflow_apply(struct workflow_job *job, struct workflow_result *result);

#endif
