/* The evidence judge: see stall_judge.h. The method is in docs/verdict.md. */
#include "stall_judge.h"

#include "clock.h"
#include "ledger_index.h"
#include "lock_effect.h"
#include "lock_graph.h"
#include "measuring_spans.h"
#include "mem.h"
#include "span_index.h"
#include "sqlstate.h"
#include "stall_words.h"

#define GAP_MAX_NS (50 * NS_PER_MS) /* a sampler silent for longer than this is blind */
#define NO_STALL   SIZE_MAX
/* The migration amplified somebody's lock when it queued for a tenth of the stall, and for more than a blink. */
#define AMPLIFIED_MIN_NS (20 * NS_PER_MS)
#define ROOT_HOPS_MAX	 8
#define DEBT_MIN_NS	 NS_PER_MS

/* One wait that was the migration's doing, of a backend that served a replayed session. */
struct claimed_wait {
	const struct lock_wait *wait;
	int64_t start_ns;
	int64_t end_ns;
	int64_t seen_ns; /* last sample that showed it as the migration's */
	int32_t pid;	 /* the migration's backend that stood before it; 0 for several */
	enum stall_kind kind;
	uint32_t session;
	size_t stall;
	bool open_end; /* ends at the last sample: a completion may say it better */
	bool exact_end;
	char relation[260];
};

struct stall_judge {
	struct stall_input input;
	struct lock_graph *graph;
	struct ledger_index *ledger;
	struct measuring_spans *measuring;
	struct span_index own_waits;   /* the migration's, all of one key; values count in the log */
	struct span_index by_relation; /* stalls, once they are finished */
	struct claimed_wait *waits;    /* by session, then start */
	size_t wait_count;
	size_t wait_capacity;
	uint32_t *first_wait;	/* by session of the replay file: its range in waits */
	int64_t *debt_ns;	/* by session: delay that its earlier items took over from locks */
	unsigned char *is_root; /* by session: a stall's root */
	struct stall *stalls;
	size_t stall_count;
	size_t stall_capacity;
	uint64_t *last_victim; /* by stall: the last execution that was counted */
	uint64_t executions;   /* that came by so far */
	struct stall_exposure *exposures;
	size_t exposure_count;
	size_t exposure_capacity;
	struct stall_control others[JUDGE_LANES];
	struct stall_control for_measuring;
	uint64_t unmapped;
};

int64_t stall_length_ns(const struct stall *stall)
{
	return stall->end_ns - stall->start_ns - stall->measuring_ns;
}

static bool is_timeout(const struct run_record *r)
{
	char code[SQLSTATE_TEXT_MAX];
	if (r->flags & RUN_CENSORED)
		return true;
	sqlstate_unpack(r->sqlstate, code);
	return strcmp(code, "57014") == 0 || strcmp(code, "55P03") == 0 || strcmp(code, "40P01") == 0;
}

/*
 * The true end lies up to one sampling interval behind the last sample. Where a transaction of the migration ended in
 * that time (two intervals, because a sample itself takes a while), the waiters were let go there.
 */
static bool find_release(const struct stall_judge *judge, int64_t last_seen_ns, int64_t *release_ns)
{
	int64_t limit = last_seen_ns + 2 * judge->input.locks->interval_ns;
	int64_t end;
	if (!ledger_index_release(judge->ledger, last_seen_ns - NS_PER_MS, limit, &end))
		return false;
	*release_ns = end > last_seen_ns ? end : last_seen_ns;
	return true;
}

/*
 * The relation of a wait; one for a row or a transaction takes that of the wait through which it hangs, and where there
 * is none the name of what it is. A row's own lock is on its table, too.
 */
static void set_relation(const struct stall_judge *judge, size_t index, struct claimed_wait *claimed)
{
	const struct lock_log *log = judge->input.locks;
	const char *lock_type = log->waits[index].lock_type;
	for (int hops = 0; hops < ROOT_HOPS_MAX && index != LOCK_GRAPH_DIRECT; hops++) {
		const struct lock_wait *wait = &log->waits[index];
		if (*wait->relation) {
			bool rows = strcmp(wait->lock_type, "tuple") == 0;
			claimed->kind = rows ? STALL_OF_ROWS : STALL_OF_RELATION;
			(void)snprintf(claimed->relation, sizeof(claimed->relation), "%s", wait->relation);
			return;
		}
		index = lock_graph_claim(judge->graph, index)->via;
	}
	stall_words_name(lock_type, &claimed->kind, claimed->relation, sizeof(claimed->relation));
}

