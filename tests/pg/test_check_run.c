/*
 * test-migration with its checks, as a user calls it: a recorded application, a migration with its rollback, four
 * clones. What is told, what warns and what hurts, and that nothing is left of the clones.
 */
#include "support_pg_server.h"
#include "support_program.h"

#include "json_file.h"
#include "mem.h"
#include "replay_builder.h"
#include "run_dir.h"
#include "strbuf.h"
#include "temp_folder.h"

#include <glob.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>

#include <cmocka.h>

static struct temp_folder folder;
static struct pg_server server;
static json_t *verdict;

static char *place(const char *name)
{
	return mem_printf("%s/%s", folder.path, name);
}

static char *write_sql(const char *name, const char *sql)
{
	char *path = place(name);
	FILE *file = fopen(path, "w");
	assert_non_null(file);
	assert_true(fputs(sql, file) >= 0);
	assert_int_equal(fclose(file), 0);
	return path;
}

/* One clerk who looks at orders, pays them and adds more; nobody touches prices. */
static void record(const char *path)
{
	struct replay_builder *builder = replay_builder_new(path);
	uint32_t session = replay_builder_session(builder, "postgres", "postgres");
	replay_builder_connect(builder, session, 0);
	for (int ms = 100; ms < 4000; ms += 50) {
		char *sql = mem_printf("UPDATE orders SET paid = true WHERE id = %d", ms / 50);
		replay_builder_simple(builder, session, ms, "SELECT count(*) FROM orders");
		replay_builder_simple(builder, session, ms + 10, sql);
		replay_builder_simple(builder, session, ms + 20, "INSERT INTO orders (at) VALUES (clock_timestamp())");
		free(sql);
	}
	replay_builder_disconnect(builder, session, 4100);
	replay_builder_finish(builder);
}

/* Further options, up to a NULL. */
static const char *more[5];

/* Runs test-migration with these SQL texts (NULL for none) and reads the verdict; its exit code. */
static int test(const char *up_sql, const char *down_sql, const char *option)
{
	struct error err = ERROR_INIT;
	int code = -1;
	char *up = write_sql("up.sql", up_sql ? up_sql : ""), *down = write_sql("down.sql", down_sql ? down_sql : "");
	char *run = place("run"), *replay = place("traffic.rpl"), *clones = place("clones"), *state = place("state");
	char *state_variable = mem_printf("REHEARSE_STATE_DIR=%s", state);
	const char *argv[24] = {REHEARSE_PROGRAM, "test-migration", "--replay", replay, "--source", server.data,
				"--clone-folder", clones,	    "-o",	run,	"--replace"};
	const char *environment[] = {state_variable, NULL};
	int n = 11;
	if (up_sql) {
		argv[n++] = "--migration";
		argv[n++] = up;
	}
	for (size_t i = 0; i < 4 && more[i]; i++)
		argv[n++] = more[i];
	if (down_sql) {
		argv[n++] = "--rollback";
		argv[n++] = down;
	}
	if (option)
		argv[n++] = option;
	/* A machine that was busy with something else for a moment says nothing of data: once more. */
	for (int attempt = 0; attempt < 3; attempt++) {
		code = program_run(argv, environment);
		if (code < 2 || code > 3 || !strstr(program_said.data, "of the items were sent within"))
			break;
	}
	json_decref(verdict);
	verdict = NULL;
	char *path = run_dir_path(run, RUN_FILE_VERDICT);
	if (code <= 3 && json_file_load(path, &verdict, &err) < 0)
		fail_msg("%s", err.text);
	char *pattern = mem_printf("%s/*", clones);
	glob_t left;
	assert_int_equal(glob(pattern, 0, NULL, &left), GLOB_NOMATCH);
	free(pattern);
	free(path);
	free(state_variable);
	free(state);
	free(clones);
	free(replay);
	free(run);
	free(down);
	free(up);
	return code;
}

static void expect(int code, int expected)
{
	if (code != expected)
		fail_msg("exit code %d, %d expected: %s", code, expected, program_said.data);
}

static const char *text_of(const json_t *object, const char *key)
{
	const char *text = json_string_value(json_object_get(object, key));
	return text ? text : "";
}

static const json_t *check_of(const char *name, const char *relation, const char *column)
{
	size_t i;
	const json_t *check;
	json_array_foreach (json_object_get(verdict, "data_checks"), i, check) {
		if (strcmp(text_of(check, "name"), name) == 0 && strcmp(text_of(check, "relation"), relation) == 0 &&
		    strcmp(text_of(check, "column"), column) == 0)
			return check;
	}
	return NULL;
}

