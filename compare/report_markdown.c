/*
 * The report as a comment on a pull request: verdict, the one sentence, five figures, what was found, the rest folded.
 * Written for GitHub's Markdown and read by GitLab's too: tables, <details>, <br>. It always fits into a comment: a
 * subject that would not is left to the report, and that is said. Whatever a document holds is shown as text: names and
 * statements as code, where neither Markdown nor HTML nor a mention (@name, #12) has a meaning.
 */
#include "html_text.h"
#include "report_facts.h"
#include "report_formats.h"
#include "report_query_waits.h"
#include "report_rollout.h"

#include "mem.h"

#include <ctype.h>

#define OPEN_ROWS    5	/* of a subject in the open */
#define FOLDED_ROWS  25 /* … and folded behind it */
#define SQL_SHOWN    120
#define REASON_SHOWN 1500
#define FOOTER_ROOM  3000

/* Characters that Markdown or HTML would take for its own become entities, which are text wherever they stand. */
static void add_text(struct strbuf *out, const char *text, size_t max)
{
	static const char special[] = "\\`*{}[]<|~!&";
	size_t n = 0;
	for (const char *p = text; *p; p++) {
		bool begins = ((unsigned char)*p & 0xc0) != 0x80;
		if (begins && n++ == max) {
			strbuf_add_str(out, "…");
			return;
		}
		if (strchr(special, *p) ||
		    (*p == '_' && !(p > text && isalnum((unsigned char)p[-1]) && isalnum((unsigned char)p[1]))))
			strbuf_addf(out, "&#%d;", *p);
		else if (*p == '@' || *p == '#')
			strbuf_addf(out, "%c\xe2\x80\x8b", *p); /* a space of no width: no mention, no reference */
		else
			strbuf_add_char(out, (unsigned char)*p < 0x20 || *p == 0x7f ? ' ' : *p);
	}
}

/* Backticks where they do, else an element with entities: a table's cells end at a pipe even inside backticks. */
static void add_code(struct strbuf *out, const char *text, size_t max)
{
	bool plain = *text && !strpbrk(text, "`|\\");
	size_t n = 0;
	if (!plain) {
		strbuf_add_str(out, "<code>");
		add_text(out, *text ? text : " ", max);
		strbuf_add_str(out, "</code>");
		return;
	}
	strbuf_add_char(out, '`');
	for (const char *p = text; *p; p++) {
		bool begins = ((unsigned char)*p & 0xc0) != 0x80;
		if (begins && n++ == max) {
			strbuf_add_str(out, "…");
			break;
		}
		strbuf_add_char(out, (unsigned char)*p < 0x20 || *p == 0x7f ? ' ' : *p);
	}
	strbuf_add_char(out, '`');
}

/* A sentence of ours whose `parts` are code. */
static void add_sentence(struct strbuf *out, const char *text, size_t max)
{
	bool code = false;
	const char *from = text;
	for (const char *p = text;; p++) {
		if (*p && *p != '`')
			continue;
		char *piece = mem_strndup(from, (size_t)(p - from));
		size_t room = max > (size_t)(from - text) ? max - (size_t)(from - text) : 0;
		if (code)
			add_code(out, piece, room);
		else
			add_text(out, piece, room);
		free(piece);
		if (!*p || (size_t)(p - text) >= max)
			break;
		code = !code;
		from = p + 1;
	}
}

static void add_sql(struct strbuf *out, const char *sql)
{
	add_code(out, *sql ? sql : "(no statement)", SQL_SHOWN);
}

static void add_head(const json_t *document, struct strbuf *out)
{
	static const char *const icons[] = {"✅", "❌", "⚠️", "⛔"};
	enum verdict_outcome outcome = report_outcome(document);
	strbuf_addf(out, "### %s Rehearse: %s\n\n", icons[outcome], report_outcome_word(outcome));
	add_sentence(out, html_text_of(document, "reason"), REASON_SHOWN);
	strbuf_add_str(out, "\n\n");
}

