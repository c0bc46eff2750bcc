/*
 * Prometheus metrics of the replay that runs, over HTTP: `curl http://127.0.0.1:PORT/metrics`. Text format 0.0.4
 * (https://prometheus.io/docs/instrumenting/exposition_formats/). Counts only: no statement, no name of a user.
 */
#ifndef METRICS_H
#define METRICS_H

#include "error.h"
#include "rehearsal.h"

/* "PORT" or "ADDRESS:PORT"; answers from a thread of its own until the process ends. ERR_USAGE when it cannot listen.
 */
int metrics_listen(const char *place, struct error *err);
/* What the next scrape gets. Does nothing when nobody listens. */
void metrics_update(const struct rehearsal_progress *progress);

#endif
