/*
 * Read-ahead: a thread that reads, checks and decodes the replay file's batches before the lane needs them, so that no
 * item waits for a disk or for zlib. A batch lives until the last of its items is done; a session that is stuck keeps
 * its batches and no others.
 */
#ifndef BATCH_FEED_H
#define BATCH_FEED_H

#include "error.h"
#include "replay_file.h"

#include <stdint.h>

struct batch_feed;

struct feed_batch {
	struct replay_batch batch;
	uint32_t open; /* items that are not done; the lane's thread counts */
	struct feed_batch *next;
};

/* The file must outlive the feed. */
struct batch_feed *batch_feed_start(const struct replay_file *file);
/* The next batch, open = its count; *out is NULL at the end. Waits when the reader is behind. */
int batch_feed_next(struct batch_feed *feed, struct feed_batch **out, struct error *err);
/* Gives a batch back, its memory to be used again. */
void batch_feed_return(struct batch_feed *feed, struct feed_batch *batch);
/* CPU time that the thread has used, once it has read everything; 0 before. */
int64_t batch_feed_cpu_ns(struct batch_feed *feed);
/* Stops the thread and frees all, batches that were not returned included. */
void batch_feed_free(struct batch_feed *feed);

#endif
