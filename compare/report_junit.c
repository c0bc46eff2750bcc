/*
 * The report as JUnit XML, the form in which Jenkins, GitLab and most CI servers take test results: a suite for each
 * subject, a case for each rule and what it was applied to. A rule that fails is a failure; what cannot be told is
 * skipped, with the reason; an invalid run is an error, and its rules are skipped, because they were not judged. A
 * warning passes and says so. There is no standard: this is what Jenkins' schema (jenkins-junit.xsd of its xUnit
 * plugin) and GitLab's documentation have in common; tests/unit/data/junit.xsd.
 */
#include "html_text.h"
#include "report_facts.h"
#include "report_formats.h"

#include <stdint.h>

#define CASES_MAX     1000 /* of a suite and result */
#define MESSAGE_MAX   1000
#define CASE_NAME_MAX 200
#define CASE_ROOM     20000 /* the largest that a case can become, escaped */

enum case_result {
	CASE_PASSED,
	CASE_FAILED,
	CASE_SKIPPED,
	CASE_ERROR,
	CASE_RESULTS
};

static const char *const suite_names[] = {"locks", "errors", "latency", "data", "migration", "fidelity", "other"};
#define SUITES	       (sizeof(suite_names) / sizeof(*suite_names))
#define SUITE_LATENCY  2
#define SUITE_FIDELITY 5
#define SUITE_OTHER    6

struct suite {
	struct strbuf cases;
	uint64_t counts[CASE_RESULTS];
	uint64_t left_out[CASE_RESULTS];
};

/* The suite of a rule, by the first word of its name. */
static size_t suite_of(const char *rule)
{
	static const struct {
		const char *prefix;
		size_t suite;
	} prefixes[] = {
		{"stall.", 0},
		{"blocked.", 0},
		{"errors.", 1},
		{"latency.", SUITE_LATENCY},
		{"slow.", SUITE_LATENCY},
		{"rows.", 3},
		{"data.", 3},
		{"rollback.", 3},
		{"triggers.", 3},
		{"migration.", 4},
		{"fidelity.", SUITE_FIDELITY},
	};
	for (size_t i = 0; i < sizeof(prefixes) / sizeof(*prefixes); i++) {
		if (strncmp(rule, prefixes[i].prefix, strlen(prefixes[i].prefix)) == 0)
			return prefixes[i].suite;
	}
	return SUITE_OTHER;
}

/* Text that XML 1.0 can hold: html_text.h leaves nothing else but U+FFFE and U+FFFF. */
static void add_text(struct strbuf *out, const char *text, size_t max)
{
	size_t from = out->len;
	html_add_cut(out, text, max);
	for (size_t i = from; i + 2 < out->len; i++) {
		if ((unsigned char)out->data[i] == 0xef && (unsigned char)out->data[i + 1] == 0xbf &&
		    (unsigned char)out->data[i + 2] >= 0xbe)
			out->data[i + 2] = (char)0xbd;
	}
}

struct test_case {
	const char *name;
	const char *of; /* what the rule was applied to, "" for the run */
	enum case_result result;
	const char *message; /* NULL: none */
	const char *note;    /* <system-out>, NULL: none */
};

static void add_case(struct suite *suites, size_t index, const struct test_case *c)
{
	static const char *const elements[] = {NULL, "failure", "skipped", "error"};
	struct suite *suite = &suites[index];
	struct strbuf *out = &suite->cases;
	if (suite->counts[c->result] == CASES_MAX || out->len + CASE_ROOM > out->max) {
		suite->left_out[c->result]++;
		return;
	}
	suite->counts[c->result]++;
	strbuf_addf(out, "    <testcase classname=\"rehearse.%s\" name=\"", suite_names[index]);
	add_text(out, c->name, CASE_NAME_MAX);
	if (*c->of) {
		strbuf_add_str(out, " of ");
		add_text(out, c->of, CASE_NAME_MAX);
	}
	strbuf_add_str(out, "\" time=\"0\"");
	if (c->result == CASE_PASSED && !c->note) {
		strbuf_add_str(out, "/>\n");
		return;
	}
	strbuf_add_str(out, ">\n");
	if (c->result != CASE_PASSED) {
		strbuf_addf(out, "      <%s message=\"", elements[c->result]);
		add_text(out, c->message ? c->message : "", MESSAGE_MAX);
		strbuf_addf(out, c->result == CASE_SKIPPED ? "\"/>\n" : "\" type=\"%s\"/>\n",
			    c->result == CASE_FAILED ? "hurts" : "invalid");
	}
	if (c->note) {
		strbuf_add_str(out, "      <system-out>");
		add_text(out, c->note, MESSAGE_MAX);
		strbuf_add_str(out, "</system-out>\n");
	}
	strbuf_add_str(out, "    </testcase>\n");
}

