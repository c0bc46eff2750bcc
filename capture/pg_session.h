/*
 * From records to items, session by session: what belongs to one statement is put together (parse, bind and execute; a
 * duration of its own record; the error that it ended with), connects and disconnects that the log does not show are
 * inferred, and every record is counted, in an item or under a reason.
 */
#ifndef PG_SESSION_H
#define PG_SESSION_H

#include "item_sorter.h"
#include "log_filter.h"
#include "log_format.h"
#include "skip_reason.h"
#include "text_table.h"

#include <stdbool.h>

struct pg_session_options {
	struct text_table *texts;
	struct item_sorter *sorter;
	const struct log_filter *filter; /* NULL: all is wanted */
	int64_t idle_ns;		 /* a session silent for longer has ended; 0 for no such limit */
};

/* Where in the logs something stands; line 0 for nowhere. */
struct log_place {
	uint32_t file;
	uint64_t line;
};

struct pg_session_counts {
	uint64_t records;
	uint64_t skipped[SKIP_REASON_COUNT];
	struct log_place examples[SKIP_REASON_COUNT]; /* the first record of each reason */
	uint64_t filtered[FILTER_REASON_COUNT];	      /* what skipped[SKIP_FILTERED] is made of */
	int64_t uncertainty_ns;			      /* the largest of all records */
	int64_t first_ns;			      /* stamps of the first and last record that was wanted */
	int64_t last_ns;
	uint64_t items[ITEM_KIND_COUNT]; /* all that went into the sorter, with the inferred ones */
	uint64_t inferred[ITEM_KIND_COUNT];
};

struct pg_sessions;

struct pg_sessions *pg_sessions_new(const struct pg_session_options *options);
void pg_sessions_free(struct pg_sessions *sessions);
/* One record; those of one session in their order. */
int pg_sessions_add(struct pg_sessions *sessions, const struct log_record *record, struct error *err);
/* Bytes that are no record, of which file and line are set; and a record that another file has too. */
void pg_sessions_add_unparsed(struct pg_sessions *sessions, const struct log_record *record);
void pg_sessions_add_duplicate(struct pg_sessions *sessions, const struct log_record *record);
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
