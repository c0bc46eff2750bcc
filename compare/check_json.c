/* What the checks found as parts of verdict.json (docs/verdict.md): see check_judge.h. */
#include "check_judge.h"

#include "clock.h"
#include "json_file.h"
#include "mem.h"

#define DATA_MAX	500 /* entries that a report can show; data_checks_total says how many there are */
#define DIFFERENCES_MAX 300
#define UNTESTED_MAX	200

static json_t *count_json(int64_t count)
{
	return count < 0 ? json_null() : json_integer(count);
}

static json_t *writes_json(const struct check_writes *writes)
{
	return json_pack("{s:I, s:I, s:I}", "inserted", (json_int_t)writes->inserted, "updated",
			 (json_int_t)writes->updated, "deleted", (json_int_t)writes->deleted);
}

/* "baseline" and "migrating" are what is before and after; of the phase "lanes" they are the lanes. */
static json_t *data_json(const struct check_data *data, const char *result)
{
	json_t *object = json_object();
	json_t *classes = json_object();
	char name[40];
	(void)snprintf(name, sizeof(name), "data.%s", check_phase_name(data->phase));
	json_put(object, "name", json_string(name));
	json_put(object, "relation", json_text(data->relation));
	json_put(object, "column", json_text(data->column));
	json_put(object, "kind", json_text(data->kind));
	json_put(object, "baseline", count_json(data->rows_before));
	json_put(object, "migrating", count_json(data->rows_after));
	json_put(object, "type_before", json_text(data->type_before));
	json_put(object, "type_after", json_text(data->type_after));
	json_put(object, "changed", json_integer(data->changed));
	json_put(object, "lost", json_integer(data->lost));
	for (size_t i = 0; i < data->class_count; i++)
		json_put(classes, data->classes[i].name, json_integer(data->classes[i].count));
	json_put(object, "classes", classes);
	if (!data->column && strcmp(data->kind, "sequence") != 0) {
		json_put(object, "columns", json_integer(data->columns));
		json_put(object, "written_baseline", writes_json(&data->writes[0]));
		json_put(object, "written_migrating", writes_json(&data->writes[1]));
	}
	json_put(object, "result", json_string(result));
	json_put(object, "reason", json_text(data->reason));
	return object;
}

static const char *result_of_entry(const struct check_judge *judge, size_t i, check_result_fn result_of,
				   const void *context)
{
	const struct check_data *data = &judge->results.data[i];
	if (data->state == CHECK_NOT_CHECKED)
		return "not_checked";
	if (data->state == CHECK_SAME)
		return "pass";
	return judge->rules[i] ? result_of(context, judge->rules[i], data->relation) : "told";
}

/* Those that say something first, so that a cut list keeps them. */
static int rank(const char *result)
{
	static const char *const order[] = {"fail", "warn", "not_checked", "told", "pass"};
	int i = 0;
	while (i < 4 && strcmp(order[i], result) != 0)
		i++;
	return i;
}

void check_judge_add_data(const struct check_judge *judge, json_t *list, check_result_fn result_of, const void *context)
{
	size_t added = 0;
	for (int want = 0; want <= 4; want++) {
		for (size_t i = 0; i < judge->results.data_count && added < DATA_MAX; i++) {
			const char *result = result_of_entry(judge, i, result_of, context);
			if (rank(result) != want)
				continue;
			(void)json_array_append_new(list, data_json(&judge->results.data[i], result));
			added++;
		}
	}
}

static json_t *differences_json(const struct check_differences *list)
{
	json_t *object = json_object();
	json_t *items = json_array();
	for (size_t i = 0; i < list->count && i < DIFFERENCES_MAX; i++)
		(void)json_array_append_new(items, check_difference_to_json(&list->items[i]));
	json_put(object, "total", json_integer((json_int_t)list->total));
	json_put(object, "items", items);
	return object;
}

static json_t *step_json(const struct check_step *step)
{
	static const char *const outcomes[] = {"none", "ok", "failed", "timeout", "cancelled"};
	if (!step->ran)
		return json_null();
	json_t *object = json_object();
	json_put(object, "outcome", json_string(outcomes[step->outcome]));
	json_put(object, "duration_s", json_real(ns_to_s(step->duration_ns)));
	json_put(object, "statements", step->statements ? json_incref(step->statements) : json_array());
	return object;
}

json_t *check_judge_rollback_json(const struct check_judge *judge)
{
	const struct check_results *r = &judge->results;
	if (!judge->there || !r->with_rollback)
		return json_null();
	json_t *object = json_object();
	json_put(object, "up", step_json(&r->up));
	json_put(object, "down", step_json(&r->down));
	json_put(object, "again", step_json(&r->again));
	json_put(object, "schema", differences_json(&r->rollback));
	json_put(object, "repeat", differences_json(&r->repeat));
	return object;
}

json_t *check_judge_schema_json(const struct check_judge *judge)
{
	return judge->there ? differences_json(&judge->results.changes) : json_null();
}

static void add_untested(json_t *list, const char *what, const char *why)
{
	json_t *object = json_object();
	json_put(object, "what", json_text(what));
	json_put(object, "why", json_text(why));
	(void)json_array_append_new(list, object);
}

void check_judge_add_untested(const struct check_judge *judge, json_t *list)
{
	static const char *const when[] = {"what the migration does to the data", "what a rollback brings back",
					   "the lanes' data"};
	size_t added = 0;
	for (size_t i = 0; i < judge->results.skipped_count && i < UNTESTED_MAX; i++)
		add_untested(list, judge->results.skipped[i].what, judge->results.skipped[i].why);
	for (size_t i = 0; i < judge->results.data_count && added < UNTESTED_MAX; i++) {
		const struct check_data *data = &judge->results.data[i];
		if (data->state != CHECK_NOT_CHECKED)
			continue;
		char *what = mem_printf("%s: %s%s%s", when[data->phase], data->relation, data->column ? "." : "",
					data->column ? data->column : "");
		add_untested(list, what, data->reason ? data->reason : "");
		free(what);
		added++;
	}
}