static void count_other(struct stall_control *control, const struct lock_wait *wait)
{
	int64_t len = wait->end_ns - wait->start_ns;
	control->waits++;
	if (len > control->longest_ns)
		control->longest_ns = len;
}

static void claim_waits(struct stall_judge *judge)
{
	const struct lock_log *log = judge->input.locks;
	for (size_t i = 0; i < log->wait_count; i++) {
		const struct lock_wait *wait = &log->waits[i];
		const struct lock_graph_claim *claim = lock_graph_claim(judge->graph, i);
		if (lock_graph_is_migration(judge->graph, wait->pid)) {
			span_index_add(&judge->own_waits, 0, wait->start_ns, wait->end_ns, i);
			continue;
		}
		uint32_t session = run_data_find_session(judge->input.sessions, judge->input.session_count, wait->pid,
							 wait->start_ns);
		if (session >= judge->input.item_sessions)
			session = STALL_NO_SESSION;
		if (!claim->claimed) {
			if (session != STALL_NO_SESSION)
				count_other(&judge->others[JUDGE_MIGRATING], wait);
			continue;
		}
		if (session == STALL_NO_SESSION) {
			judge->unmapped++;
			continue;
		}
		MEM_GROW(judge->waits, judge->wait_count, judge->wait_capacity);
		struct claimed_wait *claimed = &judge->waits[judge->wait_count++];
		*claimed = (struct claimed_wait){.wait = wait,
						 .start_ns = claim->start_ns,
						 .end_ns = claim->end_ns,
						 .seen_ns = claim->end_ns,
						 .pid = claim->pid,
						 .session = session,
						 .stall = NO_STALL,
						 .open_end = claim->to_the_end};
		set_relation(judge, i, claimed);
		if (claim->to_the_end)
			claimed->exact_end = find_release(judge, claim->end_ns, &claimed->end_ns);
	}
}

static int compare_by_relation(const void *a, const void *b)
{
	const struct claimed_wait *x = a;
	const struct claimed_wait *y = b;
	int order = strcmp(x->relation, y->relation);
	if (order)
		return order;
	return (x->start_ns > y->start_ns) - (x->start_ns < y->start_ns);
}

static int compare_by_session(const void *a, const void *b)
{
	const struct claimed_wait *x = a;
	const struct claimed_wait *y = b;
	if (x->session != y->session)
		return x->session < y->session ? -1 : 1;
	return (x->start_ns > y->start_ns) - (x->start_ns < y->start_ns);
}

/* Waits on one relation that overlap are one stall; a moment in which nobody waited parts two. */
static void group_waits(struct stall_judge *judge)
{
	if (judge->wait_count)
		qsort(judge->waits, judge->wait_count, sizeof(*judge->waits), compare_by_relation);
	for (size_t i = 0; i < judge->wait_count; i++) {
		struct claimed_wait *w = &judge->waits[i];
		struct stall *stall = judge->stall_count ? &judge->stalls[judge->stall_count - 1] : NULL;
		if (!stall || strcmp(stall->relation, w->relation) != 0 || w->start_ns > stall->end_ns) {
			MEM_GROW(judge->stalls, judge->stall_count, judge->stall_capacity);
			stall = &judge->stalls[judge->stall_count++];
			memset(stall, 0, sizeof(*stall));
			memcpy(stall->relation, w->relation, sizeof(stall->relation));
			stall->start_ns = w->start_ns;
			stall->end_ns = w->end_ns;
			stall->kind = w->kind;
			stall->pid = w->pid;
			stall->statement = STALL_NO_STATEMENT;
			stall->root.session = STALL_NO_SESSION;
			stall->root.fingerprint = ITEM_NO_TEXT;
		}
		w->stall = judge->stall_count - 1;
		if (w->kind < stall->kind)
			stall->kind = w->kind;
		if (w->pid != stall->pid)
			stall->pid = 0;
		stall->witnesses |= w->wait->witnesses;
		if (w->end_ns > stall->end_ns)
			stall->end_ns = w->end_ns;
		int rank = lock_mode_rank(w->wait->mode);
		if ((*w->wait->relation || w->kind == STALL_OF_ADVISORY) &&
		    (!*stall->wanted || rank < lock_mode_rank(stall->wanted)))
			memcpy(stall->wanted, w->wait->mode, sizeof(stall->wanted));
	}
}

