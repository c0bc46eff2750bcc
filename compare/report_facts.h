/*
 * What every report says first, picked out of verdict.json's document once: the longest stall, the errors that are the
 * migration's, the worst query, what usually helps. Pointers are into the document.
 */
#ifndef REPORT_FACTS_H
#define REPORT_FACTS_H

#include "strbuf.h"
#include "verdict.h"

#include <jansson.h>
#include <stdbool.h>

/* VERDICT_INVALID for a document without an outcome. */
enum verdict_outcome report_outcome(const json_t *document);
/* "Clear", "Hurts", "Cannot tell", "Invalid run" */
const char *report_outcome_word(enum verdict_outcome outcome);
/* NULL when there is none. */
const json_t *report_longest_stall(const json_t *document);
/* How many errors are the migration's, and the code of the first; "" without one. */
double report_new_errors(const json_t *document, const char **first_code);
/* The worst that was found; without one the largest ratio among those decided; NULL when none is. */
const json_t *report_worst_query(const json_t *document);
/* "hurts" or "slower" */
bool report_query_is_found(const json_t *query);
/* A rule of this name warns or fails. */
bool report_rule_fires(const json_t *document, const char *name);
/* What usually helps against what was measured, NULL when nothing was. */
const char *report_hint(const json_t *document);
/* The strongest lock of a statement of the migration, "" for none. */
const char *report_strongest_mode(const json_t *statement);
/* When its locks were released, and it itself was over. */
double report_statement_end_s(const json_t *statement);
/*
 * How much a reader has to know of a statement: by the strength of its locks, then by how long they or it lasted. A
 * tool's own SET and SELECT come last.
 */
double report_statement_weight(const json_t *statement);
/* It locked strongly, failed, wrote a relation anew, or took a tenth of a second. */
bool report_statement_matters(const json_t *statement);
/* Seconds from the migration's start to its end, without measuring; negative without a migration. */
double report_migration_s(const json_t *document);
/* The replay file's name without its folder, "" when it is not known. */
const char *report_replay_name(const json_t *document);
/* The command that makes such a run again, with what only the user knows in capitals. */
void report_add_command(const json_t *document, struct strbuf *out);

#endif
