/* A migration in whichever way it is run: see migration_runner.h. */
#include "migration_runner.h"

#include "logging.h"
#include "sql_runner.h"

#include <string.h>

bool migration_way_is_there(const struct migration_way *way)
{
	return way && (way->command || way->alembic || (way->files && way->files->statement_count > 0));
}

int migration_runner_check(const struct migration_way *way, struct error *err)
{
	if (way && way->command)
		return command_runner_check(way->command, err);
	if (way && way->alembic)
		return alembic_runner_check(way->alembic, err);
	return 0; /* files were looked at as they were read */
}

static struct command_runner_options tool_options(const struct migration_runner_options *options)
{
	return (struct command_runner_options){
		.url = options->url,
		.command = options->way->command,
		.t0_ns = options->t0_ns,
		.start_at_ns = options->start_at_ns,
		.timeout_ns = options->timeout_ns,
		.interval_ns = options->interval_ns,
		.cancelled = options->cancelled,
		.statement_no = options->statement_no,
	};
}

/* Whether Alembic has something to do; a target that is reached already makes a rehearsal of nothing. */
static void note_state(const struct alembic_project *project, const struct alembic_state *state)
{
	if (!project->downgrade && state->missing.count == 0 &&
	    (!project->revision || strcmp(project->revision, "heads") == 0))
		log_warn("alembic has nothing to do: the clone is at the heads already");
}

int migration_runner_prepare(const struct migration_runner_options *options, struct error *err)
{
	struct alembic_state state;
	const struct alembic_project *project = options->way->alembic;
	if (options->way->command || !project)
		return 0;
	struct command_runner_options tool = tool_options(options);
	int rc = alembic_runner_look(project, &tool, &state, err);
	if (rc == 0)
		note_state(project, &state);
	alembic_state_release(&state);
	return rc;
}

int migration_runner_run(const struct migration_runner_options *options, struct ledger *ledger, struct error *err)
{
	const struct migration_way *way = options->way;
	struct command_runner_options tool = tool_options(options);
	if (way->command)
		return command_runner_run(&tool, ledger, err);
	if (way->alembic)
		return alembic_runner_run(way->alembic, &tool, ledger, NULL, err);
	struct sql_runner_options files = {.url = options->url,
					   .migration = way->files,
					   .t0_ns = options->t0_ns,
					   .start_at_ns = options->start_at_ns,
					   .timeout_ns = options->timeout_ns,
					   .interval_ns = options->interval_ns,
					   .cancelled = options->cancelled,
					   .statement_no = options->statement_no};
	return sql_runner_run(&files, ledger, err);
}