static void row_stall(const json_t *document, struct strbuf *out)
{
	const json_t *stall = report_longest_stall(document);
	strbuf_add_str(out, "| Longest stall | ");
	if (!stall) {
		strbuf_add_str(out, "none: nobody waited for the migration |\n");
		return;
	}
	html_add_ms(out, html_number_of(stall, "duration_ms"));
	strbuf_add_str(out, " on ");
	add_code(out, *html_text_of(stall, "relation") ? html_text_of(stall, "relation") : "(rows)", 100);
	strbuf_add_str(out, ", ");
	html_add_count(out, stall, "victims", "statement");
	strbuf_addf(out, " waited %.3g query-seconds |\n", html_number_of(stall, "blocked_query_s"));
}

static void row_query(const json_t *document, struct strbuf *out)
{
	const json_t *query = report_worst_query(document);
	strbuf_add_str(out, "| Worst query | ");
	if (!query || !json_is_number(json_object_get(query, "ratio"))) {
		strbuf_add_str(out, "undecided: too few executions in time |\n");
		return;
	}
	strbuf_addf(out, "× %.2f (%.2f to %.2f) ", html_number_of(query, "ratio"), html_number_of(query, "ci_low"),
		    html_number_of(query, "ci_high"));
	add_code(out, html_text_of(query, "sql"), 60);
	strbuf_add_str(out, " |\n");
}

/* Where somebody said what production has, or what the deploy step allows. */
static void row_production(const json_t *document, struct strbuf *out)
{
	const json_t *production = json_object_get(document, "production");
	if (!report_rollout_is_asked(document))
		return;
	strbuf_add_str(out, "| In production, best case | ");
	report_rollout_add_duration(out, json_object_get(production, "best_case_s"));
	strbuf_add_char(out, ' ');
	add_text(out, html_text_of(production, "rows"), 100);
	if (json_is_number(json_object_get(production, "deploy_timeout_s"))) {
		strbuf_add_str(out, "; the deploy timeout is ");
		report_rollout_add_duration(out, json_object_get(production, "deploy_timeout_s"));
	}
	strbuf_add_str(out, " |\n");
}

static void add_figures(const json_t *document, struct strbuf *out)
{
	const char *code;
	const json_t *fidelity = json_object_get(document, "fidelity");
	double errors = report_new_errors(document, &code);
	double took_s = report_migration_s(document);
	strbuf_add_str(out, "| | |\n| --- | --- |\n");
	row_stall(document, out);
	strbuf_addf(out, "| New errors | %.0f", errors);
	if (*code) {
		strbuf_add_str(out, ", the first with ");
		add_code(out, code, 10);
	}
	strbuf_add_str(out, " |\n");
	row_query(document, out);
	strbuf_add_str(out, "| Migration | ");
	if (took_s < 0) {
		strbuf_add_str(out, "none |\n");
	} else {
		strbuf_addf(out, "%zu statements in ", json_array_size(json_object_get(document, "migration")));
		html_add_ms(out, took_s * 1000);
		strbuf_add_str(out, " |\n");
	}
	row_production(document, out);
	strbuf_add_str(out, "| Fidelity | ");
	add_text(out, html_text_of(fidelity, "grade"), 20);
	strbuf_addf(out, ", %.0f statements on both lanes |\n\n", html_number_of(fidelity, "statements"));
}

static void add_hint(const json_t *document, struct strbuf *out)
{
	const char *hint = report_hint(document);
	if (hint)
		strbuf_addf(out, "**What usually helps:** %s\n\n", hint);
}

static void add_timeout(const json_t *advice, const char *name, struct strbuf *out)
{
	const char *setting = html_text_of(json_object_get(advice, name), "setting");
	strbuf_addf(out, "`%s` ", name);
	add_text(out, *setting ? setting : "none", 40);
	strbuf_add_str(out, ": ");
	add_sentence(out, html_text_of(json_object_get(advice, name), "why"), 600);
}

