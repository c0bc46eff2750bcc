/*
 * The ledger as the stall judge asks it, for every wait and every stall: what ran or was locked at a time, what the
 * migration had made itself by then. A migration may have thousands of statements.
 */
#ifndef LEDGER_INDEX_H
#define LEDGER_INDEX_H

#include "ledger.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define LEDGER_INDEX_NONE SIZE_MAX

struct ledger_index;
/* The ledger stays the caller's and must outlive the index. */
struct ledger_index *ledger_index_new(const struct ledger *ledger);
void ledger_index_free(struct ledger_index *index);

/* The first end of a transaction within [from, to]. */
bool ledger_index_release(const struct ledger_index *index, int64_t from_ns, int64_t to_ns, int64_t *release_ns);
/*
 * The next lock on that relation that was held, or waited for, at some time of [from, to]; NULL behind the last. *at is
 * 0 before the first and the index's own after that; *statement gets whose it is.
 */
const struct ledger_lock *ledger_index_next_lock(const struct ledger_index *index, const char *relation,
						 int64_t from_ns, int64_t to_ns, size_t *at, size_t *statement);
/* The first statement whose transaction was open at that time; LEDGER_INDEX_NONE. */
size_t ledger_index_statement_at(const struct ledger_index *index, int64_t at_ns);
/* The last statement that had asked for an advisory lock by then; LEDGER_INDEX_NONE. */
size_t ledger_index_advisory_at(const struct ledger_index *index, int64_t at_ns);
/* The table whose rows the statements of that time changed, if the first that changed any changed those of one. */
const char *ledger_index_written_at(const struct ledger_index *index, int64_t at_ns);
/*
 * Nobody but the migration can miss what that statement locked: it, or the table of which it is an index, was made by
 * this statement or by one before it.
 */
bool ledger_index_is_new(const struct ledger_index *index, size_t statement, const struct ledger_lock *lock);
/* The server's own tables, and temporary ones, which nobody else sees. */
bool ledger_lock_is_system(const struct ledger_lock *lock);

#endif
