/*
 * Runs a migration's statements on one connection and writes down what each does: its locks read before its COMMIT,
 * what it waited for, what it rewrote, scanned, and how much WAL and space that took.
 *
 * psql's semantics: each statement commits by itself, BEGIN … COMMIT in a file is respected, the first failure ends it.
 * A stand-alone statement is put between BEGIN and COMMIT of ours so that its locks can be read while it holds them;
 * one that the server refuses there (CREATE INDEX CONCURRENTLY, VACUUM) runs again bare, its locks then seen by
 * sampling.
 */
#ifndef SQL_RUNNER_H
#define SQL_RUNNER_H

#include "error.h"
#include "ledger.h"
#include "migration.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

struct sql_runner_options {
	const char *url; /* libpq URI of the migrating lane */
	const struct migration *migration;
	int64_t t0_ns;	     /* the run's start on clock_mono_ns(); the ledger's times count from it */
	int64_t start_at_ns; /* when to begin, on clock_mono_ns(); 0 or past: at once. It is connected before */
	int64_t timeout_ns;  /* for all statements together, 0 for none */
	int64_t interval_ns; /* between samples of its own locks; 0 means 10 ms */
	const volatile bool *cancelled; /* may be NULL; when it turns true the statement is cancelled */
	_Atomic uint32_t *statement_no; /* may be NULL; the number, from 1, of the statement that runs, for display */
	/* Nothing is asked before, while and after a statement: the ledger has times and errors alone. Where somebody
	   else measures already, or where a lock may not be held for the milliseconds that measuring takes. */
	bool unmeasured;
	/* May be NULL; called before each statement is sent, with its index in the migration: for those who keep a
	   record of how far it came. */
	void (*begin)(void *context, size_t statement);
	void *begin_context;
};

/*
 * Runs all of it and fills *ledger (initialised by the caller). A statement that fails, a timeout and a cancelled run
 * are outcomes in the ledger and answer 0; ERR_UNAVAILABLE when there is no connection to begin with, ERR_DATA when the
 * server cannot tell its locks.
 */
int sql_runner_run(const struct sql_runner_options *options, struct ledger *ledger, struct error *err);

#endif