static void cell(struct strbuf *out, const char *text)
{
	strbuf_add_str(out, "| ");
	add_text(out, text, 200);
	strbuf_add_char(out, ' ');
}

/* When not to roll out, and what of that the recording has seen. */
static void add_blackouts(const json_t *blackouts, struct strbuf *out)
{
	size_t i;
	const json_t *entry;
	const json_t *entries = json_object_get(blackouts, "entries");
	if (json_array_size(entries) == 0)
		return;
	strbuf_addf(
		out,
		"<details><summary>Blackouts of 30 days (%zu)</summary>\n\n| blackout | days | next | times | in the "
		"recorded traffic |\n| --- | --- | --- | ---: | --- |\n",
		json_array_size(entries));
	json_array_foreach (entries, i, entry) {
		const json_t *recorded = json_object_get(entry, "recorded_s");
		if (i == FOLDED_ROWS)
			break;
		cell(out, html_text_of(entry, "name"));
		cell(out, html_text_of(entry, "rule"));
		strbuf_add_str(out, "| ");
		report_rollout_add_moment(out, html_text_of(entry, "next_start"));
		strbuf_addf(out, " | %.0f | ", html_number_of(entry, "count"));
		if (json_is_number(recorded) && json_number_value(recorded) <= 0)
			strbuf_add_str(out, "**no**");
		else
			report_rollout_add_duration(out, recorded);
		strbuf_add_str(out, " |\n");
	}
	strbuf_add_str(out, "\n");
	if (json_array_size(entries) > FOLDED_ROWS)
		strbuf_addf(out, "and %zu more\n\n", json_array_size(entries) - FOLDED_ROWS);
	strbuf_add_str(out, "</details>\n\n");
}

/* What stands in the way of the roll-out, and the timeouts that fit it. */
static void add_rollout(const json_t *document, struct strbuf *out)
{
	static const char *const rules[] = {"migration.best_case", "migration.blackout"};
	const json_t *advice = json_object_get(json_object_get(document, "production"), "advice");
	const char *finding;
	for (size_t r = 0; r < 2; r++) {
		for (size_t n = 0; n < 3 && (finding = report_rollout_finding(document, rules[r], n)); n++) {
			strbuf_add_str(out, "**Roll-out:** ");
			add_sentence(out, finding, 600);
			strbuf_add_str(out, ".\n\n");
		}
	}
	if (!report_rollout_is_asked(document) || !json_is_object(advice))
		return;
	strbuf_add_str(out, "<details><summary>Timeouts that fit</summary>\n\n- ");
	add_timeout(advice, "lock_timeout", out);
	strbuf_add_str(out, "\n- ");
	add_timeout(advice, "statement_timeout", out);
	strbuf_add_str(out, "\n\n</details>\n\n");
}

/* A subject: a list of the document, those of it that are shown, and a row's cells. */
struct subject {
	const char *title;
	const char *list;
	const char *heads; /* the table's first two lines */
	bool (*shown)(const json_t *entry);
	void (*row)(const json_t *entry, struct strbuf *out);
	const char *total; /* key of how many there were before verdict.json was cut, or NULL */
	size_t open_rows;  /* 0: all folded */
};

static bool any(const json_t *entry)
{
	(void)entry;
	return true;
}

static bool is_migrations(const json_t *error)
{
	return strcmp(html_text_of(error, "result"), "migration") == 0;
}

static bool is_hurt_client(const json_t *client)
{
	return html_number_of(client, "blocked_statements") > 0 || html_number_of(client, "errors_only_migrating") > 0;
}

static bool is_fired(const json_t *rule)
{
	return strcmp(html_text_of(rule, "result"), "pass") != 0;
}

static void cell_code(struct strbuf *out, const char *text)
{
	strbuf_add_str(out, "| ");
	if (*text)
		add_code(out, text, SQL_SHOWN);
	strbuf_add_char(out, ' ');
}

static void cell_ms(struct strbuf *out, double ms)
{
	strbuf_add_str(out, "| ");
	html_add_ms(out, ms);
	strbuf_add_char(out, ' ');
}

