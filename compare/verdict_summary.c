/* The verdict in a few lines for a terminal: see verdict.h. Made from the document alone, as every report is. */
#include "verdict.h"

#include "report_rollout.h"

#define SHOWN_MAX	  5
#define CLIENTS_SHOWN_MAX 3

static const char *text_of(const json_t *object, const char *key)
{
	const char *text = json_string_value(json_object_get(object, key));
	return text ? text : "";
}

static double number_of(const json_t *object, const char *key)
{
	return json_number_value(json_object_get(object, key));
}

static const char *word_of(enum verdict_outcome outcome)
{
	static const char *const words[] = {"CLEAR", "HURTS", "CANNOT TELL", "INVALID RUN"};
	return words[outcome];
}

/* A statement on one line, cut to what fits. */
static void add_sql(struct strbuf *out, const char *sql, size_t max)
{
	size_t n = 0;
	for (const char *p = sql; *p; p++) {
		/* A cut comes before a character, never inside one. */
		if (n >= max && ((unsigned char)*p & 0xc0) != 0x80) {
			strbuf_add_str(out, "…");
			return;
		}
		strbuf_add_char(out, (unsigned char)*p < 0x20 || *p == 0x7f ? ' ' : *p);
		n++;
	}
}

static void add_stalls(const json_t *document, struct strbuf *out)
{
	size_t i;
	const json_t *stall;
	const json_t *stalls = json_object_get(document, "stalls");
	json_array_foreach (stalls, i, stall) {
		if (i == SHOWN_MAX) {
			strbuf_addf(out, "  … and %zu more stalls\n", json_array_size(stalls) - SHOWN_MAX);
			return;
		}
		strbuf_addf(out,
			    "  stall    %s  %s  at %.2f s for %.0f ms: %.0f statements waited %.3g query-seconds\n",
			    text_of(stall, "relation"), text_of(stall, "mode"), number_of(stall, "start_s"),
			    number_of(stall, "duration_ms"), number_of(stall, "victims"),
			    number_of(stall, "blocked_query_s"));
	}
}

static void add_errors(const json_t *document, struct strbuf *out)
{
	size_t i;
	const json_t *entry;
	size_t shown = 0;
	json_array_foreach (json_object_get(document, "errors"), i, entry) {
		if (strcmp(text_of(entry, "result"), "migration") != 0 || shown++ == SHOWN_MAX)
			return;
		strbuf_addf(out, "  error    %s  baseline %.0f, migrating %.0f  ", text_of(entry, "sqlstate"),
			    number_of(entry, "baseline"), number_of(entry, "migrating"));
		add_sql(out, text_of(entry, "sql"), 60);
		strbuf_add_char(out, '\n');
	}
}

static void add_queries(const json_t *document, struct strbuf *out)
{
	size_t i;
	const json_t *query;
	size_t shown = 0;
	size_t undecided = 0;
	json_array_foreach (json_object_get(document, "queries"), i, query) {
		const char *result = text_of(query, "result");
		undecided += strcmp(result, "cannot_tell") == 0;
		if ((strcmp(result, "hurts") != 0 && strcmp(result, "slower") != 0) || shown++ >= SHOWN_MAX)
			continue;
		strbuf_addf(out, "  slower   x%.2f (%.2f to %.2f) %s: ", number_of(query, "ratio"),
			    number_of(query, "ci_low"), number_of(query, "ci_high"),
			    *text_of(query, "when") ? text_of(query, "when") : text_of(query, "window"));
		add_sql(out, text_of(query, "sql"), 60);
		strbuf_add_char(out, '\n');
	}
	if (undecided)
		strbuf_addf(out,
			    "  undecided latencies: %zu (statement and window; verdict.json has the smallest effect)\n",
			    undecided);
}

/* Whom it hurt, the worst first, as they are sorted. */
static void add_clients(const json_t *document, struct strbuf *out)
{
	size_t i;
	const json_t *client;
	json_array_foreach (json_object_get(document, "who"), i, client) {
		double blocked = number_of(client, "blocked_statements");
		double failed = number_of(client, "errors_only_migrating");
		if (i == CLIENTS_SHOWN_MAX || (blocked <= 0 && failed <= 0))
			return;
		const char *application = text_of(client, "application");
		strbuf_add_str(out, "  who      ");
		add_sql(out, *application ? application : "(no application name)", 40);
		strbuf_add_str(out, ", user ");
		add_sql(out, text_of(client, "user"), 40);
		strbuf_addf(out, ": of %.0f statements %.0f waited %.3g query-seconds, %.0f failed\n",
			    number_of(client, "statements"), blocked, number_of(client, "blocked_query_s"), failed);
	}
}

static void add_rules(const json_t *document, struct strbuf *out)
{
	size_t i;
	const json_t *rule;
	json_array_foreach (json_object_get(document, "rules"), i, rule) {
		const char *result = text_of(rule, "result");
		if (strcmp(result, "pass") == 0)
			continue;
		strbuf_addf(out, "  %-8s %s ", result, text_of(rule, "name"));
		add_sql(out, text_of(rule, "entity"), 60);
		strbuf_addf(out, " %.4g (%s)\n", number_of(rule, "value"), text_of(rule, "threshold"));
	}
}

/* What was asked of the roll-out in production, and what of a plan does not work. */
static void add_rollout(const json_t *document, struct strbuf *out)
{
	const json_t *production = json_object_get(document, "production");
	const json_t *blackouts = json_object_get(document, "blackouts");
	const char *finding;
	if (report_rollout_is_asked(document)) {
		strbuf_add_str(out, "  in production at best ");
		report_rollout_add_duration(out, json_object_get(production, "best_case_s"));
		strbuf_addf(out, ", %s", text_of(production, "rows"));
		if (json_is_number(json_object_get(production, "deploy_timeout_s"))) {
			strbuf_add_str(out, "; deploy timeout ");
			report_rollout_add_duration(out, json_object_get(production, "deploy_timeout_s"));
		}
		strbuf_add_char(out, '\n');
	}
	for (size_t n = 0; n < SHOWN_MAX && (finding = report_rollout_finding(document, "migration.blackout", n));
	     n++) {
		strbuf_add_str(out, "  blackout ");
		add_sql(out, finding, 600);
		strbuf_add_char(out, '\n');
	}
	if (*text_of(blackouts, "planned_at") && json_array_size(json_object_get(blackouts, "hits")) == 0) {
		strbuf_add_str(out, "  planned  ");
		report_rollout_add_moment(out, text_of(blackouts, "planned_at"));
		strbuf_add_str(out, ", outside of all blackouts\n");
	}
}

void verdict_print_summary(const struct verdict *verdict, struct strbuf *out)
{
	const json_t *document = verdict->document;
	const json_t *fidelity = json_object_get(document, "fidelity");
	size_t exposures = json_array_size(json_object_get(document, "exposures"));
	strbuf_addf(out, "%s: ", word_of(verdict->outcome));
	add_sql(out, verdict->reason, 2000);
	strbuf_add_char(out, '\n');
	add_stalls(document, out);
	add_errors(document, out);
	add_clients(document, out);
	add_queries(document, out);
	add_rules(document, out);
	add_rollout(document, out);
	if (exposures)
		strbuf_addf(out, "  exposed  %zu strong lock%s held long, and no recorded statement ran into %s\n",
			    exposures, exposures == 1 ? "" : "s", exposures == 1 ? "it" : "them");
	strbuf_addf(out, "  fidelity %s, %.0f statements on both lanes\n", text_of(fidelity, "grade"),
		    number_of(fidelity, "statements"));
}
