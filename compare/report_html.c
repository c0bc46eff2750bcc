/* The report as one HTML file: see report_html.h. First the screen that matters, then a section per subject. */
#include "report_html.h"

#include "html_text.h"
#include "mem.h"
#include "out_file.h"
#include "report_style.h"
#include "report_svg.h"

#define SQL_SHOWN 300

/* A cell with escaped text. */
static void cell(struct strbuf *out, const char *text)
{
	strbuf_add_str(out, "<td>");
	html_add_text(out, text);
	strbuf_add_str(out, "</td>");
}

static void cell_number(struct strbuf *out, double value)
{
	strbuf_add_str(out, "<td class=\"n\">");
	html_add_number(out, value);
	strbuf_add_str(out, "</td>");
}

static void cell_ms(struct strbuf *out, double ms)
{
	strbuf_add_str(out, "<td class=\"n\">");
	html_add_ms(out, ms);
	strbuf_add_str(out, "</td>");
}

static void cell_sql(struct strbuf *out, const char *sql)
{
	strbuf_add_str(out, "<td class=\"q\"><code>");
	html_add_cut(out, *sql ? sql : "(no statement)", SQL_SHOWN);
	strbuf_add_str(out, "</code></td>");
}

static void cell_result(struct strbuf *out, const char *result)
{
	strbuf_addf(out, "<td class=\"r-%s\">", result);
	html_add_text(out, strcmp(result, "cannot_tell") == 0 ? "cannot tell" : result);
	strbuf_add_str(out, "</td>");
}

/* "a|#b|c" as the head of a table, # for a column of numbers, with the id of the heading that names it. */
static void open_table(struct strbuf *out, const char *id, const char *heads)
{
	strbuf_addf(out,
		    "<div class=\"scroll\" tabindex=\"0\" role=\"region\" aria-labelledby=\"%s\"><table><thead><tr>",
		    id);
	for (const char *p = heads; *p;) {
		size_t len = strcspn(p, "|");
		bool number = *p == '#';
		strbuf_add_str(out, number ? "<th scope=\"col\" class=\"n\">" : "<th scope=\"col\">");
		strbuf_add(out, p + number, len - number);
		strbuf_add_str(out, "</th>");
		p += len + (p[len] == '|');
	}
	strbuf_add_str(out, "</tr></thead><tbody>");
}

static void close_table(struct strbuf *out)
{
	strbuf_add_str(out, "</tbody></table></div>");
}

static void heading(struct strbuf *out, const char *id, const char *text)
{
	strbuf_addf(out, "<h2 id=\"%s\">%s</h2>", id, text);
}

static void none(struct strbuf *out, const char *text)
{
	strbuf_addf(out, "<p class=\"none\">%s</p>", text);
}

/* A sentence whose `parts` are code. */
static void add_sentence(struct strbuf *out, const char *text)
{
	bool code = false;
	const char *from = text;
	for (const char *p = text;; p++) {
		if (*p && *p != '`')
			continue;
		char *piece = mem_strndup(from, (size_t)(p - from));
		html_add_text(out, piece);
		free(piece);
		if (!*p)
			break;
		strbuf_add_str(out, code ? "</code>" : "<code>");
		code = !code;
		from = p + 1;
	}
	if (code)
		strbuf_add_str(out, "</code>");
}

static void add_banner(const struct verdict *verdict, struct strbuf *out)
{
	static const char *const words[] = {"Clear", "Hurts", "Cannot tell", "Invalid run"};
	static const char *const icons[] = {"M4 12l5 6L20 5", "M5 5l14 14M19 5L5 19",
					    "M8 8a4 4 0 1 1 5 4c-1 .5-1 1-1 3M12 19v1", "M12 3v11M12 18v3"};
	strbuf_addf(out,
		    "<section class=\"banner %s\" role=\"status\"><div class=\"word\"><svg viewBox=\"0 0 24 24\" "
		    "aria-hidden=\"true\"><path d=\"%s\" fill=\"none\" stroke=\"currentColor\" stroke-width=\"3\" "
		    "stroke-linecap=\"round\" stroke-linejoin=\"round\"/></svg>%s</div><p>",
		    verdict_outcome_name(verdict->outcome), icons[verdict->outcome], words[verdict->outcome]);
	add_sentence(out, verdict->reason);
	strbuf_add_str(out, "</p></section>");
}

