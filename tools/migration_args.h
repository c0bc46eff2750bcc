/*
 * The options that say how a migration is run, as rows for the tables of the commands that run one, and what they make
 * of them: SQL files, any program, Alembic.
 */
#ifndef MIGRATION_ARGS_H
#define MIGRATION_ARGS_H

#include "command.h"
#include "migration_runner.h"

struct migration_args {
	struct option_list files;
	const char *command;
	const char *alembic;
	const char *alembic_revision;
	struct option_list alembic_x;
	struct option_list url_variables;
	bool network;
};

#define MIGRATION_ARG_ROWS(args)                                                                                    \
	OPT_LIST('m', "migration", &(args).files, "FILE…",                                                          \
		 "SQL file to run on the migrating lane; several run in the order given", .greedy_suffix = ".sql"), \
		OPT_STRING(0, "migration-command", &(args).command, "CMD",                                          \
			   "run the migration by this shell command, with the clone in DATABASE_URL, PGHOST …"),    \
		OPT_STRING(0, "alembic", &(args).alembic, "FOLDER",                                                 \
			   "run the migration by Alembic, with the alembic.ini in FOLDER"),                         \
		OPT_STRING(0, "alembic-revision", &(args).alembic_revision, "REVISION", "the revision to go to",    \
			   .standard_note = "heads"),                                                               \
		OPT_LIST('x', "alembic-x", &(args).alembic_x, "KEY=VALUE",                                          \
			 "argument for env.py, as Alembic's own -x; may be given more than once"),                  \
		OPT_LIST(0, "url-variable", &(args).url_variables, "NAME",                                          \
			 "set this variable too to the clone's URL for the migration tool; may be given more than " \
			 "once"),                                                                                   \
		OPT_FLAG(0, "open-network", &(args).network,                                                        \
			 "let the migration tool reach other servers than the clone")

/* What the options describe, with all that it points to. */
struct migration_plan {
	struct migration files;
	struct tool_command command;
	struct alembic_project alembic;
	struct migration_way way; /* for migration_runner.h; borrows the plan, which must stay where it is */
};

/*
 * Reads the files, or looks for the tool: what is wrong with a migration is said before anything else is done.
 * ERR_USAGE for options that exclude each other. *plan is to be released whatever the result.
 */
int migration_plan_load(struct migration_plan *plan, const struct migration_args *args, struct error *err);
void migration_plan_release(struct migration_plan *plan);

#endif
