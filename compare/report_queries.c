/* What became slower, what did not, and what cannot be told: see report_sections.h. */
#include "report_sections.h"

#include "html_text.h"
#include "report_parts.h"
#include "report_svg.h"

static void add_query_row(const json_t *q, struct strbuf *out)
{
	bool has_ratio = json_is_number(json_object_get(q, "ratio"));
	strbuf_add_str(out, "<tr>");
	report_cell_sql(out, html_text_of(q, "sql"));
	report_cell_text(out, html_text_of(q, "window"));
	report_cell_number(out, html_number_of(q, "n"));
	if (has_ratio) {
		strbuf_addf(out, "<td class=\"n\">× %.2f</td><td class=\"n\">%.2f to %.2f</td><td>",
			    html_number_of(q, "ratio"), html_number_of(q, "ci_low"), html_number_of(q, "ci_high"));
		report_svg_whisker(html_number_of(q, "ratio"), html_number_of(q, "ci_low"),
				   html_number_of(q, "ci_high"), out);
		strbuf_add_str(out, "</td>");
	} else {
		strbuf_add_str(out, "<td class=\"n\">–</td><td class=\"n\">–</td><td></td>");
	}
	report_cell_ms(out, html_number_of(q, "baseline_p95_ms"));
	report_cell_ms(out, html_number_of(q, "migrating_p95_ms"));
	strbuf_addf(out, "<td class=\"n\">%.0f %%</td>", 100 * html_number_of(q, "blocked_share"));
	if (json_is_number(json_object_get(q, "smallest_effect")))
		strbuf_addf(out, "<td class=\"n\">× %.2f</td>", html_number_of(q, "smallest_effect"));
	else
		strbuf_add_str(out, "<td class=\"n\">none</td>");
	report_cell_result(out, html_text_of(q, "result"));
	strbuf_add_str(out, "</tr>");
}

/* Those accused in the open, the decided and the undecided folded, each in a table of its own. */
void report_add_queries(const json_t *document, struct strbuf *out)
{
	static const char *const heads =
		"statement|window|#n|#ratio|#95 % interval|0.5 to 20, logarithmic|#p95 baseline|#p95 "
		"migrating|#blocked|#would have seen|result";
	static const char *const titles[3] = {NULL, "Cannot tell", "Not slower"};
	static const char *const ids[3] = {"queries", "queries-undecided", "queries-clear"};
	for (int part = 0; part < 3; part++) {
		size_t i;
		size_t shown = 0;
		const json_t *q;
		json_array_foreach (json_object_get(document, "queries"), i, q) {
			const char *result = html_text_of(q, "result");
			int of = strcmp(result, "cannot_tell") == 0 ? 1 : strcmp(result, "clear") == 0 ? 2 : 0;
			if (of != part)
				continue;
			if (!shown++) {
				if (titles[part])
					strbuf_addf(out, "<details><summary id=\"%s\">%s</summary>", ids[part],
						    titles[part]);
				report_table_open(out, ids[part], heads);
			}
			add_query_row(q, out);
		}
		if (shown) {
			report_table_close(out);
			if (titles[part])
				strbuf_add_str(out, "</details>");
		} else if (part == 0) {
			report_add_none(out, "No statement became slower beyond noise and margin.");
		}
	}
	strbuf_add_str(out,
		       "<p class=\"soft\">Blocked executions are not in the ratio: they are under Stalls. \"Would have "
		       "seen\" is the smallest slowdown that this run could have shown.</p>");
}
