/* What `rehearse migrate` says about migrations and what became of them, in words and as JSON: see cmd_migrate.h. */
#include "clock.h"
#include "cmd_migrate.h"
#include "json_file.h"
#include "output.h"

#include <string.h>

void migrate_format_ns(int64_t ns, char *out, size_t size)
{
	double seconds = ns_to_s(ns);
	if (seconds < 0.9995)
		(void)snprintf(out, size, "%.0f ms", ns_to_ms(ns));
	else if (seconds < 59.95)
		(void)snprintf(out, size, "%.1f s", seconds);
	else
		(void)snprintf(out, size, "%.0f:%02d min", (double)(int64_t)(seconds / 60), (int)seconds % 60);
}

json_t *migrate_texts_to_json(char *const *texts, size_t count)
{
	json_t *list = json_array();
	for (size_t i = 0; i < count; i++)
		(void)json_array_append_new(list, json_from_bytes(texts[i], strlen(texts[i])));
	return list;
}

static void set_text(json_t *object, const char *key, const char *text)
{
	(void)json_object_set_new(object, key, text ? json_from_bytes(text, strlen(text)) : json_null());
}

json_t *migrate_migration_to_json(const struct workflow_migration *migration)
{
	const struct workflow_meta *meta = &migration->meta;
	json_t *object = json_object();
	set_text(object, "id", meta->id);
	set_text(object, "title", meta->title);
	set_text(object, "folder", migration->folder);
	(void)json_object_set_new(object, "depends_on",
				  migrate_texts_to_json(meta->depends_on, meta->depends_on_count));
	(void)json_object_set_new(object, "transaction", json_boolean(meta->transaction));
	(void)json_object_set_new(object, "data", json_boolean(meta->data || migration->amends_data));
	(void)json_object_set_new(object, "reversible",
				  json_boolean(meta->reversible && migration->down.statement_count > 0));
	set_text(object, "skip", meta->skip);
	return object;
}

/* "for 12 ms: nobody could read or write it" */
static const char *blocking_words(const struct workflow_lock *lock)
{
	if (lock->blocks_reads)
		return "nobody else could read or write it";
	return lock->blocks_writes ? "nobody else could write to it" : "nobody was kept out";
}

static void show_locks(const struct workflow_result *result)
{
	char held[40], waited[40];
	for (size_t i = 0; i < result->lock_count; i++) {
		const struct workflow_lock *lock = &result->locks[i];
		if (!lock->blocks_writes && lock->waited_ns == 0)
			continue;
		migrate_format_ns(lock->held_ns, held, sizeof(held));
		migrate_format_ns(lock->waited_ns, waited, sizeof(waited));
		if (lock->held_ns == 0 && lock->waited_ns > 0) {
			output_text("          wanted %s on %s, and waited %s in vain%s\n", lock->mode, lock->relation,
				    waited, lock->blocks_writes ? ", as did those behind it" : "");
			continue;
		}
		output_text("          held %s on %s for %s: %s%s\n", lock->mode, lock->relation, held,
			    blocking_words(lock), lock->hot && lock->blocks_writes ? " (HOT PATH)" : "");
		if (lock->waited_ns > 0)
			output_text("          waited %s for it%s\n", waited,
				    lock->blocks_writes ? ", and those behind it waited too" : "");
	}
	for (size_t i = 0; i < result->rewrites.count; i++)
		output_text("          rewrote %s\n", result->rewrites.items[i]);
}

