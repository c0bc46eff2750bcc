/* What the migration's statements did: see report_sections.h. */
#include "report_sections.h"

#include "html_text.h"
#include "report_parts.h"

void report_add_migration(const json_t *document, struct strbuf *out)
{
	size_t i;
	const json_t *s;
	const json_t *list = json_object_get(document, "migration");
	if (json_array_size(list) == 0) {
		report_add_none(out, "There was no migration.");
		return;
	}
	report_table_open(out, "migration", "statement|#from|#took|locks: mode, waited, held|rewrote|#WAL|#size|error");
	json_array_foreach (list, i, s) {
		size_t k;
		const json_t *item;
		strbuf_add_str(out, "<tr>");
		report_cell_sql(out, html_text_of(s, "sql"));
		strbuf_addf(out, "<td class=\"n\">%.3f s</td>", html_number_of(s, "start_s"));
		report_cell_ms(out, 1000 * (html_number_of(s, "end_s") - html_number_of(s, "start_s")));
		strbuf_add_str(out, "<td class=\"q\">");
		json_array_foreach (json_object_get(s, "locks"), k, item) {
			strbuf_add_str(out, k ? "<br>" : "");
			html_add_text(out, html_text_of(item, "relation"));
			strbuf_add_str(out, " ");
			html_add_text(out, html_text_of(item, "mode"));
			strbuf_add_str(out, ", ");
			html_add_ms(out, html_number_of(item, "waited_ms"));
			strbuf_add_str(out, ", ");
			html_add_ms(out, html_number_of(item, "held_ms"));
		}
		strbuf_add_str(out, "</td><td>");
		json_array_foreach (json_object_get(s, "rewrite"), k, item) {
			strbuf_add_str(out, k ? "<br>" : "");
			html_add_text(out, json_string_value(item) ? json_string_value(item) : "");
		}
		strbuf_add_str(out, "</td><td class=\"n\">");
		html_add_bytes(out, json_object_get(s, "wal_bytes"), 0);
		strbuf_add_str(out, "</td><td class=\"n\">");
		html_add_bytes(out, json_object_get(s, "size_delta_bytes"), 1);
		strbuf_add_str(out, "</td><td>");
		html_add_text(out, html_text_of(json_object_get(s, "error"), "sqlstate"));
		strbuf_add_str(out, " ");
		html_add_text(out, html_text_of(json_object_get(s, "error"), "message"));
		strbuf_add_str(out, "</td></tr>");
	}
	report_table_close(out);
}
