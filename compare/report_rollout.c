/* The roll-out in production in reports: see report_rollout.h. */
#include "report_rollout.h"

#include "clock.h"
#include "html_text.h"
#include "report_parts.h"
#include "wall_time.h"

#include <math.h>

#define NAME_SHOWN 120
#define SQL_SHOWN  60
#define LISTED	   10 /* names in a sentence */
/* The form's section is the last and has little room: a calendar has a name of 60 characters, a rule of 80. */
#define CALENDAR_ROWS 25
#define CALENDAR_CELL 80

bool report_rollout_is_asked(const json_t *document)
{
	const json_t *production = json_object_get(document, "production");
	return json_is_true(json_object_get(production, "row_ratio_given")) ||
	       json_is_number(json_object_get(production, "deploy_timeout_s"));
}

void report_rollout_add_duration(struct strbuf *out, const json_t *seconds)
{
	char text[DURATION_TEXT_MAX];
	double s = json_number_value(seconds);
	if (!json_is_number(seconds) || !(s >= 0 && s < 9e9)) {
		strbuf_add_str(out, "–");
		return;
	}
	clock_format_duration((int64_t)llround(s * 1e9), text);
	strbuf_add_str(out, text);
}

void report_rollout_add_moment(struct strbuf *out, const char *time)
{
	static const char *const weekdays[] = {"Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"}; /* 1970 on */
	struct tm tm;
	int64_t rest_ns;
	struct span zone;
	if (!wall_time_scan(time, &tm, &rest_ns, &zone))
		return;
	int64_t day = wall_day_number(tm.tm_year + 1900, tm.tm_mon + 1, tm.tm_mday);
	strbuf_addf(out, "%s %04d-%02d-%02d %02d:%02d", weekdays[day % 7], tm.tm_year + 1900, tm.tm_mon + 1, tm.tm_mday,
		    tm.tm_hour, tm.tm_min);
}

const char *report_rollout_finding(const json_t *document, const char *rule, size_t n)
{
	size_t i;
	const json_t *entry;
	json_array_foreach (json_object_get(document, "rules"), i, entry) {
		const char *finding = html_text_of(entry, "finding");
		if (*finding && strcmp(html_text_of(entry, "name"), rule) == 0 && n-- == 0)
			return finding;
	}
	return NULL;
}

void report_rollout_cell(struct strbuf *out, const json_t *statement)
{
	const json_t *production = json_object_get(statement, "production");
	strbuf_add_str(out, "<td class=\"n\">");
	report_rollout_add_duration(out, json_object_get(production, "best_case_s"));
	if (json_is_object(production)) {
		strbuf_add_str(out, "<br><small class=\"soft\">");
		html_add_cut(out, html_text_of(production, "work"), NAME_SHOWN);
		if (json_is_true(json_object_get(production, "grows")) && html_number_of(production, "row_ratio") != 1)
			strbuf_addf(out, " × %.6g", html_number_of(production, "row_ratio"));
		strbuf_add_str(out, "</small>");
	}
	strbuf_add_str(out, "</td>");
}

/* What the figure is made of, and what it leaves out. */
static void add_best_case(const json_t *production, struct strbuf *out)
{
	strbuf_add_str(out, "<p>In production, ");
	html_add_cut(out, html_text_of(production, "rows"), NAME_SHOWN);
	strbuf_add_str(out, json_is_true(json_object_get(production, "complete"))
				    ? ", the migration takes at best <strong>"
				    : ", what ran of the migration takes at best <strong>");
	report_rollout_add_duration(out, json_object_get(production, "best_case_s"));
	strbuf_add_str(out,
		       "</strong>. This is the <em>best case</em>: caches and indexes that no longer fit into memory, "
		       "and traffic, make it longer. In this run it took ");
	report_rollout_add_duration(out, json_object_get(production, "took_s"));
	strbuf_add_str(out, ", of which waiting for locks (");
	report_rollout_add_duration(out, json_object_get(production, "lock_waits_s"));
	strbuf_add_str(out, ") and measuring (");
	report_rollout_add_duration(out, json_object_get(production, "measuring_s"));
	strbuf_add_str(out, ") are left out.");
	if (!json_is_true(json_object_get(production, "row_ratio_given")))
		strbuf_add_str(out, " <code>--row-ratio</code> says how many more rows production has.");
	strbuf_add_str(out, "</p>");
}

