/*
 * Alembic on a real server, the real Alembic: several heads, -x, a revision that fails, transactions for each revision
 * or for all; and an env.py that would go somewhere else. The project is written by the test; its env.py does what
 * -x mode=… says.
 */
#include "alembic_runner.h"
#include "clock.h"
#include "logging.h"
#include "migration_runner.h"
#include "process.h"
#include "support_pg_server.h"
#include "temp_folder.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

static struct pg_server server, other;
static struct temp_folder folder;
static struct ledger ledger;
static struct alembic_project project;
static struct alembic_state before, after;
static struct command_runner_options options;
static char log_text[16384]; /* what the library said */

static const char ini[] = "[alembic]\n"
			  "script_location = %(here)s/alembic\n"
			  "sqlalchemy.url = postgresql+psycopg2://shop:secret@production.example.com/shop\n";

static const char env[] =
	"import os\n"
	"from alembic import context\n"
	"from sqlalchemy import create_engine, engine_from_config, pool\n"
	"mode = context.get_x_argument(as_dictionary=True).get('mode', '')\n"
	"config = context.config\n"
	"def migrate(engine):\n"
	"    with engine.connect() as connection:\n"
	"        context.configure(connection=connection, transaction_per_migration=mode == 'each')\n"
	"        if mode == 'lost':\n"
	"            with connection.begin() as transaction:\n"
	"                context.run_migrations()\n"
	"                transaction.rollback()\n"
	"        else:\n"
	"            with context.begin_transaction():\n"
	"                context.run_migrations()\n"
	"if mode == 'variable':\n"
	"    migrate(create_engine(os.environ['SHOP_DB'], poolclass=pool.NullPool))\n"
	"elif mode == 'sqlite':\n"
	"    migrate(create_engine('sqlite://'))\n"
	"else:\n"
	"    migrate(engine_from_config(config.get_section(config.config_ini_section), prefix='sqlalchemy.',\n"
	"                               poolclass=pool.NullPool))\n"
	"if mode == 'two':\n"
	"    migrate(create_engine(os.environ['DATABASE_URL'], poolclass=pool.NullPool))\n";

/* shop, and from there two branches: a lock that a slow revision follows, and a table named by -x. */
static const char *const revisions[][3] = {
	{"a1aaaaaaaaaa", "None", "op.execute('CREATE TABLE shop AS SELECT 1 AS id')"},
	{"b1bbbbbbbbbb", "'a1aaaaaaaaaa'", "op.execute('ALTER TABLE shop ADD total int DEFAULT 42')"},
	{"b2bbbbbbbbbb", "'b1bbbbbbbbbb'", "op.execute('SELECT pg_sleep(0.6)')"},
	{"c1cccccccccc", "'a1aaaaaaaaaa'",
	 "op.execute('CREATE TABLE tenant_' + context.get_x_argument(as_dictionary=True).get('tenant', 'none') + ' "
	 "()')"},
};

static const char *const undo[] = {"op.execute('DROP TABLE shop')", "op.execute('ALTER TABLE shop DROP total')", "pass",
				   "op.execute('DROP TABLE tenant_none')"};

static void keep_log(enum log_level level, const char *line, void *context)
{
	(void)context;
	size_t used = strlen(log_text);
	if (level >= LOG_LEVEL_WARN)
		(void)snprintf(log_text + used, sizeof(log_text) - used, "%s\n", line);
}

static const char *file_in_project(const char *name)
{
	static char path[600];
	(void)snprintf(path, sizeof(path), "%s/%s", folder.path, name);
	return path;
}

static void write_file(const char *name, const char *text)
{
	FILE *file = fopen(file_in_project(name), "w");
	assert_non_null(file);
	(void)fputs(text, file);
	(void)fclose(file);
}

static void write_revision(const char *id, const char *down, const char *upgrade, const char *downgrade)
{
	char name[100], text[1000];
	(void)snprintf(name, sizeof(name), "alembic/versions/%s.py", id);
	(void)snprintf(text, sizeof(text),
		       "from alembic import context, op\n"
		       "revision = '%s'\ndown_revision = %s\nbranch_labels = None\ndepends_on = None\n"
		       "def upgrade():\n    %s\ndef downgrade():\n    %s\n",
		       id, down, upgrade, downgrade);
	write_file(name, text);
}

static bool has_alembic(void)
{
	char *program = process_find_program("alembic");
	free(program);
	return program != NULL;
}

