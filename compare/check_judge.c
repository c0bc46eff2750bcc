/* Findings of the checks: see check_judge.h. As JSON: check_json.c. */
#include "check_judge.h"

#include "mem.h"
#include "run_dir.h"
#include "strbuf.h"

#include <unistd.h>

#define FINDINGS_MAX 200 /* of one rule, each with its own object; one more stands for the rest */
#define PLURAL(n)    ((n) == 1 ? "" : "s")

static struct check_finding *add(struct check_judge *judge, const char *rule, const char *entity, double value)
{
	MEM_GROW(judge->findings, judge->count, judge->capacity);
	struct check_finding *finding = &judge->findings[judge->count++];
	*finding = (struct check_finding){rule, mem_strdup(entity), value, NULL};
	return finding;
}

static struct check_finding *find(struct check_judge *judge, const char *rule, const char *entity)
{
	for (size_t i = 0; i < judge->count; i++) {
		if (strcmp(judge->findings[i].rule, rule) == 0 && strcmp(judge->findings[i].entity, entity) == 0)
			return &judge->findings[i];
	}
	return NULL;
}

/* Adds to the rule's finding about that entity. True when it is the first, whose sentence is to be set. */
static bool count(struct check_judge *judge, const char *rule, const char *entity, double value,
		  struct check_finding **finding)
{
	size_t of_rule = 0;
	*finding = find(judge, rule, entity);
	for (size_t i = 0; !*finding && i < judge->count; i++)
		of_rule += strcmp(judge->findings[i].rule, rule) == 0;
	if (of_rule >= FINDINGS_MAX) {
		entity = "(others)";
		*finding = find(judge, rule, entity);
	}
	if (*finding) {
		(*finding)->value += value;
		return false;
	}
	*finding = add(judge, rule, entity, value);
	return true;
}

/* "index shop.a is missing", "column shop.t.total: type is integer, was numeric(10,2)" */
static char *difference_text(const struct check_difference *d)
{
	if (d->change == CHECK_REMOVED)
		return mem_printf("%s %s is missing", d->kind, d->object);
	if (d->change == CHECK_ADDED)
		return mem_printf("%s %s is there", d->kind, d->object);
	return mem_printf("%s %s: %s is %s, was %s", d->kind, d->object, d->attribute,
			  d->after ? d->after : "not there", d->before ? d->before : "not there");
}

static void judge_differences(struct check_judge *judge, const struct check_differences *list, const char *rule,
			      const char *mild_rule, const char *when)
{
	size_t mild = 0;
	size_t strict = 0;
	for (size_t i = 0; i < list->count; i++) {
		struct check_finding *finding;
		if (list->items[i].mild) {
			mild++;
			continue;
		}
		strict++;
		if (!count(judge, rule, list->items[i].object, 1, &finding))
			continue;
		char *text = difference_text(&list->items[i]);
		finding->sentence = mem_printf("%s %s", when, text);
		free(text);
	}
	if (!strict)
		(void)add(judge, rule, "", 0);
	if (!mild_rule)
		return;
	struct check_finding *finding = add(judge, mild_rule, "", (double)mild);
	if (mild)
		finding->sentence =
			mem_printf("%s %zu thing%s that no query sees differ%s, such as the order of columns", when,
				   mild, PLURAL(mild), mild == 1 ? "s" : "");
}

/* The statement at which a step failed, as far as its ledger knows: "`DROP TABLE x` with 42P01: …". */
static char *failed_at(const struct check_step *step)
{
	size_t i;
	const json_t *statement;
	json_array_foreach (step->statements, i, statement) {
		const json_t *error = json_object_get(statement, "error");
		const char *sql = json_string_value(json_object_get(statement, "sql"));
		const char *code = json_string_value(json_object_get(error, "sqlstate"));
		const char *message = json_string_value(json_object_get(error, "message"));
		if (code)
			return mem_printf(" at `%.100s` with %s%s%s", sql ? sql : "", code, message ? ": " : "",
					  message ? message : "");
	}
	return mem_strdup(step->outcome == LEDGER_TIMEOUT ? ": it did not end in the time that it was given" : "");
}

static bool went_well(const struct check_step *step)
{
	return step->ran && step->outcome == LEDGER_OK;
}

