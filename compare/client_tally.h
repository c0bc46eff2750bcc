/*
 * Who is hurt (requirement C14): what the migration's locks and errors did to each kind of client, told apart by
 * application name and user, as recorded. A team that owns the nightly export wants to know whether it is among the
 * victims. Counts only; what they mean is the judges' business.
 */
#ifndef CLIENT_TALLY_H
#define CLIENT_TALLY_H

#include "pairing.h"

struct client_figures {
	const char *application; /* as recorded, "" for none; of the item index */
	const char *user;
	uint64_t sessions;
	uint64_t statements; /* that both lanes sent since the migration began; without one: all */
	uint64_t blocked;    /* of them: held up by the migration's locks */
	double blocked_s;
	int64_t longest_blocked_ns;
	uint64_t errors_only_baseline; /* went well on the other lane */
	uint64_t errors_only_migrating;
	double extra_latency_s; /* sum of migrating - baseline, where both lanes know it */
};

struct client_tally;
struct client_tally *client_tally_new(const struct run_data *data);
void client_tally_free(struct client_tally *tally);
/* In order of ordinal. blocked_ns: what stall_judge_add() said of this pair. */
void client_tally_add(struct client_tally *tally, const struct pair *pair, int64_t blocked_ns);
/* Sorts: the most blocked first, then by errors, then by name. */
void client_tally_finish(struct client_tally *tally);

size_t client_tally_count(const struct client_tally *tally);
const struct client_figures *client_tally_get(const struct client_tally *tally, size_t index);
/* who[] of verdict.json: the first max. A new reference. */
json_t *client_tally_to_json(const struct client_tally *tally, size_t max);

#endif
