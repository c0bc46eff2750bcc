/*
 * The migration ledger ("ledger.json"): for each statement of the migration when it ran, what it locked and waited for,
 * and what it rewrote. Times are nanoseconds from the run's start in memory, seconds in the file.
 */
#ifndef LEDGER_H
#define LEDGER_H

#include "error.h"

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define LEDGER_FILE "ledger.json"

/* One lock on one relation, in the strongest mode that the statement took. */
struct ledger_lock {
	char relation[260]; /* "schema.name" */
	char index_of[260]; /* its table, when it is an index, else "". Planning a query locks its tables' indexes too
			     */
	uint32_t relation_oid;
	char mode[32];	     /* AccessExclusiveLock, as in PostgreSQL's manual */
	int64_t waited_ns;   /* how long the statement queued for it, as far as it was seen; 0 for no wait */
	int64_t acquired_ns; /* earliest time at which it can have been held: the statement's start, or the wait's end
			      */
	int64_t released_ns; /* its transaction's end */
};

/* What sort of statement it is: by its text, for code (DO, CALL, a query that calls a function) by what it did. */
enum ledger_kind {
	LEDGER_KIND_UNKNOWN, /* of ledgers written before there were kinds */
	LEDGER_KIND_DDL,     /* changes or maintains the schema */
	LEDGER_KIND_DATA,    /* changes rows: INSERT, UPDATE, DELETE, MERGE, COPY … FROM, TRUNCATE */
	LEDGER_KIND_READ,
	LEDGER_KIND_CONTROL /* transactions, settings, LOCK TABLE */
};

/* How a statement's locks are known. */
enum ledger_locks_known {
	LEDGER_LOCKS_UNKNOWN,
	LEDGER_LOCKS_BEFORE_COMMIT, /* read when it was over and its transaction still open: all of them */
	LEDGER_LOCKS_SAMPLED	    /* seen from outside while it ran: short ones can be missing */
};

/* A list of names. */
struct ledger_names {
	char **items;
	size_t count;
};

struct ledger_statement {
	char *file;    /* as given by the user; NULL for what came through the proxy */
	uint32_t line; /* first line of the statement in that file */
	char *sql;     /* redacted: literals as ? */
	int64_t start_ns;
	int64_t end_ns;
	int64_t transaction_end_ns;
	int32_t backend_pid;
	struct ledger_lock *locks;
	size_t lock_count;
	char **rewrites; /* relations whose file was replaced */
	size_t rewrite_count;
	int64_t rows_scanned;	  /* by sequential scans, -1 when not known */
	int64_t wal_bytes;	  /* of the whole server in that time, -1 when not known */
	int64_t size_delta_bytes; /* of the relations locked, -1 … is a change; INT64_MIN when not known */
	enum ledger_kind kind;
	enum ledger_locks_known locks_known;
	int64_t rows_affected; /* or returned, as its command tag says; -1 when that says nothing */
	int64_t rows_changed;  /* inserted, updated, deleted, as its backend counted them; -1 when not known */
	int64_t measuring_ns;  /* that asking its backend took: its transaction's locks were held so much longer */
	bool taken_back;       /* its transaction was open when its connection ended: the server rolled it back */
	bool runs_code; /* statements ran inside of it (DO, CALL, functions): seen by what they did, not one by one */
	struct ledger_names functions; /* of users, that were called; only where the server counts calls */
	struct ledger_names indexes_built;
	struct ledger_names indexes_dropped;
	struct ledger_names indexes_invalid;   /* left behind unusable: a failed CREATE INDEX CONCURRENTLY */
	struct ledger_names relations_created; /* tables, views, sequences … */
	struct ledger_names relations_dropped;
	struct ledger_names triggers_added; /* "trigger on schema.table" */
	struct ledger_names triggers_dropped;
	struct ledger_names triggers_disabled; /* those of foreign keys too */
	struct ledger_names triggers_enabled;
	char sqlstate[6]; /* "" when it went well */
	char *message;	  /* without values; NULL when it went well */
};

