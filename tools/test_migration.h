/*
 * The whole chain for one migration, as test-migration and demo use it: clones, replay on both, the migration on one,
 * verdict, report, tear-down.
 */
#ifndef TEST_MIGRATION_H
#define TEST_MIGRATION_H

#include "clone.h"
#include "error.h"
#include "migration_checks.h"
#include "noise_args.h"
#include "rehearsal.h"
#include "rollout.h"
#include "thresholds.h"

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct test_migration_options {
	/* What of rehearsal.h holds for the caller: the replay file, the run folder, the migration, times, timeouts,
	 * cancelled. The clones' URLs are filled in here. */
	struct rehearsal_options rehearsal;
	const char *source;		       /* URL of a running server, or a stopped data directory or base backup */
	const char *clone_folder;	       /* NULL: $TMPDIR, else /var/tmp */
	const char *pg_bindir;		       /* NULL: found by the source's version */
	const char *run_as;		       /* NULL: the source's owner, else postgres */
	const char *clone_name;		       /* NULL: made up */
	const struct clone_request *clones;    /* how they are to be, beside the above; may be NULL */
	const struct clone_provider *provider; /* NULL: local */
	const struct noise_args *noise;	       /* NULL: no noise floor */
	const struct check_plan *checks;       /* rollback and data; NULL: none */
	const struct thresholds *thresholds;   /* NULL: the defaults */
	const struct rollout *rollout;	       /* NULL: nothing is known of it */
	bool strict;			       /* verdict.h */
};

struct test_migration_result {
	int outcome;	   /* the exit code of the verdict: 0 clear, 1 hurts, 2 cannot tell, 3 invalid */
	const char *word;  /* "clear", "hurts", "cannot_tell", "invalid" */
	char *reason;	   /* one sentence */
	char *summary;	   /* for the terminal */
	char *report_path; /* HTML */
	json_t *verdict;   /* the document in verdict.json */
};

/* Progress and messages go through output.h. A failure leaves no clone behind. */
int test_migration_run(const struct test_migration_options *options, struct test_migration_result *result,
		       struct error *err);
void test_migration_result_release(struct test_migration_result *result);

#endif
