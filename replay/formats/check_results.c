/* What the checks found: see check_results.h and docs/formats.md ("rehearse.checks/1"). */
#include "check_results.h"

#include "clock.h"
#include "json_file.h"
#include "mem.h"

#include <math.h>
#include <string.h>

#define SCHEMA	    "rehearse.checks/1"
#define ENTRIES_MAX 1000000
#define SECONDS_MAX 9e9 /* int64_t nanoseconds */

static const char *const change_names[] = {"added", "removed", "changed", NULL};
static const char *const phase_names[] = {"migration", "rollback", "lanes", NULL};
static const char *const state_names[] = {"same", "differs", "not_checked", NULL};
static const char *const outcome_names[] = {"none", "ok", "failed", "timeout", "cancelled", NULL};

const char *check_change_name(enum check_change change)
{
	return change_names[change];
}

const char *check_phase_name(enum check_phase phase)
{
	return phase_names[phase];
}

void check_results_init(struct check_results *results)
{
	memset(results, 0, sizeof(*results));
}

static void differences_release(struct check_differences *list)
{
	for (size_t i = 0; i < list->count; i++) {
		free(list->items[i].kind);
		free(list->items[i].object);
		free(list->items[i].attribute);
		free(list->items[i].before);
		free(list->items[i].after);
	}
	free(list->items);
}

void check_results_release(struct check_results *results)
{
	differences_release(&results->changes);
	differences_release(&results->rollback);
	differences_release(&results->repeat);
	json_decref(results->up.statements);
	json_decref(results->down.statements);
	json_decref(results->again.statements);
	for (size_t i = 0; i < results->data_count; i++) {
		struct check_data *data = &results->data[i];
		free(data->relation);
		free(data->column);
		free(data->type_before);
		free(data->type_after);
		free(data->reason);
	}
	for (size_t i = 0; i < results->skipped_count; i++) {
		free(results->skipped[i].what);
		free(results->skipped[i].why);
	}
	free(results->data);
	free(results->skipped);
	check_results_init(results);
}

struct check_data *check_results_add_data(struct check_results *results, enum check_phase phase, const char *relation,
					  const char *column, const char *kind)
{
	MEM_GROW(results->data, results->data_count, results->data_capacity);
	struct check_data *data = &results->data[results->data_count++];
	memset(data, 0, sizeof(*data));
	data->phase = phase;
	data->relation = mem_strdup(relation);
	data->column = column ? mem_strdup(column) : NULL;
	(void)snprintf(data->kind, sizeof(data->kind), "%s", kind);
	data->rows_before = data->rows_after = -1;
	return data;
}

void check_data_add_class(struct check_data *data, const char *name, int64_t count)
{
	if (count == 0 || data->class_count == CHECK_CLASSES_MAX)
		return;
	struct check_class *class = &data->classes[data->class_count++];
	(void)snprintf(class->name, sizeof(class->name), "%s", name);
	class->count = count;
}

void check_results_skip(struct check_results *results, const char *what, const char *why)
{
	MEM_GROW(results->skipped, results->skipped_count, results->skipped_capacity);
	results->skipped[results->skipped_count++] = (struct check_skipped){mem_strdup(what), mem_strdup(why)};
}

struct check_difference *check_differences_add(struct check_differences *list)
{
	list->total++;
	if (list->count == CHECK_DIFFERENCES_MAX)
		return NULL;
	MEM_GROW(list->items, list->count, list->capacity);
	struct check_difference *difference = &list->items[list->count++];
	memset(difference, 0, sizeof(*difference));
	return difference;
}

static void set(json_t *object, const char *key, json_t *value)
{
	(void)json_object_set_new(object, key, value);
}

static json_t *text_json(const char *text)
{
	return text ? json_from_bytes(text, strlen(text)) : json_null();
}

json_t *check_difference_to_json(const struct check_difference *difference)
{
	json_t *object = json_object();
	set(object, "kind", text_json(difference->kind));
	set(object, "object", text_json(difference->object));
	set(object, "change", json_string(change_names[difference->change]));
	set(object, "attribute", text_json(difference->attribute));
	set(object, "before", text_json(difference->before));
	set(object, "after", text_json(difference->after));
	set(object, "mild", json_boolean(difference->mild));
	return object;
}

static json_t *differences_json(const struct check_differences *list)
{
	json_t *object = json_object();
	json_t *items = json_array();
	for (size_t i = 0; i < list->count; i++)
		(void)json_array_append_new(items, check_difference_to_json(&list->items[i]));
	set(object, "total", json_integer((json_int_t)list->total));
	set(object, "items", items);
	return object;
}

static json_t *step_json(const struct check_step *step)
{
	if (!step->ran)
		return json_null();
	json_t *object = json_object();
	set(object, "outcome", json_string(outcome_names[step->outcome]));
	set(object, "duration_s", json_real(ns_to_s(step->duration_ns)));
	set(object, "statements", step->statements ? json_incref(step->statements) : json_array());
	return object;
}

