/*
 * The verdict on a run: what verdict.json says (docs/verdict.md), how it is reached from a run directory, and the few
 * lines that a terminal shows of it. Reports are made from the document alone.
 */
#ifndef VERDICT_H
#define VERDICT_H

#include "error.h"
#include "rollout.h"
#include "strbuf.h"
#include "thresholds.h"

#include <jansson.h>
#include <stdbool.h>

#define VERDICT_SCHEMA "rehearse.verdict/1"

/* The values are the exit codes. */
enum verdict_outcome {
	VERDICT_CLEAR,
	VERDICT_HURTS,
	VERDICT_CANNOT_TELL,
	VERDICT_INVALID
};
/* "clear", "hurts", "cannot_tell", "invalid" */
const char *verdict_outcome_name(enum verdict_outcome outcome);

struct judge_options {
	const struct thresholds *thresholds; /* NULL: the defaults */
	const struct rollout *rollout;	     /* NULL: nothing is known of it */
	bool strict;			     /* an undecided fingerprint makes the outcome cannot_tell */
};

struct verdict {
	enum verdict_outcome outcome;
	const char *reason; /* one sentence; of the document */
	json_t *document;
};

/*
 * Judges a run directory; *out is to be freed. Options may be NULL. ERR_USAGE for a run on one lane, ERR_DATA for a
 * folder that is no run or a file of it that is damaged.
 */
int verdict_judge(const char *run_dir, const struct judge_options *options, struct verdict **out, struct error *err);
/* Writes verdict.json into the run directory, under a temporary name first. */
int verdict_save(const struct verdict *verdict, const char *run_dir, struct error *err);
/* Reads it back. ERR_DATA when it is not there, or no verdict. */
int verdict_load(const char *run_dir, struct verdict **out, struct error *err);
void verdict_free(struct verdict *verdict);

/* The verdict in about twenty lines of text, without colours. */
void verdict_print_summary(const struct verdict *verdict, struct strbuf *out);

#endif