static void take_mode(struct stall *stall, const char *mode, size_t statement)
{
	if (lock_mode_rank(mode) <= lock_mode_rank(stall->mode))
		return;
	(void)snprintf(stall->mode, sizeof(stall->mode), "%s", mode);
	stall->statement = statement;
}

/*
 * Waits for rows that the migration changed name no relation. If its statement at that time wrote to one table only,
 * that is the one.
 */
static void name_relation(const struct stall_judge *judge, struct stall *stall)
{
	if (stall->kind != STALL_OF_ROWS || stall_has_relation(stall))
		return;
	const char *written = ledger_index_written_at(judge->ledger, stall->start_ns);
	if (written)
		(void)snprintf(stall->relation, sizeof(stall->relation), "%s", written);
}

/* A shared advisory lock keeps out only who wants it for himself. */
static void name_advisory_mode(const struct stall_judge *judge, struct stall *stall)
{
	const struct ledger *ledger = judge->input.ledger;
	stall->statement = ledger_index_advisory_at(judge->ledger, stall->start_ns);
	bool asked_shared = stall->statement != STALL_NO_STATEMENT &&
			    strcasestr(ledger->statements[stall->statement].sql, "lock_shared");
	bool shared = asked_shared && strcmp(stall->wanted, "ShareLock") != 0;
	(void)snprintf(stall->mode, sizeof(stall->mode), "%s", shared ? "ShareLock" : "ExclusiveLock");
}

static void name_relation_mode(const struct stall_judge *judge, struct stall *stall)
{
	const struct lock_log *log = judge->input.locks;
	size_t at = 0;
	size_t statement;
	const struct ledger_lock *lock;
	while ((lock = ledger_index_next_lock(judge->ledger, stall->relation, stall->start_ns, stall->end_ns, &at,
					      &statement))) {
		take_mode(stall, lock->mode, statement);
		stall->from_ledger = true;
	}
	if (stall->from_ledger)
		return;
	const struct time_span *span;
	at = 0;
	while ((span = span_index_next(&judge->own_waits, 0, stall->start_ns, stall->end_ns, &at))) {
		const struct lock_wait *w = &log->waits[span->value];
		if (strcmp(w->relation, stall->relation) == 0)
			take_mode(stall, w->mode, STALL_NO_STATEMENT);
	}
}

/* What the migration held, or waited for, on the stall's relation at that time; the ledger knows best. */
static void name_mode(const struct stall_judge *judge, struct stall *stall)
{
	if (stall->kind == STALL_OF_ADVISORY)
		name_advisory_mode(judge, stall);
	else if (stall_has_relation(stall))
		name_relation_mode(judge, stall);
	if (!*stall->mode)
		(void)snprintf(stall->mode, sizeof(stall->mode), "%s", stall_words_mode(stall->relation));
	if (stall->statement == STALL_NO_STATEMENT)
		stall->statement = ledger_index_statement_at(judge->ledger, stall->start_ns);
}

static const struct lock_blocker *longest_blocker(const struct lock_wait *wait)
{
	const struct lock_blocker *best = NULL;
	for (size_t i = 0; i < wait->blocker_count; i++) {
		const struct lock_blocker *b = &wait->blockers[i];
		if (b->pid != wait->pid && (!best || b->last_ns - b->first_ns > best->last_ns - best->first_ns))
			best = b;
	}
	return best;
}

/* Behind whom did the migration queue while its own place in the queue held up the others? */
static void name_root(const struct stall_judge *judge, struct stall *stall)
{
	const struct lock_log *log = judge->input.locks;
	size_t at = 0;
	const struct time_span *span;
	while ((span = span_index_next(&judge->own_waits, 0, stall->start_ns, stall->end_ns, &at))) {
		const struct lock_wait *w = &log->waits[span->value];
		if (stall_has_relation(stall) && *w->relation && strcmp(stall->relation, w->relation) != 0)
			continue;
		int64_t from = w->start_ns > stall->start_ns ? w->start_ns : stall->start_ns;
		int64_t to = w->end_ns < stall->end_ns ? w->end_ns : stall->end_ns;
		const struct lock_blocker *blocker = longest_blocker(w);
		if (!blocker || to - from < AMPLIFIED_MIN_NS || to - from < stall_length_ns(stall) / 10 ||
		    to - from <= stall->root.waited_ns)
			continue;
		int32_t pid = blocker->pid;
		for (int hop = 0; hop < ROOT_HOPS_MAX; hop++) {
			size_t up = lock_graph_find(judge->graph, pid, from, to);
			const struct lock_blocker *next = up == SIZE_MAX ? NULL : longest_blocker(&log->waits[up]);
			if (!next || next->pid == w->pid || next->pid == pid)
				break;
			pid = next->pid;
		}
		stall->root.found = true;
		stall->root.pid = pid;
		stall->root.at_ns = from;
		stall->root.waited_ns = to - from;
		stall->root.session = run_data_find_session(judge->input.sessions, judge->input.session_count, pid,
							    stall->root.at_ns);
	}
}

