/*
 * rehearse show-replay: what is in a replay file. One pass over its items collects the counts; statements are shown by
 * their fingerprints, whose texts hold no values. Values are shown only when asked for.
 */
#include "clock.h"
#include "commands.h"
#include "interrupt.h"
#include "json_file.h"
#include "mem.h"
#include "output.h"
#include "pg_tables.h"
#include "replay_file.h"
#include "replay_timeline.h"
#include "sql_fingerprint.h"
#include "sqlstate.h"

#include <uthash.h>

#define SQL_MAX ((size_t)32 * 1024 * 1024)

static bool list_items;
static bool with_literals;
static int64_t top_count;

static const struct option options[] = {
	OPT_FLAG(0, "items", &list_items, "list all items, each as one line of JSON"),
	OPT_FLAG(0, "with-literals", &with_literals, "with --items: show statements and parameters with their values"),
	OPT_INT(0, "top", &top_count, "N", "how many fingerprints to show", .standard = "10", .min = 0, .max = 100000),
	OPT_END,
};

struct fingerprint {
	UT_hash_handle hh;
	uint64_t hash;
	char *text;
	struct pg_tables tables;
	uint64_t count;
	uint64_t errors;
	int64_t duration_ns; /* of those that have one */
	uint64_t timed;
};

struct table {
	UT_hash_handle hh;
	const char *name; /* a fingerprint's */
	uint64_t count;	  /* statements that name it */
};

struct survey {
	struct fingerprint *fingerprints;
	struct table *tables;
	struct replay_timeline timeline;
	uint64_t statements;
	uint64_t inferred;
	uint64_t errors;
	uint32_t open; /* sessions at once */
	uint32_t open_max;
	struct strbuf text;
};

static void fingerprint_add(struct survey *survey, const struct replay_file *file, const struct item *item)
{
	strbuf_clear(&survey->text);
	uint64_t hash = replay_item_fingerprint(file, item, NULL);
	struct fingerprint *found;
	HASH_FIND(hh, survey->fingerprints, &hash, sizeof(hash), found);
	if (!found) {
		(void)replay_item_fingerprint(file, item, &survey->text);
		found = mem_zalloc(1, sizeof(*found));
		found->hash = hash;
		found->text = mem_strndup(survey->text.data, survey->text.len);
		strbuf_clear(&survey->text);
		replay_item_sql(file, item, &survey->text);
		(void)pg_tables_read((struct span){survey->text.data, survey->text.len}, &found->tables);
		HASH_ADD(hh, survey->fingerprints, hash, sizeof(found->hash), found);
	}
	found->count++;
	found->errors += item->sqlstate != 0;
	if (item->duration_ns >= 0) {
		found->duration_ns += item->duration_ns;
		found->timed++;
	}
}

/* After the last item: how often each table is named. */
static void count_tables(struct survey *survey)
{
	for (const struct fingerprint *f = survey->fingerprints; f; f = f->hh.next) {
		for (size_t i = 0; i < f->tables.count; i++) {
			struct table *table;
			HASH_FIND_STR(survey->tables, f->tables.names[i], table);
			if (!table) {
				table = mem_zalloc(1, sizeof(*table));
				table->name = f->tables.names[i];
				HASH_ADD_KEYPTR(hh, survey->tables, table->name, strlen(table->name), table);
			}
			table->count += f->count;
		}
	}
}

static void survey_add(struct survey *survey, const struct replay_file *file, const struct item *item)
{
	survey->inferred += (item->flags & ITEM_INFERRED) != 0;
	survey->errors += item->sqlstate != 0;
	replay_timeline_add(&survey->timeline, item);
	if (item->kind == ITEM_SIMPLE || item->kind == ITEM_EXECUTE) {
		survey->statements++;
		fingerprint_add(survey, file, item);
	} else if (item->kind == ITEM_CONNECT) {
		survey->open++;
		if (survey->open > survey->open_max)
			survey->open_max = survey->open;
	} else if (item->kind == ITEM_DISCONNECT && survey->open > 0) {
		survey->open--;
	}
}

static void survey_release(struct survey *survey)
{
	struct fingerprint *fingerprint, *next;
	struct table *table, *next_table;
	HASH_ITER (hh, survey->tables, table, next_table) {
		HASH_DEL(survey->tables, table);
		free(table);
	}
	HASH_ITER (hh, survey->fingerprints, fingerprint, next) {
		HASH_DEL(survey->fingerprints, fingerprint);
		pg_tables_release(&fingerprint->tables);
		free(fingerprint->text);
		free(fingerprint);
	}
	strbuf_release(&survey->text);
}

