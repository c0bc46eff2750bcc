/*
 * The rehearsal itself: a replay file against one or two targets at once, the migration on the second in the middle,
 * lock samplers on both, and a run directory with everything that compare and report need. The threads: one lane each
 * (and its read-ahead), one lock watch each, one for the migration; the caller's thread keeps the time and reports
 * progress.
 */
#ifndef REHEARSAL_H
#define REHEARSAL_H

#include "amplify.h"
#include "error.h"
#include "lane.h"
#include "migration_runner.h"

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

/* For people, every 100 ms. */
struct rehearsal_progress {
	struct lane_progress lanes[2]; /* baseline, migrating */
	uint32_t waiting[2];	       /* backends that wait for a lock */
	int lane_count;
	uint64_t item_count; /* due in this run */
	int64_t now_ns;	     /* since the run's start; negative before it */
	int64_t span_ns;     /* when the last item is due */
	bool migration_running;
	uint32_t migration_statement; /* which one, from 1 */
};

struct rehearsal_options {
	const char *replay_path;
	const char *baseline_url;
	const char *migrating_url; /* NULL: one lane, no migration, no verdict */
	const char *run_dir;
	bool replace;			      /* a run that is there already may be overwritten */
	const struct migration_way *way;      /* NULL, or without a migration: an A/A run */
	const struct migration_way *rollback; /* after the migration, while the replay goes on; NULL: none (C2) */
	int64_t rollback_after_ns;	      /* from the migration's end to the rollback's start */
	int64_t migrate_at_ns;		      /* in the file's time; negative: half of what is replayed */
	int64_t start_at_ns;		      /* part of the file; stop_at_ns 0: to its end */
	int64_t stop_at_ns;
	double speed;			/* 0: all at once */
	int64_t skip_idle_ns;		/* schedule.h */
	uint32_t max_sessions;		/* schedule.h */
	int64_t stall_timeout_ns;	/* lane.h */
	int64_t drain_timeout_ns;	/* lane.h; does not run while the migration does */
	int64_t migration_timeout_ns;	/* 0 for none */
	int64_t sample_interval_ns;	/* of the lock watch, 0 for its own */
	struct amplify_options amplify; /* amplify.h; times 0 or 1: as recorded */
	struct lane_name_map user_map;	/* lane.h */
	struct lane_name_map database_map;
	bool check_results;
	const char *commit; /* of what is tested, for the report; NULL when not known */
	uint32_t workers;   /* threads a lane, 0 means 1 */
	bool known_clone;   /* --i-know-this-is-a-clone */
	json_t *clones;	    /* what is known of how the targets were made, for the environment; NULL: nothing */
	const volatile bool *cancelled;
	void (*progress)(void *context, const struct rehearsal_progress *progress);
	void *progress_context;
};

/*
 * What can be known to be wrong before there are targets: the run folder, the replay file and the times in it. The URLs
 * are not looked at; two lanes are meant.
 */
int rehearsal_check(const struct rehearsal_options *options, struct error *err);

/*
 * Runs it and leaves the run directory, run.json last. *run is that document (a new reference). ERR_INTERRUPTED after
 * *cancelled: what was done by then is kept in the run directory and marked. After any other error the directory is
 * gone. ERR_DATA for a file without items and a migrate_at outside what is replayed; the errors of pg_target.h before
 * anything was sent.
 */
int rehearsal_run(const struct rehearsal_options *options, json_t **run, struct error *err);

#endif
