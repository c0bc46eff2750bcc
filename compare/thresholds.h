/*
 * The rules and their levels: what is measured, from where on it is worth a warning, and from where on it fails. The
 * defaults are the table of docs/verdict.md; a configuration changes single ones, for all tables or for one:
 *
 *   stall.max = warn >= 100ms, fail >= 1s
 *   stall.max{table=orders} = fail >= 50ms
 *   errors.replan = off
 */
#ifndef THRESHOLDS_H
#define THRESHOLDS_H

#include "error.h"
#include "strbuf.h"

#include <stdbool.h>
#include <stddef.h>

enum threshold_unit {
	THRESHOLD_SECONDS, /* a duration: "100ms", "1.5s" */
	THRESHOLD_COUNT,
	THRESHOLD_RATIO,
	THRESHOLD_BYTES /* "1GB", powers of 1024 */
};

struct threshold_level {
	bool set;
	bool or_equal; /* >= rather than > */
	double value;
};

struct threshold {
	char name[40];	  /* "stall.max" */
	char entity[200]; /* a table's name, bare or qualified; "" for all */
	enum threshold_unit unit;
	struct threshold_level warn;
	struct threshold_level fail;
};

enum threshold_result {
	THRESHOLD_PASS,
	THRESHOLD_WARN,
	THRESHOLD_FAIL
};
/* "pass", "warn", "fail" */
const char *threshold_result_name(enum threshold_result result);

struct thresholds {
	struct threshold *rules;
	size_t count;
	size_t capacity;
	char **hot_tables; /* on these the warn level fails */
	size_t hot_count;
	size_t hot_capacity;
};

struct threshold_setting {
	const char *name;
	const char *value;
};

void thresholds_init(struct thresholds *thresholds); /* with the defaults */
void thresholds_release(struct thresholds *thresholds);
/* One line of the [thresholds] section, or "hot_tables = orders, stock". ERR_USAGE says what is wrong with it. */
int thresholds_set(struct thresholds *thresholds, const char *name, const char *value, struct error *err);
int thresholds_apply(struct thresholds *thresholds, const struct threshold_setting *settings, size_t count,
		     struct error *err);
/* "default", or "strict-4s": a migration or a stall of more than 4 s fails. */
int thresholds_apply_preset(struct thresholds *thresholds, const char *preset, struct error *err);
/* The rule for an entity ("schema.table", "" for none): its own if it has one, else the one for all. */
const struct threshold *thresholds_find(const struct thresholds *thresholds, const char *name, const char *entity);
enum threshold_result thresholds_judge(const struct thresholds *thresholds, const struct threshold *rule,
				       const char *entity, double value);
/* Whether a table's name in the configuration, bare or qualified, means that one: "orders" means "public.orders". */
bool threshold_names_table(const char *pattern, const char *table);
/* "warn >= 100ms, fail >= 1s" */
void threshold_format(const struct threshold *rule, struct strbuf *out);
/* A value in the rule's unit, for people. */
void threshold_format_value(const struct threshold *rule, double value, struct strbuf *out);

#endif