/* ---- items as JSON lines ---- */

static json_t *hash_json(uint64_t hash)
{
	char text[24];
	(void)snprintf(text, sizeof(text), "%016llx", (unsigned long long)hash);
	return json_string(text);
}

static json_t *span_json(struct span text)
{
	return text.p ? json_from_bytes(text.p, text.len) : json_null();
}

static void add_statement_json(json_t *line, const struct replay_file *file, const struct item *item,
			       struct strbuf *text)
{
	strbuf_clear(text);
	json_object_set_new(line, "fingerprint", hash_json(replay_item_fingerprint(file, item, text)));
	if (with_literals) {
		strbuf_clear(text);
		replay_item_sql(file, item, text);
	}
	json_object_set_new(line, "sql", json_from_bytes(text->data, text->len));
	if (item->kind != ITEM_EXECUTE)
		return;
	json_object_set_new(line, "statement_name",
			    span_json((struct span){item->statement_name.p ? item->statement_name.p : "",
						    item->statement_name.len}));
	if (!with_literals) {
		json_object_set_new(line, "parameters", json_integer(item->parameter_count));
		return;
	}
	json_t *values = json_array();
	for (uint32_t i = 0; i < item->parameter_count; i++)
		json_array_append_new(values, span_json(item->parameters[i]));
	json_object_set_new(line, "parameters", values);
}

static void print_item(const struct replay_file *file, const struct item *item, uint64_t ordinal, struct strbuf *text)
{
	json_t *line =
		json_pack("{s:I, s:f, s:I, s:s}", "ordinal", (json_int_t)ordinal, "time_s", ns_to_s(item->time_ns),
			  "session", (json_int_t)item->session, "kind", item_kind_name(item->kind));
	if (item->flags & ITEM_INFERRED)
		json_object_set_new(line, "inferred", json_true());
	if (item->duration_ns >= 0)
		json_object_set_new(line, "duration_ms", json_real(ns_to_ms(item->duration_ns)));
	char sqlstate[SQLSTATE_TEXT_MAX];
	sqlstate_unpack(item->sqlstate, sqlstate);
	if (*sqlstate)
		json_object_set_new(line, "sqlstate", json_string(sqlstate));
	if (item->kind == ITEM_SIMPLE || item->kind == ITEM_EXECUTE)
		add_statement_json(line, file, item, text);
	if (item->source_line > 0) {
		const char *source = replay_file_source(file, item->source_file);
		json_object_set_new(line, "source", json_from_bytes(source, strlen(source)));
		json_object_set_new(line, "line", json_integer((json_int_t)item->source_line));
	}
	char *dump = json_dumps(line, JSON_COMPACT | JSON_REAL_PRECISION(12));
	if (dump)
		output_string(dump);
	output_string("\n");
	free(dump);
	json_decref(line);
}

/* ---- the summary ---- */

static int by_count(const struct fingerprint *a, const struct fingerprint *b)
{
	return (a->count < b->count) - (a->count > b->count);
}

static int by_time(const struct fingerprint *a, const struct fingerprint *b)
{
	return (a->duration_ns < b->duration_ns) - (a->duration_ns > b->duration_ns);
}

static int by_use(const struct table *a, const struct table *b)
{
	if (a->count != b->count)
		return a->count < b->count ? 1 : -1;
	return strcmp(a->name, b->name);
}

static json_t *tables_json(struct survey *survey)
{
	json_t *list = json_array();
	HASH_SORT(survey->tables, by_use);
	for (const struct table *table = survey->tables; table; table = table->hh.next)
		json_array_append_new(list, json_pack("{s:o, s:I}", "table",
						      json_from_bytes(table->name, strlen(table->name)), "statements",
						      (json_int_t)table->count));
	return list;
}

static void print_tables(struct survey *survey)
{
	if (!survey->tables)
		return;
	HASH_SORT(survey->tables, by_use);
	output_text("\nTables, by the statements that name them\n");
	int64_t n = 0;
	const struct table *table = survey->tables;
	for (; table && n < top_count; table = table->hh.next, n++)
		output_text("%10llu  %s\n", (unsigned long long)table->count, table->name);
	if (table)
		output_text("            and %u more\n", HASH_COUNT(survey->tables) - (unsigned)n);
}

