/* What grows with rows, and how much: see statement_growth.h. */
#include "statement_growth.h"

#include "clock.h"
#include "lock_effect.h"
#include "mem.h"
#include "touched.h"

#include <strings.h>
#include <uthash.h>

/*
 * A look into the catalog takes milliseconds. What took longer and read nothing that its backend counts (sequential
 * scans are counted, index scans are not) did something else.
 */
#define METADATA_MAX_NS (NS_PER_S / 2)
#define ROW_BY_ROW	10 /* as many statements of one text are a loop over rows */
#define WRITE_RANK	3  /* RowExclusiveLock */
#define HELD_MAX	500

const char *statement_work_name(enum statement_work work)
{
	static const char *const names[] = {"rewrite",	   "index build", "scan",    "rows changed",
					    "not counted", "metadata",	  "empties", "sample",
					    "one row",	   "control",	  "failed"};
	return names[work];
}

bool statement_work_grows(enum statement_work work)
{
	return work <= WORK_NOT_COUNTED;
}

/* How many statements have the same text, and so are rounds of one loop. */
struct text_count {
	const char *text;
	size_t count;
	UT_hash_handle hh;
};

static struct text_count *count_texts(const struct ledger *ledger)
{
	struct text_count *texts = NULL;
	for (size_t i = 0; i < ledger->statement_count; i++) {
		struct text_count *entry = NULL;
		const char *sql = ledger->statements[i].sql;
		if (ledger->statements[i].kind != LEDGER_KIND_DATA || !sql)
			continue;
		HASH_FIND_STR(texts, sql, entry);
		if (!entry) {
			entry = mem_zalloc(1, sizeof(*entry));
			entry->text = sql;
			HASH_ADD_KEYPTR(hh, texts, entry->text, strlen(entry->text), entry);
		}
		entry->count++;
	}
	return texts;
}

static void free_texts(struct text_count *texts)
{
	struct text_count *entry;
	struct text_count *next;
	HASH_ITER (hh, texts, entry, next) {
		HASH_DEL(texts, entry);
		free(entry);
	}
}

/* A table that the migration made: it has as many rows as it was given. */
struct made_table {
	const char *name;
	double ratio;
};

/* What one backend's open transaction has locked: later statements say no more of it. */
struct backend {
	int32_t pid;
	int64_t transaction_end_ns;
	const char *held[HELD_MAX];
	size_t held_count;
};

struct growth {
	const struct row_ratios *ratios;
	bool *used;
	struct text_count *texts;
	struct made_table *made;
	size_t made_count;
	size_t made_capacity;
	struct backend *backends;
	size_t backend_count;
	size_t backend_capacity;
};

static enum statement_work work_of_data(const struct growth *g, const struct ledger_statement *s)
{
	struct text_count *entry = NULL;
	if (s->rewrite_count > 0)
		return WORK_EMPTY;
	bool counted = s->rows_scanned >= 0 && s->rows_changed >= 0;
	if (!counted && s->rows_affected < 0)
		return WORK_NOT_COUNTED;
	int64_t changed = s->rows_changed > s->rows_affected ? s->rows_changed : s->rows_affected;
	if (s->sql)
		HASH_FIND_STR(g->texts, s->sql, entry);
	if (changed <= 1 && s->rows_scanned <= 1 && !s->runs_code && (!entry || entry->count < ROW_BY_ROW))
		return WORK_ONE_ROW;
	return WORK_ROWS;
}

/* A tool's questions to the catalog lock no table. */
static enum statement_work work_of_read(const struct ledger_statement *s)
{
	if (s->rows_scanned < 0)
		return s->lock_count > 0 ? WORK_NOT_COUNTED : WORK_METADATA;
	return s->rows_scanned > 1 ? WORK_SCAN : WORK_ONE_ROW;
}

static enum statement_work work_of(const struct growth *g, const struct ledger_statement *s, int64_t busy_ns)
{
	bool only_drops = s->indexes_dropped.count + s->relations_dropped.count > 0;
	const char *sql = s->sql ? s->sql : "";
	if (s->sqlstate[0])
		return WORK_FAILED;
	if (s->kind == LEDGER_KIND_CONTROL)
		return WORK_CONTROL;
	if (s->kind == LEDGER_KIND_DATA)
		return work_of_data(g, s);
	if (s->kind == LEDGER_KIND_READ)
		return work_of_read(s);
	if (strncasecmp(sql, "ANALYZE", 7) == 0)
		return WORK_SAMPLE;
	if (s->rewrite_count > 0)
		return WORK_REWRITE;
	/* The index of a table that is made with it has no rows yet. */
	if (s->indexes_built.count > 0 && (s->relations_created.count == 0 || s->rows_scanned > 0))
		return WORK_INDEX_BUILD;
	if (s->rows_changed > 0)
		return WORK_ROWS;
	if (s->rows_scanned > 0)
		return WORK_SCAN;
	if (s->rows_scanned < 0 && !only_drops)
		return WORK_NOT_COUNTED;
	return busy_ns >= METADATA_MAX_NS ? WORK_NOT_COUNTED : WORK_METADATA;
}

