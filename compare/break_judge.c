/* Statements that stop working: see break_judge.h. */
#include "break_judge.h"

#include "mem.h"

#include <math.h>

#define RUN_SESSIONS	 3 /* as many as a rule asks for */
#define RUN_CODES	 4 /* of one statement in one run; further ones count for the run, not for a code */
#define BREAK_ALPHA	 0.0005
#define ROWS_NOISE_SHARE 10 /* a tenth of the pairs may differ without a migration */

struct broken_run {
	uint64_t n;
	uint64_t clean; /* of sessions whose data were the baseline's when the run began */
	uint64_t by_schema;
	bool before; /* it began before the migration did */
	uint64_t first_ordinal;
	int64_t first_ns;
	uint32_t sessions[RUN_SESSIONS];
	unsigned session_count;
	struct {
		uint32_t sqlstate;
		uint64_t n;
	} codes[RUN_CODES];
};

struct rows_run {
	struct broken_run run;
	uint64_t lost;	    /* of the run: none where the baseline has some */
	uint64_t before;    /* pairs before the migration … */
	uint64_t differed;  /* … that differed */
	bool equal_after;   /* some pair sent behind the migration's end did not differ */
	uint64_t lost_long; /* the longest run of lost ones that ended again, if it is a finding by itself */
	int64_t lost_long_ns;
};

struct statement {
	struct broken_run errors;
	uint64_t executions; /* of both lanes */
	uint64_t one_sided;  /* of them failed where the other lane's went well */
	struct rows_run rows;
};

struct break_judge {
	struct break_input input;
	struct statement **statements; /* by fingerprint, the last one for connects; NULL until needed */
	struct broken_code *codes;
	size_t code_count;
	size_t code_capacity;
	struct broken_rows *rows;
	size_t rows_count;
	size_t rows_capacity;
};

struct break_judge *break_judge_new(const struct break_input *input)
{
	struct break_judge *judge = mem_zalloc(1, sizeof(*judge));
	judge->input = *input;
	judge->statements = mem_zalloc((size_t)input->fingerprints + 1, sizeof(*judge->statements));
	return judge;
}

void break_judge_free(struct break_judge *judge)
{
	if (!judge)
		return;
	for (size_t i = 0; i <= judge->input.fingerprints; i++)
		free(judge->statements[i]);
	free(judge->statements);
	free(judge->codes);
	free(judge->rows);
	free(judge);
}

/* NULL for what is neither a statement nor a connect. */
static struct statement *find(struct break_judge *judge, const struct pair *pair)
{
	uint32_t f = pair->item->fingerprint;
	if (f >= judge->input.fingerprints) {
		if (pair->item->kind != ITEM_CONNECT)
			return NULL;
		f = judge->input.fingerprints;
	}
	if (!judge->statements[f])
		judge->statements[f] = mem_zalloc(1, sizeof(**judge->statements));
	return judge->statements[f];
}

static bool touches(const struct break_judge *judge, uint32_t fingerprint)
{
	return fingerprint < judge->input.fingerprints && judge->input.touches(judge->input.context, fingerprint);
}

static void extend(struct broken_run *run, const struct pair *pair, uint64_t tainted, bool after)
{
	if (run->n++ == 0) {
		run->before = !after;
		run->first_ordinal = pair->ordinal;
		run->first_ns = pair_done_ns(pair, JUDGE_MIGRATING);
	}
	/* What taints a session while the run goes on is the run itself, as a rule. */
	run->clean += !tainted || tainted > run->first_ordinal;
	for (unsigned i = 0; i < run->session_count; i++) {
		if (run->sessions[i] == pair->item->session)
			return;
	}
	if (run->session_count < RUN_SESSIONS)
		run->sessions[run->session_count++] = pair->item->session;
}

/* An execution under way when the run began says nothing of what comes behind it. */
static bool is_behind(const struct broken_run *run, const struct pair *pair)
{
	return pair_sent_ns(pair, JUDGE_MIGRATING) > run->first_ns;
}

