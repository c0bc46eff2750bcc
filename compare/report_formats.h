/*
 * The report in each of its formats: a page for people, a comment for a pull request, a result for a CI server, a
 * message for a chat. All are made from verdict.json's document alone and are bounded, whatever the document holds.
 */
#ifndef REPORT_FORMATS_H
#define REPORT_FORMATS_H

#include "error.h"
#include "strbuf.h"
#include "verdict.h"

/* What only the caller knows. May be NULL, and so may each field. */
struct report_context {
	const char *link; /* where the HTML report can be opened */
};

struct report_format {
	const char *name; /* "html", "markdown", "junit", "slack" */
	const char *file; /* its name in a run directory */
	size_t max;	  /* bytes; of the receiver: GitHub takes comments of 65,536 characters */
	/* Appends. ERR_INTERNAL when it would pass out's ceiling. */
	int (*write)(const struct verdict *verdict, const struct report_context *context, struct strbuf *out,
		     struct error *err);
};

#define REPORT_FORMATS 4
extern const struct report_format report_formats[REPORT_FORMATS];

/* NULL when there is none of that name. */
const struct report_format *report_format_find(const char *name);
/* Into a buffer, which the caller releases whatever the result. */
int report_format_make(const struct report_format *format, const struct verdict *verdict,
		       const struct report_context *context, struct strbuf *out, struct error *err);
/* … into a file, under a temporary name first. */
int report_format_save(const struct report_format *format, const struct verdict *verdict,
		       const struct report_context *context, const char *path, struct error *err);

int report_markdown_write(const struct verdict *verdict, const struct report_context *context, struct strbuf *out,
			  struct error *err);
int report_junit_write(const struct verdict *verdict, const struct report_context *context, struct strbuf *out,
		       struct error *err);
int report_slack_write(const struct verdict *verdict, const struct report_context *context, struct strbuf *out,
		       struct error *err);

#endif
