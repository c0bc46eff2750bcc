/*
 * Checks on a server of the test's own. A clone's twin is made with CREATE DATABASE … TEMPLATE, which keeps OIDs as a
 * copied data directory does: "untouched" and "scratch" are two equal databases at the start of each trial.
 */
#ifndef SUPPORT_CHECKS_H
#define SUPPORT_CHECKS_H

#include "check_results.h"
#include "support_pg_server.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

extern struct pg_server check_server_used;
extern struct check_results checked;

/* Both databases anew, with this schema and data. */
void checks_prepare(const char *sql);
/* up and down (NULL: none) through the real check, into `checked`. 0 or what it answers. */
int checks_run(const char *up, const char *down);
/* As above, with limits. */
int checks_run_limited(const char *up, const char *down, int64_t table_bytes, int64_t time_ns);
/* URL of "untouched" or "scratch"; in one of four buffers used in turn. */
const char *checks_url(const char *database);

/* The entry of that phase, relation and column (NULL: the table's), or NULL. */
const struct check_data *checks_find(enum check_phase phase, const char *relation, const char *column);
int64_t checks_class(const struct check_data *data, const char *name);
/* A difference "kind object: attribute: before → after" that holds these words, or NULL. */
const struct check_difference *checks_difference(const struct check_differences *list, const char *object,
						 const char *attribute);
/* Every table and column of that phase is the same, and nothing was left unchecked. */
void checks_assert_clean(enum check_phase phase);

int checks_set_up(void **state);
int checks_tear_down(void **state);

#endif
