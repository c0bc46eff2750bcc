/*
 * rehearse trace: one migration on one clone, without traffic, and what each of its statements locks, for how long, and
 * whom that blocks. SQL files run on our own connection, any other tool behind the tracing proxy.
 */
#include "clock.h"
#include "clone_target.h"
#include "commands.h"
#include "interrupt.h"
#include "mem.h"
#include "migration_display.h"
#include "migration_runner.h"
#include "output.h"
#include "trace_report.h"

#include <stdint.h>

static const char *target_url;
static struct option_list migration_files;
static bool known_clone;
static bool open_network;
static bool whole_sql;
static const char *ledger_path;
static const char *shell;
static int64_t timeout_ns;
static int64_t interval_ns;

static const struct option options[] = {
	OPT_STRING('t', "target", &target_url, "URL", "the clone on which the migration runs",
		   .attributes = OPTION_REQUIRED | OPTION_SECRET),
	OPT_LIST('m', "migration", &migration_files, "FILE…",
		 "SQL file to run in place of a command; several run in the order given", .greedy_suffix = ".sql"),
	OPT_STRING(0, "migration-command", &shell, "LINE", "line for the shell to run in place of a command"),
	OPT_DURATION(0, "migration-timeout", &timeout_ns, "TIME", "cancel a migration that takes longer; 0 for never",
		     .standard = "1h"),
	OPT_DURATION(0, "sample-interval", &interval_ns, "TIME", "between two looks at the locks", .standard = "10ms"),
	OPT_FLAG(0, "open-network", &open_network, "let the command reach other servers than the clone"),
	OPT_STRING(0, "ledger", &ledger_path, "FILE", "write the migration ledger to FILE as well"),
	OPT_FLAG(0, "whole-sql", &whole_sql, "show statements in full, not cut to the width of the terminal"),
	OPT_FLAG(0, "i-know-this-is-a-clone", &known_clone,
		 "accept a target that does not say itself that it is a clone; the migration changes it"),
	OPT_END,
};

static int check_call(const struct command_call *call, struct error *err)
{
	int ways = (migration_files.count > 0) + (shell != NULL) + (call->argument_count > 0);
	if (ways == 0)
		return error_set(err, ERR_USAGE, "no migration: give -- COMMAND…, or --migration FILE…; see --help");
	if (ways > 1)
		return error_set(err, ERR_USAGE, "give one of -- COMMAND…, --migration-command and --migration");
	return 0;
}

static int trace(const struct migration_way *way, struct ledger *ledger, struct error *err)
{
	struct migration_display display = {.runs = false};
	struct migration_runner_options runner = {.url = target_url,
						  .way = way,
						  .t0_ns = clock_mono_ns(),
						  .timeout_ns = timeout_ns,
						  .interval_ns = interval_ns,
						  .cancelled = interrupt_flag(),
						  .statement_no = &display.statement_no};
	int rc = migration_runner_prepare(&runner, err);
	if (rc)
		return rc;
	migration_display_begin(&display);
	rc = migration_runner_run(&runner, ledger, err);
	migration_display_end(&display);
	return rc;
}

/* One that was interrupted shows what it came to, and where it does not exist, that is an error of its own. */
static int report(const struct command_call *call, const struct ledger *ledger, const char *version, struct error *err)
{
	int rc = ledger_path ? ledger_save(ledger, ledger_path, err) : 0;
	if (rc)
		return rc;
	json_t *extra = json_pack("{s:{s:s}}", "target", "server_version", version);
	rc = trace_report(call, ledger, extra, whole_sql, err);
	json_decref(extra);
	return rc;
}

static int run(const struct command_call *call, struct error *err)
{
	struct migration files;
	struct ledger ledger;
	char *version = NULL;
	migration_init(&files);
	ledger_init(&ledger);
	const char **argv = mem_zalloc(call->argument_count + 1, sizeof(*argv));
	for (size_t i = 0; i < call->argument_count; i++)
		argv[i] = call->arguments[i];
	const struct tool_command command = {.shell = shell, .argv = shell ? NULL : argv, .open_network = open_network};
	struct migration_way way = {.files = &files};
	if (shell || call->argument_count > 0)
		way.command = &command;
	int rc = check_call(call, err);
	if (rc == 0)
		rc = migration_load(&files, migration_files.items, migration_files.count, err);
	if (rc == 0)
		rc = migration_runner_check(&way, err);
	if (rc == 0)
		rc = clone_target_check(target_url, known_clone, &version, err);
	if (rc == 0)
		rc = trace(&way, &ledger, err);
	if (rc == 0)
		rc = report(call, &ledger, version, err);
	migration_release(&files);
	ledger_release(&ledger);
	free(version);
	free(argv);
	return rc;
}

const struct command cmd_trace = {
	.name = "trace",
	.summary = "shows what each statement of a migration locks, and whom it blocks",
	.arguments = "[-- COMMAND…]",
	.arguments_max = SIZE_MAX,
	.options = options,
	.run = run,
	.docs = "Runs a migration with no traffic beside it and prints, for each statement: the locks that it takes, "
		"how "
		"long they are held (to the end of the transaction) and were waited for, and whom that keeps out; "
		"whether it "
		"rewrites or scans a table or only changes metadata; WAL, size, indexes, triggers and rows changed.\n\n"
		"Any program can be traced: behind -- it is run with DATABASE_URL, PGHOST and their like set to a "
		"proxy "
		"that "
		"passes its statements on to the clone. SQL files (--migration) need no program.\n\n"
		"What is measured is the clone's: times grow with its data, so trace on production's. A target must be "
		"a "
		"clone: one that Rehearse made, one whose setting rehearse.clone or whose table rehearse_clone says "
		"so, or "
		"one "
		"that you vouch for with --i-know-this-is-a-clone.\n\n"
		"The exit code is 0 when the migration went through, 1 when a statement or the program failed or it "
		"took "
		"too "
		"long, 2 when that cannot be told.",
	.examples = "rehearse trace --target postgresql://localhost:5433/shop --migration add_index.sql\n"
		    "rehearse trace --target postgresql://localhost:5433/shop -- flyway migrate\n"
		    "rehearse trace --target postgresql://localhost:5433/shop --json -- psql -f add_index.sql",
};
