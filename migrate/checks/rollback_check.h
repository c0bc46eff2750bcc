/*
 * The migration by itself, on a clone that nobody else uses: up, and when a rollback is given down and up again. A
 * second clone stays as it was; what is different between the two is the migration's doing and nobody else's. A down
 * that was never run is not believed (B13), and neither is one that runs and loses what up had destroyed (C10).
 */
#ifndef ROLLBACK_CHECK_H
#define ROLLBACK_CHECK_H

#include "check_results.h"
#include "check_server.h"
#include "error.h"
#include "ledger.h"

#include <stdbool.h>

/* How up or down is run. As sql_runner_run(): a migration that fails is an outcome in the ledger and answers 0. */
struct check_runner {
	int (*run)(void *context, const char *url, struct ledger *ledger, struct error *err);
	void *context; /* NULL function: there is none */
};

struct rollback_check {
	const char *untouched_url; /* a clone on which nothing ran */
	const char *scratch_url;   /* its twin */
	struct check_runner up;
	struct check_runner down; /* without a function: no rollback */
	bool with_data;		  /* compare the data as well, not the schema alone */
	int64_t time_ns;	  /* for comparing data, each time; 0 for no limit */
	int64_t table_bytes;	  /* check_limits */
	const volatile bool *cancelled;
	void (*progress)(void *context, const char *what);	  /* may be NULL */
	void (*tables)(void *context, size_t done, size_t total); /* as data_check.h's progress; may be NULL */
	void *progress_context;
};

/*
 * Fills in up, down, again, the schema's differences and the data of both phases. What a step leaves unchecked because
 * it failed is among what was skipped. Errors as data_check_run(), and those of the runners.
 */
int rollback_check_run(const struct rollback_check *check, struct check_results *results, struct error *err);

#endif