/* Backticks are for people who read Markdown. */
static char *without_ticks(const char *text)
{
	struct strbuf out;
	strbuf_init(&out, strlen(text) + 1);
	for (const char *p = text; *p; p++) {
		if (*p != '`')
			strbuf_add_char(&out, *p);
	}
	return strbuf_detach(&out);
}

static void add_rule(const json_t *rule, bool invalid, struct suite *suites)
{
	const char *result = html_text_of(rule, "result");
	char *finding = without_ticks(html_text_of(rule, "finding"));
	struct strbuf text;
	struct test_case c = {.name = html_text_of(rule, "name"), .of = html_text_of(rule, "entity")};
	bool warns = strcmp(result, "warn") == 0;
	strbuf_init(&text, 20000);
	strbuf_addf(&text, "%s%s%s%.6g (%s)", warns ? "warning: " : "", finding, *finding ? "; " : "",
		    html_number_of(rule, "value"), html_text_of(rule, "threshold"));
	if (invalid) {
		c.result = CASE_SKIPPED;
		c.message = "the run is invalid: see fidelity";
	} else if (warns) {
		c.note = text.data;
	} else if (strcmp(result, "fail") == 0) {
		c.result = CASE_FAILED;
		c.message = text.data;
	}
	add_case(suites, suite_of(c.name), &c);
	strbuf_release(&text);
	free(finding);
}

static void add_rules(const json_t *document, struct suite *suites, bool failed)
{
	size_t i;
	const json_t *rule;
	bool invalid = report_outcome(document) == VERDICT_INVALID;
	json_array_foreach (json_object_get(document, "rules"), i, rule) {
		if ((strcmp(html_text_of(rule, "result"), "fail") == 0) == failed)
			add_rule(rule, invalid, suites);
	}
}

/* Statements whose latency is undecided: skipped, each with the smallest effect that would have shown. */
static void add_undecided(const json_t *document, struct suite *suites)
{
	size_t i;
	const json_t *query;
	json_array_foreach (json_object_get(document, "queries"), i, query) {
		char message[200];
		char name[80];
		if (strcmp(html_text_of(query, "result"), "cannot_tell") != 0)
			continue;
		if (json_is_number(json_object_get(query, "smallest_effect")))
			(void)snprintf(message, sizeof(message),
				       "cannot tell: a slowdown of less than x%.2f would not have shown",
				       html_number_of(query, "smallest_effect"));
		else
			(void)snprintf(message, sizeof(message), "cannot tell: %s",
				       *html_text_of(query, "why") ? html_text_of(query, "why")
								   : "too few executions in time");
		(void)snprintf(name, sizeof(name), "latency %s the migration", html_text_of(query, "window"));
		add_case(suites, SUITE_LATENCY,
			 &(struct test_case){.name = name,
					     .of = html_text_of(query, "sql"),
					     .result = CASE_SKIPPED,
					     .message = message});
	}
}

static void add_fidelity(const json_t *document, struct suite *suites)
{
	size_t i;
	const json_t *figure;
	enum verdict_outcome outcome = report_outcome(document);
	char *reason = without_ticks(html_text_of(document, "reason"));
	struct test_case run = {.name = "the run can be judged", .of = "", .message = reason};
	if (outcome == VERDICT_INVALID)
		run.result = CASE_ERROR;
	else if (outcome == VERDICT_CANNOT_TELL)
		run.result = CASE_SKIPPED;
	add_case(suites, SUITE_FIDELITY, &run);
	json_array_foreach (json_object_get(json_object_get(document, "fidelity"), "figures"), i, figure) {
		char message[100];
		bool unfit = strcmp(html_text_of(figure, "grade"), "unfit") == 0;
		(void)snprintf(message, sizeof(message), "%.5g; unfit beyond %.5g", html_number_of(figure, "value"),
			       html_number_of(figure, "unfit"));
		add_case(suites, SUITE_FIDELITY,
			 &(struct test_case){.name = html_text_of(figure, "name"),
					     .of = "",
					     .result = unfit ? CASE_ERROR : CASE_PASSED,
					     .message = message});
	}
	free(reason);
}

