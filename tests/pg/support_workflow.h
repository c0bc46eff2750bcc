/* A folder of migrations and runs of it on a test's server, in a few words each. Every step opens what it needs anew.
 */
#ifndef SUPPORT_WORKFLOW_H
#define SUPPORT_WORKFLOW_H

#include "error.h"
#include "support_pg_server.h"
#include "temp_folder.h"
#include "workflow_run.h"
#include "workflow_session.h"

#include <stdbool.h>
#include <stddef.h>

struct workflow_test {
	struct temp_folder folder;
	const struct pg_server *server;
	struct workflow_results results; /* of the last run */
	struct error err;		 /* of the last step */
	/* For runs to come: */
	size_t parallel;
	int64_t lock_timeout_ns;
	int retries;
	const volatile bool *cancelled;
	bool skip_missing;
	bool allow_changed;
	bool unmeasured;
};

/* A database without tables, in public at least, and a folder without migrations. */
void workflow_test_init(struct workflow_test *test, const struct pg_server *server);
void workflow_test_release(struct workflow_test *test);
/* needs: ids parted by blanks; more: further fields (", \"data\": true") or "". down may be NULL: there is no such
 * file.
 */
void workflow_test_add(const struct workflow_test *test, const char *id, const char *needs, const char *more,
		       const char *up, const char *down);
void workflow_test_write(const struct workflow_test *test, const char *id, const char *name, const char *text);
void workflow_test_remove(const struct workflow_test *test, const char *id);

/*
 * Each returns 0 or the negative code of test->err, for what was refused before it ran. to, only, skip and id may be
 * NULL.
 */
int workflow_test_up(struct workflow_test *test, const char *to, const char *only, const char *skip);
int workflow_test_down(struct workflow_test *test, const char *id, size_t steps);
int workflow_test_mark(struct workflow_test *test, const char *id, const char *reason); /* NULL: --undo */
int workflow_test_reset(struct workflow_test *test, const char *to);			/* NULL: none */

/* "325aeb43:done 712ccb88:failed", in the order in which they were to run. */
const char *workflow_test_outcomes(const struct workflow_test *test);
const struct workflow_result *workflow_test_result(const struct workflow_test *test, size_t at);
/* "325aeb43:applied 712ccb88:half up", by id, from the table itself. */
char *workflow_test_history(const struct workflow_test *test);
void workflow_test_expect(const struct workflow_test *test, const char *outcomes, const char *history);

#endif