static struct made_table *find_made(const struct growth *g, const char *relation)
{
	for (size_t i = 0; i < g->made_count; i++) {
		if (strcmp(g->made[i].name, relation) == 0)
			return &g->made[i];
	}
	return NULL;
}

static double ratio_of_relation(const struct growth *g, const char *relation)
{
	const struct row_ratio *own = row_ratios_find(g->ratios, relation);
	const struct made_table *made = find_made(g, relation);
	if (own)
		g->used[own - g->ratios->tables] = true;
	return own ? own->ratio : made ? made->ratio : g->ratios->all;
}

static const char *table_of(const struct ledger_lock *lock)
{
	return lock->index_of[0] ? lock->index_of : lock->relation;
}

/* The backend's open transaction, which this statement goes on or begins. */
static struct backend *find_backend(struct growth *g, const struct ledger_statement *s)
{
	struct backend *backend = NULL;
	for (size_t i = 0; i < g->backend_count && !backend; i++) {
		if (g->backends[i].pid == s->backend_pid)
			backend = &g->backends[i];
	}
	if (!backend) {
		MEM_GROW(g->backends, g->backend_count, g->backend_capacity);
		backend = &g->backends[g->backend_count++];
		*backend = (struct backend){.pid = s->backend_pid, .transaction_end_ns = s->transaction_end_ns};
	}
	if (backend->transaction_end_ns != s->transaction_end_ns)
		backend->held_count = 0;
	backend->transaction_end_ns = s->transaction_end_ns;
	return backend;
}

static double larger(double a, double b)
{
	return a > b ? a : b;
}

/* The largest of the tables that it concerns; that of all where none is known. */
static double ratio_of(struct growth *g, const struct ledger_statement *s)
{
	double ratio = 0;
	const char *sql = s->sql ? s->sql : "";
	struct backend *backend = find_backend(g, s);
	for (size_t i = 0; i < backend->held_count; i++) {
		if (s->runs_code || touched_names_relation(sql, backend->held[i]))
			ratio = larger(ratio, ratio_of_relation(g, backend->held[i]));
	}
	for (size_t i = 0; i < s->lock_count; i++) {
		/* What it makes itself is as large as what it makes it from. */
		if (!ledger_names_have(&s->relations_created, table_of(&s->locks[i])))
			ratio = larger(ratio, ratio_of_relation(g, table_of(&s->locks[i])));
		if (backend->held_count < HELD_MAX)
			backend->held[backend->held_count++] = table_of(&s->locks[i]);
	}
	/* Locks that were only sampled may be missing; what the user names and the statement too is meant. */
	for (size_t i = 0; i < g->ratios->count; i++) {
		if (!touched_names_relation(sql, g->ratios->tables[i].table))
			continue;
		g->used[i] = true;
		ratio = larger(ratio, g->ratios->tables[i].ratio);
	}
	return ratio > 0 ? ratio : g->ratios->all;
}

/* The tables that it made, or wrote to after the migration had made them, have as many rows as what they came from. */
static void fill_made(struct growth *g, const struct ledger_statement *s, double ratio)
{
	for (size_t i = 0; i < s->relations_created.count; i++) {
		MEM_GROW(g->made, g->made_count, g->made_capacity);
		g->made[g->made_count++] = (struct made_table){s->relations_created.items[i], ratio};
	}
	const struct backend *backend = find_backend(g, s);
	for (size_t i = 0; i < backend->held_count && s->kind == LEDGER_KIND_DATA; i++) {
		struct made_table *made = find_made(g, backend->held[i]);
		if (made && (s->runs_code || touched_names_relation(s->sql ? s->sql : "", made->name)))
			made->ratio = larger(made->ratio, ratio);
	}
}

struct statement_growth *statement_growth_find(const struct ledger *ledger, const struct row_ratios *ratios,
					       const int64_t *busy_ns, bool *used)
{
	struct growth g = {.ratios = ratios, .used = used, .texts = count_texts(ledger)};
	struct statement_growth *all = mem_zalloc(ledger->statement_count + 1, sizeof(*all));
	for (size_t i = 0; i < ledger->statement_count; i++) {
		const struct ledger_statement *s = &ledger->statements[i];
		all[i].work = work_of(&g, s, busy_ns[i]);
		double ratio = ratio_of(&g, s);
		all[i].ratio = statement_work_grows(all[i].work) ? ratio : 1;
		fill_made(&g, s, s->rows_scanned == 0 && s->rows_changed <= 0 ? 1 : ratio);
	}
	free_texts(g.texts);
	free(g.made);
	free(g.backends);
	return all;
}
