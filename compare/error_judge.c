/* The three-way error table: see error_judge.h. */
#include "error_judge.h"

#include "block_test.h"
#include "mem.h"
#include "sqlstate.h"

#include <uthash.h>

#define TOUCHED_NOT_ASKED 0
#define TOUCHED_NO	  1
#define TOUCHED_YES	  2

struct entry_key {
	uint32_t sqlstate;
	uint32_t fingerprint;
};

struct entry {
	struct entry_key key;
	struct error_entry e;
	UT_hash_handle hh;
};

/* A session that has an entry's one-sided error behind it: it does not count again, errors of a session come in rows.
 */
struct seen_key {
	uint32_t sqlstate;
	uint32_t fingerprint;
	uint32_t session;
	uint32_t lane;
};

struct seen {
	struct seen_key key;
	UT_hash_handle hh;
};

struct rows_entry {
	uint32_t pairs[2]; /* before and after the migration's start, of untainted sessions */
	uint32_t mismatches[2];
};

struct error_judge {
	struct error_input input;
	struct entry *entries;
	struct seen *seen;
	unsigned char *touches; /* by fingerprint */
	int64_t *last_ok_ns;	/* by fingerprint: when the last one was sent that went well on the migrating lane */
	uint64_t *tainted;	/* by session: 1 + the ordinal of what tainted it, 0 */
	struct break_judge *breaks;
	struct rows_entry *rows_of; /* by fingerprint */
	uint32_t fingerprints;
	uint32_t sessions;
	struct error_rows rows;
	struct error_entry **sorted;
	size_t count;
};

const char *error_kind_name(enum error_kind kind)
{
	static const char *const names[ERROR_KIND_COUNT] = {"schema",	   "constraint",     "refused", "lock_victim",
							    "concurrency", "infrastructure", "replan",	"cascade",
							    "unfinished",  "other"};
	return names[kind];
}

const char *error_result_name(enum error_result result)
{
	return result == ERROR_MIGRATION ? "migration" : result == ERROR_NOISE ? "noise" : "same";
}

static bool is_one_of(const char *code, const char *const *codes)
{
	for (size_t i = 0; codes[i]; i++) {
		if (strcmp(code, codes[i]) == 0)
			return true;
	}
	return false;
}

static bool is_of_class(const char *code, const char *class)
{
	return strncmp(code, class, 2) == 0;
}

enum error_kind error_kind_of(uint32_t sqlstate, uint8_t run_flags)
{
	/* What a statement meets that was written for another schema: 42… (not 42P03 and 42P05, a cursor or prepared
	   statement that the session has already), 3F000. What the schema says no with: P0… from a trigger or function,
	   55000 a view that takes no rows, 0A000, 44000 a view's check, 27000 and 09000 from triggers, 38…, 39…. */
	static const char *const refused[] = {"55000", "44000", "27000", "09000", NULL};
	static const char *const lock[] = {"55P03", "57014", "40P01", NULL};
	char code[SQLSTATE_TEXT_MAX];
	sqlstate_unpack(sqlstate, code);
	if ((run_flags & RUN_REPLAN) && strcmp(code, "0A000") == 0)
		return ERROR_REPLAN;
	if (strcmp(code, "25P02") == 0 || (run_flags & RUN_FAILED_TRANSACTION))
		return ERROR_CASCADE;
	if (strcmp(code, SQLSTATE_UNFINISHED) == 0)
		return ERROR_UNFINISHED;
	if (is_of_class(code, "42") || strcmp(code, "3F000") == 0)
		return strcmp(code, "42P03") == 0 || strcmp(code, "42P05") == 0 ? ERROR_OTHER : ERROR_SCHEMA;
	if (is_of_class(code, "22") || is_of_class(code, "23"))
		return ERROR_CONSTRAINT;
	if (is_of_class(code, "P0") || is_of_class(code, "0A") || is_of_class(code, "38") || is_of_class(code, "39") ||
	    is_one_of(code, refused))
		return ERROR_REFUSED;
	if (is_one_of(code, lock))
		return ERROR_LOCK_VICTIM;
	if (strcmp(code, "40001") == 0)
		return ERROR_CONCURRENCY;
	if (is_of_class(code, "08") || is_of_class(code, "53") || strncmp(code, "57P0", 4) == 0 ||
	    is_of_class(code, "58") || is_of_class(code, "XX"))
		return ERROR_INFRASTRUCTURE;
	return ERROR_OTHER;
}

