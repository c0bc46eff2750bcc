/* rehearse report: the report of a run as one HTML file. */
#include "commands.h"
#include "mem.h"
#include "output.h"
#include "report_html.h"
#include "run_dir.h"
#include "verdict.h"

#include <unistd.h>

static const char *output_path;

static const struct option options[] = {
	OPT_STRING('o', "output", &output_path, "FILE", "where the report goes", .standard_note = "RUN/report.html"),
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

static int run(const struct command_call *call, struct error *err)
{
	struct verdict *verdict = NULL;
	const char *dir = call->arguments[0];
	int rc = load_or_judge(dir, &verdict, err);
	if (rc < 0)
		return rc;
	char *path = output_path ? mem_strdup(output_path) : run_dir_path(dir, RUN_FILE_HTML);
	rc = report_html_save(verdict, path, err);
	if (rc == 0) {
		json_t *object =
			json_pack("{s:s, s:s, s:s, s:s}", "schema", "rehearse.report/1", "report", path, "outcome",
				  verdict_outcome_name(verdict->outcome), "reason", verdict->reason);
		output_text("%s\n", path);
		output_json(object);
		json_decref(object);
	}
	free(path);
	verdict_free(verdict);
	return rc;
}

const struct command cmd_report = {
	.name = "report",
	.summary = "writes the report of a run as one HTML file",
	.arguments = "RUN",
	.arguments_min = 1,
	.arguments_max = 1,
	.options = options,
	.run = run,
	.docs = "Writes one self-contained HTML page from RUN/verdict.json and prints its path: banner, stall "
		"timeline, "
		"stalls, errors, queries, the migration's statements, fidelity, environment, thresholds, and what was "
		"not "
		"tested. No script, no network. A run that has no verdict yet is judged first, with the default "
		"thresholds.\n\nThe exit code is 0 when the report was written, whatever it says.",
	.examples = "rehearse report runs/42\nrehearse report runs/42 -o /tmp/report.html",
};
