/*
 * A migration's meta file, "meta.json": what the SQL beside it cannot say. One object; an unknown field is an error,
 * because a mistyped "depend_on" would otherwise be a dependency that nobody keeps.
 *
 *   id            8 hex digits, at random: two branches never pick the same number
 *   title         one line
 *   depends_on    ids that must be applied before
 *   hot_path      true, or the tables ("orders", "shop.orders") whose blocking is to be pointed out (B8, B11)
 *   transaction   false: statement by statement, for what cannot run inside a transaction
 *   data          true: it amends data (B14)
 *   skip          a reason: `up` leaves it to somebody else (gh-ost, a downtime); false: it does not
 *   lock_timeout  "2s", instead of the runner's; "0" for none
 *   retries       instead of the runner's
 *   reversible    false: there is no way back, and no down.sql
 */
#ifndef WORKFLOW_META_H
#define WORKFLOW_META_H

#include "error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define WORKFLOW_ID_LEN	     8
#define WORKFLOW_META_FILE   "meta.json"
#define WORKFLOW_TITLE_MAX   200
#define WORKFLOW_RETRIES_MAX 1000

struct workflow_meta {
	char id[WORKFLOW_ID_LEN + 1];
	char *title;
	char **depends_on;
	size_t depends_on_count;
	bool hot_all; /* "hot_path": true */
	char **hot_path;
	size_t hot_path_count;
	bool transaction;
	bool data;
	char *skip;		 /* the reason, or NULL */
	int64_t lock_timeout_ns; /* -1: as the runner says */
	int retries;		 /* -1: as the runner says */
	bool reversible;
};

/* The standards: in a transaction, reversible, the runner's limits. */
void workflow_meta_init(struct workflow_meta *meta);
void workflow_meta_release(struct workflow_meta *meta);
/* Fills *meta, initialised by the caller. ERR_DATA names the file and the field. */
int workflow_meta_load(const char *path, struct workflow_meta *meta, struct error *err);
int workflow_meta_save(const char *path, const struct workflow_meta *meta, struct error *err);

/* 8 digits of 0-9 and a-f. */
bool workflow_id_is_valid(const char *text);
/* From the kernel's random numbers. */
int workflow_id_make(char out[WORKFLOW_ID_LEN + 1], struct error *err);
/* One line of UTF-8 that says something, WORKFLOW_TITLE_MAX bytes at most: ERR_USAGE with the reason. */
int workflow_title_check(const char *title, struct error *err);

#endif
