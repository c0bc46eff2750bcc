/* The rules and their levels: see thresholds.h. */
#include "thresholds.h"

#include "clock.h"
#include "mem.h"
#include "num.h"

#include <ctype.h>
#include <strings.h>

static const struct threshold defaults[] = {
	{"stall.max", "", THRESHOLD_SECONDS, {true, true, 0.1}, {true, true, 1}},
	{"blocked.query_seconds", "", THRESHOLD_COUNT, {false, false, 0}, {true, true, 10}},
	{"slow.query_seconds", "", THRESHOLD_COUNT, {false, false, 0}, {true, true, 10}},
	{"errors.new", "", THRESHOLD_COUNT, {false, false, 0}, {true, false, 0}},
	{"errors.lock_victims", "", THRESHOLD_COUNT, {false, false, 0}, {true, false, 0}},
	{"errors.other", "", THRESHOLD_COUNT, {false, false, 0}, {true, false, 0}},
	{"errors.replan", "", THRESHOLD_COUNT, {true, false, 0}, {false, false, 0}},
	{"latency.ratio", "", THRESHOLD_RATIO, {true, false, 1.1}, {true, false, 1.25}},
	{"rows.lost", "", THRESHOLD_COUNT, {false, false, 0}, {true, false, 0}},
	{"rows.changed", "", THRESHOLD_COUNT, {false, false, 0}, {true, false, 0}},
	{"rows.diff", "", THRESHOLD_COUNT, {true, false, 0}, {false, false, 0}},
	{"migration.duration", "", THRESHOLD_SECONDS, {true, false, 4}, {false, false, 0}},
	/* Of the deploy timeout, where one is given (docs/rollout.md). */
	{"migration.best_case", "", THRESHOLD_RATIO, {true, false, 1}, {false, false, 0}},
	{"migration.blackout", "", THRESHOLD_COUNT, {true, false, 0}, {false, false, 0}},
	{"migration.failed", "", THRESHOLD_COUNT, {false, false, 0}, {true, false, 0}},
	{"rollback.failed", "", THRESHOLD_COUNT, {false, false, 0}, {true, false, 0}},
	{"rollback.schema", "", THRESHOLD_COUNT, {false, false, 0}, {true, false, 0}},
	{"rollback.cosmetic", "", THRESHOLD_COUNT, {true, false, 0}, {false, false, 0}},
	{"rollback.data", "", THRESHOLD_COUNT, {false, false, 0}, {true, false, 0}},
	{"rollback.leftover", "", THRESHOLD_COUNT, {true, false, 0}, {false, false, 0}},
	{"rollback.repeat", "", THRESHOLD_COUNT, {false, false, 0}, {true, false, 0}},
	{"rollback.duration", "", THRESHOLD_SECONDS, {true, false, 4}, {false, false, 0}},
	{"data.lost", "", THRESHOLD_COUNT, {false, false, 0}, {true, false, 0}},
	{"data.changed", "", THRESHOLD_COUNT, {true, false, 0}, {false, false, 0}},
	{"data.amended", "", THRESHOLD_COUNT, {false, false, 0}, {false, false, 0}},
	{"data.unexplained", "", THRESHOLD_COUNT, {false, false, 0}, {true, false, 0}},
	{"triggers.lost", "", THRESHOLD_COUNT, {true, false, 0}, {false, false, 0}},
	/* No number fits all databases: off until somebody who knows theirs sets one (docs/health.md). */
	{"health.oldest_xmin_s", "", THRESHOLD_SECONDS, {false, false, 0}, {false, false, 0}},
	{"health.oldest_xmin_xids", "", THRESHOLD_COUNT, {false, false, 0}, {false, false, 0}},
	{"health.dead_tuples", "", THRESHOLD_COUNT, {false, false, 0}, {false, false, 0}},
	{"health.wal_bytes_per_s", "", THRESHOLD_BYTES, {false, false, 0}, {false, false, 0}},
	{"health.slot_retained_bytes", "", THRESHOLD_BYTES, {false, false, 0}, {false, false, 0}},
	{"health.size_growth_bytes", "", THRESHOLD_BYTES, {false, false, 0}, {false, false, 0}},
	{"health.standby_lag_s", "", THRESHOLD_SECONDS, {false, false, 0}, {false, false, 0}},
	{"health.cpu_cores", "", THRESHOLD_COUNT, {false, false, 0}, {false, false, 0}},
};

const char *threshold_result_name(enum threshold_result result)
{
	static const char *const names[] = {"pass", "warn", "fail"};
	return names[result];
}

