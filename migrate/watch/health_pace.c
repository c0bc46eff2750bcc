/* How often the health sampler does what costs something: see health_pace.h. */
#include "health_pace.h"

#include "clock.h"

#include <math.h>

#define COST_SHARE   200
#define PACE_MAX_NS  (60 * NS_PER_S)
#define GOLDEN_RATIO 0.61803398874989485

bool health_pace_is_due(const struct health_pace *pace, int64_t now_ns)
{
	return now_ns >= pace->due_ns;
}

/* From one to the next, now that one more cost is known. */
static int64_t add_cost(struct health_pace *pace, int64_t cost_ns)
{
	pace->costs_ns[pace->cost_count++ % HEALTH_COSTS_KEPT] = cost_ns;
	size_t kept = pace->cost_count < HEALTH_COSTS_KEPT ? pace->cost_count : HEALTH_COSTS_KEPT;
	int64_t least_ns = cost_ns;
	for (size_t i = 0; i < kept; i++)
		least_ns = pace->costs_ns[i] < least_ns ? pace->costs_ns[i] : least_ns;
	int64_t wait_ns = least_ns < PACE_MAX_NS / COST_SHARE ? least_ns * COST_SHARE : PACE_MAX_NS;
	return wait_ns < pace->interval_ns ? pace->interval_ns : wait_ns;
}

void health_pace_done(struct health_pace *pace, int64_t now_ns, int64_t cost_ns)
{
	/* A quarter early: samples come at whole intervals, give or take a little. */
	pace->due_ns = now_ns + add_cost(pace, cost_ns) - pace->interval_ns / 4;
}

void health_looks_init(struct health_looks *looks, int64_t interval_ns)
{
	*looks = (struct health_looks){.tick_ns = interval_ns / HEALTH_LOOKS, .every = 1, .least_ns = INT64_MAX};
	looks->pace.interval_ns = looks->tick_ns;
}

int64_t health_looks_next_ns(const struct health_looks *looks, int64_t now_ns)
{
	int64_t step_ns = looks->tick_ns * looks->every;
	for (int64_t step = now_ns / step_ns - 2;; step++) {
		double turns = (double)step * GOLDEN_RATIO;
		int64_t at_ns = step * step_ns + (int64_t)((turns - floor(turns)) * (double)step_ns);
		if (at_ns > now_ns)
			return at_ns;
	}
}

void health_looks_done(struct health_looks *looks, int64_t cost_ns)
{
	if (cost_ns < looks->least_ns)
		looks->least_ns = cost_ns;
}

void health_looks_review(struct health_looks *looks)
{
	if (looks->least_ns == INT64_MAX)
		return;
	int64_t wait_ns = add_cost(&looks->pace, looks->least_ns);
	looks->every = (wait_ns + looks->tick_ns - 1) / looks->tick_ns;
	if (looks->every > HEALTH_LOOKS)
		looks->every = HEALTH_LOOKS;
	looks->least_ns = INT64_MAX;
}
