/*
 * The two lanes beside each other: a walk over the items of a run in order of ordinal, which is the order in which they
 * were due and each session's own order, with what both lanes made of each. Memory is that of one page, whatever the
 * run's size. Nothing is left out: an item that one lane did not send is a pair too.
 */
#ifndef PAIRING_H
#define PAIRING_H

#include "run_data.h"

struct pair {
	uint64_t ordinal;
	const struct item_index_row *item;
	const struct run_record *lane[JUDGE_LANES];
};

struct pairing;
void pairing_open(struct run_data *data, struct pairing **out);
/* 1 with the next pair (valid until the next call), 0 at the end, negative on an error. */
int pairing_next(struct pairing *pairing, struct pair *out, struct error *err);
void pairing_free(struct pairing *pairing);

static inline bool pair_was_sent(const struct pair *pair, enum judge_lane lane)
{
	return pair->lane[lane]->outcome == RUN_OK || pair->lane[lane]->outcome == RUN_ERROR;
}

static inline int64_t pair_sent_ns(const struct pair *pair, enum judge_lane lane)
{
	return pair->item->due_ns + pair->lane[lane]->late_ns;
}

static inline int64_t pair_done_ns(const struct pair *pair, enum judge_lane lane)
{
	return pair_sent_ns(pair, lane) + pair->lane[lane]->service_ns;
}

/* q: how long the item had to wait for its own session. */
static inline int64_t pair_queue_ns(const struct pair *pair, enum judge_lane lane)
{
	return run_record_latency_ns(pair->lane[lane]) - pair->lane[lane]->service_ns;
}

static inline bool pair_is_statement(const struct pair *pair)
{
	return pair->item->kind == ITEM_SIMPLE || pair->item->kind == ITEM_EXECUTE;
}

/* An execution whose latency both lanes know: it went well, or it was still running at the end and is censored. */
static inline bool pair_has_latency(const struct pair *pair)
{
	for (int lane = 0; lane < JUDGE_LANES; lane++) {
		const struct run_record *r = pair->lane[lane];
		if (r->outcome != RUN_OK && !(r->outcome == RUN_ERROR && (r->flags & RUN_CENSORED)))
			return false;
	}
	return pair_is_statement(pair) && pair->item->fingerprint != ITEM_NO_TEXT;
}

#endif