void thresholds_init(struct thresholds *thresholds)
{
	memset(thresholds, 0, sizeof(*thresholds));
	for (size_t i = 0; i < sizeof(defaults) / sizeof(*defaults); i++) {
		MEM_GROW(thresholds->rules, thresholds->count, thresholds->capacity);
		thresholds->rules[thresholds->count++] = defaults[i];
	}
}

void thresholds_release(struct thresholds *thresholds)
{
	for (size_t i = 0; i < thresholds->hot_count; i++)
		free(thresholds->hot_tables[i]);
	free(thresholds->hot_tables);
	free(thresholds->rules);
	memset(thresholds, 0, sizeof(*thresholds));
}

/* Without white space at its ends; false when nothing is left or it does not fit. */
static bool copy_trimmed(char *out, size_t size, const char *text, size_t len)
{
	while (len && isspace((unsigned char)*text))
		text++, len--;
	while (len && isspace((unsigned char)text[len - 1]))
		len--;
	if (len == 0 || len >= size)
		return false;
	memcpy(out, text, len);
	out[len] = '\0';
	return true;
}

static int parse_level(const char *text, enum threshold_unit unit, struct threshold *rule, struct error *err)
{
	struct threshold_level *level;
	const char *p = text;
	if (strncasecmp(p, "warn", 4) == 0)
		level = &rule->warn;
	else if (strncasecmp(p, "fail", 4) == 0)
		level = &rule->fail;
	else
		return error_set(err, ERR_USAGE, "'%s' begins with neither warn nor fail", text);
	p += 4;
	while (isspace((unsigned char)*p))
		p++;
	if (*p != '>')
		return error_set(err, ERR_USAGE, "'%s' has no > or >= behind its first word", text);
	bool or_equal = p[1] == '=';
	p += or_equal ? 2 : 1;
	while (isspace((unsigned char)*p))
		p++;
	double value = 0;
	int64_t whole = 0;
	int rc = unit == THRESHOLD_SECONDS ? num_parse_duration(p, &whole, err)
		 : unit == THRESHOLD_BYTES ? num_parse_size(p, &whole, err)
					   : num_parse_double(p, 0, 1e12, &value, err);
	if (rc < 0)
		return rc;
	if (unit == THRESHOLD_SECONDS)
		value = ns_to_s(whole);
	else if (unit == THRESHOLD_BYTES)
		value = (double)whole;
	*level = (struct threshold_level){true, or_equal, value};
	return 0;
}

/* "stall.max{table=orders}" into its two parts. */
static int parse_name(const char *text, struct threshold *rule, struct error *err)
{
	const char *brace = strchr(text, '{');
	size_t len = brace ? (size_t)(brace - text) : strlen(text);
	rule->entity[0] = '\0';
	if (!copy_trimmed(rule->name, sizeof(rule->name), text, len))
		return error_set(err, ERR_USAGE, "'%s' is not the name of a rule", text);
	if (!brace)
		return 0;
	const char *end = strchr(brace, '}');
	if (strncmp(brace, "{table=", 7) != 0 || !end || end[1] ||
	    !copy_trimmed(rule->entity, sizeof(rule->entity), brace + 7, (size_t)(end - brace - 7)))
		return error_set(err, ERR_USAGE, "'%s' should look like stall.max{table=orders}", text);
	return 0;
}

static int add_hot_tables(struct thresholds *thresholds, const char *value, struct error *err)
{
	while (*value) {
		char name[200];
		size_t len = strcspn(value, ",");
		if (!copy_trimmed(name, sizeof(name), value, len))
			return error_set(err, ERR_USAGE, "hot_tables: '%s' is not a list of tables", value);
		MEM_GROW(thresholds->hot_tables, thresholds->hot_count, thresholds->hot_capacity);
		thresholds->hot_tables[thresholds->hot_count++] = mem_strdup(name);
		value += len + (value[len] == ',');
	}
	return 0;
}

static struct threshold *find_exact(const struct thresholds *thresholds, const char *name, const char *entity)
{
	for (size_t i = 0; i < thresholds->count; i++) {
		if (strcmp(thresholds->rules[i].name, name) == 0 && strcmp(thresholds->rules[i].entity, entity) == 0)
			return &thresholds->rules[i];
	}
	return NULL;
}