/*
 * Whether a session's data may be others than the baseline's matters for errors that come of stored rows: a duplicate
 * key, a missing parent, a check on a sum, whatever a function raises; and the second CREATE of a name. A missing
 * column, or a text too long for its column, does not depend on them.
 */
static bool depends_on_rows(const struct error_entry *e)
{
	static const char *const by_value[] = {"23502", "22001", "22P02", "22P03", "22007", "22021", NULL};
	static const char *const by_schema[] = {"55000", "0A000", NULL};
	static const char *const twice[] = {"42P04", "42P06", "42P07", "42710", "42723", NULL};
	char code[SQLSTATE_TEXT_MAX];
	sqlstate_unpack(e->sqlstate, code);
	if (e->kind == ERROR_SCHEMA)
		return is_one_of(code, twice);
	if (e->kind == ERROR_CONSTRAINT)
		return !is_one_of(code, by_value);
	if (e->kind == ERROR_REFUSED)
		return !is_one_of(code, by_schema);
	/* Who may connect at all (28…) and how deep functions may call each other (54…) is no matter of rows. */
	return !is_of_class(code, "28") && !is_of_class(code, "54");
}

/*
 * A statement that fails with it every time may be broken by the migration. Not so a statement that was cancelled, that
 * met a deadlock or a failing server: these have rules of their own; nor what a session's own state explains, its
 * transaction, cursors, savepoints and prepared statements.
 */
static bool can_break(const struct error_entry *e)
{
	static const char *const session[] = {"0B", "24", "25", "26", "2D", "34", "3B", "40", "57", NULL};
	char code[SQLSTATE_TEXT_MAX];
	if (e->kind == ERROR_SCHEMA || e->kind == ERROR_CONSTRAINT || e->kind == ERROR_REFUSED)
		return true;
	sqlstate_unpack(e->sqlstate, code);
	/* A database or a role that may only read. */
	if (strcmp(code, "25006") == 0)
		return true;
	for (size_t i = 0; session[i]; i++) {
		if (is_of_class(code, session[i]))
			return false;
	}
	return e->kind == ERROR_OTHER && !is_one_of(code, (const char *const[]){"42P03", "42P05", NULL});
}

static bool touches(void *context, uint32_t fingerprint)
{
	return error_judge_touches(context, fingerprint);
}

struct error_judge *error_judge_new(const struct error_input *input)
{
	struct error_judge *judge = mem_zalloc(1, sizeof(*judge));
	judge->input = *input;
	judge->fingerprints = item_index_fingerprint_count(input->items);
	judge->sessions = item_index_session_count(input->items);
	judge->touches = mem_zalloc(judge->fingerprints, 1);
	judge->last_ok_ns = mem_zalloc(judge->fingerprints, sizeof(*judge->last_ok_ns));
	judge->tainted = mem_zalloc(judge->sessions, sizeof(*judge->tainted));
	judge->rows_of = mem_zalloc(judge->fingerprints, sizeof(*judge->rows_of));
	struct break_input breaks = {judge->fingerprints, input->migration, input->migration_end_ns, touches, judge};
	judge->breaks = break_judge_new(&breaks);
	return judge;
}

void error_judge_free(struct error_judge *judge)
{
	struct entry *entry, *next_entry;
	struct seen *seen, *next_seen;
	if (!judge)
		return;
	HASH_ITER (hh, judge->entries, entry, next_entry) {
		HASH_DEL(judge->entries, entry);
		free(entry);
	}
	HASH_ITER (hh, judge->seen, seen, next_seen) {
		HASH_DEL(judge->seen, seen);
		free(seen);
	}
	free(judge->touches);
	free(judge->last_ok_ns);
	free(judge->tainted);
	free(judge->rows_of);
	free(judge->sorted);
	break_judge_free(judge->breaks);
	free(judge);
}

bool error_judge_touches(struct error_judge *judge, uint32_t fingerprint)
{
	if (fingerprint >= judge->fingerprints)
		return false;
	unsigned char *known = &judge->touches[fingerprint];
	if (*known == TOUCHED_NOT_ASKED)
		*known = touched_at_all(judge->input.touched,
					item_index_fingerprint(judge->input.items, fingerprint)->text)
				 ? TOUCHED_YES
				 : TOUCHED_NO;
	return *known == TOUCHED_YES;
}

