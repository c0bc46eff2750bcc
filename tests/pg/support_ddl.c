/* What the tests of many kinds of DDL share: see support_ddl.h. */
#include "support_ddl.h"

#include "clock.h"
#include "lock_effect.h"
#include "mem.h"
#include "strbuf.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <pthread.h>

#define TEXT_MAX ((size_t)64 * 1024)

struct pg_server ddl_server;

char *ddl_make_database(void)
{
	assert_int_equal(pg_server_run(&ddl_server, "DROP DATABASE IF EXISTS ddl WITH (FORCE)"), 0);
	assert_int_equal(pg_server_run(&ddl_server, "CREATE DATABASE ddl TEMPLATE ddl_base STRATEGY wal_log"), 0);
	return mem_printf("postgresql://postgres@127.0.0.1:%d/ddl", ddl_server.port);
}

void ddl_prepare_case(const struct ddl_case *c)
{
	PGconn *conn = pg_server_connect(&ddl_server, "ddl");
	assert_non_null(conn);
	if (c->before)
		assert_int_equal(pg_server_sql(conn, c->before), 0);
	PQfinish(conn);
}

bool ddl_runs_concurrently(const struct ddl_case *c)
{
	return strstr(c->sql, "CONCURRENTLY") && !strstr(c->sql, "REFRESH");
}

PGconn *ddl_begin_reader(void)
{
	PGconn *conn = pg_server_connect(&ddl_server, "ddl");
	assert_int_equal(pg_server_sql(conn, "BEGIN ISOLATION LEVEL REPEATABLE READ;"
					     "SELECT FROM big LIMIT 1; SELECT FROM part LIMIT 1"),
			 0);
	return conn;
}

void ddl_end_reader(PGconn *conn)
{
	(void)pg_server_sql(conn, "COMMIT");
	PQfinish(conn);
}

void ddl_wait_for_waiter(void)
{
	int64_t end_ns = clock_mono_ns() + 60 * NS_PER_S;
	while (pg_server_ask(&ddl_server, "SELECT count(*) FROM pg_stat_activity WHERE datname = 'ddl'"
					  " AND wait_event_type = 'Lock'") == 0 &&
	       clock_mono_ns() < end_ns)
		clock_sleep_until_ns(clock_mono_ns() + 5 * NS_PER_MS);
}

/* Once the statement waits, and a little longer, so that it is seen. */
static void *end_reader_soon(void *context)
{
	ddl_wait_for_waiter();
	clock_sleep_until_ns(clock_mono_ns() + 50 * NS_PER_MS);
	ddl_end_reader(context);
	return NULL;
}

void ddl_trace(const char *url, const struct ddl_case *c, const struct migration_way *way, struct ledger *ledger)
{
	struct error err = ERROR_INIT;
	pthread_t holder;
	ledger_init(ledger);
	if (ddl_runs_concurrently(c))
		assert_int_equal(pthread_create(&holder, NULL, end_reader_soon, ddl_begin_reader()), 0);
	struct migration_runner_options options = {
		.url = url, .way = way, .t0_ns = clock_mono_ns(), .interval_ns = 2 * NS_PER_MS};
	if (migration_runner_run(&options, ledger, &err) != 0)
		fail_msg("%s: %s", c->name, err.text);
	if (ddl_runs_concurrently(c))
		(void)pthread_join(holder, NULL);
}

static bool has_name(const struct ledger_names *names, const char *name)
{
	for (size_t i = 0; i < names->count; i++) {
		if (strcmp(names->items[i], name) == 0)
			return true;
	}
	return false;
}

bool ddl_is_new(const struct ledger_statement *statement, const struct ledger_lock *lock)
{
	return has_name(&statement->relations_created, lock->relation) ||
	       has_name(&statement->indexes_built, lock->relation);
}

/* An index that nobody uses any more, or yet, while it is dropped or built concurrently: seen or not, by chance. */
static bool is_passing(const struct ledger_statement *statement, const struct ledger_lock *lock)
{
	return statement->locks_known == LEDGER_LOCKS_SAMPLED && has_name(&statement->indexes_dropped, lock->relation);
}

static int by_relation(const void *a, const void *b)
{
	return strcmp(((const struct ledger_lock *)a)->relation, ((const struct ledger_lock *)b)->relation);
}

static const char *plain(const char *name)
{
	return strncmp(name, "public.", 7) == 0 ? name + 7 : name;
}

static enum lock_effect describe_locks(const struct ledger_statement *statement, struct strbuf *out)
{
	enum lock_effect strongest = LOCK_EFFECT_NONE;
	if (statement->lock_count > 1)
		qsort(statement->locks, statement->lock_count, sizeof(*statement->locks), by_relation);
	for (size_t i = 0; i < statement->lock_count; i++) {
		const struct ledger_lock *lock = &statement->locks[i];
		enum lock_effect effect = lock_effect_of(lock_mode_rank(lock->mode));
		if (ddl_is_new(statement, lock) || is_passing(statement, lock))
			continue;
		strongest = effect > strongest ? effect : strongest;
		strbuf_addf(out, "%s%s=%.*s", out->len ? " " : "", plain(lock->relation), (int)(strlen(lock->mode) - 4),
			    lock->mode);
	}
	return strongest;
}