enum ledger_outcome {
	LEDGER_NONE, /* there was no migration */
	LEDGER_OK,
	LEDGER_FAILED,	 /* a statement failed; those behind it did not run */
	LEDGER_TIMEOUT,	 /* --migration-timeout ended it */
	LEDGER_CANCELLED /* the run was interrupted */
};

/* The program that ran the migration, where that was not ourselves. */
struct ledger_tool {
	char *name;	       /* of its file, never its arguments; NULL: there was none */
	int exit_status;       /* -1: it did not exit by itself */
	int signal;	       /* that it died of, 0 for none */
	uint64_t output_lines; /* that it wrote. They may hold values, so their number is all that is kept */
};

/* The rollback under traffic: its statements are among the ledger's, behind the migration's own. */
struct ledger_rollback {
	enum ledger_outcome outcome; /* LEDGER_NONE: there was none */
	int64_t start_ns;
	int64_t end_ns;
	int64_t migrated_ns; /* when the migration itself had ended */
};

struct ledger {
	enum ledger_outcome outcome;
	struct ledger_rollback rollback;
	struct ledger_tool tool;
	/* What went wrong beside the statements, in one sentence without values; with LEDGER_OK: why it may not have
	   gone well, which makes the run undecided. NULL: nothing. */
	char *problem;
	int64_t start_ns;
	int64_t end_ns;
	struct ledger_statement *statements;
	size_t statement_count;
	size_t statements_not_run;
};

void ledger_init(struct ledger *ledger);
void ledger_release(struct ledger *ledger);
/* Adds an empty statement (its numbers "not known") and returns it; valid until the next. */
struct ledger_statement *ledger_add_statement(struct ledger *ledger);
struct ledger_lock *ledger_statement_add_lock(struct ledger_statement *statement);
void ledger_statement_add_rewrite(struct ledger_statement *statement, const char *relation);
void ledger_names_add(struct ledger_names *names, const char *name);
bool ledger_names_have(const struct ledger_names *names, const char *name);
/*
 * Moves what `from` holds into *ledger: statements in the order in which they began, the span from the first start to
 * the last end, statements_not_run added up, the outcome left alone. *from is empty after that. For several backends'
 * ledgers.
 */
void ledger_merge(struct ledger *ledger, struct ledger *from);
/* Moves a rollback's ledger in behind the migration's, which has ended: end_ns is the rollback's then. */
void ledger_add_rollback(struct ledger *ledger, struct ledger *rollback);
/* When the migration itself ended, without its rollback. */
int64_t ledger_migrated_ns(const struct ledger *ledger);
/* "none", "ok", "failed", "timeout", "cancelled" */
const char *ledger_outcome_name(enum ledger_outcome outcome);
/* "ddl", "data", "read", "control"; NULL for LEDGER_KIND_UNKNOWN. */
const char *ledger_kind_name(enum ledger_kind kind);
/* "before_commit", "sampled"; NULL for LEDGER_LOCKS_UNKNOWN. */
const char *ledger_locks_known_name(enum ledger_locks_known known);
/* How long the lock was held: to its release, 0 for one that was wanted and never had. */
int64_t ledger_lock_held_ns(const struct ledger_lock *lock);
/*
 * How much of the time from begin_ns to end_ns, in which a backend held a lock, went into measuring: without us it
 * would have held it so much shorter.
 */
int64_t ledger_measuring_between_ns(const struct ledger *ledger, int32_t backend_pid, int64_t begin_ns, int64_t end_ns);

/* How many statements changed the schema or rows in a transaction that nobody ended, and that was so rolled back. */
size_t ledger_count_taken_back(const struct ledger *ledger);

int ledger_save(const struct ledger *ledger, const char *path, struct error *err);
/* Fills *ledger, which the caller releases. ERR_DATA when it is not a ledger. */
int ledger_load(const char *path, struct ledger *ledger, struct error *err);
/* The array of DESIGN's verdict.json, "migration": a new reference. */
json_t *ledger_to_json(const struct ledger *ledger);
/* {"name", "exit_status", "signal", "output_lines"}, or null where there was no tool: a new reference. */
json_t *ledger_tool_to_json(const struct ledger *ledger);

#endif
