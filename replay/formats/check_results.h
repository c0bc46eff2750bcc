/*
 * What the checks beside a replay found ("checks.json"): whether the migration can be rolled back (C10, B13), what it
 * changed in the schema (C11), and what it did to the data (C7). Differences are named and counted; a value never
 * appears, and definitions appear without their literals.
 */
#ifndef CHECK_RESULTS_H
#define CHECK_RESULTS_H

#include "error.h"
#include "ledger.h"

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define CHECKS_FILE "checks.json"

/* Lists are cut there, and their totals say how many there were. */
#define CHECK_DIFFERENCES_MAX 1000

enum check_change {
	CHECK_ADDED,
	CHECK_REMOVED,
	CHECK_CHANGED
};
/* "added", "removed", "changed" */
const char *check_change_name(enum check_change change);

/* One named difference between two schemas: "column public.orders.total: type: numeric(10,2) → numeric(12,2)". */
struct check_difference {
	enum check_change change;
	bool mild;	 /* nothing that a query's result depends on: a column's position, a comment */
	char *kind;	 /* "table", "column", "index", "trigger", … */
	char *object;	 /* qualified, quoted where SQL needs it */
	char *attribute; /* "" when the whole object was added or removed */
	char *before;	 /* without literals; NULL when it was not there or is not shown */
	char *after;
};

struct check_differences {
	struct check_difference *items;
	size_t count;
	size_t capacity;
	size_t total; /* with those that were cut */
};

/* One run of up or down on the scratch clone. */
struct check_step {
	bool ran;
	enum ledger_outcome outcome;
	int64_t duration_ns;
	json_t *statements; /* ledger_to_json(); NULL when it did not run */
};

/* Which two states of the data are compared. */
enum check_phase {
	CHECK_MIGRATION, /* before and after the migration alone, without traffic */
	CHECK_ROLLBACK,	 /* before the migration, and after it and its rollback, without traffic */
	CHECK_LANES	 /* both lanes after the replay */
};
/* "migration", "rollback", "lanes" */
const char *check_phase_name(enum check_phase phase);

enum check_state {
	CHECK_SAME,
	CHECK_DIFFERS,
	CHECK_NOT_CHECKED /* `reason` says why */
};

struct check_class {
	char name[32]; /* value_class_name(): "nulled", "rounded", … */
	int64_t count;
};
#define CHECK_CLASSES_MAX 20

/* Rows that statements, not DDL, wrote, by the server's own count. */
struct check_writes {
	int64_t inserted;
	int64_t updated;
	int64_t deleted;
};

/* A table (column NULL), one of its columns, or a sequence. */
struct check_data {
	enum check_phase phase;
	enum check_state state;
	char *relation;
	char *column;
	char kind[20];	   /* "table", "column", "type_change", "removed_column", "removed_table", "removed_partition",
			      "sequence" */
	char *type_before; /* of a column; else NULL */
	char *type_after;
	int64_t rows_before; /* of the table; -1 not known */
	int64_t rows_after;
	int64_t columns; /* of a table: how many columns were compared */
	int64_t changed; /* of a column: values that are others now; of a table: rows added */
	int64_t lost;	 /* of a column: values that nothing can bring back; of a table: rows removed */
	struct check_class classes[CHECK_CLASSES_MAX];
	size_t class_count;
	struct check_writes writes[2]; /* of a table: CHECK_LANES both lanes'; else the migration's, in the second */
	char *reason;		       /* NULL where there is nothing to say */
};

/* Something that was to be checked, and was not. */
struct check_skipped {
	char *what;
	char *why;
};

struct check_results {
	bool with_rollback; /* a rollback was asked for */
	bool with_data;	    /* --check-data */
	struct check_step up;
	struct check_step down;
	struct check_step again;
	struct check_differences changes;  /* by the migration */
	struct check_differences rollback; /* left over after migration and rollback */
	struct check_differences repeat;   /* between the first and the second migration's result */
	struct check_data *data;
	size_t data_count;
	size_t data_capacity;
	struct check_skipped *skipped;
	size_t skipped_count;
	size_t skipped_capacity;
};

void check_results_init(struct check_results *results);
void check_results_release(struct check_results *results);
/* An empty entry to be filled; its strings are freed by the results. Valid until the next. */
struct check_data *check_results_add_data(struct check_results *results, enum check_phase phase, const char *relation,
					  const char *column, const char *kind);
void check_data_add_class(struct check_data *data, const char *name, int64_t count);
void check_results_skip(struct check_results *results, const char *what, const char *why);
/* NULL once the list is full; the total counts on. */
struct check_difference *check_differences_add(struct check_differences *list);

int check_results_save(const struct check_results *results, const char *path, struct error *err);
/* Fills *results, which the caller releases. ERR_DATA when it is not what check_results_save() writes. */
int check_results_load(const char *path, struct check_results *results, struct error *err);
/* A difference as verdict.json has it: a new reference. */
json_t *check_difference_to_json(const struct check_difference *difference);

#endif
