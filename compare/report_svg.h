/*
 * The stall timeline: one time axis, and on it the migration's statements as bars, the sessions blocked on the
 * migrating lane above and on the baseline mirrored below, the 99th percentile of both lanes, and ticks where
 * statements failed. Inline SVG without script; colours are classes of the page's style sheet, so that dark mode and
 * print follow.
 */
#ifndef REPORT_SVG_H
#define REPORT_SVG_H

#include "strbuf.h"

#include <jansson.h>

/* Appends the figure and its data table in a <details>. Nothing when the document has no timeline. */
void report_svg_timeline(const json_t *document, struct strbuf *out);
/* A whisker for a ratio with its interval on a fixed logarithmic axis from 0.5 to 20. */
void report_svg_whisker(double ratio, double low, double high, struct strbuf *out);

#endif
