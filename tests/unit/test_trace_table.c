/* The ledger on a terminal: widths, words, and nothing in it that a terminal would obey. */
#include "clock.h"
#include "mem.h"
#include "trace_blocked.h"
#include "trace_table.h"
#include "trace_text.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define MS NS_PER_MS

static struct ledger_statement *add(struct ledger *ledger, const char *sql, int64_t start_ns, int64_t end_ns)
{
	struct ledger_statement *statement = ledger_add_statement(ledger);
	statement->sql = mem_strdup(sql);
	statement->file = mem_strdup("migrations/2026-11-22/a_rather_long_name_of_a_file.sql");
	statement->line = 12;
	statement->start_ns = start_ns;
	statement->end_ns = end_ns;
	statement->backend_pid = 7;
	statement->kind = LEDGER_KIND_DDL;
	statement->locks_known = LEDGER_LOCKS_BEFORE_COMMIT;
	return statement;
}

static void add_lock(struct ledger_statement *statement, const char *relation, const char *mode, int64_t waited_ns,
		     int64_t from_ns, int64_t to_ns)
{
	struct ledger_lock *lock = ledger_statement_add_lock(statement);
	(void)snprintf(lock->relation, sizeof(lock->relation), "%s", relation);
	(void)snprintf(lock->mode, sizeof(lock->mode), "%s", mode);
	lock->waited_ns = waited_ns;
	lock->acquired_ns = from_ns;
	lock->released_ns = to_ns;
}

static void make_ledger(struct ledger *ledger)
{
	ledger_init(ledger);
	ledger->outcome = LEDGER_FAILED;
	ledger->statements_not_run = 2;
	ledger->start_ns = 5 * NS_PER_S;
	ledger->end_ns = 7 * NS_PER_S;
	struct ledger_statement *rewrite = add(
		ledger, "ALTER TABLE big\n  ALTER v TYPE bigint, ADD COLUMN something text DEFAULT ?, ADD other int",
		5 * NS_PER_S, 5 * NS_PER_S + 400 * MS);
	add_lock(rewrite, "public.big", "AccessExclusiveLock", 100 * MS, 5 * NS_PER_S + 100 * MS,
		 5 * NS_PER_S + 510 * MS);
	rewrite->measuring_ns = 10 * MS;
	rewrite->rows_scanned = 200000;
	rewrite->wal_bytes = 25 * 1024 * 1024;
	rewrite->size_delta_bytes = -2048;
	ledger_statement_add_rewrite(rewrite, "public.big");
	struct ledger_statement *code = add(ledger, "DO ?", 5 * NS_PER_S + 420 * MS, 5 * NS_PER_S + 500 * MS);
	code->runs_code = true;
	code->kind = LEDGER_KIND_DATA;
	code->rows_changed = 1;
	ledger_names_add(&code->functions, "public.f");
	add_lock(code, "public.\033[31mred", "ShareLock", 0, 5 * NS_PER_S + 420 * MS, 5 * NS_PER_S + 510 * MS);
	struct ledger_statement *failed =
		add(ledger, "CREATE INDEX CONCURRENTLY i ON big (x)", 6 * NS_PER_S, 7 * NS_PER_S);
	failed->locks_known = LEDGER_LOCKS_SAMPLED;
	add_lock(failed, "public.big", "ShareUpdateExclusiveLock", 0, 6 * NS_PER_S, 7 * NS_PER_S);
	ledger_names_add(&failed->indexes_invalid, "public.i");
	(void)snprintf(failed->sqlstate, sizeof(failed->sqlstate), "23505");
	failed->message = mem_strdup("could not create unique index");
}

static void expect_text(const char *text, const char *part)
{
	if (!strstr(text, part))
		fail_msg("\"%s\" is not in\n%s", part, text);
}