static void show_outcome(const struct workflow_result *result, bool down)
{
	char duration[40], attempts[40] = "";
	migrate_format_ns(result->duration_ns, duration, sizeof(duration));
	if (result->attempts > 1)
		(void)snprintf(attempts, sizeof(attempts), ", at the %u%s attempt", result->attempts,
			       result->attempts == 2   ? "nd"
			       : result->attempts == 3 ? "rd"
						       : "th");
	switch (result->outcome) {
	case WORKFLOW_DONE:
		output_text("%s in %s%s\n", down ? "taken back" : "applied", duration, attempts);
		break;
	case WORKFLOW_FAILED:
		output_text("%s, and nothing of it is there%s\n", result->interrupted ? "interrupted" : "FAILED",
			    attempts);
		break;
	case WORKFLOW_HALF_WAY:
		output_text("%s HALF-WAY at statement %zu of %zu\n", result->interrupted ? "interrupted" : "FAILED",
			    result->statement, result->statement_count);
		break;
	case WORKFLOW_UNKNOWN:
		output_text("the connection was lost at its end: 'migrate status' says whether it is there\n");
		break;
	case WORKFLOW_DECLINED:
		output_text("not now\n");
		break;
	case WORKFLOW_MARKED:
		output_text("marked as done by other means\n");
		break;
	case WORKFLOW_WAITS:
		output_text("not now: it needs one that is not done\n");
		break;
	case WORKFLOW_NOT_STARTED:
	default:
		output_text("not started\n");
		break;
	}
}

void migrate_show_result(const struct migrate_site *site, const struct workflow_result *result, bool down)
{
	const struct workflow_meta *meta = &site->folder.migrations[result->migration].meta;
	output_text("%s  %s: ", meta->id, meta->title);
	show_outcome(result, down);
	show_locks(result);
	if (result->rows_changed > 0 && result->outcome == WORKFLOW_DONE)
		output_text("          changed %lld rows\n", (long long)result->rows_changed);
	for (size_t i = 0; i < result->invalid_indexes.count; i++)
		output_text("          left the invalid index %s behind; DROP INDEX CONCURRENTLY %s removes it\n",
			    result->invalid_indexes.items[i], result->invalid_indexes.items[i]);
}

static json_t *locks_to_json(const struct workflow_result *result)
{
	json_t *list = json_array();
	for (size_t i = 0; i < result->lock_count; i++) {
		const struct workflow_lock *lock = &result->locks[i];
		json_t *one = json_object();
		set_text(one, "relation", lock->relation);
		set_text(one, "mode", lock->mode);
		(void)json_object_set_new(one, "held_ms", json_real(ns_to_ms(lock->held_ns)));
		(void)json_object_set_new(one, "waited_ms", json_real(ns_to_ms(lock->waited_ns)));
		(void)json_object_set_new(one, "blocks_reads", json_boolean(lock->blocks_reads));
		(void)json_object_set_new(one, "blocks_writes", json_boolean(lock->blocks_writes));
		(void)json_object_set_new(one, "hot_path", json_boolean(lock->hot));
		(void)json_array_append_new(list, one);
	}
	return list;
}

static json_t *error_to_json(const struct workflow_result *result)
{
	if (!result->message)
		return json_null();
	json_t *object = json_object();
	set_text(object, "file", result->file);
	(void)json_object_set_new(object, "line", result->line ? json_integer(result->line) : json_null());
	(void)json_object_set_new(object, "statement",
				  result->statement ? json_integer((json_int_t)result->statement) : json_null());
	set_text(object, "sqlstate", result->sqlstate[0] ? result->sqlstate : NULL);
	set_text(object, "message", result->message);
	return object;
}

static json_t *result_to_json(const struct migrate_site *site, const struct workflow_result *result)
{
	json_t *object = migrate_migration_to_json(&site->folder.migrations[result->migration]);
	set_text(object, "outcome", workflow_outcome_name(result->outcome));
	(void)json_object_set_new(object, "batch", json_integer((json_int_t)result->batch + 1));
	(void)json_object_set_new(object, "attempts", json_integer(result->attempts));
	(void)json_object_set_new(object, "duration_ms", json_real(ns_to_ms(result->duration_ns)));
	(void)json_object_set_new(object, "elapsed_ms", json_real(ns_to_ms(result->elapsed_ns)));
	(void)json_object_set_new(object, "locks", locks_to_json(result));
	(void)json_object_set_new(object, "rewrites",
				  migrate_texts_to_json(result->rewrites.items, result->rewrites.count));
	(void)json_object_set_new(object, "wal_bytes", json_integer(result->wal_bytes));
	(void)json_object_set_new(object, "rows_changed", json_integer(result->rows_changed));
	(void)json_object_set_new(object, "invalid_indexes",
				  migrate_texts_to_json(result->invalid_indexes.items, result->invalid_indexes.count));
	(void)json_object_set_new(object, "error", error_to_json(result));
	return object;
}

