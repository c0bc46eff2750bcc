/*
 * rehearse calibrate: the source against itself, N times. What the lanes differ by then is the noise of this traffic on
 * this machine: it is kept (noise_store.h), later runs are judged by it, and their reports say how many runs without an
 * alarm stand behind a verdict.
 */
#include "clone_args.h"
#include "commands.h"
#include "interrupt.h"
#include "mem.h"
#include "output.h"
#include "rehearsal_args.h"
#include "run_dir.h"
#include "test_migration.h"
#include "threshold_args.h"

#include <math.h>

#define NOISIEST_SHOWN 10

static struct rehearsal_args args;
static struct threshold_args judging;
static struct clone_args clones;
static const char *replay_file;
static int64_t times;

static const struct option options[] = {
	OPT_STRING(0, "replay", &replay_file, "FILE", "the traffic, made by create-replay",
		   .attributes = OPTION_REQUIRED),
	OPT_INT('n', "times", &times, "N", "how many runs", .standard = "5", .min = 1, .max = 1000),
	OPT_STRING('o', "output", &args.run_dir, "FOLDER", "folder for the runs, FOLDER/1 to FOLDER/N",
		   .attributes = OPTION_REQUIRED),
	OPT_FLAG(0, "replace", &args.replace, "overwrite the runs that are there already"),
	REPLAY_ARG_ROWS(args),
	THRESHOLD_ARG_ROWS(judging),
	CLONE_ARG_ROWS(clones),
	OPT_END,
};

static int run_once(const struct command_call *call, int64_t number, struct noise_floor *floor, json_t *runs,
		    struct error *err)
{
	struct test_migration_result result = {0};
	struct thresholds thresholds;
	struct clone_request request;
	char *dir = mem_printf("%s/%lld", args.run_dir, (long long)number);
	struct test_migration_options test_options = {.rehearsal = {.replay_path = replay_file},
						      .clones = &request,
						      .source = clones.source,
						      .clone_folder = clones.folder,
						      .pg_bindir = clones.pg_bindir,
						      .run_as = clones.run_as,
						      .thresholds = &thresholds};
	struct rehearsal_args once = args;
	once.run_dir = dir;
	int rc = threshold_args_load(&judging, call->config, &thresholds, err);
	if (rc == 0)
		rc = rehearsal_args_apply(&once, &test_options.rehearsal, err);
	if (rc == 0)
		rc = clone_args_apply(&clones, call->config, replay_file, &request, &test_options.provider, err);
	if (rc == 0)
		rc = test_migration_run(&test_options, &result, err);
	if (rc == 0)
		rc = noise_take_in(&args.noise, dir, result.verdict, floor, err);
	if (rc == 0) {
		const json_t *fidelity = json_object_get(result.verdict, "fidelity");
		output_text("%lld of %lld: %s, fidelity %s: %s\n", (long long)number, (long long)times, result.word,
			    json_string_value(json_object_get(fidelity, "grade")), result.reason);
		(void)json_array_append_new(runs, json_pack("{s:s, s:s, s:s, s:O}", "run", dir, "outcome", result.word,
							    "reason", result.reason, "fidelity",
							    json_object_get(fidelity, "grade")));
	}
	test_migration_result_release(&result);
	thresholds_release(&thresholds);
	free(dir);
	return rc;
}

static int compare_noise(const void *a, const void *b)
{
	const struct noise_statement *const *x = a;
	const struct noise_statement *const *y = b;
	return ((*x)->log_rms < (*y)->log_rms) - ((*x)->log_rms > (*y)->log_rms);
}

static double percent(double log_ratio)
{
	return 100 * (exp(log_ratio) - 1);
}

