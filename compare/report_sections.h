/*
 * The report's sections. Each is one function that appends its part of the page, made from verdict.json's document
 * alone; fields that are not there count as empty. The table in report_html.c says where each stands, and gives it its
 * heading.
 */
#ifndef REPORT_SECTIONS_H
#define REPORT_SECTIONS_H

#include "strbuf.h"

#include <jansson.h>

struct report_section {
	const char *id;	   /* of the heading, which names the section's first table too */
	const char *title; /* NULL: it is of the first screen, and brings a heading of its own if it needs one */
	void (*write)(const json_t *document, struct strbuf *out);
};

/* report_verdict.c */
void report_add_banner(const json_t *document, struct strbuf *out);
void report_add_tiles(const json_t *document, struct strbuf *out);
void report_add_hint(const json_t *document, struct strbuf *out);
/* report_stalls.c */
void report_add_stalls(const json_t *document, struct strbuf *out);
/* report_errors.c */
void report_add_errors(const json_t *document, struct strbuf *out);
void report_add_who(const json_t *document, struct strbuf *out);
/* report_queries.c */
void report_add_queries(const json_t *document, struct strbuf *out);
void report_add_undecided(const json_t *document, struct strbuf *out);
/* report_migration.c */
void report_add_migration(const json_t *document, struct strbuf *out);
/* report_health.c */
void report_add_health(const json_t *document, struct strbuf *out);
/* report_run.c */
void report_add_data(const json_t *document, struct strbuf *out);
void report_add_fidelity(const json_t *document, struct strbuf *out);
void report_add_windows(const json_t *document, struct strbuf *out);
void report_add_environment(const json_t *document, struct strbuf *out);
void report_add_thresholds(const json_t *document, struct strbuf *out);
void report_add_untested(const json_t *document, struct strbuf *out);
/* report_council.c */
void report_add_council(const json_t *document, struct strbuf *out);

#endif
