/* What the migration's statements did: see report_sections.h. */
#include "report_sections.h"

#include "html_text.h"
#include "report_facts.h"
#include "report_parts.h"
#include "report_rollout.h"

#define LOCKS_SHOWN    8 /* of a statement */
#define REWRITES_SHOWN 5
#define NAME_SHOWN     120
#define ALL_SHOWN      10 /* statements */

static void add_more(const json_t *list, size_t shown, struct strbuf *out)
{
	if (json_array_size(list) > shown)
		strbuf_addf(out, "<br>and %zu more", json_array_size(list) - shown);
}

static void add_locks(const json_t *locks, struct strbuf *out)
{
	strbuf_add_str(out, "<td class=\"q\">");
	for (size_t i = 0; i < json_array_size(locks) && i < LOCKS_SHOWN; i++) {
		const json_t *lock = json_array_get(locks, i);
		strbuf_add_str(out, i ? "<br>" : "");
		html_add_cut(out, html_text_of(lock, "relation"), NAME_SHOWN);
		strbuf_add_str(out, " ");
		html_add_cut(out, html_text_of(lock, "mode"), NAME_SHOWN);
		strbuf_add_str(out, ", ");
		html_add_ms(out, html_number_of(lock, "waited_ms"));
		strbuf_add_str(out, ", ");
		html_add_ms(out, html_number_of(lock, "held_ms"));
	}
	add_more(locks, LOCKS_SHOWN, out);
	strbuf_add_str(out, "</td>");
}

static void add_rewrites(const json_t *rewrites, struct strbuf *out)
{
	strbuf_add_str(out, "<td>");
	for (size_t i = 0; i < json_array_size(rewrites) && i < REWRITES_SHOWN; i++) {
		const char *name = json_string_value(json_array_get(rewrites, i));
		strbuf_add_str(out, i ? "<br>" : "");
		html_add_cut(out, name ? name : "", NAME_SHOWN);
	}
	add_more(rewrites, REWRITES_SHOWN, out);
	strbuf_add_str(out, "</td>");
}

static void statement_row(const json_t *s, struct strbuf *out)
{
	const json_t *error = json_object_get(s, "error");
	report_cell_sql(out, html_text_of(s, "sql"));
	report_cell_time(out, json_object_get(s, "start_s"));
	report_cell_ms(out, 1000 * (html_number_of(s, "end_s") - html_number_of(s, "start_s")));
	report_rollout_cell(out, s);
	add_locks(json_object_get(s, "locks"), out);
	add_rewrites(json_object_get(s, "rewrite"), out);
	strbuf_add_str(out, "<td class=\"n\">");
	html_add_bytes(out, json_object_get(s, "wal_bytes"), 0);
	strbuf_add_str(out, "</td><td class=\"n\">");
	html_add_bytes(out, json_object_get(s, "size_delta_bytes"), 1);
	strbuf_add_str(out, "</td><td>");
	html_add_cut(out, html_text_of(error, "sqlstate"), NAME_SHOWN);
	strbuf_add_str(out, " ");
	html_add_cut(out, html_text_of(error, "message"), REPORT_CELL_MAX);
	strbuf_add_str(out, "</td>");
}

/* The program that ran it, where that was not ourselves, and what speaks against it beside its statements. */
static void add_tool(const json_t *run, struct strbuf *out)
{
	const json_t *tool = json_object_get(run, "tool");
	const json_t *status = json_object_get(tool, "exit_status");
	const char *problem = html_text_of(run, "problem");
	if (!json_is_object(tool))
		return;
	strbuf_add_str(out, "<p>Run by ");
	html_add_cut(out, html_text_of(tool, "name"), NAME_SHOWN);
	if (*problem) {
		strbuf_add_str(out, ": ");
		html_add_cut(out, problem, REPORT_CELL_MAX);
	} else if (json_is_integer(status)) {
		strbuf_addf(out, ", exit status %d", (int)json_integer_value(status));
	} else {
		strbuf_add_str(out, ", which did not end by itself");
	}
	strbuf_add_str(out, ".</p>");
}

static bool is_trivial(const json_t *statement)
{
	return !report_statement_matters(statement);
}

/* A tool's own questions and settings are folded; a handful of statements is shown whole. */
static void add_statements(const json_t *document, struct strbuf *out)
{
	static const char heads[] =
		"statement|#from|#took|#best case|locks: mode, waited, held|rewrote|#WAL|#size|error";
	const json_t *list = json_object_get(document, "migration");
	const json_t *run = json_object_get(document, "migration_run");
	size_t i;
	size_t trivial = 0;
	const json_t *statement;
	add_tool(run, out);
	json_array_foreach (list, i, statement)
		trivial += is_trivial(statement);
	if (json_array_size(list) <= ALL_SHOWN) {
		if (!report_table_add(out, "migration", heads, list, 0, NULL, statement_row))
			report_add_none(out, json_is_object(json_object_get(run, "tool")) ? "It sent no statement."
											  : "There was no migration.");
		return;
	}
	if (!report_table_add(out, "migration", heads, list, 0, report_statement_matters, statement_row))
		report_add_none(out, "No statement locked strongly or took long.");
	if (trivial == 0)
		return;
	strbuf_addf(out,
		    "<details><summary id=\"migration-trivial\">%zu statements that neither locked strongly nor took "
		    "long</summary>",
		    trivial);
	(void)report_table_add(out, "migration-trivial", heads, list, 0, is_trivial, statement_row);
	strbuf_add_str(out, "</details>");
}

void report_add_migration(const json_t *document, struct strbuf *out)
{
	add_statements(document, out);
	report_add_production(document, out);
}
