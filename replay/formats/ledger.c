/* The migration ledger: see ledger.h and docs/formats.md ("rehearse.ledger/1"). */
#include "ledger.h"

#include "clock.h"
#include "json_file.h"
#include "json_reader.h"
#include "lock_effect.h"
#include "measuring_spans.h"
#include "mem.h"

#include <math.h>

#define SCHEMA		"rehearse.ledger/1"
#define STATEMENTS_MAX	1000000
#define SECONDS_AT_MOST 9e9 /* int64_t nanoseconds */

static const char *const outcome_names[] = {"none", "ok", "failed", "timeout", "cancelled"};
#define OUTCOME_COUNT (sizeof(outcome_names) / sizeof(*outcome_names))

static const char *const kind_names[] = {NULL, "ddl", "data", "read", "control"};
#define KIND_COUNT (sizeof(kind_names) / sizeof(*kind_names))

static const char *const locks_known_names[] = {NULL, "before_commit", "sampled"};
#define LOCKS_KNOWN_COUNT (sizeof(locks_known_names) / sizeof(*locks_known_names))

/* The lists of names, under their names in JSON. */
static const struct names_member {
	const char *key;
	size_t offset;
} names_members[] = {
	{"functions", offsetof(struct ledger_statement, functions)},
	{"indexes_built", offsetof(struct ledger_statement, indexes_built)},
	{"indexes_dropped", offsetof(struct ledger_statement, indexes_dropped)},
	{"indexes_invalid", offsetof(struct ledger_statement, indexes_invalid)},
	{"relations_created", offsetof(struct ledger_statement, relations_created)},
	{"relations_dropped", offsetof(struct ledger_statement, relations_dropped)},
	{"triggers_added", offsetof(struct ledger_statement, triggers_added)},
	{"triggers_dropped", offsetof(struct ledger_statement, triggers_dropped)},
	{"triggers_disabled", offsetof(struct ledger_statement, triggers_disabled)},
	{"triggers_enabled", offsetof(struct ledger_statement, triggers_enabled)},
};
#define NAMES_MEMBER_COUNT (sizeof(names_members) / sizeof(*names_members))

static struct ledger_names *names_member(struct ledger_statement *statement, size_t i)
{
	return (struct ledger_names *)(void *)((char *)statement + names_members[i].offset);
}

static const struct ledger_names *names_member_const(const struct ledger_statement *statement, size_t i)
{
	return (const struct ledger_names *)(const void *)((const char *)statement + names_members[i].offset);
}

const char *ledger_outcome_name(enum ledger_outcome outcome)
{
	return (size_t)outcome < OUTCOME_COUNT ? outcome_names[outcome] : "none";
}

const char *ledger_kind_name(enum ledger_kind kind)
{
	return (size_t)kind < KIND_COUNT ? kind_names[kind] : NULL;
}

const char *ledger_locks_known_name(enum ledger_locks_known known)
{
	return (size_t)known < LOCKS_KNOWN_COUNT ? locks_known_names[known] : NULL;
}

int64_t ledger_lock_held_ns(const struct ledger_lock *lock)
{
	return lock->released_ns > lock->acquired_ns ? lock->released_ns - lock->acquired_ns : 0;
}

int64_t ledger_measuring_between_ns(const struct ledger *ledger, int32_t backend_pid, int64_t begin_ns, int64_t end_ns)
{
	int64_t sum_ns = 0;
	for (size_t i = 0; i < ledger->statement_count; i++) {
		const struct ledger_statement *statement = &ledger->statements[i];
		if (statement->backend_pid == backend_pid && statement->end_ns >= begin_ns &&
		    statement->end_ns + statement->measuring_ns <= end_ns)
			sum_ns += statement->measuring_ns;
	}
	return sum_ns;
}

void ledger_init(struct ledger *ledger)
{
	memset(ledger, 0, sizeof(*ledger));
}

static void statement_release(struct ledger_statement *statement)
{
	for (size_t i = 0; i < statement->rewrite_count; i++)
		free(statement->rewrites[i]);
	free(statement->rewrites);
	for (size_t i = 0; i < NAMES_MEMBER_COUNT; i++) {
		struct ledger_names *names = names_member(statement, i);
		for (size_t j = 0; j < names->count; j++)
			free(names->items[j]);
		free(names->items);
	}
	free(statement->locks);
	free(statement->file);
	free(statement->sql);
	free(statement->message);
}

