/*
 * rehearse migrate: SQL migrations with a dependency graph. This file has the option table, finds the verb, and opens
 * what the verbs work on; the verbs are in cmd_migrate_*.c, the work in migrate/workflow/.
 */
#include "cmd_migrate.h"

#include "commands.h"
#include "interrupt.h"
#include "mem.h"
#include "num.h"
#include "output.h"
#include "word_suggest.h"

#include <string.h>

struct migrate_args migrate_args;

static const struct option options[] = {
	OPT_STRING('d', "directory", &migrate_args.directory, "FOLDER", "where the migrations are",
		   .standard = "migrations"),
	OPT_STRING('t', "target", &migrate_args.target, "URL",
		   "the database: all verbs but new need one, plan may have one", .attributes = OPTION_SECRET),
	OPT_STRING(0, "history-table", &migrate_args.history_table, "[SCHEMA.]TABLE",
		   "where the database remembers what was applied", .standard = WORKFLOW_TABLE_STANDARD),
	OPT_FLAG(0, "for-real", &migrate_args.for_real, "the target is not marked as a clone, and is meant"),
	OPT_DURATION(0, "wait", &migrate_args.wait_ns, "DURATION", "wait so long for another runner to end",
		     .standard = "0s"),
	OPT_LIST(0, "depends-on", &migrate_args.depends_on, "ID",
		 "new: what it needs, or none; may be given more than once",
		 .standard_note = "what nothing depends on yet"),
	OPT_LIST(0, "hot-path", &migrate_args.hot_path, "TABLE",
		 "new: a table whose blocking is to be pointed out; may be given more than once"),
	OPT_FLAG(0, "data", &migrate_args.data, "new: it amends data"),
	OPT_FLAG(0, "transaction", &migrate_args.transaction,
		 "new: it runs in one transaction; --no-transaction for statement by statement", .standard = "yes"),
	OPT_FLAG(0, "reversible", &migrate_args.reversible, "new: there is a way back; --no-reversible for none",
		 .standard = "yes"),
	OPT_STRING(0, "to", &migrate_args.to, "ID",
		   "up, plan: only this one and what it needs; reset: what the history is to hold, or none"),
	OPT_STRING(0, "only", &migrate_args.only, "ID",
		   "up, plan: this one alone, also where its meta file leaves it to other means"),
	OPT_LIST(0, "skip", &migrate_args.skip, "ID",
		 "up, plan: not this one, nor what needs it; may be given more than once"),
	OPT_FLAG(0, "skip-missing", &migrate_args.skip_missing,
		 "up, plan, down: go on although files of applied migrations are missing"),
	OPT_FLAG(0, "allow-changed", &migrate_args.allow_changed,
		 "up, plan: go on although files of applied migrations were changed"),
	OPT_FLAG('i', "interactive", &migrate_args.interactive, "up, down: ask before each migration"),
	OPT_INT(0, "parallel", &migrate_args.parallel, "N", "up, down: run up to N of a batch side by side",
		.standard = "1", .min = 1, .max = WORKFLOW_PARALLEL_MAX),
	OPT_DURATION(0, "lock-timeout", &migrate_args.lock_timeout_ns, "DURATION",
		     "up, down: how long a statement may wait for a lock, and others behind it; 0 for any time",
		     .standard = "2s"),
	OPT_INT(0, "retries", &migrate_args.retries, "N", "up, down: further attempts after such a wait or a deadlock",
		.standard = "5", .min = 0, .max = WORKFLOW_RETRIES_MAX),
	OPT_FLAG(0, "measure", &migrate_args.measure,
		 "up, down: see what is locked, for some milliseconds more a statement; --no-measure for not",
		 .standard = "yes"),
	OPT_INT(0, "steps", &migrate_args.steps, "N", "down: how many of the last to take back", .standard = "1",
		.min = 1, .max = WORKFLOW_MIGRATIONS_MAX),
	OPT_STRING(0, "reason", &migrate_args.reason, "TEXT", "skip: who or what did it instead"),
	OPT_FLAG(0, "undo", &migrate_args.undo, "skip: take the mark back: the migration is pending again"),
	OPT_FLAG('y', "yes", &migrate_args.yes, "reset: do not ask"),
	OPT_END,
};

