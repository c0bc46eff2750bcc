/* The page: everything escaped, nothing fetched, whatever a document holds. */
#include "report_html.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static struct verdict make_verdict(json_t *document, enum verdict_outcome outcome)
{
	return (struct verdict){outcome, json_string_value(json_object_get(document, "reason")), document};
}

static void write_page(const struct verdict *verdict, struct strbuf *out)
{
	struct error err = ERROR_INIT;
	strbuf_init(out, REPORT_HTML_MAX);
	assert_int_equal(report_html_write(verdict, out, &err), 0);
	assert_null(strstr(out->data, "<script"));
	assert_null(strstr(out->data, "http://"));
	assert_null(strstr(out->data, "https://"));
	assert_non_null(strstr(out->data, "</html>"));
}

static void test_everything_is_escaped(void **state)
{
	(void)state;
	const char *evil = "<script>alert('x')</script>\"&\x01";
	json_t *document = json_pack(
		"{s:s, s:s, s:[{s:s, s:s, s:f, s:s, s:s, s:s}], s:[{s:s, s:f, s:f, s:[{s:s, s:s, s:f, s:f}], s:[s], "
		"s:{s:s, "
		"s:s}}], s:[{s:s, s:s, s:f, s:f, s:i, s:[{s:s, s:s, s:s}], s:[s]}], s:[{s:s, s:s, s:s, s:s, s:s}], "
		"s:[{s:s, "
		"s:s, s:s, s:f, s:f, s:f}], s:[{s:s, s:s}], s:{s:s, s:[{s:s, s:s, s:s}]}}",
		"outcome", "hurts", "reason", evil, "rules", "name", evil, "entity", evil, "value", 1.0, "threshold",
		evil, "result", "fail", "finding", evil, "migration", "sql", evil, "start_s", 1.0, "end_s", 2.0,
		"locks", "relation", evil, "mode", evil, "waited_ms", 1.0, "held_ms", 2.0, "rewrite", evil, "error",
		"sqlstate", evil, "message", evil, "stalls", "relation", evil, "mode", evil, "start_s", 1.0,
		"duration_ms", 1000.0, "victims", 3, "chain", "role", evil, "who", evil, "sql", evil, "channels", evil,
		"errors", "sqlstate", evil, "sql", evil, "kind", evil, "source", evil, "result", "hurts", "queries",
		"sql", evil, "window", evil, "result", "hurts", "ratio", 2.0, "ci_low", 1.5, "ci_high", 3.0, "untested",
		"what", evil, "why", evil, "environment", "name", evil, "differences", "name", evil, "baseline", evil,
		"migrating", evil);
	assert_non_null(document);
	struct verdict verdict = make_verdict(document, VERDICT_HURTS);
	struct strbuf page;
	write_page(&verdict, &page);
	assert_null(strstr(page.data, "alert('x')"));
	assert_non_null(strstr(page.data, "&lt;script&gt;alert(&#39;x&#39;)"));
	assert_null(strchr(page.data, '\x01'));
	strbuf_release(&page);
	json_decref(document);
}

/* A document with nothing in it is a page with nothing in it, not a crash. */
static void test_empty_document(void **state)
{
	(void)state;
	static const char *const outcomes[] = {"clear", "hurts", "cannot_tell", "invalid"};
	for (int i = 0; i < 4; i++) {
		json_t *document = json_pack("{s:s, s:s}", "outcome", outcomes[i], "reason", "Nothing.");
		struct verdict verdict = make_verdict(document, (enum verdict_outcome)i);
		struct strbuf page;
		struct strbuf summary;
		write_page(&verdict, &page);
		strbuf_init(&summary, 10000);
		verdict_print_summary(&verdict, &summary);
		assert_true(summary.len > 0);
		strbuf_release(&summary);
		strbuf_release(&page);
		json_decref(document);
	}
}

static void test_too_large_is_an_error(void **state)
{
	(void)state;
	struct error err = ERROR_INIT;
	json_t *document = json_pack("{s:s, s:s}", "outcome", "clear", "reason", "Nothing.");
	struct verdict verdict = make_verdict(document, VERDICT_CLEAR);
	struct strbuf page;
	strbuf_init(&page, 100);
	assert_int_equal(report_html_write(&verdict, &page, &err), -ERR_INTERNAL);
	strbuf_release(&page);
	json_decref(document);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_everything_is_escaped),
		cmocka_unit_test(test_empty_document),
		cmocka_unit_test(test_too_large_is_an_error),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
