/* The verdict on a run: see verdict.h. */
#include "verdict.h"

#include "json_file.h"
#include "judgement.h"
#include "mem.h"
#include "run_dir.h"

static const char *const outcome_names[] = {"clear", "hurts", "cannot_tell", "invalid"};

const char *verdict_outcome_name(enum verdict_outcome outcome)
{
	return outcome_names[outcome];
}

/* Takes the reference. NULL when the document is no verdict. */
static struct verdict *wrap(json_t *document)
{
	const char *schema = json_string_value(json_object_get(document, "schema"));
	const char *outcome = json_string_value(json_object_get(document, "outcome"));
	const char *reason = json_string_value(json_object_get(document, "reason"));
	for (int i = 0; schema && outcome && reason && strcmp(schema, VERDICT_SCHEMA) == 0 && i < 4; i++) {
		if (strcmp(outcome, outcome_names[i]) != 0)
			continue;
		struct verdict *verdict = mem_zalloc(1, sizeof(*verdict));
		*verdict = (struct verdict){(enum verdict_outcome)i, reason, document};
		return verdict;
	}
	json_decref(document);
	return NULL;
}

int verdict_judge(const char *run_dir, const struct judge_options *options, struct verdict **out, struct error *err)
{
	struct judgement j;
	int rc = judgement_run(&j, run_dir, options, err);
	if (rc == 0) {
		judgement_apply_rules(&j);
		judgement_decide(&j);
		*out = wrap(judgement_to_json(&j));
		if (!*out)
			rc = error_set(err, ERR_INTERNAL, "%s: the verdict cannot be written as JSON", run_dir);
	}
	judgement_release(&j);
	return rc;
}

int verdict_save(const struct verdict *verdict, const char *run_dir, struct error *err)
{
	char *path = run_dir_path(run_dir, RUN_FILE_VERDICT);
	int rc = json_file_save(path, verdict->document, err);
	free(path);
	return rc;
}

int verdict_load(const char *run_dir, struct verdict **out, struct error *err)
{
	json_t *document;
	char *path = run_dir_path(run_dir, RUN_FILE_VERDICT);
	int rc = json_file_load(path, &document, err);
	if (rc == 0) {
		*out = wrap(document);
		if (!*out)
			rc = error_set(err, ERR_DATA, "%s: is no verdict of the schema %s", path, VERDICT_SCHEMA);
	}
	free(path);
	return rc;
}

void verdict_free(struct verdict *verdict)
{
	if (!verdict)
		return;
	json_decref(verdict->document);
	free(verdict);
}
