/*
 * The noise floor's options, which calibrate, test-migration and run-replay share, and the two things done with it: a
 * run without a migration goes into the store, and what the store knows is put beside a new run.
 */
#ifndef NOISE_ARGS_H
#define NOISE_ARGS_H

#include "error.h"
#include "noise_floor.h"
#include "options.h"

#include <jansson.h>

struct noise_args {
	const char *store; /* NULL: the usual place */
	const char *workload;
};

#define NOISE_ARG_ROWS(args)                                                                                     \
	OPT_STRING(0, "noise-store", &(args).store, "FILE",                                                      \
		   "where calibrate keeps what runs without a migration differ by",                              \
		   .standard_note = "$XDG_STATE_HOME/rehearse/noise.db, else ~/.local/state/rehearse/noise.db"), \
		OPT_STRING(0, "workload", &(args).workload, "NAME",                                              \
			   "the traffic's name there; runs of one name are "                                     \
			   "taken together",                                                                     \
			   .standard_note = "the databases' names")

/*
 * Puts NOISE_FLOOR_FILE into a run directory when the store knows this workload on this machine. A store that is not
 * there is none; one that cannot be read is a warning: a run is not lost for it.
 */
void noise_put_beside(const struct noise_args *args, const char *run_dir);
/* Takes in the verdict of a run without a migration, in its directory, and fills *floor, the caller's to release. */
int noise_take_in(const struct noise_args *args, const char *run_dir, const json_t *verdict, struct noise_floor *floor,
		  struct error *err);

#endif