/* Of several backends nobody can say which one's measuring it was that held others up: nothing is taken off. */
static int64_t measured_ns(const struct stall_judge *judge, int32_t pid, int64_t start_ns, int64_t end_ns)
{
	return pid ? measuring_spans_between_ns(judge->measuring, pid, start_ns, end_ns) : 0;
}

static void deduct_measuring(const struct stall_judge *judge, struct stall *stall)
{
	stall->measuring_ns = measured_ns(judge, stall->pid, stall->start_ns, stall->end_ns);
}

static int compare_stalls(const void *a, const void *b)
{
	const struct stall *x = a;
	const struct stall *y = b;
	return (x->start_ns > y->start_ns) - (x->start_ns < y->start_ns);
}

/* Where each session's waits begin in judge->waits, with one entry more for the end. */
static void index_sessions(struct stall_judge *judge)
{
	size_t next = 0;
	if (judge->wait_count)
		qsort(judge->waits, judge->wait_count, sizeof(*judge->waits), compare_by_session);
	judge->first_wait = mem_zalloc((size_t)judge->input.item_sessions + 1, sizeof(*judge->first_wait));
	judge->debt_ns = mem_zalloc(judge->input.item_sessions, sizeof(*judge->debt_ns));
	judge->is_root = mem_zalloc(judge->input.item_sessions, 1);
	judge->last_victim = mem_zalloc(judge->stall_count, sizeof(*judge->last_victim));
	for (size_t i = 0; i < judge->stall_count; i++) {
		if (judge->stalls[i].root.found && judge->stalls[i].root.session < judge->input.item_sessions)
			judge->is_root[judge->stalls[i].root.session] = 1;
	}
	for (uint32_t s = 0; s <= judge->input.item_sessions; s++) {
		while (next < judge->wait_count && judge->waits[next].session < s)
			next++;
		judge->first_wait[s] = (uint32_t)next;
	}
}

struct stall_judge *stall_judge_new(const struct stall_input *input)
{
	struct stall_judge *judge = mem_zalloc(1, sizeof(*judge));
	judge->input = *input;
	judge->ledger = ledger_index_new(input->ledger);
	judge->measuring = measuring_spans_new(input->ledger);
	if (input->locks) {
		judge->graph = lock_graph_new(input->locks, input->ledger);
		claim_waits(judge);
		span_index_sort(&judge->own_waits);
		group_waits(judge);
		for (size_t i = 0; i < judge->stall_count; i++) {
			deduct_measuring(judge, &judge->stalls[i]);
			name_relation(judge, &judge->stalls[i]);
			name_mode(judge, &judge->stalls[i]);
			name_root(judge, &judge->stalls[i]);
		}
	}
	for (size_t i = 0; input->baseline_locks && i < input->baseline_locks->wait_count; i++)
		count_other(&judge->others[JUDGE_BASELINE], &input->baseline_locks->waits[i]);
	index_sessions(judge);
	return judge;
}

void stall_judge_free(struct stall_judge *judge)
{
	if (!judge)
		return;
	lock_graph_free(judge->graph);
	ledger_index_free(judge->ledger);
	measuring_spans_free(judge->measuring);
	span_index_release(&judge->own_waits);
	span_index_release(&judge->by_relation);
	free(judge->last_victim);
	free(judge->waits);
	free(judge->first_wait);
	free(judge->debt_ns);
	free(judge->is_root);
	free(judge->stalls);
	free(judge->exposures);
	free(judge);
}

