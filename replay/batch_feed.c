/* Read-ahead of a replay file's batches: see batch_feed.h. */
#include "batch_feed.h"

#include "clock.h"
#include "mem.h"

#include <pthread.h>
#include <stdbool.h>

#define READ_AHEAD 6 /* batches; one is at most 4,096 items */

struct batch_feed {
	const struct replay_file *file;
	pthread_t thread;
	pthread_mutex_t lock;
	pthread_cond_t changed;
	struct feed_batch *ready; /* oldest first */
	struct feed_batch **ready_tail;
	uint32_t ready_count;
	struct feed_batch *spare;
	struct feed_batch *lent; /* singly linked through next */
	bool ended;
	bool stop;
	int64_t cpu_ns;
	struct error error;
};

static struct feed_batch *take_spare(struct batch_feed *feed)
{
	struct feed_batch *batch = feed->spare;
	if (batch) {
		feed->spare = batch->next;
	} else {
		batch = mem_zalloc(1, sizeof(*batch));
		replay_batch_init(&batch->batch);
	}
	batch->next = NULL;
	return batch;
}

static void *read_batches(void *context)
{
	struct batch_feed *feed = context;
	uint32_t count = replay_file_batch_count(feed->file);
	(void)pthread_mutex_lock(&feed->lock);
	for (uint32_t i = 0; i < count && !feed->stop && feed->error.code == 0; i++) {
		while (feed->ready_count >= READ_AHEAD && !feed->stop)
			(void)pthread_cond_wait(&feed->changed, &feed->lock);
		struct feed_batch *batch = take_spare(feed);
		(void)pthread_mutex_unlock(&feed->lock);
		struct error err = ERROR_INIT;
		(void)replay_file_read_batch(feed->file, i, &batch->batch, &err);
		batch->open = batch->batch.count;
		(void)pthread_mutex_lock(&feed->lock);
		feed->error = err;
		*feed->ready_tail = batch;
		feed->ready_tail = &batch->next;
		feed->ready_count++;
		(void)pthread_cond_signal(&feed->changed);
	}
	struct timespec used;
	if (clock_gettime(CLOCK_THREAD_CPUTIME_ID, &used) == 0)
		feed->cpu_ns = (int64_t)used.tv_sec * NS_PER_S + used.tv_nsec;
	feed->ended = true;
	(void)pthread_cond_signal(&feed->changed);
	(void)pthread_mutex_unlock(&feed->lock);
	return NULL;
}

struct batch_feed *batch_feed_start(const struct replay_file *file)
{
	struct batch_feed *feed = mem_zalloc(1, sizeof(*feed));
	feed->file = file;
	feed->ready_tail = &feed->ready;
	(void)pthread_mutex_init(&feed->lock, NULL);
	(void)pthread_cond_init(&feed->changed, NULL);
	if (pthread_create(&feed->thread, NULL, read_batches, feed) != 0)
		abort(); /* as for memory: a thread that cannot be had has no recovery */
	return feed;
}

int batch_feed_next(struct batch_feed *feed, struct feed_batch **out, struct error *err)
{
	int rc = 0;
	*out = NULL;
	(void)pthread_mutex_lock(&feed->lock);
	while (!feed->ready && !feed->ended)
		(void)pthread_cond_wait(&feed->changed, &feed->lock);
	struct feed_batch *batch = feed->ready;
	bool failed = feed->error.code != 0 && (!batch || !batch->next);
	if (failed) {
		*err = feed->error;
		rc = -err->code;
	} else if (batch) {
		feed->ready = batch->next;
		if (!feed->ready)
			feed->ready_tail = &feed->ready;
		feed->ready_count--;
		batch->next = feed->lent;
		feed->lent = batch;
		*out = batch;
		(void)pthread_cond_signal(&feed->changed);
	}
	(void)pthread_mutex_unlock(&feed->lock);
	return rc;
}

void batch_feed_return(struct batch_feed *feed, struct feed_batch *batch)
{
	(void)pthread_mutex_lock(&feed->lock);
	struct feed_batch **link = &feed->lent;
	while (*link != batch)
		link = &(*link)->next;
	*link = batch->next;
	batch->next = feed->spare;
	feed->spare = batch;
	(void)pthread_mutex_unlock(&feed->lock);
}

int64_t batch_feed_cpu_ns(struct batch_feed *feed)
{
	(void)pthread_mutex_lock(&feed->lock);
	int64_t cpu_ns = feed->cpu_ns;
	(void)pthread_mutex_unlock(&feed->lock);
	return cpu_ns;
}

static void free_list(struct feed_batch *batch)
{
	while (batch) {
		struct feed_batch *next = batch->next;
		replay_batch_release(&batch->batch);
		free(batch);
		batch = next;
	}
}

void batch_feed_free(struct batch_feed *feed)
{
	if (!feed)
		return;
	(void)pthread_mutex_lock(&feed->lock);
	feed->stop = true;
	(void)pthread_cond_signal(&feed->changed);
	(void)pthread_mutex_unlock(&feed->lock);
	(void)pthread_join(feed->thread, NULL);
	free_list(feed->ready);
	free_list(feed->spare);
	free_list(feed->lent);
	(void)pthread_cond_destroy(&feed->changed);
	(void)pthread_mutex_destroy(&feed->lock);
	free(feed);
}
