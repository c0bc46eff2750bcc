/* What is known of the roll-out: see rollout.h. */
#include "rollout.h"

void rollout_init(struct rollout *rollout)
{
	*rollout = (struct rollout){0};
	row_ratios_init(&rollout->ratios);
	blackout_calendar_init(&rollout->calendar);
}

void rollout_release(struct rollout *rollout)
{
	row_ratios_release(&rollout->ratios);
	blackout_calendar_release(&rollout->calendar);
	rollout_init(rollout);
}
