/*
 * One migration, run in whichever way the team runs it: SQL files, a program, Alembic. The one place that knows all
 * ways; whoever runs migrations (the rehearsal, a rollback check) sees a description and a ledger.
 */
#ifndef MIGRATION_RUNNER_H
#define MIGRATION_RUNNER_H

#include "alembic_runner.h"
#include "command_runner.h"
#include "error.h"
#include "ledger.h"
#include "migration.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

/* The first that is there is meant; none, or SQL files without a statement: there is no migration. */
struct migration_way {
	const struct tool_command *command;
	const struct alembic_project *alembic;
	const struct migration *files;
};

struct migration_runner_options {
	const char *url; /* libpq URI of the migrating lane */
	const struct migration_way *way;
	int64_t t0_ns;			/* the run's start on clock_mono_ns(); the ledger's times count from it */
	int64_t start_at_ns;		/* when to begin, on clock_mono_ns(); 0 or past: at once */
	int64_t timeout_ns;		/* for all of it, 0 for none */
	int64_t interval_ns;		/* between samples of its locks; 0 means 10 ms */
	const volatile bool *cancelled; /* may be NULL */
	_Atomic uint32_t *statement_no; /* may be NULL; how many statements have begun, for display */
};

/* way may be NULL. */
bool migration_way_is_there(const struct migration_way *way);
/* What can be known to be wrong before there is a clone. */
int migration_runner_check(const struct migration_way *way, struct error *err);
/* What can be known to be wrong once there is one, before anything is changed. */
int migration_runner_prepare(const struct migration_runner_options *options, struct error *err);
/*
 * Runs it and fills *ledger (initialised by the caller). How the migration ends is an outcome in the ledger and answers
 * 0; ERR_UNAVAILABLE when there is no connection, or no program, to begin with.
 */
int migration_runner_run(const struct migration_runner_options *options, struct ledger *ledger, struct error *err);

#endif
