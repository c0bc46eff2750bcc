/* What failed, three ways, and with whom: see report_sections.h. */
#include "report_sections.h"

#include "html_text.h"
#include "report_parts.h"

static bool is_migrations(const json_t *error)
{
	return strcmp(html_text_of(error, "result"), "migration") == 0;
}

static bool is_others(const json_t *error)
{
	return !is_migrations(error);
}

static void error_row(const json_t *error, struct strbuf *out)
{
	report_cell_text(out, html_text_of(error, "sqlstate"));
	report_cell_text(out, html_text_of(error, "kind"));
	report_cell_sql(out, html_text_of(error, "sql"));
	report_cell_number(out, html_number_of(error, "capture"));
	report_cell_number(out, html_number_of(error, "baseline"));
	report_cell_number(out, html_number_of(error, "migrating"));
	report_cell_time(out, json_object_get(error, "first_s"));
	strbuf_add_str(out, "<td>");
	if (*html_text_of(error, "source")) {
		html_add_cut(out, html_text_of(error, "source"), REPORT_CELL_MAX);
		strbuf_addf(out, ":%.0f", html_number_of(error, "source_line"));
	}
	strbuf_add_str(out, "</td>");
	report_cell_result(out, html_text_of(error, "result"));
}

/* The migration's in the open; what the application or the replay does anyway folded. */
void report_add_errors(const json_t *document, struct strbuf *out)
{
	static const char heads[] = "SQLSTATE|kind|statement|#recorded|#baseline|#migrating|#first at|log line|result";
	const json_t *errors = json_object_get(document, "errors");
	double total = html_number_of(document, "errors_total");
	size_t i;
	size_t others = 0;
	const json_t *error;
	json_array_foreach (errors, i, error)
		others += is_others(error);
	if (json_array_size(errors) == 0) {
		report_add_none(out, "No statement failed, neither when it was recorded nor on either lane.");
		return;
	}
	if (!report_table_add(out, "errors", heads, errors, 0, is_migrations, error_row))
		report_add_none(out, "No statement failed because of the migration.");
	if (others == 0)
		return;
	/* verdict.json has the worst first, so what was cut from it is of the others. */
	total -= (double)(json_array_size(errors) - others);
	strbuf_add_str(out, "<details><summary id=\"errors-other\">As often on both lanes, or by chance</summary>");
	(void)report_table_add(out, "errors-other", heads, errors, total, is_others, error_row);
	strbuf_add_str(out, "</details>");
}

static bool is_hurt(const json_t *client)
{
	return html_number_of(client, "blocked_statements") > 0 || html_number_of(client, "errors_only_migrating") > 0;
}

static void client_row(const json_t *client, struct strbuf *out)
{
	report_cell_text(out, *html_text_of(client, "application") ? html_text_of(client, "application") : "(none)");
	report_cell_text(out, html_text_of(client, "user"));
	report_cell_number(out, html_number_of(client, "sessions"));
	report_cell_number(out, html_number_of(client, "statements"));
	report_cell_number(out, html_number_of(client, "blocked_statements"));
	strbuf_add_str(out, "<td class=\"n\">");
	html_add_number(out, html_number_of(client, "blocked_query_s"));
	strbuf_add_str(out, " query-s</td>");
	report_cell_ms(out, html_number_of(client, "longest_blocked_ms"));
	report_cell_number(out, html_number_of(client, "errors_only_baseline"));
	report_cell_number(out, html_number_of(client, "errors_only_migrating"));
	strbuf_addf(out, "<td class=\"n\">%+.2f s</td>", html_number_of(client, "extra_latency_s"));
}

void report_add_who(const json_t *document, struct strbuf *out)
{
	if (!report_table_add(out, "who",
			      "application|user|#sessions|#statements|#blocked|#waited|#longest wait|"
			      "#failed on the baseline alone|#failed on the migrating lane alone|#time lost",
			      json_object_get(document, "who"), 0, is_hurt, client_row)) {
		report_add_none(out, "No application waited for the migration or met an error on its lane alone.");
		return;
	}
	strbuf_add_str(out, "<p class=\"soft\">Since the migration began. Failures on one lane alone happen by chance "
			    "too: that is what the baseline's are beside them for.</p>");
}