/* The last statement that a root's session had sent when the migration queued behind it. */
static void note_root(struct stall_judge *judge, const struct pair *pair, int64_t sent_ns, int64_t done_ns)
{
	for (size_t i = 0; i < judge->stall_count; i++) {
		struct stall_root *root = &judge->stalls[i].root;
		if (!root->found || root->session != pair->item->session || sent_ns > root->at_ns ||
		    pair->item->fingerprint == ITEM_NO_TEXT)
			continue;
		root->fingerprint = pair->item->fingerprint;
		root->idle = done_ns < root->at_ns;
	}
}

/*
 * One execution against one wait of its backend: how long both lasted together, and, added to *blocked_ns, how long of
 * that the migration was not being measured.
 */
static int64_t hit(struct stall_judge *judge, struct claimed_wait *w, const struct pair *pair, int64_t sent_ns,
		   int64_t done_ns, int64_t *blocked_ns)
{
	/*
	 * Nobody waits longer than his statement runs. The runner may note its commit late on a busy machine, so a
	 * completion before that says it better.
	 */
	int64_t latest = w->exact_end ? w->end_ns : w->seen_ns + 2 * judge->input.locks->interval_ns;
	if (w->open_end && sent_ns <= w->seen_ns && done_ns >= w->seen_ns && done_ns <= latest) {
		w->end_ns = done_ns;
		w->exact_end = true;
	}
	int64_t from = w->start_ns > sent_ns ? w->start_ns : sent_ns;
	int64_t to = w->end_ns < done_ns ? w->end_ns : done_ns;
	if (from >= to)
		return 0;
	struct stall *stall = &judge->stalls[w->stall];
	int64_t held_ns = to - from - measured_ns(judge, w->pid, from, to);
	if (held_ns > 0) {
		*blocked_ns += held_ns;
		stall->blocked_query_s += ns_to_s(held_ns);
		if (judge->last_victim[w->stall] != judge->executions) {
			stall->victims++;
			stall->timed_out += is_timeout(pair->lane[JUDGE_MIGRATING]);
			judge->last_victim[w->stall] = judge->executions;
		}
	}
	return to - from;
}

void stall_judge_add(struct stall_judge *judge, const struct pair *pair, int64_t *blocked_ns, int64_t *waited_ns,
		     int64_t *lock_caused_ns)
{
	judge->executions++;
	*blocked_ns = 0;
	*waited_ns = 0;
	*lock_caused_ns = 0;
	uint32_t session = pair->item->session;
	if (!pair_was_sent(pair, JUDGE_MIGRATING) || session >= judge->input.item_sessions)
		return;
	int64_t sent = pair_sent_ns(pair, JUDGE_MIGRATING);
	int64_t done = pair_done_ns(pair, JUDGE_MIGRATING);
	if (judge->is_root[session])
		note_root(judge, pair, sent, done);
	for (uint32_t i = judge->first_wait[session]; i < judge->first_wait[session + 1]; i++) {
		if (judge->waits[i].start_ns <= done)
			*waited_ns += hit(judge, &judge->waits[i], pair, sent, done, blocked_ns);
	}
	/* What the baseline queued too is no lock's doing; without a floor a debt would live on in the clock's grain.
	 */
	int64_t queue = pair_queue_ns(pair, JUDGE_MIGRATING);
	if (pair_was_sent(pair, JUDGE_BASELINE))
		queue -= pair_queue_ns(pair, JUDGE_BASELINE);
	int64_t inherited = queue < judge->debt_ns[session] ? queue : judge->debt_ns[session];
	if (inherited < DEBT_MIN_NS)
		inherited = 0;
	*lock_caused_ns = inherited + *waited_ns;
	judge->debt_ns[session] = *lock_caused_ns;
}

/* Somebody ran into it. */
static bool is_told_of(const struct stall_judge *judge, const struct ledger_lock *lock)
{
	size_t at = 0;
	const struct time_span *span;
	while ((span = span_index_next(&judge->by_relation, span_key_of_text(lock->relation),
				       lock->acquired_ns - lock->waited_ns, lock->released_ns, &at))) {
		if (strcmp(judge->stalls[span->value].relation, lock->relation) == 0)
			return true;
	}
	return false;
}

