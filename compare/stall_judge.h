/*
 * The evidence judge: which waits of the users were the migration's doing? A wait is, when one of the migration's
 * backends stands before the waiter, itself or through others that wait in turn (the transitive closure of the lock
 * log's blockers), while the migration runs. Such waits, grouped by relation where they overlap, are stalls; the
 * executions that they hit are counted from the run log. Without a migration none of this can fire.
 *
 * Channels: the ledger says what the migration locked, the sampler who waited for whom, the server's log the same of
 * every longer wait (lock_merge.h), the victims who felt it.
 */
#ifndef STALL_JUDGE_H
#define STALL_JUDGE_H

#include "pairing.h"

#define STALL_NO_STATEMENT SIZE_MAX
#define STALL_NO_SESSION   RUN_DATA_NO_SESSION

/* Somebody behind whom the migration itself had to queue: then the migration only amplified what that session held. */
struct stall_root {
	bool found;
	int32_t pid;
	uint32_t session;     /* STALL_NO_SESSION: no replayed one */
	uint32_t fingerprint; /* the last statement that it had sent; ITEM_NO_TEXT when not known */
	bool idle;	      /* that statement had ended: the session sat in an open transaction */
	int64_t at_ns;
	int64_t waited_ns; /* how long the migration queued behind it within the stall */
};

/* What kind of lock the victims waited for. */
enum stall_kind {
	STALL_OF_RELATION,
	STALL_OF_ROWS, /* or of the transaction that changed them, which is the same */
	STALL_OF_ADVISORY,
	STALL_OF_OTHER
};
/* "relation", "rows", "advisory", "other" */
const char *stall_kind_name(enum stall_kind kind);

struct stall {
	enum stall_kind kind;
	char relation[260];   /* never empty: "(rows)", "(advisory lock)" and the like where it was none */
	char mode[32];	      /* what the migration held or waited for there; "unknown" */
	char wanted[32];      /* the weakest mode that a victim could not get */
	int64_t start_ns;     /* earliest start of a victim's wait */
	int64_t end_ns;	      /* release */
	int64_t measuring_ns; /* of that time: the migration only held on because we were measuring it */
	int32_t pid;	      /* the migration's backend; 0 when several were in it */
	bool exact_end;	      /* the end is the migration's transaction end, or a victim's completion */
	bool from_ledger;
	unsigned witnesses; /* enum lock_witness: who saw its waits */
	uint64_t waits;
	uint64_t victims;	/* paired executions */
	uint64_t timed_out;	/* of them: ended by a timeout, a cancel, a deadlock, or not at all */
	double blocked_query_s; /* without measuring, as the next */
	int64_t longest_wait_ns;
	size_t statement; /* of the ledger */
	struct stall_root root;
};

/* A strong lock held long that no recorded statement ran into. */
struct stall_exposure {
	const struct ledger_lock *lock;
	size_t statement;
	int64_t held_ns; /* without measuring */
	int64_t measuring_ns;
};

struct stall_control {
	uint64_t waits; /* of replayed sessions */
	int64_t longest_ns;
};

struct ledger_index;
struct measuring_spans;
struct stall_judge;

struct stall_input {
	const struct lock_log *locks;	       /* of the migrating lane; NULL when there is none that could be read */
	const struct lock_log *baseline_locks; /* NULL: none */
	bool server_log; /* the server's own log is in `locks`: what the sampler missed is in that */
	const struct ledger *ledger;
	const struct run_session *sessions; /* of the migrating lane, sorted by backend_pid */
	size_t session_count;
	uint32_t item_sessions; /* sessions of the replay file */
	int64_t exposure_ns;	/* a lock held at least so long is an exposure */
};

struct stall_judge *stall_judge_new(const struct stall_input *input);
void stall_judge_free(struct stall_judge *judge);

/*
 * The next pair, in order of ordinal. *blocked_ns gets how long the migration's locks held up this execution itself
 * (without the time in which only our measuring held them), *waited_ns that with measuring, *lock_caused_ns that and
 * what its session's queue, beyond the baseline's, owes to earlier such waits: min(q_M - q_B, debt before) + waited.
 * Less than a millisecond of debt is none. A debt shrinks as the session catches up and never grows without a wait:
 * what a session falls behind for other reasons comes on top of it.
 */
void stall_judge_add(struct stall_judge *judge, const struct pair *pair, int64_t *blocked_ns, int64_t *waited_ns,
		     int64_t *lock_caused_ns);
void stall_judge_finish(struct stall_judge *judge);

/* By start. Complete after finish. */
/* The ledger as the judge has it: its index, and when the migration was being measured. They live as long as it does.
 */
const struct ledger_index *stall_judge_ledger(const struct stall_judge *judge);
const struct measuring_spans *stall_judge_measuring(const struct stall_judge *judge);
size_t stall_judge_count(const struct stall_judge *judge);
const struct stall *stall_judge_stall(const struct stall_judge *judge, size_t index);
size_t stall_judge_exposure_count(const struct stall_judge *judge);
const struct stall_exposure *stall_judge_exposure(const struct stall_judge *judge, size_t index);
/* Waits that were not the migration's, on the migrating lane and, for control, on the baseline. */
const struct stall_control *stall_judge_other_waits(const struct stall_judge *judge, enum judge_lane lane);
/* Waits that were over while the migration was being measured: without us nobody would have waited. */
const struct stall_control *stall_judge_measuring_waits(const struct stall_judge *judge);
/* Waits of the migration's by backends that serve no replayed session. */
uint64_t stall_judge_unmapped_waits(const struct stall_judge *judge);
/* Why the sampler cannot be trusted for the migration's span, to be freed; NULL when it saw all of it. */
char *stall_judge_blindness(const struct stall_judge *judge);
/* How many sessions waited in each bin of time, on average: adds to waiting[bins]. Sessions sorted as above. */
void stall_judge_count_blocked(const struct lock_log *locks, const struct run_session *sessions, size_t session_count,
			       int64_t bin_ns, double *waiting, size_t bins);

/* How long the migration kept somebody out: from start to end, without measuring. */
int64_t stall_length_ns(const struct stall *stall);
/* A stall of that relation had a victim. */
bool stall_judge_has_victims(const struct stall_judge *judge, const char *relation);
/* "all access to", "writes to", … : whom a mode keeps out. */
const char *stall_mode_blocks(const char *mode);
/* The same of a stall, whatever kind of lock it was. */
const char *stall_blocks(const struct stall *stall);
/* "all access to public.orders", "statements that waited for an advisory lock that it held". To be freed. */
char *stall_describe(const struct stall *stall);

#endif
