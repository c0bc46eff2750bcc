/*
 * The roll-out in production in reports: how long the migration takes there at best, the timeouts that fit it, and the
 * blackout calendar (docs/rollout.md). From the document alone, as everything in a report.
 */
#ifndef REPORT_ROLLOUT_H
#define REPORT_ROLLOUT_H

#include "strbuf.h"

#include <jansson.h>
#include <stdbool.h>

/* Somebody said what production has, or what the deploy step allows: else a comment or a terminal need not tell. */
bool report_rollout_is_asked(const json_t *document);
/* "14 min 03 s"; "–" for what is no number. Plain text. */
void report_rollout_add_duration(struct strbuf *out, const json_t *seconds);
/* "Tue 2026-12-01 22:00" of an RFC 3339 time, as it is written there; "" for what is none. */
void report_rollout_add_moment(struct strbuf *out, const char *time);
/* The sentence of the n-th rule of that name that warns or fails, NULL behind the last. */
const char *report_rollout_finding(const json_t *document, const char *rule, size_t n);

/* HTML: a cell of the migration's table, what stands below it, and what stands above a council's decision. */
void report_rollout_cell(struct strbuf *out, const json_t *statement);
void report_add_production(const json_t *document, struct strbuf *out);
void report_rollout_add_subjects(const json_t *document, struct strbuf *out,
				 void (*add_subject)(struct strbuf *out, const char *name, const char *value));
void report_add_blackouts(const json_t *document, struct strbuf *out);

#endif
