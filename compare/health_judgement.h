/* What health_judge.c, health_waits.c and health_json.c share; nobody else includes this. */
#ifndef HEALTH_JUDGEMENT_H
#define HEALTH_JUDGEMENT_H

#include "health_judge.h"

/* A wait event of active sessions, "Lock:relation", or "CPU" for those that waited for nothing the server knows of. */
struct health_wait {
	const char *event; /* the lane's */
	struct health_stat of[JUDGE_LANES][WINDOW_COUNT];
	double growth; /* sessions more on the migrating lane since the migration began than there should be */
	bool grew;
};

struct health_judge {
	const struct windows *windows;
	int64_t end_ns;
	int64_t bin_ns;
	bool there[JUDGE_LANES];
	struct health_lane lanes[JUDGE_LANES];
	struct noise_list noise;
	struct health_wait *waits; /* by growth, then by how many there were */
	size_t wait_count;
};

/*
 * An event grew when, during the migration or after it, at least HEALTH_WAIT_MIN sessions more were in it on average
 * than before on the same lane, and than on the baseline at the same time, and at least twice as many; when it was seen
 * in HEALTH_WAIT_SEEN samples; and when chance does not explain it, by an exact binomial test of the sessions counted
 * on either side.
 */
#define HEALTH_WAIT_MIN	  0.5
#define HEALTH_WAIT_TIMES 2.0
#define HEALTH_WAIT_SEEN  3
#define HEALTH_WAIT_ALPHA 0.0005
void health_waits_fill(struct health_judge *judge);

#endif
