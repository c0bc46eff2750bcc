/* Sends cancel requests from a thread of its own: see canceller.h. */
#include "canceller.h"

#include "mem.h"

#include <pthread.h>

#define END_WAIT_S 3

struct waiting {
	struct waiting *next;
	struct driver_cancel *cancel;
};

struct canceller {
	const struct driver *driver;
	pthread_t thread;
	pthread_mutex_t lock;
	pthread_cond_t changed;
	struct waiting *first;
	struct waiting **tail;
	bool stop;
	bool orphan; /* nobody waits for the thread any more: it frees everything itself */
};

static void release(struct canceller *canceller)
{
	(void)pthread_cond_destroy(&canceller->changed);
	(void)pthread_mutex_destroy(&canceller->lock);
	free(canceller);
}

static void *send_cancels(void *context)
{
	struct canceller *canceller = context;
	(void)pthread_mutex_lock(&canceller->lock);
	for (;;) {
		struct waiting *next = canceller->first;
		if (!next && canceller->stop)
			break;
		if (!next) {
			(void)pthread_cond_wait(&canceller->changed, &canceller->lock);
			continue;
		}
		canceller->first = next->next;
		if (!canceller->first)
			canceller->tail = &canceller->first;
		(void)pthread_mutex_unlock(&canceller->lock);
		canceller->driver->cancel_send(next->cancel);
		free(next);
		(void)pthread_mutex_lock(&canceller->lock);
	}
	bool orphan = canceller->orphan;
	(void)pthread_mutex_unlock(&canceller->lock);
	if (orphan)
		release(canceller);
	return NULL;
}

struct canceller *canceller_start(const struct driver *driver)
{
	struct canceller *canceller = mem_zalloc(1, sizeof(*canceller));
	canceller->driver = driver;
	canceller->tail = &canceller->first;
	(void)pthread_mutex_init(&canceller->lock, NULL);
	(void)pthread_cond_init(&canceller->changed, NULL);
	if (pthread_create(&canceller->thread, NULL, send_cancels, canceller) != 0)
		abort(); /* as for memory: a thread that cannot be had has no recovery */
	return canceller;
}

void canceller_submit(struct canceller *canceller, struct driver_cancel *cancel)
{
	struct waiting *waiting = mem_zalloc(1, sizeof(*waiting));
	waiting->cancel = cancel;
	(void)pthread_mutex_lock(&canceller->lock);
	*canceller->tail = waiting;
	canceller->tail = &waiting->next;
	(void)pthread_cond_signal(&canceller->changed);
	(void)pthread_mutex_unlock(&canceller->lock);
}

void canceller_free(struct canceller *canceller)
{
	if (!canceller)
		return;
	(void)pthread_mutex_lock(&canceller->lock);
	canceller->stop = true;
	(void)pthread_cond_signal(&canceller->changed);
	(void)pthread_mutex_unlock(&canceller->lock);
	struct timespec until;
	(void)clock_gettime(CLOCK_REALTIME, &until);
	until.tv_sec += END_WAIT_S;
	if (pthread_timedjoin_np(canceller->thread, NULL, &until) == 0) {
		release(canceller);
		return;
	}
	pthread_t thread = canceller->thread;
	(void)pthread_mutex_lock(&canceller->lock);
	canceller->orphan = true;
	(void)pthread_mutex_unlock(&canceller->lock);
	(void)pthread_detach(thread);
}