void ledger_release(struct ledger *ledger)
{
	for (size_t i = 0; i < ledger->statement_count; i++)
		statement_release(&ledger->statements[i]);
	free(ledger->statements);
	free(ledger->tool.name);
	free(ledger->problem);
	ledger_init(ledger);
}

/* Room for one more in an array whose capacity is the next power of two of its count, from 4. */
static void *grow(void *items, size_t count, size_t size)
{
	if (count != 0 && (count < 4 || (count & (count - 1)) != 0))
		return items;
	return mem_realloc(items, count ? count * 2 : 4, size);
}

struct ledger_statement *ledger_add_statement(struct ledger *ledger)
{
	ledger->statements = grow(ledger->statements, ledger->statement_count, sizeof(*ledger->statements));
	struct ledger_statement *statement = &ledger->statements[ledger->statement_count++];
	memset(statement, 0, sizeof(*statement));
	statement->rows_scanned = -1;
	statement->wal_bytes = -1;
	statement->rows_affected = -1;
	statement->rows_changed = -1;
	statement->size_delta_bytes = INT64_MIN;
	return statement;
}

size_t ledger_count_taken_back(const struct ledger *ledger)
{
	size_t count = 0;
	for (size_t i = 0; i < ledger->statement_count; i++) {
		const struct ledger_statement *s = &ledger->statements[i];
		count +=
			s->taken_back && !s->sqlstate[0] && (s->kind == LEDGER_KIND_DDL || s->kind == LEDGER_KIND_DATA);
	}
	return count;
}

struct ledger_lock *ledger_statement_add_lock(struct ledger_statement *statement)
{
	statement->locks = grow(statement->locks, statement->lock_count, sizeof(*statement->locks));
	struct ledger_lock *lock = &statement->locks[statement->lock_count++];
	memset(lock, 0, sizeof(*lock));
	return lock;
}

void ledger_statement_add_rewrite(struct ledger_statement *statement, const char *relation)
{
	statement->rewrites = grow(statement->rewrites, statement->rewrite_count, sizeof(*statement->rewrites));
	statement->rewrites[statement->rewrite_count++] = mem_strdup(relation);
}

void ledger_names_add(struct ledger_names *names, const char *name)
{
	names->items = grow(names->items, names->count, sizeof(*names->items));
	names->items[names->count++] = mem_strdup(name);
}

bool ledger_names_have(const struct ledger_names *names, const char *name)
{
	for (size_t i = 0; i < names->count; i++) {
		if (strcmp(names->items[i], name) == 0)
			return true;
	}
	return false;
}

static int by_start(const void *a, const void *b)
{
	const struct ledger_statement *first = a, *second = b;
	if (first->start_ns != second->start_ns)
		return first->start_ns < second->start_ns ? -1 : 1;
	/* one backend's statements keep their order as far as ends tell it */
	return (first->end_ns > second->end_ns) - (first->end_ns < second->end_ns);
}

void ledger_merge(struct ledger *ledger, struct ledger *from)
{
	bool both = ledger->statement_count > 0 && from->statement_count > 0;
	if (ledger->statement_count == 0 || (both && from->start_ns < ledger->start_ns))
		ledger->start_ns = from->start_ns;
	if (ledger->statement_count == 0 || (both && from->end_ns > ledger->end_ns))
		ledger->end_ns = from->end_ns;
	ledger->statements_not_run += from->statements_not_run;
	for (size_t i = 0; i < from->statement_count; i++)
		*ledger_add_statement(ledger) = from->statements[i];
	free(from->statements); /* what they point to has moved */
	free(from->tool.name);
	free(from->problem);
	ledger_init(from);
	if (ledger->statement_count > 1)
		qsort(ledger->statements, ledger->statement_count, sizeof(*ledger->statements), by_start);
}

