/*
 * Rolling a base backup forward with archived WAL, to the moment at which a recording begins or to the archive's end
 * (PostgreSQL's manual, 26.3.4, "Recovering Using a Continuous Archive Backup"). It happens once, in the first clone,
 * with a server that nobody can reach; then that server is shut down, and the other lanes are copies.
 */
#ifndef CLONE_RECOVERY_H
#define CLONE_RECOVERY_H

#include "clone.h"
#include "clone_source.h"
#include "error.h"

#include <stdbool.h>

/* ERR_USAGE when the request's words on archive, point in time and source do not go together. */
int clone_recovery_check(const struct clone_request *request, struct error *err);
bool clone_recovery_is_wanted(const struct clone_request *request);
/*
 * The first clone's data directory is there and configured; afterwards it is recovered, promoted and cleanly shut down.
 * ERR_DATA when the target lies before the backup's end or after the archive's, with the times.
 */
int clone_recovery_run(const struct clone_source *source, const struct clone_request *request, struct clone_set *set,
		       struct error *err);

#endif
