/* What failed, three ways: see report_sections.h. */
#include "report_sections.h"

#include "html_text.h"
#include "report_parts.h"

void report_add_errors(const json_t *document, struct strbuf *out)
{
	size_t i;
	const json_t *e;
	const json_t *errors = json_object_get(document, "errors");
	if (json_array_size(errors) == 0) {
		report_add_none(out, "No statement failed, neither when it was recorded nor on either lane.");
		return;
	}
	report_table_open(out, "errors",
			  "SQLSTATE|kind|statement|#recorded|#baseline|#migrating|#first at|log line|result");
	json_array_foreach (errors, i, e) {
		strbuf_add_str(out, "<tr>");
		report_cell_text(out, html_text_of(e, "sqlstate"));
		report_cell_text(out, html_text_of(e, "kind"));
		report_cell_sql(out, html_text_of(e, "sql"));
		report_cell_number(out, html_number_of(e, "capture"));
		report_cell_number(out, html_number_of(e, "baseline"));
		report_cell_number(out, html_number_of(e, "migrating"));
		if (json_is_number(json_object_get(e, "first_s")))
			strbuf_addf(out, "<td class=\"n\">%.2f s</td>", html_number_of(e, "first_s"));
		else
			strbuf_add_str(out, "<td class=\"n\">–</td>");
		strbuf_add_str(out, "<td>");
		if (json_object_get(e, "source")) {
			html_add_text(out, html_text_of(e, "source"));
			strbuf_addf(out, ":%.0f", html_number_of(e, "source_line"));
		}
		strbuf_add_str(out, "</td>");
		report_cell_result(out, html_text_of(e, "result"));
		strbuf_add_str(out, "</tr>");
	}
	report_table_close(out);
}