static json_t *names_json(const struct pg_tables *tables)
{
	json_t *names = json_array();
	for (size_t i = 0; i < tables->count; i++)
		json_array_append_new(names, json_from_bytes(tables->names[i], strlen(tables->names[i])));
	return names;
}

static json_t *top_json(const struct survey *survey)
{
	json_t *top = json_array();
	int64_t n = 0;
	for (const struct fingerprint *f = survey->fingerprints; f && n < top_count; f = f->hh.next, n++) {
		json_t *row =
			json_pack("{s:o, s:o, s:s, s:o, s:I, s:I}", "fingerprint", hash_json(f->hash), "sql",
				  json_from_bytes(f->text, strlen(f->text)), "kind", f->tables.kind, "tables",
				  names_json(&f->tables), "n", (json_int_t)f->count, "errors", (json_int_t)f->errors);
		if (f->timed > 0) {
			json_object_set_new(row, "total_s", json_real(ns_to_s(f->duration_ns)));
			json_object_set_new(row, "mean_ms", json_real(ns_to_ms(f->duration_ns) / (double)f->timed));
		}
		json_array_append_new(top, row);
	}
	return top;
}

static void print_top(const struct survey *survey, const char *title)
{
	output_text("\n%s\n", title);
	int64_t n = 0;
	for (const struct fingerprint *f = survey->fingerprints; f && n < top_count; f = f->hh.next, n++) {
		output_text("%10llu ", (unsigned long long)f->count);
		if (f->timed > 0)
			output_text("%10.3f s %9.3f ms ", ns_to_s(f->duration_ns),
				    ns_to_ms(f->duration_ns) / (double)f->timed);
		output_text(" %.90s%s\n", f->text, strlen(f->text) > 90 ? " [cut]" : "");
	}
}

/* Why records are in no item, with the place of the first of each reason. */
static void print_skipped(const struct replay_file *file)
{
	const json_t *capture = replay_file_capture(file);
	const json_t *examples = json_object_get(capture, "examples");
	json_t *skipped = json_object_get(capture, "skipped");
	const char *reason;
	json_t *count;
	output_text("log records %lld", (long long)json_integer_value(json_object_get(capture, "log_records")));
	double uncertainty_ms = json_number_value(json_object_get(capture, "time_uncertainty_ms"));
	if (uncertainty_ms > 1)
		output_text("; the log's times are exact to %.0f ms, within which items lie in its order",
			    uncertainty_ms);
	output_text("\n");
	bool any = false;
	json_object_foreach (skipped, reason, count) {
		if (json_integer_value(count) == 0)
			continue;
		const char *example = json_string_value(json_object_get(examples, reason));
		output_text("%s%10lld  %-25s%s%s\n", any ? "" : "in no item:\n", (long long)json_integer_value(count),
			    reason, example ? " " : "", example ? example : "");
		any = true;
	}
}

static void print_summary(const struct replay_file *file, struct survey *survey)
{
	char first[RFC3339_MAX];
	clock_format_rfc3339(replay_file_start_wall_ns(file), first);
	double span_s = ns_to_s(replay_file_span_ns(file));
	output_text("%s: %.3f s from %s on\n", replay_file_path(file), span_s, first);
	output_text("%u sessions, %u at once at most; %llu statements", replay_file_session_count(file),
		    survey->open_max, (unsigned long long)survey->statements);
	if (span_s > 0)
		output_text(", %.1f a second", (double)survey->statements / span_s);
	output_text("; %llu ended with an error\nitems:", (unsigned long long)survey->errors);
	for (enum item_kind kind = ITEM_CONNECT; kind < ITEM_KIND_COUNT; kind++)
		output_text(" %s %llu", item_kind_name(kind), (unsigned long long)replay_file_kind_count(file, kind));
	output_text(" (%llu inferred)\n", (unsigned long long)survey->inferred);
	print_skipped(file);
	replay_timeline_print(&survey->timeline);
	if (top_count == 0)
		return;
	print_tables(survey);
	HASH_SORT(survey->fingerprints, by_time);
	bool timed = survey->fingerprints && survey->fingerprints->duration_ns > 0;
	if (timed)
		print_top(survey, "Most recorded time: count, total, mean");
	HASH_SORT(survey->fingerprints, by_count);
	print_top(survey, timed ? "Most often: count, total, mean" : "Most often (the log has no durations)");
}

