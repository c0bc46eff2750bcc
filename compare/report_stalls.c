/* Who was locked out, by whom, for how long: see report_sections.h. */
#include "report_sections.h"

#include "html_text.h"
#include "report_parts.h"

#define CHAIN_MAX   10
#define NAME_SHOWN  120
#define CHANNEL_MAX 8

static void add_link(const json_t *link, struct strbuf *out)
{
	html_add_cut(out, html_text_of(link, "role"), NAME_SHOWN);
	strbuf_add_str(out, ": ");
	html_add_cut(out, html_text_of(link, "who"), NAME_SHOWN);
	if (*html_text_of(link, "application")) {
		strbuf_add_str(out, " of ");
		html_add_cut(out, html_text_of(link, "application"), NAME_SHOWN);
	}
	if (json_is_true(json_object_get(link, "idle_in_transaction")))
		strbuf_add_str(out, ", idle in a transaction behind");
	strbuf_add_str(out, " <code>");
	html_add_cut(out, html_text_of(link, "sql"), NAME_SHOWN);
	strbuf_add_str(out, "</code>");
}

static void add_chain(const json_t *stall, struct strbuf *out)
{
	size_t i;
	const json_t *link;
	strbuf_add_str(out, "<td class=\"q\">");
	json_array_foreach (json_object_get(stall, "chain"), i, link) {
		strbuf_add_str(out, i ? "<br>" : "");
		if (i == CHAIN_MAX) {
			strbuf_add_str(out, "…");
			break;
		}
		add_link(link, out);
	}
	strbuf_add_str(out, "</td>");
}

static void add_channels(const json_t *stall, struct strbuf *out)
{
	size_t i;
	const json_t *channel;
	strbuf_add_str(out, "<td>");
	json_array_foreach (json_object_get(stall, "channels"), i, channel) {
		if (i == CHANNEL_MAX)
			break;
		strbuf_add_str(out, i ? ", " : "");
		html_add_cut(out, json_string_value(channel) ? json_string_value(channel) : "", NAME_SHOWN);
	}
	strbuf_add_str(out, "</td>");
}

static void stall_row(const json_t *stall, struct strbuf *out)
{
	report_cell_text(out, *html_text_of(stall, "relation") ? html_text_of(stall, "relation") : "(rows)");
	report_cell_text(out, html_text_of(stall, "mode"));
	report_cell_time(out, json_object_get(stall, "start_s"));
	report_cell_ms(out, html_number_of(stall, "duration_ms"));
	report_cell_number(out, html_number_of(stall, "victims"));
	report_cell_number(out, html_number_of(stall, "timed_out"));
	strbuf_add_str(out, "<td class=\"n\">");
	html_add_number(out, html_number_of(stall, "blocked_query_s"));
	strbuf_add_str(out, " query-s</td>");
	report_cell_ms(out, html_number_of(stall, "longest_wait_ms"));
	add_chain(stall, out);
	add_channels(stall, out);
}

static void exposure_row(const json_t *exposure, struct strbuf *out)
{
	report_cell_text(out, html_text_of(exposure, "relation"));
	report_cell_text(out, html_text_of(exposure, "mode"));
	report_cell_time(out, json_object_get(exposure, "start_s"));
	report_cell_ms(out, html_number_of(exposure, "held_ms"));
}

void report_add_stalls(const json_t *document, struct strbuf *out)
{
	const json_t *exposures = json_object_get(document, "exposures");
	if (!report_table_add(out, "stalls",
			      "relation|lock|#from|#length|#victims|#timed out|#waited|#longest wait|"
			      "who stood before them|seen by",
			      json_object_get(document, "stalls"), html_number_of(document, "stalls_total"), NULL,
			      stall_row))
		report_add_none(out, "Nobody waited for a lock of the migration.");
	if (json_array_size(exposures) == 0)
		return;
	strbuf_add_str(out, "<h3 id=\"exposures\">Exposures: held long, and no recorded statement ran into it</h3>");
	(void)report_table_add(out, "exposures", "relation|lock|#from|#held", exposures, 0, NULL, exposure_row);
}