static void test_words(void **state)
{
	struct ledger ledger;
	struct strbuf text;
	(void)state;
	make_ledger(&ledger);
	strbuf_init(&text, 1000000);
	trace_table_format(&ledger, &(struct trace_table_options){.width = 120}, &text);
	expect_text(text.data, "rewrite");
	/* 410 ms by the server's clock, 10 of them ours */
	expect_text(text.data, "AccessExclusiveLock         400 ms  reads and writes");
	expect_text(text.data, "! waited 100 ms for public.big; whoever came after it waited too");
	expect_text(text.data, "25.0 MB of WAL, size -2.0 kB, 200,000 rows read");
	expect_text(text.data, "! public.big stays locked for 100 ms after it ended, until the transaction did");
	expect_text(text.data, "! changes data: 1 row\n");
	expect_text(text.data, "! ran the code of public.f");
	expect_text(text.data, "! failed: could not create unique index (23505)");
	expect_text(text.data, "! leaves invalid, a cost to writers and of no use to readers: public.i");
	expect_text(text.data, "ShareUpdateExclusiveLock   ~1.00 s  other DDL");
	expect_text(text.data, "3 statements in 2.00 s: the migration failed; 2 did not run");
	expect_text(text.data, "~ seen by sampling");
	assert_null(strchr(text.data, '\033'));
	expect_text(text.data, "public.?[31mred");
	strbuf_release(&text);
	ledger_release(&ledger);
}

/* A statement that touches very much is shown in part. */
static void test_very_many(void **state)
{
	struct ledger ledger;
	struct strbuf text;
	(void)state;
	ledger_init(&ledger);
	struct ledger_statement *drop = add(&ledger, "DROP SCHEMA lots CASCADE", 0, 10 * MS);
	for (int i = 0; i < 3000; i++) {
		char name[32];
		(void)snprintf(name, sizeof(name), "lots.t%d", i);
		add_lock(drop, name, i == 2999 ? "AccessExclusiveLock" : "ShareLock", 0, 0, 10 * MS);
		ledger_names_add(&drop->relations_dropped, name);
	}
	strbuf_init(&text, 1000000);
	trace_table_format(&ledger, &(struct trace_table_options){.width = 80}, &text);
	expect_text(text.data, "     lots.t2999            AccessExclusiveLock");
	expect_text(text.data, "and 2980 more locks; --json has all of them");
	expect_text(text.data, "lots.t11 and 2988 more");
	expect_text(text.data, "\nand 2980 more; --json has all of them");
	assert_true(text.len < 10000);
	strbuf_release(&text);
	ledger_release(&ledger);
}

static void test_widths(void **state)
{
	struct ledger ledger;
	(void)state;
	make_ledger(&ledger);
	for (int width = 20; width < 220; width += 20) {
		struct strbuf text;
		strbuf_init(&text, 1000000);
		trace_table_format(&ledger, &(struct trace_table_options){.width = width}, &text);
		int limit = width < TRACE_TABLE_WIDTH_MIN ? TRACE_TABLE_WIDTH_MIN : width;
		limit = limit < 80 ? 80 : limit; /* what modes and times take up cannot be cut */
		for (const char *line = text.data; *line;) {
			size_t len = strcspn(line, "\n"), columns = 0;
			for (size_t i = 0; i < len; i++)
				columns += ((unsigned char)line[i] & 0xc0) != 0x80;
			if (columns > (size_t)limit)
				fail_msg("width %d: %.*s", width, (int)len, line);
			line += len + (line[len] == '\n');
		}
		strbuf_release(&text);
	}
	ledger_release(&ledger);
}