static json_t *summary_json(const struct replay_file *file, struct survey *survey)
{
	char first[RFC3339_MAX];
	char last[RFC3339_MAX];
	int64_t start_ns = replay_file_start_wall_ns(file);
	double span_s = ns_to_s(replay_file_span_ns(file));
	clock_format_rfc3339(start_ns, first);
	clock_format_rfc3339(start_ns + replay_file_span_ns(file), last);
	json_t *items = json_object();
	for (enum item_kind kind = ITEM_CONNECT; kind < ITEM_KIND_COUNT; kind++)
		json_object_set_new(items, item_kind_name(kind),
				    json_integer((json_int_t)replay_file_kind_count(file, kind)));
	HASH_SORT(survey->fingerprints, by_time);
	json_t *top_by_time = top_json(survey);
	HASH_SORT(survey->fingerprints, by_count);
	return json_pack("{s:s, s:s, s:s, s:f, s:I, s:I, s:I, s:f, s:I, s:o, s:I, s:o, s:o, s:o, s:o, s:O}", "schema",
			 "rehearse.show-replay/1", "first_time", first, "last_time", last, "span_s", span_s, "sessions",
			 (json_int_t)replay_file_session_count(file), "sessions_at_once_max",
			 (json_int_t)survey->open_max, "statements", (json_int_t)survey->statements, "statements_per_s",
			 span_s > 0 ? (double)survey->statements / span_s : 0.0, "errors", (json_int_t)survey->errors,
			 "items", items, "fingerprints", (json_int_t)HASH_COUNT(survey->fingerprints), "top_by_count",
			 top_json(survey), "top_by_time", top_by_time, "tables", tables_json(survey), "timeline",
			 replay_timeline_json(&survey->timeline), "capture", replay_file_capture(file));
}

static int read_items(const struct replay_file *file, struct survey *survey, struct error *err)
{
	struct replay_batch batch;
	replay_batch_init(&batch);
	int rc = 0;
	for (uint32_t i = 0; i < replay_file_batch_count(file) && rc == 0 && !output_hung_up(); i++) {
		if (interrupt_requested()) {
			rc = error_set(err, ERR_INTERRUPTED, "interrupted");
			break;
		}
		rc = replay_file_read_batch(file, i, &batch, err);
		for (uint32_t n = 0; rc == 0 && n < batch.count && !output_hung_up(); n++) {
			if (list_items)
				print_item(file, &batch.items[n], batch.first_ordinal + n, &survey->text);
			else
				survey_add(survey, file, &batch.items[n]);
		}
	}
	replay_batch_release(&batch);
	return rc;
}

static int run(const struct command_call *call, struct error *err)
{
	if (with_literals && !list_items)
		return error_set(err, ERR_USAGE, "--with-literals goes with --items");
	if (list_items && call->json)
		return error_set(err, ERR_USAGE, "--items prints JSON lines of its own: leave --json out");
	struct replay_file *file;
	int rc = replay_file_open(call->arguments[0], &file, err);
	if (rc < 0)
		return rc;
	struct survey survey = {0};
	strbuf_init(&survey.text, SQL_MAX);
	replay_timeline_init(&survey.timeline, replay_file_span_ns(file));
	rc = read_items(file, &survey, err);
	count_tables(&survey);
	if (rc == 0 && !list_items && call->json) {
		json_t *document = summary_json(file, &survey);
		output_json(document);
		json_decref(document);
	} else if (rc == 0 && !list_items) {
		print_summary(file, &survey);
	}
	survey_release(&survey);
	replay_file_free(file);
	return rc;
}

const struct command cmd_show_replay = {
	.name = "show-replay",
	.summary = "shows what is in a replay file",
	.arguments = "FILE",
	.arguments_min = 1,
	.arguments_max = 1,
	.options = options,
	.run = run,
	.docs = "Prints the time that the file spans, its sessions and statements over that time, items by kind, what "
		"of "
		"the log was left out and why (with the place of the first record of each reason), the tables that are "
		"named, and the statements that came most often and took most time.\n\n"
		"Statements are shown without their values. --items lists every item as a line of JSON: its ordinal, "
		"time "
		"from the file's start, session, kind, fingerprint, and the file and line of the log that it came "
		"from; only "
		"with --with-literals are the statements' values in it.",
	.examples = "rehearse show-replay day.rpl\n"
		    "rehearse show-replay day.rpl --items | jq 'select(.sqlstate)'",
};
