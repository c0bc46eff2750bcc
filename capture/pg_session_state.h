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

/* A connect that waits for the application's name, which decides whether it is wanted. */
struct deferred_connect {
	bool set;
	int64_t time_ns;
	struct log_place place;
};

struct session {
	UT_hash_handle hh;
	UT_hash_handle hh_pid;
	struct span id;
	uint32_t pid;
	uint32_t row;			    /* UINT32_MAX: no item yet */
	bool has_id;			    /* the log gave it one; else it is known by pid and what follows */
	struct span user, database, client; /* as seen first; of sessions with an id the client alone */
	bool client_bare;
	int64_t session_start_s;
	bool ended;
	bool statements; /* has done more than connect */
	bool walsender;
	uint64_t early_hash; /* the text of the last statement before the wanted time, 0 for none */
	bool judged;	     /* unwanted says whether the filter takes it out */
	enum filter_reason unwanted;
	struct deferred_connect connect;
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

/* An error that may be a parallel worker's: kept until its leader repeats it, or somebody else shows that it is not. */
struct deferred_error {
	struct log_record record;
	char *bytes;
};
#define DEFERRED_ERRORS_MAX 16

struct pg_sessions {
	struct pg_session_options options;
	const struct log_record *now; /* the record that is looked at */
	struct deferred_error deferred[DEFERRED_ERRORS_MAX];
	size_t deferred_count;
	struct pg_session_counts counts;
	struct session *by_id;
	struct session *by_pid; /* the one of that pid that is open, or the last, if it has no id */
	struct word *words;
	struct session_row *rows;
	size_t row_count;
	size_t row_capacity;
	uint64_t next_number;
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
	if (sessions->counts.skipped[reason]++ == 0 && sessions->now)
		sessions->counts.examples[reason] = (struct log_place){sessions->now->file, sessions->now->line};
}

static inline void skip_filtered(struct pg_sessions *sessions, enum filter_reason reason)
{
	skip(sessions, SKIP_FILTERED);
	sessions->counts.filtered[reason]++;
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
/* The session of the record, made if there is none. By its id, else by its pid and all that tells it from another of
 * that pid. */
int pg_session_find(struct pg_sessions *sessions, const struct log_record *record, const struct pg_event *event,
		    struct session **out, struct error *err);
/* The text's copy that all rows share. */
struct span pg_session_intern(struct pg_sessions *sessions, struct span text);
/* The disconnect that no record shows; time_ns is when it must have been by. */
int pg_session_infer_disconnect(struct pg_sessions *sessions, struct session *session, int64_t time_ns,
				const struct log_record *record, struct error *err);
/* Frees what a session keeps for its items. */
void pg_session_release(struct session *session);
/* What an event does to its session, the record being counted. */
int pg_session_dispatch(struct pg_sessions *sessions, struct session *session, const struct log_record *record,
			const struct pg_event *event, struct error *err);

/* True when the record was put aside: it may be a parallel worker's. */
bool pg_session_defer(struct pg_sessions *sessions, const struct session *session, const struct log_record *record,
		      const struct pg_event *event);
/* Before a record is looked at: settles what was put aside, as far as this record decides it (NULL: all of it). */
int pg_session_settle(struct pg_sessions *sessions, const struct log_record *record, const struct pg_event *event,
		      struct error *err);

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