/* A lock of at least ShareLock, held long, that no stall tells of, on what was there before the migration. */
static void add_exposure(struct stall_judge *judge, size_t statement, const struct ledger_lock *lock)
{
	int32_t pid = judge->input.ledger->statements[statement].backend_pid;
	int64_t measuring_ns = measured_ns(judge, pid, lock->acquired_ns, lock->released_ns);
	int64_t held_ns = lock->released_ns - lock->acquired_ns - measuring_ns;
	if (lock_mode_rank(lock->mode) < 5 || held_ns < judge->input.exposure_ns || ledger_lock_is_system(lock) ||
	    ledger_index_is_new(judge->ledger, statement, lock) || is_told_of(judge, lock))
		return;
	MEM_GROW(judge->exposures, judge->exposure_count, judge->exposure_capacity);
	judge->exposures[judge->exposure_count++] = (struct stall_exposure){lock, statement, held_ns, measuring_ns};
}

static int compare_exposures(const void *a, const void *b)
{
	const struct stall_exposure *x = a;
	const struct stall_exposure *y = b;
	int order = strcmp(x->lock->relation, y->lock->relation);
	if (order)
		return order;
	if (x->lock->released_ns != y->lock->released_ns)
		return x->lock->released_ns < y->lock->released_ns ? -1 : 1;
	return (x->statement > y->statement) - (x->statement < y->statement);
}

static int compare_exposures_by_statement(const void *a, const void *b)
{
	const struct stall_exposure *x = a;
	const struct stall_exposure *y = b;
	if (x->statement != y->statement)
		return x->statement < y->statement ? -1 : 1;
	return (x->lock > y->lock) - (x->lock < y->lock);
}

/* One relation once for each transaction. */
static void find_exposures(struct stall_judge *judge)
{
	const struct ledger *ledger = judge->input.ledger;
	size_t kept = 0;
	for (size_t i = 0; i < ledger->statement_count; i++) {
		for (size_t l = 0; l < ledger->statements[i].lock_count; l++)
			add_exposure(judge, i, &ledger->statements[i].locks[l]);
	}
	if (judge->exposure_count < 2)
		return;
	qsort(judge->exposures, judge->exposure_count, sizeof(*judge->exposures), compare_exposures);
	for (size_t i = 0; i < judge->exposure_count; i++) {
		const struct ledger_lock *before = kept ? judge->exposures[kept - 1].lock : NULL;
		const struct ledger_lock *lock = judge->exposures[i].lock;
		if (!before || before->released_ns != lock->released_ns ||
		    strcmp(before->relation, lock->relation) != 0)
			judge->exposures[kept++] = judge->exposures[i];
	}
	judge->exposure_count = kept;
	qsort(judge->exposures, kept, sizeof(*judge->exposures), compare_exposures_by_statement);
}

/* What is left of a stall when waits that only measuring prolonged are none. */
static void measure_stalls(struct stall_judge *judge)
{
	for (size_t i = 0; i < judge->stall_count; i++) {
		judge->stalls[i].start_ns = INT64_MAX;
		judge->stalls[i].end_ns = INT64_MIN;
	}
	for (size_t i = 0; i < judge->wait_count; i++) {
		const struct claimed_wait *w = &judge->waits[i];
		struct stall *stall = &judge->stalls[w->stall];
		/* One that a single sample saw has no length, and lies within measuring or not. */
		int64_t wait_ns = w->end_ns > w->start_ns ? w->end_ns - w->start_ns : 1;
		int64_t held_ns = wait_ns - measured_ns(judge, w->pid, w->start_ns, w->start_ns + wait_ns);
		if (held_ns <= 0) {
			count_other(&judge->for_measuring, w->wait);
			continue;
		}
		stall->waits++;
		if (w->start_ns < stall->start_ns)
			stall->start_ns = w->start_ns;
		if (w->end_ns > stall->end_ns) {
			stall->end_ns = w->end_ns;
			stall->exact_end = w->exact_end;
		}
		if (w->end_ns > w->start_ns && held_ns > stall->longest_wait_ns)
			stall->longest_wait_ns = held_ns;
	}
}

void stall_judge_finish(struct stall_judge *judge)
{
	size_t kept = 0;
	measure_stalls(judge);
	for (size_t i = 0; i < judge->stall_count; i++) {
		if (judge->stalls[i].waits == 0)
			continue;
		deduct_measuring(judge, &judge->stalls[i]);
		judge->stalls[kept++] = judge->stalls[i];
	}
	/* Only now: until here waits refer to stalls by number. */
	judge->stall_count = kept;
	if (kept)
		qsort(judge->stalls, kept, sizeof(*judge->stalls), compare_stalls);
	for (size_t i = 0; i < kept; i++)
		span_index_add(&judge->by_relation, span_key_of_text(judge->stalls[i].relation),
			       judge->stalls[i].start_ns, judge->stalls[i].end_ns, i);
	span_index_sort(&judge->by_relation);
	find_exposures(judge);
}