json_t *migrate_results_to_json(const struct migrate_site *site, const struct workflow_results *results, bool down)
{
	json_t *root = json_object(), *list = json_array(), *counts = json_object();
	for (size_t i = 0; i < results->count; i++)
		(void)json_array_append_new(list, result_to_json(site, &results->items[i]));
	for (size_t i = 0; i < WORKFLOW_OUTCOME_COUNT; i++)
		(void)json_object_set_new(counts, workflow_outcome_name((enum workflow_outcome)i),
					  json_integer((json_int_t)results->by_outcome[i]));
	set_text(root, "schema", down ? "rehearse.migrate-down/1" : "rehearse.migrate-up/1");
	set_text(root, "target", workflow_session_place(site->session));
	(void)json_object_set_new(root, "migrations", list);
	(void)json_object_set_new(root, "counts", counts);
	(void)json_object_set_new(root, "elapsed_s", json_real(ns_to_s(results->elapsed_ns)));
	return root;
}

/* Those that `up` leaves alone, with the reason. */
json_t *migrate_holds_to_json(const struct migrate_site *site, const struct workflow_choice *choice)
{
	json_t *list = json_array();
	for (size_t i = 0; i < site->folder.count; i++) {
		const struct workflow_meta *meta = &site->folder.migrations[i].meta;
		if (choice->hold[i] == WORKFLOW_RUNS)
			continue;
		json_t *one = json_object();
		set_text(one, "id", meta->id);
		set_text(one, "title", meta->title);
		set_text(one, "why",
			 choice->hold[i] == WORKFLOW_HELD ? "needs one that is left" : "left to other means");
		set_text(one, "reason", choice->hold[i] == WORKFLOW_LEFT ? meta->skip : NULL);
		(void)json_array_append_new(list, one);
	}
	return list;
}

static void add_count(char *out, size_t size, size_t count, const char *what)
{
	size_t len = strlen(out);
	if (count > 0)
		(void)snprintf(out + len, size - len, "%s%zu %s", len ? ", " : "", count, what);
}

void migrate_show_counts(const struct migrate_site *site, const struct workflow_choice *choice,
			 const struct workflow_results *results, bool down)
{
	char text[400] = "", elapsed[40];
	size_t left = 0, held = 0;
	for (size_t i = 0; i < site->folder.count; i++) {
		left += choice->hold[i] == WORKFLOW_LEFT;
		held += choice->hold[i] == WORKFLOW_HELD;
	}
	const size_t *by = results->by_outcome;
	add_count(text, sizeof(text), by[WORKFLOW_DONE], down ? "taken back" : "applied");
	add_count(text, sizeof(text), by[WORKFLOW_FAILED], "failed");
	add_count(text, sizeof(text), by[WORKFLOW_HALF_WAY], "half-way");
	add_count(text, sizeof(text), by[WORKFLOW_UNKNOWN], "unknown");
	add_count(text, sizeof(text), by[WORKFLOW_MARKED], "marked as done by other means");
	add_count(text, sizeof(text), by[WORKFLOW_DECLINED] + by[WORKFLOW_WAITS], "put off");
	add_count(text, sizeof(text), by[WORKFLOW_NOT_STARTED], "not started");
	add_count(text, sizeof(text), left, "left to other means");
	add_count(text, sizeof(text), held, "that need those");
	migrate_format_ns(results->elapsed_ns, elapsed, sizeof(elapsed));
	if (*text)
		output_text("%s; %s\n", text, elapsed);
	else
		output_text("nothing to do\n");
}
