/* The whole chain for one migration: see test_migration.h. */
#include "test_migration.h"

#include "clock.h"
#include "clone.h"
#include "clone_args.h"
#include "lock_log.h"
#include "log_zone.h"
#include "mem.h"
#include "output.h"
#include "rehearsal.h"
#include "rehearsal_args.h"
#include "report_html.h"
#include "run_dir.h"
#include "server_lock_waits.h"
#include "verdict.h"

#include <unistd.h>

/* Those of the replay; the checks may want more behind them. */
static const char *const *const lanes = migration_check_lanes;

static int make_clones(const struct test_migration_options *options, struct clone_set **clones, struct error *err)
{
	const char *last_step = NULL;
	/* Several runs side by side never meet: a process makes its clones one after the other. */
	char *name = options->clone_name ? mem_strdup(options->clone_name)
					 : mem_printf("test-%ld-%llx", (long)getpid(),
						      (unsigned long long)(clock_wall_ns() / NS_PER_MS) & 0xffffffULL);
	struct clone_request request = options->clones ? *options->clones : (struct clone_request){0};
	request.name = name;
	request.source = options->source;
	request.lanes = lanes;
	request.lane_count = migration_checks_lane_count(options->checks);
	request.folder = options->clone_folder;
	request.pg_bindir = options->pg_bindir;
	request.run_as = options->run_as;
	request.cancelled = options->rehearsal.cancelled;
	request.progress = clone_args_show_step;
	request.progress_context = &last_step;
	int rc = clone_set_create(options->provider ? options->provider : &clone_local, &request, clones, err);
	free(name);
	return rc;
}

/*
 * The clones' servers log every lock wait of more than their deadlock_timeout: a second witness beside the sampler. A
 * log that cannot be read is said, and no more: the sampler's word stands.
 */
static void read_server_logs(const struct test_migration_options *options, const struct clone_set *clones,
			     const json_t *run)
{
	static const char *const names[] = {LOCK_LOG_SERVER_BASELINE, LOCK_LOG_SERVER_MIGRATING};
	const char *start = json_string_value(json_object_get(run, "start_time"));
	int64_t start_ns;
	if (!start || !log_zone_parse_given(NULL, start, &start_ns))
		return;
	for (size_t i = 0; i < 2; i++) {
		const struct clone *clone = clone_set_find(clones, lanes[i]);
		if (!clone->log)
			continue;
		struct error err = ERROR_INIT;
		char *path = run_dir_path(options->rehearsal.run_dir, names[i]);
		if (server_lock_waits_save(clone->log, lanes[i], start_ns, clock_wall_ns(), LOCK_LOG_SERVER_INTERVAL_NS,
					   path, &err) < 0)
			output_warning("%s", err.text);
		free(path);
	}
}

static int rehearse(const struct test_migration_options *options, const struct clone_set *clones, struct error *err)
{
	json_t *run = NULL;
	struct rehearsal_options rehearsal = options->rehearsal;
	if (options->checks && options->checks->under_traffic) {
		rehearsal.rollback = &options->checks->down;
		rehearsal.rollback_after_ns = options->checks->after_ns;
	}
	rehearsal.baseline_url = clone_set_find(clones, lanes[0])->url;
	rehearsal.migrating_url = clone_set_find(clones, lanes[1])->url;
	/* What the user's own scripts made is a clone by their word; that it is not the source was looked at. */
	rehearsal.known_clone = options->provider == &clone_command;
	json_t *made = clone_set_describe(clones);
	rehearsal.clones = made;
	output_progress_begin("replaying", "items", 1);
	int rc = rehearsal_run(&rehearsal, &run, err);
	output_progress_end();
	if (run) {
		rehearsal_print_lanes(run);
		read_server_logs(options, clones, run);
		if (options->noise)
			noise_put_beside(options->noise, rehearsal.run_dir);
	}
	json_decref(made);
	json_decref(run);
	return rc;
}

static int judge(const struct test_migration_options *options, struct test_migration_result *result, struct error *err)
{
	struct verdict *verdict = NULL;
	struct judge_options judging = {
		.thresholds = options->thresholds, .rollout = options->rollout, .strict = options->strict};
	char *report = run_dir_path(options->rehearsal.run_dir, RUN_FILE_HTML);
	int rc = verdict_judge(options->rehearsal.run_dir, &judging, &verdict, err);
	if (rc == 0)
		rc = verdict_save(verdict, options->rehearsal.run_dir, err);
	if (rc == 0)
		rc = report_html_save(verdict, report, err);
	if (rc == 0) {
		struct strbuf summary;
		strbuf_init(&summary, (size_t)1 << 20);
		verdict_print_summary(verdict, &summary);
		result->outcome = (int)verdict->outcome;
		result->word = verdict_outcome_name(verdict->outcome);
		result->reason = mem_strdup(verdict->reason);
		result->summary = strbuf_detach(&summary);
		result->report_path = mem_strdup(report);
		result->verdict = json_incref(verdict->document);
	}
	verdict_free(verdict);
	free(report);
	return rc;
}

int test_migration_run(const struct test_migration_options *options, struct test_migration_result *result,
		       struct error *err)
{
	struct clone_set *clones = NULL;
	memset(result, 0, sizeof(*result));
	int rc = rehearsal_check(&options->rehearsal, err); /* before the clones: they may take hours */
	if (rc == 0)
		rc = make_clones(options, &clones, err);
	struct migration_checks checks = {.plan = options->checks,
					  .clones = clones,
					  .up = options->rehearsal.way,
					  .migration_timeout_ns = options->rehearsal.migration_timeout_ns,
					  .cancelled = options->rehearsal.cancelled};
	if (rc == 0)
		rc = migration_checks_begin(&checks, err);
	if (rc == 0)
		rc = rehearse(options, clones, err);
	if (rc == 0)
		rc = migration_checks_end(&checks, options->rehearsal.run_dir, err);
	migration_checks_release(&checks);
	/* Before judging: a verdict needs the run folder alone, and clones cost room. */
	struct error removal = ERROR_INIT;
	if (clone_set_destroy(clones, &removal) < 0)
		output_warning("%s", removal.text);
	if (rc == 0)
		rc = judge(options, result, err);
	return rc;
}

void test_migration_result_release(struct test_migration_result *result)
{
	free(result->reason);
	free(result->summary);
	free(result->report_path);
	json_decref(result->verdict);
	memset(result, 0, sizeof(*result));
}
