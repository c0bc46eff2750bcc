/*
 * Clone provider "command": the user's own scripts make, look after and remove the clones, so that any service or
 * storage that can make a copy of a database fits. All lanes are made at once, each by a thread of its own: a
 * service takes minutes for each.
 *
 * What a script prints is not believed blindly: a clone that turns out to be the source itself, or the same database as
 * another lane's, is refused before anything is sent to it.
 */
#include "clone.h"
#include "clone_script.h"

#include "clock.h"
#include "mem.h"
#include "pg_conn.h"
#include "pg_target.h"
#include "stop_flag.h"

#include <pthread.h>
#include <unistd.h>

#define LOOK_NS		   (50 * NS_PER_MS)
#define READY_RETRY_NS	   (1 * NS_PER_S)
#define DEFAULT_TIMEOUT_NS (1800 * NS_PER_S)

/* One lane in the making. */
struct making {
	const struct clone_commands *commands;
	struct clone_script script;
	struct clone *clone;
	volatile bool *stop;
	pthread_t thread;
	bool started;
	volatile bool done;
	int rc;
	struct error err;
};

static bool is_postgres(const char *url)
{
	return strncmp(url, "postgresql://", 13) == 0 || strncmp(url, "postgres://", 11) == 0;
}

/* Without a ready command a clone is ready when it can be connected to. */
static int look(struct making *making, struct error *err)
{
	making->script.url = making->clone->url;
	if (making->commands->ready)
		return clone_script_ready(&making->script, making->commands, err);
	return !is_postgres(making->clone->url) || PQping(making->clone->url) == PQPING_OK;
}

static int await(struct making *making)
{
	int64_t deadline_ns = clock_mono_ns() + making->commands->timeout_ns;
	for (;;) {
		int ready = look(making, &making->err);
		if (ready)
			return ready > 0 ? 0 : ready;
		if (clock_mono_ns() > deadline_ns)
			return error_set(&making->err, ERR_UNAVAILABLE, "clone %s was not ready within %.0f s",
					 making->clone->name, ns_to_s(making->commands->timeout_ns));
		for (int64_t slept_ns = 0; slept_ns < READY_RETRY_NS; slept_ns += LOOK_NS) {
			if (stop_flag_is_set(making->stop))
				return error_set(&making->err, ERR_INTERRUPTED, "waiting for clone %s: interrupted",
						 making->clone->name);
			clock_sleep_until_ns(clock_mono_ns() + LOOK_NS);
		}
	}
}

static void *make(void *context)
{
	struct making *making = context;
	making->rc = clone_script_create(&making->script, making->commands, &making->clone->url, &making->err);
	if (making->rc == 0)
		making->rc = await(making);
	stop_flag_set(&making->done);
	return NULL;
}

/* Until all are done; the first failure, or the user, stops the others. */
static int watch(struct making *lanes, size_t count, const volatile bool *cancelled, volatile bool *stop,
		 struct error *err)
{
	bool all = false;
	int rc = 0;
	while (!all) {
		all = true;
		for (size_t i = 0; i < count; i++) {
			bool done = !lanes[i].started || stop_flag_is_set(&lanes[i].done);
			all = all && done;
			if (done && lanes[i].rc && rc == 0) {
				*err = lanes[i].err;
				rc = lanes[i].rc;
			}
		}
		if (rc || stop_flag_is_set(cancelled))
			stop_flag_set(stop);
		if (!all)
			clock_sleep_until_ns(clock_mono_ns() + LOOK_NS);
	}
	return rc;
}

