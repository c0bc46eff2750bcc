/* rehearse report: the report of a run, in one or more formats; and telling a webhook. */
#include "commands.h"
#include "mem.h"
#include "notify.h"
#include "output.h"
#include "report_formats.h"
#include "run_dir.h"

#include <unistd.h>

static const char *output_path;
static struct option_list formats;
static struct notify_args notify;

static const struct option options[] = {
	OPT_LIST(0, "format", &formats, "FORMAT", "html, markdown, junit or slack; may be given more than once",
		 .standard_note = "html"),
	OPT_STRING('o', "output", &output_path, "FILE", "where the report goes; - is standard output",
		   .standard_note = "RUN/report.html, report.md, junit.xml, slack.json"),
	NOTIFY_ARG_ROWS(notify),
	OPT_END,
};

/* The verdict that is there, else a new one with the default thresholds, which is kept. */
static int load_or_judge(const char *dir, struct verdict **verdict, struct error *err)
{
	char *path = run_dir_path(dir, RUN_FILE_VERDICT);
	bool there = access(path, F_OK) == 0;
	free(path);
	if (there)
		return verdict_load(dir, verdict, err);
	int rc = verdict_judge(dir, NULL, verdict, err);
	if (rc == 0) {
		rc = verdict_save(*verdict, dir, err);
		if (rc < 0) {
			verdict_free(*verdict);
			*verdict = NULL;
		}
	}
	return rc;
}

static int check_call(const struct command_call *call, struct error *err)
{
	for (size_t i = 0; i < formats.count; i++) {
		if (!report_format_find(formats.items[i]))
			return error_set(err, ERR_USAGE, "--format: '%s' is none of html, markdown, junit, slack",
					 formats.items[i]);
	}
	if (output_path && formats.count > 1)
		return error_set(err, ERR_USAGE, "--output names one file: it goes with one --format");
	if (output_path && strcmp(output_path, "-") == 0 && call->json)
		return error_set(err, ERR_USAGE, "--json and --output - both want standard output");
	return notify_check(&notify, err);
}

/* Appends what was written to the list, unless it went to standard output. */
static int write_one(const char *dir, const struct report_format *format, const struct verdict *verdict, json_t *list,
		     struct error *err)
{
	struct report_context context = {.link = notify.link};
	if (output_path && strcmp(output_path, "-") == 0) {
		struct strbuf text;
		int rc = report_format_make(format, verdict, &context, &text, err);
		if (rc == 0)
			output_string(text.data);
		strbuf_release(&text);
		return rc;
	}
	char *path = output_path ? mem_strdup(output_path) : run_dir_path(dir, format->file);
	int rc = report_format_save(format, verdict, &context, path, err);
	if (rc == 0) {
		output_text("%s\n", path);
		(void)json_array_append_new(list, json_pack("{s:s, s:s}", "format", format->name, "path", path));
	}
	free(path);
	return rc;
}

static int run(const struct command_call *call, struct error *err)
{
	struct verdict *verdict = NULL;
	const char *dir = call->arguments[0];
	json_t *list = json_array();
	int rc = check_call(call, err);
	if (rc == 0)
		rc = load_or_judge(dir, &verdict, err);
	if (rc == 0 && formats.count == 0)
		rc = write_one(dir, report_format_find("html"), verdict, list, err);
	for (size_t i = 0; rc == 0 && i < formats.count; i++)
		rc = write_one(dir, report_format_find(formats.items[i]), verdict, list, err);
	if (rc == 0)
		rc = notify_verdict(&notify, verdict, err);
	if (rc == 0) {
		const json_t *first = json_object_get(json_array_get(list, 0), "path");
		json_t *object = json_pack("{s:s, s:O?, s:O, s:s, s:s}", "schema", "rehearse.report/1", "report", first,
					   "reports", list, "outcome", verdict_outcome_name(verdict->outcome), "reason",
					   verdict->reason);
		output_json(object);
		json_decref(object);
	}
	json_decref(list);
	verdict_free(verdict);
	return rc;
}

const struct command cmd_report = {
	.name = "report",
	.summary = "writes the report of a run: a page, a comment, a CI result, a chat message",
	.arguments = "RUN",
	.arguments_min = 1,
	.arguments_max = 1,
	.options = options,
	.run = run,
	.docs = "Writes the report from RUN/verdict.json, and nothing else, in each --format and prints the paths. "
		"html "
		"is one self-contained page without a script: banner, stall timeline, queries, stalls, errors, who is "
		"hurt, the migration's statements, fidelity, environment, thresholds, what could not be told and was "
		"not "
		"tested, and a form for a council's decision. markdown is a comment for a pull request, junit a result "
		"for a CI server, slack a message for a chat. No report shows the value of a statement. A run that has "
		"no verdict yet is judged first, with the default thresholds.\n\n--notify posts the slack message to a "
		"webhook. It is tried four times; what goes wrong is a warning unless --notify-required is given.\n\n"
		"The exit code is 0 when the report was written, whatever it says.",
	.examples = "rehearse report runs/42\nrehearse report runs/42 --format html --format junit\n"
		    "rehearse report runs/42 --format markdown -o - | gh pr comment 42 --body-file -",
};