static const json_t *longest_stall(const json_t *document)
{
	const json_t *longest = NULL;
	const json_t *stall;
	size_t i;
	json_array_foreach (json_object_get(document, "stalls"), i, stall) {
		if (!longest || html_number_of(stall, "duration_ms") > html_number_of(longest, "duration_ms"))
			longest = stall;
	}
	return longest;
}

static void open_tile(struct strbuf *out, const char *label)
{
	strbuf_addf(out, "<div class=\"tile\"><div class=\"l\">%s</div><div class=\"v\">", label);
}

static void tile_stall(const json_t *document, struct strbuf *out)
{
	const json_t *stall = longest_stall(document);
	open_tile(out, "Longest stall");
	if (!stall) {
		strbuf_add_str(out, "none</div><div class=\"s\">nobody waited for the migration</div></div>");
		return;
	}
	html_add_ms(out, html_number_of(stall, "duration_ms"));
	strbuf_add_str(out, "</div><div class=\"s\">");
	html_add_text(out, html_text_of(stall, "relation"));
	strbuf_addf(out, ", %.0f statements</div></div>", html_number_of(stall, "victims"));
}

static void tile_errors(const json_t *document, struct strbuf *out)
{
	size_t i;
	const json_t *entry;
	double count = 0;
	const char *code = "";
	json_array_foreach (json_object_get(document, "errors"), i, entry) {
		if (strcmp(html_text_of(entry, "result"), "migration") != 0)
			continue;
		double more = html_number_of(entry, "migrating") - html_number_of(entry, "baseline");
		count += more > 1 ? more : 1;
		code = *code ? code : html_text_of(entry, "sqlstate");
	}
	open_tile(out, "New errors");
	html_add_number(out, count);
	strbuf_add_str(out, "</div><div class=\"s\">");
	if (*code) {
		strbuf_add_str(out, "first ");
		html_add_text(out, code);
	} else {
		strbuf_add_str(out, "none because of the migration");
	}
	strbuf_add_str(out, "</div></div>");
}

/* The worst that was found; without one the largest ratio among those decided. */
static void tile_ratio(const json_t *document, struct strbuf *out)
{
	size_t i;
	const json_t *query;
	const json_t *worst = NULL;
	bool worst_found = false;
	json_array_foreach (json_object_get(document, "queries"), i, query) {
		const char *result = html_text_of(query, "result");
		bool found = strcmp(result, "hurts") == 0 || strcmp(result, "slower") == 0;
		if (strcmp(result, "cannot_tell") == 0 || (worst_found && !found))
			continue;
		if (!worst || (found && !worst_found) ||
		    html_number_of(query, "ratio") > html_number_of(worst, "ratio"))
			worst = query;
		worst_found |= found;
	}
	open_tile(out, "Worst query");
	if (!worst) {
		strbuf_add_str(out, "undecided</div><div class=\"s\">too few executions in time</div></div>");
		return;
	}
	strbuf_addf(out, "× %.2f</div><div class=\"s\">%.2f to %.2f: <code>", html_number_of(worst, "ratio"),
		    html_number_of(worst, "ci_low"), html_number_of(worst, "ci_high"));
	html_add_cut(out, html_text_of(worst, "sql"), 48);
	strbuf_add_str(out, "</code></div></div>");
}

static void add_tiles(const json_t *document, struct strbuf *out)
{
	const json_t *fidelity = json_object_get(document, "fidelity");
	strbuf_add_str(out, "<section class=\"tiles\" aria-label=\"At a glance\">");
	tile_stall(document, out);
	tile_errors(document, out);
	tile_ratio(document, out);
	open_tile(out, "Fidelity");
	html_add_text(out, html_text_of(fidelity, "grade"));
	strbuf_addf(out, "</div><div class=\"s\">%.0f statements on both lanes</div></div></section>",
		    html_number_of(fidelity, "statements"));
}

