/* What the verbs of `rehearse migrate` share: the options' values, the folder, and the hold on a target. */
#ifndef CMD_MIGRATE_H
#define CMD_MIGRATE_H

#include "command.h"
#include "error.h"
#include "workflow_folder.h"
#include "workflow_mark.h"
#include "workflow_run.h"
#include "workflow_session.h"
#include "workflow_view.h"

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

/* Filled by the option table in cmd_migrate.c. */
struct migrate_args {
	const char *directory;
	const char *target;
	const char *history_table;
	bool for_real;
	int64_t wait_ns;
	struct option_list depends_on;
	struct option_list hot_path;
	bool data;
	bool transaction;
	bool reversible;
	const char *to;
	const char *only;
	struct option_list skip;
	bool skip_missing;
	bool allow_changed;
	bool interactive;
	int64_t parallel;
	int64_t lock_timeout_ns;
	int64_t retries;
	bool measure;
	int64_t steps;
	const char *reason;
	bool undo;
	bool yes;
};

extern struct migrate_args migrate_args;

/* A verb's words without the verb itself. */
struct migrate_call {
	const struct command_call *call;
	const char *verb;
	char **words;
	size_t word_count;
};

int migrate_new(const struct migrate_call *call, struct error *err);
int migrate_plan(const struct migrate_call *call, struct error *err);
int migrate_up(const struct migrate_call *call, struct error *err);
int migrate_down(const struct migrate_call *call, struct error *err);
int migrate_status(const struct migrate_call *call, struct error *err);
int migrate_skip(const struct migrate_call *call, struct error *err);
int migrate_reset(const struct migrate_call *call, struct error *err);

/* Given on the command line, and not (also) as a default in a file or variable. */
bool migrate_given(const struct command_call *call, const char *long_name);

/* The folder, the target's session and both side by side; released together. */
struct migrate_site {
	struct workflow_folder folder;
	struct workflow_session *session; /* NULL: of no database */
	struct workflow_view view;
};

/* Reads the folder, and with --target the history. To be released whatever the result. */
int migrate_site_open(struct migrate_site *site, bool reads_only, struct error *err);
void migrate_site_release(struct migrate_site *site);
/* What is unwise in the folder, as warnings. */
void migrate_show_notes(const struct migrate_site *site);
/* --to, --only, --skip and --skip-missing as what they name. skip_space is freed by the caller. */
int migrate_read_request(const struct migrate_site *site, struct workflow_up_request *request, size_t **skip_space,
			 struct error *err);

/* cmd_migrate_show.c */
void migrate_show_result(const struct migrate_site *site, const struct workflow_result *result, bool down);
json_t *migrate_results_to_json(const struct migrate_site *site, const struct workflow_results *results, bool down);
/* "3 applied, 1 failed, 2 not started": a line without its end. */
void migrate_show_counts(const struct migrate_site *site, const struct workflow_choice *choice,
			 const struct workflow_results *results, bool down);
json_t *migrate_holds_to_json(const struct migrate_site *site, const struct workflow_choice *choice);
/* Id, title and what is special about it. */
json_t *migrate_migration_to_json(const struct workflow_migration *migration);
json_t *migrate_texts_to_json(char *const *texts, size_t count);
void migrate_format_ns(int64_t ns, char *out, size_t size);

/*
 * cmd_migrate_ask.c: one of the letters in `answers`, asked on the terminal until it is one; the last of them when the
 * input ends or the user interrupts.
 */
char migrate_ask(const char *question, const char *answers);
/* Both ends of a conversation are there. */
bool migrate_can_ask(void);

#endif
