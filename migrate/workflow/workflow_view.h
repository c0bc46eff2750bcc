/*
 * The folder and a database's history side by side: what each migration is in that database, and from that, what `up`
 * and `down` are to run. Nothing runs here and nothing is changed.
 */
#ifndef WORKFLOW_VIEW_H
#define WORKFLOW_VIEW_H

#include "error.h"
#include "workflow_folder.h"
#include "workflow_graph.h"
#include "workflow_history.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define WORKFLOW_NONE SIZE_MAX /* no migration */

enum workflow_status {
	WORKFLOW_IS_PENDING,
	WORKFLOW_IS_LEFT, /* pending, and its meta file leaves it to other means */
	WORKFLOW_IS_APPLIED,
	WORKFLOW_IS_SKIPPED,
	WORKFLOW_IS_HALF_UP,
	WORKFLOW_IS_HALF_DOWN
};

struct workflow_view {
	const struct workflow_folder *folder;
	const struct workflow_history *history;	      /* NULL: of no database */
	struct workflow_graph graph;		      /* what the database has without files counts as met */
	const struct workflow_record **records;	      /* of each migration, or NULL */
	enum workflow_status *status;		      /* of each */
	bool *changed;				      /* its up.sql is not the one that was applied */
	const struct workflow_record **without_files; /* that the database has and the folder has not */
	size_t without_files_count;
};

/* The errors of workflow_graph_build(). history may be NULL. To be released whatever the result. */
int workflow_view_init(struct workflow_view *view, const struct workflow_folder *folder,
		       const struct workflow_history *history, struct error *err);
void workflow_view_release(struct workflow_view *view);
/* Applied, or done by other means: what depends on it may run. */
bool workflow_view_is_done(const struct workflow_view *view, size_t migration);
const char *workflow_status_name(enum workflow_status status);

/* What `up` is asked for. */
struct workflow_up_request {
	size_t to;   /* this one and all that it needs, or WORKFLOW_NONE */
	size_t only; /* this one alone, or WORKFLOW_NONE */
	const size_t *skip;
	size_t skip_count;
	bool skip_missing;  /* rows whose files are not there are fine */
	bool allow_changed; /* and so are files that were changed since */
};

/* Why a pending migration in the range does not run. */
enum workflow_hold {
	WORKFLOW_RUNS, /* or is not in the range at all */
	WORKFLOW_LEFT, /* skip in its meta file, or --skip */
	WORKFLOW_HELD  /* needs one of those */
};

struct workflow_choice {
	bool *wanted;
	enum workflow_hold *hold;
	size_t *batch; /* SIZE_MAX for what is not wanted */
	size_t wanted_count;
	size_t batch_count;
};

/*
 * ERR_DATA when the database is in no state to go on from (something stopped half-way; files missing or changed), or a
 * migration to run has no SQL yet; ERR_USAGE when what was asked for cannot be. *choice is to be released whatever the
 * result.
 */
int workflow_choose_up(const struct workflow_view *view, const struct workflow_up_request *request,
		       struct workflow_choice *choice, struct error *err);
/*
 * For `down`: that migration with all that needs it, or when it is WORKFLOW_NONE the `steps` that were applied last.
 * Batches count in the order of running: dependants first.
 */
int workflow_choose_down(const struct workflow_view *view, size_t migration, size_t steps, bool skip_missing,
			 struct workflow_choice *choice, struct error *err);
void workflow_choice_release(struct workflow_choice *choice);

#endif
