/* Runs for tests of reports: see support_report.h. The runs are 40 s long, the migration starts at 20 s. */
#include "support_report.h"

#include "mem.h"
#include "sql_fingerprint.h"
#include "strbuf.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#define SESSIONS 12
#define END_NS	 (40 * SUPPORT_S)
#define START_NS (20 * SUPPORT_S)
#define VALUES	 " WHERE owner = '" SUPPORT_REPORT_LITERAL "' AND id = " SUPPORT_REPORT_NUMBER

static const struct support_outcome quick = {.service_ns = 2 * SUPPORT_MS, .rows = 1};

static const char *const statements[] = {
	"SELECT * FROM orders" VALUES,
	"UPDATE stock SET quantity = quantity - " SUPPORT_REPORT_NUMBER VALUES,
	"SELECT i.*, p.name, p.price FROM order_items i JOIN products p ON p.id = i.product_id LEFT JOIN discounts d "
	"ON "
	"d.product_id = p.id AND d.code = '" SUPPORT_REPORT_LITERAL "'" VALUES " ORDER BY i.position LIMIT 20",
	"INSERT INTO audit_log_with_a_rather_long_name (who, what) VALUES ('" SUPPORT_REPORT_LITERAL
	"', $$" SUPPORT_REPORT_LITERAL "$$)",
};

static struct support_run *new_run(void)
{
	struct support_run *run = support_run_new(SESSIONS);
	support_run_client(run, 8, "reporting", "nightly export");
	support_run_client(run, 9, "reporting", "nightly export");
	support_run_client(run, 10, "worker", "mailer");
	support_run_client(run, 11, "worker", "mailer");
	json_t *json = support_run_json(run);
	(void)json_object_set_new(json, "commit", json_string("0123456789abcdef0123456789abcdef01234567"));
	(void)json_object_set_new(
		json_object_get(json, "replay_file"), "capture",
		json_pack("{s:s, s:s}", "first_time", "2025-12-30T09:00:00Z", "last_time", "2025-12-30T09:00:40Z"));
	(void)json_object_set_new(json, "environment",
				  json_pack("{s:{s:s}, s:{s:s}, s:[{s:s, s:s, s:s}]}", "baseline", "server_version",
					    "15.8", "migrating", "server_version", "15.8", "differences", "name",
					    "work_mem", "baseline", "4MB", "migrating", "64MB"));
	return run;
}

static void add_traffic(struct support_run *run, int64_t start_ns, int64_t end_ns)
{
	int64_t round = 0;
	for (int64_t t = start_ns; t < end_ns; t += 200 * SUPPORT_MS, round++) {
		for (uint32_t s = 0; s < SESSIONS; s++) {
			/* A little scatter, the same on every run. */
			struct support_outcome o = quick;
			struct support_outcome other = quick;
			o.service_ns += (round * 37 + s * 11) % 9 * 100000;
			other.service_ns += (round * 53 + s * 7) % 9 * 100000;
			support_run_add(run, t + s * 15 * SUPPORT_MS, s, statements[(round + s) % 4], NULL, o, other);
		}
	}
}

/* The runner redacts what it writes into the ledger; so do we. */
static struct ledger_statement *migrate(struct support_run *run, const char *sql, const char *relation,
					const char *mode, int64_t start_ns, int64_t end_ns)
{
	struct strbuf text;
	strbuf_init(&text, 8192);
	sql_redact(SQL_POSTGRESQL, span_from_str(sql), &text);
	struct ledger_statement *s = support_run_migrate(run, text.data, relation, mode, start_ns, end_ns);
	strbuf_release(&text);
	return s;
}

static void block(struct support_run *run, uint32_t session, int64_t sent_ns, int64_t end_ns, const char *sqlstate)
{
	struct support_outcome blocked = {
		.service_ns = end_ns - sent_ns, .rows = sqlstate ? 0 : 1, .sqlstate = sqlstate};
	support_run_add(run, sent_ns, session, statements[0], NULL, quick, blocked);
	support_run_wait(run, SUPPORT_MIGRATING_PID(session), "public.orders", "AccessShareLock", sent_ns,
			 end_ns - 5 * SUPPORT_MS, SUPPORT_MIGRATION_PID);
}