static json_t *writes_json(const struct check_writes *writes)
{
	json_t *object = json_object();
	set(object, "inserted", json_integer(writes->inserted));
	set(object, "updated", json_integer(writes->updated));
	set(object, "deleted", json_integer(writes->deleted));
	return object;
}

static json_t *data_json(const struct check_data *data)
{
	json_t *object = json_object();
	json_t *classes = json_object();
	json_t *writes = json_array();
	set(object, "phase", json_string(phase_names[data->phase]));
	set(object, "state", json_string(state_names[data->state]));
	set(object, "relation", text_json(data->relation));
	set(object, "column", text_json(data->column));
	set(object, "kind", text_json(data->kind));
	set(object, "type_before", text_json(data->type_before));
	set(object, "type_after", text_json(data->type_after));
	set(object, "rows_before", json_integer(data->rows_before));
	set(object, "rows_after", json_integer(data->rows_after));
	set(object, "columns", json_integer(data->columns));
	set(object, "changed", json_integer(data->changed));
	set(object, "lost", json_integer(data->lost));
	for (size_t i = 0; i < data->class_count; i++)
		set(classes, data->classes[i].name, json_integer(data->classes[i].count));
	for (int i = 0; i < 2; i++)
		(void)json_array_append_new(writes, writes_json(&data->writes[i]));
	set(object, "classes", classes);
	set(object, "writes", writes);
	set(object, "reason", text_json(data->reason));
	return object;
}

int check_results_save(const struct check_results *results, const char *path, struct error *err)
{
	json_t *root = json_object();
	json_t *data = json_array();
	json_t *skipped = json_array();
	for (size_t i = 0; i < results->data_count; i++)
		(void)json_array_append_new(data, data_json(&results->data[i]));
	for (size_t i = 0; i < results->skipped_count; i++) {
		json_t *object = json_object();
		set(object, "what", text_json(results->skipped[i].what));
		set(object, "why", text_json(results->skipped[i].why));
		(void)json_array_append_new(skipped, object);
	}
	set(root, "schema", json_string(SCHEMA));
	set(root, "with_rollback", json_boolean(results->with_rollback));
	set(root, "with_data", json_boolean(results->with_data));
	set(root, "up", step_json(&results->up));
	set(root, "down", step_json(&results->down));
	set(root, "again", step_json(&results->again));
	set(root, "schema_changes", differences_json(&results->changes));
	set(root, "schema_after_rollback", differences_json(&results->rollback));
	set(root, "schema_after_repeat", differences_json(&results->repeat));
	set(root, "data", data);
	set(root, "not_checked", skipped);
	int rc = json_file_save(path, root, err);
	json_decref(root);
	return rc;
}

/* Reading: `bad` names the first member that is not what it should be. */
struct reader {
	const char *bad;
};

static void note_bad(struct reader *reader, const char *key)
{
	if (!reader->bad)
		reader->bad = key;
}

static int get_name(struct reader *reader, const json_t *object, const char *key, const char *const *names)
{
	const char *text = json_string_value(json_object_get(object, key));
	for (int i = 0; text && names[i]; i++) {
		if (strcmp(text, names[i]) == 0)
			return i;
	}
	note_bad(reader, key);
	return 0;
}

static char *get_text(struct reader *reader, const json_t *object, const char *key, bool may_be_null)
{
	const json_t *value = json_object_get(object, key);
	if (json_is_string(value))
		return mem_strdup(json_string_value(value));
	if (!may_be_null || !json_is_null(value))
		note_bad(reader, key);
	return may_be_null ? NULL : mem_strdup("");
}

static int64_t get_int(struct reader *reader, const json_t *object, const char *key, int64_t min)
{
	const json_t *value = json_object_get(object, key);
	if (!json_is_integer(value) || json_integer_value(value) < min) {
		note_bad(reader, key);
		return min;
	}
	return json_integer_value(value);
}

static bool get_bool(struct reader *reader, const json_t *object, const char *key)
{
	const json_t *value = json_object_get(object, key);
	if (!json_is_boolean(value))
		note_bad(reader, key);
	return json_is_true(value);
}

static const json_t *get_array(struct reader *reader, const json_t *object, const char *key)
{
	const json_t *value = json_object_get(object, key);
	if (!json_is_array(value) || json_array_size(value) > ENTRIES_MAX)
		note_bad(reader, key);
	return reader->bad ? NULL : value;
}

static void read_differences(struct reader *reader, const json_t *root, const char *key, struct check_differences *list)
{
	const json_t *object = json_object_get(root, key);
	int64_t total = get_int(reader, object, "total", 0);
	const json_t *items = get_array(reader, object, "items");
	for (size_t i = 0; !reader->bad && i < json_array_size(items); i++) {
		const json_t *item = json_array_get(items, i);
		struct check_difference *difference = check_differences_add(list);
		if (!difference) {
			note_bad(reader, key);
			return;
		}
		difference->change = (enum check_change)get_name(reader, item, "change", change_names);
		difference->mild = get_bool(reader, item, "mild");
		difference->kind = get_text(reader, item, "kind", false);
		difference->object = get_text(reader, item, "object", false);
		difference->attribute = get_text(reader, item, "attribute", false);
		difference->before = get_text(reader, item, "before", true);
		difference->after = get_text(reader, item, "after", true);
	}
	if ((size_t)total < list->count)
		note_bad(reader, "total");
	list->total = (size_t)total;
}