static int make_all(const struct clone_request *request, const struct clone_commands *commands, struct clone_set *set,
		    struct error *err)
{
	struct making *lanes = mem_zalloc(set->count, sizeof(*lanes));
	volatile bool stop = false;
	for (size_t i = 0; i < set->count; i++) {
		struct making *one = &lanes[i];
		one->commands = commands;
		one->clone = &set->clones[i];
		one->stop = &stop;
		one->script = (struct clone_script){.state_folder = set->state_folder,
						    .record = &set->records[i],
						    .source = request->source,
						    .cancelled = &stop};
		one->started = pthread_create(&one->thread, NULL, make, one) == 0;
		if (!one->started)
			one->rc = error_set(&one->err, ERR_INTERNAL, "cannot start a thread");
	}
	int rc = watch(lanes, set->count, request->cancelled, &stop, err);
	for (size_t i = 0; i < set->count; i++) {
		if (lanes[i].started)
			(void)pthread_join(lanes[i].thread, NULL);
	}
	free(lanes);
	return rc;
}

/* ERR_USAGE when the clone is the source, or another lane's database. */
static int check_one(const struct clone_set *set, size_t which, const struct pg_target *targets,
		     const struct pg_target *source, struct error *err)
{
	const struct pg_target *target = &targets[which];
	if (!target->identity)
		return 0;
	if (source->identity && strcmp(source->identity, target->identity) == 0)
		return error_set(err, ERR_USAGE, "clone %s is on the source's own server (%s:%s), not a copy of it",
				 set->clones[which].name, target->host, target->port);
	for (size_t i = 0; i < which; i++) {
		if (targets[i].identity && strcmp(targets[i].identity, target->identity) == 0 && target->database &&
		    targets[i].database && strcmp(targets[i].database, target->database) == 0)
			return error_set(err, ERR_USAGE, "clones %s and %s are the same database", set->clones[i].name,
					 set->clones[which].name);
	}
	return 0;
}

static int check_all(const struct clone_request *request, struct clone_set *set, struct error *err)
{
	struct pg_target source = {0}, *targets = mem_zalloc(set->count, sizeof(*targets));
	struct error ignored = ERROR_INIT;
	int rc = 0;
	/* A source that cannot be reached from here (a backup's name, say) cannot be mixed up with a clone. */
	if (request->source && pg_conn_is_conninfo(request->source))
		(void)pg_target_probe(request->source, &source, &ignored);
	for (size_t i = 0; i < set->count && rc == 0; i++) {
		if (!is_postgres(set->clones[i].url))
			continue;
		rc = pg_target_probe(set->clones[i].url, &targets[i], err);
		if (rc)
			rc = error_context(err, "clone %s", set->clones[i].name);
		else
			rc = check_one(set, i, targets, &source, err);
	}
	for (size_t i = 0; i < set->count; i++)
		pg_target_release(&targets[i]);
	pg_target_release(&source);
	free(targets);
	return rc;
}

static int64_t timeout_of(const struct clone_request *request)
{
	return request->commands.timeout_ns > 0 ? request->commands.timeout_ns : DEFAULT_TIMEOUT_NS;
}

static int command_open(const struct clone_request *request, struct clone_set *set, struct error *err)
{
	if (!request->commands.create || !request->commands.destroy)
		return error_set(err, ERR_USAGE,
				 "clones by command need both a create and a destroy command (--clone-create, "
				 "--clone-destroy)");
	for (size_t i = 0; i < set->count; i++) {
		set->records[i].destroy = mem_strdup(request->commands.destroy);
		set->records[i].timeout_ns = timeout_of(request);
		/* A conninfo string may hide a password in more ways than we take out. */
		bool hidden =
			request->source && pg_conn_is_conninfo(request->source) && !strstr(request->source, "://");
		set->records[i].source = hidden ? NULL : clone_url_without_password(request->source);
	}
	return 0;
}

static int command_create(const struct clone_request *request, struct clone_set *set, struct error *err)
{
	struct clone_commands commands = request->commands;
	commands.timeout_ns = timeout_of(request);
	if (request->progress)
		request->progress(request->progress_context, "making the clones", -1);
	int rc = make_all(request, &commands, set, err);
	return rc ? rc : check_all(request, set, err);
}

/* Their destroy command does all there is to do. */
static void command_stop(struct clone_set *set)
{
	(void)set;
}

const struct clone_provider clone_command = {
	.name = "command",
	.can = {.point_in_time = true},
	.open = command_open,
	.create = command_create,
	.stop = command_stop,
	.release = command_stop,
};
