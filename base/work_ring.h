/*
 * A ring of slots that are filled in order, worked on by several threads, and taken in order again: what the threads do
 * to speed never shows in the result. The number of slots bounds what is under way.
 *
 * One thread fills (claim, submit, end), one takes (take, release); they may be the same, which then claims only what
 * work_ring_is_full() says is there.
 */
#ifndef WORK_RING_H
#define WORK_RING_H

#include <stdbool.h>
#include <stddef.h>

#define WORK_RING_THREADS_MAX 64

struct work_ring;

/* Does the work of one slot, in worker `thread` (from 0). Errors are kept in the slot. */
typedef void (*work_ring_work)(void *context, unsigned thread, void *slot);

/* slots: slot_count things of the caller's, all free. Falls back on fewer threads when the system gives no more. */
struct work_ring *work_ring_new(unsigned threads, void *const *slots, size_t slot_count, work_ring_work work,
				void *context);
/* Waits for work under way; work not begun is left undone. NULL is fine. */
void work_ring_free(struct work_ring *ring);

/* The next slot to fill, waiting until there is one; NULL after work_ring_stop(). */
void *work_ring_claim(struct work_ring *ring);
/* Hands the claimed slot to the workers. */
void work_ring_submit(struct work_ring *ring);
/* Nothing more will be submitted. */
void work_ring_end(struct work_ring *ring);
bool work_ring_is_full(struct work_ring *ring);

/* The oldest slot submitted, once its work is done; NULL when there is none and the ring has ended or was stopped. */
void *work_ring_take(struct work_ring *ring);
/* Gives the slot taken back to be filled again. */
void work_ring_release(struct work_ring *ring);
/* Wakes who waits in claim and take, with NULL. From any thread. */
void work_ring_stop(struct work_ring *ring);

/* As many threads as there are processors to run on, between 1 and max. */
unsigned work_ring_usual_threads(unsigned max);

#endif
