/*
 * The report as one HTML file: see report_html.h. This file knows the order of the page; what a section says is in the
 * files named beside it.
 */
#include "report_html.h"

#include "html_text.h"
#include "out_file.h"
#include "report_checks.h"
#include "report_facts.h"
#include "report_parts.h"
#include "report_sections.h"
#include "report_style.h"
#include "report_svg.h"

/* From what a reader has to know within ten seconds to what only a doubt makes one look up; what is signed is last. */
static const struct report_section sections[] = {
	{"verdict", NULL, report_add_banner},
	{"tiles", NULL, report_add_tiles},
	{"timeline", NULL, report_svg_timeline},
	{"hint", NULL, report_add_hint},
	{"queries", "Queries", report_add_queries},
	{"stalls", "Stalls", report_add_stalls},
	{"errors", "Errors", report_add_errors},
	{"who", "Who is hurt", report_add_who},
	{"migration", "Migration", report_add_migration},
	{"data", "Results and rows", report_add_data},
	{"checks", "Rollback, schema and data", report_add_checks},
	{"health", "Health of the servers", report_add_health},
	{"fidelity", "Fidelity of the replay", report_add_fidelity},
	{"windows", "Windows", report_add_windows},
	{"environment", "Environment", report_add_environment},
	{"thresholds", "Thresholds as evaluated", report_add_thresholds},
	{"undecided", "Cannot tell", report_add_undecided},
	{"untested", "Not tested", report_add_untested},
	{"council", "Council decision", report_add_council},
};
#define SECTIONS (sizeof(sections) / sizeof(*sections))

/* Of the title; the whole id is where it is signed for. */
#define COMMIT_SHOWN 12

/* Room kept for what comes behind a section, and behind the last: one that would leave less is said to be too long. */
#define ROOM_BEHIND ((size_t)64 * 1024)
#define ROOM_AT_END ((size_t)16 * 1024)

static void add_head(const struct verdict *verdict, struct strbuf *out)
{
	/* No policy is needed to keep a page without scripts from the network; it makes sure. */
	strbuf_add_str(out,
		       "<!DOCTYPE html><html lang=\"en\"><head><meta charset=\"utf-8\"><meta name=\"viewport\" "
		       "content=\"width=device-width,initial-scale=1\"><meta name=\"color-scheme\" content=\"light "
		       "dark\"><meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src "
		       "'unsafe-inline'; img-src data:; form-action 'none'; base-uri 'none'\"><link rel=\"icon\" "
		       "href=\"data:,\"><title>Rehearse: ");
	strbuf_add_str(out, verdict_outcome_name(verdict->outcome));
	strbuf_add_str(out, "</title><style>");
	strbuf_add_str(out, report_style);
	strbuf_add_str(out, "</style></head><body>");
}

static void add_title(const json_t *document, struct strbuf *out)
{
	const json_t *environment = json_object_get(document, "environment");
	const char *commit = html_text_of(environment, "commit");
	const char *replay = report_replay_name(document);
	strbuf_add_str(out, "<header><h1>Rehearsal of a migration, ");
	html_add_cut(out, html_text_of(environment, "start_time"), REPORT_CELL_MAX);
	if (*replay) {
		strbuf_add_str(out, ", traffic of ");
		html_add_cut(out, replay, REPORT_CELL_MAX);
	}
	if (*commit) {
		strbuf_add_str(out, ", commit ");
		html_add_cut(out, commit, COMMIT_SHOWN);
	}
	strbuf_add_str(out, "</h1></header>");
}

/* The way to the sections, behind the first screen. */
static void add_contents(struct strbuf *out)
{
	strbuf_add_str(out, "<nav aria-label=\"Sections\"><ul>");
	for (size_t i = 0; i < SECTIONS; i++) {
		if (sections[i].title)
			strbuf_addf(out, "<li><a href=\"#%s\">%s</a></li>", sections[i].id, sections[i].title);
	}
	strbuf_add_str(out, "</ul></nav>");
}

static void add_section(const struct report_section *section, const json_t *document, struct strbuf *out)
{
	struct strbuf part;
	size_t room = section == &sections[SECTIONS - 1] ? ROOM_AT_END : ROOM_BEHIND;
	strbuf_init(&part, out->max > out->len + room ? out->max - out->len - room : 0);
	section->write(document, &part);
	if (section->title)
		strbuf_addf(out, "<section aria-labelledby=\"%s\"><h2 id=\"%s\">%s</h2>", section->id, section->id,
			    section->title);
	if (part.overflow)
		report_add_none(out, "Too long for this page: see verdict.json.");
	else
		strbuf_add(out, part.data, part.len);
	if (section->title)
		strbuf_add_str(out, "</section>");
	strbuf_release(&part);
}

int report_html_write(const struct verdict *verdict, struct strbuf *out, struct error *err)
{
	const json_t *document = verdict->document;
	bool contents = false;
	add_head(verdict, out);
	add_title(document, out);
	strbuf_add_str(out, "<main>");
	for (size_t i = 0; i < SECTIONS; i++) {
		if (sections[i].title && !contents)
			add_contents(out);
		contents |= sections[i].title != NULL;
		add_section(&sections[i], document, out);
	}
	strbuf_add_str(out, "</main><footer>Made by rehearse from verdict.json. Statements are shown without their "
			    "values. ");
	html_add_cut(out, html_text_of(json_object_get(document, "noise_floor"), "alarm_rate_note"), REPORT_CELL_MAX);
	strbuf_add_str(out, "</footer></body></html>\n");
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
