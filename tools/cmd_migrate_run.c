/* `rehearse migrate up` and `down`: what is chosen, asked about, run, and said while it runs. */
#include "cmd_migrate.h"
#include "interrupt.h"
#include "output.h"

#include <string.h>

/* What the callbacks of a run know. */
struct show {
	const struct migrate_site *site;
	bool down;
	bool quit;
};

static const struct workflow_migration *migration_of(const struct show *show, size_t migration)
{
	return &show->site->folder.migrations[migration];
}

static enum workflow_answer ask(void *context, size_t migration)
{
	struct show *show = context;
	const struct workflow_migration *from = migration_of(show, migration);
	size_t statements = show->down ? from->down.statement_count : from->up.statement_count;
	char question[600];
	(void)snprintf(question, sizeof(question), "%s  %s: %s %zu statement%s%s? [y]es, [n]ot now,%s [q]uit",
		       from->meta.id, from->meta.title, show->down ? "take it back by" : "run", statements,
		       statements == 1 ? "" : "s", from->meta.transaction ? "" : " without a transaction",
		       show->down ? "" : " [s]kip: done by other means,");
	switch (migrate_ask(question, show->down ? "ynq" : "ynsq")) {
	case 'y':
		return WORKFLOW_ANSWER_RUN;
	case 'n':
		return WORKFLOW_ANSWER_LATER;
	case 's':
		return WORKFLOW_ANSWER_SKIP;
	default:
		show->quit = true;
		return WORKFLOW_ANSWER_QUIT;
	}
}

/* The one line that says why, on standard error, with file and line. */
static void show_error(const struct workflow_migration *migration, const struct workflow_result *result)
{
	struct error err = ERROR_INIT;
	char line[24] = "", code[16] = "";
	if (result->line)
		(void)snprintf(line, sizeof(line), ":%u", (unsigned)result->line);
	if (result->sqlstate[0])
		(void)snprintf(code, sizeof(code), " (%s)", result->sqlstate);
	(void)error_set(&err, ERR_DATA, "%s%s: %s%s", result->file ? result->file : migration->folder, line,
			result->message, code);
	output_error(&err);
}

/* A bar and questions do not go together. */
static void begin_progress(const struct show *show)
{
	if (!migrate_args.interactive)
		output_progress_begin(show->down ? "taking back" : "migrating", "migrations", 1);
}

static void finished(void *context, const struct workflow_result *result)
{
	struct show *show = context;
	output_progress_end(); /* results are no messages: the bar would stand in their line */
	migrate_show_result(show->site, result, show->down);
	if (result->message && result->outcome != WORKFLOW_DONE)
		show_error(migration_of(show, result->migration), result);
	begin_progress(show);
}

static void progress(void *context, const struct workflow_progress *at)
{
	struct show *show = context;
	const struct workflow_migration *from = migration_of(show, at->migration);
	char detail[600], others[60] = "", attempt[40] = "";
	if (at->running > 1)
		(void)snprintf(others, sizeof(others), ", and %zu more", at->running - 1);
	if (at->attempt > 1)
		(void)snprintf(attempt, sizeof(attempt), ", attempt %u", (unsigned)at->attempt);
	(void)snprintf(detail, sizeof(detail), "%s  %s: statement %u of %zu%s%s", from->meta.id, from->meta.title,
		       (unsigned)at->statement, show->down ? from->down.statement_count : from->up.statement_count,
		       attempt, others);
	output_progress_detail(detail);
	output_progress((int64_t)at->done, (int64_t)at->total);
}

static const char *outcome_of(const struct workflow_results *results, int rc)
{
	const size_t *by = results->by_outcome;
	if (rc == -ERR_INTERRUPTED)
		return "interrupted";
	return rc || by[WORKFLOW_FAILED] + by[WORKFLOW_HALF_WAY] + by[WORKFLOW_UNKNOWN] > 0 ? "failed" : "done";
}

