/* Sessions at once and statements a second over the time of a replay file, in a row of bins: drawn or as JSON. */
#ifndef REPLAY_TIMELINE_H
#define REPLAY_TIMELINE_H

#include "item.h"

#include <jansson.h>

#define TIMELINE_BINS 60

struct replay_timeline {
	int64_t bin_ns;
	int64_t statements[TIMELINE_BINS];
	uint32_t sessions[TIMELINE_BINS]; /* the most at once in that bin */
	uint32_t open;
	int last_bin;
};

void replay_timeline_init(struct replay_timeline *timeline, int64_t span_ns);
/* Items in their order; `time_ns` from the file's start. */
void replay_timeline_add(struct replay_timeline *timeline, const struct item *item);
void replay_timeline_print(struct replay_timeline *timeline);
/* {bin_s, sessions[], statements_per_s[]}: a new reference. */
json_t *replay_timeline_json(struct replay_timeline *timeline);

#endif
