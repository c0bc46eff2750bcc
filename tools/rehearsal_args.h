/*
 * The options that run-replay and test-migration share, as rows for their tables, and what both show while a rehearsal
 * runs.
 */
#ifndef REHEARSAL_ARGS_H
#define REHEARSAL_ARGS_H

#include "command.h"
#include "migration_args.h"
#include "noise_args.h"
#include "rehearsal.h"

struct rehearsal_args {
	const char *run_dir;
	bool replace;
	struct migration_args migration;
	const char *migrate_at; /* text: its absence means half of the replay */
	const char *speed;
	struct option_list user_map;
	struct option_list database_map;
	bool check_results;
	const char *commit;
	int64_t amplify;
	int64_t amplify_jitter_ns;
	int64_t seed;
	bool amplify_writes;
	const char *metrics_listen;
	int64_t workers;
	int64_t skip_idle_ns;
	int64_t max_sessions;
	int64_t stall_timeout_ns;
	int64_t start_at_ns;
	int64_t stop_at_ns;
	int64_t drain_timeout_ns;
	int64_t migration_timeout_ns;
	int64_t sample_interval_ns;
	struct noise_args noise;
};

/* How the traffic is replayed. */
#define REPLAY_ARG_ROWS(args)                                                                                         \
	OPT_STRING(0, "speed", &(args).speed, "FACTOR",                                                               \
		   "2 replays twice as fast as recorded; max: as fast as the server answers", .standard = "1"),       \
		OPT_LIST(0, "user-map", &(args).user_map, "FROM=TO", "connect sessions of user FROM as TO"),          \
		OPT_LIST(0, "database-map", &(args).database_map, "FROM=TO",                                          \
			 "connect sessions of database FROM to TO"),                                                  \
		OPT_FLAG(0, "check-results", &(args).check_results,                                                   \
			 "digest the rows of every result, to compare the lanes'"),                                   \
		OPT_STRING(0, "metrics-listen", &(args).metrics_listen, "[ADDRESS:]PORT",                             \
			   "serve Prometheus metrics at /metrics while the replay runs; the address is 127.0.0.1 "    \
			   "unless given"),                                                                           \
		OPT_INT(0, "amplify", &(args).amplify, "N", "send each session N times; copies only read",            \
			.standard = "1", .min = 1, .max = 1000),                                                      \
		OPT_DURATION(0, "amplify-jitter", &(args).amplify_jitter_ns, "TIME",                                  \
			     "copies start up to so much later", .standard = "1s"),                                   \
		OPT_FLAG(0, "amplify-writes", &(args).amplify_writes,                                                 \
			 "copies write too: statements that the application never sent twice"),                       \
		OPT_INT(0, "seed", &(args).seed, "N", "decides the copies' jitter; the same seed gives the same run", \
			.standard = "1"),                                                                             \
		OPT_INT(0, "workers", &(args).workers, "N", "threads for each lane", .standard = "1", .min = 1,       \
			.max = 64),                                                                                   \
		OPT_DURATION(0, "skip-idle", &(args).skip_idle_ns, "TIME", "cut a time without any item to this",     \
			     .standard_note = "idle times are kept"),                                                 \
		OPT_INT(0, "max-sessions", &(args).max_sessions, "N",                                                 \
			"leave out sessions that would make more than N at once", .standard_note = "no limit",        \
			.min = 0, .max = 1000000),                                                                    \
		OPT_DURATION(0, "stall-timeout", &(args).stall_timeout_ns, "TIME",                                    \
			     "give a lane up when statements are sent and none is answered for so long; 0 for never", \
			     .standard = "5m"),                                                                       \
		OPT_DURATION(0, "start-at", &(args).start_at_ns, "OFFSET", "leave out what comes before",             \
			     .standard_note = "the beginning"),                                                       \
		OPT_DURATION(0, "stop-at", &(args).stop_at_ns, "OFFSET", "leave out what comes after",                \
			     .standard_note = "the end"),                                                             \
		OPT_DURATION(0, "drain-timeout", &(args).drain_timeout_ns, "TIME",                                    \
			     "end the run when, with everything sent and no migration under way, nothing has "        \
			     "finished for so long",                                                                  \
			     .standard = "60s"),                                                                      \
		OPT_DURATION(0, "sample-interval", &(args).sample_interval_ns, "TIME",                                \
			     "between two looks at the locks", .standard = "10ms"),                                   \
		NOISE_ARG_ROWS((args).noise)

#define REHEARSAL_ARG_ROWS(args)                                                                             \
	OPT_STRING('o', "output", &(args).run_dir, "RUN", "folder for the run's files",                      \
		   .attributes = OPTION_REQUIRED),                                                           \
		OPT_FLAG(0, "replace", &(args).replace, "overwrite the run that RUN holds already"),         \
		MIGRATION_ARG_ROWS((args).migration),                                                        \
		OPT_STRING(0, "migrate-at", &(args).migrate_at, "OFFSET",                                    \
			   "when the migration starts, in the replay's time",                                \
			   .standard_note = "half of what is replayed"),                                     \
		OPT_DURATION(0, "migration-timeout", &(args).migration_timeout_ns, "TIME",                   \
			     "cancel a migration that takes longer; 0 for never", .standard = "1h"),         \
		OPT_STRING(0, "commit", &(args).commit, "ID", "commit id of what is tested, for the report", \
			   .standard_note = "$GITHUB_SHA, $CI_COMMIT_SHA or $GIT_COMMIT"),                   \
		REPLAY_ARG_ROWS(args)

/* Everything that both commands give to a rehearsal in the same way. What it allocates lives as long as the process. */
int rehearsal_args_apply(const struct rehearsal_args *args, struct rehearsal_options *options, struct error *err);
/* For rehearsal_options.progress. */
void rehearsal_show_progress(void *context, const struct rehearsal_progress *progress);
/* A few lines on what the lanes did. */
void rehearsal_print_lanes(const json_t *run);

#endif
