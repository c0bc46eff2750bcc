/*
 * Clone provider "local": servers of our own on this machine, from a base backup or a copied data directory.
 *
 * The order is what keeps promises: a record of each clone, then the guardian, then folders, then data, then servers;
 * on the way down servers, folders, records, and the guardian last.
 */
#include "clone.h"
#include "clone_guardian.h"
#include "clone_server.h"
#include "clone_source.h"

#include "clock.h"
#include "folder_copy.h"
#include "json_file.h"
#include "mem.h"

#include <errno.h>
#include <pwd.h>
#include <sys/stat.h>
#include <unistd.h>

#define DEFAULT_TTL_NS (INT64_C(24) * 3600 * NS_PER_S)

struct local_state {
	char **folders; /* FOLDER/rehearse-NAME-LANE, of each clone */
	char **records; /* the same with .json */
	bool *ours;	/* the record is ours: what it names may be removed */
	struct clone_guardian guardian;
};

static void say(const struct clone_request *request, const char *what)
{
	if (request->progress)
		request->progress(request->progress_context, what, -1);
}

static int choose_paths(const struct clone_request *request, struct clone_set *set, struct error *err)
{
	struct local_state *state = set->state;
	const char *given = request->folder ? request->folder : getenv("TMPDIR");
	char *base = realpath(given && *given ? given : "/var/tmp", NULL);
	if (!base)
		return error_set_errno(err, ERR_USAGE, "%s: no such folder for the clones", given);
	int rc = 0;
	for (size_t i = 0; i < set->count && rc == 0; i++) {
		struct clone *clone = &set->clones[i];
		clone->folder = mem_printf("%s/rehearse-%s", strcmp(base, "/") == 0 ? "" : base, clone->name);
		clone->log = mem_printf("%s/log/server.csv", clone->folder);
		state->folders[i] = mem_strdup(clone->folder);
		state->records[i] = mem_printf("%s.json", clone->folder);
		if (strlen(clone->folder) > CLONE_FOLDER_MAX)
			rc = error_set(err, ERR_USAGE,
				       "%s: too long for a unix socket inside; choose a shorter folder or name",
				       clone->folder);
		else if (strpbrk(clone->folder, "'\\,\n"))
			rc = error_set(err, ERR_USAGE,
				       "%s: quotes, commas and backslashes do not go into a socket's path", base);
	}
	free(base);
	return rc;
}

static int name_is_taken(const struct clone *clone, struct error *err)
{
	return error_set(
		err, ERR_USAGE,
		"a clone named %s is there already (%s); another run has that name, or one that crashed left it",
		clone->name, clone->folder);
}

static int write_record(const struct clone_request *request, struct clone *clone, const char *path, struct error *err)
{
	char created[RFC3339_MAX], host[256] = "";
	const struct passwd *self = getpwuid(getuid());
	clone->created_wall_ns = clock_wall_ns();
	clock_format_rfc3339(clone->created_wall_ns, created);
	(void)gethostname(host, sizeof(host) - 1);
	char *owner = mem_printf("%s@%s", self ? self->pw_name : "?", host);
	int64_t ttl_ns = request->time_to_live_ns > 0 ? request->time_to_live_ns : DEFAULT_TTL_NS;
	json_t *record =
		json_pack("{s:s, s:s, s:s, s:s, s:s, s:i, s:s, s:s, s:f}", "schema", "rehearse.clone/1", "name",
			  clone->name, "lane", clone->lane, "provider", "local", "owner", owner, "pid", (int)getpid(),
			  "folder", clone->folder, "created", created, "time_to_live_s", ns_to_s(ttl_ns));
	/* link() refuses a name that is taken: of two runs with one name, one gets it, with the whole record in it. */
	char *draft = mem_printf("%s.%d", path, (int)getpid());
	int rc = record ? json_file_save(draft, record, err)
			: error_set(err, ERR_INTERNAL, "%s: cannot be written as JSON", path);
	if (rc == 0 && link(draft, path) != 0)
		rc = errno == EEXIST ? name_is_taken(clone, err) : error_set_errno(err, ERR_INTERNAL, "%s", path);
	(void)unlink(draft);
	free(draft);
	json_decref(record);
	free(owner);
	return rc;
}

/* Records first. One that is there already belongs to another run, or to one that crashed. */
static int write_records(const struct clone_request *request, struct clone_set *set, struct error *err)
{
	struct local_state *state = set->state;
	for (size_t i = 0; i < set->count; i++) {
		struct stat info;
		if (lstat(state->folders[i], &info) == 0)
			return name_is_taken(&set->clones[i], err);
		int rc = write_record(request, &set->clones[i], state->records[i], err);
		if (rc)
			return rc;
		state->ours[i] = true;
	}
	return 0;
}

