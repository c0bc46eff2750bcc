/* How good the run was, what it ran on, and how its rules came out: see report_sections.h. */
#include "report_sections.h"

#include "html_text.h"
#include "report_parts.h"

#include <stdint.h>

static void check_row(const json_t *check, struct strbuf *out)
{
	report_cell_text(out, html_text_of(check, "name"));
	report_cell_number(out, html_number_of(check, "compared"));
	report_cell_number(out, html_number_of(check, "differing"));
	report_cell_result(out, html_text_of(check, "result"));
}

/* Those of other names are the section "checks". */
static bool is_of_results(const json_t *check)
{
	return strcmp(html_text_of(check, "name"), "result_digests") == 0;
}

void report_add_data(const json_t *document, struct strbuf *out)
{
	const json_t *noise = json_object_get(document, "noise_floor");
	if (json_is_number(json_object_get(noise, "rows_compared")))
		strbuf_addf(
			out,
			"<p>%.0f statements went well on both lanes; %.0f of them returned or touched another number "
			"of rows, %.0f before the migration began.</p>",
			html_number_of(noise, "rows_compared"), html_number_of(noise, "rows_differing"),
			html_number_of(noise, "rows_differing_before"));
	if (!report_table_add(out, "data", "check|#compared|#differing|result",
			      json_object_get(document, "data_checks"), 0, is_of_results, check_row))
		report_add_none(out, "Contents of results were not compared: --check-results does.");
}

static void figure_row(const json_t *figure, struct strbuf *out)
{
	report_cell_text(out, html_text_of(figure, "name"));
	strbuf_addf(out, "<td class=\"n\">%.5g</td><td class=\"n\">%.5g</td><td class=\"n\">%.5g</td>",
		    html_number_of(figure, "value"), html_number_of(figure, "grade_a"),
		    html_number_of(figure, "unfit"));
	report_cell_result(out, html_text_of(figure, "grade"));
}

void report_add_fidelity(const json_t *document, struct strbuf *out)
{
	const json_t *figures = json_object_get(json_object_get(document, "fidelity"), "figures");
	if (!report_table_add(out, "fidelity", "figure|#value|#grade A from|#unfit beyond|grade", figures, 0, NULL,
			      figure_row))
		report_add_none(out, "Nothing was measured.");
}

static void window_row(const json_t *window, struct strbuf *out)
{
	report_cell_text(out, html_text_of(window, "name"));
	report_cell_time(out, json_object_get(window, "start_s"));
	report_cell_time(out, json_object_get(window, "end_s"));
	report_cell_number(out, html_number_of(window, "blocks"));
	report_cell_time(out, json_object_get(window, "block_s"));
}

void report_add_windows(const json_t *document, struct strbuf *out)
{
	if (!report_table_add(out, "windows", "window|#from|#to|#blocks|#of", json_object_get(document, "windows"), 0,
			      NULL, window_row))
		report_add_none(out, "There are none.");
}

/* A value of whatever kind, in words. */
static void add_value(struct strbuf *out, const json_t *value)
{
	if (json_is_string(value))
		html_add_cut(out, json_string_value(value), REPORT_CELL_MAX);
	else if (json_is_number(value))
		html_add_number(out, json_number_value(value));
	else if (json_is_boolean(value))
		strbuf_add_str(out, json_is_true(value) ? "yes" : "no");
	else
		strbuf_add_str(out, "–");
}

/* Returns how many rows there are by now. */
static size_t add_value_rows(struct strbuf *out, const char *prefix, const json_t *object, int depth, size_t rows)
{
	const char *key;
	json_t *value;
	json_object_foreach ((json_t *)(uintptr_t)object, key, value) {
		char name[200];
		(void)snprintf(name, sizeof(name), "%s%s%s", prefix, *prefix ? ", " : "", key);
		if (json_is_object(value) && depth < 3) {
			rows = add_value_rows(out, name, value, depth + 1, rows);
			continue;
		}
		if (json_is_array(value) || json_is_object(value) || rows++ >= REPORT_ROWS_MAX)
			continue;
		strbuf_add_str(out, "<tr>");
		report_cell_text(out, name);
		strbuf_add_str(out, "<td>");
		add_value(out, value);
		strbuf_add_str(out, "</td></tr>");
	}
	return rows;
}

