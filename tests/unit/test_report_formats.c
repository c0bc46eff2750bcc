/*
 * The report's formats: none shows a value of a statement, none passes its receiver's limit, whatever the document
 * holds, and nothing in a document is taken for markup. What a receiver makes of them is for tests/browser.
 */
#include "report_formats.h"
#include "support_report.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

/* Judged once for all tests: that is what takes the time. */
static struct verdict *verdicts[SUPPORT_REPORTS];

static int judge_all(void **state)
{
	(void)state;
	for (size_t i = 0; i < SUPPORT_REPORTS; i++)
		support_run_free(support_report_make(&support_reports[i], &verdicts[i]));
	return 0;
}

static int free_all(void **state)
{
	(void)state;
	for (size_t i = 0; i < SUPPORT_REPORTS; i++)
		verdict_free(verdicts[i]);
	return 0;
}

static void make(const char *format, const struct verdict *verdict, const char *link, struct strbuf *out)
{
	struct error err = ERROR_INIT;
	struct report_context context = {.link = link};
	if (report_format_make(report_format_find(format), verdict, &context, out, &err) < 0)
		fail_msg("%s: %s", format, err.text);
}

static void assert_no_literal(const char *text, const char *what)
{
	if (strstr(text, SUPPORT_REPORT_LITERAL) || strstr(text, SUPPORT_REPORT_NUMBER) ||
	    strcasestr(text, "beeblebrox"))
		fail_msg("%s shows a value", what);
}

static void test_no_literal_anywhere(void **state)
{
	(void)state;
	for (size_t i = 0; i < SUPPORT_REPORTS; i++) {
		const struct verdict *verdict = verdicts[i];
		char *document = json_dumps(verdict->document, 0);
		assert_no_literal(document, "verdict.json");
		free(document);
		for (size_t f = 0; f < REPORT_FORMATS; f++) {
			struct strbuf text;
			make(report_formats[f].name, verdict, NULL, &text);
			assert_true(text.len > 100);
			assert_no_literal(text.data, report_formats[f].name);
			strbuf_release(&text);
		}
		struct strbuf summary;
		strbuf_init(&summary, 1 << 16);
		verdict_print_summary(verdict, &summary);
		assert_no_literal(summary.data, "the summary");
		strbuf_release(&summary);
	}
}

/* Lists of 600, texts of 600 characters that are all special: a run of a hundred million items has less. */
static void test_no_format_passes_its_limit(void **state)
{
	(void)state;
	struct verdict *verdict = support_report_huge(600, 600);
	for (size_t f = 0; f < REPORT_FORMATS; f++) {
		struct strbuf text;
		make(report_formats[f].name, verdict, NULL, &text);
		assert_true(text.len <= report_formats[f].max);
		strbuf_release(&text);
	}
	struct strbuf page;
	make("html", verdict, NULL, &page);
	assert_non_null(strstr(page.data, "</html>"));
	assert_non_null(strstr(page.data, "id=\"council-signature\""));
	strbuf_release(&page);
	/* What fails is never cut away by what does not. */
	struct strbuf junit;
	make("junit", verdict, NULL, &junit);
	assert_non_null(strstr(junit.data, "<failure "));
	assert_non_null(strstr(junit.data, "more cases"));
	strbuf_release(&junit);
	verdict_free(verdict);
}

/* Ordinary lists that are long: every list is cut, and says so. */
static void test_long_lists_are_cut(void **state)
{
	(void)state;
	struct verdict *verdict = support_report_huge(1000, 10);
	struct strbuf text;
	make("markdown", verdict, NULL, &text);
	assert_non_null(strstr(text.data, "**Stalls** (1000)"));
	assert_non_null(strstr(text.data, "995 more</summary>"));
	assert_non_null(strstr(text.data, "and 970 more"));
	strbuf_release(&text);
	make("html", verdict, NULL, &text);
	assert_non_null(strstr(text.data, "… and 800 more"));
	strbuf_release(&text);
	verdict_free(verdict);
}

static struct verdict *make_evil(const char *evil)
{
	struct verdict *verdict = support_report_huge(1, 1);
	json_t *document = verdict->document;
	json_t *stall = json_array_get(json_object_get(document, "stalls"), 0);
	(void)json_object_set_new(document, "reason", json_string(evil));
	(void)json_object_set_new(stall, "relation", json_string(evil));
	(void)json_object_set_new(stall, "mode", json_string(evil));
	verdict->reason = json_string_value(json_object_get(document, "reason"));
	return verdict;
}

