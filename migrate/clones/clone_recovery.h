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
 * Before anything is copied: ERR_DATA for a target before the backup's beginning, which PostgreSQL itself does not
 * notice when the first transaction of the archive is beyond both.
 */
int clone_recovery_check_source(const struct clone_source *source, const struct clone_request *request,
				struct error *err);
/*
 * The first clone's data directory is there and configured; afterwards it is recovered, promoted and cleanly shut down.
 * ERR_DATA when the target lies before the backup's end or after the archive's, with the times.
 */
int clone_recovery_run(const struct clone_source *source, const struct clone_request *request, struct clone_set *set,
		       struct error *err);
/*
 * With the first clone up: the check of clone_recovery_check_source() where only a server knows the time zone that the
 * backup's label is written in.
 */
int clone_recovery_verify(const struct clone_request *request, const struct clone_set *set, struct error *err);

#endif
