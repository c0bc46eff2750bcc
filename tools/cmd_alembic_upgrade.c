/* rehearse alembic-upgrade: Alembic's migrations on one clone, traced, without traffic. */
#include "alembic_runner.h"
#include "clock.h"
#include "clone_target.h"
#include "commands.h"
#include "interrupt.h"
#include "migration_display.h"
#include "output.h"
#include "trace_report.h"

#include <limits.h>

static const char *target_url;
static const char *directory;
static const char *ini;
static const char *section;
static const char *revision;
static const char *downgrade;
static struct option_list x_arguments;
static const char *python;
static const char *url_scheme;
static struct option_list url_variables;
static bool open_network;
static int64_t timeout_ns;
static int64_t interval_ns;
static const char *ledger_path;
static bool whole_sql;
static bool known_clone;

static const struct option options[] = {
	OPT_STRING('t', "target", &target_url, "URL", "the clone on which the migrations run",
		   .attributes = OPTION_REQUIRED | OPTION_SECRET),
	OPT_STRING('d', "directory", &directory, "FOLDER", "the folder from which the project's Alembic is run",
		   .standard_note = "this one"),
	OPT_STRING(0, "ini", &ini, "FILE", "Alembic's configuration", .standard_note = "alembic.ini in that folder"),
	OPT_STRING('n', "section", &section, "NAME", "section of the ini, as Alembic's own -n", .standard = "alembic"),
	OPT_STRING('r', "revision", &revision, "REVISION", "the revision to upgrade to", .standard_note = "heads"),
	OPT_STRING(0, "downgrade", &downgrade, "REVISION", "downgrade to this revision instead"),
	OPT_LIST('x', "x-argument", &x_arguments, "KEY=VALUE",
		 "argument for env.py, as Alembic's own -x; may be given more than once"),
	OPT_STRING(0, "python", &python, "PROGRAM", "the Python that has Alembic",
		   .standard_note = "that of alembic in PATH"),
	OPT_STRING(0, "url-scheme", &url_scheme, "SCHEME",
		   "scheme of the URL that Alembic gets, such as postgresql+asyncpg",
		   .standard_note = "that of sqlalchemy.url, else postgresql"),
	OPT_LIST(0, "url-variable", &url_variables, "NAME",
		 "set this variable too to the clone's URL, for an env.py that reads it; may be given more than once"),
	OPT_FLAG(0, "open-network", &open_network, "let Alembic reach other servers than the clone"),
	OPT_DURATION(0, "migration-timeout", &timeout_ns, "TIME", "cancel a migration that takes longer; 0 for never",
		     .standard = "1h"),
	OPT_DURATION(0, "sample-interval", &interval_ns, "TIME", "between two looks at the locks", .standard = "10ms"),
	OPT_STRING(0, "ledger", &ledger_path, "FILE", "write the migration ledger to FILE as well"),
	OPT_FLAG(0, "whole-sql", &whole_sql, "show statements in full, not cut to the width of the terminal"),
	OPT_FLAG(0, "i-know-this-is-a-clone", &known_clone,
		 "accept a target that does not say itself that it is a clone; the migrations change it"),
	OPT_END,
};

/* What a run of Alembic found, for the printed object. */
struct states {
	struct alembic_state before;
	struct alembic_state after;
};

static json_t *list_of(const struct alembic_revisions *revisions)
{
	json_t *list = json_array();
	for (size_t i = 0; i < revisions->count; i++)
		(void)json_array_append_new(list, json_string(revisions->items[i]));
	return list;
}

static int report(const struct command_call *call, const struct ledger *ledger, const struct states *states,
		  const char *version, struct error *err)
{
	int rc = ledger_path ? ledger_save(ledger, ledger_path, err) : 0;
	if (rc < 0)
		return rc;
	json_t *extra = json_pack("{s:{s:s}, s:o, s:o, s:o}", "target", "server_version", version, "heads",
				  list_of(&states->before.heads), "revisions_before", list_of(&states->before.current),
				  "revisions_after", list_of(&states->after.current));
	rc = trace_report(call, ledger, extra, whole_sql, err);
	json_decref(extra);
	return rc;
}

