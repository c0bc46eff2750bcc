/*
 * A schema at one moment, and the named differences between two. Facts are sorted, so that a difference is one walk
 * over both; an object that came or went is one difference, whatever it had.
 */
#ifndef CATALOG_SNAPSHOT_H
#define CATALOG_SNAPSHOT_H

#include "check_results.h"
#include "error.h"

#include <stddef.h>

struct catalog_fact;

struct catalog_snapshot {
	struct catalog_fact *facts;
	size_t count;
	size_t capacity;
};

/* Reads all catalogs in one transaction. The caller releases *snapshot whatever the result. */
int catalog_snapshot_load(const char *url, struct catalog_snapshot *snapshot, struct error *err);
void catalog_snapshot_release(struct catalog_snapshot *snapshot);
/* Appends what changed from one to the other. */
void catalog_snapshot_compare(const struct catalog_snapshot *before, const struct catalog_snapshot *after,
			      struct check_differences *out);

#endif