bool stall_judge_has_victims(const struct stall_judge *judge, const char *relation)
{
	size_t at = 0;
	const struct time_span *span;
	while ((span = span_index_next(&judge->by_relation, span_key_of_text(relation), INT64_MIN, INT64_MAX, &at))) {
		const struct stall *stall = &judge->stalls[span->value];
		if (stall->victims && strcmp(stall->relation, relation) == 0)
			return true;
	}
	return false;
}

const struct ledger_index *stall_judge_ledger(const struct stall_judge *judge)
{
	return judge->ledger;
}

const struct measuring_spans *stall_judge_measuring(const struct stall_judge *judge)
{
	return judge->measuring;
}

size_t stall_judge_count(const struct stall_judge *judge)
{
	return judge->stall_count;
}

const struct stall *stall_judge_stall(const struct stall_judge *judge, size_t index)
{
	return &judge->stalls[index];
}

size_t stall_judge_exposure_count(const struct stall_judge *judge)
{
	return judge->exposure_count;
}

const struct stall_exposure *stall_judge_exposure(const struct stall_judge *judge, size_t index)
{
	return &judge->exposures[index];
}

const struct stall_control *stall_judge_other_waits(const struct stall_judge *judge, enum judge_lane lane)
{
	return &judge->others[lane];
}

const struct stall_control *stall_judge_measuring_waits(const struct stall_judge *judge)
{
	return &judge->for_measuring;
}

uint64_t stall_judge_unmapped_waits(const struct stall_judge *judge)
{
	return judge->unmapped;
}

char *stall_judge_blindness(const struct stall_judge *judge)
{
	const struct lock_log *log = judge->input.locks;
	const struct ledger *ledger = judge->input.ledger;
	if (ledger->outcome == LEDGER_NONE)
		return NULL;
	if (!log)
		return mem_strdup("the lock log of the migrating lane is missing or damaged");
	if (!log->complete)
		return mem_strdup("the lock log of the migrating lane has no end: the sampler stopped");
	if (log->start_ns > ledger->start_ns + GAP_MAX_NS || log->end_ns < ledger->end_ns - GAP_MAX_NS)
		return mem_printf(
			"the lock sampler ran from %.3f s to %.3f s only; the migration from %.3f s to %.3f s",
			ns_to_s(log->start_ns), ns_to_s(log->end_ns), ns_to_s(ledger->start_ns),
			ns_to_s(ledger->end_ns));
	int64_t longest = 0;
	for (size_t i = 0; i < log->gap_count && !judge->input.server_log; i++) {
		int64_t from = log->gaps[i].start_ns > ledger->start_ns ? log->gaps[i].start_ns : ledger->start_ns;
		int64_t to = log->gaps[i].end_ns < ledger->end_ns ? log->gaps[i].end_ns : ledger->end_ns;
		/* All of a gap counts that the migration shares in, however little: the stall may lie in either part.
		 */
		int64_t gap = log->gaps[i].end_ns - log->gaps[i].start_ns;
		if (from < to && gap > longest)
			longest = gap;
	}
	if (longest > GAP_MAX_NS)
		return mem_printf("the lock sampler saw nothing for %.0f ms while the migration ran",
				  ns_to_ms(longest));
	return NULL;
}

void stall_judge_count_blocked(const struct lock_log *locks, const struct run_session *sessions, size_t session_count,
			       int64_t bin_ns, double *waiting, size_t bins)
{
	for (size_t i = 0; i < locks->wait_count; i++) {
		const struct lock_wait *w = &locks->waits[i];
		if (run_data_find_session(sessions, session_count, w->pid, w->start_ns) == STALL_NO_SESSION ||
		    w->start_ns < 0)
			continue;
		for (size_t bin = (size_t)(w->start_ns / bin_ns); bin < bins; bin++) {
			int64_t from = (int64_t)bin * bin_ns;
			int64_t to = from + bin_ns;
			if (w->end_ns <= from)
				break;
			int64_t start = w->start_ns > from ? w->start_ns : from;
			waiting[bin] += (double)((w->end_ns < to ? w->end_ns : to) - start) / (double)bin_ns;
		}
	}
}