static bool any_rule_fires(const json_t *document, const char *name)
{
	size_t i;
	const json_t *rule;
	json_array_foreach (json_object_get(document, "rules"), i, rule) {
		if (strcmp(html_text_of(rule, "name"), name) == 0 && strcmp(html_text_of(rule, "result"), "pass") != 0)
			return true;
	}
	return false;
}

static bool has_word(const char *sql, const char *word)
{
	size_t len = strlen(word);
	for (const char *p = sql; *p; p++) {
		size_t i = 0;
		while (i < len && p[i] && (p[i] == word[i] || p[i] == word[i] + 32))
			i++;
		if (i == len)
			return true;
	}
	return false;
}

/* What usually helps against what was measured. The verdict never comes from such a list, only the advice does. */
static void add_hint(const json_t *document, struct strbuf *out)
{
	const json_t *stall = longest_stall(document);
	const json_t *root = json_array_get(json_object_get(stall, "chain"), 0);
	const char *sql = "";
	size_t i;
	const json_t *link;
	json_array_foreach (json_object_get(stall, "chain"), i, link) {
		if (strcmp(html_text_of(link, "who"), "migration") == 0)
			sql = html_text_of(link, "sql");
	}
	const char *text = NULL;
	if (any_rule_fires(document, "stall.max") || any_rule_fires(document, "blocked.query_seconds")) {
		if (strcmp(html_text_of(root, "who"), "migration") != 0)
			text = "The migration queued behind another session, and everybody else behind the migration: "
			       "set "
			       "lock_timeout to a fraction of a second and retry.";
		else if (has_word(sql, "CREATE") && has_word(sql, "INDEX") && !has_word(sql, "CONCURRENTLY"))
			text = "CREATE INDEX CONCURRENTLY builds the index without keeping writers out.";
		else if (has_word(sql, "DROP INDEX") && !has_word(sql, "CONCURRENTLY"))
			text = "DROP INDEX CONCURRENTLY waits without keeping others out.";
		else if (has_word(sql, "CHECK") || has_word(sql, "FOREIGN KEY"))
			text = "Add the constraint as NOT VALID, then VALIDATE CONSTRAINT in a transaction of its own: "
			       "the scan "
			       "then keeps nobody out.";
		else if (has_word(sql, "SET NOT NULL"))
			text = "Add CHECK (column IS NOT NULL) NOT VALID and validate it first: SET NOT NULL then "
			       "needs no scan.";
		else if (has_word(sql, " TYPE "))
			text = "Add a column of the new type, fill it in small batches, and swap the two in a short "
			       "transaction; a change of type in place rewrites the table under its strongest lock.";
		else
			text = "Set lock_timeout and retry; do long work in transactions that hold no strong lock.";
	} else if (any_rule_fires(document, "slow.query_seconds")) {
		text = "Create the new index before the old one is dropped (both CONCURRENTLY), so that no query is "
		       "ever "
		       "without one.";
	} else if (any_rule_fires(document, "errors.new")) {
		text = "Old statements meet the new schema: first release the application that no longer needs the old "
		       "one, "
		       "then migrate (expand, then contract).";
	}
	if (text)
		strbuf_addf(out, "<p class=\"hint\"><strong>What usually helps:</strong> %s</p>", text);
}

static void add_chain(const json_t *stall, struct strbuf *out)
{
	size_t i;
	const json_t *link;
	strbuf_add_str(out, "<td class=\"q\">");
	json_array_foreach (json_object_get(stall, "chain"), i, link) {
		if (i)
			strbuf_add_str(out, "<br>");
		html_add_text(out, html_text_of(link, "role"));
		strbuf_add_str(out, ": ");
		html_add_text(out, html_text_of(link, "who"));
		if (*html_text_of(link, "application")) {
			strbuf_add_str(out, " of ");
			html_add_text(out, html_text_of(link, "application"));
		}
		if (json_is_true(json_object_get(link, "idle_in_transaction")))
			strbuf_add_str(out, ", idle in a transaction behind");
		strbuf_add_str(out, " <code>");
		html_add_cut(out, html_text_of(link, "sql"), 120);
		strbuf_add_str(out, "</code>");
	}
	strbuf_add_str(out, "</td>");
}

