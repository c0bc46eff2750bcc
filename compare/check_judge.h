/*
 * What the checks found (check_results.h), as findings against rules, and as the part of verdict.json that tells it. A
 * loss is the migration's when no statement of anybody's explains it: what an UPDATE or DELETE of the migration did is
 * told, because that was its purpose; what a change of type did to values was nobody's (docs/rollback-and-data.md).
 */
#ifndef CHECK_JUDGE_H
#define CHECK_JUDGE_H

#include "check_results.h"
#include "error.h"

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

/* A value for a rule of thresholds.h. */
struct check_finding {
	const char *rule;
	char *entity;
	double value;
	char *sentence; /* for the reason, should it not pass; NULL where nothing was found */
};

struct check_judge {
	struct check_results results;
	bool there; /* checks were asked for */
	struct check_finding *findings;
	size_t count;
	size_t capacity;
	const char **rules; /* for each entry of the data, the rule that it counts for; NULL: it is told */
};

/* Reads RUN/checks.json, if there is one, and weighs it. The caller releases *judge whatever the result. */
int check_judge_load(struct check_judge *judge, const char *run_dir, struct error *err);
void check_judge_release(struct check_judge *judge);
/* A sentence for the reason of a clear run: what the rollback was seen to do; to be freed, NULL when there was none. */
char *check_judge_praise(const struct check_judge *judge);
/* Why a rollback that was asked for was not seen; to be freed, NULL when it was, or was not asked for. */
char *check_judge_blindness(const struct check_judge *judge);

/* Appends to verdict.json's data_checks[]; result_of() says how a finding's rule came out, by rule and entity. */
typedef const char *(*check_result_fn)(const void *context, const char *rule, const char *entity);
void check_judge_add_data(const struct check_judge *judge, json_t *list, check_result_fn result_of,
			  const void *context);
/* verdict.json's rollback{} and schema_changes{}: new references, null when there were no checks. */
json_t *check_judge_rollback_json(const struct check_judge *judge);
json_t *check_judge_schema_json(const struct check_judge *judge);
/* Appends {what, why} of what was not checked to untested[]. */
void check_judge_add_untested(const struct check_judge *judge, json_t *list);

#endif