static int set_up_group(void **state)
{
	(void)state;
	log_set_sink(keep_log, NULL);
	ledger_init(&ledger);
	temp_folder_init(&folder);
	assert_int_equal(mkdir(file_in_project("alembic"), 0700), 0);
	assert_int_equal(mkdir(file_in_project("alembic/versions"), 0700), 0);
	write_file("alembic.ini", ini);
	write_file("alembic/env.py", env);
	for (size_t i = 0; i < sizeof(revisions) / sizeof(*revisions); i++)
		write_revision(revisions[i][0], revisions[i][1], revisions[i][2], undo[i]);
	(void)setenv("DATABASE_URL", "postgresql://production.example.com/shop", 1);
	(void)setenv("PYTHONDONTWRITEBYTECODE", "1", 1); /* revisions change faster than their time stamps */
	return pg_server_start(&server, NULL) < 0 || pg_server_start(&other, NULL) < 0 ? -1 : 0;
}

static int tear_down_group(void **state)
{
	(void)state;
	pg_server_stop(&server);
	pg_server_stop(&other);
	temp_folder_release(&folder);
	return 0;
}

static void forget(void)
{
	alembic_state_release(&before);
	alembic_state_release(&after);
	ledger_release(&ledger);
}

static int set_up(void **state)
{
	(void)state;
	memset(&project, 0, sizeof(project));
	memset(&options, 0, sizeof(options));
	project.directory = folder.path;
	options.url = server.url;
	options.t0_ns = clock_mono_ns();
	log_text[0] = '\0';
	assert_int_equal(
		pg_server_run(&server,
			      "SET client_min_messages = error; DROP SCHEMA public CASCADE; CREATE SCHEMA public"),
		0);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	forget();
	return 0;
}

static void set_x(const char *const *x, size_t count)
{
	project.x = x;
	project.x_count = count;
}

#define X(...)                                                 \
	do {                                                   \
		static const char *const x_[] = {__VA_ARGS__}; \
		set_x(x_, sizeof(x_) / sizeof(*x_));           \
	} while (0)

static int look(struct error *err)
{
	alembic_state_release(&before);
	return alembic_runner_look(&project, &options, &before, err);
}

static void upgrade(void)
{
	struct error err = ERROR_INIT;
	forget();
	log_text[0] = '\0';
	if (alembic_runner_check(&project, &err) < 0 || look(&err) < 0 ||
	    alembic_runner_run(&project, &options, &ledger, &after, &err) < 0)
		fail_msg("%s\n%s", err.text, log_text);
}

static void assert_outcome(enum ledger_outcome outcome, const char *problem)
{
	if (ledger.outcome != outcome)
		fail_msg("outcome %d, %d expected: %s\n%s", (int)ledger.outcome, (int)outcome,
			 ledger.problem ? ledger.problem : "", log_text);
	assert_string_equal(ledger.problem ? ledger.problem : "", problem);
}

static const struct ledger_statement *find(const char *words)
{
	for (size_t i = 0; i < ledger.statement_count; i++) {
		if (strstr(ledger.statements[i].sql, words))
			return &ledger.statements[i];
	}
	fail_msg("no statement with '%s' among %zu", words, ledger.statement_count);
	return NULL;
}

static void assert_revisions(const struct alembic_revisions *revision_list, const char *expected)
{
	char text[200] = "";
	for (size_t i = 0; i < revision_list->count; i++) {
		size_t used = strlen(text);
		(void)snprintf(text + used, sizeof(text) - used, "%s%s", i ? " " : "", revision_list->items[i]);
	}
	assert_string_equal(text, expected);
}

static void test_two_heads(void **state)
{
	(void)state;
	X("tenant=seven");
	upgrade();
	assert_outcome(LEDGER_OK, "");
	assert_revisions(&before.current, "");
	assert_revisions(&before.heads, "b2bbbbbbbbbb c1cccccccccc");
	assert_revisions(&before.missing, "b2bbbbbbbbbb c1cccccccccc");
	assert_revisions(&after.current, "b2bbbbbbbbbb c1cccccccccc");
	assert_revisions(&after.missing, "");
	assert_string_equal(ledger.tool.name, "alembic");
	assert_int_equal(find("CREATE TABLE tenant_seven")->sqlstate[0], 0);
	const struct ledger_statement *alter = find("ALTER TABLE shop");
	assert_null(strstr(alter->sql, "42"));
	/* Once more: there is nothing to do, and that is fine. */
	upgrade();
	assert_outcome(LEDGER_OK, "");
	assert_revisions(&before.missing, "");
}