static void add_stalls(const json_t *document, struct strbuf *out)
{
	size_t i;
	const json_t *item;
	const json_t *stalls = json_object_get(document, "stalls");
	const json_t *exposures = json_object_get(document, "exposures");
	heading(out, "stalls", "Stalls");
	if (json_array_size(stalls) == 0) {
		none(out, "Nobody waited for a lock of the migration.");
	} else {
		open_table(out, "stalls",
			   "relation|lock|#from|#length|#victims|#timed out|#waited|#longest wait|who stood before "
			   "them|seen "
			   "by");
		json_array_foreach (stalls, i, item) {
			strbuf_add_str(out, "<tr>");
			cell(out, *html_text_of(item, "relation") ? html_text_of(item, "relation") : "(rows)");
			cell(out, html_text_of(item, "mode"));
			strbuf_addf(out, "<td class=\"n\">%.3f s</td>", html_number_of(item, "start_s"));
			cell_ms(out, html_number_of(item, "duration_ms"));
			cell_number(out, html_number_of(item, "victims"));
			cell_number(out, html_number_of(item, "timed_out"));
			strbuf_add_str(out, "<td class=\"n\">");
			html_add_number(out, html_number_of(item, "blocked_query_s"));
			strbuf_add_str(out, " query-s</td>");
			cell_ms(out, html_number_of(item, "longest_wait_ms"));
			add_chain(item, out);
			strbuf_add_str(out, "<td>");
			size_t c;
			const json_t *channel;
			json_array_foreach (json_object_get(item, "channels"), c, channel) {
				strbuf_add_str(out, c ? ", " : "");
				html_add_text(out, json_string_value(channel) ? json_string_value(channel) : "");
			}
			strbuf_add_str(out, "</td></tr>");
		}
		close_table(out);
		if (html_number_of(document, "stalls_total") > (double)json_array_size(stalls))
			strbuf_addf(out, "<p class=\"soft\">The first %zu of %.0f.</p>", json_array_size(stalls),
				    html_number_of(document, "stalls_total"));
	}
	if (json_array_size(exposures) == 0)
		return;
	strbuf_add_str(out, "<h3 id=\"exposures\">Exposures: held long, and no recorded statement ran into it</h3>");
	open_table(out, "exposures", "relation|lock|#from|#held");
	json_array_foreach (exposures, i, item) {
		strbuf_add_str(out, "<tr>");
		cell(out, html_text_of(item, "relation"));
		cell(out, html_text_of(item, "mode"));
		strbuf_addf(out, "<td class=\"n\">%.3f s</td>", html_number_of(item, "start_s"));
		cell_ms(out, html_number_of(item, "held_ms"));
		strbuf_add_str(out, "</tr>");
	}
	close_table(out);
}

static void add_errors(const json_t *document, struct strbuf *out)
{
	size_t i;
	const json_t *e;
	const json_t *errors = json_object_get(document, "errors");
	heading(out, "errors", "Errors");
	if (json_array_size(errors) == 0) {
		none(out, "No statement failed, neither when it was recorded nor on either lane.");
		return;
	}
	open_table(out, "errors", "SQLSTATE|kind|statement|#recorded|#baseline|#migrating|#first at|log line|result");
	json_array_foreach (errors, i, e) {
		strbuf_add_str(out, "<tr>");
		cell(out, html_text_of(e, "sqlstate"));
		cell(out, html_text_of(e, "kind"));
		cell_sql(out, html_text_of(e, "sql"));
		cell_number(out, html_number_of(e, "capture"));
		cell_number(out, html_number_of(e, "baseline"));
		cell_number(out, html_number_of(e, "migrating"));
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
		cell_result(out, html_text_of(e, "result"));
		strbuf_add_str(out, "</tr>");
	}
	close_table(out);
}

