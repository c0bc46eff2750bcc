/*
 * The names under which a server's health is sampled (health_log.h): what each series counts, in which unit, and
 * whether it only grows. Whoever samples and whoever judges share this list, so that a series cannot be written under
 * one name and looked for under another. docs/health.md says where each comes from.
 */
#ifndef HEALTH_SERIES_H
#define HEALTH_SERIES_H

#include <stdbool.h>
#include <stddef.h>

struct health_series_info {
	const char *name;
	const char *unit; /* of one value as it is stored */
	bool counter;	  /* only grows: what matters is the difference between two samples */
	bool keyed;	  /* one series for each wait event, table or slot; a sample leaves out the zeros */
};

/* NULL for a name that is not in the list. */
const struct health_series_info *health_series_find(const char *name);
size_t health_series_count(void);
const struct health_series_info *health_series_at(size_t index);

#endif
