/*
 * The noise floor ("noise.json" in a run directory): how far apart the two lanes of this workload on this machine are
 * when there is no migration, from earlier baseline-against-baseline runs (`rehearse calibrate`). A run that has one is
 * judged by it; it lies in the run directory so that the verdict can be had again elsewhere.
 */
#ifndef NOISE_FLOOR_H
#define NOISE_FLOOR_H

#include "error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define NOISE_FLOOR_FILE     "noise.json"
#define NOISE_FLOOR_RUNS_MIN 5 /* fewer runs say nothing of a statement */

/* One statement over all those runs in which it was executed often enough for a ratio. */
struct noise_statement {
	uint64_t hash; /* of the fingerprint */
	uint32_t runs;
	double log_rms; /* √mean(log² ratio), ratio being the second lane's latency over the first's: 0.05 is about 5 %
			 */
	double log_max; /* the largest |log ratio| */
};

struct noise_floor {
	char *workload; /* as calibrate was told, or the databases' names */
	char *machine;	/* processor, cores, memory */
	uint32_t runs;
	uint32_t outcomes[4];		    /* of them: clear, hurts, cannot_tell, invalid */
	struct noise_statement *statements; /* by hash */
	size_t count;
	size_t capacity;
};

void noise_floor_init(struct noise_floor *floor);
void noise_floor_release(struct noise_floor *floor);
/* NULL when the statement was not seen. */
const struct noise_statement *noise_floor_find(const struct noise_floor *floor, uint64_t hash);
int noise_floor_save(const struct noise_floor *floor, const char *path, struct error *err);
/* Fills *floor, which the caller releases. ERR_DATA when it is none. */
int noise_floor_load(const char *path, struct noise_floor *floor, struct error *err);

#endif
