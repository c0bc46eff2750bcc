/*
 * What kind of statement it is: see workflow_sql.h. What the tracer tells from the text (measure/statement_shape.h) is
 * taken from there.
 *
 * Source of what cannot run inside a transaction: calls of PreventInTransactionBlock() as the PostgreSQL manual's pages
 * of the commands describe them.
 */
#include "workflow_sql.h"

#include "sql_lexer.h"
#include "statement_shape.h"

#include <stdbool.h>

#define WORDS_MAX 12 /* that are looked at from a statement's beginning */

static bool is_sign(const struct sql_token *token, char sign)
{
	return token->kind == SQL_TOKEN_PUNCTUATION && token->text.len == 1 && token->text.p[0] == sign;
}

/* A statement's first tokens; the rest are SQL_TOKEN_END. */
struct beginning {
	struct sql_token tokens[WORDS_MAX];
};

static bool word_at(const struct beginning *b, size_t i, const char *word)
{
	return sql_token_is_word(&b->tokens[i], word);
}

static bool has_word(const struct beginning *b, const char *word)
{
	for (size_t i = 0; i < WORDS_MAX; i++) {
		if (word_at(b, i, word))
			return true;
	}
	return false;
}

static unsigned look_at_transaction(const struct beginning *b)
{
	static const char *const ends[] = {"COMMIT", "END", "ABORT", "ROLLBACK", NULL};
	bool savepoint = word_at(b, 1, "TO") || word_at(b, 2, "TO"); /* ROLLBACK [WORK] TO s */
	if (word_at(b, 0, "BEGIN") || (word_at(b, 0, "START") && word_at(b, 1, "TRANSACTION")))
		return WORKFLOW_SQL_TRANSACTION | WORKFLOW_SQL_BEGIN;
	if (word_at(b, 0, "PREPARE") && word_at(b, 1, "TRANSACTION"))
		return WORKFLOW_SQL_TRANSACTION;
	if (!sql_token_is_one_of(&b->tokens[0], ends) || savepoint)
		return 0;
	bool chain = has_word(b, "CHAIN") && !has_word(b, "NO"); /* COMMIT AND CHAIN */
	return WORKFLOW_SQL_TRANSACTION | (chain ? WORKFLOW_SQL_BEGIN : 0U);
}

/* CONCURRENTLY as a key word of these commands; elsewhere it is none. */
static unsigned look_at_concurrently(const struct beginning *b)
{
	if (!has_word(b, "CONCURRENTLY"))
		return 0;
	bool index = (word_at(b, 0, "CREATE") || word_at(b, 0, "DROP")) && has_word(b, "INDEX");
	bool detach = word_at(b, 0, "ALTER") && has_word(b, "DETACH");
	if (index || detach || word_at(b, 0, "REINDEX"))
		return WORKFLOW_SQL_CONCURRENTLY | WORKFLOW_SQL_OUTSIDE | WORKFLOW_SQL_BY_STEPS;
	return 0;
}

static unsigned look_at_outside(const struct beginning *b)
{
	static const char *const clusters[] = {"DATABASE", "TABLESPACE", NULL};
	bool ddl = word_at(b, 0, "CREATE") || word_at(b, 0, "DROP");
	if (word_at(b, 0, "VACUUM"))
		return WORKFLOW_SQL_OUTSIDE | WORKFLOW_SQL_BY_STEPS;
	if (word_at(b, 0, "ALTER") && word_at(b, 1, "SYSTEM"))
		return WORKFLOW_SQL_OUTSIDE;
	if (ddl && sql_token_is_one_of(&b->tokens[1], clusters))
		return WORKFLOW_SQL_OUTSIDE | WORKFLOW_SQL_BY_STEPS;
	if (word_at(b, 0, "REINDEX") && (has_word(b, "DATABASE") || has_word(b, "SYSTEM") || has_word(b, "SCHEMA")))
		return WORKFLOW_SQL_OUTSIDE | WORKFLOW_SQL_BY_STEPS;
	return 0;
}

/* Whether an UPDATE or DELETE has no WHERE of its own, outside of parentheses. */
static bool changes_all_rows(struct span sql)
{
	struct sql_lexer lexer;
	int depth = 0;
	sql_lexer_init(&lexer, SQL_POSTGRESQL, sql.p, sql.len);
	for (;;) {
		struct sql_token token = sql_lexer_next_solid(&lexer);
		if (token.kind == SQL_TOKEN_END)
			return true;
		depth += is_sign(&token, '(') - is_sign(&token, ')');
		if (depth == 0 && sql_token_is_word(&token, "WHERE"))
			return false;
	}
}

