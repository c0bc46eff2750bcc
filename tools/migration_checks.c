/* Checks beside a rehearsal: see migration_checks.h. */
#include "migration_checks.h"

#include "check_results.h"
#include "clock.h"
#include "data_check.h"
#include "output.h"
#include "rollback_check.h"
#include "run_dir.h"

enum lane {
	LANE_BASELINE,
	LANE_MIGRATING,
	LANE_SCRATCH,  /* the migration alone, and its rollback */
	LANE_UNTOUCHED /* nothing */
};

const char *const migration_check_lanes[4] = {"baseline", "migrating", "scratch", "untouched"};

static int check_together(const struct check_args *args, const struct migration_way *up, struct error *err)
{
	int ways =
		(args->rollback_files.count > 0) + (args->rollback_command != NULL) + (args->rollback_revision != NULL);
	if (ways > 1)
		return error_set(err, ERR_USAGE, "give one of --rollback, --rollback-command and --rollback-revision");
	if (args->under_traffic && !ways)
		return error_set(err, ERR_USAGE, "--rollback-under-traffic needs --rollback; see --help");
	if (args->rollback_revision && !up->alembic)
		return error_set(err, ERR_USAGE, "--rollback-revision needs --alembic FOLDER");
	if (ways && !migration_way_is_there(up))
		return error_set(err, ERR_USAGE, "%s needs a migration to undo; see --help",
				 args->rollback_command ? "--rollback-command" : "--rollback");
	return 0;
}

static int describe_tools(struct check_plan *plan, const struct check_args *args, const struct migration_way *up,
			  struct error *err)
{
	if (args->rollback_command) {
		const struct tool_command none = {0};
		plan->command = up->command ? *up->command : none;
		plan->command.shell = args->rollback_command;
		plan->command.argv = NULL;
		plan->command.name = NULL;
		plan->down.command = &plan->command;
	}
	if (args->rollback_revision) {
		plan->alembic = *up->alembic;
		plan->alembic.revision = args->rollback_revision;
		plan->alembic.downgrade = true;
		plan->down.alembic = &plan->alembic;
	}
	int rc = migration_runner_check(&plan->down, err);
	return rc < 0 ? error_context(err, "%s", args->rollback_command ? "--rollback-command" : "--rollback-revision")
		      : 0;
}

int check_plan_load(struct check_plan *plan, const struct check_args *args, const struct migration_way *up,
		    struct error *err)
{
	memset(plan, 0, sizeof(*plan));
	migration_init(&plan->files);
	int rc = check_together(args, up, err);
	if (rc == 0)
		rc = migration_load(&plan->files, args->rollback_files.items, args->rollback_files.count, err);
	if (rc < 0)
		return rc;
	plan->down.files = &plan->files;
	rc = describe_tools(plan, args, up, err);
	if (rc < 0)
		return rc;
	plan->with_lanes = args->data;
	plan->under_traffic = args->under_traffic;
	plan->after_ns = args->after_ns;
	plan->there = args->data || migration_way_is_there(&plan->down);
	plan->table_limit_bytes = args->table_limit_bytes;
	plan->timeout_ns = args->timeout_ns;
	return 0;
}

void check_plan_release(struct check_plan *plan)
{
	migration_release(&plan->files);
	memset(plan, 0, sizeof(*plan));
}

size_t migration_checks_lane_count(const struct check_plan *plan)
{
	return plan && plan->there ? 4 : 2;
}

static const char *url_of(const struct migration_checks *checks, enum lane lane)
{
	return clone_set_find(checks->clones, migration_check_lanes[lane])->url;
}

static bool is_there(const struct migration_checks *checks)
{
	return checks->plan && checks->plan->there;
}

int migration_checks_begin(struct migration_checks *checks, struct error *err)
{
	int rc = 0;
	memset(checks->counted, 0, sizeof(checks->counted));
	for (int i = 0; is_there(checks) && checks->plan->with_lanes && rc == 0 && i < 2; i++)
		rc = data_check_count(url_of(checks, (enum lane)i), &checks->counted[i], err);
	return rc;
}