static void test_markdown_stays_markdown(void **state)
{
	(void)state;
	static const struct {
		const char *evil;
		const char *never;
	} cases[] = {
		{"a|b", "a|b"},
		{"</details><script>x", "<script>"},
		{"<img src=x>", "<img"},
		{"x\n\n# head", "\n# head"},
		{"ping @team/all", "@team"},
		{"see #12", " #12"},
		{"[a](javascript:x)", "[a](javascript"},
		{"**bold**", "**bold**"},
		{"\\|x|", "\\|x|"},
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		struct verdict *verdict = make_evil(cases[i].evil);
		struct strbuf text;
		make("markdown", verdict, NULL, &text);
		/* In backticks nothing has a meaning but a pipe and a backtick. */
		for (char *p = strstr(text.data, cases[i].never); p; p = strstr(p + 1, cases[i].never)) {
			size_t ticks = 0;
			for (const char *q = p; q > text.data && q[-1] != '\n'; q--)
				ticks += q[-1] == '`';
			if (ticks % 2 == 0 || strpbrk(cases[i].never, "|`"))
				fail_msg("%s is in:\n%s", cases[i].never, text.data);
		}
		strbuf_release(&text);
		verdict_free(verdict);
	}
	/* A table's row stays one: as many cells as its head. */
	struct verdict *verdict = make_evil("a|b`c|d\\|e");
	struct strbuf text;
	make("markdown", verdict, NULL, &text);
	const char *row = strstr(text.data, "who stood before them |\n");
	assert_non_null(row);
	row = strchr(strchr(row, '\n') + 1, '\n') + 1;
	size_t pipes = 0;
	for (const char *p = row; *p != '\n'; p++)
		pipes += *p == '|';
	assert_int_equal(pipes, 9);
	strbuf_release(&text);
	verdict_free(verdict);
}

static void test_markdown_says_what_matters(void **state)
{
	(void)state;
	const struct verdict *verdict = verdicts[0];
	struct strbuf text;
	make("markdown", verdict, "https://ci.example.com/a b>c", &text);
	assert_ptr_equal(strstr(text.data, "### ❌ Rehearse: Hurts\n\n`ALTER TABLE orders"), text.data);
	assert_non_null(strstr(text.data, "| Longest stall | 2.40 s on `public.orders`, 10 statements"));
	assert_non_null(strstr(text.data, "**What usually helps:**"));
	assert_non_null(strstr(text.data, "| `nightly export` | `reporting` |"));
	assert_non_null(strstr(text.data, "(<https://ci.example.com/a%20b%3Ec>)"));
	assert_non_null(strstr(text.data, "commit `0123456789abcdef"));
	assert_non_null(strstr(text.data, "`rehearse test-migration --replay test.replay --source URL"));
	assert_non_null(strstr(text.data, " --migrate-at "));
	strbuf_release(&text);
}

static size_t count_of(const char *text, const char *word)
{
	size_t n = 0;
	for (const char *p = strstr(text, word); p; p = strstr(p + 1, word))
		n++;
	return n;
}

/* hurts = failure, cannot tell = skipped, invalid = error; nothing of it for a clear run. */
static void test_junit_by_outcome(void **state)
{
	(void)state;
	for (size_t i = 0; i < SUPPORT_REPORTS; i++) {
		const struct verdict *verdict = verdicts[i];
		struct strbuf text;
		make("junit", verdict, NULL, &text);
		size_t failures = count_of(text.data, "<failure ");
		size_t errors = count_of(text.data, "<error ");
		bool undecided = strstr(text.data, "name=\"the run can be judged\" time=\"0\">\n      <skipped");
		assert_int_equal(failures > 0, verdict->outcome == VERDICT_HURTS);
		assert_int_equal(errors > 0, verdict->outcome == VERDICT_INVALID);
		assert_int_equal(undecided, verdict->outcome == VERDICT_CANNOT_TELL);
		assert_non_null(strstr(text.data, "name=\"stall.max"));
		/* The counts say the same. */
		char head[120];
		(void)snprintf(head, sizeof(head),
			       "<testsuites name=\"rehearse\" tests=\"%zu\" failures=\"%zu\" errors=\"%zu\" "
			       "skipped=\"%zu\"",
			       count_of(text.data, "<testcase "), failures, errors, count_of(text.data, "<skipped "));
		assert_non_null(strstr(text.data, head));
		strbuf_release(&text);
	}
}

static void test_slack_fits_its_fields(void **state)
{
	(void)state;
	struct verdict *verdict = support_report_huge(50, 3000);
	struct strbuf text;
	make("slack", verdict, "https://ci.example.com/?a=1&b=<2>|3", &text);
	json_t *message = json_loads(text.data, 0, NULL);
	assert_non_null(message);
	assert_non_null(json_string_value(json_object_get(message, "text")));
	assert_null(strstr(text.data, "<`"));
	assert_non_null(strstr(text.data, "<https://ci.example.com/?a=1&amp;b=%3C2%3E%7C3|Full report>"));
	size_t i;
	const json_t *block;
	json_array_foreach (json_object_get(message, "blocks"), i, block) {
		size_t k;
		const json_t *field;
		const char *type = json_string_value(json_object_get(block, "type"));
		const json_t *body = json_object_get(json_object_get(block, "text"), "text");
		assert_true(json_string_length(body) <= (strcmp(type, "header") == 0 ? 150 : 3000));
		assert_true(json_array_size(json_object_get(block, "fields")) <= 10);
		json_array_foreach (json_object_get(block, "fields"), k, field)
			assert_true(json_string_length(json_object_get(field, "text")) <= 2000);
	}
	assert_true(i >= 4 && i <= 50);
	json_decref(message);
	strbuf_release(&text);
	verdict_free(verdict);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_no_literal_anywhere),	   cmocka_unit_test(test_no_format_passes_its_limit),
		cmocka_unit_test(test_long_lists_are_cut),	   cmocka_unit_test(test_markdown_stays_markdown),
		cmocka_unit_test(test_markdown_says_what_matters), cmocka_unit_test(test_junit_by_outcome),
		cmocka_unit_test(test_slack_fits_its_fields),
	};
	return cmocka_run_group_tests(tests, judge_all, free_all);
}
