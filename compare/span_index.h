/*
 * Spans of time by key (a backend, a relation), asked for those that overlap a given one. The judge asks that for every
 * wait and every stall, and a backfill in thousands of batches has thousands of both: looking at all spans each time
 * made it cubic.
 */
#ifndef SPAN_INDEX_H
#define SPAN_INDEX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct time_span {
	uint64_t key;
	int64_t start_ns;
	int64_t end_ns;
	int64_t until_ns; /* the latest end of this key's spans up to this one */
	size_t value;	  /* the caller's */
};

/* All zeros is an empty one. */
struct span_index {
	struct time_span *spans; /* by key, start, value; once it is sorted */
	size_t count;
	size_t capacity;
};

void span_index_release(struct span_index *index);
void span_index_add(struct span_index *index, uint64_t key, int64_t start_ns, int64_t end_ns, size_t value);
/* After the last one was added, before the first question. */
void span_index_sort(struct span_index *index);
/*
 * The next span of that key that overlaps [from, to], both ends included; NULL behind the last. *at is 0 before the
 * first and the index's own after that.
 */
const struct time_span *span_index_next(const struct span_index *index, uint64_t key, int64_t from_ns, int64_t to_ns,
					size_t *at);
/* A name as a key. Two names may share one: who asks compares the names. */
uint64_t span_key_of_text(const char *text);

#endif