static void add_stall(const json_t *stall, struct strbuf *out)
{
	size_t i;
	const json_t *link;
	cell_code(out, *html_text_of(stall, "relation") ? html_text_of(stall, "relation") : "(rows)");
	cell(out, html_text_of(stall, "mode"));
	strbuf_addf(out, "| %.2f s ", html_number_of(stall, "start_s"));
	cell_ms(out, html_number_of(stall, "duration_ms"));
	strbuf_addf(out, "| %.0f | %.0f | %.3g query-s | ", html_number_of(stall, "victims"),
		    html_number_of(stall, "timed_out"), html_number_of(stall, "blocked_query_s"));
	json_array_foreach (json_object_get(stall, "chain"), i, link) {
		if (i)
			strbuf_add_str(out, ", then ");
		add_text(out, html_text_of(link, "who"), 40);
		if (*html_text_of(link, "sql")) {
			strbuf_add_char(out, ' ');
			add_code(out, html_text_of(link, "sql"), 60);
		}
	}
	strbuf_add_str(out, " |\n");
}

static void add_error(const json_t *error, struct strbuf *out)
{
	cell_code(out, html_text_of(error, "sqlstate"));
	cell(out, html_text_of(error, "kind"));
	strbuf_add_str(out, "| ");
	add_sql(out, html_text_of(error, "sql"));
	strbuf_addf(out, " | %.0f | %.0f | %.0f |\n", html_number_of(error, "capture"),
		    html_number_of(error, "baseline"), html_number_of(error, "migrating"));
}

static void add_query(const json_t *query, struct strbuf *out)
{
	strbuf_add_str(out, "| ");
	add_sql(out, html_text_of(query, "sql"));
	strbuf_add_char(out, ' ');
	const char *when = html_text_of(query, "when");
	cell(out, *when ? when : html_text_of(query, "window"));
	if (json_is_number(json_object_get(query, "ratio")))
		strbuf_addf(out, "| × %.2f | %.2f to %.2f ", html_number_of(query, "ratio"),
			    html_number_of(query, "ci_low"), html_number_of(query, "ci_high"));
	else
		strbuf_add_str(out, "| – | – ");
	if (json_is_number(json_object_get(query, "service_ratio")))
		strbuf_addf(out, "| × %.2f ", html_number_of(query, "service_ratio"));
	else
		strbuf_add_str(out, "| – ");
	cell_ms(out, html_number_of(query, "baseline_p95_ms"));
	cell_ms(out, html_number_of(query, "migrating_p95_ms"));
	cell(out, html_text_of(query, "result"));
	strbuf_add_str(out, "|\n");
}

static void add_query_waits(const json_t *query, struct strbuf *out)
{
	struct report_wait wait;
	(void)report_query_waits_find(query, &wait);
	strbuf_add_str(out, "| ");
	add_sql(out, html_text_of(query, "sql"));
	strbuf_add_char(out, ' ');
	cell(out, html_text_of(query, "window"));
	cell_code(out, wait.event);
	strbuf_add_str(out, "| ");
	report_query_waits_share(wait.now, wait.event, out);
	strbuf_add_str(out, " | ");
	report_query_waits_share(wait.before, wait.event, out);
	strbuf_add_str(out, " | ");
	report_query_waits_share(wait.beside, wait.event, out);
	strbuf_add_str(out, " |\n");
}

static void add_client(const json_t *client, struct strbuf *out)
{
	cell_code(out, *html_text_of(client, "application") ? html_text_of(client, "application") : "(none)");
	cell_code(out, html_text_of(client, "user"));
	strbuf_addf(out, "| %.0f | %.0f | %.3g s | %.0f |\n", html_number_of(client, "statements"),
		    html_number_of(client, "blocked_statements"), html_number_of(client, "blocked_query_s"),
		    html_number_of(client, "errors_only_migrating"));
}

