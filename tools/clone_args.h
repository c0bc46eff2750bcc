/*
 * The options about clones that test-migration and create-snapshot share, as rows for their tables, and [clones] of the
 * configuration, where the user's own scripts may stand.
 */
#ifndef CLONE_ARGS_H
#define CLONE_ARGS_H

#include "clone.h"
#include "config.h"
#include "options.h"

struct clone_args {
	const char *source;
	const char *folder;
	const char *pg_bindir;
	const char *run_as;
	const char *state_dir;
	const char *wal_archive;
	const char *restore_command;
	const char *point_in_time;
	bool cold_cache;
	const char *create;
	const char *ready;
	const char *destroy;
	int64_t timeout_ns;
};

#define STATE_DIR_ROW(args)                                                  \
	OPT_STRING(0, "state-dir", &(args).state_dir, "FOLDER",              \
		   "where the records of clones are kept, in FOLDER/clones", \
		   .standard_note = "$XDG_STATE_HOME/rehearse, else ~/.local/state/rehearse")

#define CLONE_ARG_ROWS(args)                                                                                           \
	OPT_STRING('s', "source", &(args).source, "URL|FOLDER",                                                        \
		   "what to clone: a running PostgreSQL, or a stopped data directory or base backup",                  \
		   .attributes = OPTION_SECRET),                                                                       \
		OPT_STRING(0, "wal-archive", &(args).wal_archive, "FOLDER",                                            \
			   "archived WAL (plain, .gz, .zst or .lz4) to roll a base backup forward with"),              \
		OPT_STRING(0, "restore-command", &(args).restore_command, "COMMAND",                                   \
			   "fetches archived WAL instead, as PostgreSQL's restore_command does (%f, %p)"),             \
		OPT_STRING(0, "point-in-time", &(args).point_in_time, "TIME|replay|latest",                            \
			   "roll forward to this time (RFC 3339), the replay file's first item, or the archive's end", \
			   .standard_note = "replay where there is a replay file and an archive, else latest"),        \
		OPT_FLAG(0, "cold-cache", &(args).cold_cache, "start the clones with empty caches"),                   \
		OPT_STRING(0, "clone-folder", &(args).folder, "FOLDER", "where the clones go while they live",         \
			   .standard_note = "$TMPDIR, else /var/tmp"),                                                 \
		OPT_STRING(0, "pg-bindir", &(args).pg_bindir, "FOLDER", "the PostgreSQL server's programs",            \
			   .standard_note = "found by the source's version"),                                          \
		OPT_STRING(0, "run-as", &(args).run_as, "USER", "the user that runs the clones when we are root",      \
			   .standard_note = "the source's owner, else postgres"),                                      \
		OPT_STRING(0, "clone-create", &(args).create, "COMMAND",                                               \
			   "make each clone with this command, whose last line of output is the clone's URL"),         \
		OPT_STRING(0, "clone-ready", &(args).ready, "COMMAND",                                                 \
			   "asked until it exits with 0, before such a clone is used",                                 \
			   .standard_note = "ready when it can be connected to"),                                      \
		OPT_STRING(0, "clone-destroy", &(args).destroy, "COMMAND",                                             \
			   "remove such a clone; may be called again, and for one that was never made"),               \
		OPT_DURATION(0, "clone-timeout", &(args).timeout_ns, "TIME", "the longest that such a command takes",  \
			     .standard = "30m"),                                                                       \
		STATE_DIR_ROW(args)

/*
 * The request and the provider that the options ask for; name, lanes, cancelled and progress are the caller's. replay
 * is the path of a replay file, or NULL.
 */
int clone_args_apply(const struct clone_args *args, const struct config *config, const char *replay,
		     struct clone_request *request, const struct clone_provider **provider, struct error *err);
/* What can be known to be wrong before there is a replay file. *by_command: the user's scripts make the clones. */
int clone_args_check(const struct clone_args *args, const struct config *config, bool *by_command, struct error *err);
/* Everything of this process, and of what it starts, uses --state-dir. */
void clone_args_use_state_dir(const char *state_dir);
/* For clone_request.progress, with a `const char *last = NULL` as its context. */
void clone_args_show_step(void *context, const char *what, double share);

#endif
