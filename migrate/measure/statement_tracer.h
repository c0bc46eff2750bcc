/*
 * What the statements of one backend do, written into a ledger: the part that is the same for those who run a
 * migration's statements themselves (SQL files) and for those who only pass them on (the tracing proxy). It watches the
 * backend from a connection of its own, the *probe*, and asks the backend itself, before its transaction ends, through
 * a function of the caller's. It never sends the statements; the caller does, and says when.
 *
 * For each statement, in this order (blocking calls, all from one thread at a time; a tracer for each backend):
 *
 *	manner = statement_tracer_prepare(tracer, &text, TRACED_IDLE)	looks at the database before, may ask
 *	BEGIN, when the manner is STATEMENT_WRAPPED and no transaction was open
 *	statement_tracer_start(tracer)					the statement is sent now
 *	statement_tracer_step(), again and again until it is over	samples its locks meanwhile
 *	  it failed, and statement_tracer_wants_bare(): ROLLBACK, start(), and send it again
 *	statement_tracer_end(tracer, &result)				reads what it did, may ask
 *	COMMIT, when it was wrapped; when that fails: statement_tracer_commit_failed()
 *	statement_tracer_finish(tracer, …)				is its transaction still open?
 *
 * A statement whose transaction is over before its end is known (a pipeline without an explicit transaction), and one
 * that failed, is known by the samples alone; the ledger says so (ledger_statement.locks_known). So is, outside of a
 * transaction, a change of rows behind a hundred others that each took less than 5 ms; inside of one it is looked at
 *for its locks from the probe alone. What such a statement scanned, wrote and grew is not known.
 */
#ifndef STATEMENT_TRACER_H
#define STATEMENT_TRACER_H

#include "error.h"
#include "ledger.h"
#include "pg_conn.h"
#include "span.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* How the caller is to run a statement so that most is known about it. */
enum statement_manner {
	STATEMENT_WRAPPED, /* in a transaction: the one that is open, else between BEGIN and COMMIT of the caller's */
	STATEMENT_BARE,	   /* by itself: it may end transactions, or the server refuses it inside of one */
	STATEMENT_CONTROL, /* by itself, and nothing to measure: BEGIN, COMMIT, SET … */
	STATEMENT_READ	   /* by itself: a plain query, which holds nothing once it is over; sampled alone */
};

/* What the backend is doing when a statement is about to be sent. */
enum traced_state {
	TRACED_IDLE,	       /* no transaction is open; it can be asked */
	TRACED_IN_TRANSACTION, /* one is open, and may have failed; it can be asked unless it has */
	TRACED_BUSY	       /* earlier statements of a pipeline are under way: it cannot be asked */
};

struct statement_tracer_options {
	const char *url;       /* libpq URI of the clone, for the probe */
	int32_t pid;	       /* of the backend that runs the statements */
	int64_t t0_ns;	       /* the run's start on clock_mono_ns(); the ledger's times count from it */
	int64_t interval_ns;   /* between samples; 0 means 10 ms */
	struct ledger *ledger; /* gets the statements; of this tracer alone: see ledger_merge() */
	/*
	 * Runs `count` single statements of ours on the traced backend, in order and at once (one round trip will do),
	 * and hands out each one's result, in results[0..count), for the tracer to clear. Called only while the backend
	 * is idle, from within prepare() and end(). The first that fails ends it: negative, the results so far handed
	 * out, the others NULL. The tool must not notice: its unnamed statement and portal stay as they are.
	 * What is sent holds no parameters and returns its rows as text.
	 */
	int (*ask)(void *context, const char *const *statements, size_t count, PGresult **results, struct error *err);
	void *ask_context;
};

/* A statement, as the ledger names it. */
struct traced_text {
	struct span sql;  /* one statement, without its semicolon; needed until statement_tracer_end() */
	const char *file; /* NULL when there is none */
	uint32_t line;	  /* on which it begins, 0 when there is no file */
};

/* How it ended. */
struct traced_result {
	int64_t end_ns;	      /* on clock_mono_ns() */
	const char *sqlstate; /* NULL or "" when it went well */
	const char *message;  /* safe_message(); NULL when it went well */
	int64_t rows;	      /* returned or affected, as its command tag says; -1 when that says nothing */
	bool can_ask;	      /* the backend is idle in the (good) transaction that the statement ran in */
};

struct statement_tracer;

/*
 * Opens the probe and reads the catalogs. Calls ask() once, so the backend is to be idle outside of a transaction.
 * ERR_UNAVAILABLE without a connection, ERR_DATA when the server cannot tell locks. *out is NULL when it fails.
 */
int statement_tracer_open(const struct statement_tracer_options *options, struct statement_tracer **out,
			  struct error *err);
/* NULL is fine. A transaction that the ledger still shows as open is abandoned, now. */
void statement_tracer_close(struct statement_tracer *tracer);

/* Begins a statement: adds it to the ledger. */
enum statement_manner statement_tracer_prepare(struct statement_tracer *tracer, const struct traced_text *text,
					       enum traced_state state);
/* It is being sent now: its time begins, and sampling with it. */
void statement_tracer_start(struct statement_tracer *tracer);
/*
 * Takes the sample in that has come, sends the next one when it is due. Returns when to call again at the latest, on
 * clock_mono_ns(); earlier when statement_tracer_socket() can be read.
 */
int64_t statement_tracer_step(struct statement_tracer *tracer, int64_t now_ns);
/* To be polled for reading while a statement runs; -1 when no sample is under way. */
int statement_tracer_socket(const struct statement_tracer *tracer);
/* True, once, for a wrapped statement that the server refused inside a transaction; its manner is now BARE. */
bool statement_tracer_wants_bare(struct statement_tracer *tracer, const char *sqlstate);
void statement_tracer_end(struct statement_tracer *tracer, const struct traced_result *result);
/* COMMIT (of ours, or the tool's own) failed: a deferred constraint. The statement at hand is the one that failed. */
void statement_tracer_commit_failed(struct statement_tracer *tracer, const char *sqlstate, const char *message);
/*
 * The statement at hand is done with. Unless its transaction goes on, everything that it and the others of that
 * transaction hold was released at transaction_end_ns (on clock_mono_ns()).
 */
void statement_tracer_finish(struct statement_tracer *tracer, bool in_transaction, int64_t transaction_end_ns);
/*
 * The transaction ended without a statement of the tool's, or of ours: the connection was lost, or a pipeline's Sync
 * committed. Nothing happens when none is open.
 */
void statement_tracer_end_transaction(struct statement_tracer *tracer, int64_t transaction_end_ns);
/* The same for one that nobody ended and the server so rolled back: its statements are marked as taken back. */
void statement_tracer_abandon(struct statement_tracer *tracer, int64_t transaction_end_ns);

#endif