void ledger_add_rollback(struct ledger *ledger, struct ledger *rollback)
{
	size_t not_run = ledger->statements_not_run;
	ledger->rollback =
		(struct ledger_rollback){rollback->outcome, rollback->start_ns, rollback->end_ns, ledger->end_ns};
	if (!ledger->problem && rollback->problem) {
		ledger->problem = rollback->problem;
		rollback->problem = NULL;
	}
	ledger_merge(ledger, rollback);
	ledger->statements_not_run = not_run; /* of the migration */
	if (ledger->end_ns < ledger->rollback.end_ns)
		ledger->end_ns = ledger->rollback.end_ns;
}

int64_t ledger_migrated_ns(const struct ledger *ledger)
{
	return ledger->rollback.outcome == LEDGER_NONE ? ledger->end_ns : ledger->rollback.migrated_ns;
}

static json_t *known_json(int64_t value, int64_t unknown)
{
	return value == unknown ? json_null() : json_integer(value);
}

static json_t *rewrites_json(const struct ledger_statement *statement)
{
	json_t *list = json_array();
	for (size_t i = 0; i < statement->rewrite_count; i++)
		(void)json_array_append_new(list, json_text(statement->rewrites[i]));
	return list;
}

static json_t *names_json(const struct ledger_names *names)
{
	json_t *list = json_array();
	for (size_t i = 0; i < names->count; i++)
		(void)json_array_append_new(list, json_text(names->items[i]));
	return list;
}

/* What the file and verdict.json have in common. */
static json_t *statement_json(const struct ledger_statement *statement)
{
	json_t *object = json_object();
	json_put(object, "sql", json_text(statement->sql));
	json_put(object, "file", json_text(statement->file));
	json_put(object, "line", json_integer(statement->line));
	json_put(object, "start_s", json_real(ns_to_s(statement->start_ns)));
	json_put(object, "end_s", json_real(ns_to_s(statement->end_ns)));
	json_put(object, "transaction_end_s", json_real(ns_to_s(statement->transaction_end_ns)));
	json_put(object, "rewrite", rewrites_json(statement));
	json_put(object, "rows_scanned", known_json(statement->rows_scanned, -1));
	json_put(object, "wal_bytes", known_json(statement->wal_bytes, -1));
	json_put(object, "size_delta_bytes", known_json(statement->size_delta_bytes, INT64_MIN));
	json_put(object, "kind", json_text(ledger_kind_name(statement->kind)));
	json_put(object, "locks_known", json_text(ledger_locks_known_name(statement->locks_known)));
	json_put(object, "rows_affected", known_json(statement->rows_affected, -1));
	json_put(object, "rows_changed", known_json(statement->rows_changed, -1));
	json_put(object, "measuring_ms", json_real(ns_to_ms(statement->measuring_ns)));
	json_put(object, "runs_code", json_boolean(statement->runs_code));
	json_put(object, "taken_back", json_boolean(statement->taken_back));
	for (size_t i = 0; i < NAMES_MEMBER_COUNT; i++)
		json_put(object, names_members[i].key, names_json(names_member_const(statement, i)));
	return object;
}

/* For a report, `measuring` says what to take off a lock's time; NULL for the file, which has the times themselves. */
static json_t *locks_json(const struct ledger_statement *statement, const struct measuring_spans *measuring)
{
	json_t *list = json_array();
	for (size_t i = 0; i < statement->lock_count; i++) {
		const struct ledger_lock *lock = &statement->locks[i];
		json_t *object = json_object();
		json_put(object, "relation", json_text(lock->relation));
		json_put(object, "index_of", lock->index_of[0] ? json_text(lock->index_of) : json_null());
		json_put(object, "mode", json_text(lock->mode));
		json_put(object, "blocks", json_string(lock_effect_words(lock_effect_of(lock_mode_rank(lock->mode)))));
		json_put(object, "waited_ms", json_real(ns_to_ms(lock->waited_ns)));
		int64_t held_ns = ledger_lock_held_ns(lock);
		int64_t measuring_ns = measuring ? measuring_spans_between_ns(measuring, statement->backend_pid,
									      lock->acquired_ns, lock->released_ns)
						 : 0;
		json_put(object, "held_ms", json_real(ns_to_ms(held_ns - measuring_ns)));
		if (measuring) {
			json_put(object, "measuring_ms", json_real(ns_to_ms(measuring_ns)));
		} else {
			json_put(object, "relation_oid", json_integer(lock->relation_oid));
			json_put(object, "acquired_s", json_real(ns_to_s(lock->acquired_ns)));
			json_put(object, "released_s", json_real(ns_to_s(lock->released_ns)));
		}
		(void)json_array_append_new(list, object);
	}
	return list;
}