static struct error_entry *get_entry(struct error_judge *judge, uint32_t sqlstate, uint32_t fingerprint,
				     uint8_t run_flags)
{
	struct entry_key key = {sqlstate, fingerprint};
	struct entry *entry;
	HASH_FIND(hh, judge->entries, &key, sizeof(key), entry);
	if (!entry) {
		entry = mem_zalloc(1, sizeof(*entry));
		entry->key = key;
		entry->e.sqlstate = sqlstate;
		entry->e.fingerprint = fingerprint;
		entry->e.kind = error_kind_of(sqlstate, run_flags);
		entry->e.first_ns = -1;
		entry->e.p = 1;
		HASH_ADD(hh, judge->entries, key, sizeof(key), entry);
		judge->count++;
	}
	return &entry->e;
}

/* True the first time. */
static bool mark_seen(struct error_judge *judge, const struct error_entry *e, uint32_t session, enum judge_lane lane)
{
	struct seen_key key = {e->sqlstate, e->fingerprint, session, (uint32_t)lane};
	struct seen *seen;
	HASH_FIND(hh, judge->seen, &key, sizeof(key), seen);
	if (seen)
		return false;
	seen = mem_zalloc(1, sizeof(*seen));
	seen->key = key;
	HASH_ADD(hh, judge->seen, key, sizeof(key), seen);
	return true;
}

/* The lane's error as it counts: cascades have a SQLSTATE of their own, whatever the server said. */
static uint32_t root_code(const struct pair *pair, enum judge_lane lane)
{
	const struct run_record *r = pair->lane[lane];
	if (r->outcome != RUN_ERROR)
		return 0;
	if (r->flags & RUN_FAILED_TRANSACTION)
		return sqlstate_pack("25P02");
	return r->sqlstate ? r->sqlstate : sqlstate_pack("XX000");
}

static void taint(struct error_judge *judge, const struct pair *pair)
{
	if (!judge->tainted[pair->item->session])
		judge->tainted[pair->item->session] = pair->ordinal + 1;
}

static void count_only_migrating(struct error_judge *judge, struct error_entry *e, const struct pair *pair,
				 int64_t blocked_ns)
{
	bool untainted = !judge->tainted[pair->item->session] || !depends_on_rows(e);
	if (e->first_ns < 0) {
		e->first_ns = pair_done_ns(pair, JUDGE_MIGRATING);
		e->first_ordinal = pair->ordinal;
		e->source_line = pair->item->source_line;
		e->source_file = pair->item->source_file;
	}
	if (blocked_ns > 0)
		e->with_lock_evidence++;
	if ((e->kind == ERROR_SCHEMA || e->kind == ERROR_CONSTRAINT) && untainted &&
	    error_judge_touches(judge, e->fingerprint))
		e->firsts++;
	if (mark_seen(judge, e, pair->item->session, JUDGE_MIGRATING))
		e->only_migrating++;
}

static void add_rows(struct error_judge *judge, const struct pair *pair, bool after)
{
	const struct run_record *b = pair->lane[JUDGE_BASELINE];
	const struct run_record *m = pair->lane[JUDGE_MIGRATING];
	if (b->outcome != RUN_OK || m->outcome != RUN_OK || !pair_is_statement(pair))
		return;
	bool differ = b->rows != m->rows;
	judge->rows.pairs++;
	judge->rows.mismatches += differ;
	judge->rows.before += differ && !after;
	if (!differ && (b->digest || m->digest)) {
		judge->rows.digests++;
		judge->rows.digest_mismatches += b->digest != m->digest;
	}
	if (pair->item->fingerprint < judge->fingerprints && !judge->tainted[pair->item->session]) {
		judge->rows_of[pair->item->fingerprint].pairs[after]++;
		judge->rows_of[pair->item->fingerprint].mismatches[after] += differ;
	}
	break_judge_add_rows(judge->breaks, pair, judge->tainted[pair->item->session], after);
	if (differ)
		taint(judge, pair);
}

/* Failures of statements that went well when they were recorded and on the baseline, and what ends a run of them. */
static void add_to_breaks(struct error_judge *judge, const struct pair *pair, const uint32_t codes[JUDGE_LANES],
			  bool after)
{
	uint32_t code = codes[JUDGE_MIGRATING];
	if (!pair_was_sent(pair, JUDGE_MIGRATING))
		return;
	if (!code) {
		break_judge_add_success(judge->breaks, pair, codes[JUDGE_BASELINE] && !pair->item->capture_sqlstate);
		return;
	}
	if (!pair_was_sent(pair, JUDGE_BASELINE) || codes[JUDGE_BASELINE] || pair->item->capture_sqlstate)
		return;
	const struct error_entry *e =
		get_entry(judge, code, pair->item->fingerprint, pair->lane[JUDGE_MIGRATING]->flags & RUN_REPLAN);
	if (can_break(e))
		break_judge_add_failure(judge->breaks, pair, code,
					depends_on_rows(e) ? BREAK_BY_STATE : BREAK_BY_SCHEMA,
					judge->tainted[pair->item->session], after);
}