void migration_checks_release(struct migration_checks *checks)
{
	data_tables_release(&checks->counted[0]);
	data_tables_release(&checks->counted[1]);
}

static void say(void *context, const char *what)
{
	(void)context;
	output_message("  %s", what);
}

/* A bar over the tables, from the first to when all are done. */
static void show_tables(void *context, size_t done, size_t total)
{
	(void)context;
	if (done == 0)
		output_progress_begin("comparing data", "tables", 1);
	if (done < total)
		output_progress((int64_t)done, (int64_t)total);
	else
		output_progress_end();
}

/* One way of migrating, for rollback_check.h. */
struct step {
	const struct migration_checks *checks;
	const struct migration_way *way;
};

static int run_step(void *context, const char *url, struct ledger *ledger, struct error *err)
{
	const struct step *step = context;
	struct migration_runner_options options = {.url = url,
						   .way = step->way,
						   .t0_ns = clock_mono_ns(),
						   .timeout_ns = step->checks->migration_timeout_ns,
						   .cancelled = step->checks->cancelled};
	int rc = migration_runner_prepare(&options, err);
	return rc < 0 ? rc : migration_runner_run(&options, ledger, err);
}

static int check_lanes(const struct migration_checks *checks, struct check_results *results, struct error *err)
{
	const struct check_plan *plan = checks->plan;
	if (!plan->with_lanes)
		return 0;
	say(NULL, "comparing the lanes' data");
	const struct data_check data = {
		.before_url = url_of(checks, LANE_BASELINE),
		.after_url = url_of(checks, LANE_MIGRATING),
		.phase = CHECK_LANES,
		.before_then = &checks->counted[0],
		.after_then = &checks->counted[1],
		.limits = {.table_bytes = plan->table_limit_bytes,
			   .deadline_ns = plan->timeout_ns > 0 ? clock_mono_ns() + plan->timeout_ns : 0,
			   .cancelled = checks->cancelled},
		.progress = show_tables,
	};
	return data_check_run(&data, results, err);
}

static int check_alone(const struct migration_checks *checks, struct check_results *results, struct error *err)
{
	const struct check_plan *plan = checks->plan;
	struct step up = {checks, checks->up}, down = {checks, &plan->down};
	if (!migration_way_is_there(checks->up))
		return 0;
	const struct rollback_check check = {
		.untouched_url = url_of(checks, LANE_UNTOUCHED),
		.scratch_url = url_of(checks, LANE_SCRATCH),
		.up = {run_step, &up},
		.down = {migration_way_is_there(&plan->down) ? run_step : NULL, &down},
		.with_data = true,
		.time_ns = plan->timeout_ns,
		.table_bytes = plan->table_limit_bytes,
		.cancelled = checks->cancelled,
		.progress = say,
		.tables = show_tables,
	};
	return rollback_check_run(&check, results, err);
}

/* What could not be checked is no reason to throw the run away; that somebody wants to stop is. */
static int give_up(struct check_results *results, const char *what, int rc, struct error *err)
{
	if (rc == 0 || rc == -ERR_INTERRUPTED)
		return rc;
	output_warning("%s: %s", what, err->text);
	check_results_skip(results, what, err->text);
	error_clear(err);
	return 0;
}

int migration_checks_end(struct migration_checks *checks, const char *run_dir, struct error *err)
{
	struct check_results results;
	if (!is_there(checks))
		return 0;
	check_results_init(&results);
	results.with_data = true;
	results.with_rollback = migration_way_is_there(&checks->plan->down);
	int rc = give_up(&results, "the lanes' data", check_lanes(checks, &results, err), err);
	if (rc == 0)
		rc = give_up(&results, "the migration by itself", check_alone(checks, &results, err), err);
	char *path = run_dir_path(run_dir, CHECKS_FILE);
	struct error later = ERROR_INIT;
	int saved = check_results_save(&results, path, rc < 0 ? &later : err);
	free(path);
	check_results_release(&results);
	return rc < 0 ? rc : saved;
}
