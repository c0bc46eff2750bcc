/* What the checks found: see check_results.h and docs/formats.md ("rehearse.checks/1"). */
#include "check_results.h"

#include "clock.h"
#include "json_file.h"
#include "json_reader.h"
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

json_t *check_difference_to_json(const struct check_difference *difference)
{
	json_t *object = json_object();
	json_put(object, "kind", json_text(difference->kind));
	json_put(object, "object", json_text(difference->object));
	json_put(object, "change", json_string(change_names[difference->change]));
	json_put(object, "attribute", json_text(difference->attribute));
	json_put(object, "before", json_text(difference->before));
	json_put(object, "after", json_text(difference->after));
	json_put(object, "mild", json_boolean(difference->mild));
	return object;
}

static json_t *differences_json(const struct check_differences *list)
{
	json_t *object = json_object();
	json_t *items = json_array();
	for (size_t i = 0; i < list->count; i++)
		(void)json_array_append_new(items, check_difference_to_json(&list->items[i]));
	json_put(object, "total", json_integer((json_int_t)list->total));
	json_put(object, "items", items);
	return object;
}

static json_t *step_json(const struct check_step *step)
{
	if (!step->ran)
		return json_null();
	json_t *object = json_object();
	json_put(object, "outcome", json_string(outcome_names[step->outcome]));
	json_put(object, "duration_s", json_real(ns_to_s(step->duration_ns)));
	json_put(object, "statements", step->statements ? json_incref(step->statements) : json_array());
	return object;
}

static json_t *writes_json(const struct check_writes *writes)
{
	json_t *object = json_object();
	json_put(object, "inserted", json_integer(writes->inserted));
	json_put(object, "updated", json_integer(writes->updated));
	json_put(object, "deleted", json_integer(writes->deleted));
	return object;
}

static json_t *data_json(const struct check_data *data)
{
	json_t *object = json_object();
	json_t *classes = json_object();
	json_t *writes = json_array();
	json_put(object, "phase", json_string(phase_names[data->phase]));
	json_put(object, "state", json_string(state_names[data->state]));
	json_put(object, "relation", json_text(data->relation));
	json_put(object, "column", json_text(data->column));
	json_put(object, "kind", json_text(data->kind));
	json_put(object, "type_before", json_text(data->type_before));
	json_put(object, "type_after", json_text(data->type_after));
	json_put(object, "rows_before", json_integer(data->rows_before));
	json_put(object, "rows_after", json_integer(data->rows_after));
	json_put(object, "columns", json_integer(data->columns));
	json_put(object, "changed", json_integer(data->changed));
	json_put(object, "lost", json_integer(data->lost));
	for (size_t i = 0; i < data->class_count; i++)
		json_put(classes, data->classes[i].name, json_integer(data->classes[i].count));
	for (int i = 0; i < 2; i++)
		(void)json_array_append_new(writes, writes_json(&data->writes[i]));
	json_put(object, "classes", classes);
	json_put(object, "writes", writes);
	json_put(object, "reason", json_text(data->reason));
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
		json_put(object, "what", json_text(results->skipped[i].what));
		json_put(object, "why", json_text(results->skipped[i].why));
		(void)json_array_append_new(skipped, object);
	}
	json_put(root, "schema", json_string(SCHEMA));
	json_put(root, "with_rollback", json_boolean(results->with_rollback));
	json_put(root, "with_data", json_boolean(results->with_data));
	json_put(root, "up", step_json(&results->up));
	json_put(root, "down", step_json(&results->down));
	json_put(root, "again", step_json(&results->again));
	json_put(root, "schema_changes", differences_json(&results->changes));
	json_put(root, "schema_after_rollback", differences_json(&results->rollback));
	json_put(root, "schema_after_repeat", differences_json(&results->repeat));
	json_put(root, "data", data);
	json_put(root, "not_checked", skipped);
	int rc = json_file_save(path, root, err);
	json_decref(root);
	return rc;
}

static int get_name(struct json_reader *reader, const json_t *object, const char *key, const char *const *names)
{
	const char *text = json_string_value(json_object_get(object, key));
	for (int i = 0; text && names[i]; i++) {
		if (strcmp(text, names[i]) == 0)
			return i;
	}
	json_reader_fail(reader, key);
	return 0;
}