static void add_query_row(const json_t *q, struct strbuf *out)
{
	bool has_ratio = json_is_number(json_object_get(q, "ratio"));
	strbuf_add_str(out, "<tr>");
	cell_sql(out, html_text_of(q, "sql"));
	cell(out, html_text_of(q, "window"));
	cell_number(out, html_number_of(q, "n"));
	if (has_ratio) {
		strbuf_addf(out, "<td class=\"n\">× %.2f</td><td class=\"n\">%.2f to %.2f</td><td>",
			    html_number_of(q, "ratio"), html_number_of(q, "ci_low"), html_number_of(q, "ci_high"));
		report_svg_whisker(html_number_of(q, "ratio"), html_number_of(q, "ci_low"),
				   html_number_of(q, "ci_high"), out);
		strbuf_add_str(out, "</td>");
	} else {
		strbuf_add_str(out, "<td class=\"n\">–</td><td class=\"n\">–</td><td></td>");
	}
	cell_ms(out, html_number_of(q, "baseline_p95_ms"));
	cell_ms(out, html_number_of(q, "migrating_p95_ms"));
	strbuf_addf(out, "<td class=\"n\">%.0f %%</td>", 100 * html_number_of(q, "blocked_share"));
	if (json_is_number(json_object_get(q, "smallest_effect")))
		strbuf_addf(out, "<td class=\"n\">× %.2f</td>", html_number_of(q, "smallest_effect"));
	else
		strbuf_add_str(out, "<td class=\"n\">none</td>");
	cell_result(out, html_text_of(q, "result"));
	strbuf_add_str(out, "</tr>");
}

/* Those accused in the open, the decided and the undecided folded, each in a table of its own. */
static void add_queries(const json_t *document, struct strbuf *out)
{
	static const char *const heads =
		"statement|window|#n|#ratio|#95 % interval|0.5 to 20, logarithmic|#p95 baseline|#p95 "
		"migrating|#blocked|#would have seen|result";
	static const char *const titles[3] = {NULL, "Cannot tell", "Not slower"};
	static const char *const ids[3] = {"queries", "queries-undecided", "queries-clear"};
	heading(out, "queries", "Queries");
	for (int part = 0; part < 3; part++) {
		size_t i;
		size_t shown = 0;
		const json_t *q;
		json_array_foreach (json_object_get(document, "queries"), i, q) {
			const char *result = html_text_of(q, "result");
			int of = strcmp(result, "cannot_tell") == 0 ? 1 : strcmp(result, "clear") == 0 ? 2 : 0;
			if (of != part)
				continue;
			if (!shown++) {
				if (titles[part])
					strbuf_addf(out, "<details><summary id=\"%s\">%s</summary>", ids[part],
						    titles[part]);
				open_table(out, ids[part], heads);
			}
			add_query_row(q, out);
		}
		if (shown) {
			close_table(out);
			if (titles[part])
				strbuf_add_str(out, "</details>");
		} else if (part == 0) {
			none(out, "No statement became slower beyond noise and margin.");
		}
	}
	strbuf_add_str(out,
		       "<p class=\"soft\">Blocked executions are not in the ratio: they are under Stalls. \"Would have "
		       "seen\" is the smallest slowdown that this run could have shown.</p>");
}

static void add_migration(const json_t *document, struct strbuf *out)
{
	size_t i;
	const json_t *s;
	const json_t *list = json_object_get(document, "migration");
	heading(out, "migration", "Migration");
	if (json_array_size(list) == 0) {
		none(out, "There was no migration.");
		return;
	}
	open_table(out, "migration", "statement|#from|#took|locks: mode, waited, held|rewrote|#WAL|#size|error");
	json_array_foreach (list, i, s) {
		size_t k;
		const json_t *item;
		strbuf_add_str(out, "<tr>");
		cell_sql(out, html_text_of(s, "sql"));
		strbuf_addf(out, "<td class=\"n\">%.3f s</td>", html_number_of(s, "start_s"));
		cell_ms(out, 1000 * (html_number_of(s, "end_s") - html_number_of(s, "start_s")));
		strbuf_add_str(out, "<td class=\"q\">");
		json_array_foreach (json_object_get(s, "locks"), k, item) {
			strbuf_add_str(out, k ? "<br>" : "");
			html_add_text(out, html_text_of(item, "relation"));
			strbuf_add_str(out, " ");
			html_add_text(out, html_text_of(item, "mode"));
			strbuf_add_str(out, ", ");
			html_add_ms(out, html_number_of(item, "waited_ms"));
			strbuf_add_str(out, ", ");
			html_add_ms(out, html_number_of(item, "held_ms"));
		}
		strbuf_add_str(out, "</td><td>");
		json_array_foreach (json_object_get(s, "rewrite"), k, item) {
			strbuf_add_str(out, k ? "<br>" : "");
			html_add_text(out, json_string_value(item) ? json_string_value(item) : "");
		}
		strbuf_add_str(out, "</td><td class=\"n\">");
		html_add_bytes(out, json_object_get(s, "wal_bytes"), 0);
		strbuf_add_str(out, "</td><td class=\"n\">");
		html_add_bytes(out, json_object_get(s, "size_delta_bytes"), 1);
		strbuf_add_str(out, "</td><td>");
		html_add_text(out, html_text_of(json_object_get(s, "error"), "sqlstate"));
		strbuf_add_str(out, " ");
		html_add_text(out, html_text_of(json_object_get(s, "error"), "message"));
		strbuf_add_str(out, "</td></tr>");
	}
	close_table(out);
}