json_t *ledger_to_json(const struct ledger *ledger)
{
	json_t *list = json_array();
	struct measuring_spans *measuring = measuring_spans_new(ledger);
	for (size_t i = 0; i < ledger->statement_count; i++) {
		const struct ledger_statement *statement = &ledger->statements[i];
		json_t *object = statement_json(statement);
		json_put(object, "locks", locks_json(statement, measuring));
		json_t *error = json_null();
		if (statement->sqlstate[0]) {
			error = json_object();
			json_put(error, "sqlstate", json_text(statement->sqlstate));
			json_put(error, "message", json_text(statement->message));
		}
		json_put(object, "error", error);
		(void)json_array_append_new(list, object);
	}
	measuring_spans_free(measuring);
	return list;
}

json_t *ledger_tool_to_json(const struct ledger *ledger)
{
	const struct ledger_tool *tool = &ledger->tool;
	if (!tool->name)
		return json_null();
	json_t *object = json_object();
	json_put(object, "name", json_text(tool->name));
	json_put(object, "exit_status", known_json(tool->exit_status, -1));
	json_put(object, "signal", known_json(tool->signal, 0));
	json_put(object, "output_lines", json_integer((json_int_t)tool->output_lines));
	return object;
}

static json_t *rollback_json(const struct ledger *ledger)
{
	const struct ledger_rollback *rollback = &ledger->rollback;
	if (rollback->outcome == LEDGER_NONE)
		return json_null();
	json_t *object = json_object();
	json_put(object, "outcome", json_string(outcome_names[rollback->outcome]));
	json_put(object, "start_s", json_real(ns_to_s(rollback->start_ns)));
	json_put(object, "end_s", json_real(ns_to_s(rollback->end_ns)));
	json_put(object, "migrated_s", json_real(ns_to_s(rollback->migrated_ns)));
	return object;
}

int ledger_save(const struct ledger *ledger, const char *path, struct error *err)
{
	json_t *root = json_object();
	json_t *list = json_array();
	json_put(root, "schema", json_string(SCHEMA));
	json_put(root, "outcome", json_string(outcome_names[ledger->outcome]));
	json_put(root, "start_s", json_real(ns_to_s(ledger->start_ns)));
	json_put(root, "end_s", json_real(ns_to_s(ledger->end_ns)));
	json_put(root, "statements_not_run", json_integer((json_int_t)ledger->statements_not_run));
	json_put(root, "tool", ledger_tool_to_json(ledger));
	json_put(root, "problem", json_text(ledger->problem));
	json_put(root, "rollback", rollback_json(ledger));
	json_put(root, "statements", list);
	for (size_t i = 0; i < ledger->statement_count; i++) {
		const struct ledger_statement *statement = &ledger->statements[i];
		json_t *object = statement_json(statement);
		json_put(object, "backend_pid", json_integer(statement->backend_pid));
		json_put(object, "locks", locks_json(statement, NULL));
		json_put(object, "sqlstate", json_text(statement->sqlstate));
		json_put(object, "message", json_text(statement->message));
		(void)json_array_append_new(list, object);
	}
	int rc = json_file_save(path, root, err);
	json_decref(root);
	return rc;
}

static int64_t get_known_in(struct json_reader *reader, const json_t *object, const char *key, int64_t unknown,
			    int64_t min, int64_t max)
{
	if (json_is_null(json_object_get(object, key)))
		return unknown;
	return json_reader_int(reader, object, key, min, max);
}

static int64_t get_known(struct json_reader *reader, const json_t *object, const char *key, int64_t unknown)
{
	return get_known_in(reader, object, key, unknown, INT64_MIN, INT64_MAX);
}

static void get_text(struct json_reader *reader, const json_t *object, const char *key, char *out, size_t size)
{
	const char *text = json_string_value(json_object_get(object, key));
	if (!text || strlen(text) >= size)
		json_reader_fail(reader, key);
	else
		(void)snprintf(out, size, "%s", text);
}