static void judge_rollback(struct check_judge *judge)
{
	const struct check_results *r = &judge->results;
	const struct check_step *failed = NULL;
	if (!r->with_rollback || !r->down.ran)
		return;
	if (!went_well(&r->down))
		failed = &r->down;
	else if (r->again.ran && !went_well(&r->again))
		failed = &r->again;
	struct check_finding *finding = add(judge, "rollback.failed", "", failed != NULL);
	if (failed) {
		char *at = failed_at(failed);
		finding->sentence = mem_printf(
			failed == &r->down ? "the rollback failed%s" : "after its rollback the migration failed%s", at);
		free(at);
	}
	double seconds = (double)r->down.duration_ns / 1e9;
	finding = add(judge, "rollback.duration", "", seconds);
	finding->sentence = mem_printf("the rollback took %.2f s", seconds);
	if (!went_well(&r->down))
		return;
	judge_differences(judge, &r->rollback, "rollback.schema", "rollback.cosmetic", "after the rollback");
	if (went_well(&r->again))
		judge_differences(judge, &r->repeat, "rollback.repeat", NULL,
				  "the second time the migration ends elsewhere:");
}

/* A trigger that is gone, or does not fire any more, of a table that is still there (C11). */
static void judge_triggers(struct check_judge *judge)
{
	const struct check_differences *list = &judge->results.changes;
	size_t found = 0;
	for (size_t i = 0; i < list->count; i++) {
		const struct check_difference *d = &list->items[i];
		bool disabled = strcmp(d->attribute, "enabled") == 0 && d->after && strcmp(d->after, "no") == 0;
		bool own = strcmp(d->attribute, "its own triggers") == 0 && d->after;
		bool trigger = strcmp(d->kind, "trigger") == 0 || strcmp(d->kind, "event trigger") == 0;
		if (!(trigger && (d->change == CHECK_REMOVED || disabled)) && !own)
			continue;
		found++;
		struct check_finding *finding;
		if (count(judge, "triggers.lost", d->object, 1, &finding))
			finding->sentence = mem_printf("the migration %s the %s %s",
						       d->change == CHECK_REMOVED ? "removes" : "disables",
						       own ? "triggers of constraint" : d->kind, d->object);
	}
	if (!found)
		(void)add(judge, "triggers.lost", "", 0);
}

static const struct check_data *table_of(const struct check_results *r, enum check_phase phase, const char *relation)
{
	for (size_t i = 0; i < r->data_count; i++) {
		const struct check_data *data = &r->data[i];
		if (data->phase == phase && !data->column && strcmp(data->relation, relation) == 0)
			return data;
	}
	return NULL;
}

static bool wrote(const struct check_writes *writes)
{
	return writes->inserted || writes->updated || writes->deleted;
}

/* The migration's own statements wrote rows of that table: what they did to it was their purpose. */
static bool is_amended(const struct check_results *r, const struct check_data *data)
{
	const struct check_data *table = table_of(r, CHECK_MIGRATION, data->relation);
	return table && wrote(&table->writes[1]);
}

/* For which rule an entry of the migration's phase counts, and how much. */
static const char *weigh_migration(const struct check_results *r, const struct check_data *data, int64_t *value)
{
	*value = data->lost;
	if (strncmp(data->kind, "removed", 7) == 0)
		return NULL; /* that is what the migration is for; a rollback has to bring it back */
	if (strcmp(data->kind, "sequence") == 0)
		return data->lost ? "data.lost" : NULL;
	bool type_change = strcmp(data->kind, "type_change") == 0;
	if (!type_change && is_amended(r, data)) {
		*value = data->changed + (data->column ? 0 : data->lost);
		return "data.amended";
	}
	if (data->lost)
		return "data.lost";
	*value = data->changed;
	return "data.changed";
}

/*
 * Values that differ in nothing but what the column's other type cannot hold: two rows that chance made different
 * differ by more than their last digits. How many, 0 when they are not nearly all of those that differ.
 */
static int64_t lost_by_type(const struct check_data *data)
{
	static const char *const by_type[] = {"rounded",      "truncated", "trailing_spaces", "leading_zeros",
					      "not_a_number", "non_ascii", "time_dropped"};
	int64_t sum = 0;
	for (size_t i = 0; i < data->class_count && strcmp(data->kind, "type_change") == 0; i++) {
		for (size_t k = 0; k < sizeof(by_type) / sizeof(*by_type); k++) {
			if (strcmp(data->classes[i].name, by_type[k]) == 0)
				sum += data->classes[i].count;
		}
	}
	return sum * 10 >= data->changed * 9 ? sum : 0;
}

