/* What was chosen is run, batch by batch: see workflow_run.h. */
#include "workflow_run.h"

#include "clock.h"
#include "mem.h"
#include "stop_flag.h"
#include "workflow_apply.h"

#include <pthread.h>

#define LOOK_NS (50 * NS_PER_MS) /* how often the end of a thread and an interrupt are looked for */

/* A migration that runs. */
struct flight {
	struct dispatcher *dispatcher;
	struct workflow_job job;
	struct workflow_result *result; /* in the results; the thread's until `over` */
	pthread_t thread;
	bool over; /* under the dispatcher's mutex */
};

struct dispatcher {
	const struct workflow_run_options *options;
	struct workflow_results *results;
	size_t *result_of; /* of each migration, WORKFLOW_NONE for what is not wanted */
	struct flight *flights[WORKFLOW_PARALLEL_MAX];
	size_t flight_count;
	pthread_mutex_t mutex;
	pthread_cond_t landed;
	int64_t first_batch; /* of this run, as the history counts */
	int64_t start_ns;
	size_t done;
	bool stopping;
};

static void *fly(void *argument)
{
	struct flight *flight = argument;
	struct dispatcher *dispatcher = flight->dispatcher;
	workflow_apply(&flight->job, flight->result);
	(void)pthread_mutex_lock(&dispatcher->mutex);
	flight->over = true;
	(void)pthread_cond_signal(&dispatcher->landed);
	(void)pthread_mutex_unlock(&dispatcher->mutex);
	return NULL;
}

static int start(struct dispatcher *dispatcher, struct workflow_result *result, struct error *err)
{
	const struct workflow_run_options *options = dispatcher->options;
	struct flight *flight = mem_zalloc(1, sizeof(*flight));
	flight->dispatcher = dispatcher;
	flight->result = result;
	flight->job.session = options->session;
	flight->job.migration = &options->view->folder->migrations[result->migration];
	flight->job.down = options->down;
	flight->job.batch = dispatcher->first_batch + (int64_t)result->batch;
	flight->job.lock_timeout_ns = options->lock_timeout_ns;
	flight->job.retries = options->retries;
	flight->job.unmeasured = options->unmeasured;
	if (options->started)
		options->started(options->context, result->migration, result->batch);
	int rc = pthread_create(&flight->thread, NULL, fly, flight);
	if (rc != 0) {
		free(flight);
		return error_set(err, ERR_INTERNAL, "no thread to be had");
	}
	dispatcher->flights[dispatcher->flight_count++] = flight;
	return 0;
}

static void finish(struct dispatcher *dispatcher, const struct workflow_result *result)
{
	const struct workflow_run_options *options = dispatcher->options;
	dispatcher->done++;
	if (result->outcome == WORKFLOW_DONE && !options->down)
		workflow_session_has_table(options->session);
	if (result->outcome != WORKFLOW_DONE && result->outcome != WORKFLOW_MARKED &&
	    result->outcome != WORKFLOW_DECLINED && result->outcome != WORKFLOW_WAITS)
		dispatcher->stopping = true;
	if (options->finished)
		options->finished(options->context, result);
}

/* Takes in what has ended. */
static void land(struct dispatcher *dispatcher)
{
	for (size_t i = 0; i < dispatcher->flight_count;) {
		struct flight *flight = dispatcher->flights[i];
		(void)pthread_mutex_lock(&dispatcher->mutex);
		bool over = flight->over;
		(void)pthread_mutex_unlock(&dispatcher->mutex);
		if (!over) {
			i++;
			continue;
		}
		(void)pthread_join(flight->thread, NULL);
		dispatcher->flight_count--;
		for (size_t j = i; j < dispatcher->flight_count; j++)
			dispatcher->flights[j] = dispatcher->flights[j + 1];
		finish(dispatcher, flight->result);
		free(flight);
	}
}

