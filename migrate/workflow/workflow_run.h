/*
 * Runs what was chosen, batch by batch: the migrations of a batch side by side, each in a thread and on a connection of
 * its own, up to a limit. When one fails, what runs already goes on to its end and nothing more is started.
 *
 * All callbacks come from the calling thread, which sleeps between them.
 */
#ifndef WORKFLOW_RUN_H
#define WORKFLOW_RUN_H

#include "error.h"
#include "workflow_result.h"
#include "workflow_session.h"
#include "workflow_view.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define WORKFLOW_PARALLEL_MAX 64

enum workflow_answer {
	WORKFLOW_ANSWER_RUN,
	WORKFLOW_ANSWER_LATER, /* not in this run, nor what needs it */
	WORKFLOW_ANSWER_SKIP,  /* it is done by other means: mark it so */
	WORKFLOW_ANSWER_QUIT   /* start nothing more */
};

struct workflow_progress {
	size_t done;
	size_t total;
	size_t running;
	size_t migration;   /* of those that run, the one that began first */
	uint32_t statement; /* of it */
	uint32_t attempt;
	int64_t elapsed_ns;
};

struct workflow_run_options {
	struct workflow_session *session;
	const struct workflow_view *view;
	const struct workflow_choice *choice;
	bool down;
	size_t parallel; /* 1 to WORKFLOW_PARALLEL_MAX */
	int64_t lock_timeout_ns;
	int retries;
	bool unmeasured; /* sql_runner.h */
	const volatile bool *cancelled;
	enum workflow_answer (*ask)(void *context, size_t migration); /* NULL: all run */
	void (*started)(void *context, size_t migration, size_t batch);
	void (*finished)(void *context, const struct workflow_result *result);
	void (*progress)(void *context, const struct workflow_progress *progress); /* ten times a second */
	void *context;
};

struct workflow_results {
	struct workflow_result *items; /* in the order in which they were to run */
	size_t count;
	size_t by_outcome[WORKFLOW_OUTCOME_COUNT];
	int64_t elapsed_ns;
};

/*
 * Migrations that fail are results, and the answer is 0. ERR_INTERRUPTED after *cancelled and ERR_UNAVAILABLE when the
 * session is lost: what was done until then is in *results too, which is to be released whatever the answer.
 */
int workflow_run(const struct workflow_run_options *options, struct workflow_results *results, struct error *err);
void workflow_results_release(struct workflow_results *results);

#endif
