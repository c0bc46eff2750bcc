/* Options about clones: see clone_args.h. */
#include "clone_args.h"

#include "clone_recovery.h"
#include "log_zone.h"
#include "num.h"
#include "output.h"
#include "replay_file.h"

#include <string.h>

/* The commands in force: an option, else [clones]. */
static int read_commands(const struct clone_args *args, const struct config *config, struct clone_commands *out,
			 struct error *err)
{
	*out = (struct clone_commands){.timeout_ns = args->timeout_ns};
	for (const struct config_entry *e = NULL; config && (e = config_next(config, "clones", e));) {
		if (strcmp(e->name, "create") == 0)
			out->create = e->value;
		else if (strcmp(e->name, "ready") == 0)
			out->ready = e->value;
		else if (strcmp(e->name, "destroy") == 0)
			out->destroy = e->value;
		else if (strcmp(e->name, "timeout") == 0) {
			if (num_parse_duration(e->value, &out->timeout_ns, err) < 0)
				return error_context(err, "%s:%d", config->path, e->line);
		} else {
			return error_set(err, ERR_DATA, "%s:%d: [clones] has no '%s': create, ready, destroy, timeout",
					 config->path, e->line, e->name);
		}
	}
	out->create = args->create ? args->create : out->create;
	out->ready = args->ready ? args->ready : out->ready;
	out->destroy = args->destroy ? args->destroy : out->destroy;
	if (!out->create != !out->destroy)
		return error_set(err, ERR_USAGE, "--clone-create and --clone-destroy go together");
	if (out->ready && !out->create)
		return error_set(err, ERR_USAGE, "--clone-ready needs --clone-create and --clone-destroy");
	return 0;
}

static int read_replay_time(const char *replay, int64_t *wall_ns, struct error *err)
{
	struct replay_file *file = NULL;
	int rc = replay_file_open(replay, &file, err);
	if (rc == 0 && replay_file_item_count(file) == 0)
		rc = error_set(err, ERR_DATA, "%s: holds no items, so it has no first one's time", replay);
	if (rc == 0)
		*wall_ns = replay_file_start_wall_ns(file);
	replay_file_free(file);
	return rc;
}

/* *wall_ns 0: none; *of_replay: that of the first item, to be read from the file. */
static int read_point(const struct clone_args *args, bool with_replay, bool by_command, int64_t *wall_ns,
		      bool *of_replay, struct error *err)
{
	const char *point = args->point_in_time;
	bool archive = args->wal_archive || args->restore_command;
	*wall_ns = 0;
	*of_replay = point ? strcmp(point, "replay") == 0 : with_replay && archive;
	if (*of_replay && !with_replay)
		return error_set(err, ERR_USAGE, "--point-in-time replay needs a replay file: --replay FILE");
	if (!point || *of_replay || strcmp(point, "latest") == 0)
		return 0;
	if (!log_zone_parse_given(NULL, point, wall_ns) || *wall_ns <= 0)
		return error_set(err, ERR_USAGE,
				 "--point-in-time: '%s' is no time such as 2026-11-21T20:08:00+01:00, nor 'replay' or "
				 "'latest'",
				 point);
	if (!archive && !by_command)
		return error_set(err, ERR_USAGE,
				 "--point-in-time needs the WAL since the base backup: --wal-archive FOLDER or "
				 "--restore-command COMMAND");
	return 0;
}

static int apply(const struct clone_args *args, const struct config *config, bool with_replay,
		 struct clone_request *request, const struct clone_provider **provider, bool *of_replay,
		 struct error *err)
{
	*request = (struct clone_request){
		.source = args->source,
		.state_dir = args->state_dir,
		.folder = args->folder,
		.pg_bindir = args->pg_bindir,
		.run_as = args->run_as,
		.wal_archive = args->wal_archive,
		.restore_command = args->restore_command,
		.cold_cache = args->cold_cache,
	};
	int rc = read_commands(args, config, &request->commands, err);
	if (rc)
		return rc;
	*provider = request->commands.create ? &clone_command : &clone_local;
	if ((*provider)->can.needs_source && (!args->source || !*args->source))
		return error_set(err, ERR_USAGE, "--source URL|FOLDER is missing; see --help");
	if (request->commands.create && clone_recovery_is_wanted(request))
		return error_set(err, ERR_USAGE,
				 "--wal-archive and --restore-command are for local clones, not for --clone-create");
	return read_point(args, with_replay, request->commands.create != NULL, &request->point_in_time_wall_ns,
			  of_replay, err);
}

int clone_args_check(const struct clone_args *args, const struct config *config, bool *by_command, struct error *err)
{
	struct clone_request request;
	const struct clone_provider *provider = NULL;
	bool of_replay = false;
	int rc = apply(args, config, true, &request, &provider, &of_replay, err);
	*by_command = provider == &clone_command;
	if (rc == 0 && provider == &clone_local)
		rc = clone_recovery_check(&request, err);
	return rc;
}

int clone_args_apply(const struct clone_args *args, const struct config *config, const char *replay,
		     struct clone_request *request, const struct clone_provider **provider, struct error *err)
{
	bool of_replay = false;
	int rc = apply(args, config, replay != NULL, request, provider, &of_replay, err);
	if (rc == 0 && of_replay)
		rc = read_replay_time(replay, &request->point_in_time_wall_ns, err);
	if (rc == 0 && *provider == &clone_local)
		rc = clone_recovery_check(request, err);
	return rc;
}

void clone_args_use_state_dir(const char *state_dir)
{
	if (state_dir)
		(void)setenv("REHEARSE_STATE_DIR", state_dir, 1);
}

void clone_args_show_step(void *context, const char *what, double share)
{
	const char **last = context;
	if (share > 0 && *last && strcmp(*last, what) == 0)
		return;
	*last = what;
	output_message("  %s", what);
}
