/*
 * The shop's programs, played by pgbench: three applications, 24 sessions, some with prepared statements and some
 * without, at a steady rate.
 */
#ifndef DEMO_TRAFFIC_H
#define DEMO_TRAFFIC_H

#include "demo_server.h"

#include <stdint.h>

struct demo_traffic {
	int64_t transactions;
	int sessions;
};

/* Runs for that many seconds. */
int demo_traffic_run(struct demo_server *server, int seconds, struct demo_traffic *traffic, struct error *err);

#endif
