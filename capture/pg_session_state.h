/*
 * The state of sessions, shared by the two files that move it: pg_session.c keeps sessions and their items, and
 * pg_session_events.c knows what the events of statements and errors do to them. Nobody else's business.
 */
#ifndef PG_SESSION_STATE_H
#define PG_SESSION_STATE_H

#include "pg_session.h"
#include "pg_statement.h"

#include <xxhash.h>

#define HASH_FUNCTION(key, len, out) ((out) = (unsigned)XXH3_64bits((key), (len)))
#include <uthash.h>

/* The item held back. */
struct pending {
	bool set;
	bool awaits; /* neither a duration nor an error has been seen for it */
	struct sort_head head;
	struct strbuf bytes;
	uint64_t text_hash;
	int64_t extra_ns; /* of parse and bind, to be added to a bare duration */
};

/* The extended query that is being prepared. */
struct extended {
	bool parsed;
	bool bound;
	uint64_t text_hash;
	uint64_t name_hash;
	int64_t start_ns;
	int64_t sum_ns;
	int64_t end_ns;
	struct strbuf name;
	struct strbuf parameters; /* the bind's DETAIL */
};

struct session {
	UT_hash_handle hh;
	UT_hash_handle hh_pid;
	struct span id;
	uint32_t pid;
	uint32_t row; /* UINT32_MAX: no item yet */
	bool ended;
	bool statements; /* has done more than connect */
	int64_t received_ns;
	int64_t last_item_ns;
	int64_t last_stamp_ns;
	int64_t fatal_ns;
	struct pending pending;
	struct extended extended;
	uint64_t *slash_names; /* hashes of prepared names that hold a slash, up to SLASH_NAMES_MAX */
	uint32_t slash_name_count;
};

/* A string that many rows share. */
struct word {
	UT_hash_handle hh;
	struct span text;
};

struct session_row {
	struct span user, database, application, client;
};

struct pg_sessions {
	struct pg_session_options options;
	struct pg_session_counts counts;
	struct session *by_id;
	struct session *by_pid; /* the open one of that pid */
	struct word *words;
	struct session_row *rows;
	size_t row_count;
	size_t row_capacity;
	uint64_t next_number;
	int64_t first_ns;
	int64_t last_ns;
	bool have_time;
	bool connections_logged;
	struct arena permanent;
	struct arena scratch; /* cleared for each record */
	size_t whole_len;     /* longest value that ends in no dots */
	size_t dotted_len;    /* longest that does, without them */
	uint64_t dotted_hash;
	bool dotted_differ; /* two different values have that length */
};

static inline void skip(struct pg_sessions *sessions, enum skip_reason reason)
{
	sessions->counts.skipped[reason]++;
}

static inline uint64_t hash_span(struct span text)
{
	return XXH3_64bits(text.p, text.len);
}

static inline struct item make_item(enum item_kind kind, int64_t time_ns, const struct log_record *record)
{
	return (struct item){.kind = kind,
			     .time_ns = time_ns,
			     .duration_ns = -1,
			     .text = ITEM_NO_TEXT,
			     .source_file = record->file,
			     .source_line = record->line};
}

/* Gives the item its session, its number and a time that does not go back, and holds it; the one before goes to the
 * sorter. */
int pg_session_hold(struct pg_sessions *sessions, struct session *session, struct item *item, struct error *err);
/* Before a session's first item: a row, and a connect if the log does not begin with it. */
int pg_session_open(struct pg_sessions *sessions, struct session *session, const struct log_record *record,
		    int64_t time_ns, struct error *err);
/* No more items: only what tells the session apart is kept. */
int pg_session_end(struct pg_sessions *sessions, struct session *session, struct error *err);

/* What an event does: a statement, parse, bind, execute, bare duration, error. The record is counted. */
int pg_session_on_statement(struct pg_sessions *sessions, struct session *session, const struct log_record *record,
			    const struct pg_event *event, struct error *err);
void pg_session_on_parse(struct pg_sessions *sessions, struct session *session, const struct log_record *record,
			 const struct pg_event *event);
void pg_session_on_bind(struct pg_sessions *sessions, struct session *session, const struct log_record *record,
			const struct pg_event *event);
int pg_session_on_execute(struct pg_sessions *sessions, struct session *session, const struct log_record *record,
			  const struct pg_event *event, struct error *err);
void pg_session_on_duration(struct pg_sessions *sessions, struct session *session, const struct pg_event *event);
int pg_session_on_error(struct pg_sessions *sessions, struct session *session, const struct log_record *record,
			const struct pg_event *event, struct error *err);

#endif
