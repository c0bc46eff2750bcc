/* Which wait events grew while the migration ran (requirement I3): see health_judgement.h. */
#include "block_test.h"
#include "health_judgement.h"
#include "mem.h"

#include <math.h>

static struct health_wait *find_wait(struct health_judge *judge, const char *event)
{
	for (size_t i = 0; i < judge->wait_count; i++) {
		if (strcmp(judge->waits[i].event, event) == 0)
			return &judge->waits[i];
	}
	return NULL;
}

/* So many sessions in so many samples against so many in so many others, when both are of one kind. */
static double chance(double now, uint64_t now_samples, double then, uint64_t then_samples)
{
	uint64_t k = (uint64_t)llround(now * (double)now_samples);
	uint64_t n = k + (uint64_t)llround(then * (double)then_samples);
	return block_test_binomial_tail(k, n, (double)now_samples / (double)(now_samples + then_samples));
}

/* How many more sessions than the larger of the two that it is held against; 0 when it did not grow. */
static double growth_in(const struct health_judge *judge, const struct health_wait *wait, enum window_kind window)
{
	const struct health_lane *baseline = &judge->lanes[JUDGE_BASELINE];
	const struct health_lane *migrating = &judge->lanes[JUDGE_MIGRATING];
	double now = wait->of[JUDGE_MIGRATING][window].mean;
	double before = wait->of[JUDGE_MIGRATING][WINDOW_BEFORE].mean;
	double beside = wait->of[JUDGE_BASELINE][window].mean;
	double expected = fmax(before, beside);
	if (baseline->samples[window] == 0 || migrating->samples[WINDOW_BEFORE] == 0 ||
	    wait->of[JUDGE_MIGRATING][window].n < HEALTH_WAIT_SEEN || now - expected < HEALTH_WAIT_MIN ||
	    now < HEALTH_WAIT_TIMES * expected)
		return 0;
	uint64_t samples = migrating->samples[window];
	double p = fmax(chance(now, samples, before, migrating->samples[WINDOW_BEFORE]),
			chance(now, samples, beside, baseline->samples[window]));
	return p <= HEALTH_WAIT_ALPHA ? now - expected : 0;
}

static double share_of(const struct health_wait *wait)
{
	double most = 0;
	for (int lane = 0; lane < JUDGE_LANES; lane++) {
		for (int w = 0; w < WINDOW_COUNT; w++)
			most = fmax(most, wait->of[lane][w].mean);
	}
	return most;
}

static int compare_waits(const void *a, const void *b)
{
	const struct health_wait *x = a;
	const struct health_wait *y = b;
	if (x->growth != y->growth)
		return x->growth > y->growth ? -1 : 1;
	double left = share_of(x);
	double right = share_of(y);
	if (left != right)
		return left > right ? -1 : 1;
	return strcmp(x->event, y->event);
}

void health_waits_fill(struct health_judge *judge)
{
	size_t capacity = 0;
	for (int lane = 0; lane < JUDGE_LANES; lane++) {
		const struct health_lane *of = &judge->lanes[lane];
		for (size_t i = 0; i < of->key_count; i++) {
			const struct health_key *key = &of->keys[i];
			if (strcmp(key->id.name, "wait") != 0)
				continue;
			struct health_wait *wait = find_wait(judge, key->id.key);
			if (!wait) {
				MEM_GROW(judge->waits, judge->wait_count, capacity);
				wait = &judge->waits[judge->wait_count++];
				memset(wait, 0, sizeof(*wait));
				wait->event = key->id.key;
			}
			memcpy(wait->of[lane], key->of, sizeof(key->of));
		}
	}
	/* Held against a lane that told nothing, everything would have grown. */
	bool both = judge->lanes[JUDGE_BASELINE].log && judge->lanes[JUDGE_MIGRATING].log;
	for (size_t i = 0; both && judge->windows->migration && i < judge->wait_count; i++) {
		struct health_wait *wait = &judge->waits[i];
		wait->growth = fmax(growth_in(judge, wait, WINDOW_DURING), growth_in(judge, wait, WINDOW_AFTER));
		wait->grew = wait->growth > 0;
	}
	if (judge->wait_count > 1)
		qsort(judge->waits, judge->wait_count, sizeof(*judge->waits), compare_waits);
}
