/*
 * An item: one thing that a client did, as a log showed it. The unit of capture and replay, and one record of a replay
 * file. A statement's text is kept as a template (a number in the file's table of texts) and its literals, because the
 * same few statements come millions of times: see sql_fingerprint.h.
 */
#ifndef ITEM_H
#define ITEM_H

#include "byte_code.h"
#include "error.h"
#include "span.h"

#include <stdbool.h>
#include <stdint.h>

enum item_kind {
	ITEM_CONNECT = 1, /* a session opens; user, database and so on are in the session's row */
	ITEM_SIMPLE,	  /* a simple query: one string, which may hold several statements */
	ITEM_EXECUTE,	  /* a prepared statement (named or unnamed) is bound and executed */
	ITEM_CANCEL,	  /* a cancel request for what the session is doing */
	ITEM_DISCONNECT	  /* the session closes */
};
#define ITEM_KIND_COUNT 6

/* "connect", "simple", "execute", "cancel", "disconnect" */
const char *item_kind_name(enum item_kind kind);

enum item_flag {
	ITEM_INFERRED = 1 /* no log record says so: a connect before, a disconnect after what the log shows */
};

#define ITEM_NO_TEXT UINT32_MAX

/* Spans point into memory of whoever made the item: a parser's record, or a decoded batch. */
struct item {
	enum item_kind kind;
	uint8_t flags;	  /* enum item_flag */
	uint32_t session; /* row of the session table */
	int64_t time_ns;  /* when the client did it; wall clock while capturing, from the file's start once in a file */
	int64_t duration_ns;	     /* how long it took when it was recorded, -1 when the log does not say */
	uint32_t sqlstate;	     /* the error that it ended with when it was recorded, 0 for none (sqlstate.h) */
	uint32_t text;		     /* simple, execute: row of the text table, else ITEM_NO_TEXT */
	const struct span *literals; /* what fills the template's gaps */
	uint32_t literal_count;
	struct span statement_name;    /* execute: the prepared statement's name; empty for the unnamed one */
	const struct span *parameters; /* execute: values as text, p NULL for NULL */
	uint32_t parameter_count;
	uint32_t source_file; /* row of the source table */
	uint64_t source_line; /* line of that file at which the log record begins, 1 the first */
};

/* Appends the item's bytes (times as given). */
void item_encode(const struct item *item, struct strbuf *out);
/* Appends what only statements have: text, literals, name and parameters. Nothing for the other kinds. */
void item_encode_body(const struct item *item, struct strbuf *out);

/*
 * Reads one item; its spans point into the reader's bytes, its arrays into memory from the arena. False, with r->failed
 * set, when the bytes are no item.
 */
struct arena;
bool item_decode(struct byte_reader *r, struct arena *arena, struct item *out);

/*
 * A run of items, each told by its difference from the one before: how they stand in a chunk of a replay file. Starts
 * zeroed. Times ascend.
 */
struct item_run {
	int64_t time_ns;
	uint64_t source_line;
	uint32_t source_file;
};

/* Appends the item to the run; body is item_encode_body()'s, of an item whose arrays need no longer be there. */
void item_run_encode(struct item_run *run, const struct item *item, struct span body, struct strbuf *out);
bool item_run_decode(struct item_run *run, struct byte_reader *r, struct arena *arena, struct item *out);

#endif