static void add_rule(const json_t *rule, struct strbuf *out)
{
	cell(out, html_text_of(rule, "result"));
	cell_code(out, html_text_of(rule, "name"));
	cell_code(out, html_text_of(rule, "entity"));
	strbuf_add_str(out, "| ");
	html_add_number(out, html_number_of(rule, "value"));
	strbuf_add_char(out, ' ');
	cell(out, html_text_of(rule, "threshold"));
	strbuf_add_str(out, "|\n");
}

static void add_statement(const json_t *statement, struct strbuf *out)
{
	size_t i;
	const json_t *lock;
	strbuf_add_str(out, "| ");
	add_sql(out, html_text_of(statement, "sql"));
	strbuf_add_char(out, ' ');
	cell_ms(out, 1000 * (html_number_of(statement, "end_s") - html_number_of(statement, "start_s")));
	strbuf_add_str(out, "| ");
	json_array_foreach (json_object_get(statement, "locks"), i, lock) {
		if (i == 3) {
			strbuf_addf(out, "<br>and %zu more", json_array_size(json_object_get(statement, "locks")) - i);
			break;
		}
		strbuf_add_str(out, i ? "<br>" : "");
		add_code(out, html_text_of(lock, "relation"), 60);
		strbuf_add_char(out, ' ');
		add_text(out, html_text_of(lock, "mode"), 40);
		strbuf_add_str(out, ", held ");
		html_add_ms(out, html_number_of(lock, "held_ms"));
	}
	strbuf_add_char(out, ' ');
	cell_code(out, html_text_of(json_object_get(statement, "error"), "sqlstate"));
	strbuf_add_str(out, "|\n");
}

static void add_untested(const json_t *entry, struct strbuf *out)
{
	cell(out, html_text_of(entry, "what"));
	cell(out, html_text_of(entry, "why"));
	strbuf_add_str(out, "|\n");
}

static const struct subject subjects[] = {
	{"Stalls", "stalls",
	 "| relation | lock | from | length | victims | timed out | waited | who stood before them |\n"
	 "| --- | --- | ---: | ---: | ---: | ---: | ---: | --- |\n",
	 any, add_stall, "stalls_total", OPEN_ROWS},
	{"New errors", "errors",
	 "| SQLSTATE | kind | statement | recorded | baseline | migrating |\n| --- | --- | --- | ---: | ---: | ---: "
	 "|\n",
	 is_migrations, add_error, NULL, OPEN_ROWS},
	{"Slower queries", "queries",
	 "| statement | window | ratio | 95 % interval | service | p95 baseline | p95 migrating | result |\n"
	 "| --- | --- | ---: | ---: | ---: | ---: | ---: | --- |\n",
	 report_query_is_found, add_query, NULL, 3},
	{"What they waited for", "queries",
	 "| statement | window | most of all | share of its time | before | baseline |\n"
	 "| --- | --- | --- | ---: | ---: | ---: |\n",
	 report_query_waits_is_told, add_query_waits, NULL, 3},
	{"Who is hurt", "who",
	 "| application | user | statements | blocked | waited | failed on the migrating lane alone |\n"
	 "| --- | --- | ---: | ---: | ---: | ---: |\n",
	 is_hurt_client, add_client, NULL, 0},
	{"Rules that warn or fail", "rules",
	 "| result | rule | of | value | levels |\n| --- | --- | --- | ---: | --- |\n", is_fired, add_rule, NULL, 0},
	{"The migration's statements that lock or last", "migration",
	 "| statement | took | locks | error |\n| --- | ---: | --- | --- |\n", report_statement_matters, add_statement,
	 NULL, 0},
	{"Not tested", "untested", "| what | why |\n| --- | --- |\n", any, add_untested, NULL, 0},
};
#define SUBJECTS (sizeof(subjects) / sizeof(*subjects))

/* What has room; false for what has none. */
static bool add_part(const struct strbuf *part, struct strbuf *out)
{
	if (part->overflow || out->len + part->len + FOOTER_ROOM > out->max)
		return false;
	strbuf_add(out, part->data, part->len);
	return true;
}