static void add_exceeding(const json_t *document, const json_t *production, struct strbuf *out)
{
	size_t i;
	const json_t *index;
	const json_t *statements = json_object_get(document, "migration");
	const json_t *list = json_object_get(production, "exceeding");
	const json_t *allowed = json_object_get(production, "deploy_timeout_s");
	if (!json_is_number(allowed) || json_number_value(allowed) <= 0)
		return;
	double share = html_number_of(production, "best_case_s") / json_number_value(allowed);
	strbuf_addf(out, "<p>That is <strong class=\"%s\">%.3g %%</strong> of the deploy timeout, ",
		    share > 1 ? "r-warn" : "r-pass", 100 * share);
	report_rollout_add_duration(out, allowed);
	strbuf_add_str(out, ".");
	json_array_foreach (list, i, index) {
		const json_t *s = json_array_get(statements, (size_t)json_integer_value(index));
		if (i == LISTED)
			break;
		strbuf_add_str(out, i ? ", <code>" : " More than that take: <code>");
		html_add_cut(out, html_text_of(s, "sql"), SQL_SHOWN);
		strbuf_add_str(out, "</code> (");
		report_rollout_add_duration(out, json_object_get(json_object_get(s, "production"), "best_case_s"));
		strbuf_add_str(out, ")");
	}
	strbuf_add_str(out, json_array_size(list) ? ".</p>" : "</p>");
}

/* A table's name that nothing has may be a slip of the pen. */
static void add_unconcerned(const json_t *production, struct strbuf *out)
{
	size_t i;
	const json_t *entry;
	size_t shown = 0;
	json_array_foreach (json_object_get(production, "row_ratios"), i, entry) {
		if (json_is_true(json_object_get(entry, "concerned")) || shown > LISTED)
			continue;
		strbuf_add_str(out, shown++ ? ", <code>"
					    : "<p>A row ratio is given for tables that no statement concerns: "
					      "<code>");
		html_add_cut(out, html_text_of(entry, "table"), NAME_SHOWN);
		strbuf_add_str(out, "</code>");
	}
	strbuf_add_str(out, shown ? ".</p>" : "");
}

static void add_timeouts(const json_t *production, struct strbuf *out)
{
	static const char *const names[] = {"lock_timeout", "statement_timeout"};
	const json_t *advice = json_object_get(production, "advice");
	if (!json_is_object(advice))
		return;
	strbuf_add_str(out, "<h3 id=\"timeouts\">Timeouts that fit</h3>");
	report_table_open(out, "timeouts", "setting|value|why");
	for (size_t i = 0; i < 2; i++) {
		const json_t *entry = json_object_get(advice, names[i]);
		const char *setting = html_text_of(entry, "setting");
		strbuf_addf(out, "<tr><td class=\"e\"><code>%s</code></td><td>", names[i]);
		html_add_cut(out, *setting ? setting : "none", NAME_SHOWN);
		strbuf_add_str(out, "</td><td class=\"q\">");
		report_add_sentence(out, html_text_of(entry, "why"));
		strbuf_add_str(out, "</td></tr>");
	}
	report_table_close(out);
}

/* The planned time, in a sentence: what stands in its way, or that nothing does. */
static void add_plan(const json_t *document, struct strbuf *out)
{
	const json_t *blackouts = json_object_get(document, "blackouts");
	const char *finding;
	const char *planned = html_text_of(blackouts, "planned_at");
	if (!*planned)
		return;
	for (size_t n = 0; n < LISTED && (finding = report_rollout_finding(document, "migration.blackout", n)); n++) {
		strbuf_add_str(out, "<p class=\"hint\"><strong>Blackout:</strong> ");
		report_add_sentence(out, finding);
		strbuf_add_str(out, ".</p>");
	}
	if (json_array_size(json_object_get(blackouts, "hits")) > 0)
		return;
	strbuf_add_str(out, "<p>It is planned for ");
	report_rollout_add_moment(out, planned);
	const char *end = html_text_of(blackouts, "planned_end");
	strbuf_add_str(out, *end ? ", and ends at best at " : ", and takes more than a year");
	report_rollout_add_moment(out, end);
	strbuf_add_str(out, json_array_size(json_object_get(blackouts, "entries"))
				    ? ": no blackout stands in its way.</p>"
				    : "; there is no blackout calendar to hold that against.</p>");
}

void report_add_production(const json_t *document, struct strbuf *out)
{
	const json_t *production = json_object_get(document, "production");
	if (json_is_object(production)) {
		strbuf_add_str(out, "<h3>In production, best case</h3>");
		add_best_case(production, out);
		add_exceeding(document, production, out);
		add_unconcerned(production, out);
	}
	add_plan(document, out);
	if (json_is_object(production))
		add_timeouts(production, out);
}