static void test_one_of_several_heads(void **state)
{
	(void)state;
	struct error err = ERROR_INIT;
	project.revision = "head";
	assert_int_equal(alembic_runner_check(&project, &err), -ERR_DATA);
	assert_non_null(strstr(log_text, "Multiple head revisions"));
	project.revision = "nosuch";
	assert_int_equal(alembic_runner_check(&project, &err), -ERR_DATA);
	assert_non_null(strstr(err.text, "does not know 'nosuch'"));
	project.revision = "b1bb";
	upgrade();
	assert_outcome(LEDGER_OK, "");
	assert_revisions(&after.current, "b1bbbbbbbbbb");
	project.revision = "+1";
	upgrade();
	assert_revisions(&after.current, "b2bbbbbbbbbb");
	project.revision = "a1aaaaaaaaaa";
	project.downgrade = true;
	upgrade();
	assert_outcome(LEDGER_OK, "");
	assert_revisions(&after.current, "a1aaaaaaaaaa");
	project.revision = "base";
	upgrade();
	assert_outcome(LEDGER_OK, "");
	assert_revisions(&after.current, "");
}

static double held_ms(const char *words)
{
	const struct ledger_statement *s = find(words);
	assert_true(s->lock_count > 0);
	return ns_to_ms(s->locks[0].released_ns - s->locks[0].acquired_ns);
}

/* One transaction for all revisions holds the lock of the first through all others. */
static void test_transactions(void **state)
{
	(void)state;
	project.revision = "a1aaaaaaaaaa";
	upgrade();
	project.revision = "b2bbbbbbbbbb";
	upgrade();
	assert_outcome(LEDGER_OK, "");
	assert_string_equal(find("ALTER TABLE shop")->locks[0].mode, "AccessExclusiveLock");
	assert_true(held_ms("ALTER TABLE shop") >= 600);
	X("mode=each");
	project.revision = "a1aaaaaaaaaa";
	project.downgrade = true;
	upgrade();
	project.revision = "b2bbbbbbbbbb";
	project.downgrade = false;
	upgrade();
	assert_outcome(LEDGER_OK, "");
	assert_true(held_ms("ALTER TABLE shop") < 600);
}

static void test_fails_half_way(void **state)
{
	(void)state;
	write_revision("d1dddddddddd", "'c1cccccccccc'",
		       "op.execute('CREATE TABLE half ()'); op.execute('ALTER TABLE half ADD COLMN x int')", "pass");
	project.revision = "d1dddddddddd";
	upgrade();
	(void)unlink(file_in_project("alembic/versions/d1dddddddddd.py"));
	assert_outcome(LEDGER_FAILED, "alembic ended with exit status 1");
	assert_string_equal(find("COLMN")->sqlstate, "42601");
	assert_string_equal(find("CREATE TABLE half")->sqlstate, "");
	assert_non_null(strstr(log_text, "syntax error"));
	assert_int_equal(pg_server_ask(&server, "SELECT (to_regclass('shop') IS NULL)::int"), 1);
}

/* The same statements in SQL files: the same locks, rewrites and builds. */
static void assert_same_statement(const struct ledger_statement *a, const struct ledger_statement *b)
{
	assert_string_equal(a->sql, b->sql);
	assert_int_equal(a->lock_count, b->lock_count);
	for (size_t i = 0; i < a->lock_count; i++) {
		assert_string_equal(a->locks[i].relation, b->locks[i].relation);
		assert_string_equal(a->locks[i].mode, b->locks[i].mode);
	}
	assert_int_equal(a->rewrite_count, b->rewrite_count);
	for (size_t i = 0; i < a->rewrite_count; i++)
		assert_string_equal(a->rewrites[i], b->rewrites[i]);
	assert_int_equal(a->rows_scanned, b->rows_scanned);
	assert_int_equal(a->size_delta_bytes, b->size_delta_bytes);
}

