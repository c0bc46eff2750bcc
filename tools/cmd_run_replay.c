/* rehearse run-pgreplay, or run-replay: a replay file against one or two targets, with or without a migration. */
#include "commands.h"
#include "output.h"
#include "rehearsal_args.h"

static struct rehearsal_args args;
static const char *baseline_url;
static const char *migrating_url;
static bool known_clone;

static const struct option options[] = {
	OPT_STRING('b', "baseline", &baseline_url, "URL", "the clone that stays as it is",
		   .attributes = OPTION_REQUIRED | OPTION_SECRET),
	OPT_STRING('M', "migrating", &migrating_url, "URL", "the clone on which the migration runs",
		   .attributes = OPTION_SECRET),
	REHEARSAL_ARG_ROWS(args),
	OPT_FLAG(0, "i-know-this-is-a-clone", &known_clone,
		 "accept targets that do not say themselves that they are clones; recorded writes go to them"),
	OPT_END,
};

static int run(const struct command_call *call, struct error *err)
{
	struct migration_plan plan;
	json_t *document = NULL;
	struct rehearsal_options rehearsal = {
		.replay_path = call->arguments[0],
		.baseline_url = baseline_url,
		.migrating_url = migrating_url,
		.way = &plan.way,
		.known_clone = known_clone,
	};
	int rc = migration_plan_load(&plan, &args.migration, err);
	if (rc == 0)
		rc = rehearsal_args_apply(&args, &rehearsal, err);
	if (rc == 0 && migration_way_is_there(&plan.way) && !migrating_url)
		rc = error_set(err, ERR_USAGE, "a migration needs a clone to run on: --migrating URL");
	if (rc == 0) {
		output_progress_begin("replaying", "items", 1);
		rc = rehearsal_run(&rehearsal, &document, err);
		output_progress_end();
	}
	if (document) {
		noise_put_beside(&args.noise, args.run_dir);
		rehearsal_print_lanes(document);
		output_text("run: %s\n", args.run_dir);
		output_json(document);
		json_decref(document);
	}
	migration_plan_release(&plan);
	return rc;
}

const struct command cmd_run_replay = {
	.name = "run-pgreplay",
	.alias = "run-replay",
	.summary = "replays a file against one or two clones, and runs a migration on the second",
	.arguments = "FILE",
	.arguments_min = 1,
	.arguments_max = 1,
	.options = options,
	.run = run,
	.docs = "Drives the replay file with its original timing against both targets at once, each session on a "
		"connection "
		"of its own, and writes what became of every item into the run folder. A migration "
		"(--migration, --migration-command, --alembic) runs on the migrating clone at --migrate-at, while "
		"locks "
		"are sampled on both.\n\n"
		"A target must be a clone: one that Rehearse made, one whose setting rehearse.clone or whose table "
		"rehearse_clone says so, or one that you vouch for with --i-know-this-is-a-clone. The server that the "
		"log "
		"came from is refused whatever you say.",
	.examples = "rehearse run-pgreplay day.rpl --baseline postgresql:///shop?host=/srv/a --migrating "
		    "postgresql:///shop?host=/srv/b --migration add_index.sql -o run",
};