/* The migration alone, on the data that were there before the traffic, loses values of that column. */
static bool lost_without_traffic(const struct check_results *r, const struct check_data *data)
{
	for (size_t i = 0; i < r->data_count; i++) {
		const struct check_data *other = &r->data[i];
		if (other->phase == CHECK_MIGRATION && other->column && data->column && other->lost &&
		    strcmp(other->relation, data->relation) == 0 && strcmp(other->column, data->column) == 0)
			return true;
	}
	return false;
}

/* Nobody wrote to the table, and the migration alone does not change it so. */
static const char *weigh_lanes(const struct check_results *r, const struct check_data *data, int64_t *value)
{
	const struct check_data *table = table_of(r, CHECK_LANES, data->relation);
	const struct check_data *alone = table_of(r, CHECK_MIGRATION, data->relation);
	*value = lost_by_type(data);
	if (*value)
		return lost_without_traffic(r, data) ? NULL : "data.lost";
	*value = data->changed + (data->column ? 0 : data->lost);
	if (!table || !alone || alone->state == CHECK_NOT_CHECKED || wrote(&table->writes[0]) ||
	    strncmp(data->kind, "removed", 7) == 0)
		return NULL;
	/* Writes beyond the migration's own are the traffic's. */
	const struct check_writes *own = &alone->writes[1], *all = &table->writes[1];
	if (all->inserted > own->inserted || all->updated > own->updated || all->deleted > own->deleted || wrote(own))
		return NULL;
	for (size_t i = 0; i < r->data_count; i++) {
		const struct check_data *other = &r->data[i];
		bool same_column = (!other->column && !data->column) ||
				   (other->column && data->column && strcmp(other->column, data->column) == 0);
		if (other->phase != CHECK_LANES && strcmp(other->relation, data->relation) == 0 && same_column &&
		    other->state != CHECK_SAME)
			return NULL;
	}
	return "data.unexplained";
}

static const char *weigh(const struct check_results *r, const struct check_data *data, int64_t *value)
{
	*value = 0;
	if (data->state != CHECK_DIFFERS)
		return NULL;
	if (data->phase == CHECK_MIGRATION)
		return weigh_migration(r, data, value);
	if (data->phase == CHECK_LANES)
		return weigh_lanes(r, data, value);
	if (strcmp(data->kind, "sequence") == 0 && !data->lost)
		return NULL;
	if (strcmp(data->kind, "table") == 0 && !data->lost && data->changed) {
		*value = data->changed;
		return "rollback.leftover";
	}
	/* A removed one's values are lost; another's are changed, whatever became of them. */
	*value = strncmp(data->kind, "removed", 7) == 0 || strcmp(data->kind, "sequence") == 0 ? data->lost
		 : data->column								       ? data->changed
											       : data->lost;
	if (*value == 0)
		*value = 1; /* rows whose values were exchanged */
	return "rollback.data";
}

static char *classes_text(const struct check_data *data)
{
	struct strbuf text;
	strbuf_init(&text, 2000);
	for (size_t i = 0; i < data->class_count; i++) {
		strbuf_addf(&text, "%s%lld %s", i ? ", " : " (", (long long)data->classes[i].count,
			    data->classes[i].name);
		for (char *p = text.data; p && *p; p++)
			*p = *p == '_' ? ' ' : *p;
	}
	if (data->class_count)
		strbuf_add_char(&text, ')');
	return strbuf_detach(&text);
}

static char *subject(const struct check_data *data, int64_t value)
{
	if (data->column)
		return mem_printf("%lld value%s of %s.%s", (long long)value, PLURAL(value), data->relation,
				  data->column);
	if (strcmp(data->kind, "sequence") == 0)
		return mem_printf("the position of sequence %s", data->relation);
	return mem_printf("%lld row%s of %s", (long long)value, PLURAL(value), data->relation);
}

