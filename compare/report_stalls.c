/* Who was locked out, by whom, for how long: see report_sections.h. */
#include "report_sections.h"

#include "html_text.h"
#include "report_parts.h"

static void add_chain(const json_t *stall, struct strbuf *out)
{
	size_t i;
	const json_t *link;
	strbuf_add_str(out, "<td class=\"q\">");
	json_array_foreach (json_object_get(stall, "chain"), i, link) {
		if (i)
			strbuf_add_str(out, "<br>");
		html_add_text(out, html_text_of(link, "role"));
		strbuf_add_str(out, ": ");
		html_add_text(out, html_text_of(link, "who"));
		if (*html_text_of(link, "application")) {
			strbuf_add_str(out, " of ");
			html_add_text(out, html_text_of(link, "application"));
		}
		if (json_is_true(json_object_get(link, "idle_in_transaction")))
			strbuf_add_str(out, ", idle in a transaction behind");
		strbuf_add_str(out, " <code>");
		html_add_cut(out, html_text_of(link, "sql"), 120);
		strbuf_add_str(out, "</code>");
	}
	strbuf_add_str(out, "</td>");
}

void report_add_stalls(const json_t *document, struct strbuf *out)
{
	size_t i;
	const json_t *item;
	const json_t *stalls = json_object_get(document, "stalls");
	const json_t *exposures = json_object_get(document, "exposures");
	if (json_array_size(stalls) == 0) {
		report_add_none(out, "Nobody waited for a lock of the migration.");
	} else {
		report_table_open(
			out, "stalls",
			"relation|lock|#from|#length|#victims|#timed out|#waited|#longest wait|who stood before "
			"them|seen "
			"by");
		json_array_foreach (stalls, i, item) {
			strbuf_add_str(out, "<tr>");
			report_cell_text(out,
					 *html_text_of(item, "relation") ? html_text_of(item, "relation") : "(rows)");
			report_cell_text(out, html_text_of(item, "mode"));
			strbuf_addf(out, "<td class=\"n\">%.3f s</td>", html_number_of(item, "start_s"));
			report_cell_ms(out, html_number_of(item, "duration_ms"));
			report_cell_number(out, html_number_of(item, "victims"));
			report_cell_number(out, html_number_of(item, "timed_out"));
			strbuf_add_str(out, "<td class=\"n\">");
			html_add_number(out, html_number_of(item, "blocked_query_s"));
			strbuf_add_str(out, " query-s</td>");
			report_cell_ms(out, html_number_of(item, "longest_wait_ms"));
			add_chain(item, out);
			strbuf_add_str(out, "<td>");
			size_t c;
			const json_t *channel;
			json_array_foreach (json_object_get(item, "channels"), c, channel) {
				strbuf_add_str(out, c ? ", " : "");
				html_add_text(out, json_string_value(channel) ? json_string_value(channel) : "");
			}
			strbuf_add_str(out, "</td></tr>");
		}
		report_table_close(out);
		if (html_number_of(document, "stalls_total") > (double)json_array_size(stalls))
			strbuf_addf(out, "<p class=\"soft\">The first %zu of %.0f.</p>", json_array_size(stalls),
				    html_number_of(document, "stalls_total"));
	}
	if (json_array_size(exposures) == 0)
		return;
	strbuf_add_str(out, "<h3 id=\"exposures\">Exposures: held long, and no recorded statement ran into it</h3>");
	report_table_open(out, "exposures", "relation|lock|#from|#held");
	json_array_foreach (exposures, i, item) {
		strbuf_add_str(out, "<tr>");
		report_cell_text(out, html_text_of(item, "relation"));
		report_cell_text(out, html_text_of(item, "mode"));
		strbuf_addf(out, "<td class=\"n\">%.3f s</td>", html_number_of(item, "start_s"));
		report_cell_ms(out, html_number_of(item, "held_ms"));
		strbuf_add_str(out, "</tr>");
	}
	report_table_close(out);
}
