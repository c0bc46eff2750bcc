/*
 * Lock waits from a clone's own server log (csvlog, with log_lock_waits on): who waited for which lock, from when to
 * when, behind whom. The server writes this down itself, so it is a witness beside the lock sampler, exact to the
 * log's millisecond, for every wait longer than deadlock_timeout; and it holds no statement: what is taken from it are
 * numbers and names of lock modes.
 */
#ifndef SERVER_LOCK_WAITS_H
#define SERVER_LOCK_WAITS_H

#include "error.h"

#include <stdint.h>

/*
 * Reads the csvlog at log_path and writes its waits as a lock log (lock_log.h, its interval being deadlock_timeout_ns)
 * to out_path. Times count from start_wall_ns, the run's start; waits that ended before it are left out. A log without
 * any record has no waits. ERR_DATA when the log is damaged: then nothing is written.
 */
int server_lock_waits_save(const char *log_path, const char *lane, int64_t start_wall_ns, int64_t end_wall_ns,
			   int64_t deadlock_timeout_ns, const char *out_path, struct error *err);

#endif
