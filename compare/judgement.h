/*
 * A run while it is judged: its data, the judges that walked over it, and what the rules make of their findings. Only
 * the files verdict*.c and judgement*.c know it; everybody else sees the document (verdict.h).
 */
#ifndef JUDGEMENT_H
#define JUDGEMENT_H

#include "check_judge.h"
#include "client_tally.h"
#include "error_judge.h"
#include "fidelity.h"
#include "health_judge.h"
#include "latency_judge.h"
#include "production_estimate.h"
#include "query_waits.h"
#include "run_data.h"
#include "slow_judge.h"
#include "stall_judge.h"
#include "thresholds.h"
#include "timeline.h"
#include "touched.h"
#include "verdict.h"
#include "windows.h"

/* A rule applied to one thing. */
struct rule_result {
	const struct threshold *rule;
	char *entity; /* a relation, a SQLSTATE and fingerprint, …; "" for the run as a whole */
	double value;
	enum threshold_result result;
	char *sentence; /* what happened, for the reason; NULL when it passed */
};

struct judgement {
	struct run_data data;
	struct windows windows;
	struct touched *touched;
	struct stall_judge *stalls;
	struct error_judge *errors;
	struct latency_judge *latency;
	struct slow_judge *slow;
	struct client_tally *clients;
	struct fidelity fidelity;
	struct timeline *timeline;
	struct health_judge *health;
	struct query_waits *waits;
	struct check_judge checks;
	struct thresholds defaults;
	const struct thresholds *thresholds;
	struct rollout no_rollout;
	const struct rollout *rollout; /* nothing known of it: as many rows as the clone, no timeout, no calendar */
	struct production_estimate production;
	bool has_production; /* there was a migration */
	bool strict;
	struct rule_result *rules;
	size_t rule_count;
	size_t rule_capacity;
	int64_t server_failed_ns; /* the migrating clone's server failed so long after the migration; 0: it did not */
	char *invalid;		  /* why the run cannot be judged, NULL */
	char *blind;		  /* why the evidence judge could not see, NULL */
	enum verdict_outcome outcome;
	char *reason;
};

/* Opens the run and walks over it twice. The caller releases *j whatever the result. */
int judgement_run(struct judgement *j, const char *run_dir, const struct judge_options *options, struct error *err);
void judgement_release(struct judgement *j);
/* One rule applied to one thing; the sentence is the caller's to set. Valid until the next one is added. */
struct rule_result *judgement_add_rule(struct judgement *j, const char *name, const char *entity, double value);
/* judgement_errors.c: what failed and what found other rows, and what a clear verdict has to say of failures. */
void judgement_apply_error_rules(struct judgement *j);
void judgement_apply_rows_rules(struct judgement *j);
void judgement_tell_failures(const struct judgement *j, struct strbuf *out);
/* judgement_stalls.c: what the migration's locks did, without the time that measuring held them. */
void judgement_apply_stall_rules(struct judgement *j);
int64_t judgement_longest_stall_ns(const struct judgement *j);
/* How much of the time between the migration's start and end was measuring. */
int64_t judgement_measuring_ns(const struct judgement *j);
void judgement_add_untested_tables(const struct judgement *j, json_t *list);
/* "`ALTER TABLE orders …`", "the migration" where there is no such statement. To be freed. */
char *judgement_statement_head(const struct judgement *j, size_t statement);
/* judgement_health.c: what the health samples say of each statement, and limits on the servers' health. */
void judgement_start_waits(struct judgement *j);
void judgement_apply_health_rules(struct judgement *j);
/*
 * The next rule from *index on that has a limit (or, only_failing, one that fails a run) on what is not known of the
 * migrating lane; NULL behind the last. *index is then behind it.
 */
const char *judgement_next_unknown_limit(const struct judgement *j, bool only_failing, size_t *index);
/* judgement_checks.c: a rollback and data that were checked beside the replay. */
void judgement_apply_check_rules(struct judgement *j);
void judgement_add_data_checks(const struct judgement *j, json_t *list);
/* Of a rollback under traffic, null without one; a new reference. */
json_t *judgement_rollback_json(const struct judgement *j);
/* judgement_rollout.c: the migration in production. */
void judgement_estimate_production(struct judgement *j);
void judgement_apply_rollout_rules(struct judgement *j);
/* "production" of the document, null without a migration, and of each of its statements; a new reference. */
json_t *judgement_production_json(const struct judgement *j);
void judgement_add_best_cases(const struct judgement *j, json_t *statements);
/* judgement_blackouts.c: the planned roll-out against the calendar; null without both. A new reference. */
void judgement_apply_blackout_rule(struct judgement *j);
json_t *judgement_blackouts_json(const struct judgement *j);
/* judgement_latency.c: what became slower. The sentences are to be freed; the gross one is NULL where there is none. */
char *judgement_latency_sentence(const struct judgement *j, const struct latency_query *q);
char *judgement_gross_sentence(const struct judgement *j);
/* "latency_total" of the document, a new reference; and what each query says of its service time. */
json_t *judgement_latency_total_json(const struct judgement *j);
void judgement_add_service(const struct judgement *j, const struct latency_query *q, json_t *object);
void judgement_add_slow(const struct slow_query *slow, json_t *object);
/* The rules, then outcome and reason. */
void judgement_apply_rules(struct judgement *j);
void judgement_decide(struct judgement *j);

/* "lock" or "" text of a fingerprint row; "(connect)" where there is none. */
const char *judgement_fingerprint_text(const struct judgement *j, uint32_t fingerprint);
/* The head of a statement for a sentence: "ALTER TABLE orders …". To be freed. */
char *judgement_sql_head(const char *sql);
/* "2.31 s", "120 ms". To be freed. */
char *judgement_duration(double s);
#define MANY_PLURAL(n) ((n) == 1 ? "" : "s")

/* Figures of the document: six digits, as more would claim what no clock measured; null when not finite. */
json_t *judgement_number(double value);
json_t *judgement_seconds(int64_t ns); /* to a microsecond */
/* The failed statement of a failed migration, NULL when there is none. */
const struct ledger_statement *judgement_failed_statement(const struct judgement *j);

json_t *judgement_to_json(const struct judgement *j);

#endif