/* Did the replay's own state fail each of them as often as it fails the others, by Laplace's rule of succession. */
static double chance_of_run(const struct statement *s)
{
	double others = (double)(s->executions - s->errors.n);
	double failed = (double)(s->one_sided - s->errors.n);
	return pow((failed + 1) / (others + 2), (double)s->errors.n);
}

/*
 * The rule: three executions and none that went well again, or eleven in a row. What a single session meets, and errors
 * that come of stored rows, could be a state of the replay's own unless the statement names what the migration touched:
 * then it takes more sessions, or one whose data were the baseline's (docs/verdict.md).
 */
static bool is_broken(const struct break_judge *judge, const struct statement *s, uint32_t fingerprint, bool to_end)
{
	const struct broken_run *run = &s->errors;
	bool by_schema = run->by_schema >= BREAK_RUN_MIN;
	bool enough = run->n >= BREAK_RUN_LONG ||
		      (to_end && (run->clean >= BREAK_RUN_MIN || (by_schema && run->session_count > 1)));
	if (run->before || run->n < BREAK_RUN_MIN || !enough)
		return false;
	if (!by_schema && chance_of_run(s) > BREAK_ALPHA)
		return false;
	if (run->session_count >= RUN_SESSIONS || touches(judge, fingerprint))
		return true;
	bool clean = run->clean >= BREAK_RUN_MIN;
	return by_schema ? run->session_count > 1 || clean : clean && to_end && run->n >= BREAK_RUN_LONG;
}

static void add_code(struct break_judge *judge, uint32_t fingerprint, uint32_t sqlstate, uint64_t n)
{
	MEM_GROW(judge->codes, judge->code_count, judge->code_capacity);
	judge->codes[judge->code_count++] = (struct broken_code){fingerprint, sqlstate, n};
}

static void end_errors(struct break_judge *judge, struct statement *s, uint32_t fingerprint, bool to_end)
{
	struct broken_run *run = &s->errors;
	if (is_broken(judge, s, fingerprint, to_end)) {
		for (int i = 0; i < RUN_CODES && run->codes[i].n; i++)
			add_code(judge, fingerprint, run->codes[i].sqlstate, run->codes[i].n);
	}
	*run = (struct broken_run){0};
}

void break_judge_add_failure(struct break_judge *judge, const struct pair *pair, uint32_t sqlstate,
			     enum break_cause cause, uint64_t tainted, bool after)
{
	struct statement *s = find(judge, pair);
	if (!s)
		return;
	struct broken_run *run = &s->errors;
	s->executions += JUDGE_LANES;
	s->one_sided++;
	/* One or two by chance just before the migration are no reason to miss what it breaks. */
	if (after && run->before && run->n < BREAK_RUN_MIN)
		*run = (struct broken_run){0};
	extend(run, pair, tainted, after);
	run->by_schema += cause == BREAK_BY_SCHEMA;
	for (int i = 0; i < RUN_CODES; i++) {
		if (run->codes[i].n && run->codes[i].sqlstate != sqlstate)
			continue;
		run->codes[i].sqlstate = sqlstate;
		run->codes[i].n++;
		return;
	}
}

void break_judge_add_success(struct break_judge *judge, const struct pair *pair, bool baseline_failed)
{
	struct statement *s = find(judge, pair);
	if (!s)
		return;
	if (s->errors.n && is_behind(&s->errors, pair))
		end_errors(judge, s, pair->item->fingerprint, false);
	s->executions += JUDGE_LANES;
	s->one_sided += baseline_failed;
}