/* A rewrite of orders for 2.4 s behind which ten sessions wait, some to the end of their patience; an index after it.
 */
static struct support_run *make_hurts(void)
{
	struct support_run *run = new_run();
	int64_t end_ns = START_NS + 2400 * SUPPORT_MS;
	add_traffic(run, 200 * SUPPORT_MS, START_NS);
	add_traffic(run, 24 * SUPPORT_S, END_NS);
	struct ledger_statement *s = migrate(
		run,
		"ALTER TABLE orders ALTER total TYPE numeric(12,2) USING coalesce(total, " SUPPORT_REPORT_NUMBER ")",
		"public.orders", "AccessExclusiveLock", START_NS, end_ns);
	s->kind = LEDGER_KIND_DDL;
	s->rows_scanned = 1200000;
	ledger_statement_add_rewrite(s, "public.orders");
	s->wal_bytes = 123456789;
	s->size_delta_bytes = -4096;
	(void)migrate(run,
		      "CREATE INDEX CONCURRENTLY orders_owner ON orders (owner) WHERE owner <> '" SUPPORT_REPORT_LITERAL
		      "'",
		      "public.orders", "ShareUpdateExclusiveLock", end_ns, end_ns + 900 * SUPPORT_MS);
	for (uint32_t i = 0; i < 10; i++)
		block(run, i, START_NS + (i * 40 + 1) * SUPPORT_MS, end_ns, i % 4 == 3 ? "57014" : NULL);
	return run;
}

/* The column that old statements still name goes at 20 s. */
static struct support_run *make_errors(void)
{
	struct support_run *run = new_run();
	struct support_outcome broken = {.service_ns = SUPPORT_MS, .sqlstate = "42703"};
	const char *sql = "SELECT note FROM orders" VALUES;
	add_traffic(run, 200 * SUPPORT_MS, END_NS);
	(void)migrate(run, "ALTER TABLE orders DROP note", "public.orders", "AccessExclusiveLock", START_NS,
		      START_NS + 10 * SUPPORT_MS);
	for (int64_t i = 1; i < 39; i++)
		support_run_add(run, i * SUPPORT_S + 7 * SUPPORT_MS, (uint32_t)(i % SESSIONS), sql, NULL, quick,
				i < 21 ? quick : broken);
	return run;
}

static struct support_run *make_clear(void)
{
	struct support_run *run = new_run();
	add_traffic(run, 200 * SUPPORT_MS, END_NS);
	(void)migrate(run, "ALTER TABLE orders ADD note text DEFAULT '" SUPPORT_REPORT_LITERAL "'", "public.orders",
		      "AccessExclusiveLock", START_NS, START_NS + 3 * SUPPORT_MS);
	(void)migrate(run, "ALTER TABLE archive ADD note text", "public.archive", "AccessExclusiveLock",
		      START_NS + 3 * SUPPORT_MS, START_NS + 800 * SUPPORT_MS);
	return run;
}

static struct support_run *make_cannot_tell(void)
{
	struct support_run *run = make_clear();
	support_run_gap(run, START_NS + SUPPORT_MS, START_NS + 200 * SUPPORT_MS);
	return run;
}

static struct support_run *make_invalid(void)
{
	struct support_run *run = new_run();
	struct support_outcome refused = {.sqlstate = "28000"};
	add_traffic(run, 200 * SUPPORT_MS, START_NS);
	for (int i = 0; i < 400; i++)
		support_run_add(run, START_NS + i * 10 * SUPPORT_MS, 1, statements[0], NULL, refused, refused);
	return run;
}

