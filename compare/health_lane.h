/*
 * One lane's health log (health_log.h) boiled down: for each figure that is worth a picture its mean and maximum in
 * each window and at most 200 bins over the run, and for keyed series (wait events, tables, slots) the same without the
 * bins. A walk over the file, in memory that does not grow with the run's length.
 *
 * A sample stands for the time since the sample before it, so that a migration of a fifth of a second, between two
 * samples, is in the one behind it.
 */
#ifndef HEALTH_LANE_H
#define HEALTH_LANE_H

#include "health_log.h"
#include "windows.h"

#include <stdbool.h>
#include <stddef.h>

#define HEALTH_BINS_MAX 200

/* A figure as a reader knows it, made of a series as it was sampled. */
struct health_figure {
	const char *name;   /* in verdict.json */
	const char *title;  /* for people */
	const char *unit;   /* "bytes/s", "s", "sessions", "cores" … */
	const char *series; /* of health_series.h; a counter becomes its rate */
	double scale;	    /* one of the series' unit in ours */
	bool machine;	    /* of the machine, the same for both lanes where they share one */
};
#define HEALTH_FIGURES_MAX 32
size_t health_figure_count(void);
const struct health_figure *health_figure_at(size_t index);
/* SIZE_MAX for none of that name. */
size_t health_figure_find(const char *name);

struct health_stat {
	uint64_t n; /* 0: nothing is known, and the rest is meaningless */
	double mean;
	double max;
	double total; /* a rate's: what came together in the window */
	double first; /* a gauge's first and last value in the window */
	double last;
	double weight; /* while it is summed up */
};

/* A keyed series: a wait event, a table, a slot. */
struct health_key {
	struct health_series id;
	struct health_stat of[WINDOW_COUNT]; /* mean over all samples of the group, zeros included */
};

struct health_lane {
	struct health_log *log; /* NULL: there is none that can be read, and `reason` says why */
	char reason[256];
	struct health_stat of[HEALTH_FIGURES_MAX][WINDOW_COUNT];
	float bins[HEALTH_FIGURES_MAX][HEALTH_BINS_MAX]; /* the largest in each; NAN where nothing is known */
	struct health_key *keys;
	size_t key_count;
	uint64_t samples[WINDOW_COUNT]; /* of sessions: what keyed means are taken over */
	struct health_stat sample_cost; /* ms from a sample's first question to its last answer */
	double own_cpu_share;		/* of one core, by us; negative when it is not known */
	double own_server_cpu_share;	/* … and by the server for us */
};

/* Reads the file of that lane. Never fails: what cannot be read is not known. */
void health_lane_read(struct health_lane *lane, const char *path, const struct windows *windows, int64_t bin_ns);
void health_lane_release(struct health_lane *lane);
/* Both windows as one. */
struct health_stat health_stat_join(const struct health_stat *a, const struct health_stat *b);
/* NULL when there is none. */
const struct health_key *health_lane_key(const struct health_lane *lane, const char *name, const char *key);

#endif
