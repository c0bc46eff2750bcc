/*
 * The checks beside a rehearsal, as options and as two steps of test-migration: what is counted before the replay, and
 * what is compared and run after it, on the lanes and on two clones more. RUN/checks.json is what they leave.
 */
#ifndef MIGRATION_CHECKS_H
#define MIGRATION_CHECKS_H

#include "clone.h"
#include "command.h"
#include "data_tables.h"
#include "migration_runner.h"

#include <stdbool.h>
#include <stdint.h>

struct check_args {
	struct option_list rollback_files;
	const char *rollback_command;
	const char *rollback_revision;
	bool under_traffic;
	int64_t after_ns;
	bool data;
	int64_t table_limit_bytes;
	int64_t timeout_ns;
};

#define CHECK_ARG_ROWS(args)                                                                                      \
	OPT_LIST(0, "rollback", &(args).rollback_files, "FILE…",                                                  \
		 "SQL file that undoes the migration; it is run on a clone of its own: up, down, up again",       \
		 .greedy_suffix = ".sql"),                                                                        \
		OPT_STRING(0, "rollback-command", &(args).rollback_command, "CMD",                                \
			   "undo the migration by this shell command, with the clone in DATABASE_URL, PGHOST …"), \
		OPT_STRING(0, "rollback-revision", &(args).rollback_revision, "REVISION",                         \
			   "undo the migration by Alembic's downgrade to this revision; needs --alembic"),        \
		OPT_FLAG(0, "rollback-under-traffic", &(args).under_traffic,                                      \
			 "run the rollback on the migrating lane too, while the replay goes on"),                 \
		OPT_DURATION(0, "rollback-after", &(args).after_ns, "TIME",                                       \
			     "with --rollback-under-traffic: from the migration's end to the rollback's start",   \
			     .standard = "10s"),                                                                  \
		OPT_FLAG(0, "check-data", &(args).data,                                                           \
			 "compare the data, before and after the migration and between the lanes"),               \
		OPT_SIZE(0, "check-table-limit", &(args).table_limit_bytes, "SIZE",                               \
			 "do not compare the data of larger tables; 0 for no limit", .standard = "10GB"),         \
		OPT_DURATION(0, "check-timeout", &(args).timeout_ns, "TIME",                                      \
			     "for each comparison of the data; 0 for no limit", .standard = "10m")

/* What the options describe. Zero is a plan without any check. */
struct check_plan {
	bool there;
	bool with_lanes; /* --check-data */
	bool under_traffic;
	int64_t after_ns;
	struct migration files;
	struct tool_command command;
	struct alembic_project alembic;
	struct migration_way down; /* borrows the plan, which must stay where it is */
	int64_t table_limit_bytes;
	int64_t timeout_ns;
};

/*
 * Reads the files, or looks for the tool. The rollback's tool gets what the migration's has: variables, network.
 * ERR_USAGE for options that exclude each other. To be released whatever the result.
 */
int check_plan_load(struct check_plan *plan, const struct check_args *args, const struct migration_way *up,
		    struct error *err);
void check_plan_release(struct check_plan *plan);

/* The lanes to make clones for; those of the checks come behind the two of the replay. */
extern const char *const migration_check_lanes[4];
/* How many of them a plan needs: 2 or 4. plan may be NULL. */
size_t migration_checks_lane_count(const struct check_plan *plan);

struct migration_checks {
	const struct check_plan *plan;
	const struct clone_set *clones;
	const struct migration_way *up;
	int64_t migration_timeout_ns;
	const volatile bool *cancelled;
	struct data_tables counted[2]; /* both lanes before the replay */
};

/* Before the replay. plan may be NULL: nothing is done here or later. To be released whatever the result. */
int migration_checks_begin(struct migration_checks *checks, struct error *err);
/*
 * After the replay, with the clones still up: writes RUN/checks.json. A clone that does not answer any more is a
 * warning and stands in the file; ERR_INTERRUPTED is an error.
 */
int migration_checks_end(struct migration_checks *checks, const char *run_dir, struct error *err);
void migration_checks_release(struct migration_checks *checks);

#endif
