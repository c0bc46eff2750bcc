/*
 * rehearse test-migration: from logs (or a replay file) and a source to a verdict, in one command. The replay file made
 * on the way holds literals, so it lives in a temporary folder that goes when we go, however that happens, unless
 * --keep-replay names a place for it.
 */
#include "clone_args.h"
#include "commands.h"
#include "create_replay.h"
#include "interrupt.h"
#include "mem.h"
#include "migration_checks.h"
#include "notify.h"
#include "output.h"
#include "pg_target.h"
#include "rehearsal_args.h"
#include "rollout_args.h"
#include "run_dir.h"
#include "scratch_folder.h"
#include "test_migration.h"
#include "threshold_args.h"

#include <stdint.h>
#include <sys/stat.h>
#include <unistd.h>

static struct rehearsal_args args;
static struct threshold_args judging;
static struct rollout_args planning;
static struct notify_args notify;
static struct clone_args clones;
static struct check_args checking;
static const char *replay_file;
static const char *keep_replay;
static const char *log_timezone;
static struct option_list include;
static struct option_list exclude;

static const struct option options[] = {
	OPT_STRING(0, "replay", &replay_file, "FILE", "replay this file (made by create-replay) instead of logs"),
	OPT_STRING(0, "keep-replay", &keep_replay, "FILE",
		   "keep the replay file made from the logs; it holds literals"),
	OPT_LIST(0, "include", &include, "REGEX", "take only statements that match; may be given more than once"),
	OPT_LIST(0, "exclude", &exclude, "REGEX", "leave out statements that match; may be given more than once"),
	OPT_STRING(0, "log-timezone", &log_timezone, "ZONE", "full name of the logs' time zone, such as Europe/Berlin"),
	REHEARSAL_ARG_ROWS(args),
	CHECK_ARG_ROWS(checking),
	THRESHOLD_ARG_ROWS(judging),
	ROLLOUT_ARG_ROWS(planning),
	NOTIFY_ARG_ROWS(notify),
	CLONE_ARG_ROWS(clones),
	OPT_END,
};

static bool by_command; /* the clones are the user's scripts' */

static void show_bytes(void *context, int64_t done_bytes, int64_t total_bytes)
{
	(void)context;
	output_progress(done_bytes, total_bytes);
}

/*
 * The host that the logs came from, when it is known: it is never a target. To be freed; NULL for a folder, and for
 * what only the user's own scripts understand.
 */
static char *source_place(struct error *err)
{
	struct stat st;
	struct pg_target target = {0};
	if (!clones.source || stat(clones.source, &st) == 0)
		return NULL;
	char *place = NULL;
	if (pg_target_probe(clones.source, &target, err) == 0)
		place = mem_printf("%s:%s", target.host, target.port);
	else if (by_command)
		error_clear(err);
	pg_target_release(&target);
	return place;
}

static int make_replay(const struct command_call *call, const char *path, struct error *err)
{
	char *place = source_place(err);
	if (err->code)
		return error_context(err, "source");
	struct create_replay_options create = {
		.logs = (const char *const *)call->arguments,
		.log_count = call->argument_count,
		.output = path,
		.filter = {.include = {include.items, include.count}, .exclude = {exclude.items, exclude.count}},
		.source_host = place,
		.log_timezone = log_timezone,
		.progress = show_bytes,
	};
	struct create_replay_result result;
	output_progress_begin("reading the log", "MB", 1e6);
	int rc = create_replay(&create, &result, interrupt_flag(), err);
	output_progress_end();
	if (rc == 0)
		output_message("%llu statements of %llu sessions", (unsigned long long)result.statements,
			       (unsigned long long)result.sessions);
	free(place);
	return rc;
}

static int test(const char *path, const struct migration_plan *plan, const struct check_plan *checks,
		const struct rollout *rollout, struct test_migration_result *result, const struct command_call *call,
		struct error *err)
{
	struct thresholds thresholds;
	struct clone_request request;
	struct test_migration_options test_options = {
		.rehearsal = {.replay_path = path, .way = &plan->way},
		.clones = &request,
		.source = clones.source,
		.clone_folder = clones.folder,
		.pg_bindir = clones.pg_bindir,
		.run_as = clones.run_as,
		.noise = &args.noise,
		.checks = checks,
		.thresholds = &thresholds,
		.rollout = rollout,
		.strict = judging.strict,
	};
	int rc = threshold_args_load(&judging, call->config, &thresholds, err);
	if (rc == 0)
		rc = rehearsal_args_apply(&args, &test_options.rehearsal, err);
	if (rc == 0)
		rc = clone_args_apply(&clones, call->config, path, &request, &test_options.provider, err);
	if (rc == 0)
		rc = test_migration_run(&test_options, result, err);
	thresholds_release(&thresholds);
	return rc;
}