void break_judge_add_rows(struct break_judge *judge, const struct pair *pair, uint64_t tainted, bool after)
{
	struct statement *s = find(judge, pair);
	uint32_t baseline = pair->lane[JUDGE_BASELINE]->rows;
	uint32_t migrating = pair->lane[JUDGE_MIGRATING]->rows;
	/* Nothing found on both lanes: there was nothing to lose. */
	if (!s || (baseline == 0 && migrating == 0))
		return;
	struct rows_run *rows = &s->rows;
	if (!after) {
		rows->before++;
		rows->differed += baseline != migrating;
	} else if (baseline != migrating) {
		extend(&rows->run, pair, tainted, true);
		rows->lost += migrating == 0;
	} else {
		if (rows->run.n && is_behind(&rows->run, pair)) {
			if (rows->lost == rows->run.n && rows->lost > rows->lost_long) {
				rows->lost_long = rows->lost;
				rows->lost_long_ns = rows->run.first_ns;
			}
			rows->run = (struct broken_run){0};
			rows->lost = 0;
		}
		rows->equal_after |= pair_sent_ns(pair, JUDGE_MIGRATING) >= judge->input.migration_end_ns;
	}
}

/* Were it chance which pairs differ: none of those before and all of those behind, 1 / C(before + n, n). */
static double chance_of_all(uint64_t before, uint64_t n)
{
	double b = (double)before;
	double k = (double)n;
	return exp(lgamma(b + 1) + lgamma(k + 1) - lgamma(b + k + 1));
}

/* None differed before; or few did, and very many rows are gone now. */
static bool beyond_chance(const struct rows_run *rows, bool lost, uint64_t n)
{
	if (rows->differed)
		return lost && n >= BREAK_RUN_LONG && rows->differed * ROWS_NOISE_SHARE <= rows->before;
	return chance_of_all(rows->before, n) <= BREAK_ALPHA;
}

static void judge_rows(struct break_judge *judge, const struct rows_run *rows, uint32_t fingerprint)
{
	const struct broken_run *run = &rows->run;
	bool lost = rows->lost == run->n;
	uint64_t n = run->n;
	int64_t first_ns = run->first_ns;
	/* Lost to the end; or for a long while; or always another number since the migration was through. */
	bool found = n >= BREAK_RUN_MIN && (lost ? run->clean >= BREAK_RUN_MIN || n >= BREAK_RUN_LONG
						 : !rows->equal_after && run->clean >= BREAK_RUN_MIN);
	if (!found && rows->lost_long >= BREAK_RUN_LONG) {
		found = true;
		lost = true;
		n = rows->lost_long;
		first_ns = rows->lost_long_ns;
	}
	if (!found || !beyond_chance(rows, lost, n))
		return;
	MEM_GROW(judge->rows, judge->rows_count, judge->rows_capacity);
	judge->rows[judge->rows_count++] =
		(struct broken_rows){fingerprint, lost, touches(judge, fingerprint), n, first_ns};
}

/* What fails a run first, then the most executions. */
static int compare_rows(const void *a, const void *b)
{
	const struct broken_rows *x = a;
	const struct broken_rows *y = b;
	if (x->touched != y->touched)
		return x->touched ? -1 : 1;
	if (x->count != y->count)
		return x->count > y->count ? -1 : 1;
	return (x->fingerprint > y->fingerprint) - (x->fingerprint < y->fingerprint);
}

void break_judge_finish(struct break_judge *judge)
{
	for (uint32_t f = 0; judge->input.migration && f <= judge->input.fingerprints; f++) {
		struct statement *s = judge->statements[f];
		if (!s)
			continue;
		end_errors(judge, s, f < judge->input.fingerprints ? f : ITEM_NO_TEXT, true);
		if (f < judge->input.fingerprints)
			judge_rows(judge, &s->rows, f);
	}
	if (judge->rows_count)
		qsort(judge->rows, judge->rows_count, sizeof(*judge->rows), compare_rows);
}

size_t break_judge_code_count(const struct break_judge *judge)
{
	return judge->code_count;
}

const struct broken_code *break_judge_code(const struct break_judge *judge, size_t index)
{
	return &judge->codes[index];
}

size_t break_judge_rows_count(const struct break_judge *judge)
{
	return judge->rows_count;
}

const struct broken_rows *break_judge_rows(const struct break_judge *judge, size_t index)
{
	return &judge->rows[index];
}
