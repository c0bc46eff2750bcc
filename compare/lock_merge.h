/*
 * Two witnesses of one lane's lock waits as one list: the sampler, which looks every few milliseconds and knows who
 * stood before whom at each look, and the server's own log, which knows every wait longer than its deadlock_timeout, to
 * the millisecond, also those that fell between two looks.
 */
#ifndef LOCK_MERGE_H
#define LOCK_MERGE_H

#include "ledger.h"
#include "lock_log.h"

/*
 * Takes the server's waits into `sampled`: a wait that both saw stays as the sampler has it and is marked; one that the
 * sampler missed is added, named by what sampler and ledger call its relation. `server` may be NULL; what is moved out
 * of it stays valid in `sampled`, and it is to be released still.
 */
void lock_merge(struct lock_log *sampled, struct lock_log *server, const struct ledger *ledger);

#endif
