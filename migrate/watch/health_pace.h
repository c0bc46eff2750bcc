/*
 * How often the health sampler does what costs something: as often as one likes to have it, but for a 200th of the time
 * at most, going by the least of the last few costs, so that a machine that is overloaded for a while, which is when
 * one wants to look, is not looked at less.
 */
#ifndef HEALTH_PACE_H
#define HEALTH_PACE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define HEALTH_COSTS_KEPT 8

struct health_pace {
	int64_t interval_ns; /* as often as one likes to have it */
	int64_t due_ns;
	int64_t costs_ns[HEALTH_COSTS_KEPT];
	size_t cost_count;
};
bool health_pace_is_due(const struct health_pace *pace, int64_t now_ns);
/* It was done at now_ns and took cost_ns. */
void health_pace_done(struct health_pace *pace, int64_t now_ns, int64_t cost_ns);

/*
 * When the sessions are looked at: ten times in a sample's interval while a look is cheap, and once at least. Not at
 * equal distances: what clients do at every full second, or ten times a second, would be seen always or never. The
 * moments are spread by the golden ratio, which visits every part of a second equally often, the same for
 * both lanes where they can afford as many.
 */
#define HEALTH_LOOKS 10

struct health_looks {
	struct health_pace pace;
	int64_t tick_ns;
	int64_t every;	  /* one look in so many ticks */
	int64_t least_ns; /* the cheapest look since the last review; INT64_MAX: there was none */
};
void health_looks_init(struct health_looks *looks, int64_t interval_ns);
/* The moment of the next look after now_ns, from the run's start. */
int64_t health_looks_next_ns(const struct health_looks *looks, int64_t now_ns);
void health_looks_done(struct health_looks *looks, int64_t cost_ns);
/* Once an interval: how many ticks have one look from now on. */
void health_looks_review(struct health_looks *looks);

#endif