static void difference_row(const json_t *difference, struct strbuf *out)
{
	report_cell_text(out, html_text_of(difference, "name"));
	strbuf_add_str(out, "<td>");
	add_value(out, json_object_get(difference, "baseline"));
	strbuf_add_str(out, "</td><td>");
	add_value(out, json_object_get(difference, "migrating"));
	strbuf_add_str(out, "</td>");
}

void report_add_environment(const json_t *document, struct strbuf *out)
{
	const json_t *environment = json_object_get(document, "environment");
	const json_t *differences = json_object_get(environment, "differences");
	if (json_array_size(differences)) {
		strbuf_add_str(out, "<h3 id=\"differences\">Settings that differ between the lanes</h3>");
		(void)report_table_add(out, "differences", "setting|baseline|migrating", differences, 0, NULL,
				       difference_row);
	}
	strbuf_add_str(out, "<details><summary id=\"all-environment\">All figures</summary>");
	report_table_open(out, "all-environment", "name|value");
	size_t rows = add_value_rows(out, "", environment, 0, 0);
	rows = add_value_rows(out, "", json_object_get(document, "lanes"), 0, rows);
	rows = add_value_rows(out, "noise", json_object_get(document, "noise_floor"), 0, rows);
	report_table_close(out);
	if (rows > REPORT_ROWS_MAX)
		strbuf_addf(out, "<p class=\"soft\">… and %zu more: see verdict.json.</p>", rows - REPORT_ROWS_MAX);
	strbuf_add_str(out, "</details>");
}

static bool has_fired(const json_t *rule)
{
	return strcmp(html_text_of(rule, "result"), "pass") != 0;
}

static bool has_passed(const json_t *rule)
{
	return !has_fired(rule);
}

static void rule_row(const json_t *rule, struct strbuf *out)
{
	report_cell_text(out, html_text_of(rule, "name"));
	strbuf_add_str(out, *html_text_of(rule, "entity") ? "<td class=\"e\"><code>" : "<td><code>");
	html_add_cut(out, html_text_of(rule, "entity"), 120);
	strbuf_add_str(out, "</code></td><td class=\"n\">");
	html_add_number(out, html_number_of(rule, "value"));
	strbuf_add_str(out, strcmp(html_text_of(rule, "unit"), "s") == 0 ? " s</td>" : "</td>");
	report_cell_text(out, html_text_of(rule, "threshold"));
	report_cell_result(out, html_text_of(rule, "result"));
	strbuf_add_str(out, "<td class=\"q\">");
	report_add_sentence(out, html_text_of(rule, "finding"));
	strbuf_add_str(out, "</td>");
}

void report_add_thresholds(const json_t *document, struct strbuf *out)
{
	static const char heads[] = "rule|of|#value|levels|result|finding";
	const json_t *rules = json_object_get(document, "rules");
	if (!report_table_add(out, "thresholds", heads, rules, 0, has_fired, rule_row))
		report_add_none(out, "No rule warns or fails.");
	strbuf_add_str(out, "<details><summary id=\"thresholds-passed\">Rules that passed</summary>");
	if (!report_table_add(out, "thresholds-passed", heads, rules, 0, has_passed, rule_row))
		report_add_none(out, "None.");
	strbuf_add_str(out, "</details>");
}

static void untested_row(const json_t *entry, struct strbuf *out)
{
	report_cell_text(out, html_text_of(entry, "what"));
	report_cell_text(out, html_text_of(entry, "why"));
}

void report_add_untested(const json_t *document, struct strbuf *out)
{
	if (!report_table_add(out, "untested", "what|why", json_object_get(document, "untested"), 0, NULL,
			      untested_row))
		report_add_none(out, "Nothing to add.");
}