static int migrate(const struct alembic_project *project, struct ledger *ledger, struct states *states,
		   struct error *err)
{
	struct migration_display display = {.runs = false};
	struct command_runner_options runner = {.url = target_url,
						.t0_ns = clock_mono_ns(),
						.timeout_ns = timeout_ns,
						.interval_ns = interval_ns,
						.cancelled = interrupt_flag(),
						.statement_no = &display.statement_no};
	int rc = alembic_runner_look(project, &runner, &states->before, err);
	if (rc < 0)
		return rc;
	if (states->before.missing.count == 0 && !revision && !downgrade)
		output_message("the clone is at the heads already");
	migration_display_begin(&display);
	rc = alembic_runner_run(project, &runner, ledger, &states->after, err);
	migration_display_end(&display);
	return rc;
}

static int run(const struct command_call *call, struct error *err)
{
	char whole_ini[PATH_MAX];
	struct ledger ledger;
	struct states states = {0};
	char *version = NULL;
	struct alembic_project project = {.directory = directory,
					  .config = ini,
					  .section = section,
					  .revision = downgrade ? downgrade : revision,
					  .downgrade = downgrade != NULL,
					  .x = x_arguments.items,
					  .x_count = x_arguments.count,
					  .python = python,
					  .url_scheme = url_scheme,
					  .url_variables = url_variables.items,
					  .url_variable_count = url_variables.count,
					  .open_network = open_network};
	if (downgrade && revision)
		return error_set(err, ERR_USAGE, "give --revision or --downgrade, not both");
	if (ini && !realpath(ini, whole_ini)) /* Alembic runs in another folder */
		return error_set_errno(err, ERR_DATA, "%s: cannot open", ini);
	if (ini)
		project.config = whole_ini;
	ledger_init(&ledger);
	int rc = alembic_runner_check(&project, err);
	if (rc == 0)
		rc = clone_target_check(target_url, known_clone, &version, err);
	if (rc == 0)
		rc = migrate(&project, &ledger, &states, err);
	if (rc == 0)
		rc = report(call, &ledger, &states, version, err);
	alembic_state_release(&states.before);
	alembic_state_release(&states.after);
	ledger_release(&ledger);
	free(version);
	return rc;
}

const struct command cmd_alembic_upgrade = {
	.name = "alembic-upgrade",
	.summary = "runs Alembic's migrations on a clone, traced, and verifies the target",
	.arguments = "",
	.options = options,
	.run = run,
	.docs = "Runs `alembic upgrade heads`, or to another revision, on a clone and prints what each statement "
		"locks, "
		"for how long, and whom that blocks, as trace does.\n\n"
		"The clone's URL takes the place of sqlalchemy.url and is in DATABASE_URL, PGHOST and their like; "
		"--url-variable names others that env.py may read. Before anything is changed Alembic is asked for the "
		"clone's revision, and must come to the clone for it; it runs where no other server can be reached, "
		"unless --open-network is given. Afterwards the revision is asked for again: a target that was not "
		"reached is a failure.\n\n"
		"A target must be a clone: one that Rehearse made, one whose setting rehearse.clone or whose table "
		"rehearse_clone says so, or one that you vouch for with --i-know-this-is-a-clone.\n\n"
		"The exit code is 0 when the target was reached, 1 when a migration failed or took too long or the "
		"target was not reached, 2 when that cannot be told.",
	.examples = "rehearse alembic-upgrade --target postgresql://localhost:5433/shop --directory services/shop\n"
		    "rehearse alembic-upgrade --target postgresql://localhost:5433/shop --revision ae1027a6acf -x "
		    "tenant=7 --json",
};