/* Where a statement of a DO block may begin. */
static const char *const data_words[] = {"INSERT", "UPDATE", "DELETE", "MERGE", "TRUNCATE", NULL};
static const char *const ddl_words[] = {"CREATE",  "ALTER",  "DROP",	"COMMENT",  "GRANT",	"REVOKE", "REINDEX",
					"CLUSTER", "IMPORT", "REFRESH", "SECURITY", "REASSIGN", NULL};

/* A dollar-quoted string's inside, or a quoted one's. */
static struct span string_body(struct span text)
{
	if (text.len > 1 && text.p[0] == '$') {
		const char *second = memchr(text.p + 1, '$', text.len - 1);
		size_t tag = second ? (size_t)(second - text.p) + 1 : 0;
		if (tag && text.len >= 2 * tag)
			return (struct span){text.p + tag, text.len - 2 * tag};
	}
	const char *quote = memchr(text.p, '\'', text.len);
	if (!quote || (size_t)(quote - text.p) + 2 > text.len)
		return (struct span){text.p, 0};
	size_t skip = (size_t)(quote - text.p) + 1;
	return (struct span){text.p + skip, text.len - skip - 1};
}

/* The statements of a DO block: words that stand where a statement begins. */
static unsigned look_at_body(struct span body)
{
	static const char *const openers[] = {"BEGIN", "THEN", "ELSE", "LOOP", NULL};
	static const char *const enders[] = {"COMMIT", "ROLLBACK", NULL};
	struct sql_lexer lexer;
	struct sql_token before = {.kind = SQL_TOKEN_SEMICOLON};
	unsigned kind = 0;
	sql_lexer_init(&lexer, SQL_POSTGRESQL, body.p, body.len);
	for (;;) {
		struct sql_token token = sql_lexer_next_solid(&lexer);
		if (token.kind == SQL_TOKEN_END)
			return kind;
		if (before.kind == SQL_TOKEN_SEMICOLON || sql_token_is_one_of(&before, openers)) {
			kind |= sql_token_is_one_of(&token, data_words) ? WORKFLOW_SQL_DATA : 0U;
			kind |= sql_token_is_one_of(&token, ddl_words) ? WORKFLOW_SQL_DDL : 0U;
			kind |= sql_token_is_one_of(&token, enders) ? WORKFLOW_SQL_BY_STEPS | WORKFLOW_SQL_OUTSIDE : 0U;
		}
		before = token;
	}
}

static unsigned look_at_do(struct span sql)
{
	struct sql_lexer lexer;
	sql_lexer_init(&lexer, SQL_POSTGRESQL, sql.p, sql.len);
	for (;;) {
		struct sql_token token = sql_lexer_next_solid(&lexer);
		if (token.kind == SQL_TOKEN_END)
			return 0;
		if (token.kind == SQL_TOKEN_STRING && token.text.len > 1)
			return look_at_body(string_body(token.text));
	}
}

/* What is not known of functions is not needed here. */
static bool is_no_user_function(const void *context, struct span name)
{
	(void)context;
	(void)name;
	return false;
}

/* The ledger's kinds, but that statistics and free space are no change of the schema. */
static unsigned look_at_kind(const struct beginning *b, enum ledger_kind kind)
{
	static const char *const upkeep[] = {"ANALYZE", "ANALYSE", "VACUUM", NULL};
	if (kind == LEDGER_KIND_DATA)
		return WORKFLOW_SQL_DATA;
	if (kind == LEDGER_KIND_CONTROL)
		return WORKFLOW_SQL_CONTROL;
	return kind == LEDGER_KIND_DDL && !sql_token_is_one_of(&b->tokens[0], upkeep) ? WORKFLOW_SQL_DDL : 0;
}

unsigned workflow_sql_look(struct span sql)
{
	struct beginning b;
	struct sql_lexer lexer;
	sql_lexer_init(&lexer, SQL_POSTGRESQL, sql.p, sql.len);
	for (size_t i = 0; i < WORDS_MAX; i++)
		b.tokens[i] = sql_lexer_next_solid(&lexer);
	struct statement_shape shape = statement_shape_of(sql, is_no_user_function, NULL);
	unsigned kind =
		look_at_kind(&b, shape.kind) | look_at_transaction(&b) | look_at_concurrently(&b) | look_at_outside(&b);
	if ((word_at(&b, 0, "UPDATE") || word_at(&b, 0, "DELETE")) && changes_all_rows(sql))
		kind |= WORKFLOW_SQL_ALL_ROWS;
	if (word_at(&b, 0, "DO"))
		kind |= look_at_do(sql);
	if (word_at(&b, 0, "CALL"))
		kind |= WORKFLOW_SQL_BY_STEPS; /* a procedure may COMMIT */
	if (word_at(&b, 0, "SET") && word_at(&b, 1, "TRANSACTION"))
		kind |= WORKFLOW_SQL_FIRST;
	return kind;
}