static int make_folders(const struct clone_source *source, struct clone_set *set, struct error *err)
{
	for (size_t i = 0; i < set->count; i++) {
		const char *folder = set->clones[i].folder;
		if (mkdir(folder, 0700) != 0)
			return error_set_errno(err, ERR_INTERNAL, "%s: cannot make the folder", folder);
		if (source->uid != (uid_t)-1 && chown(folder, source->uid, source->gid) != 0)
			return error_set_errno(err, ERR_INTERNAL, "%s: cannot give it to %s", folder, source->user);
	}
	return 0;
}

static int fill_folders(struct clone_source *source, const struct clone_request *request, struct clone_set *set,
			struct error *err)
{
	char *first = mem_printf("%s/data", set->clones[0].folder);
	int rc = 0;
	for (size_t i = 0; i < set->count && rc == 0; i++) {
		struct folder_copy_stats stats;
		char *data = mem_printf("%s/data", set->clones[i].folder);
		if (i == 0) {
			say(request, source->running ? "base backup" : "copying the data directory");
			rc = clone_source_copy(source, request, data, &stats, err);
		} else {
			say(request, "copying for the next lane");
			rc = clone_source_copy_again(source, request, first, data, &stats, err);
		}
		set->clones[i].size_bytes = stats.bytes;
		set->clones[i].reflinked = stats.reflinked > 0;
		free(data);
	}
	if (set->count > 1 && set->clones[0].size_bytes < 0)
		set->clones[0].size_bytes = set->clones[1].size_bytes;
	free(first);
	return rc;
}

static int start_servers(struct clone_source *source, const struct clone_request *request, struct clone_set *set,
			 struct error *err)
{
	int rc = 0;
	say(request, "starting the clones");
	for (size_t i = 0; i < set->count && rc == 0; i++)
		rc = clone_server_configure(source, &set->clones[i], err);
	for (size_t i = 0; i < set->count && rc == 0; i++)
		rc = clone_server_start(source, &set->clones[i], err);
	for (size_t i = 0; i < set->count && rc == 0; i++)
		rc = clone_server_await(source, &set->clones[i], request->cancelled, err);
	for (size_t i = 0; i < set->count && rc == 0; i++)
		rc = clone_server_finish(source, &set->clones[i], err);
	return rc;
}

static int local_create(const struct clone_request *request, struct clone_set *set, struct error *err)
{
	struct local_state *state = mem_zalloc(1, sizeof(*state));
	set->state = state;
	state->folders = mem_zalloc(set->count, sizeof(*state->folders));
	state->records = mem_zalloc(set->count, sizeof(*state->records));
	state->ours = mem_zalloc(set->count, sizeof(*state->ours));
	struct clone_source source;
	clone_source_init(&source);
	int rc = clone_source_open(&source, request, err);
	if (rc == 0)
		rc = choose_paths(request, set, err);
	if (rc == 0)
		rc = write_records(request, set, err);
	if (rc == 0)
		rc = clone_guardian_start(&state->guardian, state->folders, state->records, set->count, err);
	if (rc == 0)
		rc = make_folders(&source, set, err);
	if (rc == 0)
		rc = fill_folders(&source, request, set, err);
	if (rc == 0)
		rc = start_servers(&source, request, set, err);
	clone_source_release(&source);
	return rc;
}

static int local_destroy(struct clone_set *set, struct error *err)
{
	struct local_state *state = set->state;
	int rc = 0;
	if (!state)
		return 0;
	for (size_t i = 0; i < set->count; i++)
		clone_server_stop(&set->clones[i]);
	for (size_t i = 0; i < set->count; i++) {
		if (!state->ours[i])
			continue;
		clone_stop_processes(state->folders[i]); /* whatever a server left behind */
		if (folder_remove(state->folders[i], rc ? &(struct error)ERROR_INIT : err) != 0)
			rc = -ERR_INTERNAL; /* its record stays, for cleanup */
		else
			(void)unlink(state->records[i]);
	}
	clone_guardian_dismiss(&state->guardian);
	for (size_t i = 0; i < set->count; i++) {
		free(state->folders[i]);
		free(state->records[i]);
	}
	free(state->folders);
	free(state->records);
	free(state->ours);
	free(state);
	set->state = NULL;
	return rc;
}

const struct clone_provider clone_local = {
	.name = "local",
	.can = {.reflink = true, .server_log = true},
	.create = local_create,
	.destroy = local_destroy,
};
