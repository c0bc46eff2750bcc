/* The first screen: banner, four tiles, and below the timeline what usually helps. See report_sections.h. */
#include "report_sections.h"

#include "html_text.h"
#include "report_parts.h"
#include "verdict.h"

void report_add_banner(const json_t *document, struct strbuf *out)
{
	static const char *const words[] = {"Clear", "Hurts", "Cannot tell", "Invalid run"};
	static const char *const icons[] = {"M4 12l5 6L20 5", "M5 5l14 14M19 5L5 19",
					    "M8 8a4 4 0 1 1 5 4c-1 .5-1 1-1 3M12 19v1", "M12 3v11M12 18v3"};
	int outcome = VERDICT_CLEAR;
	while (outcome < VERDICT_INVALID &&
	       strcmp(html_text_of(document, "outcome"), verdict_outcome_name((enum verdict_outcome)outcome)) != 0)
		outcome++;
	strbuf_addf(out,
		    "<section class=\"banner %s\" role=\"status\"><div class=\"word\"><svg viewBox=\"0 0 24 24\" "
		    "aria-hidden=\"true\"><path d=\"%s\" fill=\"none\" stroke=\"currentColor\" stroke-width=\"3\" "
		    "stroke-linecap=\"round\" stroke-linejoin=\"round\"/></svg>%s</div><p>",
		    verdict_outcome_name((enum verdict_outcome)outcome), icons[outcome], words[outcome]);
	report_add_sentence(out, html_text_of(document, "reason"));
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

void report_add_tiles(const json_t *document, struct strbuf *out)
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
void report_add_hint(const json_t *document, struct strbuf *out)
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