/* "the rollback does not bring back 750 values of public.t.a (750 nulled)" */
static char *data_sentence(const char *rule, const struct check_data *data, int64_t value)
{
	char *what = subject(data, value);
	char *classes = classes_text(data);
	char *text;
	if (strcmp(rule, "rollback.leftover") == 0)
		text = mem_printf("the rollback leaves %s behind that were not there before", what);
	else if (strcmp(rule, "rollback.data") == 0)
		text = mem_printf("the rollback does not bring back %s%s", what, classes);
	else if (strcmp(rule, "data.lost") == 0 && data->type_after)
		text = mem_printf("the migration loses %s%s, %s to %s%s", what,
				  data->phase == CHECK_LANES ? " that the traffic wrote" : "", data->type_before,
				  data->type_after, classes);
	else if (strcmp(rule, "data.lost") == 0)
		text = mem_printf("the migration loses %s%s", what, classes);
	else if (strcmp(rule, "data.unexplained") == 0)
		text = mem_printf("%s differ between the lanes, and nobody wrote to the table%s", what, classes);
	else
		text = mem_printf("the migration changes %s%s", what, classes);
	free(classes);
	free(what);
	return text;
}

static void judge_data(struct check_judge *judge)
{
	static const char *const rules[] = {"data.lost",	"data.changed",	 "data.amended",
					    "data.unexplained", "rollback.data", "rollback.leftover"};
	const struct check_results *r = &judge->results;
	judge->rules = mem_zalloc(r->data_count + 1, sizeof(*judge->rules));
	for (size_t i = 0; i < r->data_count; i++) {
		struct check_finding *finding;
		int64_t value;
		const char *rule = weigh(r, &r->data[i], &value);
		judge->rules[i] = rule;
		if (rule && count(judge, rule, r->data[i].relation, (double)value, &finding))
			finding->sentence = data_sentence(rule, &r->data[i], value);
	}
	for (size_t k = 0; k < sizeof(rules) / sizeof(*rules); k++) {
		bool asked = strncmp(rules[k], "rollback.", 9) == 0 ? went_well(&r->down) : r->with_data;
		bool any = false;
		for (size_t i = 0; i < judge->count; i++)
			any |= strcmp(judge->findings[i].rule, rules[k]) == 0;
		if (asked && !any)
			(void)add(judge, rules[k], "", 0);
	}
}

int check_judge_load(struct check_judge *judge, const char *run_dir, struct error *err)
{
	memset(judge, 0, sizeof(*judge));
	char *path = run_dir_path(run_dir, CHECKS_FILE);
	int rc = 0;
	if (access(path, F_OK) == 0) {
		rc = check_results_load(path, &judge->results, err);
		judge->there = rc == 0;
	}
	free(path);
	if (judge->there) {
		/* The first that fails is the verdict's reason: what is lost comes before what is left behind. */
		judge_data(judge);
		judge_rollback(judge);
		if (went_well(&judge->results.up))
			judge_triggers(judge);
	}
	return rc;
}

void check_judge_release(struct check_judge *judge)
{
	for (size_t i = 0; i < judge->count; i++) {
		free(judge->findings[i].entity);
		free(judge->findings[i].sentence);
	}
	free(judge->findings);
	free(judge->rules);
	check_results_release(&judge->results);
	memset(judge, 0, sizeof(*judge));
}

char *check_judge_blindness(const struct check_judge *judge)
{
	const struct check_results *r = &judge->results;
	if (!judge->there || !r->with_rollback || r->down.ran)
		return NULL;
	if (r->up.ran && !went_well(&r->up)) {
		char *at = failed_at(&r->up);
		char *text =
			mem_printf("the rollback was not run: on the scratch clone the migration itself failed%s", at);
		free(at);
		return text;
	}
	return mem_strdup("the rollback that was asked for was not run");
}

char *check_judge_praise(const struct check_judge *judge)
{
	const struct check_results *r = &judge->results;
	bool same = true;
	bool all = r->with_data;
	if (!judge->there || !r->with_rollback || !went_well(&r->down))
		return NULL;
	for (size_t i = 0; i < r->data_count; i++) {
		if (r->data[i].phase != CHECK_ROLLBACK)
			continue;
		same = same && r->data[i].state != CHECK_DIFFERS;
		all = all && r->data[i].state != CHECK_NOT_CHECKED;
	}
	same = same && r->rollback.total == 0;
	return mem_printf("The rollback took %.3g s%s%s.", (double)r->down.duration_ns / 1e9,
			  !same ? " and left small differences"
			  : all ? " and left schema and data as they were"
				: " and left the schema as it was",
			  same && r->with_data && !all ? ", and so the data that was compared" : "");
}