static void show_progress(struct dispatcher *dispatcher)
{
	const struct workflow_run_options *options = dispatcher->options;
	if (!options->progress || dispatcher->flight_count == 0)
		return;
	struct flight *first = dispatcher->flights[0];
	const struct workflow_progress progress = {
		.done = dispatcher->done,
		.total = dispatcher->results->count,
		.running = dispatcher->flight_count,
		.migration = first->result->migration,
		.statement = atomic_load(&first->job.statement),
		.attempt = atomic_load(&first->job.attempt),
		.elapsed_ns = clock_mono_ns() - dispatcher->start_ns,
	};
	options->progress(options->context, &progress);
}

/* Until something may have changed; hands an interrupt on to all that run. */
static void wait_a_little(struct dispatcher *dispatcher)
{
	struct timespec until;
	(void)clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_nsec += LOOK_NS;
	if (until.tv_nsec >= NS_PER_S) {
		until.tv_nsec -= NS_PER_S;
		until.tv_sec++;
	}
	bool any_over = false;
	(void)pthread_mutex_lock(&dispatcher->mutex);
	for (size_t i = 0; i < dispatcher->flight_count; i++)
		any_over = any_over || dispatcher->flights[i]->over;
	if (!any_over)
		(void)pthread_cond_timedwait(&dispatcher->landed, &dispatcher->mutex, &until);
	(void)pthread_mutex_unlock(&dispatcher->mutex);
	if (!stop_flag_is_set(dispatcher->options->cancelled))
		return;
	dispatcher->stopping = true;
	for (size_t i = 0; i < dispatcher->flight_count; i++)
		stop_flag_set(&dispatcher->flights[i]->job.stop);
}

/* Whether all that has to come first in this run has come. Up: what it needs. Down: what needs it. */
static bool is_ready(const struct dispatcher *dispatcher, size_t migration)
{
	const struct workflow_graph *graph = &dispatcher->options->view->graph;
	const struct workflow_edges *edges = dispatcher->options->down ? &graph->dependants : &graph->dependencies;
	for (size_t e = edges->begin[migration]; e < edges->begin[migration + 1]; e++) {
		size_t at = dispatcher->result_of[edges->nodes[e]];
		if (at == WORKFLOW_NONE)
			continue;
		enum workflow_outcome outcome = dispatcher->results->items[at].outcome;
		if (outcome != WORKFLOW_DONE && outcome != WORKFLOW_MARKED)
			return false;
	}
	return true;
}

static int mark(struct dispatcher *dispatcher, const struct workflow_result *result, struct error *err)
{
	const struct workflow_run_options *options = dispatcher->options;
	const struct workflow_migration *migration = &options->view->folder->migrations[result->migration];
	const struct workflow_entry entry = {.id = migration->meta.id,
					     .title = migration->meta.title,
					     .checksum = migration->checksum,
					     .state = WORKFLOW_SKIPPED,
					     .batch = dispatcher->first_batch + (int64_t)result->batch,
					     .applied_by = workflow_session_user(options->session),
					     .duration_ms = -1,
					     .reason = "skipped when asked"};
	int rc = workflow_session_create_table(options->session, err);
	return rc ? rc : workflow_session_put(options->session, &entry, err);
}

/* Asks whoever is to be asked, and does as told: starts it, or gives it another outcome. */
static int begin(struct dispatcher *dispatcher, struct workflow_result *result, struct error *err)
{
	const struct workflow_run_options *options = dispatcher->options;
	enum workflow_answer answer = WORKFLOW_ANSWER_RUN;
	if (!is_ready(dispatcher, result->migration)) {
		result->outcome = WORKFLOW_WAITS;
		finish(dispatcher, result);
		return 0;
	}
	if (options->ask)
		answer = options->ask(options->context, result->migration);
	int rc = workflow_session_check(options->session, err);
	if (rc)
		return rc;
	switch (answer) {
	case WORKFLOW_ANSWER_RUN:
		return start(dispatcher, result, err);
	case WORKFLOW_ANSWER_SKIP:
		rc = mark(dispatcher, result, err);
		result->outcome = rc ? WORKFLOW_FAILED : WORKFLOW_MARKED;
		break;
	case WORKFLOW_ANSWER_LATER:
		result->outcome = WORKFLOW_DECLINED;
		break;
	case WORKFLOW_ANSWER_QUIT:
	default:
		dispatcher->stopping = true;
		return 0;
	}
	if (rc == 0)
		finish(dispatcher, result);
	return rc;
}

