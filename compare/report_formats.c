/* The report's formats: see report_formats.h. */
#include "report_formats.h"

#include "out_file.h"
#include "report_html.h"
#include "run_dir.h"

static int write_html(const struct verdict *verdict, const struct report_context *context, struct strbuf *out,
		      struct error *err)
{
	(void)context;
	return report_html_write(verdict, out, err);
}

const struct report_format report_formats[REPORT_FORMATS] = {
	{"html", RUN_FILE_HTML, REPORT_HTML_MAX, write_html},
	{"markdown", RUN_FILE_MARKDOWN, 60000, report_markdown_write},
	{"junit", RUN_FILE_JUNIT, (size_t)2 * 1024 * 1024, report_junit_write},
	{"slack", RUN_FILE_SLACK, 12000, report_slack_write},
};

const struct report_format *report_format_find(const char *name)
{
	for (size_t i = 0; i < REPORT_FORMATS; i++) {
		if (strcmp(report_formats[i].name, name) == 0)
			return &report_formats[i];
	}
	return NULL;
}

int report_format_make(const struct report_format *format, const struct verdict *verdict,
		       const struct report_context *context, struct strbuf *out, struct error *err)
{
	strbuf_init(out, format->max);
	return format->write(verdict, context, out, err);
}

int report_format_save(const struct report_format *format, const struct verdict *verdict,
		       const struct report_context *context, const char *path, struct error *err)
{
	struct strbuf text;
	int rc = report_format_make(format, verdict, context, &text, err);
	if (rc == 0)
		rc = out_file_save(path, text.data, text.len, err);
	strbuf_release(&text);
	return rc;
}
