/*
 * From records to items, session by session: what belongs to one statement is put together (parse, bind and execute; a
 * duration of its own record; the error that it ended with), connects and disconnects that the log does not show are
 * inferred, and every record is counted, in an item or under a reason.
 */
#ifndef PG_SESSION_H
#define PG_SESSION_H

#include "item_sorter.h"
#include "log_format.h"
#include "skip_reason.h"
#include "text_table.h"

#include <stdbool.h>

/* Says whether a statement is wanted. NULL for all of them. */
typedef bool (*pg_session_filter)(void *context, struct span text);

struct pg_session_options {
	struct text_table *texts;
	struct item_sorter *sorter;
	pg_session_filter wanted;
	void *wanted_context;
};

struct pg_session_counts {
	uint64_t records;
	uint64_t skipped[SKIP_REASON_COUNT];
	uint64_t items[ITEM_KIND_COUNT]; /* all that went into the sorter, with the inferred ones */
	uint64_t inferred[ITEM_KIND_COUNT];
};

struct pg_sessions;

struct pg_sessions *pg_sessions_new(const struct pg_session_options *options);
void pg_sessions_free(struct pg_sessions *sessions);
/* One record; those of one session in their order. */
int pg_sessions_add(struct pg_sessions *sessions, const struct log_record *record, struct error *err);
/* Bytes that are no record. */
void pg_sessions_add_unparsed(struct pg_sessions *sessions);
/* After the last record: infers the ends, and gives all that is held to the sorter. */
int pg_sessions_finish(struct pg_sessions *sessions, struct error *err);
const struct pg_session_counts *pg_sessions_counts(const struct pg_sessions *sessions);
/*
 * How long the values are that a limit (log_parameter_max_length) has cut, or 0 when none was: an item whose dotted_len
 * is within 3 bytes (a multi-byte character is cut as a whole) of it has such a value.
 */
size_t pg_sessions_cut_length(const struct pg_sessions *sessions);
/* The session table, in the order of the items' session numbers. */
uint32_t pg_sessions_count(const struct pg_sessions *sessions);
void pg_sessions_row(const struct pg_sessions *sessions, uint32_t row, struct replay_session *out);

#endif
