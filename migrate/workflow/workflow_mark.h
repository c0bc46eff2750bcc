/*
 * The history changed without running SQL of the team's: what somebody did by hand, said to the database. Skipping
 * marks one migration as done by other means; a reset says exactly which ones are there.
 */
#ifndef WORKFLOW_MARK_H
#define WORKFLOW_MARK_H

#include "error.h"
#include "workflow_session.h"
#include "workflow_view.h"

#include <stdbool.h>
#include <stddef.h>

/* One that stopped half-way, and was put right by hand, becomes applied: its way back is its own. ERR_USAGE when it is
 * applied or skipped already. */
int workflow_mark_skipped(struct workflow_session *session, const struct workflow_view *view, size_t migration,
			  const char *reason, struct error *err);
/* Skipped, or stopped half-way, becomes pending: nothing of it is there (any more). ERR_USAGE for any other. */
int workflow_mark_undone(struct workflow_session *session, const struct workflow_view *view, size_t migration,
			 struct error *err);

/* What a reset changes. */
struct workflow_reset {
	bool *mark;				    /* of each migration: becomes applied */
	bool *forget;				    /* becomes pending */
	const struct workflow_record **forget_rows; /* those of them without files */
	size_t mark_count;
	size_t forget_count; /* with those without files */
	size_t forget_row_count;
};

/*
 * So that the history holds `to` and all that it needs, and nothing else; WORKFLOW_NONE: nothing at all. What is marked
 * as skipped and needed stays so. To be released whatever the result.
 */
void workflow_reset_plan(const struct workflow_view *view, size_t to, struct workflow_reset *reset);
/* In one transaction. */
int workflow_reset_apply(struct workflow_session *session, const struct workflow_view *view,
			 const struct workflow_reset *reset, struct error *err);
void workflow_reset_release(struct workflow_reset *reset);

#endif