/* A verb, and those options of the table that mean something to it. */
static const struct verb {
	const char *name;
	size_t words_min;
	size_t words_max;
	const char *words;
	bool needs_target;
	int (*run)(const struct migrate_call *call, struct error *err);
	const char *options[20];
} verbs[] = {
	{"new",
	 1,
	 SIZE_MAX,
	 "TITLE",
	 false,
	 migrate_new,
	 {"directory", "depends-on", "hot-path", "data", "transaction", "reversible"}},
	{"plan",
	 0,
	 0,
	 "",
	 false,
	 migrate_plan,
	 {"directory", "target", "history-table", "to", "only", "skip", "skip-missing", "allow-changed"}},
	{"up",
	 0,
	 0,
	 "",
	 true,
	 migrate_up,
	 {"directory", "target", "history-table", "for-real", "wait", "to", "only", "skip", "skip-missing",
	  "allow-changed", "interactive", "parallel", "lock-timeout", "retries", "measure"}},
	{"down",
	 0,
	 1,
	 "[ID]",
	 true,
	 migrate_down,
	 {"directory", "target", "history-table", "for-real", "wait", "steps", "skip-missing", "interactive",
	  "parallel", "lock-timeout", "retries", "measure"}},
	{"status", 0, 0, "", true, migrate_status, {"directory", "target", "history-table"}},
	{"skip",
	 1,
	 1,
	 "ID",
	 true,
	 migrate_skip,
	 {"directory", "target", "history-table", "for-real", "wait", "reason", "undo"}},
	{"reset",
	 0,
	 0,
	 "",
	 true,
	 migrate_reset,
	 {"directory", "target", "history-table", "for-real", "wait", "to", "yes"}},
};
#define VERB_COUNT (sizeof(verbs) / sizeof(*verbs))

static const struct verb *find_verb(const char *name, struct error *err)
{
	const char *names[VERB_COUNT + 1] = {NULL};
	for (size_t i = 0; i < VERB_COUNT; i++) {
		if (strcmp(verbs[i].name, name) == 0)
			return &verbs[i];
		names[i] = verbs[i].name;
	}
	const char *near = word_suggest(name, names);
	(void)error_set(err, ERR_USAGE, "no verb '%.40s'%s%s%s", name, near ? "; did you mean " : "",
			near ? near : "; new, plan, up, down, status, skip and reset are", near ? "?" : "");
	return NULL;
}

/* An option of another verb on the command line is a misunderstanding; as a default in a file or variable it is none.
 */
static bool is_default(const struct command_call *call, const char *name)
{
	struct strbuf variable;
	strbuf_init(&variable, 200);
	options_environment_name(name, &variable);
	bool found = getenv(variable.data) != NULL;
	strbuf_release(&variable);
	for (size_t i = 0; i < call->config->count && !found; i++) {
		const struct config_entry *entry = &call->config->entries[i];
		found = strcmp(entry->name, name) == 0 &&
			(strcmp(entry->section, "migrate") == 0 || strcmp(entry->section, "rehearse") == 0);
	}
	return found;
}

bool migrate_given(const struct command_call *call, const char *name)
{
	return options_given(call->options, name) && !is_default(call, name);
}

static bool takes_option(const struct verb *verb, const char *name)
{
	for (size_t i = 0; verb->options[i]; i++) {
		if (strcmp(verb->options[i], name) == 0)
			return true;
	}
	return false;
}

static int check_call(const struct command_call *call, const struct verb *verb, struct error *err)
{
	size_t words = call->argument_count - 1;
	for (const struct option *o = options; o->kind != OPTION_END; o++) {
		if (migrate_given(call, o->long_name) && !takes_option(verb, o->long_name))
			return error_set(err, ERR_USAGE, "--%s says nothing to 'migrate %s'; see --help", o->long_name,
					 verb->name);
	}
	if (words < verb->words_min)
		return error_set(err, ERR_USAGE, "%s: %s is missing; see --help", verb->name, verb->words);
	if (words > verb->words_max)
		return error_set(err, ERR_USAGE, "%s: unexpected argument '%s'; see --help", verb->name,
				 call->arguments[1 + verb->words_max]);
	if (verb->needs_target && !migrate_args.target)
		return error_set(err, ERR_USAGE, "%s: --target URL is missing; see --help", verb->name);
	return 0;
}

int migrate_site_open(struct migrate_site *site, bool reads_only, struct error *err)
{
	const struct workflow_session_options session = {.url = migrate_args.target,
							 .table = migrate_args.history_table,
							 .reads_only = reads_only,
							 .for_real = migrate_args.for_real,
							 .wait_ns = migrate_args.wait_ns,
							 .cancelled = interrupt_flag()};
	memset(site, 0, sizeof(*site));
	int rc = workflow_folder_load(migrate_args.directory, false, &site->folder, err);
	if (rc == 0 && migrate_args.target)
		rc = workflow_session_open(&session, &site->session, err);
	if (rc == 0)
		rc = workflow_view_init(&site->view, &site->folder,
					site->session ? workflow_session_history(site->session) : NULL, err);
	return rc;
}