static void print_floor(const struct noise_floor *floor)
{
	uint32_t judged = floor->runs - floor->outcomes[3];
	output_text(
		"\n%s on %s\n%u runs without a migration are known: %u clear, %u hurts, %u cannot tell, %u invalid\n",
		floor->workload, floor->machine, floor->runs, floor->outcomes[0], floor->outcomes[1],
		floor->outcomes[2], floor->outcomes[3]);
	if (judged && floor->outcomes[1] == 0)
		output_text("no alarm in %u: the rate of false alarms is below %.1f %% (95 %% confidence)\n", judged,
			    100 * (1 - pow(0.05, 1.0 / judged)));
	const struct noise_statement **noisiest = mem_zalloc(floor->count + 1, sizeof(*noisiest));
	for (size_t i = 0; i < floor->count; i++)
		noisiest[i] = &floor->statements[i];
	if (floor->count)
		qsort(noisiest, floor->count, sizeof(*noisiest), compare_noise);
	if (floor->count)
		output_text("\nstatement         runs  typical  largest difference between the lanes\n");
	for (size_t i = 0; i < floor->count && i < NOISIEST_SHOWN; i++)
		output_text("%016llx  %4u  %5.1f %%  %5.1f %%\n", (unsigned long long)noisiest[i]->hash,
			    noisiest[i]->runs, percent(noisiest[i]->log_rms), percent(noisiest[i]->log_max));
	if (floor->count > NOISIEST_SHOWN)
		output_text("and %zu that differ by less\n", floor->count - NOISIEST_SHOWN);
	free(noisiest);
}

static json_t *describe(const struct noise_floor *floor, json_t *runs)
{
	return json_pack("{s:s, s:s, s:s, s:O, s:i, s:{s:i, s:i, s:i, s:i}, s:i}", "schema", "rehearse.calibrate/1",
			 "workload", floor->workload ? floor->workload : "", "machine",
			 floor->machine ? floor->machine : "", "runs", runs, "known_runs", (int)floor->runs, "outcomes",
			 "clear", (int)floor->outcomes[0], "hurts", (int)floor->outcomes[1], "cannot_tell",
			 (int)floor->outcomes[2], "invalid", (int)floor->outcomes[3], "statements", (int)floor->count);
}

/* The runs' own outcomes: 1 when any was a false alarm, 3 when none could be judged. */
static int exit_code(const json_t *runs)
{
	size_t i;
	json_t *run;
	bool judged = false;
	json_array_foreach (runs, i, run) {
		const char *outcome = json_string_value(json_object_get(run, "outcome"));
		if (strcmp(outcome, "hurts") == 0)
			return 1;
		judged |= strcmp(outcome, "invalid") != 0;
	}
	return judged ? 0 : 3;
}

static int run(const struct command_call *call, struct error *err)
{
	struct noise_floor floor;
	bool by_command;
	noise_floor_init(&floor);
	clone_args_use_state_dir(clones.state_dir);
	int rc = clone_args_check(&clones, call->config, &by_command, err);
	if (rc)
		return rc;
	json_t *runs = json_array();
	for (int64_t number = 1; rc == 0 && number <= times; number++) {
		noise_floor_release(&floor);
		rc = run_once(call, number, &floor, runs, err);
	}
	if (rc == 0) {
		json_t *result = describe(&floor, runs);
		print_floor(&floor);
		output_json(result);
		json_decref(result);
		rc = exit_code(runs);
	}
	json_decref(runs);
	noise_floor_release(&floor);
	return rc;
}

const struct command cmd_calibrate = {
	.name = "calibrate",
	.summary = "replays the source against itself, to learn what differs without any migration",
	.arguments = "",
	.options = options,
	.run = run,
	.docs = "Runs test-migration without a migration, N times, on the same traffic. The two lanes should not "
		"differ; "
		"what they differ by is the noise of this traffic on this machine. It is kept, statement by statement, "
		"under the workload's name: later runs of test-migration with the same name, on the same machine, do "
		"not "
		"accuse a statement of less than three times its usual noise, and their reports say how many runs "
		"without "
		"an alarm stand behind the verdict.\n\n"
		"The exit code is 0 when no run was an alarm, 1 when one was, 3 when every run was invalid: then the "
		"machine is too small for this traffic, or busy with something else.",
	.examples = "rehearse calibrate --replay day.rpl --source /srv/backup -n 20 -o calibration\n"
		    "rehearse calibrate --replay peak.rpl --source /srv/backup --workload shop-peak -o calibration",
};