/* A tool's migration: statements that take nearly the whole run, of each strength of lock, among many of its own. */
static struct support_run *make_long(void)
{
	static const char *const modes[] = {"ShareUpdateExclusiveLock", "ShareLock", "AccessExclusiveLock"};
	struct support_run *run = new_run();
	add_traffic(run, 200 * SUPPORT_MS, END_NS);
	for (int i = 0; i < 40; i++)
		(void)migrate(run, "SET lock_timeout = " SUPPORT_REPORT_NUMBER, "public.alembic_version",
			      "AccessShareLock", 2 * SUPPORT_S + i * 800 * SUPPORT_MS,
			      2 * SUPPORT_S + i * 800 * SUPPORT_MS + SUPPORT_MS);
	for (int i = 0; i < 3; i++)
		(void)migrate(run, "CREATE INDEX CONCURRENTLY archive_owner ON archive (owner)", "public.archive",
			      modes[i], (3 + i) * SUPPORT_S, (36 + i) * SUPPORT_S);
	return run;
}

static struct support_run *make_aa(void)
{
	struct support_run *run = new_run();
	add_traffic(run, 200 * SUPPORT_MS, END_NS);
	return run;
}

static void must(int rc, const struct error *err)
{
	if (rc < 0)
		fail_msg("%s", err->text);
}

/* Production has more rows than the deploy step has time for, and the planned time is the payroll's. */
static void plan_hurts(struct rollout *rollout)
{
	struct error err = ERROR_INIT;
	struct blackout_calendar *calendar = &rollout->calendar;
	must(row_ratios_add(&rollout->ratios, "20", &err), &err);
	must(row_ratios_add(&rollout->ratios, "orders=350", &err), &err);
	must(row_ratios_add(&rollout->ratios, "ordrs=2", &err), &err);
	rollout->deploy_timeout_ns = 600 * SUPPORT_S;
	must(blackout_calendar_set(calendar, "time_zone", "Europe/Zurich", &err), &err);
	must(blackout_calendar_set(calendar, "payroll", "1st 20:00-06:00, 15th 20:00-06:00", &err), &err);
	must(blackout_calendar_set(calendar, "books", "quarter end, fiscal year end 06-30", &err), &err);
	must(blackout_calendar_set(calendar, "backup", "daily 02:00-04:00", &err), &err);
	must(blackout_calendar_parse_time(calendar, "2026-01-15 19:55", &rollout->planned_ns, &err), &err);
	rollout->planned = true;
}

/* Only a calendar. */
static void plan_clear(struct rollout *rollout)
{
	struct error err = ERROR_INIT;
	must(blackout_calendar_set(&rollout->calendar, "time_zone", "America/New_York", &err), &err);
	must(blackout_calendar_set(&rollout->calendar, "backup", "daily 02:00-04:00", &err), &err);
}

const struct support_report support_reports[SUPPORT_REPORTS] = {
	{"hurts", VERDICT_HURTS, make_hurts, plan_hurts}, {"errors", VERDICT_HURTS, make_errors, NULL},
	{"clear", VERDICT_CLEAR, make_clear, plan_clear}, {"cannot_tell", VERDICT_CANNOT_TELL, make_cannot_tell, NULL},
	{"invalid", VERDICT_INVALID, make_invalid, NULL}, {"aa", VERDICT_CLEAR, make_aa, NULL},
	{"long", VERDICT_CLEAR, make_long, NULL},
};

struct support_run *support_report_make(const struct support_report *report, struct verdict **verdict)
{
	struct error err = ERROR_INIT;
	struct support_run *run = report->make();
	struct rollout rollout;
	struct judge_options options = {.rollout = &rollout};
	rollout_init(&rollout);
	if (report->plan)
		report->plan(&rollout);
	support_run_write(run, END_NS);
	if (verdict_judge(support_run_dir(run), &options, verdict, &err) < 0 ||
	    verdict_save(*verdict, support_run_dir(run), &err) < 0)
		fail_msg("%s: %s", report->name, err.text);
	if ((*verdict)->outcome != report->outcome)
		fail_msg("%s: %s: %s", report->name, verdict_outcome_name((*verdict)->outcome), (*verdict)->reason);
	rollout_release(&rollout);
	return run;
}

