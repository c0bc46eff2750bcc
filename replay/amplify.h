/*
 * More load than was recorded: a replay file in which each session comes several times, its copies shifted by a jitter
 * of their own that a seed decides. Each copy's items have ordinals like any other, so everything behind (index, run
 * logs, judges) needs to know nothing of it. Copies read only, unless told otherwise: a write sent twice is not the
 * application's.
 */
#ifndef AMPLIFY_H
#define AMPLIFY_H

#include "error.h"
#include "replay_file.h"

#include <stdint.h>

struct amplify_options {
	uint32_t times;	   /* 2 … 1000: how often each session comes, itself included */
	int64_t jitter_ns; /* a copy starts up to so much later */
	uint64_t seed;	   /* the same seed, the same file */
	bool writes;	   /* copies write too */
};

struct amplify_counts {
	uint64_t copied;   /* items of copies */
	uint64_t left_out; /* writes that the copies do not send */
};

int amplify_write(const struct replay_file *file, const struct amplify_options *options, const char *path,
		  struct amplify_counts *counts, struct error *err);

#endif
