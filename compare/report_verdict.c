/* The first screen: banner, four tiles, and below the timeline what usually helps. See report_sections.h. */
#include "report_sections.h"

#include "html_text.h"
#include "report_facts.h"
#include "report_parts.h"

#define NAME_SHOWN 120
#define SQL_SHOWN  48

void report_add_banner(const json_t *document, struct strbuf *out)
{
	static const char *const icons[] = {"M4 12l5 6L20 5", "M5 5l14 14M19 5L5 19",
					    "M8 8a4 4 0 1 1 5 4c-1 .5-1 1-1 3M12 19v1", "M12 3v11M12 18v3"};
	enum verdict_outcome outcome = report_outcome(document);
	strbuf_addf(out,
		    "<section class=\"banner %s\" aria-labelledby=\"verdict\"><h2 id=\"verdict\" class=\"word\"><svg "
		    "viewBox=\"0 0 24 24\" "
		    "aria-hidden=\"true\"><path d=\"%s\" fill=\"none\" stroke=\"currentColor\" stroke-width=\"3\" "
		    "stroke-linecap=\"round\" stroke-linejoin=\"round\"/></svg>%s</h2><p>",
		    verdict_outcome_name(outcome), icons[outcome], report_outcome_word(outcome));
	report_add_sentence(out, html_text_of(document, "reason"));
	strbuf_add_str(out, "</p></section>");
}

/* A tile: what it is about, the figure, and below it a line that explains. */
static void tile_open(struct strbuf *out, const char *label)
{
	strbuf_addf(out, "<div class=\"tile\"><dt>%s</dt><dd class=\"v\">", label);
}

static void tile_explain(struct strbuf *out)
{
	strbuf_add_str(out, "</dd><dd class=\"s\">");
}

static void tile_close(struct strbuf *out)
{
	strbuf_add_str(out, "</dd></div>");
}

static void tile_stall(const json_t *document, struct strbuf *out)
{
	const json_t *stall = report_longest_stall(document);
	tile_open(out, "Longest stall");
	if (stall) {
		html_add_ms(out, html_number_of(stall, "duration_ms"));
		tile_explain(out);
		html_add_cut(out, html_text_of(stall, "relation"), NAME_SHOWN);
		strbuf_add_str(out, ", ");
		html_add_count(out, stall, "victims", "statement");
	} else {
		strbuf_add_str(out, "none");
		tile_explain(out);
		strbuf_add_str(out, "nobody waited for the migration");
	}
	tile_close(out);
}

static void tile_errors(const json_t *document, struct strbuf *out)
{
	const char *code;
	tile_open(out, "New errors");
	html_add_number(out, report_new_errors(document, &code));
	tile_explain(out);
	strbuf_add_str(out, *code ? "first " : "none because of the migration");
	html_add_cut(out, code, NAME_SHOWN);
	tile_close(out);
}

static void tile_ratio(const json_t *document, struct strbuf *out)
{
	const json_t *worst = report_worst_query(document);
	tile_open(out, "Worst query");
	if (worst) {
		strbuf_addf(out, "× %.2f", html_number_of(worst, "ratio"));
		tile_explain(out);
		strbuf_addf(out, "%.2f to %.2f: <code>", html_number_of(worst, "ci_low"),
			    html_number_of(worst, "ci_high"));
		html_add_cut(out, html_text_of(worst, "sql"), SQL_SHOWN);
		strbuf_add_str(out, "</code>");
	} else {
		strbuf_add_str(out, "undecided");
		tile_explain(out);
		strbuf_add_str(out, "too few executions in time");
	}
	tile_close(out);
}

static void tile_fidelity(const json_t *document, struct strbuf *out)
{
	const json_t *fidelity = json_object_get(document, "fidelity");
	tile_open(out, "Fidelity");
	html_add_cut(out, html_text_of(fidelity, "grade"), NAME_SHOWN);
	tile_explain(out);
	strbuf_addf(out, "%.0f statements on both lanes", html_number_of(fidelity, "statements"));
	tile_close(out);
}

void report_add_tiles(const json_t *document, struct strbuf *out)
{
	strbuf_add_str(out, "<section aria-label=\"At a glance\"><dl class=\"tiles\">");
	tile_stall(document, out);
	tile_errors(document, out);
	tile_ratio(document, out);
	tile_fidelity(document, out);
	strbuf_add_str(out, "</dl></section>");
}

void report_add_hint(const json_t *document, struct strbuf *out)
{
	const char *hint = report_hint(document);
	if (hint)
		strbuf_addf(out, "<p class=\"hint\"><strong>What usually helps:</strong> %s</p>", hint);
}
