/* rehearse compare: judges a run directory. */
#include "commands.h"
#include "interrupt.h"
#include "mem.h"
#include "output.h"
#include "rollout_args.h"
#include "threshold_args.h"
#include "verdict.h"

static struct threshold_args judging;
static struct rollout_args planning;

static const struct option options[] = {
	THRESHOLD_ARG_ROWS(judging),
	ROLLOUT_ARG_ROWS(planning),
	OPT_END,
};

static int run(const struct command_call *call, struct error *err)
{
	struct thresholds thresholds;
	struct rollout rollout;
	struct judge_options judge = {.thresholds = &thresholds, .rollout = &rollout, .strict = judging.strict};
	struct verdict *verdict = NULL;
	const char *dir = call->arguments[0];
	rollout_init(&rollout);
	int rc = threshold_args_load(&judging, call->config, &thresholds, err);
	if (rc == 0)
		rc = rollout_args_load(&planning, call->config, &rollout, err);
	if (rc == 0) {
		interrupt_end_at_once(true);
		if (interrupt_requested())
			rc = error_set(err, ERR_INTERRUPTED, "interrupted");
		else
			rc = verdict_judge(dir, &judge, &verdict, err);
		interrupt_end_at_once(false);
	}
	if (rc == 0)
		rc = verdict_save(verdict, dir, err);
	if (rc == 0) {
		struct strbuf text;
		strbuf_init(&text, 1 << 20);
		verdict_print_summary(verdict, &text);
		output_string(text.data);
		output_json(verdict->document);
		strbuf_release(&text);
		rc = (int)verdict->outcome;
	}
	verdict_free(verdict);
	rollout_release(&rollout);
	thresholds_release(&thresholds);
	return rc;
}

const struct command cmd_compare = {
	.name = "compare",
	.summary = "judges a run, and writes verdict.json",
	.arguments = "RUN",
	.arguments_min = 1,
	.arguments_max = 1,
	.options = options,
	.run = run,
	.docs = "Reads the run directory RUN, pairs what the two lanes made of every item, and judges what the "
		"migration "
		"did to the users: whom it locked out, for how long, which statements broke, which became slower. The "
		"result is RUN/verdict.json; docs/verdict.md says how it is reached.\n\n"
		"The exit code is the verdict: 0 clear, 1 hurts, 2 cannot tell, 3 invalid run.\n\n"
		"Levels come from the section [thresholds] of rehearse.ini, such as stall.max = warn >= 100ms, fail >= "
		"1s, "
		"or for one table stall.max{table=orders} = fail >= 50ms; hot_tables = orders, stock makes the warn "
		"level "
		"fail there.\n\n"
		"--row-ratio, --deploy-timeout and --planned-at say what is known of the roll-out in production: how "
		"long it takes there at best, whether that fits the deploy step, and whether a blackout of the section "
		"[blackout] stands in its way (docs/rollout.md).",
	.examples = "rehearse compare runs/42\nrehearse compare runs/42 --preset strict-4s --json\n"
		    "rehearse compare runs/42 --row-ratio 20 --row-ratio orders=120 --deploy-timeout 10m",
};
