/*
 * What stops working: a statement that fails, or finds other numbers of rows, every time since the migration began, on
 * the migrating lane alone. Counting sessions, as McNemar's test does, cannot see it in a pool of ten connections; but
 * chance does not fail all of a statement's executions while the baseline's go well. Executions of a statement are
 * taken in a row, over all sessions: a run begins with the first one that breaks and ends with the next that does not.
 */
#ifndef BREAK_JUDGE_H
#define BREAK_JUDGE_H

#include "pairing.h"

#define BREAK_RUN_MIN  3  /* executions, when none went well again until the end */
#define BREAK_RUN_LONG 11 /* executions in a row, whatever came behind them; as many as make 0.0005 by signs */

struct break_input {
	uint32_t fingerprints;
	bool migration;
	int64_t migration_end_ns;
	bool (*touches)(void *context, uint32_t fingerprint); /* names something that the migration touched */
	void *context;
};

/* Whether an error can come of stored rows or an application's state, which differ between any two replays. */
enum break_cause {
	BREAK_BY_SCHEMA,
	BREAK_BY_STATE
};

/* Failures with one code of one statement (ITEM_NO_TEXT: of connects), in runs that are the migration's. */
struct broken_code {
	uint32_t fingerprint;
	uint32_t sqlstate;
	uint64_t count;
};

/* A statement that was as the baseline's before the migration, and never since. */
struct broken_rows {
	uint32_t fingerprint;
	bool lost; /* the baseline has rows, the migrating lane has none */
	bool touched;
	uint64_t count;
	int64_t first_ns;
};

struct break_judge;
struct break_judge *break_judge_new(const struct break_input *input);
void break_judge_free(struct break_judge *judge);

/*
 * In order of ordinal, pairs that both lanes sent. tainted: 0, or 1 + the ordinal since which the session's data may be
 * others than the baseline's. after: it ended after the migration began.
 */
void break_judge_add_failure(struct break_judge *judge, const struct pair *pair, uint32_t sqlstate,
			     enum break_cause cause, uint64_t tainted, bool after);
/* baseline_failed: the baseline alone did, which shows how often the replay's own state fails the statement. */
void break_judge_add_success(struct break_judge *judge, const struct pair *pair, bool baseline_failed);
/* Both lanes' executions went well. */
void break_judge_add_rows(struct break_judge *judge, const struct pair *pair, uint64_t tainted, bool after);
void break_judge_finish(struct break_judge *judge);

size_t break_judge_code_count(const struct break_judge *judge);
const struct broken_code *break_judge_code(const struct break_judge *judge, size_t index);
size_t break_judge_rows_count(const struct break_judge *judge);
const struct broken_rows *break_judge_rows(const struct break_judge *judge, size_t index);

#endif