static void assert_reason_has(const char *words)
{
	if (!strstr(text_of(verdict, "reason"), words))
		fail_msg("no '%s' in: %s", words, text_of(verdict, "reason"));
}

/* A reversible migration under traffic is clear; that the lanes' times differ is told. */
static void test_clean(void **state)
{
	(void)state;
	expect(test("ALTER TABLE orders ADD note text; CREATE INDEX prices_name ON prices (name)",
		    "DROP INDEX prices_name; ALTER TABLE orders DROP note", "--check-data"),
	       0);
	assert_reason_has("and left schema and data as they were");
	const json_t *down = json_object_get(json_object_get(verdict, "rollback"), "down");
	assert_string_equal(text_of(down, "outcome"), "ok");
	assert_true(json_number_value(json_object_get(down, "duration_s")) > 0);
	assert_int_equal(json_integer_value(json_object_get(json_object_get(verdict, "schema_changes"), "total")), 2);
	assert_string_equal(text_of(check_of("data.rollback", "public.orders", ""), "result"), "pass");
	assert_string_equal(text_of(check_of("data.migration", "public.prices", ""), "result"), "pass");
	/* Both lanes wrote the time when they did. */
	const json_t *at = check_of("data.lanes", "public.orders", "at");
	assert_string_equal(text_of(at, "result"), "told");
	json_int_t others = json_integer_value(json_object_get(at, "changed"));
	assert_true(others > 39 && others <= 78); /* a microsecond may be the same */
	assert_null(check_of("data.lanes", "public.orders", "paid"));
	const json_t *lanes = check_of("data.lanes", "public.orders", "");
	assert_int_equal(json_integer_value(json_object_get(json_object_get(lanes, "written_baseline"), "inserted")),
			 78);
	assert_int_equal(json_integer_value(json_object_get(lanes, "baseline")), 1078);
	assert_string_equal(text_of(check_of("data.lanes", "public.prices", ""), "result"), "pass");
}

/* A type change that loses cents, and a rollback that cannot give them back. */
static void test_loss(void **state)
{
	(void)state;
	expect(test("ALTER TABLE prices ALTER price TYPE int", "ALTER TABLE prices ALTER price TYPE numeric(10,2)",
		    NULL),
	       1);
	assert_reason_has(
		"The migration loses 500 values of public.prices.price, numeric(10,2) to integer (500 rounded)"
		" (and 1 more finding).");
	assert_string_equal(text_of(check_of("data.rollback", "public.prices", "price"), "result"), "fail");
	assert_string_equal(text_of(check_of("data.migration", "public.prices", "price"), "result"), "fail");
	assert_null(check_of("data.lanes", "public.prices", "")); /* not asked for */
	expect(test("ALTER TABLE prices ALTER price TYPE int", NULL, "--check-data"), 1);
	assert_reason_has(
		"The migration loses 500 values of public.prices.price, numeric(10,2) to integer (500 rounded).");
	assert_true(json_is_null(json_object_get(verdict, "rollback")));
	/* The lanes show the same, and it is explained. */
	assert_string_equal(text_of(check_of("data.lanes", "public.prices", "price"), "result"), "told");
}

static void test_failing_rollback(void **state)
{
	(void)state;
	expect(test("ALTER TABLE prices ADD x int", "ALTER TABLE prices DROP y", NULL), 1);
	assert_reason_has("The rollback failed at `ALTER TABLE prices DROP y` with 42703");
	/* By a command, which finds the clone in its environment. */
	expect(test("ALTER TABLE prices ADD x int", NULL, "--rollback-command=psql -qXc 'ALTER TABLE prices DROP x'"),
	       0);
	assert_reason_has("and left schema and data as they were");
	expect(test("SELECT 1", "SELECT 1", "--rollback-command=true"), 64);
	assert_non_null(strstr(program_said.data, "give one of"));
}

