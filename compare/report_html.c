/*
 * The report as one HTML file: see report_html.h. This file knows the order of the page; what a section says is in the
 * files named beside it.
 */
#include "report_html.h"

#include "html_text.h"
#include "out_file.h"
#include "report_sections.h"
#include "report_style.h"
#include "report_svg.h"

/* From what a reader has to know within ten seconds to what only a doubt makes one look up. */
static const struct report_section sections[] = {
	{"verdict", NULL, report_add_banner},
	{"tiles", NULL, report_add_tiles},
	{"timeline", NULL, report_svg_timeline},
	{"hint", NULL, report_add_hint},
	{"stalls", "Stalls", report_add_stalls},
	{"errors", "Errors", report_add_errors},
	{"queries", "Queries", report_add_queries},
	{"migration", "Migration", report_add_migration},
	{"fidelity", "Fidelity of the replay", report_add_fidelity},
	{"windows", "Windows", report_add_windows},
	{"environment", "Environment", report_add_environment},
	{"thresholds", "Thresholds as evaluated", report_add_thresholds},
	{"untested", "Not tested", report_add_untested},
};

static void add_head(const struct verdict *verdict, struct strbuf *out)
{
	const json_t *environment = json_object_get(verdict->document, "environment");
	strbuf_add_str(out,
		       "<!DOCTYPE html><html lang=\"en\"><head><meta charset=\"utf-8\"><meta name=\"viewport\" "
		       "content=\"width=device-width,initial-scale=1\"><meta name=\"color-scheme\" content=\"light "
		       "dark\"><link rel=\"icon\" href=\"data:,\"><title>Rehearse: ");
	strbuf_add_str(out, verdict_outcome_name(verdict->outcome));
	strbuf_add_str(out, "</title><style>");
	strbuf_add_str(out, report_style);
	strbuf_add_str(out, "</style></head><body><main><h1>Rehearsal of a migration, ");
	html_add_text(out, html_text_of(environment, "start_time"));
	const char *path = html_text_of(json_object_get(environment, "replay_file"), "path");
	const char *slash = strrchr(path, '/');
	path = slash ? slash + 1 : path;
	if (*path) {
		strbuf_add_str(out, ", traffic of ");
		html_add_text(out, path);
	}
	strbuf_add_str(out, "</h1>");
}

int report_html_write(const struct verdict *verdict, struct strbuf *out, struct error *err)
{
	const json_t *document = verdict->document;
	add_head(verdict, out);
	for (size_t i = 0; i < sizeof(sections) / sizeof(*sections); i++) {
		if (sections[i].title)
			strbuf_addf(out, "<h2 id=\"%s\">%s</h2>", sections[i].id, sections[i].title);
		sections[i].write(document, out);
	}
	strbuf_add_str(out, "<footer>Made by rehearse from verdict.json. Statements are shown without their values. ");
	html_add_text(out, html_text_of(json_object_get(document, "noise_floor"), "alarm_rate_note"));
	strbuf_add_str(out, "</footer></main></body></html>\n");
	if (out->overflow)
		return error_set(err, ERR_INTERNAL, "the report would be larger than %zu bytes", out->max);
	return 0;
}

int report_html_save(const struct verdict *verdict, const char *path, struct error *err)
{
	struct strbuf page;
	strbuf_init(&page, REPORT_HTML_MAX);
	int rc = report_html_write(verdict, &page, err);
	if (rc == 0)
		rc = out_file_save(path, page.data, page.len, err);
	strbuf_release(&page);
	return rc;
}
