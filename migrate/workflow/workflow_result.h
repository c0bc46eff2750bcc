/* What became of one migration: its outcome, what it locked and for how long (B11), what it left behind. */
#ifndef WORKFLOW_RESULT_H
#define WORKFLOW_RESULT_H

#include "ledger.h"
#include "workflow_folder.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum workflow_outcome {
	WORKFLOW_NOT_STARTED, /* something failed before its turn, or the run was ended */
	WORKFLOW_DONE,
	WORKFLOW_FAILED,   /* and nothing of it is there */
	WORKFLOW_HALF_WAY, /* it stopped between its statements, which were no transaction */
	WORKFLOW_UNKNOWN,  /* the connection was lost, and whether it committed could not be asked */
	WORKFLOW_DECLINED, /* whoever was asked said: not now */
	WORKFLOW_MARKED,   /* or: done by other means */
	WORKFLOW_WAITS	   /* it needs one that was declined */
};
#define WORKFLOW_OUTCOME_COUNT 8

/* One relation in one mode, over all statements and all attempts. */
struct workflow_lock {
	char relation[260];
	char mode[32];
	int64_t held_ns;
	int64_t waited_ns;
	bool blocks_reads;
	bool blocks_writes;
	bool hot; /* in the meta file's hot_path */
};

struct workflow_result {
	size_t migration; /* index in the folder */
	size_t batch;	  /* of this run, 0 the first */
	enum workflow_outcome outcome;
	bool interrupted;    /* that is why */
	unsigned attempts;   /* 0: it was not started */
	int64_t duration_ns; /* of the last attempt */
	int64_t elapsed_ns;  /* with all attempts and the pauses between */
	size_t statement;    /* the one that failed, from 1; 0: none, or one of ours */
	size_t statement_count;
	char *file;	  /* where it failed, or NULL */
	uint32_t line;	  /* 0: not known */
	char sqlstate[6]; /* "" for none */
	char *message;	  /* why it failed, without values; or NULL */
	struct workflow_lock *locks;
	size_t lock_count;
	struct ledger_names rewrites;
	struct ledger_names invalid_indexes; /* left behind */
	int64_t wal_bytes;
	int64_t rows_changed;
};

void workflow_result_init(struct workflow_result *result, size_t migration);
void workflow_result_release(struct workflow_result *result);
/* Adds what an attempt's ledger says. Relations that the migration made itself are left out: nobody waits for them. */
void workflow_result_add(struct workflow_result *result, const struct workflow_meta *meta, const struct ledger *ledger);
/* Adds those of `after` that `before` has not: names as workflow_session_invalid_indexes() hands them out, or NULL. */
void workflow_result_add_invalid(struct workflow_result *result, const char *before, const char *after);
/* "done", "failed", "half way", …: what programs read. */
const char *workflow_outcome_name(enum workflow_outcome outcome);

#endif