/* `count` references to one entry: what is made of it is made count times all the same. */
static void fill(json_t *document, const char *key, json_t *entry, size_t count)
{
	json_t *list = json_array();
	for (size_t i = 0; i < count; i++)
		(void)json_array_append(list, entry);
	json_decref(entry);
	(void)json_object_set_new(document, key, list);
}

static json_t *repeat(json_t *entry, size_t count)
{
	json_t *list = json_array();
	for (size_t i = 0; i < count; i++)
		(void)json_array_append(list, entry);
	json_decref(entry);
	return list;
}

static void fill_rollout(json_t *document, const char *t, size_t count)
{
	json_t *production =
		json_pack("{s:s, s:b, s:f, s:f, s:f, s:{s:{s:s, s:s}, s:{s:s, s:s}}}", "rows", t, "row_ratio_given", 1,
			  "best_case_s", 1e9, "took_s", 1.0, "deploy_timeout_s", 1.0, "advice", "lock_timeout",
			  "setting", t, "why", t, "statement_timeout", "setting", t, "why", t);
	(void)json_object_set_new(production, "exceeding", repeat(json_integer(0), count));
	(void)json_object_set_new(
		production, "row_ratios",
		repeat(json_pack("{s:s, s:f, s:b}", "table", t, "ratio", 2.0, "concerned", 0), count));
	(void)json_object_set_new(document, "production", production);
	json_t *blackouts = json_pack("{s:s, s:s, s:s, s:s, s:s}", "time_zone", t, "planned_at", "2026-01-15T19:55:00Z",
				      "listed_from", t, "recorded_from", "2026-01-01T00:00:00Z", "recorded_to", t);
	(void)json_object_set_new(blackouts, "entries",
				  repeat(json_pack("{s:s, s:s, s:s, s:s, s:f, s:f}", "name", t, "rule", t, "next_start",
						   t, "next_end", t, "count", 3.0, "recorded_s", 0.0),
					 count));
	(void)json_object_set_new(document, "blackouts", blackouts);
	/* Rules that say something of it, so that every place that tells does. */
	static const char *const names[] = {"migration.best_case", "migration.blackout"};
	for (size_t i = 0; i < 2; i++)
		(void)json_array_append_new(json_object_get(document, "rules"),
					    json_pack("{s:s, s:s, s:f, s:s, s:s, s:s, s:s}", "name", names[i], "entity",
						      t, "value", 1.5, "unit", "s", "threshold", t, "result", "fail",
						      "finding", t));
}

