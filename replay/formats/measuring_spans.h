/*
 * When a migration's backends were being measured. Behind each statement its backend is asked what it locked, read and
 * changed, and before the next what there is to compare with: inside of a transaction that prolongs all locks that it
 * holds, so that a judge has to take this time out of what locks did to others. Without us the migration would have
 * held them so much shorter.
 */
#ifndef MEASURING_SPANS_H
#define MEASURING_SPANS_H

#include "ledger.h"

struct measuring_spans;
/* Needs the ledger only while it is made. */
struct measuring_spans *measuring_spans_new(const struct ledger *ledger);
void measuring_spans_free(struct measuring_spans *spans);
/* How much of the time from begin to end that backend was being measured. */
int64_t measuring_spans_between_ns(const struct measuring_spans *spans, int32_t backend_pid, int64_t begin_ns,
				   int64_t end_ns);
/* The same of all backends, less the time in which a statement ran on any of them. */
int64_t measuring_spans_idle_ns(const struct measuring_spans *spans, const struct ledger *ledger, int64_t begin_ns,
				int64_t end_ns);

#endif