static int run_choice(const struct migrate_call *call, const struct migrate_site *site,
		      const struct workflow_choice *choice, bool down, struct error *err)
{
	struct show show = {.site = site, .down = down};
	struct workflow_results results;
	const struct workflow_run_options options = {.session = site->session,
						     .view = &site->view,
						     .choice = choice,
						     .down = down,
						     .parallel = (size_t)migrate_args.parallel,
						     .lock_timeout_ns = migrate_args.lock_timeout_ns,
						     .retries = (int)migrate_args.retries,
						     .unmeasured = !migrate_args.measure,
						     .cancelled = interrupt_flag(),
						     .ask = migrate_args.interactive ? ask : NULL,
						     .finished = finished,
						     .progress = progress,
						     .context = &show};
	begin_progress(&show);
	int rc = workflow_run(&options, &results, err);
	output_progress_end();
	migrate_show_counts(site, choice, &results, down);
	if (call->call->json) {
		json_t *root = migrate_results_to_json(site, &results, down);
		(void)json_object_set_new(root, "outcome", json_string(outcome_of(&results, rc)));
		(void)json_object_set_new(root, "held", migrate_holds_to_json(site, choice));
		output_json(root);
		json_decref(root);
	}
	if (rc == 0 && strcmp(outcome_of(&results, rc), "failed") == 0)
		rc = 1;
	workflow_results_release(&results);
	return rc;
}

static int check_interactive(const struct migrate_call *call, struct error *err)
{
	if (!migrate_args.interactive)
		return 0;
	if (call->call->quiet)
		return error_set(err, ERR_USAGE, "--interactive asks, and --quiet says nothing");
	return migrate_can_ask() ? 0 : error_set(err, ERR_USAGE, "--interactive needs a terminal");
}

/* What is left to others is said before anything runs. */
static void show_left(const struct migrate_site *site, const struct workflow_choice *choice)
{
	for (size_t i = 0; i < site->folder.count; i++) {
		const struct workflow_meta *meta = &site->folder.migrations[i].meta;
		if (choice->hold[i] == WORKFLOW_LEFT)
			output_message("%s  %s: left to other means (%s); 'migrate skip %s --reason TEXT' says that it "
				       "is done",
				       meta->id, meta->title, meta->skip ? meta->skip : "--skip", meta->id);
		else if (choice->hold[i] == WORKFLOW_HELD)
			output_message("%s  %s: needs one that is left to other means", meta->id, meta->title);
	}
}

int migrate_up(const struct migrate_call *call, struct error *err)
{
	struct migrate_site site = {0};
	struct workflow_choice choice = {0};
	struct workflow_up_request request;
	size_t *skip = NULL;
	int rc = check_interactive(call, err);
	if (rc == 0)
		rc = migrate_site_open(&site, false, err);
	if (rc == 0)
		rc = migrate_read_request(&site, &request, &skip, err);
	if (rc == 0)
		rc = workflow_choose_up(&site.view, &request, &choice, err);
	if (rc == 0) {
		migrate_show_notes(&site);
		show_left(&site, &choice);
		rc = run_choice(call, &site, &choice, false, err);
	}
	free(skip);
	workflow_choice_release(&choice);
	migrate_site_release(&site);
	return rc;
}

int migrate_down(const struct migrate_call *call, struct error *err)
{
	struct migrate_site site = {0};
	struct workflow_choice choice = {0};
	size_t migration = WORKFLOW_NONE;
	int rc = check_interactive(call, err);
	if (rc == 0 && call->word_count == 1 && migrate_given(call->call, "steps"))
		rc = error_set(err, ERR_USAGE, "down takes an ID or --steps N, not both");
	if (rc == 0)
		rc = migrate_site_open(&site, false, err);
	if (rc == 0 && call->word_count == 1)
		rc = workflow_folder_lookup(&site.folder, call->words[0], &migration, err);
	if (rc == 0)
		rc = workflow_choose_down(&site.view, migration, (size_t)migrate_args.steps, migrate_args.skip_missing,
					  &choice, err);
	if (rc == 0)
		rc = run_choice(call, &site, &choice, true, err);
	workflow_choice_release(&choice);
	migrate_site_release(&site);
	return rc;
}