static void read_lock(struct json_reader *reader, const json_t *object, struct ledger_lock *lock)
{
	get_text(reader, object, "relation", lock->relation, sizeof(lock->relation));
	if (json_is_string(json_object_get(object, "index_of")))
		get_text(reader, object, "index_of", lock->index_of, sizeof(lock->index_of));
	get_text(reader, object, "mode", lock->mode, sizeof(lock->mode));
	lock->relation_oid = (uint32_t)json_reader_int(reader, object, "relation_oid", 0, UINT32_MAX);
	lock->waited_ns = json_reader_scaled(reader, object, "waited_ms", 1e6);
	lock->acquired_ns = json_reader_scaled(reader, object, "acquired_s", 1e9);
	lock->released_ns = json_reader_scaled(reader, object, "released_s", 1e9);
}

/* A name's index in a list; 0, which stands for "unknown", when the member is not there or null. */
static size_t get_choice(struct json_reader *reader, const json_t *object, const char *key, const char *const *names,
			 size_t count)
{
	const json_t *value = json_object_get(object, key);
	const char *name = json_string_value(value);
	if (!value || json_is_null(value))
		return 0;
	for (size_t i = 1; name && i < count; i++) {
		if (strcmp(name, names[i]) == 0)
			return i;
	}
	json_reader_fail(reader, key);
	return 0;
}

static void read_names(struct json_reader *reader, const json_t *object, const char *key, struct ledger_names *names)
{
	if (!json_object_get(object, key))
		return;
	const json_t *list = json_reader_array(reader, object, key, STATEMENTS_MAX);
	for (size_t i = 0; !reader->bad && i < json_array_size(list); i++) {
		const char *name = json_string_value(json_array_get(list, i));
		if (name)
			ledger_names_add(names, name);
		else
			json_reader_fail(reader, key);
	}
}

/* Members that ledgers did not have from the beginning: each may be missing. */
static void read_later_members(struct json_reader *reader, const json_t *object, struct ledger_statement *statement)
{
	statement->kind = (enum ledger_kind)get_choice(reader, object, "kind", kind_names, KIND_COUNT);
	statement->locks_known = (enum ledger_locks_known)get_choice(reader, object, "locks_known", locks_known_names,
								     LOCKS_KNOWN_COUNT);
	if (json_object_get(object, "rows_affected"))
		statement->rows_affected = get_known(reader, object, "rows_affected", -1);
	if (json_object_get(object, "rows_changed"))
		statement->rows_changed = get_known(reader, object, "rows_changed", -1);
	if (json_object_get(object, "measuring_ms"))
		statement->measuring_ns = json_reader_scaled(reader, object, "measuring_ms", 1e6);
	statement->runs_code = json_is_true(json_object_get(object, "runs_code"));
	statement->taken_back = json_is_true(json_object_get(object, "taken_back"));
	for (size_t i = 0; i < NAMES_MEMBER_COUNT; i++)
		read_names(reader, object, names_members[i].key, names_member(statement, i));
}

static void read_statement(struct json_reader *reader, const json_t *object, struct ledger_statement *statement)
{
	statement->file = json_reader_string(reader, object, "file", true);
	statement->sql = json_reader_string(reader, object, "sql", false);
	statement->line = (uint32_t)json_reader_int(reader, object, "line", 0, UINT32_MAX);
	statement->start_ns = json_reader_scaled(reader, object, "start_s", 1e9);
	statement->end_ns = json_reader_scaled(reader, object, "end_s", 1e9);
	statement->transaction_end_ns = json_reader_scaled(reader, object, "transaction_end_s", 1e9);
	statement->backend_pid = (int32_t)json_reader_int(reader, object, "backend_pid", 0, INT32_MAX);
	statement->rows_scanned = get_known(reader, object, "rows_scanned", -1);
	statement->wal_bytes = get_known(reader, object, "wal_bytes", -1);
	statement->size_delta_bytes = get_known(reader, object, "size_delta_bytes", INT64_MIN);
	get_text(reader, object, "sqlstate", statement->sqlstate, sizeof(statement->sqlstate));
	statement->message = json_reader_string(reader, object, "message", true);
	const json_t *locks = json_reader_array(reader, object, "locks", STATEMENTS_MAX);
	for (size_t i = 0; !reader->bad && i < json_array_size(locks); i++)
		read_lock(reader, json_array_get(locks, i), ledger_statement_add_lock(statement));
	const json_t *rewrites = json_reader_array(reader, object, "rewrite", STATEMENTS_MAX);
	for (size_t i = 0; !reader->bad && i < json_array_size(rewrites); i++) {
		const char *name = json_string_value(json_array_get(rewrites, i));
		if (name)
			ledger_statement_add_rewrite(statement, name);
		else
			json_reader_fail(reader, "rewrite");
	}
	read_later_members(reader, object, statement);
}