static void add_fidelity(const json_t *document, struct strbuf *out)
{
	size_t i;
	const json_t *item;
	const json_t *fidelity = json_object_get(document, "fidelity");
	heading(out, "fidelity", "Fidelity of the replay");
	open_table(out, "fidelity", "figure|#value|#grade A from|#unfit beyond|grade");
	json_array_foreach (json_object_get(fidelity, "figures"), i, item) {
		strbuf_add_str(out, "<tr>");
		cell(out, html_text_of(item, "name"));
		strbuf_addf(out, "<td class=\"n\">%.5g</td><td class=\"n\">%.5g</td><td class=\"n\">%.5g</td>",
			    html_number_of(item, "value"), html_number_of(item, "grade_a"),
			    html_number_of(item, "unfit"));
		cell_result(out, html_text_of(item, "grade"));
		strbuf_add_str(out, "</tr>");
	}
	close_table(out);
	heading(out, "windows", "Windows");
	open_table(out, "windows", "window|#from|#to|#blocks|#of");
	json_array_foreach (json_object_get(document, "windows"), i, item) {
		strbuf_add_str(out, "<tr>");
		cell(out, html_text_of(item, "name"));
		strbuf_addf(out,
			    "<td class=\"n\">%.2f s</td><td class=\"n\">%.2f s</td><td class=\"n\">%.0f</td><td "
			    "class=\"n\">%.2f s</td></tr>",
			    html_number_of(item, "start_s"), html_number_of(item, "end_s"),
			    html_number_of(item, "blocks"), html_number_of(item, "block_s"));
	}
	close_table(out);
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
		cell(out, name);
		strbuf_add_str(out, "<td>");
		add_value(out, value);
		strbuf_add_str(out, "</td></tr>");
	}
}

static void add_environment(const json_t *document, struct strbuf *out)
{
	size_t i;
	const json_t *item;
	const json_t *environment = json_object_get(document, "environment");
	const json_t *differences = json_object_get(environment, "differences");
	heading(out, "environment", "Environment");
	if (json_array_size(differences)) {
		strbuf_add_str(out, "<h3 id=\"differences\">Settings that differ between the lanes</h3>");
		open_table(out, "differences", "setting|baseline|migrating");
		json_array_foreach (differences, i, item) {
			strbuf_add_str(out, "<tr>");
			cell(out, html_text_of(item, "name"));
			strbuf_add_str(out, "<td>");
			add_value(out, json_object_get(item, "baseline"));
			strbuf_add_str(out, "</td><td>");
			add_value(out, json_object_get(item, "migrating"));
			strbuf_add_str(out, "</td></tr>");
		}
		close_table(out);
	}
	strbuf_add_str(out, "<details><summary id=\"all-environment\">All figures</summary>");
	open_table(out, "all-environment", "name|value");
	add_value_rows(out, "", environment, 0);
	add_value_rows(out, "", json_object_get(document, "lanes"), 0);
	add_value_rows(out, "noise", json_object_get(document, "noise_floor"), 0);
	close_table(out);
	strbuf_add_str(out, "</details>");
}

