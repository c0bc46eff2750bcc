/*
 * Which lock_timeout and statement_timeout make sense for a migration, from what was measured and what production makes
 * of it at best, each with the figures that it comes from.
 *
 * lock_timeout: while the migration waits for a lock everybody behind it waits too, and goes on waiting as long as it
 * holds it. With L, the level from which a stall of that table is told, and H, how long its lock shuts others out at
 * best, L - H is left for the wait: the next round figure below that, but no less than half of L where H alone takes
 * more. With retries a wait that is cut short costs nothing.
 *
 * statement_timeout: twice the best case of the longest statement, the next round figure above, because caches and
 * traffic make it longer; at most the deploy timeout. None where the best case alone is beyond that.
 */
#ifndef TIMEOUT_ADVICE_H
#define TIMEOUT_ADVICE_H

#include "production_estimate.h"
#include "thresholds.h"

#define TIMEOUT_SETTING_MAX 24

struct timeout_advice {
	int64_t lock_ns;      /* 0: none */
	char *lock_why;	      /* sentences; `parts` are code */
	int64_t statement_ns; /* 0: none */
	char *statement_why;
};

/* head() gives a statement's beginning for a sentence, to be freed. To be released. */
void timeout_advice_make(const struct production_estimate *estimate, const struct ledger *ledger,
			 const struct thresholds *thresholds, int64_t deploy_timeout_ns, char *(*head)(const char *sql),
			 struct timeout_advice *out);
void timeout_advice_release(struct timeout_advice *advice);
/* As PostgreSQL's settings are written: "50ms", "10min". */
void timeout_advice_format(int64_t ns, char out[TIMEOUT_SETTING_MAX]);

#endif