void error_judge_add(struct error_judge *judge, const struct pair *pair, int64_t blocked_ns)
{
	uint32_t fingerprint = pair->item->fingerprint;
	uint32_t codes[JUDGE_LANES];
	bool after = judge->input.migration && pair_was_sent(pair, JUDGE_MIGRATING) &&
		     pair_done_ns(pair, JUDGE_MIGRATING) >= judge->input.migration_start_ns;
	if (pair->item->capture_sqlstate)
		get_entry(judge, pair->item->capture_sqlstate, fingerprint, 0)->capture++;
	for (int lane = 0; lane < JUDGE_LANES; lane++) {
		codes[lane] = root_code(pair, lane);
		if (codes[lane])
			get_entry(judge, codes[lane], fingerprint, pair->lane[lane]->flags & RUN_REPLAN)->lane[lane]++;
	}
	if (pair_was_sent(pair, JUDGE_MIGRATING) && !codes[JUDGE_MIGRATING] && fingerprint < judge->fingerprints &&
	    pair_sent_ns(pair, JUDGE_MIGRATING) > judge->last_ok_ns[fingerprint])
		judge->last_ok_ns[fingerprint] = pair_sent_ns(pair, JUDGE_MIGRATING);
	add_to_breaks(judge, pair, codes, after);
	bool both_sent = pair_was_sent(pair, JUDGE_BASELINE) && pair_was_sent(pair, JUDGE_MIGRATING);
	if (both_sent && codes[JUDGE_BASELINE] != codes[JUDGE_MIGRATING]) {
		struct error_entry *e;
		if (codes[JUDGE_MIGRATING] && after) {
			e = get_entry(judge, codes[JUDGE_MIGRATING], fingerprint,
				      pair->lane[JUDGE_MIGRATING]->flags & RUN_REPLAN);
			count_only_migrating(judge, e, pair, blocked_ns);
		}
		if (codes[JUDGE_BASELINE] && after) {
			e = get_entry(judge, codes[JUDGE_BASELINE], fingerprint, 0);
			if (mark_seen(judge, e, pair->item->session, JUDGE_BASELINE))
				e->only_baseline++;
		}
		taint(judge, pair);
	}
	add_rows(judge, pair, after);
}

/*
 * A function hides which tables it uses, so the statement names none that was touched. But a schema is everybody's:
 * where several sessions meet a break, the baseline never does, and nobody's statement went well again, it is one.
 */
static bool never_works_again(const struct error_judge *judge, const struct error_entry *e)
{
	return e->kind == ERROR_SCHEMA && e->only_migrating > 1 && !e->capture && !e->lane[JUDGE_BASELINE] &&
	       e->fingerprint < judge->fingerprints && judge->last_ok_ns[e->fingerprint] <= e->first_ns;
}

/*
 * The statement waited for the migration's lock, and what it found behind it failed it: a table or sequence that is not
 * there any more (XX000, "could not open relation"), a column. A server that is going down says other things.
 */
static bool fails_behind_lock(const struct error_entry *e)
{
	char code[SQLSTATE_TEXT_MAX];
	sqlstate_unpack(e->sqlstate, code);
	return e->with_lock_evidence && !e->capture && !e->lane[JUDGE_BASELINE] &&
	       (e->kind == ERROR_SCHEMA || e->kind == ERROR_REFUSED || is_of_class(code, "XX"));
}

bool error_entry_is_by_lock(const struct error_entry *e)
{
	return e->with_lock_evidence && e->count == e->with_lock_evidence;
}

static uint64_t larger(uint64_t a, uint64_t b)
{
	return a > b ? a : b;
}

