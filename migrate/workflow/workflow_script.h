/*
 * A migration's statements with ours among them, as one list for the SQL runner: in a transaction BEGIN, the lock
 * timeout, the history's row, the team's statements and COMMIT; without one the lock timeout around each. The row comes
 * first so that nothing of ours stands between what the team's statements lock and the COMMIT that lets it go.
 */
#ifndef WORKFLOW_SCRIPT_H
#define WORKFLOW_SCRIPT_H

#include "error.h"
#include "migration.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define WORKFLOW_OWN_FILE "(rehearse)" /* stands for the file of statements that are ours */

struct workflow_script {
	struct migration all; /* its statements point into the migration and into `own` */
	struct migration own;
	size_t *numbers;   /* of each statement in `all`: among the team's, from 1; 0 for one of ours */
	size_t team_count; /* statements that are not ours */
	size_t capacity;
};

/*
 * sql is the migration's up or down, which the script goes on pointing into. With `history`, SQL that writes what is to
 * be remembered, all of it becomes one transaction; NULL: statement by statement. lock_timeout_ns 0: none. To be
 * released whatever the result.
 */
int workflow_script_build(struct workflow_script *script, const struct migration *sql, int64_t lock_timeout_ns,
			  const char *history, struct error *err);
void workflow_script_release(struct workflow_script *script);
bool workflow_script_is_own(const char *file);

#endif