/* What can be known to be wrong before any work. */
static int check_call(const struct command_call *call, struct migration_plan *plan, struct check_plan *checks,
		      struct rollout *rollout, struct error *err)
{
	if (replay_file && call->argument_count > 0)
		return error_set(err, ERR_USAGE, "give logs, or --replay FILE, not both");
	if (!replay_file && call->argument_count == 0)
		return error_set(err, ERR_USAGE, "LOG… is missing (or --replay FILE); see --help");
	int rc = notify_check(&notify, err);
	if (rc)
		return rc;
	rc = clone_args_check(&clones, call->config, &by_command, err);
	if (rc)
		return rc;
	rc = rollout_args_load(&planning, call->config, rollout, err);
	if (rc == 0)
		rc = migration_plan_load(plan, &args.migration, err);
	if (rc == 0)
		rc = check_plan_load(checks, &checking, &plan->way, err);
	return rc;
}

/* Whoever waits for a message gets one, also when there is no verdict. */
static int tell(const struct test_migration_result *result, int rc, struct error *err)
{
	struct verdict verdict = {(enum verdict_outcome)result->outcome, result->reason, result->verdict};
	if (rc == 0)
		return notify_verdict(&notify, &verdict, err);
	notify_failure(&notify, "test-migration", err->text);
	return rc;
}

static int run(const struct command_call *call, struct error *err)
{
	struct test_migration_result result = {0};
	struct migration_plan plan = {0};
	struct check_plan checks = {0};
	struct rollout rollout = {0};
	struct scratch_folder folder = {0};
	char *file = NULL;
	const char *path = replay_file ? replay_file : keep_replay;
	clone_args_use_state_dir(clones.state_dir);
	int rc = check_call(call, &plan, &checks, &rollout, err);
	if (rc == 0 && !path) {
		rc = scratch_folder_init(&folder, "replay", err);
		if (rc == 0)
			path = file = run_dir_path(folder.path, "recorded.replay");
	}
	if (rc == 0 && !replay_file)
		rc = make_replay(call, path, err);
	if (rc == 0)
		rc = test(path, &plan, &checks, &rollout, &result, call, err);
	scratch_folder_release(&folder);
	rollout_release(&rollout);
	check_plan_release(&checks);
	migration_plan_release(&plan);
	free(file);
	if (rc == 0) {
		output_string(result.summary);
		output_text("report: %s\n", result.report_path);
		output_json(result.verdict);
	}
	if (rc != -ERR_USAGE)
		rc = tell(&result, rc, err);
	if (rc == 0)
		rc = result.outcome;
	test_migration_result_release(&result);
	return rc;
}

const struct command cmd_test_migration = {
	.name = "test-migration",
	.summary = "tests a migration under recorded traffic: clones, replay, verdict, report, tear-down",
	.arguments = "[LOG…]",
	.arguments_max = SIZE_MAX,
	.options = options,
	.run = run,
	.docs = "Makes a replay file from the logs, two clones of the source, replays on both at once, runs the "
		"migration on "
		"one of them in the middle, removes the clones, and judges from the difference. Without a migration it "
		"compares the source with itself, which must come out clear.\n\n"
		"A base backup with --wal-archive is rolled forward to the moment of the replay's first item, so that "
		"the "
		"clones hold what the recorded statements saw. The clones can also be made by commands of your own "
		"(--clone-create, --clone-destroy; docs/clones.md).\n\n"
		"With --rollback the migration is also run, undone and run again on a clone of its own, and schema and "
		"data "
		"are compared; --check-data compares the data without one too (docs/rollback-and-data.md).\n\n"
		"--row-ratio, --deploy-timeout and --planned-at say what is known of the roll-out in production: how "
		"long it takes there at best, whether that fits the deploy step, and whether a blackout of the section "
		"[blackout] stands in its way (docs/rollout.md).\n\n"
		"--notify posts the verdict to a webhook, or that there is none, and why; what goes wrong with that is "
		"a warning unless --notify-required is given.\n\n"
		"The exit code is the verdict: 0 clear, 1 hurts, 2 cannot tell, 3 invalid run. The run folder keeps "
		"everything that compare and report need, and no literal of a statement.",
	.examples =
		"rehearse test-migration postgresql.csv --source /srv/backup --migration add_index.sql -o run\n"
		"rehearse test-migration --replay day.rpl --source postgresql://replica/shop --migration 1.sql 2.sql "
		"--migrate-at 30s -o run\n"
		"rehearse test-migration --replay day.rpl --source /srv/backup --migration-command 'flyway migrate' -o "
		"run\n"
		"rehearse test-migration --replay day.rpl --source /srv/backup --alembic services/shop -o run\n"
		"rehearse test-migration --replay day.rpl --source /srv/backup --migration up.sql --rollback down.sql "
		"-o run",
};
