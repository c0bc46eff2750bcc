/*
 * The health section's picture: small multiples, one little chart for each figure of verdict.json's "health", baseline
 * and migrating lane on one time axis, with the migration shaded. The tables below it are in report_health.c.
 */
#ifndef REPORT_HEALTH_H
#define REPORT_HEALTH_H

#include "strbuf.h"

#include <jansson.h>
#include <stdbool.h>

/* Appends the picture; returns how many charts it has. Without one nothing is appended. */
size_t report_health_charts(const json_t *document, struct strbuf *out);
/* True when something other than nought was seen on either lane: what is not shown is named instead. */
bool report_health_is_busy(const json_t *figure);
/* A value with its unit: "1.2 MB/s", "3.4 s", "120". */
void report_health_value(struct strbuf *out, const json_t *value, const char *unit);

#endif
