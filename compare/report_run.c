/* How good the run was, what it ran on, and how its rules came out: see report_sections.h. */
#include "report_sections.h"

#include "html_text.h"
#include "report_parts.h"

#include <stdint.h>

void report_add_fidelity(const json_t *document, struct strbuf *out)
{
	size_t i;
	const json_t *item;
	const json_t *fidelity = json_object_get(document, "fidelity");
	report_table_open(out, "fidelity", "figure|#value|#grade A from|#unfit beyond|grade");
	json_array_foreach (json_object_get(fidelity, "figures"), i, item) {
		strbuf_add_str(out, "<tr>");
		report_cell_text(out, html_text_of(item, "name"));
		strbuf_addf(out, "<td class=\"n\">%.5g</td><td class=\"n\">%.5g</td><td class=\"n\">%.5g</td>",
			    html_number_of(item, "value"), html_number_of(item, "grade_a"),
			    html_number_of(item, "unfit"));
		report_cell_result(out, html_text_of(item, "grade"));
		strbuf_add_str(out, "</tr>");
	}
	report_table_close(out);
}

void report_add_windows(const json_t *document, struct strbuf *out)
{
	size_t i;
	const json_t *item;
	report_table_open(out, "windows", "window|#from|#to|#blocks|#of");
	json_array_foreach (json_object_get(document, "windows"), i, item) {
		strbuf_add_str(out, "<tr>");
		report_cell_text(out, html_text_of(item, "name"));
		strbuf_addf(out,
			    "<td class=\"n\">%.2f s</td><td class=\"n\">%.2f s</td><td class=\"n\">%.0f</td><td "
			    "class=\"n\">%.2f s</td></tr>",
			    html_number_of(item, "start_s"), html_number_of(item, "end_s"),
			    html_number_of(item, "blocks"), html_number_of(item, "block_s"));
	}
	report_table_close(out);
}

/* A value of whatever kind, in words. */
static void add_value(struct strbuf *out, const json_t *value)
{
	if (json_is_string(value))
		html_add_cut(out, json_string_value(value), 400);
	else if (json_is_number(value))
		html_add_number(out, json_number_value(value));
	else if (json_is_boolean(value))
		strbuf_add_str(out, json_is_true(value) ? "yes" : "no");
	else
		strbuf_add_str(out, "–");
}

static void add_value_rows(struct strbuf *out, const char *prefix, const json_t *object, int depth)
{
	const char *key;
	json_t *value;
	json_object_foreach ((json_t *)(uintptr_t)object, key, value) {
		char name[200];
		(void)snprintf(name, sizeof(name), "%s%s%s", prefix, *prefix ? ", " : "", key);
		if (json_is_object(value) && depth < 3) {
			add_value_rows(out, name, value, depth + 1);
			continue;
		}
		if (json_is_array(value) || json_is_object(value))
			continue;
		strbuf_add_str(out, "<tr>");
		report_cell_text(out, name);
		strbuf_add_str(out, "<td>");
		add_value(out, value);
		strbuf_add_str(out, "</td></tr>");
	}
}

void report_add_environment(const json_t *document, struct strbuf *out)
{
	size_t i;
	const json_t *item;
	const json_t *environment = json_object_get(document, "environment");
	const json_t *differences = json_object_get(environment, "differences");
	if (json_array_size(differences)) {
		strbuf_add_str(out, "<h3 id=\"differences\">Settings that differ between the lanes</h3>");
		report_table_open(out, "differences", "setting|baseline|migrating");
		json_array_foreach (differences, i, item) {
			strbuf_add_str(out, "<tr>");
			report_cell_text(out, html_text_of(item, "name"));
			strbuf_add_str(out, "<td>");
			add_value(out, json_object_get(item, "baseline"));
			strbuf_add_str(out, "</td><td>");
			add_value(out, json_object_get(item, "migrating"));
			strbuf_add_str(out, "</td></tr>");
		}
		report_table_close(out);
	}
	strbuf_add_str(out, "<details><summary id=\"all-environment\">All figures</summary>");
	report_table_open(out, "all-environment", "name|value");
	add_value_rows(out, "", environment, 0);
	add_value_rows(out, "", json_object_get(document, "lanes"), 0);
	add_value_rows(out, "noise", json_object_get(document, "noise_floor"), 0);
	report_table_close(out);
	strbuf_add_str(out, "</details>");
}

void report_add_thresholds(const json_t *document, struct strbuf *out)
{
	size_t i;
	const json_t *rule;
	report_table_open(out, "thresholds", "rule|of|#value|levels|result|finding");
	json_array_foreach (json_object_get(document, "rules"), i, rule) {
		strbuf_add_str(out, "<tr>");
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
		strbuf_add_str(out, "</td></tr>");
	}
	report_table_close(out);
}

void report_add_untested(const json_t *document, struct strbuf *out)
{
	size_t i;
	const json_t *item;
	const json_t *list = json_object_get(document, "untested");
	if (json_array_size(list) == 0) {
		report_add_none(out, "Nothing to add.");
		return;
	}
	report_table_open(out, "untested", "what|why");
	json_array_foreach (list, i, item) {
		strbuf_add_str(out, "<tr>");
		report_cell_text(out, html_text_of(item, "what"));
		report_cell_text(out, html_text_of(item, "why"));
		strbuf_add_str(out, "</tr>");
	}
	report_table_close(out);
}
