/*
 * Clone provider "local": servers of our own on this machine, from a base backup or a copied data directory, rolled
 * forward with archived WAL where there is some. The first clone is made and, if asked for, recovered; the others are
 * copies of its stopped data directory, so that all are the same, byte by byte.
 */
#include "clone.h"
#include "clone_config.h"
#include "clone_recovery.h"
#include "clone_remove.h"
#include "clone_server.h"
#include "clone_source.h"
#include "clone_space.h"

#include "folder_copy.h"
#include "mem.h"

#include <sys/stat.h>
#include <unistd.h>

static void say(const struct clone_request *request, const char *what)
{
	if (request->progress)
		request->progress(request->progress_context, what, -1);
}

static int choose_folders(const struct clone_request *request, struct clone_set *set, struct error *err)
{
	const char *given = request->folder ? request->folder : getenv("TMPDIR");
	char *base = realpath(given && *given ? given : "/var/tmp", NULL);
	if (!base)
		return error_set_errno(err, ERR_USAGE, "%s: no such folder for the clones", given);
	int rc = 0;
	for (size_t i = 0; i < set->count && rc == 0; i++) {
		struct clone *clone = &set->clones[i];
		struct stat info;
		clone->folder = mem_printf("%s/rehearse-%s", strcmp(base, "/") == 0 ? "" : base, clone->name);
		clone->log = mem_printf("%s/log/server.csv", clone->folder);
		if (strlen(clone->folder) > CLONE_FOLDER_MAX)
			rc = error_set(err, ERR_USAGE,
				       "%s: too long for a unix socket inside; choose a shorter folder or name",
				       clone->folder);
		else if (strpbrk(clone->folder, "'\\,\n"))
			rc = error_set(err, ERR_USAGE,
				       "%s: quotes, commas and backslashes do not go into a socket's path", base);
		else if (lstat(clone->folder, &info) == 0)
			rc = error_set(err, ERR_USAGE,
				       "a clone named %s is there already (%s); another run has that name, or one that "
				       "crashed left it: rehearse cleanup",
				       clone->name, clone->folder);
	}
	free(base);
	return rc;
}

static int local_open(const struct clone_request *request, struct clone_set *set, struct error *err)
{
	struct clone_source *source = mem_zalloc(1, sizeof(*source));
	clone_source_init(source);
	set->state = source;
	int rc = clone_recovery_check(request, err);
	if (rc == 0)
		rc = clone_source_open(source, request, err);
	if (rc == 0)
		rc = clone_recovery_check_source(source, request, err);
	if (rc == 0)
		rc = choose_folders(request, set, err);
	for (size_t i = 0; i < set->count && rc == 0 && source->uid != (uid_t)-1; i++)
		set->records[i].run_uid = source->uid;
	return rc;
}

static int make_folders(const struct clone_source *source, struct clone_set *set, struct error *err)
{
	int rc = 0;
	for (size_t i = 0; i < set->count && rc == 0; i++) {
		rc = clone_folder_create(&set->records[i], err);
		/* The mark in it stays ours. */
		if (rc == 0 && source->uid != (uid_t)-1 && chown(set->clones[i].folder, source->uid, source->gid) != 0)
			rc = error_set_errno(err, ERR_INTERNAL, "%s: cannot give it to %s", set->clones[i].folder,
					     source->user);
	}
	return rc;
}

static int fill_first(struct clone_source *source, const struct clone_request *request, struct clone_set *set,
		      struct error *err)
{
	struct folder_copy_stats stats = {0};
	struct clone *first = &set->clones[0];
	char *data = mem_printf("%s/data", first->folder);
	say(request, source->running ? "base backup" : "copying the data directory");
	int rc = clone_source_copy(source, request, data, &stats, err);
	first->size_bytes = stats.bytes;
	first->reflinked = stats.reflinked > 0;
	free(data);
	if (rc == 0)
		rc = clone_config_write(source, first, err);
	if (rc == 0 && clone_recovery_is_wanted(request)) {
		say(request, "rolling forward with archived WAL");
		rc = clone_recovery_run(source, request, set, err);
	}
	return rc;
}

