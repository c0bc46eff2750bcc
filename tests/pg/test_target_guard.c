/* Which targets are accepted: clones that say so, and never the log's own server. */
#include "pg_target.h"
#include "support_pg_server.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static struct pg_server plain, marked;

static void probe(const char *url, struct pg_target *out)
{
	struct error err = ERROR_INIT;
	if (pg_target_probe(url, out, &err) != 0)
		fail_msg("%s", err.text);
}

static void test_probe(void **state)
{
	(void)state;
	struct pg_target target;
	probe(plain.url, &target);
	assert_string_equal(target.host, "127.0.0.1");
	assert_string_equal(target.database, "postgres");
	assert_false(target.marked);
	assert_null(target.marker);
	assert_true(target.server_version_num >= 120000);
	pg_target_release(&target);
	probe(marked.url, &target);
	assert_true(target.marked);
	assert_string_equal(target.marker, "test");
	pg_target_release(&target);
}

static void test_unreachable(void **state)
{
	(void)state;
	struct pg_target target;
	struct error err = ERROR_INIT;
	char url[200];
	int port = pg_server_free_port();
	(void)snprintf(url, sizeof(url), "postgresql://me:s3cret@127.0.0.1:%d/db", port);
	assert_int_equal(pg_target_probe(url, &target, &err), -ERR_UNAVAILABLE);
	(void)snprintf(url, sizeof(url), "127.0.0.1:%d: cannot connect", port);
	assert_non_null(strstr(err.text, url));
	assert_null(strstr(err.text, "s3cret"));
	assert_int_equal(pg_target_probe("postgresql://me:s3%zzcret@127.0.0.1/db", &target, &err), -ERR_USAGE);
	assert_null(strstr(err.text, "cret"));
}

static void test_marks(void **state)
{
	(void)state;
	struct pg_target target;
	struct error err = ERROR_INIT;
	struct pg_target_guard guard = {0};
	probe(plain.url, &target);
	assert_int_equal(pg_target_guard(&target, &guard, &err), -ERR_USAGE);
	assert_non_null(strstr(err.text, "not known to be a clone"));
	guard.known_clone = true;
	assert_int_equal(pg_target_guard(&target, &guard, &err), 0);
	pg_target_release(&target);
	guard.known_clone = false;
	probe(marked.url, &target);
	assert_int_equal(pg_target_guard(&target, &guard, &err), 0);
	pg_target_release(&target);

	assert_int_equal(pg_server_run(&plain, "CREATE TEMP TABLE rehearse_clone ()"), 0);
	assert_int_equal(pg_server_run(&plain, "CREATE SCHEMA s CREATE TABLE rehearse_clone ()"), 0);
	probe(plain.url, &target);
	assert_int_equal(pg_target_guard(&target, &guard, &err), 0);
	pg_target_release(&target);
	assert_int_equal(pg_server_run(&plain, "DROP SCHEMA s CASCADE"), 0);
}

/* Never the source, however it is called, and whatever flag is given. */
static void test_source_is_refused(void **state)
{
	(void)state;
	struct pg_target tcp, local;
	struct error err = ERROR_INIT;
	char url[400];
	probe(marked.url, &tcp);
	(void)snprintf(url, sizeof(url), "host=%s port=%d user=postgres dbname=postgres", marked.folder, marked.port);
	probe(url, &local);
	const char *names[] = {"127.0.0.1", "localhost", "[local]", "::1", "/var/run/postgresql", "127.0.1.7"};
	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++) {
		struct pg_target_guard guard = {
			.source_host = names[i], .source_port = marked.port, .known_clone = true};
		assert_int_equal(pg_target_guard(&tcp, &guard, &err), -ERR_USAGE);
		assert_non_null(strstr(err.text, "the log came from"));
		assert_int_equal(pg_target_guard(&local, &guard, &err), -ERR_USAGE);
		guard.source_port = plain.port; /* another port of this machine is another server */
		assert_int_equal(pg_target_guard(&tcp, &guard, &err), 0);
	}
	struct pg_target_guard other = {.source_host = "no-such-host.invalid", .source_port = marked.port};
	assert_int_equal(pg_target_guard(&tcp, &other, &err), 0);
	other.source_host = "192.0.2.1";
	assert_int_equal(pg_target_guard(&tcp, &other, &err), 0);
	free(tcp.server_address); /* as through a tunnel: another port here, the source's address there */
	free(tcp.server_port);
	tcp.server_address = strdup("192.0.2.1");
	tcp.server_port = strdup("5432");
	other.source_port = 0;
	assert_int_equal(pg_target_guard(&tcp, &other, &err), -ERR_USAGE);
	pg_target_release(&tcp);
	pg_target_release(&local);
}

static void test_distinct(void **state)
{
	(void)state;
	struct pg_target a, b, c, other;
	struct error err = ERROR_INIT;
	char url[400];
	probe(plain.url, &a);
	(void)snprintf(url, sizeof(url), "host=%s port=%d user=postgres dbname=postgres", plain.folder, plain.port);
	probe(url, &b);
	(void)snprintf(url, sizeof(url), "host=%s port=%d user=postgres dbname=template1", plain.folder, plain.port);
	probe(url, &c);
	probe(marked.url, &other);
	assert_int_equal(pg_target_distinct(&a, &b, &err), -ERR_USAGE);
	assert_int_equal(pg_target_distinct(&a, &c, &err), 0);
	assert_int_equal(pg_target_distinct(&a, &other, &err), 0);
	pg_target_release(&a);
	pg_target_release(&b);
	pg_target_release(&c);
	pg_target_release(&other);
}

static void test_settings(void **state)
{
	(void)state;
	json_t *settings = NULL;
	struct error err = ERROR_INIT;
	assert_int_equal(pg_target_settings(plain.url, marked.url, &settings, &err), 0);
	const json_t *different = json_object_get(settings, "differences");
	assert_int_equal(json_array_size(different), 1);
	const json_t *one = json_array_get(different, 0);
	assert_string_equal(json_string_value(json_object_get(one, "name")), "work_mem");
	assert_string_equal(json_string_value(json_object_get(one, "baseline")), "4096");
	assert_string_equal(json_string_value(json_object_get(one, "migrating")), "7168");
	json_decref(settings);
	assert_int_equal(pg_target_settings(plain.url, NULL, &settings, &err), 0);
	json_decref(settings);
}

static int set_up(void **state)
{
	(void)state;
	return pg_server_start(&plain, NULL) || pg_server_start(&marked, "rehearse.clone = 'test'\nwork_mem = '7MB'\n");
}

static int tear_down(void **state)
{
	(void)state;
	pg_server_stop(&plain);
	pg_server_stop(&marked);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_probe),	 cmocka_unit_test(test_unreachable),
		cmocka_unit_test(test_marks),	 cmocka_unit_test(test_source_is_refused),
		cmocka_unit_test(test_distinct), cmocka_unit_test(test_settings),
	};
	return cmocka_run_group_tests(tests, set_up, tear_down);
}