static void test_same_ledger_as_sql_files(void **state)
{
	(void)state;
	static const char sql[] = "BEGIN; ALTER TABLE goods ALTER id TYPE bigint; CREATE INDEX goods_id ON goods (id); "
				  "ALTER TABLE goods ADD CHECK (id > 0); COMMIT;";
	static const char make[] = "SET client_min_messages = error; DROP TABLE IF EXISTS goods; CREATE TABLE goods AS "
				   "SELECT i AS id FROM "
				   "generate_series(1, 3000) i; ANALYZE goods";
	struct error err = ERROR_INIT;
	struct migration files;
	struct ledger by_file;
	struct migration_way way = {.files = &files};
	struct migration_runner_options runner = {.url = server.url, .way = &way, .t0_ns = clock_mono_ns()};
	migration_init(&files);
	ledger_init(&by_file);
	assert_int_equal(pg_server_run(&server, make), 0);
	assert_int_equal(migration_add_text(&files, "m.sql", sql, strlen(sql), &err), 0);
	assert_int_equal(migration_runner_run(&runner, &by_file, &err), 0);
	assert_int_equal(pg_server_run(&server, make), 0);
	write_revision(
		"e1eeeeeeeeee", "None",
		"op.execute('ALTER TABLE goods ALTER id TYPE bigint'); op.execute('CREATE INDEX goods_id ON goods "
		"(id)'); op.execute('ALTER TABLE goods ADD CHECK (id > 0)')",
		"pass");
	project.revision = "e1eeeeeeeeee";
	upgrade();
	(void)unlink(file_in_project("alembic/versions/e1eeeeeeeeee.py"));
	assert_outcome(LEDGER_OK, "");
	static const char *const heads[] = {"ALTER TABLE goods ALTER", "CREATE INDEX goods_id",
					    "ALTER TABLE goods ADD"};
	for (size_t i = 0; i < 3; i++)
		assert_same_statement(find(heads[i]), &by_file.statements[i + 1]);
	assert_int_equal(find(heads[0])->rewrite_count, 1);
	ledger_release(&by_file);
	migration_release(&files);
}

/* Alembic says that all went well, and nothing stays. */
static void test_does_not_get_there(void **state)
{
	(void)state;
	X("mode=lost");
	project.revision = "b1bbbbbbbbbb";
	upgrade();
	assert_outcome(LEDGER_FAILED, "alembic ended well, and the database is at no revision, without b1bbbbbbbbbb");
	assert_revisions(&after.missing, "b1bbbbbbbbbb");
}

/* An env.py that goes somewhere else: found out before anything is changed, there or here. */
static void test_goes_somewhere_else(void **state)
{
	(void)state;
	struct error err = ERROR_INIT;
	static const char *const names[] = {"SHOP_DB"};
	(void)setenv("SHOP_DB", other.url, 1);
	X("mode=variable");
	assert_int_equal(alembic_runner_check(&project, &err), 0);
	assert_int_equal(look(&err), -ERR_USAGE);
	assert_non_null(strstr(err.text, "did not come to the clone"));
	project.open_network = true; /* it reaches the other one, and only asks */
	assert_int_equal(look(&err), -ERR_USAGE);
	assert_non_null(strstr(err.text, "did not come to the clone"));
	assert_int_equal(pg_server_ask(&other, "SELECT count(*) FROM pg_class WHERE relnamespace = 2200"), 0);
	X("mode=sqlite");
	assert_int_equal(look(&err), -ERR_USAGE);
	project.open_network = false;
	X("mode=two");
	assert_int_equal(look(&err), -ERR_USAGE);
	assert_non_null(strstr(err.text, "migrates 2 databases"));
	/* Told which variable it reads, it comes here. */
	X("mode=variable");
	project.url_variables = names;
	project.url_variable_count = 1;
	upgrade();
	assert_outcome(LEDGER_OK, "");
	assert_revisions(&after.current, "b2bbbbbbbbbb c1cccccccccc");
	(void)unsetenv("SHOP_DB");
}

static void test_what_cannot_be_run(void **state)
{
	(void)state;
	struct error err = ERROR_INIT;
	project.python = "no-such-python";
	assert_int_equal(alembic_runner_check(&project, &err), -ERR_UNAVAILABLE);
	assert_non_null(strstr(err.text, "no-such-python"));
	project.python = NULL;
	project.config = "nowhere.ini";
	assert_int_equal(alembic_runner_check(&project, &err), -ERR_DATA);
	assert_non_null(strstr(log_text, "no such file: nowhere.ini"));
	project.config = NULL;
	options.url = "postgresql://127.0.0.1:1/nowhere";
	assert_int_equal(look(&err), -ERR_UNAVAILABLE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_two_heads, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_one_of_several_heads, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_transactions, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_fails_half_way, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_same_ledger_as_sql_files, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_does_not_get_there, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_goes_somewhere_else, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_what_cannot_be_run, set_up, tear_down),
	};
	if (!has_alembic()) {
		print_message("alembic is not installed: nothing tested\n");
		return 0;
	}
	return cmocka_run_group_tests(tests, set_up_group, tear_down_group);
}