static int fill_others(struct clone_source *source, const struct clone_request *request, struct clone_set *set,
		       struct error *err)
{
	char *first = mem_printf("%s/data", set->clones[0].folder);
	int rc = 0;
	for (size_t i = 1; i < set->count && rc == 0; i++) {
		struct folder_copy_stats stats = {0};
		char *data = mem_printf("%s/data", set->clones[i].folder);
		say(request, "copying for the next lane");
		rc = clone_source_copy_again(source, request, first, data, &stats, err);
		set->clones[i].size_bytes = stats.bytes;
		set->clones[i].reflinked = stats.reflinked > 0;
		free(data);
		if (rc == 0)
			rc = clone_config_copy(source, &set->clones[0], &set->clones[i], err);
	}
	if (set->count > 1 && (set->clones[0].size_bytes < 0 || clone_recovery_is_wanted(request)))
		set->clones[0].size_bytes = set->clones[1].size_bytes;
	free(first);
	return rc;
}

static int start_servers(struct clone_source *source, const struct clone_request *request, struct clone_set *set,
			 struct error *err)
{
	int rc = 0;
	for (size_t i = 0; i < set->count && rc == 0; i++)
		rc = clone_server_start(source, &set->clones[i], err);
	for (size_t i = 0; i < set->count && rc == 0; i++)
		rc = clone_server_await(source, &set->clones[i], request->cancelled, err);
	for (size_t i = 0; i < set->count && rc == 0; i++)
		rc = clone_server_finish(source, &set->clones[i], err);
	return rc;
}

static void local_stop(struct clone_set *set)
{
	for (size_t i = 0; i < set->count; i++)
		clone_server_stop(&set->clones[i]);
}

/* Nothing of the data in any lane's caches: neither the server's nor the kernel's. */
static int cool_down(struct clone_source *source, const struct clone_request *request, struct clone_set *set,
		     struct error *err)
{
	int rc = 0;
	say(request, "emptying caches");
	for (size_t i = 0; i < set->count && rc == 0; i++)
		rc = clone_server_shut_down(&set->clones[i], request->cancelled, err);
	for (size_t i = 0; i < set->count && rc == 0; i++) {
		char *data = mem_printf("%s/data", set->clones[i].folder);
		rc = folder_drop_cache(data, err);
		free(data);
	}
	for (size_t i = 0; i < set->count && rc == 0; i++)
		rc = clone_server_start(source, &set->clones[i], err);
	for (size_t i = 0; i < set->count && rc == 0; i++)
		rc = clone_server_await(source, &set->clones[i], request->cancelled, err);
	for (size_t i = 0; i < set->count && rc == 0; i++) /* its port may be another one */
		clone_server_renew_url(source, &set->clones[i]);
	set->cold = rc == 0;
	return rc;
}

static int local_create(const struct clone_request *request, struct clone_set *set, struct error *err)
{
	struct clone_source *source = set->state;
	int rc = make_folders(source, set, err);
	if (rc == 0)
		rc = clone_space_check(source, set, err);
	if (rc == 0)
		rc = fill_first(source, request, set, err);
	if (rc == 0)
		rc = fill_others(source, request, set, err);
	if (rc == 0) {
		say(request, "starting the clones");
		rc = start_servers(source, request, set, err);
	}
	if (rc == 0)
		rc = clone_recovery_verify(request, set, err);
	if (rc == 0 && request->cold_cache)
		rc = cool_down(source, request, set, err);
	clone_source_release(source); /* its connection, above all */
	return rc;
}

static void local_release(struct clone_set *set)
{
	clone_source_release(set->state);
	free(set->state);
	set->state = NULL;
}

const struct clone_provider clone_local = {
	.name = "local",
	.can = {.reflink = true, .point_in_time = true, .server_log = true, .cold_cache = true, .needs_source = true},
	.open = local_open,
	.create = local_create,
	.stop = local_stop,
	.release = local_release,
};
