/*
 * The report as a message for a chat: Slack's Block Kit (docs.slack.dev, "Reference: blocks" and "Formatting message
 * text"), which Mattermost takes by its `text` too. Slack refuses a whole message for one field that is too long, so
 * every field is cut here: header 150 characters, section 3,000, a section's field 2,000. Only &, < and > have a
 * meaning of their own there, and everything that a document holds is escaped.
 */
#include "html_text.h"
#include "report_facts.h"
#include "report_formats.h"
#include "report_rollout.h"

#include "json_file.h"

#define TEXT_MAX   900 /* of a sentence; a section has room for more */
#define NAME_SHOWN 120
#define LINK_MAX   1000

static void add_text(struct strbuf *out, const char *text, size_t max)
{
	size_t n = 0;
	for (const char *p = text; *p; p++) {
		bool begins = ((unsigned char)*p & 0xc0) != 0x80;
		if (begins && n++ == max) {
			strbuf_add_str(out, "…");
			return;
		}
		if (*p == '&')
			strbuf_add_str(out, "&amp;");
		else if (*p == '<')
			strbuf_add_str(out, "&lt;");
		else if (*p == '>')
			strbuf_add_str(out, "&gt;");
		else
			strbuf_add_char(out, (unsigned char)*p < 0x20 || *p == 0x7f ? ' ' : *p);
	}
}

/* A backtick would end it, so it becomes a quote. */
static void add_code(struct strbuf *out, const char *text, size_t max)
{
	size_t from;
	strbuf_add_char(out, '`');
	from = out->len;
	add_text(out, *text ? text : "-", max);
	for (size_t i = from; i < out->len; i++) {
		if (out->data[i] == '`')
			out->data[i] = '\'';
	}
	strbuf_add_char(out, '`');
}

static json_t *text_object(const char *type, const struct strbuf *text)
{
	return json_pack("{s:s, s:o}", "type", type, "text", json_from_bytes(text->data, text->len));
}

/* Takes the buffer's text and clears it for the next. */
static void append_section(json_t *blocks, struct strbuf *text)
{
	(void)json_array_append_new(blocks,
				    json_pack("{s:s, s:o}", "type", "section", "text", text_object("mrkdwn", text)));
	strbuf_clear(text);
}

static void append_field(json_t *fields, struct strbuf *text)
{
	(void)json_array_append_new(fields, text_object("mrkdwn", text));
	strbuf_clear(text);
}

static void append_header(json_t *blocks, const json_t *document, struct strbuf *text)
{
	static const char *const icons[] = {"✅", "❌", "⚠️", "⛔"};
	enum verdict_outcome outcome = report_outcome(document);
	strbuf_addf(text, "%s Rehearse: %s", icons[outcome], report_outcome_word(outcome));
	(void)json_array_append_new(blocks,
				    json_pack("{s:s, s:o}", "type", "header", "text", text_object("plain_text", text)));
	strbuf_clear(text);
	/* Its `parts` are code here as in Markdown. */
	add_text(text, html_text_of(document, "reason"), TEXT_MAX);
	append_section(blocks, text);
}

static void append_figures(json_t *blocks, const json_t *document, struct strbuf *text)
{
	const char *code;
	json_t *fields = json_array();
	const json_t *stall = report_longest_stall(document);
	const json_t *query = report_worst_query(document);
	const json_t *fidelity = json_object_get(document, "fidelity");
	strbuf_add_str(text, "*Longest stall*\n");
	if (stall) {
		html_add_ms(text, html_number_of(stall, "duration_ms"));
		strbuf_add_str(text, " on ");
		add_code(text, html_text_of(stall, "relation"), NAME_SHOWN);
		strbuf_add_str(text, ", ");
		html_add_count(text, stall, "victims", "statement");
	} else {
		strbuf_add_str(text, "none");
	}
	append_field(fields, text);
	strbuf_addf(text, "*New errors*\n%.0f", report_new_errors(document, &code));
	if (*code) {
		strbuf_add_str(text, ", the first with ");
		add_code(text, code, 10);
	}
	append_field(fields, text);
	strbuf_add_str(text, "*Worst query*\n");
	if (query && json_is_number(json_object_get(query, "ratio"))) {
		strbuf_addf(text, "× %.2f (%.2f to %.2f) ", html_number_of(query, "ratio"),
			    html_number_of(query, "ci_low"), html_number_of(query, "ci_high"));
		add_code(text, html_text_of(query, "sql"), NAME_SHOWN);
	} else {
		strbuf_add_str(text, "undecided");
	}
	append_field(fields, text);
	strbuf_add_str(text, "*Fidelity*\n");
	add_text(text, html_text_of(fidelity, "grade"), 20);
	strbuf_addf(text, ", %.0f statements on both lanes", html_number_of(fidelity, "statements"));
	append_field(fields, text);
	(void)json_array_append_new(blocks, json_pack("{s:s, s:o}", "type", "section", "fields", fields));
}