static void read_differences(struct json_reader *reader, const json_t *root, const char *key,
			     struct check_differences *list)
{
	const json_t *object = json_object_get(root, key);
	int64_t total = json_reader_int(reader, object, "total", 0, INT64_MAX);
	const json_t *items = json_reader_array(reader, object, "items", ENTRIES_MAX);
	for (size_t i = 0; !reader->bad && i < json_array_size(items); i++) {
		const json_t *item = json_array_get(items, i);
		struct check_difference *difference = check_differences_add(list);
		if (!difference) {
			json_reader_fail(reader, key);
			return;
		}
		difference->change = (enum check_change)get_name(reader, item, "change", change_names);
		difference->mild = json_reader_bool(reader, item, "mild");
		difference->kind = json_reader_string(reader, item, "kind", false);
		difference->object = json_reader_string(reader, item, "object", false);
		difference->attribute = json_reader_string(reader, item, "attribute", false);
		difference->before = json_reader_string(reader, item, "before", true);
		difference->after = json_reader_string(reader, item, "after", true);
	}
	if ((size_t)total < list->count)
		json_reader_fail(reader, "total");
	list->total = (size_t)total;
}

static void read_step(struct json_reader *reader, const json_t *root, const char *key, struct check_step *step)
{
	const json_t *object = json_object_get(root, key);
	if (json_is_null(object))
		return;
	int64_t duration_ns = json_reader_scaled(reader, object, "duration_s", 1e9);
	step->outcome = (enum ledger_outcome)get_name(reader, object, "outcome", outcome_names);
	(void)json_reader_array(reader, object, "statements", ENTRIES_MAX);
	if (reader->bad)
		return;
	step->ran = true;
	step->duration_ns = duration_ns;
	step->statements = json_incref(json_object_get(object, "statements"));
}

static void read_classes(struct json_reader *reader, const json_t *object, struct check_data *data)
{
	json_t *classes = json_object_get(object, "classes");
	const char *name;
	json_t *count;
	if (!json_is_object(classes) || json_object_size(classes) > CHECK_CLASSES_MAX)
		json_reader_fail(reader, "classes");
	else
		json_object_foreach (classes, name, count) {
			if (!json_is_integer(count) || strlen(name) >= sizeof(data->classes[0].name))
				json_reader_fail(reader, "classes");
			check_data_add_class(data, name, json_integer_value(count));
		}
}

static void read_data(struct json_reader *reader, const json_t *object, struct check_results *results)
{
	char *relation = json_reader_string(reader, object, "relation", false);
	char *kind = json_reader_string(reader, object, "kind", false);
	struct check_data *data = check_results_add_data(results, CHECK_MIGRATION, relation, NULL, kind);
	free(relation);
	free(kind);
	data->phase = (enum check_phase)get_name(reader, object, "phase", phase_names);
	data->state = (enum check_state)get_name(reader, object, "state", state_names);
	data->column = json_reader_string(reader, object, "column", true);
	data->type_before = json_reader_string(reader, object, "type_before", true);
	data->type_after = json_reader_string(reader, object, "type_after", true);
	data->rows_before = json_reader_int(reader, object, "rows_before", -1, INT64_MAX);
	data->rows_after = json_reader_int(reader, object, "rows_after", -1, INT64_MAX);
	data->columns = json_reader_int(reader, object, "columns", 0, INT64_MAX);
	data->changed = json_reader_int(reader, object, "changed", 0, INT64_MAX);
	data->lost = json_reader_int(reader, object, "lost", 0, INT64_MAX);
	data->reason = json_reader_string(reader, object, "reason", true);
	read_classes(reader, object, data);
	const json_t *writes = json_reader_array(reader, object, "writes", ENTRIES_MAX);
	for (size_t i = 0; i < 2; i++) {
		const json_t *one = json_array_get(writes, i);
		data->writes[i].inserted = json_reader_int(reader, one, "inserted", 0, INT64_MAX);
		data->writes[i].updated = json_reader_int(reader, one, "updated", 0, INT64_MAX);
		data->writes[i].deleted = json_reader_int(reader, one, "deleted", 0, INT64_MAX);
	}
}

static void read_all(struct json_reader *reader, const json_t *root, struct check_results *results)
{
	results->with_rollback = json_reader_bool(reader, root, "with_rollback");
	results->with_data = json_reader_bool(reader, root, "with_data");
	read_step(reader, root, "up", &results->up);
	read_step(reader, root, "down", &results->down);
	read_step(reader, root, "again", &results->again);
	read_differences(reader, root, "schema_changes", &results->changes);
	read_differences(reader, root, "schema_after_rollback", &results->rollback);
	read_differences(reader, root, "schema_after_repeat", &results->repeat);
	const json_t *data = json_reader_array(reader, root, "data", ENTRIES_MAX);
	for (size_t i = 0; !reader->bad && i < json_array_size(data); i++)
		read_data(reader, json_array_get(data, i), results);
	const json_t *skipped = json_reader_array(reader, root, "not_checked", ENTRIES_MAX);
	for (size_t i = 0; !reader->bad && i < json_array_size(skipped); i++) {
		char *what = json_reader_string(reader, json_array_get(skipped, i), "what", false);
		char *why = json_reader_string(reader, json_array_get(skipped, i), "why", false);
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
	struct json_reader reader = {NULL};
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
