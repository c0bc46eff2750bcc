/*
 * A query of several statements, cut, and whether they can be sent one by one: what its text alone tells, and nothing
 * about connections.
 */
#ifndef SCRIPT_PLAN_H
#define SCRIPT_PLAN_H

#include "span.h"

#include <stdbool.h>
#include <stddef.h>

/* What a statement does to transactions. */
enum transaction_word {
	WORD_NONE,
	WORD_OPENS,
	WORD_CLOSES,
	WORD_WITHIN, /* savepoints */
	WORD_OTHER   /* two-phase commit, chains */
};

enum transaction_word script_transaction_word(struct span sql);
/* Is that (in capitals) its first word? Comments are passed over. */
bool script_begins_with(struct span sql, const char *word);
/* What the server refuses outside of a transaction: with a BEGIN of ours in front it would not. */
bool script_wants_block(struct span sql);

struct script {
	const char *text;
	size_t len;
	struct span *pieces;
	size_t count;
	size_t capacity;
};

/* text is the caller's, and stays where it is. */
void script_init(struct script *script, const char *text);
void script_release(struct script *script);
/*
 * Whether the statements can be sent one by one with the same effect, with a transaction open or not. Inside an open
 * transaction they can. Outside, the server makes one transaction of what stands between the query's own BEGIN … COMMIT
 * pairs. Up to the query's end that is the same between BEGIN and COMMIT of ours; up to a BEGIN, which turns it into
 * the query's own, it is the same behind a BEGIN of ours. What ends otherwise is left alone.
 */
bool script_plan_split(const struct script *script, bool open);

#endif