int thresholds_set(struct thresholds *thresholds, const char *name, const char *value, struct error *err)
{
	struct threshold rule;
	memset(&rule, 0, sizeof(rule));
	if (strcmp(name, "hot_tables") == 0)
		return add_hot_tables(thresholds, value, err);
	int rc = parse_name(name, &rule, err);
	if (rc < 0)
		return rc;
	const struct threshold *general = find_exact(thresholds, rule.name, "");
	if (!general)
		return error_set(err, ERR_USAGE, "there is no rule '%s'", rule.name);
	rule.unit = general->unit;
	while (*value && strcasecmp(value, "off") != 0) {
		char level[80];
		size_t len = strcspn(value, ",");
		if (!copy_trimmed(level, sizeof(level), value, len))
			return error_set(err, ERR_USAGE, "%s: '%s' is not a level such as fail >= 1s", name, value);
		rc = parse_level(level, rule.unit, &rule, err);
		if (rc < 0)
			return error_context(err, "%s", name);
		value += len + (value[len] == ',');
	}
	struct threshold *old = find_exact(thresholds, rule.name, rule.entity);
	if (old) {
		*old = rule;
		return 0;
	}
	MEM_GROW(thresholds->rules, thresholds->count, thresholds->capacity);
	thresholds->rules[thresholds->count++] = rule;
	return 0;
}

int thresholds_apply(struct thresholds *thresholds, const struct threshold_setting *settings, size_t count,
		     struct error *err)
{
	for (size_t i = 0; i < count; i++) {
		int rc = thresholds_set(thresholds, settings[i].name, settings[i].value, err);
		if (rc < 0)
			return rc;
	}
	return 0;
}

int thresholds_apply_preset(struct thresholds *thresholds, const char *preset, struct error *err)
{
	static const struct threshold_setting strict[] = {{"migration.duration", "fail > 4s"},
							  {"stall.max", "warn >= 100ms, fail > 4s"}};
	if (strcmp(preset, "default") == 0)
		return 0;
	if (strcmp(preset, "strict-4s") == 0)
		return thresholds_apply(thresholds, strict, 2, err);
	return error_set(err, ERR_USAGE, "there is no preset '%s'; there are default and strict-4s", preset);
}

bool threshold_names_table(const char *pattern, const char *table)
{
	const char *dot = strchr(table, '.');
	return strcmp(pattern, table) == 0 || (dot && strcmp(pattern, dot + 1) == 0);
}

const struct threshold *thresholds_find(const struct thresholds *thresholds, const char *name, const char *entity)
{
	for (size_t i = 0; *entity && i < thresholds->count; i++) {
		const struct threshold *rule = &thresholds->rules[i];
		if (strcmp(rule->name, name) == 0 && *rule->entity && threshold_names_table(rule->entity, entity))
			return rule;
	}
	return find_exact(thresholds, name, "");
}

static bool reached(const struct threshold_level *level, double value)
{
	return level->set && (value > level->value || (level->or_equal && value >= level->value));
}

enum threshold_result thresholds_judge(const struct thresholds *thresholds, const struct threshold *rule,
				       const char *entity, double value)
{
	if (reached(&rule->fail, value))
		return THRESHOLD_FAIL;
	if (!reached(&rule->warn, value))
		return THRESHOLD_PASS;
	for (size_t i = 0; *entity && i < thresholds->hot_count; i++) {
		if (threshold_names_table(thresholds->hot_tables[i], entity))
			return THRESHOLD_FAIL;
	}
	return THRESHOLD_WARN;
}

/* As it would be written in the configuration. */
static void format_bytes(double value, struct strbuf *out)
{
	static const char *const units[] = {"", "kB", "MB", "GB", "TB"};
	int unit = 0;
	while (value >= 1024 && unit < 4) {
		value /= 1024;
		unit++;
	}
	strbuf_addf(out, "%.4g%s", value, units[unit]);
}

void threshold_format_value(const struct threshold *rule, double value, struct strbuf *out)
{
	if (rule->unit == THRESHOLD_SECONDS && value < 1 && value > 0)
		strbuf_addf(out, "%.4gms", value * 1e3);
	else if (rule->unit == THRESHOLD_SECONDS)
		strbuf_addf(out, "%.4gs", value);
	else if (rule->unit == THRESHOLD_BYTES)
		format_bytes(value, out);
	else
		strbuf_addf(out, "%.6g", value);
}

void threshold_format(const struct threshold *rule, struct strbuf *out)
{
	const struct threshold_level *levels[2] = {&rule->warn, &rule->fail};
	static const char *const words[2] = {"warn", "fail"};
	bool any = false;
	for (int i = 0; i < 2; i++) {
		if (!levels[i]->set)
			continue;
		strbuf_addf(out, "%s%s %s ", any ? ", " : "", words[i], levels[i]->or_equal ? ">=" : ">");
		threshold_format_value(rule, levels[i]->value, out);
		any = true;
	}
	if (!any)
		strbuf_add_str(out, "off");
}