static void read_step(struct reader *reader, const json_t *root, const char *key, struct check_step *step)
{
	const json_t *object = json_object_get(root, key);
	if (json_is_null(object))
		return;
	double seconds = json_number_value(json_object_get(object, "duration_s"));
	if (!json_is_number(json_object_get(object, "duration_s")) || !(fabs(seconds) < SECONDS_MAX))
		note_bad(reader, "duration_s");
	step->outcome = (enum ledger_outcome)get_name(reader, object, "outcome", outcome_names);
	(void)get_array(reader, object, "statements");
	if (reader->bad)
		return;
	step->ran = true;
	step->duration_ns = llround(seconds * 1e9);
	step->statements = json_incref(json_object_get(object, "statements"));
}

static void read_classes(struct reader *reader, const json_t *object, struct check_data *data)
{
	json_t *classes = json_object_get(object, "classes");
	const char *name;
	json_t *count;
	if (!json_is_object(classes) || json_object_size(classes) > CHECK_CLASSES_MAX)
		note_bad(reader, "classes");
	else
		json_object_foreach (classes, name, count) {
			if (!json_is_integer(count) || strlen(name) >= sizeof(data->classes[0].name))
				note_bad(reader, "classes");
			check_data_add_class(data, name, json_integer_value(count));
		}
}

static void read_data(struct reader *reader, const json_t *object, struct check_results *results)
{
	char *relation = get_text(reader, object, "relation", false);
	char *kind = get_text(reader, object, "kind", false);
	struct check_data *data = check_results_add_data(results, CHECK_MIGRATION, relation, NULL, kind);
	free(relation);
	free(kind);
	data->phase = (enum check_phase)get_name(reader, object, "phase", phase_names);
	data->state = (enum check_state)get_name(reader, object, "state", state_names);
	data->column = get_text(reader, object, "column", true);
	data->type_before = get_text(reader, object, "type_before", true);
	data->type_after = get_text(reader, object, "type_after", true);
	data->rows_before = get_int(reader, object, "rows_before", -1);
	data->rows_after = get_int(reader, object, "rows_after", -1);
	data->columns = get_int(reader, object, "columns", 0);
	data->changed = get_int(reader, object, "changed", 0);
	data->lost = get_int(reader, object, "lost", 0);
	data->reason = get_text(reader, object, "reason", true);
	read_classes(reader, object, data);
	const json_t *writes = get_array(reader, object, "writes");
	for (size_t i = 0; i < 2; i++) {
		const json_t *one = json_array_get(writes, i);
		data->writes[i].inserted = get_int(reader, one, "inserted", 0);
		data->writes[i].updated = get_int(reader, one, "updated", 0);
		data->writes[i].deleted = get_int(reader, one, "deleted", 0);
	}
}

static void read_all(struct reader *reader, const json_t *root, struct check_results *results)
{
	results->with_rollback = get_bool(reader, root, "with_rollback");
	results->with_data = get_bool(reader, root, "with_data");
	read_step(reader, root, "up", &results->up);
	read_step(reader, root, "down", &results->down);
	read_step(reader, root, "again", &results->again);
	read_differences(reader, root, "schema_changes", &results->changes);
	read_differences(reader, root, "schema_after_rollback", &results->rollback);
	read_differences(reader, root, "schema_after_repeat", &results->repeat);
	const json_t *data = get_array(reader, root, "data");
	for (size_t i = 0; !reader->bad && i < json_array_size(data); i++)
		read_data(reader, json_array_get(data, i), results);
	const json_t *skipped = get_array(reader, root, "not_checked");
	for (size_t i = 0; !reader->bad && i < json_array_size(skipped); i++) {
		char *what = get_text(reader, json_array_get(skipped, i), "what", false);
		char *why = get_text(reader, json_array_get(skipped, i), "why", false);
		check_results_skip(results, what, why);
		free(what);
		free(why);
	}
}

int check_results_load(const char *path, struct check_results *results, struct error *err)
{
	check_results_init(results);
	json_t *root = NULL;
	int rc = json_file_load(path, &root, err);
	if (rc < 0)
		return rc;
	const char *schema = json_string_value(json_object_get(root, "schema"));
	struct reader reader = {NULL};
	if (!schema || strcmp(schema, SCHEMA) != 0)
		rc = error_set(err, ERR_DATA, "%s: holds no results of checks (%s)", path, SCHEMA);
	else
		read_all(&reader, root, results);
	if (reader.bad)
		rc = error_set(err, ERR_DATA, "%s: \"%s\" is missing or out of range", path, reader.bad);
	if (rc < 0)
		check_results_release(results);
	json_decref(root);
	return rc;
}