void migrate_show_notes(const struct migrate_site *site)
{
	for (size_t i = 0; i < site->folder.note_count; i++)
		output_warning("%s", site->folder.notes[i]);
}

void migrate_site_release(struct migrate_site *site)
{
	workflow_view_release(&site->view);
	workflow_session_close(site->session);
	workflow_folder_release(&site->folder);
}

static int lookup(const struct migrate_site *site, const char *option, const char *word, size_t *out, struct error *err)
{
	*out = WORKFLOW_NONE;
	if (!word)
		return 0;
	int rc = workflow_folder_lookup(&site->folder, word, out, err);
	return rc ? error_context(err, "--%s", option) : 0;
}

int migrate_read_request(const struct migrate_site *site, struct workflow_up_request *request, size_t **skip_space,
			 struct error *err)
{
	const struct migrate_args *args = &migrate_args;
	*skip_space = mem_zalloc(args->skip.count + 1, sizeof(**skip_space));
	memset(request, 0, sizeof(*request));
	request->skip = *skip_space;
	request->skip_missing = args->skip_missing;
	request->allow_changed = args->allow_changed;
	int rc = lookup(site, "to", args->to, &request->to, err);
	if (rc == 0)
		rc = lookup(site, "only", args->only, &request->only, err);
	for (size_t i = 0; i < args->skip.count && rc == 0; i++)
		rc = lookup(site, "skip", args->skip.items[i], &(*skip_space)[request->skip_count++], err);
	if (rc == 0 && args->only && (args->to || args->skip.count > 0))
		rc = error_set(err, ERR_USAGE, "--only says it all; --to and --skip do not go with it");
	return rc;
}

static int run(const struct command_call *call, struct error *err)
{
	if (call->argument_count == 0)
		return error_set(err, ERR_USAGE, "which verb? new, plan, up, down, status, skip or reset; see --help");
	const struct verb *verb = find_verb(call->arguments[0], err);
	if (!verb)
		return -err->code;
	int rc = check_call(call, verb, err);
	if (rc)
		return rc;
	const struct migrate_call migrate = {
		.call = call, .verb = verb->name, .words = call->arguments + 1, .word_count = call->argument_count - 1};
	return verb->run(&migrate, err);
}

const struct command cmd_migrate = {
	.name = "migrate",
	.summary = "runs SQL migrations that depend on each other by id, not by number",
	.arguments = "new TITLE|plan|up|down [ID]|status|skip ID|reset",
	.arguments_max = SIZE_MAX,
	.options = options,
	.run = run,
	.docs = "Migrations are folders with a meta.json (a random id, what it depends on), an up.sql and a down.sql. "
		"Two "
		"branches that each add one have nothing to conflict about, and merge in any order: what depends on "
		"the "
		"same shares a batch.\n\n"
		"new makes one that depends on all that nothing depends on yet. plan prints the batches; with --target "
		"those that are pending there. up runs them, each in one transaction with its row in the history "
		"table, "
		"or statement by statement where the meta file says so. down takes back an id and all that depends on "
		"it, or the last ones. status shows what each is in that database. skip marks one as done by other "
		"means. reset --to ID makes the history hold that one and what it needs, without running SQL.\n\n"
		"A statement that waits for a lock for --lock-timeout gives up, and its transaction is tried again "
		"after a pause: those who queue behind it wait no longer than that. After each migration stands what "
		"it "
		"locked, and for how long.\n\n"
		"A target must be marked as a clone, or be meant with --for-real. One runner at a time works on a "
		"database.\n\n"
		"Exit codes: 0 done, 1 a migration failed, 64 usage, 65 the folder or the history does not allow it, "
		"69 "
		"the server cannot be reached or another runner is at work, 130 interrupted.",
	.examples = "rehearse migrate new 'Add orders.status' --hot-path orders\n"
		    "rehearse migrate plan\n"
		    "rehearse migrate up --target postgresql://localhost/shop --for-real\n"
		    "rehearse migrate down 325aeb43 --target postgresql://localhost/shop --for-real\n"
		    "rehearse migrate skip 712ccb88 --reason 'gh-ost, Sunday' --target postgresql://localhost/shop "
		    "--for-real",
};
