/* From the shop's log to three verdicts: see demo_rehearse.h. */
#include "demo_rehearse.h"

#include "clock.h"
#include "create_replay.h"
#include "mem.h"
#include "out_file.h"
#include "output.h"
#include "rehearsal_args.h"
#include "test_migration.h"

#include <string.h>

/* Once everything is sent, a demo waits for the rest no longer than this. */
#define DEMO_DRAIN_NS (10 * NS_PER_S)

int demo_recording_make(struct demo_recording *recording, struct error *err)
{
	const char *const logs[] = {recording->server->log};
	recording->replay = mem_printf("%s/shop.replay", recording->server->folder);
	struct create_replay_options options = {.logs = logs, .log_count = 1, .output = recording->replay};
	struct create_replay_result result = {0};
	if (create_replay(&options, &result, recording->server->cancelled, err) < 0)
		return -err->code;
	output_message("The log becomes a replay file: %llu statements of %llu sessions.",
		       (unsigned long long)result.statements, (unsigned long long)result.sessions);
	return 0;
}

void demo_recording_release(struct demo_recording *recording)
{
	free(recording->replay);
	recording->replay = NULL;
}

/* The migration as a file, so that the report can name it: FOLDER/NAME.sql. */
static char *write_migration(const struct demo_recording *recording, const struct demo_migration *migration,
			     struct error *err)
{
	char *path = mem_printf("%s/%s.sql", recording->folder, migration->name);
	if (out_file_save(path, migration->sql, strlen(migration->sql), err) == 0)
		return path;
	free(path);
	return NULL;
}

int demo_rehearse(const struct demo_recording *recording, const struct demo_migration *migration, struct demo_run *run,
		  struct error *err)
{
	char *path = write_migration(recording, migration, err);
	if (!path)
		return -err->code;
	char *run_dir = mem_printf("%s/%s", recording->folder, migration->name);
	struct migration files;
	struct migration_way way = {.files = &files};
	struct test_migration_options options = {
		.rehearsal = {.replay_path = recording->replay,
			      .run_dir = run_dir,
			      .way = &way,
			      .replace = true,
			      .migrate_at_ns = recording->migrate_at_ns,
			      .speed = 1,
			      .drain_timeout_ns = DEMO_DRAIN_NS,
			      .cancelled = recording->server->cancelled,
			      .progress = rehearsal_show_progress},
		.source = recording->server->backup,
		.clone_folder = recording->server->folder,
	};
	struct test_migration_result result = {0};
	migration_init(&files);
	int rc = migration_add_file(&files, path, err);
	if (rc == 0)
		rc = test_migration_run(&options, &result, err);
	if (rc == 0) {
		run->outcome = mem_strdup(result.word);
		run->reason = mem_strdup(result.reason ? result.reason : "");
		run->report = mem_strdup(result.report_path ? result.report_path : run_dir);
		test_migration_result_release(&result);
	}
	migration_release(&files);
	free(run_dir);
	free(path);
	return rc;
}

void demo_run_release(struct demo_run *run)
{
	free(run->outcome);
	free(run->reason);
	free(run->report);
	memset(run, 0, sizeof(*run));
}