static uint64_t count_cases(const struct suite *suite)
{
	uint64_t sum = 0;
	for (int r = 0; r < CASE_RESULTS; r++)
		sum += suite->counts[r];
	return sum;
}

static void add_counts(struct strbuf *out, const uint64_t *counts, uint64_t tests, double time_s)
{
	strbuf_addf(out, " tests=\"%llu\" failures=\"%llu\" errors=\"%llu\" skipped=\"%llu\" time=\"%.3f\"",
		    (unsigned long long)tests, (unsigned long long)counts[CASE_FAILED],
		    (unsigned long long)counts[CASE_ERROR], (unsigned long long)counts[CASE_SKIPPED], time_s);
}

static void add_property(struct strbuf *out, const char *name, const char *value)
{
	if (!*value)
		return;
	strbuf_addf(out, "      <property name=\"%s\" value=\"", name);
	add_text(out, value, MESSAGE_MAX);
	strbuf_add_str(out, "\"/>\n");
}

static void add_suite(const struct suite *suite, size_t index, const json_t *document, struct strbuf *out)
{
	const json_t *environment = json_object_get(document, "environment");
	const char *start = html_text_of(environment, "start_time");
	uint64_t left_out = 0;
	if (count_cases(suite) == 0)
		return;
	for (int r = 0; r < CASE_RESULTS; r++)
		left_out += suite->left_out[r];
	strbuf_addf(out, "  <testsuite name=\"%s\"", suite_names[index]);
	add_counts(out, suite->counts, count_cases(suite), 0);
	/* Without a zone: that is what the readers parse. */
	if (strspn(start, "0123456789-T:") >= 19)
		strbuf_addf(out, " timestamp=\"%.19s\"", start);
	strbuf_add_str(out, ">\n    <properties>\n");
	add_property(out, "outcome", html_text_of(document, "outcome"));
	add_property(out, "commit", html_text_of(environment, "commit"));
	add_property(out, "replay", report_replay_name(document));
	strbuf_add_str(out, "    </properties>\n");
	strbuf_add(out, suite->cases.data, suite->cases.len);
	if (left_out)
		strbuf_addf(out, "    <system-out>and %llu more cases: see verdict.json</system-out>\n",
			    (unsigned long long)left_out);
	strbuf_add_str(out, "  </testsuite>\n");
}

int report_junit_write(const struct verdict *verdict, const struct report_context *context, struct strbuf *out,
		       struct error *err)
{
	const json_t *document = verdict->document;
	struct suite suites[SUITES] = {0};
	uint64_t counts[CASE_RESULTS] = {0};
	uint64_t tests = 0;
	bool overflow = false;
	(void)context;
	for (size_t s = 0; s < SUITES; s++)
		strbuf_init(&suites[s].cases, out->max / (SUITES + 1));
	/* What fails comes first: there is always room for it. */
	add_rules(document, suites, true);
	add_rules(document, suites, false);
	add_undecided(document, suites);
	add_fidelity(document, suites);
	for (size_t s = 0; s < SUITES; s++) {
		tests += count_cases(&suites[s]);
		overflow |= suites[s].cases.overflow;
		for (int r = 0; r < CASE_RESULTS; r++)
			counts[r] += suites[s].counts[r];
	}
	strbuf_add_str(out, "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites name=\"rehearse\"");
	add_counts(out, counts, tests, html_number_of(json_object_get(document, "environment"), "end_s"));
	strbuf_add_str(out, ">\n");
	for (size_t s = 0; s < SUITES; s++) {
		add_suite(&suites[s], s, document, out);
		strbuf_release(&suites[s].cases);
	}
	strbuf_add_str(out, "</testsuites>\n");
	if (overflow || out->overflow)
		return error_set(err, ERR_INTERNAL, "the JUnit file would be larger than %zu bytes", out->max);
	return 0;
}
