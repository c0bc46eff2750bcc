/* Slots filled, worked on and taken in order: see work_ring.h. Counters that only grow say where each of the three is.
 */
#include "work_ring.h"

#include "mem.h"

#include <pthread.h>
#include <sched.h>
#include <stdint.h>
#include <stdlib.h>

struct work_ring {
	pthread_mutex_t lock;
	pthread_cond_t room;   /* a slot was released */
	pthread_cond_t filled; /* a slot was submitted */
	pthread_cond_t done;   /* a slot's work was done */
	void *const *slots;
	bool *finished; /* by slot: its work is done */
	size_t slot_count;
	uint64_t submitted;
	uint64_t started; /* work was begun on so many */
	uint64_t released;
	bool ended;
	bool stopped;
	bool closing; /* workers go home */
	work_ring_work work;
	void *context;
	unsigned thread_count;
	struct worker {
		struct work_ring *ring;
		unsigned number;
		pthread_t thread;
	} workers[WORK_RING_THREADS_MAX];
};

static void *run_worker(void *argument)
{
	struct worker *worker = argument;
	struct work_ring *ring = worker->ring;
	(void)pthread_mutex_lock(&ring->lock);
	for (;;) {
		while (ring->started == ring->submitted && !ring->closing)
			(void)pthread_cond_wait(&ring->filled, &ring->lock);
		if (ring->closing)
			break;
		size_t at = ring->started++ % ring->slot_count;
		(void)pthread_mutex_unlock(&ring->lock);
		ring->work(ring->context, worker->number, ring->slots[at]);
		(void)pthread_mutex_lock(&ring->lock);
		ring->finished[at] = true;
		if (at == ring->released % ring->slot_count)
			(void)pthread_cond_signal(&ring->done);
	}
	(void)pthread_mutex_unlock(&ring->lock);
	return NULL;
}

struct work_ring *work_ring_new(unsigned threads, void *const *slots, size_t slot_count, work_ring_work work,
				void *context)
{
	struct work_ring *ring = mem_zalloc(1, sizeof(*ring));
	ring->slots = slots;
	ring->slot_count = slot_count;
	ring->finished = mem_zalloc(slot_count, sizeof(*ring->finished));
	ring->work = work;
	ring->context = context;
	(void)pthread_mutex_init(&ring->lock, NULL);
	(void)pthread_cond_init(&ring->room, NULL);
	(void)pthread_cond_init(&ring->filled, NULL);
	(void)pthread_cond_init(&ring->done, NULL);
	for (unsigned i = 0; i < threads && i < WORK_RING_THREADS_MAX; i++) {
		struct worker *worker = &ring->workers[ring->thread_count];
		worker->ring = ring;
		worker->number = ring->thread_count;
		if (pthread_create(&worker->thread, NULL, run_worker, worker) == 0)
			ring->thread_count++;
	}
	return ring;
}

void work_ring_free(struct work_ring *ring)
{
	if (!ring)
		return;
	(void)pthread_mutex_lock(&ring->lock);
	ring->closing = true;
	(void)pthread_cond_broadcast(&ring->filled);
	(void)pthread_mutex_unlock(&ring->lock);
	for (unsigned i = 0; i < ring->thread_count; i++)
		(void)pthread_join(ring->workers[i].thread, NULL);
	(void)pthread_cond_destroy(&ring->room);
	(void)pthread_cond_destroy(&ring->filled);
	(void)pthread_cond_destroy(&ring->done);
	(void)pthread_mutex_destroy(&ring->lock);
	free(ring->finished);
	free(ring);
}

void *work_ring_claim(struct work_ring *ring)
{
	void *slot = NULL;
	(void)pthread_mutex_lock(&ring->lock);
	while (ring->submitted - ring->released == ring->slot_count && !ring->stopped)
		(void)pthread_cond_wait(&ring->room, &ring->lock);
	if (!ring->stopped)
		slot = ring->slots[ring->submitted % ring->slot_count];
	(void)pthread_mutex_unlock(&ring->lock);
	return slot;
}

void work_ring_submit(struct work_ring *ring)
{
	(void)pthread_mutex_lock(&ring->lock);
	size_t at = ring->submitted++ % ring->slot_count;
	ring->finished[at] = false;
	bool alone = ring->thread_count == 0;
	if (alone)
		ring->started++;
	(void)pthread_cond_signal(&ring->filled);
	(void)pthread_mutex_unlock(&ring->lock);
	if (!alone)
		return;
	/* No thread could be had: whoever submits does the work. */
	ring->work(ring->context, 0, ring->slots[at]);
	(void)pthread_mutex_lock(&ring->lock);
	ring->finished[at] = true;
	(void)pthread_cond_signal(&ring->done);
	(void)pthread_mutex_unlock(&ring->lock);
}

void work_ring_end(struct work_ring *ring)
{
	(void)pthread_mutex_lock(&ring->lock);
	ring->ended = true;
	(void)pthread_cond_signal(&ring->done);
	(void)pthread_mutex_unlock(&ring->lock);
}

bool work_ring_is_full(struct work_ring *ring)
{
	(void)pthread_mutex_lock(&ring->lock);
	bool full = ring->submitted - ring->released == ring->slot_count;
	(void)pthread_mutex_unlock(&ring->lock);
	return full;
}

void *work_ring_take(struct work_ring *ring)
{
	void *slot = NULL;
	(void)pthread_mutex_lock(&ring->lock);
	for (;;) {
		size_t at = ring->released % ring->slot_count;
		bool any = ring->released < ring->submitted;
		if (ring->stopped || (!any && ring->ended))
			break;
		if (any && ring->finished[at]) {
			slot = ring->slots[at];
			break;
		}
		(void)pthread_cond_wait(&ring->done, &ring->lock);
	}
	(void)pthread_mutex_unlock(&ring->lock);
	return slot;
}

void work_ring_release(struct work_ring *ring)
{
	(void)pthread_mutex_lock(&ring->lock);
	ring->released++;
	(void)pthread_cond_signal(&ring->room);
	(void)pthread_mutex_unlock(&ring->lock);
}

void work_ring_stop(struct work_ring *ring)
{
	(void)pthread_mutex_lock(&ring->lock);
	ring->stopped = true;
	(void)pthread_cond_signal(&ring->room);
	(void)pthread_cond_signal(&ring->done);
	(void)pthread_mutex_unlock(&ring->lock);
}

unsigned work_ring_usual_threads(unsigned max)
{
	cpu_set_t set;
	unsigned count = 1;
	if (sched_getaffinity(0, sizeof(set), &set) == 0)
		count = (unsigned)CPU_COUNT(&set);
	if (count > max)
		count = max;
	return count ? count : 1;
}