static void add_thresholds(const json_t *document, struct strbuf *out)
{
	size_t i;
	const json_t *rule;
	heading(out, "thresholds", "Thresholds as evaluated");
	open_table(out, "thresholds", "rule|of|#value|levels|result|finding");
	json_array_foreach (json_object_get(document, "rules"), i, rule) {
		strbuf_add_str(out, "<tr>");
		cell(out, html_text_of(rule, "name"));
		strbuf_add_str(out, *html_text_of(rule, "entity") ? "<td class=\"e\"><code>" : "<td><code>");
		html_add_cut(out, html_text_of(rule, "entity"), 120);
		strbuf_add_str(out, "</code></td><td class=\"n\">");
		html_add_number(out, html_number_of(rule, "value"));
		strbuf_add_str(out, strcmp(html_text_of(rule, "unit"), "s") == 0 ? " s</td>" : "</td>");
		cell(out, html_text_of(rule, "threshold"));
		cell_result(out, html_text_of(rule, "result"));
		strbuf_add_str(out, "<td class=\"q\">");
		add_sentence(out, html_text_of(rule, "finding"));
		strbuf_add_str(out, "</td></tr>");
	}
	close_table(out);
}

static void add_untested(const json_t *document, struct strbuf *out)
{
	size_t i;
	const json_t *item;
	const json_t *list = json_object_get(document, "untested");
	heading(out, "untested", "Not tested");
	if (json_array_size(list) == 0) {
		none(out, "Nothing to add.");
		return;
	}
	open_table(out, "untested", "what|why");
	json_array_foreach (list, i, item) {
		strbuf_add_str(out, "<tr>");
		cell(out, html_text_of(item, "what"));
		cell(out, html_text_of(item, "why"));
		strbuf_add_str(out, "</tr>");
	}
	close_table(out);
}

static void add_head(const struct verdict *verdict, struct strbuf *out)
{
	const json_t *environment = json_object_get(verdict->document, "environment");
	strbuf_add_str(out,
		       "<!DOCTYPE html><html lang=\"en\"><head><meta charset=\"utf-8\"><meta name=\"viewport\" "
		       "content=\"width=device-width,initial-scale=1\"><meta name=\"color-scheme\" content=\"light "
		       "dark\"><link rel=\"icon\" href=\"data:,\"><title>Rehearse: ");
	strbuf_add_str(out, verdict_outcome_name(verdict->outcome));
	strbuf_add_str(out, "</title><style>");
	strbuf_add_str(out, report_style);
	strbuf_add_str(out, "</style></head><body><main><h1>Rehearsal of a migration, ");
	html_add_text(out, html_text_of(environment, "start_time"));
	const char *path = html_text_of(json_object_get(environment, "replay_file"), "path");
	const char *slash = strrchr(path, '/');
	path = slash ? slash + 1 : path;
	if (*path) {
		strbuf_add_str(out, ", traffic of ");
		html_add_text(out, path);
	}
	strbuf_add_str(out, "</h1>");
}

int report_html_write(const struct verdict *verdict, struct strbuf *out, struct error *err)
{
	const json_t *document = verdict->document;
	add_head(verdict, out);
	add_banner(verdict, out);
	add_tiles(document, out);
	report_svg_timeline(document, out);
	add_hint(document, out);
	add_stalls(document, out);
	add_errors(document, out);
	add_queries(document, out);
	add_migration(document, out);
	add_fidelity(document, out);
	add_environment(document, out);
	add_thresholds(document, out);
	add_untested(document, out);
	strbuf_add_str(out, "<footer>Made by rehearse from verdict.json. Statements are shown without their values. ");
	html_add_text(out, html_text_of(json_object_get(document, "noise_floor"), "alarm_rate_note"));
	strbuf_add_str(out, "</footer></main></body></html>\n");
	if (out->overflow)
		return error_set(err, ERR_INTERNAL, "the report would be larger than %zu bytes", out->max);
	return 0;
}

int report_html_save(const struct verdict *verdict, const char *path, struct error *err)
{
	struct strbuf page;
	strbuf_init(&page, REPORT_HTML_MAX);
	int rc = report_html_write(verdict, &page, err);
	if (rc == 0)
		rc = out_file_save(path, page.data, page.len, err);
	strbuf_release(&page);
	return rc;
}
