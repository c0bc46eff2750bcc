/*
 * Errors, three ways: what an item ended with when it was recorded, on the baseline, and on the migrating lane. Only
 * what the migrating lane alone shows, after the migration began, can be the migration's; whether it is depends on the
 * kind of error (docs/verdict.md). Matching goes by SQLSTATE: messages are localised.
 */
#ifndef ERROR_JUDGE_H
#define ERROR_JUDGE_H

#include "break_judge.h"
#include "pairing.h"
#include "touched.h"

enum error_kind {
	ERROR_SCHEMA,	      /* 42…: a column, table, function that is not there, or no right to it */
	ERROR_CONSTRAINT,     /* 22…, 23…: a value that does not fit any more */
	ERROR_REFUSED,	      /* P0…, 55000, 0A…, 44000: a trigger, a view or a check says no */
	ERROR_LOCK_VICTIM,    /* 55P03, 57014, 40P01 */
	ERROR_CONCURRENCY,    /* 40001 */
	ERROR_INFRASTRUCTURE, /* 08…, 53…, 57P0x, 58…, XX… */
	ERROR_REPLAN,	      /* 0A000: a cached plan must not change its result type */
	ERROR_CASCADE,	      /* 25P02: said of every statement behind a root */
	ERROR_UNFINISHED,     /* still running when the run ended */
	ERROR_OTHER,
	ERROR_KIND_COUNT
};
const char *error_kind_name(enum error_kind kind);
enum error_kind error_kind_of(uint32_t sqlstate, uint8_t run_flags);

enum error_result {
	ERROR_SAME,	/* as often on both lanes: the application's own, or the replay's */
	ERROR_NOISE,	/* more on the migrating lane than on the baseline, and chance explains it */
	ERROR_MIGRATION /* the migration's doing */
};
const char *error_result_name(enum error_result result);

#define ERROR_ALPHA 0.0005

/* One SQLSTATE of one fingerprint (ITEM_NO_TEXT: of connects and the like). */
struct error_entry {
	uint32_t sqlstate;
	uint32_t fingerprint;
	enum error_kind kind;
	uint64_t capture;
	uint64_t lane[JUDGE_LANES];
	uint64_t only_baseline;	 /* behind the migration's start; one a session and lane */
	uint64_t only_migrating; /* … */
	uint64_t firsts; /* of the migrating lane's: each alone enough, if the fingerprint is otherwise free of it */
	uint64_t with_lock_evidence; /* hit while the migration's lock held the execution up */
	uint64_t broken;	     /* of runs in which the statement no longer worked (break_judge.h) */
	double p;		     /* McNemar */
	enum error_result result;
	uint64_t count;		/* how many errors the result rests on, 0 unless ERROR_MIGRATION */
	uint64_t first_ordinal; /* of the first one on the migrating lane alone */
	uint64_t source_line;
	uint32_t source_file;
	int64_t first_ns;
};

/* Statements of which the two lanes returned different numbers of rows. */
struct error_rows {
	uint64_t pairs;		    /* both went well */
	uint64_t mismatches;	    /* all */
	uint64_t before;	    /* of them before the migration: the replay's own divergence */
	uint64_t digests;	    /* pairs with the same number of rows whose contents were digested */
	uint64_t digest_mismatches; /* of them, with other contents: nextval(), now() and RETURNING do that too */
	uint64_t touched; /* first ones of a session, after the migration began, on a touched table, unexplained;
			     without those that error_judge_broken_rows() names */
};

struct error_judge;

struct error_input {
	struct item_index *items;
	const struct touched *touched;
	bool migration;
	int64_t migration_start_ns;
	int64_t migration_end_ns;
};

struct error_judge *error_judge_new(const struct error_input *input);
void error_judge_free(struct error_judge *judge);
/* In order of ordinal. blocked_ns: what stall_judge_add() said of this pair. */
void error_judge_add(struct error_judge *judge, const struct pair *pair, int64_t blocked_ns);
void error_judge_finish(struct error_judge *judge);

/* The worst first. */
size_t error_judge_count(const struct error_judge *judge);
const struct error_entry *error_judge_entry(const struct error_judge *judge, size_t index);
const struct error_rows *error_judge_rows(const struct error_judge *judge);
/* Statements that find other numbers of rows for good: those of touched tables first. */
size_t error_judge_broken_rows_count(const struct error_judge *judge);
const struct broken_rows *error_judge_broken_rows(const struct error_judge *judge, size_t index);
/* It rests on the migration's lock alone: every such failure had waited for it. */
bool error_entry_is_by_lock(const struct error_entry *entry);
uint64_t error_judge_tainted_sessions(const struct error_judge *judge);
/* Does the fingerprint name something that the migration locked (only_locked), or touched at all? Remembered. */
bool error_judge_touches(struct error_judge *judge, uint32_t fingerprint);

#endif