static double count_shown(const struct subject *s, const json_t *document)
{
	size_t i;
	const json_t *entry;
	double count = 0;
	json_array_foreach (json_object_get(document, s->list), i, entry)
		count += s->shown(entry);
	double total = s->total ? html_number_of(document, s->total) : 0;
	return total > count ? total : count;
}

/* Rows from..to of those that are shown. */
static void add_rows(const struct subject *s, const json_t *document, size_t from, size_t to, struct strbuf *out)
{
	size_t i;
	size_t n = 0;
	const json_t *entry;
	strbuf_add_str(out, s->heads);
	json_array_foreach (json_object_get(document, s->list), i, entry) {
		if (!s->shown(entry))
			continue;
		if (n >= from && n < to)
			s->row(entry, out);
		if (++n >= to)
			break;
	}
	strbuf_add_char(out, '\n');
}

static void add_subject(const struct subject *s, const json_t *document, struct strbuf *out)
{
	double count = count_shown(s, document);
	size_t last = s->open_rows + FOLDED_ROWS;
	if (count <= 0)
		return;
	if (s->open_rows) {
		strbuf_addf(out, "**%s** (%.0f)\n\n", s->title, count);
		add_rows(s, document, 0, s->open_rows, out);
	}
	if (count <= (double)s->open_rows)
		return;
	if (s->open_rows)
		strbuf_addf(out, "<details><summary>%.0f more</summary>\n\n", count - (double)s->open_rows);
	else
		strbuf_addf(out, "<details><summary>%s (%.0f)</summary>\n\n", s->title, count);
	add_rows(s, document, s->open_rows, last, out);
	if (count > (double)last)
		strbuf_addf(out, "and %.0f more\n\n", count - (double)last);
	strbuf_add_str(out, "</details>\n\n");
}

/* The address as a link: only what a link may hold, so that it ends where it should. */
static void add_link(const char *link, struct strbuf *out)
{
	strbuf_add_str(out, "[Full report](<");
	for (const char *p = link; *p; p++) {
		if ((unsigned char)*p <= 0x20 || strchr("<>\\", *p) || *p == 0x7f)
			strbuf_addf(out, "%%%02X", (unsigned char)*p);
		else
			strbuf_add_char(out, *p);
	}
	strbuf_add_str(out, ">) · ");
}

static void add_footer(const json_t *document, const struct report_context *context, struct strbuf *out)
{
	const char *commit = html_text_of(json_object_get(document, "environment"), "commit");
	struct strbuf command;
	strbuf_init(&command, 1000);
	report_add_command(document, &command);
	if (context && context->link && strlen(context->link) < 1000)
		add_link(context->link, out);
	if (*commit) {
		strbuf_add_str(out, "commit ");
		add_code(out, commit, 100);
		strbuf_add_str(out, " · ");
	}
	strbuf_add_str(out, "run it again: ");
	add_code(out, command.data, 1000);
	strbuf_add_str(out, "\n\nStatements are shown without their values.\n");
	strbuf_release(&command);
}

int report_markdown_write(const struct verdict *verdict, const struct report_context *context, struct strbuf *out,
			  struct error *err)
{
	const json_t *document = verdict->document;
	size_t left_out = 0;
	add_head(document, out);
	add_figures(document, out);
	add_hint(document, out);
	add_rollout(document, out);
	for (size_t i = 0; i <= SUBJECTS; i++) {
		struct strbuf part;
		strbuf_init(&part, out->max);
		if (i < SUBJECTS)
			add_subject(&subjects[i], document, &part);
		else
			add_blackouts(json_object_get(document, "blackouts"), &part);
		left_out += !add_part(&part, out);
		strbuf_release(&part);
	}
	if (left_out)
		strbuf_addf(out, "%zu subjects are too long for a comment: see the report.\n\n", left_out);
	add_footer(document, context, out);
	if (out->overflow)
		return error_set(err, ERR_INTERNAL, "the comment would be larger than %zu bytes", out->max);
	return 0;
}