static int run_batch(struct dispatcher *dispatcher, size_t first, size_t end, struct error *err)
{
	const struct workflow_run_options *options = dispatcher->options;
	size_t next = first;
	int rc = 0;
	/* Two transactions that both make the table would meet: one of them would fail. */
	if (options->parallel > 1 && end - first > 1 && !options->down)
		rc = workflow_session_create_table(options->session, err);
	for (;;) {
		land(dispatcher);
		dispatcher->stopping |= stop_flag_is_set(options->cancelled) || rc != 0;
		if (next < end && !dispatcher->stopping && dispatcher->flight_count < options->parallel) {
			rc = begin(dispatcher, &dispatcher->results->items[next++], err);
			continue;
		}
		if (dispatcher->flight_count == 0)
			return rc;
		wait_a_little(dispatcher);
		show_progress(dispatcher);
	}
}

/* The results' places, in the order of batches and in them of ids. */
static void lay_out(struct dispatcher *dispatcher)
{
	const struct workflow_choice *choice = dispatcher->options->choice;
	const struct workflow_view *view = dispatcher->options->view;
	struct workflow_results *results = dispatcher->results;
	size_t *next = mem_zalloc(choice->batch_count + 2, sizeof(*next));
	results->items = mem_zalloc(choice->wanted_count + 1, sizeof(*results->items));
	results->count = choice->wanted_count;
	dispatcher->result_of = mem_zalloc(view->folder->count + 1, sizeof(*dispatcher->result_of));
	for (size_t i = 0; i < view->folder->count; i++) {
		if (choice->wanted[i])
			next[choice->batch[i] + 1]++;
	}
	for (size_t b = 1; b < choice->batch_count; b++)
		next[b] += next[b - 1];
	for (size_t i = 0; i < view->folder->count; i++) {
		dispatcher->result_of[i] = WORKFLOW_NONE;
		if (!choice->wanted[i])
			continue;
		size_t at = next[choice->batch[i]]++;
		dispatcher->result_of[i] = at;
		workflow_result_init(&results->items[at], i);
		results->items[at].batch = choice->batch[i];
	}
	free(next);
}

static void init_waiting(struct dispatcher *dispatcher)
{
	pthread_condattr_t attributes;
	(void)pthread_condattr_init(&attributes);
	(void)pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
	(void)pthread_mutex_init(&dispatcher->mutex, NULL);
	(void)pthread_cond_init(&dispatcher->landed, &attributes);
	(void)pthread_condattr_destroy(&attributes);
}

int workflow_run(const struct workflow_run_options *options, struct workflow_results *results, struct error *err)
{
	struct dispatcher dispatcher = {.options = options, .results = results, .start_ns = clock_mono_ns()};
	int rc = 0;
	memset(results, 0, sizeof(*results));
	init_waiting(&dispatcher);
	lay_out(&dispatcher);
	dispatcher.first_batch = workflow_history_last_batch(options->view->history) + 1;
	for (size_t first = 0, end; first < results->count && rc == 0 && !dispatcher.stopping; first = end) {
		end = first;
		while (end < results->count && results->items[end].batch == results->items[first].batch)
			end++;
		rc = run_batch(&dispatcher, first, end, err);
	}
	for (size_t i = 0; i < results->count; i++)
		results->by_outcome[results->items[i].outcome]++;
	results->elapsed_ns = clock_mono_ns() - dispatcher.start_ns;
	if (rc == 0 && stop_flag_is_set(options->cancelled))
		rc = error_set(err, ERR_INTERRUPTED, "interrupted");
	(void)pthread_cond_destroy(&dispatcher.landed);
	(void)pthread_mutex_destroy(&dispatcher.mutex);
	free(dispatcher.result_of);
	return rc;
}

void workflow_results_release(struct workflow_results *results)
{
	for (size_t i = 0; i < results->count; i++)
		workflow_result_release(&results->items[i]);
	free(results->items);
	memset(results, 0, sizeof(*results));
}
