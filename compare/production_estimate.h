/*
 * How long the migration will take in production at best (requirement C4). The clone has fewer rows, so what grows with
 * rows (statement_growth.h) takes as many times as long as there are more of them; the rest takes what it took. It is
 * the best case: caches that no longer hold an index, sorts that spill, and traffic all make it longer.
 *
 * Of a statement's time only its work counts: what it waited for locks depends on the traffic, not on the rows. Between
 * statements a migration tool's own time counts as it was, without what measuring took; between the statements of SQL
 * files there is nothing but measuring. Statements of several backends that ran side by side take as long as the
 * backend that has most to do.
 */
#ifndef PRODUCTION_ESTIMATE_H
#define PRODUCTION_ESTIMATE_H

#include "lock_log.h"
#include "statement_growth.h"

#define PRODUCTION_NONE SIZE_MAX

struct production_statement {
	struct statement_growth growth;
	int64_t took_ns;
	int64_t waited_ns; /* of it, for locks */
	int64_t best_ns;
	int64_t shut_ns;  /* at best: how long its locks keep readers or writers out of a table, 0 where none does */
	bool of_rollback; /* of one under traffic: not counted below */
};

struct production_estimate {
	struct production_statement *statements; /* as in the ledger */
	size_t count;
	bool *ratio_used;     /* of row_ratios->tables */
	int64_t took_ns;      /* the migration in this run */
	int64_t waited_ns;    /* for locks, not in best_ns */
	int64_t measuring_ns; /* neither is that */
	int64_t between_ns;   /* a tool's own time, which is */
	int64_t best_ns;
	size_t longest;	      /* statement with the largest best_ns, PRODUCTION_NONE without any */
	size_t shutting;      /* … with the largest shut_ns, PRODUCTION_NONE where all are 0 */
	const char *shut_out; /* the table of that, of the ledger */
};

/* locks: the migrating lane's, NULL when there is none. To be released. */
void production_estimate_make(const struct ledger *ledger, const struct lock_log *locks,
			      const struct row_ratios *ratios, struct production_estimate *out);
void production_estimate_release(struct production_estimate *estimate);

#endif