static void describe_work(const struct ledger_statement *statement, struct strbuf *out)
{
	for (size_t i = 0; i < statement->rewrite_count; i++)
		strbuf_addf(out, "%s%s", i ? " " : "rewrite ", plain(statement->rewrites[i]));
	if (statement->rewrite_count == 0)
		strbuf_add_str(out, statement->rows_scanned > 0	   ? "scan"
				    : statement->rows_scanned == 0 ? "metadata"
								   : "-");
}

/* OIDs in names differ from run to run. */
static void add_without_oids(struct strbuf *out, const char *name)
{
	while (*name) {
		size_t digits = strspn(name, "0123456789");
		if (digits >= 5)
			strbuf_add_char(out, 'N');
		else
			strbuf_add(out, name, digits ? digits : 1);
		name += digits ? digits : 1;
	}
}

static void add_marks(struct strbuf *out, const char *mark, const struct ledger_names *names)
{
	for (size_t i = 0; i < names->count; i++) {
		strbuf_addf(out, "%s%s", out->len ? " " : "", mark);
		add_without_oids(out, plain(names->items[i]));
	}
}

static void describe_marks(const struct ledger_statement *statement, struct strbuf *out)
{
	add_marks(out, "+", &statement->relations_created);
	add_marks(out, "-", &statement->relations_dropped);
	add_marks(out, "+index ", &statement->indexes_built);
	add_marks(out, "-index ", &statement->indexes_dropped);
	add_marks(out, "invalid ", &statement->indexes_invalid);
	add_marks(out, "+trigger ", &statement->triggers_added);
	add_marks(out, "-trigger ", &statement->triggers_dropped);
	add_marks(out, "off ", &statement->triggers_disabled);
	add_marks(out, "on ", &statement->triggers_enabled);
	add_marks(out, "ran ", &statement->functions);
	if (statement->rows_changed > 0)
		strbuf_addf(out, "%s%lld rows", out->len ? " " : "", (long long)statement->rows_changed);
}

struct observed {
	struct strbuf locks, work, marks;
	enum lock_effect blocks;
	const char *kind;
};

static void observe(const struct ledger_statement *statement, struct observed *seen)
{
	strbuf_init(&seen->locks, TEXT_MAX);
	strbuf_init(&seen->work, TEXT_MAX);
	strbuf_init(&seen->marks, TEXT_MAX);
	seen->blocks = describe_locks(statement, &seen->locks);
	describe_work(statement, &seen->work);
	describe_marks(statement, &seen->marks);
	seen->kind = ledger_kind_name(statement->kind);
}

static void observed_release(struct observed *seen)
{
	strbuf_release(&seen->locks);
	strbuf_release(&seen->work);
	strbuf_release(&seen->marks);
}

/* expected with "?" in front: or none, where samples came too late. */
static unsigned check_text(const struct ddl_case *c, const char *what, const char *seen, const char *expected)
{
	bool may_miss = expected && *expected == '?';
	expected += may_miss;
	if (strcmp(seen, expected ? expected : "") == 0)
		return 0;
	if (may_miss && (*seen == '\0' || *expected == '\0' || strcmp(seen, "nobody") == 0))
		return 0;
	print_error("%s: %s: \"%s\", expected \"%s\"\n", c->name, what, seen, expected ? expected : "");
	return 1;
}

unsigned ddl_check_case(const struct ddl_case *c, const struct ledger *ledger)
{
	struct observed seen;
	unsigned wrong = 0;
	if (ledger->outcome != LEDGER_OK || ledger->statement_count != 1) {
		print_error("%s: failed: %s\n", c->name,
			    ledger->statement_count ? ledger->statements[0].message : "no statement");
		return 1;
	}
	observe(&ledger->statements[0], &seen);
	const char *blocks = lock_effect_words(seen.blocks);
	if (getenv("REHEARSE_DDL_PRINT")) {
		(void)printf("%s\t\"%s\", \"%s\", \"%s\", \"%s\", %s%s%s\n", c->name, seen.locks.data, seen.work.data,
			     blocks, seen.kind, seen.marks.len ? "\"" : "", seen.marks.len ? seen.marks.data : "NULL",
			     seen.marks.len ? "\"" : "");
	} else {
		wrong += check_text(c, "locks", seen.locks.data, c->locks);
		wrong += check_text(c, "work", seen.work.data, c->work);
		wrong += check_text(c, "blocks", blocks, c->blocks);
		wrong += check_text(c, "kind", seen.kind, c->kind);
		wrong += check_text(c, "marks", seen.marks.data, c->marks);
	}
	observed_release(&seen);
	return wrong;
}

int ddl_set_up(void **state)
{
	(void)state;
	if (pg_server_start(&ddl_server, "autovacuum = off\nclient_min_messages = error\nmax_wal_size = '2GB'\n") !=
		    0 ||
	    pg_server_run(&ddl_server, "CREATE ROLE ddl_owner") != 0 ||
	    pg_server_run(&ddl_server, "CREATE DATABASE ddl_base") != 0)
		return -1;
	PGconn *conn = pg_server_connect(&ddl_server, "ddl_base");
	int rc = conn ? pg_server_sql(conn, ddl_schema) : -1;
	PQfinish(conn);
	return rc;
}

int ddl_tear_down(void **state)
{
	(void)state;
	pg_server_stop(&ddl_server);
	return 0;
}
