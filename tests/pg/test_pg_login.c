/* Logging in as a real cluster wants it: SCRAM with a passfile, a service file, TLS; and name maps on the way. */
#include "clock.h"
#include "lane.h"
#include "support_lane.h"
#include "support_pg_server.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

static struct pg_server server;

static void write_file(const char *path, const char *text)
{
	FILE *file = fopen(path, "w");
	assert_non_null(file);
	(void)fputs(text, file);
	(void)fclose(file);
	assert_int_equal(chmod(path, 0600), 0);
	assert_int_equal(chown(path, pg_server_uid(), pg_server_gid()), 0);
}

/* From here on the server wants passwords over TLS, and nothing else, on TCP. */
static void demand_passwords(void)
{
	char path[400];
	char command[3000];
	assert_int_equal(pg_server_run(&server, "CREATE ROLE shopper LOGIN PASSWORD 'pass word'"), 0);
	assert_int_equal(pg_server_run(&server, "CREATE DATABASE shop"), 0);
	(void)snprintf(command, sizeof(command),
		       "openssl req -new -x509 -days 2 -nodes -subj /CN=localhost -keyout '%s/server.key' -out "
		       "'%s/server.crt' "
		       "2>/dev/null && chmod 600 '%s/server.key' && chown %d:%d '%s/server.key' '%s/server.crt'",
		       server.data, server.data, server.data, (int)pg_server_uid(), (int)pg_server_gid(), server.data,
		       server.data);
	assert_int_equal(system(command), 0);
	(void)snprintf(path, sizeof(path), "%s/pg_hba.conf", server.data);
	write_file(path, "local all postgres trust\nhostssl all all 127.0.0.1/32 scram-sha-256\n");
	pg_server_halt(&server);
	(void)snprintf(path, sizeof(path), "%s/postgresql.auto.conf", server.data);
	write_file(path, "ssl = on\n");
}

static void replay_as(const char *url, uint32_t expected_ok)
{
	struct replay_builder *b = trial_begin_empty();
	uint32_t row = replay_builder_session(b, "shopper", "shop");
	replay_builder_connect(b, row, 0);
	replay_builder_simple(b, row, 10, "SELECT 1 / (SELECT ssl::int FROM pg_stat_ssl WHERE pid = pg_backend_pid())");
	replay_builder_simple(b, row, 20, "SELECT generate_series(1, 20000)");
	replay_builder_disconnect(b, row, 30);
	replay_builder_finish(b);
	trial_replay(&(struct lane_trial){.url = url, .drain_timeout_ns = 5 * NS_PER_S});
	if (trial_stats.items_ok != expected_ok)
		fail_msg("%llu items went well: %s", (unsigned long long)trial_stats.items_ok, trial_stats.lost_reason);
}

static void test_scram_with_a_passfile_over_tls(void **state)
{
	(void)state;
	char passfile[300];
	char url[700];
	char text[200];
	(void)snprintf(passfile, sizeof(passfile), "%s/pgpass", server.folder);
	(void)snprintf(text, sizeof(text), "127.0.0.1:%d:*:shopper:pass word\n", server.port);
	write_file(passfile, text);
	assert_int_equal(chown(passfile, getuid(), getgid()), 0);
	(void)snprintf(url, sizeof(url), "postgresql://127.0.0.1:%d/?sslmode=require&passfile=%s", server.port,
		       passfile);
	replay_as(url, 4);
}

static void test_a_wrong_password(void **state)
{
	(void)state;
	char url[700];
	(void)snprintf(url, sizeof(url), "postgresql://127.0.0.1:%d/?sslmode=require&passfile=/dev/null", server.port);
	replay_as(url, 0);
	trial_assert(0, RUN_ERROR, "08001");
	(void)snprintf(url, sizeof(url), "host=127.0.0.1 port=%d sslmode=require password=wrong", server.port);
	replay_as(url, 0);
	trial_assert(0, RUN_ERROR, "28P01");
	assert_null(strstr(trial_stats.lost_reason, "wrong"));
}

static void test_without_tls(void **state)
{
	(void)state;
	char url[700];
	(void)snprintf(url, sizeof(url), "postgresql://127.0.0.1:%d/?sslmode=disable", server.port);
	replay_as(url, 0);
	trial_assert(0, RUN_ERROR, "28000");
}

static void test_a_service_file(void **state)
{
	(void)state;
	char path[300];
	char text[500];
	(void)snprintf(path, sizeof(path), "%s/services", server.folder);
	(void)snprintf(text, sizeof(text), "[clone]\nhost=127.0.0.1\nport=%d\nsslmode=require\npassword=pass word\n",
		       server.port);
	write_file(path, text);
	assert_int_equal(setenv("PGSERVICEFILE", path, 1), 0);
	replay_as("postgresql:///?service=clone", 4);
	(void)unsetenv("PGSERVICEFILE");
}

static void test_names_are_mapped(void **state)
{
	(void)state;
	static const char *const pairs[] = {"app", "shopper", "ann", "bob"};
	struct lane_name_map map = {.pairs = pairs, .count = 2};
	assert_true(span_equal_str(lane_map_name(&map, span_from_str("app")), "shopper"));
	assert_true(span_equal_str(lane_map_name(&map, span_from_str("ann")), "bob"));
	assert_true(span_equal_str(lane_map_name(&map, span_from_str("bob")), "bob"));
}

static int start(void **state)
{
	(void)state;
	if (pg_server_start(&server, NULL) < 0)
		return -1;
	demand_passwords();
	return pg_server_restart(&server);
}

static int stop(void **state)
{
	(void)state;
	pg_server_stop(&server);
	trial_clean_up();
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_scram_with_a_passfile_over_tls),
		cmocka_unit_test(test_a_wrong_password),
		cmocka_unit_test(test_without_tls),
		cmocka_unit_test(test_a_service_file),
		cmocka_unit_test(test_names_are_mapped),
	};
	return cmocka_run_group_tests(tests, start, stop);
}