/* Who waited, and what failed: three of each. */
static void append_findings(json_t *blocks, const json_t *document, struct strbuf *text)
{
	size_t i;
	const json_t *entry;
	int shown = 0;
	json_array_foreach (json_object_get(document, "who"), i, entry) {
		double blocked = html_number_of(entry, "blocked_statements");
		double failed = html_number_of(entry, "errors_only_migrating");
		if ((blocked <= 0 && failed <= 0) || shown == 3)
			continue;
		strbuf_add_str(text, shown++ ? "\n• " : "*Who is hurt*\n• ");
		add_code(text, html_text_of(entry, "application"), NAME_SHOWN);
		strbuf_add_str(text, " of ");
		add_code(text, html_text_of(entry, "user"), NAME_SHOWN);
		strbuf_add_str(text, ": ");
		html_add_count(text, entry, "blocked_statements", "statement");
		strbuf_addf(text, " waited %.3g s, %.0f failed", html_number_of(entry, "blocked_query_s"), failed);
	}
	if (shown)
		append_section(blocks, text);
	shown = 0;
	json_array_foreach (json_object_get(document, "errors"), i, entry) {
		if (strcmp(html_text_of(entry, "result"), "migration") != 0 || shown == 3)
			continue;
		strbuf_add_str(text, shown++ ? "\n• " : "*New errors*\n• ");
		add_code(text, html_text_of(entry, "sqlstate"), 10);
		strbuf_addf(text, " %.0f times: ", html_number_of(entry, "migrating"));
		add_code(text, html_text_of(entry, "sql"), NAME_SHOWN);
	}
	if (shown)
		append_section(blocks, text);
}

/* What stands in the way of the roll-out. */
static void append_rollout(json_t *blocks, const json_t *document, struct strbuf *text)
{
	static const char *const rules[] = {"migration.best_case", "migration.blackout"};
	for (size_t r = 0; r < 2; r++) {
		const char *finding = report_rollout_finding(document, rules[r], 0);
		if (!finding)
			continue;
		strbuf_add_str(text, text->len ? "\n• " : "*Roll-out*\n• ");
		add_text(text, finding, TEXT_MAX / 2);
	}
	if (text->len)
		append_section(blocks, text);
}

static void add_link(const char *link, struct strbuf *out)
{
	strbuf_add_char(out, '<');
	for (const char *p = link; *p; p++) {
		if ((unsigned char)*p <= 0x20 || strchr("<>|\\", *p) || *p == 0x7f)
			strbuf_addf(out, "%%%02X", (unsigned char)*p);
		else if (*p == '&')
			strbuf_add_str(out, "&amp;");
		else
			strbuf_add_char(out, *p);
	}
	strbuf_add_str(out, "|Full report> · ");
}

static void append_footer(json_t *blocks, const json_t *document, const struct report_context *context,
			  struct strbuf *text)
{
	const json_t *environment = json_object_get(document, "environment");
	const char *commit = html_text_of(environment, "commit");
	if (context && context->link && strlen(context->link) < LINK_MAX)
		add_link(context->link, text);
	if (*commit) {
		strbuf_add_str(text, "commit ");
		add_code(text, commit, 100);
		strbuf_add_str(text, " · ");
	}
	add_text(text, report_replay_name(document), NAME_SHOWN);
	strbuf_add_str(text, " · ");
	add_text(text, html_text_of(environment, "start_time"), 40);
	(void)json_array_append_new(
		blocks, json_pack("{s:s, s:[o]}", "type", "context", "elements", text_object("mrkdwn", text)));
	strbuf_clear(text);
}

int report_slack_write(const struct verdict *verdict, const struct report_context *context, struct strbuf *out,
		       struct error *err)
{
	const json_t *document = verdict->document;
	const char *hint = report_hint(document);
	json_t *blocks = json_array();
	struct strbuf text;
	strbuf_init(&text, 20000);
	append_header(blocks, document, &text);
	append_figures(blocks, document, &text);
	append_findings(blocks, document, &text);
	append_rollout(blocks, document, &text);
	if (hint) {
		strbuf_addf(&text, "*What usually helps:* %s", hint);
		append_section(blocks, &text);
	}
	append_footer(blocks, document, context, &text);
	/* What a notification shows, and what is shown where blocks are not understood. */
	strbuf_addf(&text, "Rehearse: %s. ", report_outcome_word(report_outcome(document)));
	add_text(&text, html_text_of(document, "reason"), TEXT_MAX);
	json_t *message = json_pack("{s:o, s:o}", "text", json_from_bytes(text.data, text.len), "blocks", blocks);
	char *dump = json_dumps(message, JSON_INDENT(1));
	if (dump) {
		strbuf_add_str(out, dump);
		strbuf_add_char(out, '\n');
	}
	free(dump);
	json_decref(message);
	strbuf_release(&text);
	if (!dump || out->overflow)
		return error_set(err, ERR_INTERNAL, "the message would be larger than %zu bytes", out->max);
	return 0;
}
