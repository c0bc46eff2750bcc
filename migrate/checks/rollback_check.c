/* Up, down and up again on a clone of its own: see rollback_check.h. */
#include "rollback_check.h"

#include "catalog_snapshot.h"
#include "clock.h"
#include "data_check.h"

struct state {
	const struct rollback_check *check;
	struct check_results *results;
	struct catalog_snapshot original;
	struct catalog_snapshot migrated;
	struct data_tables untouched; /* what was written before we began, on either clone */
	struct data_tables scratch;
};

static void say(const struct state *s, const char *what)
{
	if (s->check->progress)
		s->check->progress(s->check->progress_context, what);
}

static int run_step(struct state *s, const struct check_runner *runner, const char *what, struct check_step *step,
		    struct error *err)
{
	struct ledger ledger;
	ledger_init(&ledger);
	say(s, what);
	int64_t start_ns = clock_mono_ns();
	int rc = runner->run(runner->context, s->check->scratch_url, &ledger, err);
	if (rc == 0 && ledger.outcome == LEDGER_CANCELLED) { /* says nothing of the step */
		rc = error_set(err, ERR_INTERRUPTED, "interrupted");
	} else if (rc == 0) {
		step->ran = true;
		step->outcome = ledger.outcome;
		step->duration_ns =
			ledger.end_ns > ledger.start_ns ? ledger.end_ns - ledger.start_ns : clock_mono_ns() - start_ns;
		step->statements = ledger_to_json(&ledger);
		if (ledger.problem)
			check_results_skip(s->results, what, ledger.problem);
	}
	ledger_release(&ledger);
	return rc < 0 ? error_context(err, "%s", what) : 0;
}

static bool went_well(const struct check_step *step)
{
	return step->ran && step->outcome == LEDGER_OK;
}

static int compare_data(struct state *s, enum check_phase phase, struct error *err)
{
	if (!s->check->with_data)
		return 0;
	say(s, phase == CHECK_MIGRATION ? "comparing the data before and after the migration"
					: "comparing the data before the migration and after its rollback");
	const struct data_check data = {
		.before_url = s->check->untouched_url,
		.after_url = s->check->scratch_url,
		.phase = phase,
		.before_then = &s->untouched,
		.after_then = &s->scratch,
		.limits = {.table_bytes = s->check->table_bytes,
			   .deadline_ns = s->check->time_ns > 0 ? clock_mono_ns() + s->check->time_ns : 0,
			   .cancelled = s->check->cancelled},
		.progress = s->check->tables,
		.progress_context = s->check->progress_context,
	};
	return data_check_run(&data, s->results, err);
}

static int begin(struct state *s, struct error *err)
{
	say(s, "reading the schema");
	int rc = catalog_snapshot_load(s->check->scratch_url, &s->original, err);
	if (rc == 0)
		rc = data_check_count(s->check->untouched_url, &s->untouched, err);
	if (rc == 0)
		rc = data_check_count(s->check->scratch_url, &s->scratch, err);
	return rc;
}

static int check_up(struct state *s, struct error *err)
{
	int rc = run_step(s, &s->check->up, "the migration alone, on the scratch clone", &s->results->up, err);
	if (rc == 0 && !went_well(&s->results->up)) {
		check_results_skip(s->results, "what the migration does to schema and data",
				   "the migration failed on the scratch clone");
		return 0;
	}
	if (rc == 0)
		rc = catalog_snapshot_load(s->check->scratch_url, &s->migrated, err);
	if (rc == 0) {
		catalog_snapshot_compare(&s->original, &s->migrated, &s->results->changes);
		rc = compare_data(s, CHECK_MIGRATION, err);
	}
	return rc;
}

static int check_down(struct state *s, struct error *err)
{
	struct catalog_snapshot now = {0};
	int rc = run_step(s, &s->check->down, "the rollback, on the scratch clone", &s->results->down, err);
	if (rc == 0 && !went_well(&s->results->down)) {
		check_results_skip(s->results, "schema and data after the rollback", "the rollback failed");
		return 0;
	}
	if (rc == 0)
		rc = catalog_snapshot_load(s->check->scratch_url, &now, err);
	if (rc == 0) {
		catalog_snapshot_compare(&s->original, &now, &s->results->rollback);
		rc = compare_data(s, CHECK_ROLLBACK, err);
	}
	catalog_snapshot_release(&now);
	return rc;
}

static int check_again(struct state *s, struct error *err)
{
	struct catalog_snapshot now = {0};
	int rc = run_step(s, &s->check->up, "the migration once more, after its rollback", &s->results->again, err);
	if (rc < 0 || !went_well(&s->results->again))
		return rc;
	rc = catalog_snapshot_load(s->check->scratch_url, &now, err);
	if (rc == 0)
		catalog_snapshot_compare(&s->migrated, &now, &s->results->repeat);
	catalog_snapshot_release(&now);
	return rc;
}

int rollback_check_run(const struct rollback_check *check, struct check_results *results, struct error *err)
{
	struct state s = {.check = check, .results = results};
	int rc = begin(&s, err);
	if (rc == 0)
		rc = check_up(&s, err);
	bool with_down = check->down.run != NULL;
	if (rc == 0 && with_down && !went_well(&results->up))
		check_results_skip(results, "the rollback", "the migration failed on the scratch clone");
	if (rc == 0 && with_down && went_well(&results->up))
		rc = check_down(&s, err);
	if (rc == 0 && went_well(&results->down))
		rc = check_again(&s, err);
	catalog_snapshot_release(&s.original);
	catalog_snapshot_release(&s.migrated);
	data_tables_release(&s.untouched);
	data_tables_release(&s.scratch);
	return rc;
}
