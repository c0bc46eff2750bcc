/*
 * Kinds of DDL and what PostgreSQL 15 does for each, as a table: which relations it locks how, whether it rewrites or
 * scans, whom it blocks. Published rules contradict the server in places; these are what the server did, and the tests
 * that read the table prove the blocking against it.
 */
#ifndef SUPPORT_DDL_CASES_H
#define SUPPORT_DDL_CASES_H

#include <stddef.h>

struct ddl_case {
	const char *name;
	const char *before; /* run untraced before it; NULL: nothing */
	const char *sql;    /* one statement */
	/*
	 * "relation=Mode …", sorted, "public." and "Lock" left out, without what the statement makes itself; an index
	 * where its table's lock does not say as much. "?" in front, here and at blocks: over so soon that samples may
	 * miss it; "?" alone: whatever samples show.
	 */
	const char *locks;
	const char *work;   /* "rewrite big …", "scan", "metadata"; "-" where rows cannot be counted */
	const char *blocks; /* of the strongest lock: lock_effect_words() */
	const char *kind;   /* of the ledger */
	const char *marks;  /* what else the ledger has to say: "+index", "-index", "+trigger" …; NULL: nothing */
};

extern const struct ddl_case ddl_cases[];
extern const size_t ddl_case_count;

/* The database that each case starts from. */
extern const char ddl_schema[];

#endif
