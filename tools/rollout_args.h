/* The options about the roll-out in production, which the judging commands share, and [blackout] of the configuration.
 */
#ifndef ROLLOUT_ARGS_H
#define ROLLOUT_ARGS_H

#include "config.h"
#include "options.h"
#include "rollout.h"

struct rollout_args {
	struct option_list row_ratios;
	int64_t deploy_timeout_ns;
	const char *planned_at;
};

#define ROLLOUT_ARG_ROWS(args)                                                                                       \
	OPT_LIST(0, "row-ratio", &(args).row_ratios, "[TABLE=]N",                                                    \
		 "production has N times the clone's rows, in all tables or in one; may be given more than once",    \
		 .standard_note = "1"),                                                                              \
		OPT_DURATION(0, "deploy-timeout", &(args).deploy_timeout_ns, "TIME",                                 \
			     "what the deploy step or CI job that will run the migration allows",                    \
			     .standard_note = "not known"),                                                          \
		OPT_STRING(0, "planned-at", &(args).planned_at, "TIME",                                              \
			   "when the migration is to run in production, to be held against the section [blackout]: " \
			   "'2026-12-01 22:00' in its time zone, or with an offset",                                 \
			   .standard_note = "not known")

/* The options, and what [blackout] says; to be released whatever the result. */
int rollout_args_load(const struct rollout_args *args, const struct config *config, struct rollout *rollout,
		      struct error *err);

#endif