void report_rollout_add_subjects(const json_t *document, struct strbuf *out,
				 void (*add_subject)(struct strbuf *out, const char *name, const char *value))
{
	const json_t *production = json_object_get(document, "production");
	const json_t *blackouts = json_object_get(document, "blackouts");
	struct strbuf text;
	strbuf_init(&text, 1000);
	if (json_is_object(production)) {
		report_rollout_add_duration(&text, json_object_get(production, "best_case_s"));
		strbuf_addf(&text, " %s", html_text_of(production, "rows"));
		add_subject(out, "Best case in production", text.data);
		strbuf_clear(&text);
	}
	if (json_is_number(json_object_get(production, "deploy_timeout_s"))) {
		report_rollout_add_duration(&text, json_object_get(production, "deploy_timeout_s"));
		add_subject(out, "Deploy timeout", text.data);
		strbuf_clear(&text);
	}
	if (*html_text_of(blackouts, "planned_at")) {
		report_rollout_add_moment(&text, html_text_of(blackouts, "planned_at"));
		add_subject(out, "Planned for", text.data);
		strbuf_clear(&text);
		report_rollout_add_moment(&text, html_text_of(blackouts, "next_free"));
		add_subject(out, "Free of blackouts from", text.len ? text.data : "no time within a year");
	}
	strbuf_release(&text);
}

static void blackout_row(const json_t *entry, struct strbuf *out)
{
	const json_t *recorded = json_object_get(entry, "recorded_s");
	double count = html_number_of(entry, "count");
	strbuf_add_str(out, "<td>");
	html_add_cut(out, html_text_of(entry, "name"), CALENDAR_CELL);
	strbuf_add_str(out, "</td><td>");
	html_add_cut(out, html_text_of(entry, "rule"), CALENDAR_CELL);
	strbuf_add_str(out, "</td><td class=\"e\">");
	report_rollout_add_moment(out, html_text_of(entry, "next_start"));
	strbuf_add_str(out, count > 0 ? " to " : "not in this time");
	report_rollout_add_moment(out, html_text_of(entry, "next_end"));
	strbuf_addf(out, "</td><td class=\"n\">%.0f</td><td>", count);
	if (!json_is_number(recorded))
		strbuf_add_str(out, "not known");
	else if (json_number_value(recorded) <= 0)
		strbuf_add_str(out, "<strong class=\"r-warn\">no</strong>");
	else
		report_rollout_add_duration(out, recorded);
	strbuf_add_str(out, "</td>");
}

static bool is_unseen(const json_t *entry)
{
	const json_t *recorded = json_object_get(entry, "recorded_s");
	return json_is_number(recorded) && json_number_value(recorded) <= 0;
}

/* Traffic of a Tuesday says nothing about the batch job of the 1st. */
static void add_unseen(const json_t *blackouts, struct strbuf *out)
{
	size_t i;
	size_t unseen = 0;
	const json_t *entry;
	const char *from = html_text_of(blackouts, "recorded_from");
	if (!*from) {
		report_add_none(out,
				"The replay file does not say when it was recorded, so nothing can be said of which "
				"of these times its traffic covers.");
		return;
	}
	strbuf_add_str(out, "<p>The traffic was recorded from ");
	report_rollout_add_moment(out, from);
	strbuf_add_str(out, " to ");
	report_rollout_add_moment(out, html_text_of(blackouts, "recorded_to"));
	json_array_foreach (json_object_get(blackouts, "entries"), i, entry)
		unseen += is_unseen(entry);
	strbuf_add_str(out, unseen ? ". Of what runs in the times marked <em>no</em> it says nothing.</p>"
				   : ", and has some of each of these times.</p>");
}

void report_add_blackouts(const json_t *document, struct strbuf *out)
{
	const json_t *blackouts = json_object_get(document, "blackouts");
	const json_t *entries = json_object_get(blackouts, "entries");
	const char *zone = html_text_of(blackouts, "time_zone");
	size_t i;
	const json_t *entry;
	if (json_array_size(entries) == 0)
		return;
	strbuf_add_str(out, "<h3 id=\"blackouts\">Blackouts of the 30 days from ");
	report_rollout_add_moment(out, html_text_of(blackouts, "listed_from"));
	strbuf_add_str(out, *zone ? ", " : ", local time");
	html_add_cut(out, zone, NAME_SHOWN);
	strbuf_add_str(out, "</h3>");
	report_table_open(out, "blackouts", "blackout|days|next|#times|in the recorded traffic");
	json_array_foreach (entries, i, entry) {
		if (i == CALENDAR_ROWS)
			break;
		strbuf_add_str(out, "<tr>");
		blackout_row(entry, out);
		strbuf_add_str(out, "</tr>");
	}
	report_table_close(out);
	if (json_array_size(entries) > CALENDAR_ROWS)
		strbuf_addf(out, "<p class=\"soft\">… and %zu more: see verdict.json.</p>",
			    json_array_size(entries) - CALENDAR_ROWS);
	add_unseen(blackouts, out);
}