static void test_out_of_reach(void **state)
{
	struct ledger ledger;
	struct trace_blocked blocked;
	(void)state;
	ledger_init(&ledger);
	struct ledger_statement *one = add(&ledger, "a", 0, 10 * MS);
	add_lock(one, "t", "ShareLock", 0, 0, 10 * MS);
	add_lock(one, "new", "AccessExclusiveLock", 0, 0, 10 * MS);
	ledger_names_add(&one->relations_created, "new");
	struct ledger_statement *two = add(&ledger, "b", 10 * MS, 30 * MS);
	add_lock(two, "t", "AccessExclusiveLock", 5 * MS, 15 * MS, 30 * MS);
	struct ledger_statement *three = add(&ledger, "c", 50 * MS, 60 * MS);
	add_lock(three, "t_i", "AccessExclusiveLock", 0, 50 * MS, 60 * MS);
	(void)snprintf(three->locks[0].index_of, sizeof(three->locks[0].index_of), "t");
	add_lock(three, "u", "RowExclusiveLock", 0, 50 * MS, 60 * MS);
	trace_blocked_init(&blocked, &ledger);
	assert_int_equal(blocked.count, 2);
	/* writers from 0 to 30 at a stretch, and again with the index; readers from the wait's beginning */
	assert_string_equal(blocked.items[0].name, "t");
	assert_int_equal(blocked.items[0].effect, LOCK_EFFECT_WRITES);
	assert_int_equal(blocked.items[0].longest_ns, 30 * MS);
	assert_int_equal(blocked.items[0].total_ns, 40 * MS);
	assert_int_equal(blocked.items[1].effect, LOCK_EFFECT_ALL);
	assert_int_equal(blocked.items[1].longest_ns, 20 * MS);
	assert_int_equal(blocked.items[1].total_ns, 30 * MS);
	trace_blocked_release(&blocked);
	ledger_release(&ledger);
}

static void expect_duration(int64_t ns, const char *expected)
{
	char text[32];
	trace_text_duration(ns, text, sizeof(text));
	assert_string_equal(text, expected);
}

static void test_numbers(void **state)
{
	char text[32];
	(void)state;
	expect_duration(0, "0.0 ms");
	expect_duration(400 * NS_PER_US, "0.4 ms");
	expect_duration(412 * MS, "412 ms");
	expect_duration(1240 * MS, "1.24 s");
	expect_duration(125 * NS_PER_S, "2m 05s");
	expect_duration(11520 * NS_PER_S, "3h 12m");
	trace_text_bytes(-1536, text, sizeof(text));
	assert_string_equal(text, "-1.5 kB");
	trace_text_bytes(INT64_C(3) << 40, text, sizeof(text));
	assert_string_equal(text, "3.0 TB");
	trace_text_number(1234567, text, sizeof(text));
	assert_string_equal(text, "1,234,567");
	trace_text_number(-123, text, sizeof(text));
	assert_string_equal(text, "-123");
	trace_text_number(INT64_MIN, text, sizeof(text));
	assert_string_equal(text, "-9,223,372,036,854,775,808");
}

/* The same change of rows again and again is one line, as long as there is no more to say of it. */
static void test_repeats(void **state)
{
	(void)state;
	struct ledger ledger;
	struct strbuf out;
	ledger_init(&ledger);
	for (int i = 0; i < 9; i++) {
		struct ledger_statement *s = add(&ledger, "UPDATE big SET t = $1 WHERE id = $2", i * 10 * MS,
						 i * 10 * MS + (i == 3 ? 8 : 2) * MS);
		s->kind = LEDGER_KIND_DATA;
		s->rows_affected = s->rows_changed = 2;
		s->wal_bytes = 1024;
		add_lock(s, "public.big", i == 6 ? "AccessExclusiveLock" : "RowExclusiveLock", 0, s->start_ns,
			 s->end_ns);
	}
	ledger.outcome = LEDGER_OK;
	strbuf_init(&out, 100000);
	trace_table_format(&ledger, &(struct trace_table_options){.width = 100}, &out);
	expect_text(out.data, "and the same 5 times more, to 6, in 42 ms, the longest 8.0 ms: 10 rows, 5.0 kB of WAL");
	expect_text(out.data, "\n  7  ");
	expect_text(out.data, "\n  8  ");
	expect_text(out.data, "\n  9  ");
	assert_null(strstr(out.data, "\n  5  "));
	strbuf_release(&out);
	ledger_release(&ledger);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_words),     cmocka_unit_test(test_widths),
					   cmocka_unit_test(test_very_many), cmocka_unit_test(test_out_of_reach),
					   cmocka_unit_test(test_numbers),   cmocka_unit_test(test_repeats)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