static void judge_entry(const struct error_judge *judge, struct error_entry *e)
{
	bool nowhere_else = !e->capture && !e->lane[JUDGE_BASELINE];
	e->result = e->lane[JUDGE_MIGRATING] > e->lane[JUDGE_BASELINE] ? ERROR_NOISE : ERROR_SAME;
	e->p = block_test_mcnemar(e->only_migrating, e->only_baseline);
	if (e->kind == ERROR_CASCADE || e->only_migrating == 0)
		return;
	if (e->broken || (e->firsts && nowhere_else))
		e->count = larger(e->broken, nowhere_else ? e->firsts : 0);
	else if (e->kind == ERROR_LOCK_VICTIM && e->with_lock_evidence)
		e->count = e->with_lock_evidence;
	else if (never_works_again(judge, e))
		e->count = e->lane[JUDGE_MIGRATING];
	else if (e->kind == ERROR_REPLAN && !e->lane[JUDGE_BASELINE])
		e->count = e->lane[JUDGE_MIGRATING];
	else if (e->p <= ERROR_ALPHA)
		e->count = e->lane[JUDGE_MIGRATING] > e->lane[JUDGE_BASELINE]
				   ? e->lane[JUDGE_MIGRATING] - e->lane[JUDGE_BASELINE]
				   : e->only_migrating;
	else if (fails_behind_lock(e))
		e->count = e->with_lock_evidence;
	if (e->count)
		e->result = ERROR_MIGRATION;
}

static int compare_entries(const void *a, const void *b)
{
	const struct error_entry *x = *(struct error_entry *const *)a;
	const struct error_entry *y = *(struct error_entry *const *)b;
	if (x->result != y->result)
		return x->result > y->result ? -1 : 1;
	if (x->lane[JUDGE_MIGRATING] != y->lane[JUDGE_MIGRATING])
		return x->lane[JUDGE_MIGRATING] > y->lane[JUDGE_MIGRATING] ? -1 : 1;
	if (x->sqlstate != y->sqlstate)
		return x->sqlstate < y->sqlstate ? -1 : 1;
	return (x->fingerprint > y->fingerprint) - (x->fingerprint < y->fingerprint);
}

/*
 * Row counts differ between any two replays, because sessions run side by side. A fingerprint of a touched table counts
 * when its sessions diverge for the first time more often than before the migration, beyond chance.
 */
static void judge_rows(struct error_judge *judge)
{
	/* What is other for good is no scatter, and told apart. */
	for (size_t i = 0; i < break_judge_rows_count(judge->breaks); i++)
		judge->rows_of[break_judge_rows(judge->breaks, i)->fingerprint].mismatches[1] = 0;
	for (uint32_t f = 0; f < judge->fingerprints; f++) {
		const struct rows_entry *r = &judge->rows_of[f];
		uint64_t total = (uint64_t)r->mismatches[0] + r->mismatches[1];
		if (!r->mismatches[1] || !r->pairs[0] || !error_judge_touches(judge, f))
			continue;
		double share = (double)r->pairs[1] / ((double)r->pairs[0] + (double)r->pairs[1]);
		if (block_test_binomial_tail(r->mismatches[1], total, share) <= ERROR_ALPHA)
			judge->rows.touched += r->mismatches[1];
	}
}

void error_judge_finish(struct error_judge *judge)
{
	struct entry *entry, *next;
	size_t n = 0;
	break_judge_finish(judge->breaks);
	for (size_t i = 0; i < break_judge_code_count(judge->breaks); i++) {
		const struct broken_code *broken = break_judge_code(judge->breaks, i);
		get_entry(judge, broken->sqlstate, broken->fingerprint, 0)->broken += broken->count;
	}
	judge->sorted = mem_zalloc(judge->count, sizeof(*judge->sorted));
	HASH_ITER (hh, judge->entries, entry, next) {
		judge_entry(judge, &entry->e);
		judge->sorted[n++] = &entry->e;
	}
	if (n)
		qsort(judge->sorted, n, sizeof(*judge->sorted), compare_entries);
	judge_rows(judge);
}

size_t error_judge_count(const struct error_judge *judge)
{
	return judge->count;
}

const struct error_entry *error_judge_entry(const struct error_judge *judge, size_t index)
{
	return judge->sorted[index];
}

const struct error_rows *error_judge_rows(const struct error_judge *judge)
{
	return &judge->rows;
}

size_t error_judge_broken_rows_count(const struct error_judge *judge)
{
	return break_judge_rows_count(judge->breaks);
}

const struct broken_rows *error_judge_broken_rows(const struct error_judge *judge, size_t index)
{
	return break_judge_rows(judge->breaks, index);
}

uint64_t error_judge_tainted_sessions(const struct error_judge *judge)
{
	uint64_t n = 0;
	for (uint32_t i = 0; i < judge->sessions; i++)
		n += judge->tainted[i] != 0;
	return n;
}
