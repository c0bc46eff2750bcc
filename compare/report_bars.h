/*
 * The migration's statements as bars, the timeline's first band (report_svg.h). A tool's migration may have hundreds:
 * those that matter most get a row each, with their text; the others share the last row.
 */
#ifndef REPORT_BARS_H
#define REPORT_BARS_H

#include "strbuf.h"

#include <jansson.h>

#define REPORT_BAR_HEIGHT 18.0

/* Where the band stands, and how time becomes x. */
struct report_bars {
	double y;
	double left; /* x of the run's start */
	double right;
	double span_s;
};

/* How many rows the statements take. */
size_t report_bars_rows(const json_t *statements);
void report_bars_add(const struct report_bars *bars, const json_t *statements, struct strbuf *out);

#endif