/* The team changes its mind while the application goes on (C2). */
static void test_under_traffic(void **state)
{
	(void)state;
	more[0] = "--rollback-under-traffic";
	more[1] = "--rollback-after=300ms";
	expect(test("ALTER TABLE orders ADD note text", "ALTER TABLE orders DROP note", NULL), 0);
	const json_t *rollback = json_object_get(verdict, "rollback_under_traffic");
	const json_t *migration = json_object_get(verdict, "migration");
	assert_string_equal(text_of(rollback, "outcome"), "ok");
	assert_int_equal(json_array_size(migration), 2);
	assert_string_equal(text_of(json_array_get(migration, 1), "sql"), "ALTER TABLE orders DROP note");
	double start_s = json_number_value(json_object_get(rollback, "start_s"));
	double end_s = json_number_value(json_object_get(json_object_get(verdict, "migration_run"), "end_s"));
	assert_true(start_s >= end_s + 0.3 && start_s < end_s + 1.5);
	/* It blocks as any other statement, and is named. */
	expect(test("ALTER TABLE orders ADD note text",
		    "BEGIN; ALTER TABLE orders DROP note; SELECT pg_sleep(1.3); COMMIT", NULL),
	       1);
	assert_reason_has("`ALTER TABLE orders DROP note` blocked all access to public.orders for 1.");
	/* It fails there, where the traffic has made another table of it. */
	expect(test("ALTER TABLE orders ADD note text",
		    "ALTER TABLE orders DROP note; ALTER TABLE orders ADD CHECK (id <= 1000)", NULL),
	       1);
	assert_reason_has("The rollback failed under traffic at `ALTER TABLE orders ADD CHECK");
	more[0] = NULL;
}

static void write_project(void)
{
	free(write_sql("alembic.ini",
		       "[alembic]\nscript_location = %(here)s/scripts\nsqlalchemy.url = postgresql:///x\n"));
	char *scripts = place("scripts"), *versions = place("scripts/versions");
	assert_int_equal(mkdir(scripts, 0755), 0);
	assert_int_equal(mkdir(versions, 0755), 0);
	free(write_sql(
		"scripts/env.py",
		"from alembic import context\nfrom sqlalchemy import engine_from_config, pool\n"
		"config = context.config\n"
		"engine = engine_from_config(config.get_section(config.config_ini_section), prefix='sqlalchemy.',\n"
		"                            poolclass=pool.NullPool)\n"
		"with engine.connect() as connection:\n    context.configure(connection=connection)\n"
		"    with context.begin_transaction():\n        context.run_migrations()\n"));
	free(write_sql("scripts/versions/a.py",
		       "from alembic import op\nrevision = 'a'\ndown_revision = None\n"
		       "def upgrade():\n    op.execute('CREATE INDEX prices_price ON prices (price)')\n"
		       "def downgrade():\n    op.execute('DROP INDEX prices_price')\n"));
	free(scripts);
	free(versions);
}

/* Alembic's downgrade; that its own table stays is no fault of the migration. */
static void test_alembic(void **state)
{
	(void)state;
	write_project();
	more[0] = "--alembic";
	more[1] = folder.path;
	more[2] = "--rollback-revision";
	more[3] = "base";
	expect(test(NULL, NULL, NULL), 0);
	const json_t *schema = json_object_get(json_object_get(verdict, "rollback"), "schema");
	const json_t *left = json_array_get(json_object_get(schema, "items"), 0);
	assert_int_equal(json_integer_value(json_object_get(schema, "total")), 1);
	assert_string_equal(text_of(left, "object"), "public.alembic_version");
	assert_true(json_is_true(json_object_get(left, "mild")));
	assert_string_equal(text_of(json_object_get(json_object_get(verdict, "rollback"), "again"), "outcome"), "ok");
	more[0] = NULL;
}

static int set_up(void **state)
{
	(void)state;
	temp_folder_init(&folder);
	assert_int_equal(chmod(folder.path, 0711), 0);
	char *clones = place("clones");
	assert_int_equal(mkdir(clones, 0755), 0);
	free(clones);
	if (pg_server_start(&server, NULL) < 0 ||
	    pg_server_run(&server,
			  "CREATE TABLE orders (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, at timestamptz,"
			  " paid bool); INSERT INTO orders (at) SELECT now() FROM generate_series(1, 1000);"
			  "CREATE TABLE prices (id int PRIMARY KEY, price numeric(10,2), name text); INSERT INTO prices"
			  " SELECT i, i + 0.25 * (i % 2), 'p' || i FROM generate_series(1, 1000) i") < 0)
		return -1;
	pg_server_halt(&server);
	char *replay = place("traffic.rpl");
	record(replay);
	free(replay);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	json_decref(verdict);
	pg_server_stop(&server);
	temp_folder_release(&folder);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_clean),
		cmocka_unit_test(test_loss),
		cmocka_unit_test(test_failing_rollback),
		cmocka_unit_test(test_under_traffic),
		cmocka_unit_test(test_alembic),
	};
	return cmocka_run_group_tests(tests, set_up, tear_down);
}
