/*
 * The whole chain for one migration, as test-migration and demo use it: clones, replay on both, the migration on one,
 * verdict, report, tear-down.
 */
#ifndef TEST_MIGRATION_H
#define TEST_MIGRATION_H

#include "error.h"
#include "thresholds.h"

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct test_migration_options {
	const char *replay_path; /* an existing replay file */
	const char *source;	 /* URL of a running server, or a stopped data directory or base backup */
	const char *run_dir;	 /* made; see rehearsal.h */
	bool replace;
	const char *const *migration_files;
	size_t migration_file_count; /* 0: an A/A run */
	int64_t migrate_at_ns;	     /* negative: half of what is replayed */
	int64_t start_at_ns;
	int64_t stop_at_ns; /* 0: to the end */
	double speed;
	int64_t drain_timeout_ns;
	int64_t migration_timeout_ns;
	const char *clone_folder;	     /* NULL: $TMPDIR, else /var/tmp */
	const char *pg_bindir;		     /* NULL: found by the source's version */
	const char *run_as;		     /* NULL: the source's owner, else postgres */
	const char *clone_name;		     /* NULL: made up */
	const struct thresholds *thresholds; /* NULL: the defaults */
	bool strict;			     /* thresholds.h, verdict.h */
	int64_t skip_idle_ns;
	uint32_t max_sessions;
	int64_t stall_timeout_ns;
	int64_t sample_interval_ns;
	const volatile bool *cancelled;
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