struct verdict *support_report_huge(size_t count, size_t text_len)
{
	static const char special[] = "<`|\"&@\\#_*~é'>";
	struct strbuf text;
	strbuf_init(&text, text_len + sizeof(special));
	while (text.len < text_len)
		strbuf_add_str(&text, special);
	const char *t = text.data;
	json_t *d = json_pack("{s:s, s:s, s:s, s:{s:f, s:f, s:s}}", "schema", VERDICT_SCHEMA, "outcome", "hurts",
			      "reason", t, "migration_run", "start_s", 1.0, "end_s", 2.0, "outcome", "ok");
	fill(d, "rules",
	     json_pack("{s:s, s:s, s:f, s:s, s:s, s:s, s:s}", "name", "stall.max", "entity", t, "value", 1.5, "unit",
		       "s", "threshold", t, "result", "fail", "finding", t),
	     count);
	json_t *lock = json_pack("{s:s, s:s, s:f, s:f}", "relation", t, "mode", "AccessExclusiveLock", "waited_ms", 1.0,
				 "held_ms", 2.0);
	json_t *statement =
		json_pack("{s:s, s:s, s:f, s:f, s:o, s:{s:s, s:s}}", "sql", t, "file", t, "start_s", 1.0, "end_s", 2.0,
			  "locks", repeat(lock, count), "error", "sqlstate", "42703", "message", t);
	(void)json_object_set_new(statement, "rewrite", repeat(json_string(t), count));
	(void)json_object_set_new(
		statement, "production",
		json_pack("{s:s, s:b, s:f, s:f}", "work", t, "grows", 1, "row_ratio", 1e6, "best_case_s", 1e9));
	fill(d, "migration", statement, count);
	json_t *stall = json_pack("{s:s, s:s, s:f, s:f, s:f, s:f, s:f}", "relation", t, "mode", "AccessExclusiveLock",
				  "start_s", 1.0, "duration_ms", 1000.0, "victims", 3.0, "timed_out", 1.0,
				  "blocked_query_s", 3.0);
	(void)json_object_set_new(
		stall, "chain",
		repeat(json_pack("{s:s, s:s, s:s, s:s}", "role", "root", "who", "session", "application", t, "sql", t),
		       count < 10 ? count : 10));
	(void)json_object_set_new(stall, "channels", repeat(json_string("ledger"), 4));
	fill(d, "stalls", stall, count);
	fill(d, "exposures",
	     json_pack("{s:s, s:s, s:f, s:f}", "relation", t, "mode", t, "start_s", 1.0, "held_ms", 3.0), count);
	fill(d, "queries",
	     json_pack("{s:s, s:s, s:f, s:f, s:f, s:f, s:s}", "sql", t, "window", "during", "n", 20.0, "ratio", 2.0,
		       "ci_low", 1.5, "ci_high", 3.0, "result", "hurts"),
	     count);
	fill(d, "errors",
	     json_pack("{s:s, s:s, s:s, s:f, s:f, s:s, s:s}", "sqlstate", "42703", "sql", t, "kind", "schema",
		       "baseline", 0.0, "migrating", 3.0, "source", t, "result", "migration"),
	     count);
	fill(d, "who",
	     json_pack("{s:s, s:s, s:f, s:f, s:f}", "application", t, "user", t, "blocked_statements", 3.0,
		       "blocked_query_s", 2.0, "errors_only_migrating", 1.0),
	     count);
	fill(d, "data_checks",
	     json_pack("{s:s, s:f, s:f, s:s}", "name", t, "compared", 1.0, "differing", 2.0, "result", t), count);
	json_t *timeline = json_pack("{s:f}", "bin_s", 1.0);
	static const char *const series[] = {"p99_ms", "blocked_sessions", "errors"};
	(void)json_object_set_new(timeline, "statements", repeat(json_integer(12345), 600));
	for (int i = 0; i < 3; i++)
		(void)json_object_set_new(timeline, series[i],
					  json_pack("{s:o, s:o}", "baseline", repeat(json_real(1234.5), 600),
						    "migrating", repeat(json_real(98765.4), 600)));
	(void)json_object_set_new(d, "timeline", timeline);
	fill_rollout(d, t, count);
	fill(d, "untested", json_pack("{s:s, s:s}", "what", t, "why", t), count);
	json_t *environment = json_pack("{s:s, s:s, s:{s:s}}", "commit", t, "start_time", t, "replay_file", "path", t);
	(void)json_object_set_new(
		environment, "differences",
		repeat(json_pack("{s:s, s:s, s:s}", "name", t, "baseline", t, "migrating", t), count));
	for (size_t i = 0; i < count && i < 10000; i++) {
		char key[40];
		(void)snprintf(key, sizeof(key), "key%zu", i);
		(void)json_object_set_new(environment, key, json_string(t));
	}
	(void)json_object_set_new(d, "environment", environment);
	strbuf_release(&text);
	struct verdict *verdict = mem_zalloc(1, sizeof(*verdict));
	*verdict = (struct verdict){VERDICT_HURTS, json_string_value(json_object_get(d, "reason")), d};
	return verdict;
}
