/* Trials of checks: see support_checks.h. */
#include "support_checks.h"

#include "clock.h"
#include "mem.h"
#include "rollback_check.h"
#include "sql_runner.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

struct pg_server check_server_used;
struct check_results checked;

const char *checks_url(const char *database)
{
	static char urls[4][200];
	static unsigned next;
	char *url = urls[next++ % 4];
	(void)snprintf(url, sizeof(urls[0]), "postgresql://postgres@127.0.0.1:%d/%s", check_server_used.port, database);
	return url;
}

void checks_prepare(const char *sql)
{
	static const char *const databases[] = {"DROP DATABASE IF EXISTS untouched WITH (FORCE)",
						"DROP DATABASE IF EXISTS scratch WITH (FORCE)",
						"CREATE DATABASE untouched", NULL};
	for (int i = 0; databases[i]; i++)
		assert_int_equal(pg_server_run(&check_server_used, databases[i]), 0);
	PGconn *conn = pg_server_connect(&check_server_used, "untouched");
	assert_non_null(conn);
	assert_int_equal(pg_server_sql(conn, sql), 0);
	PQfinish(conn);
	int64_t until_ns = clock_mono_ns() + 10 * NS_PER_S;
	while (pg_server_ask(&check_server_used, "SELECT count(*) FROM pg_stat_activity WHERE datname = 'untouched'") !=
		       0 &&
	       clock_mono_ns() < until_ns)
		clock_sleep_until_ns(clock_mono_ns() + 10 * NS_PER_MS);
	assert_int_equal(pg_server_run(&check_server_used, "CREATE DATABASE scratch TEMPLATE untouched"), 0);
}

static int run_sql(void *context, const char *url, struct ledger *ledger, struct error *err)
{
	struct migration migration;
	const char *sql = context;
	migration_init(&migration);
	int rc = migration_add_text(&migration, "m.sql", sql, strlen(sql), err);
	struct sql_runner_options options = {.url = url, .migration = &migration, .t0_ns = clock_mono_ns()};
	if (rc == 0)
		rc = sql_runner_run(&options, ledger, err);
	migration_release(&migration);
	return rc;
}

int checks_run_limited(const char *up, const char *down, int64_t table_bytes, int64_t time_ns)
{
	struct error err = ERROR_INIT;
	char *texts[2] = {mem_strdup(up), mem_strdup(down ? down : "")};
	struct rollback_check check = {.untouched_url = checks_url("untouched"),
				       .scratch_url = checks_url("scratch"),
				       .up = {run_sql, texts[0]},
				       .down = {down ? run_sql : NULL, texts[1]},
				       .with_data = true,
				       .time_ns = time_ns,
				       .table_bytes = table_bytes};
	check_results_release(&checked);
	int rc = rollback_check_run(&check, &checked, &err);
	if (rc < 0)
		print_message("%s\n", err.text);
	free(texts[0]);
	free(texts[1]);
	return rc;
}

int checks_run(const char *up, const char *down)
{
	return checks_run_limited(up, down, 0, 0);
}

const struct check_data *checks_find(enum check_phase phase, const char *relation, const char *column)
{
	for (size_t i = 0; i < checked.data_count; i++) {
		const struct check_data *data = &checked.data[i];
		if (data->phase == phase && strcmp(data->relation, relation) == 0 &&
		    (column ? data->column && strcmp(data->column, column) == 0 : !data->column))
			return data;
	}
	return NULL;
}

int64_t checks_class(const struct check_data *data, const char *name)
{
	for (size_t i = 0; data && i < data->class_count; i++) {
		if (strcmp(data->classes[i].name, name) == 0)
			return data->classes[i].count;
	}
	return 0;
}

const struct check_difference *checks_difference(const struct check_differences *list, const char *object,
						 const char *attribute)
{
	for (size_t i = 0; i < list->count; i++) {
		if (strcmp(list->items[i].object, object) == 0 && strcmp(list->items[i].attribute, attribute) == 0)
			return &list->items[i];
	}
	return NULL;
}

void checks_assert_clean(enum check_phase phase)
{
	size_t seen = 0;
	for (size_t i = 0; i < checked.data_count; i++) {
		const struct check_data *data = &checked.data[i];
		if (data->phase != phase)
			continue;
		seen++;
		if (data->state != CHECK_SAME)
			fail_msg("%s.%s: changed %lld, lost %lld, %s", data->relation, data->column ? data->column : "",
				 (long long)data->changed, (long long)data->lost, data->reason ? data->reason : "");
	}
	assert_true(seen > 0);
}

int checks_set_up(void **state)
{
	(void)state;
	check_results_init(&checked);
	return pg_server_start(&check_server_used, "max_wal_size = '2GB'\nclient_min_messages = error\n");
}

int checks_tear_down(void **state)
{
	(void)state;
	check_results_release(&checked);
	pg_server_stop(&check_server_used);
	return 0;
}
