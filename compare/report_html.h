/*
 * The report as one HTML file: no script, no font, no picture from elsewhere, so that it can be mailed, archived and
 * printed. Made from verdict.json alone.
 */
#ifndef REPORT_HTML_H
#define REPORT_HTML_H

#include "strbuf.h"
#include "verdict.h"

/* A report is smaller: that of any run, because verdict.json is bounded. */
#define REPORT_HTML_MAX ((size_t)3 * 1024 * 1024)

/* Appends the page. ERR_INTERNAL when it would pass out's ceiling. */
int report_html_write(const struct verdict *verdict, struct strbuf *out, struct error *err);
/* … into a file, under a temporary name first. */
int report_html_save(const struct verdict *verdict, const char *path, struct error *err);

#endif
