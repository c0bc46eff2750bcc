/* The demo's last part: from the shop's log to a replay file, and from there to a verdict for each migration. */
#ifndef DEMO_REHEARSE_H
#define DEMO_REHEARSE_H

#include "demo_server.h"
#include "demo_shop.h"
#include "error.h"

#include <stdint.h>

/* What all runs share. */
struct demo_recording {
	const struct demo_server *server;
	const char *folder;    /* for the reports */
	char *replay;	       /* the replay file */
	int64_t migrate_at_ns; /* in its time */
};

/* How one rehearsal ended; the strings are the run's own. */
struct demo_run {
	char *outcome;
	char *reason;
	char *report; /* path of the HTML report */
};

int demo_recording_make(struct demo_recording *recording, struct error *err);
void demo_recording_release(struct demo_recording *recording);
int demo_rehearse(const struct demo_recording *recording, const struct demo_migration *migration, struct demo_run *run,
		  struct error *err);
void demo_run_release(struct demo_run *run);

#endif
