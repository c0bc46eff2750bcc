/*
 * Alembic on a clone, traced. Alembic is run through its own functions in the Python that it is installed in
 * (alembic_driver.py), behind the tracing proxy as any other tool is (command_runner.h).
 *
 * Where env.py takes its URL from is up to the project, so three things keep it from another database: the URL of
 * alembic.ini is replaced in memory and the usual variables in the environment; it runs where no other server can be
 * reached (tool_network.h); and before anything is changed the project is asked for its current revision, which must
 * come in at the proxy, once. Afterwards it is asked again whether the target was really reached.
 */
#ifndef ALEMBIC_RUNNER_H
#define ALEMBIC_RUNNER_H

#include "command_runner.h"
#include "error.h"
#include "ledger.h"

#include <stdbool.h>
#include <stddef.h>

struct alembic_project {
	const char *directory; /* where Alembic runs, NULL: here */
	const char *config;    /* the ini, as seen from there; NULL: alembic.ini */
	const char *section;   /* of the ini; NULL: alembic */
	const char *revision;  /* the target, NULL: heads */
	bool downgrade;
	const char *const *x; /* for env.py: what -x gives */
	size_t x_count;
	const char *python;		  /* that has Alembic; NULL: that of `alembic` in PATH, else python3 */
	const char *url_scheme;		  /* of the URLs that it gets; NULL: that of sqlalchemy.url, else postgresql */
	const char *const *url_variables; /* further variables that get the URL */
	size_t url_variable_count;
	bool open_network; /* it may reach other servers than the clone */
};

/* Revision ids, sorted. */
struct alembic_revisions {
	char **items;
	size_t count;
	size_t capacity;
};

struct alembic_state {
	struct alembic_revisions heads;	  /* of the scripts */
	struct alembic_revisions current; /* of the database */
	struct alembic_revisions missing; /* what the target has and the database has not */
};

void alembic_state_release(struct alembic_state *state);
/*
 * Without a database: ERR_UNAVAILABLE when Alembic cannot be found, ERR_DATA when the project does not load or does not
 * know the target; what Alembic says of it goes to the log.
 */
int alembic_runner_check(const struct alembic_project *project, struct error *err);
/*
 * Asks the clone for its revisions; nothing is changed. ERR_DATA when the project cannot be run on it, ERR_USAGE when
 * it goes to another database than the clone. *state is to be released whatever the answer.
 */
int alembic_runner_look(const struct alembic_project *project, const struct command_runner_options *options,
			struct alembic_state *state, struct error *err);
/*
 * Runs it, and fills *ledger as command_runner_run() does; options->command is not looked at. *after (may be NULL) is
 * the state that it leaves, asked only when Alembic says that all went well. A target that was not reached is
 * LEDGER_FAILED. Call alembic_runner_look() first.
 */
int alembic_runner_run(const struct alembic_project *project, const struct command_runner_options *options,
		       struct ledger *ledger, struct alembic_state *after, struct error *err);

#endif
