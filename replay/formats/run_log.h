/*
 * A run log ("baseline.log", "migrating.log"): one lane's outcome for every item of the replay file. Kind "RLOG" of
 * chunk_file.h: pages of RUN_LOG_PAGE records by ordinal, so that two lanes pair page by page, then the lane's
 * sessions.
 *
 * With `a` the intended time, `s` the time it was sent, `d` its completion and `p` the completion of the same session's
 * item before it (DESIGN, Time):  lag h = s - max(a, p),  queue q = max(0, p - a),  service S = d - s,  latency = q +
 * S.
 */
#ifndef RUN_LOG_H
#define RUN_LOG_H

#include "error.h"

#include <stdbool.h>
#include <stdint.h>

#define RUN_LOG_PAGE 65536U

enum run_outcome {
	RUN_NOT_REACHED = 0, /* the run ended before the item was due: counted as skipped */
	RUN_OK,
	RUN_ERROR,
	RUN_SKIPPED /* due, and not sent: `reason` says why */
};

enum run_flag {
	RUN_CENSORED =
		1, /* sent, and not finished when the run ended: service counts to the end, the true one is longer */
	RUN_IN_TRANSACTION = 2,	    /* the session was inside a transaction when it was sent */
	RUN_FAILED_TRANSACTION = 4, /* … one that had failed already: a 25P02 is no root */
	RUN_REPLAN = 8		    /* 0A000 "cached plan must not change result type"; prepared again */
};

enum run_skip_reason {
	RUN_SKIP_NONE = 0,
	RUN_SKIP_SESSION_LOST, /* the session's connection had ended or never came about */
	RUN_SKIP_INTERRUPTED,  /* the run was stopped */
	RUN_SKIP_NOTHING_TO_CANCEL,
	RUN_SKIP_OUTSIDE,	    /* outside --start-at/--stop-at */
	RUN_SKIP_BEHIND_UNFINISHED, /* due, but its session still waited for the item before it when the run ended */
	RUN_SKIP_UNSENDABLE,	    /* the driver refused it (longer than the protocol allows, say) */
	RUN_SKIP_MAX_SESSIONS,	    /* its session was one too many for --max-sessions */
	RUN_SKIP_STALLED,	    /* the lane was given up: the server answered nobody for --stall-timeout */
	RUN_SKIP_REASON_COUNT
};
const char *run_skip_reason_name(enum run_skip_reason reason);

struct run_record {
	int64_t late_ns;    /* s - a = q + h */
	int64_t service_ns; /* S */
	uint64_t digest;    /* of the rows, without regard to their order; 0 when not asked for, or without rows */
	uint32_t lag_us;    /* h, rounded down, capped */
	uint32_t rows;	    /* rows returned or affected, capped */
	uint32_t sqlstate;  /* sqlstate.h; 0 when all went well */
	uint8_t outcome;    /* enum run_outcome */
	uint8_t flags;	    /* enum run_flag */
	uint8_t reason;	    /* enum run_skip_reason */
	uint8_t reserved;
};

/* What the user felt: q + S. */
static inline int64_t run_record_latency_ns(const struct run_record *record)
{
	int64_t lag_ns = (int64_t)record->lag_us * 1000;
	int64_t queue_ns = record->late_ns > lag_ns ? record->late_ns - lag_ns : 0;
	return queue_ns + record->service_ns;
}

/* One connection of the lane: which backend served which session, and when (from the run's start; closed_ns -1: never).
 */
struct run_session {
	uint32_t session;
	int32_t backend_pid;
	int64_t opened_ns;
	int64_t closed_ns;
};

/* Records arrive in any order. Pages are written once full, so memory holds only the pages in which something is open.
 */
struct run_log_writer;
int run_log_writer_open(const char *path, uint64_t item_count, struct run_log_writer **out, struct error *err);
/* Every ordinal at most once; ERR_INTERNAL for a second time. */
int run_log_writer_put(struct run_log_writer *writer, uint64_t ordinal, const struct run_record *record,
		       struct error *err);
void run_log_writer_add_session(struct run_log_writer *writer, const struct run_session *session);
/* Ordinals without a record become RUN_NOT_REACHED. Frees the writer whatever the result. */
int run_log_writer_commit(struct run_log_writer *writer, struct error *err);
void run_log_writer_abort(struct run_log_writer *writer);

struct run_log;
int run_log_open(const char *path, struct run_log **out, struct error *err);
void run_log_free(struct run_log *log);
uint64_t run_log_count(const struct run_log *log);
uint32_t run_log_session_count(const struct run_log *log);
const struct run_session *run_log_session(const struct run_log *log, uint32_t row);
/* Reads the page of ordinals from page * RUN_LOG_PAGE into records[RUN_LOG_PAGE]. */
int run_log_read_page(struct run_log *log, uint32_t page, struct run_record *records, uint32_t *count,
		      struct error *err);

#endif
