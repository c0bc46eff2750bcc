/*
 * The run in at most 600 bins of time, for the report's picture: what was due, how slow it was, who waited for locks,
 * what failed, on both lanes.
 */
#ifndef TIMELINE_H
#define TIMELINE_H

#include "pairing.h"

#define TIMELINE_BINS_MAX 600

struct timeline;
struct timeline *timeline_new(const struct run_data *data);
void timeline_free(struct timeline *timeline);
void timeline_add(struct timeline *timeline, const struct pair *pair);
/* {bin_s, statements[], p99_ms{baseline[], migrating[]}, blocked_sessions{…}, errors{…}}: a new reference. */
json_t *timeline_to_json(const struct timeline *timeline);

#endif
