/*
 * What is known of the roll-out in production, and in no run directory: how many more rows production has, what the
 * deploy step or CI job allows, when it is planned, and when it must not be (docs/rollout.md).
 */
#ifndef ROLLOUT_H
#define ROLLOUT_H

#include "blackout_calendar.h"
#include "row_ratio.h"

struct rollout {
	struct row_ratios ratios;
	int64_t deploy_timeout_ns; /* 0: none is known */
	struct blackout_calendar calendar;
	bool planned;
	int64_t planned_ns; /* wall clock */
};

void rollout_init(struct rollout *rollout);
void rollout_release(struct rollout *rollout);

#endif
