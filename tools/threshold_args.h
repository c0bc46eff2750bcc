/* The options about thresholds that the judging commands share, and [thresholds] of the configuration. */
#ifndef THRESHOLD_ARGS_H
#define THRESHOLD_ARGS_H

#include "config.h"
#include "options.h"
#include "thresholds.h"

struct threshold_args {
	bool strict;
	const char *preset;
};

#define THRESHOLD_ARG_ROWS(args)                                                                                   \
	OPT_FLAG(0, "strict", &(args).strict, "cannot tell, when a statement's latency is undecided"),             \
		OPT_STRING(0, "preset", &(args).preset, "NAME", "thresholds to begin with: default, or strict-4s", \
			   .standard = "default")

/* The preset, then what [thresholds] changes; to be released whatever the result. */
int threshold_args_load(const struct threshold_args *args, const struct config *config, struct thresholds *thresholds,
			struct error *err);

#endif
