/* Rollback, schema and data in the report: see report_checks.h. */
#include "report_checks.h"

#include "html_text.h"
#include "report_parts.h"

#include <stdbool.h>

#define SECTION "checks"

static void step_row(const json_t *document, const char *key, const char *name, struct strbuf *out)
{
	const json_t *step = json_object_get(json_object_get(document, "rollback"), key);
	if (!json_is_object(step))
		return;
	const char *outcome = html_text_of(step, "outcome");
	strbuf_add_str(out, "<tr>");
	report_cell_text(out, name);
	report_cell_text(out, outcome);
	report_cell_ms(out, html_number_of(step, "duration_s") * 1e3);
	strbuf_add_str(out, "<td>");
	size_t i;
	const json_t *statement;
	size_t shown = 0;
	json_array_foreach (json_object_get(step, "statements"), i, statement) {
		size_t k;
		const json_t *lock;
		json_array_foreach (json_object_get(statement, "locks"), k, lock) {
			if (shown == 8)
				strbuf_add_str(out, "; …");
			if (shown++ >= 8)
				continue;
			strbuf_add_str(out, shown > 1 ? "; " : "");
			html_add_cut(out, html_text_of(lock, "mode"), 40);
			strbuf_add_str(out, " on ");
			html_add_cut(out, html_text_of(lock, "relation"), REPORT_CELL_MAX);
			strbuf_add_str(out, " for ");
			html_add_ms(out, html_number_of(lock, "held_ms"));
		}
	}
	strbuf_add_str(out, "</td></tr>");
}

static void add_steps(const json_t *document, struct strbuf *out)
{
	if (!json_is_object(json_object_get(document, "rollback"))) {
		report_add_none(out, "No rollback was run: --rollback does.");
		return;
	}
	report_table_open(out, SECTION, "on a clone without traffic|outcome|#took|locks held");
	step_row(document, "up", "migration", out);
	step_row(document, "down", "rollback", out);
	step_row(document, "again", "migration once more", out);
	report_table_close(out);
}

static void difference_row(const json_t *difference, struct strbuf *out)
{
	const char *change = html_text_of(difference, "change");
	report_cell_text(out, html_text_of(difference, "kind"));
	report_cell_text(out, html_text_of(difference, "object"));
	if (*html_text_of(difference, "attribute"))
		report_cell_text(out, html_text_of(difference, "attribute"));
	else
		report_cell_text(out, change);
	report_cell_text(out, html_text_of(difference, "before"));
	report_cell_text(out, html_text_of(difference, "after"));
}

static void add_differences(const json_t *object, const char *title, const char *none, struct strbuf *out)
{
	if (!json_is_object(object))
		return;
	strbuf_addf(out, "<h3>%s</h3>", title);
	if (!report_table_add(out, SECTION, "kind|object|what|before|after", json_object_get(object, "items"),
			      html_number_of(object, "total"), NULL, difference_row))
		report_add_none(out, none);
}

/* Of the checks' own; those of results are another section's. */
static bool is_ours(const json_t *check)
{
	return strncmp(html_text_of(check, "name"), "data.", 5) == 0;
}

static bool says_something(const json_t *check)
{
	return is_ours(check) && strcmp(html_text_of(check, "result"), "pass") != 0;
}

static void add_classes(const json_t *check, struct strbuf *out)
{
	const char *name;
	json_t *count;
	bool any = false;
	strbuf_add_str(out, "<td>");
	json_object_foreach (json_object_get(check, "classes"), name, count) {
		strbuf_addf(out, "%s%.0f ", any ? ", " : "", json_number_value(count));
		for (const char *p = name; *p; p++) {
			char c[2] = {*p == '_' ? ' ' : *p, '\0'};
			html_add_text(out, c);
		}
		any = true;
	}
	if (*html_text_of(check, "reason")) {
		strbuf_add_str(out, any ? "; " : "");
		html_add_cut(out, html_text_of(check, "reason"), REPORT_CELL_MAX);
	}
	strbuf_add_str(out, "</td>");
}

static void add_types(const json_t *check, struct strbuf *out)
{
	const char *before = html_text_of(check, "type_before");
	const char *after = html_text_of(check, "type_after");
	strbuf_add_str(out, "<td>");
	html_add_cut(out, before, REPORT_CELL_MAX);
	if (*after && strcmp(before, after) != 0) {
		strbuf_add_str(out, " → ");
		html_add_cut(out, after, REPORT_CELL_MAX);
	}
	strbuf_add_str(out, "</td>");
}

static void data_row(const json_t *check, struct strbuf *out)
{
	const char *name = html_text_of(check, "name");
	bool of_lanes = strcmp(name, "data.lanes") == 0;
	report_cell_text(out, of_lanes				   ? "between the lanes"
			      : strcmp(name, "data.rollback") == 0 ? "after the rollback"
								   : "after the migration");
	report_cell_text(out, html_text_of(check, "relation"));
	report_cell_text(out, html_text_of(check, "column"));
	add_types(check, out);
	report_cell_number(out, html_number_of(check, "changed"));
	report_cell_number(out, html_number_of(check, "lost"));
	add_classes(check, out);
	report_cell_result(out, html_text_of(check, "result"));
}

static void add_data(const json_t *document, struct strbuf *out)
{
	const json_t *checks = json_object_get(document, "data_checks");
	size_t ours = 0, equal = 0, i;
	const json_t *check;
	json_array_foreach (checks, i, check) {
		ours += is_ours(check);
		equal += is_ours(check) && !says_something(check);
	}
	strbuf_add_str(out, "<h3>Data</h3>");
	if (!ours) {
		report_add_none(out, "The clones' data was not compared: --check-data and --rollback do.");
		return;
	}
	strbuf_addf(out, "<p>%zu comparisons of tables and columns found no difference.</p>", equal);
	(void)report_table_add(out, SECTION,
			       "when|relation|column|type|#changed, or rows added|#lost, or rows removed|how|result",
			       checks, 0, says_something, data_row);
}

void report_add_checks(const json_t *document, struct strbuf *out)
{
	const json_t *rollback = json_object_get(document, "rollback");
	add_steps(document, out);
	add_differences(json_object_get(rollback, "schema"), "What the rollback leaves behind",
			"Nothing: the schema is as it was before.", out);
	if (strcmp(html_text_of(json_object_get(rollback, "again"), "outcome"), "ok") == 0)
		add_differences(json_object_get(rollback, "repeat"),
				"Where the migration ends elsewhere the second time", "Nowhere.", out);
	add_differences(json_object_get(document, "schema_changes"), "What the migration changes in the schema",
			"Nothing.", out);
	add_data(document, out);
}
