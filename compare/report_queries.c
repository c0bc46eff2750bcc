/* What became slower, what did not, and what cannot be told: see report_sections.h. */
#include "report_sections.h"

#include "html_text.h"
#include "report_facts.h"
#include "report_parts.h"
#include "report_query_waits.h"
#include "report_svg.h"

static const char heads[] = "statement|window|#n|#ratio|#95 % interval|0.5 to 20, logarithmic|#service|#p95 baseline|"
			    "#p95 migrating|#blocked|#would have seen|result";

static bool is_undecided(const json_t *query)
{
	return strcmp(html_text_of(query, "result"), "cannot_tell") == 0;
}

static bool is_clear(const json_t *query)
{
	return strcmp(html_text_of(query, "result"), "clear") == 0;
}

static bool is_accused(const json_t *query)
{
	return !is_undecided(query) && !is_clear(query);
}

static void add_ratio(const json_t *q, struct strbuf *out)
{
	if (!json_is_number(json_object_get(q, "ratio"))) {
		strbuf_add_str(out, "<td class=\"n\">–</td><td class=\"n\">–</td><td></td>");
		return;
	}
	strbuf_addf(out, "<td class=\"n\">× %.2f</td><td class=\"n\">%.2f to %.2f</td><td>", html_number_of(q, "ratio"),
		    html_number_of(q, "ci_low"), html_number_of(q, "ci_high"));
	report_svg_whisker(html_number_of(q, "ratio"), html_number_of(q, "ci_low"), html_number_of(q, "ci_high"), out);
	strbuf_add_str(out, "</td>");
}

static void query_row(const json_t *q, struct strbuf *out)
{
	report_cell_sql(out, html_text_of(q, "sql"));
	const char *when = html_text_of(q, "when");
	report_cell_text(out, *when ? when : html_text_of(q, "window"));
	report_cell_number(out, html_number_of(q, "n"));
	add_ratio(q, out);
	if (json_is_number(json_object_get(q, "service_ratio")))
		strbuf_addf(out, "<td class=\"n\">× %.2f</td>", html_number_of(q, "service_ratio"));
	else
		strbuf_add_str(out, "<td class=\"n\">–</td>");
	report_cell_ms(out, html_number_of(q, "baseline_p95_ms"));
	report_cell_ms(out, html_number_of(q, "migrating_p95_ms"));
	strbuf_addf(out, "<td class=\"n\">%.0f %%</td>", 100 * html_number_of(q, "blocked_share"));
	if (json_is_number(json_object_get(q, "smallest_effect")))
		strbuf_addf(out, "<td class=\"n\">× %.2f</td>", html_number_of(q, "smallest_effect"));
	else
		strbuf_add_str(out, "<td class=\"n\">none</td>");
	report_cell_result(out, html_text_of(q, "result"));
}

static size_t count_of(const json_t *list, bool (*which)(const json_t *query))
{
	size_t i;
	size_t count = 0;
	const json_t *query;
	json_array_foreach (list, i, query)
		count += which(query);
	return count;
}

/* Those accused in the open, those that are not slower folded. */
void report_add_queries(const json_t *document, struct strbuf *out)
{
	const json_t *list = json_object_get(document, "queries");
	size_t clear = count_of(list, is_clear);
	if (!report_table_add(out, "queries", heads, list, 0, is_accused, query_row))
		report_add_none(out, "No statement became slower beyond noise and margin.");
	report_add_query_waits(document, out);
	if (clear) {
		strbuf_addf(out, "<details><summary id=\"queries-clear\">Not slower: %zu</summary>", clear);
		(void)report_table_add(out, "queries-clear", heads, list, 0, is_clear, query_row);
		strbuf_add_str(out, "</details>");
	}
	strbuf_add_str(
		out,
		"<p class=\"soft\">Blocked executions are not in the ratio: they are under Stalls. Ratio and p95 are "
		"of what users felt, queue and service, or of service alone where only that could be judged; a "
		"statement that only <i>queued</i> behind a slower one of its session is no finding. \"Would have "
		"seen\" is the smallest slowdown that this run could have shown.</p>");
}

void report_add_undecided(const json_t *document, struct strbuf *out)
{
	const json_t *list = json_object_get(document, "queries");
	size_t undecided = count_of(list, is_undecided);
	double total = html_number_of(document, "queries_total") - (double)(json_array_size(list) - undecided);
	if (report_outcome(document) == VERDICT_CANNOT_TELL) {
		strbuf_add_str(out, "<p>");
		report_add_sentence(out, html_text_of(document, "reason"));
		strbuf_add_str(out, "</p>");
	}
	if (!report_table_add(out, "undecided", heads, list, total, is_undecided, query_row))
		report_add_none(out, "Every statement's latency was decided.");
}