static enum ledger_outcome get_outcome(struct json_reader *reader, const json_t *object)
{
	const char *name = json_string_value(json_object_get(object, "outcome"));
	for (size_t i = 0; name && i < OUTCOME_COUNT; i++) {
		if (strcmp(name, outcome_names[i]) == 0)
			return (enum ledger_outcome)i;
	}
	json_reader_fail(reader, "outcome");
	return LEDGER_NONE;
}

/* Nor have they a rollback. */
static void read_rollback(struct json_reader *reader, const json_t *root, struct ledger *ledger)
{
	const json_t *rollback = json_object_get(root, "rollback");
	if (!rollback || json_is_null(rollback))
		return;
	ledger->rollback.outcome = get_outcome(reader, rollback);
	ledger->rollback.start_ns = json_reader_scaled(reader, rollback, "start_s", 1e9);
	ledger->rollback.end_ns = json_reader_scaled(reader, rollback, "end_s", 1e9);
	ledger->rollback.migrated_ns = json_reader_scaled(reader, rollback, "migrated_s", 1e9);
}

/* Ledgers of earlier versions have no tool and no problem. */
static void read_tool(struct json_reader *reader, const json_t *root, struct ledger *ledger)
{
	const json_t *tool = json_object_get(root, "tool");
	if (json_object_get(root, "problem"))
		ledger->problem = json_reader_string(reader, root, "problem", true);
	if (!tool || json_is_null(tool))
		return;
	ledger->tool.name = json_reader_string(reader, tool, "name", false);
	ledger->tool.exit_status = (int)get_known_in(reader, tool, "exit_status", -1, 0, 255);
	ledger->tool.signal = (int)get_known_in(reader, tool, "signal", 0, 1, 255);
	ledger->tool.output_lines = (uint64_t)json_reader_int(reader, tool, "output_lines", 0, INT64_MAX);
}

int ledger_load(const char *path, struct ledger *ledger, struct error *err)
{
	ledger_init(ledger);
	json_t *root = NULL;
	int rc = json_file_load(path, &root, err);
	if (rc)
		return rc;
	const char *schema = json_string_value(json_object_get(root, "schema"));
	if (!schema || strcmp(schema, SCHEMA) != 0) {
		json_decref(root);
		return error_set(err, ERR_DATA, "%s: not a migration ledger (%s)", path, SCHEMA);
	}
	struct json_reader reader = {NULL};
	ledger->outcome = get_outcome(&reader, root);
	read_tool(&reader, root, ledger);
	read_rollback(&reader, root, ledger);
	ledger->start_ns = json_reader_scaled(&reader, root, "start_s", 1e9);
	ledger->end_ns = json_reader_scaled(&reader, root, "end_s", 1e9);
	ledger->statements_not_run = (size_t)json_reader_int(&reader, root, "statements_not_run", 0, STATEMENTS_MAX);
	const json_t *list = json_reader_array(&reader, root, "statements", STATEMENTS_MAX);
	size_t i = 0;
	for (; !reader.bad && i < json_array_size(list); i++)
		read_statement(&reader, json_array_get(list, i), ledger_add_statement(ledger));
	if (reader.bad) {
		rc = error_set(err, ERR_DATA, "%s: statement %zu: \"%s\" is missing or out of range", path, i,
			       reader.bad);
		ledger_release(ledger);
	}
	json_decref(root);
	return rc;
}
