/*
 * Where the results of baseline-against-baseline runs are kept: a SQLite database with one row a run and one for each
 * statement's latency ratio in it. What a workload's noise on a machine is, is asked from there and put beside a new
 * run (noise_floor.h). Several programs may use it at once.
 */
#ifndef NOISE_STORE_H
#define NOISE_STORE_H

#include "error.h"
#include "noise_floor.h"

#include <jansson.h>

/* Runs that count: the latest of that workload on that machine. */
#define NOISE_STORE_RUNS_MAX 200

struct noise_store;

/* Makes file and folder when they are not there. ERR_DATA when it is no such database. */
int noise_store_open(const char *path, struct noise_store **out, struct error *err);
void noise_store_close(struct noise_store *store);
/*
 * Takes in the verdict of a run without a migration: all of it or nothing. ERR_USAGE for one with a migration. An
 * invalid run is counted, and its ratios are not.
 */
int noise_store_add(struct noise_store *store, const char *workload, const char *machine, const json_t *verdict,
		    struct error *err);
/* Fills *floor (released by the caller whatever the result); without runs its `runs` is 0. */
int noise_store_read(struct noise_store *store, const char *workload, const char *machine, struct noise_floor *floor,
		     struct error *err);
/* $XDG_STATE_HOME/rehearse/noise.db, else ~/.local/state/rehearse/noise.db; to be freed. NULL without a home. */
char *noise_store_usual_path(void);
/* "Intel(R) Xeon(R) Processor, 2 cores, 24 GiB"; to be freed. */
char *noise_store_machine(void);

#endif
