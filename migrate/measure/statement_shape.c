/* What a statement is by its text: see statement_shape.h. */
#include "statement_shape.h"

#include "sql_lexer.h"

#include <ctype.h>
#include <strings.h>

#define NAME_MAX_BYTES 63 /* NAMEDATALEN - 1: longer names are cut by the server */

/* A DO block that ends transactions itself; its body is a string, so its words are looked for in that. */
static bool body_commits(struct span sql)
{
	static const char *const words[] = {"COMMIT", "ROLLBACK"};
	for (size_t w = 0; w < 2; w++) {
		size_t len = strlen(words[w]);
		for (size_t i = 0; i + len <= sql.len; i++) {
			if (strncasecmp(sql.p + i, words[w], len) == 0)
				return true;
		}
	}
	return false;
}

/* What a look at all of a statement's words tells. */
struct words_seen {
	bool writes; /* INSERT, UPDATE, DELETE, MERGE */
	bool into;
	bool locks_rows; /* FOR UPDATE, FOR SHARE */
	bool from;
	bool analyze;
	bool user_function;
	bool function; /* the word FUNCTION, PROCEDURE, ROUTINE */
	bool to_savepoint;
};

static bool asks_user_function(const struct sql_token *name,
			       bool (*is_user_function)(const void *context, struct span name), const void *context)
{
	char lower[NAME_MAX_BYTES + 1];
	struct span text = name->text;
	if (name->kind == SQL_TOKEN_QUOTED_NAME) {
		if (text.len < 2 || text.p[0] != '"')
			return true; /* U&"…": rare enough to be taken for one */
		return is_user_function(context, (struct span){text.p + 1, text.len - 2});
	}
	if (text.len > NAME_MAX_BYTES)
		text.len = NAME_MAX_BYTES;
	for (size_t i = 0; i < text.len; i++)
		lower[i] = (char)tolower((unsigned char)text.p[i]);
	return is_user_function(context, (struct span){lower, text.len});
}

static void see_word(struct words_seen *seen, const struct sql_token *token, const struct sql_token *before)
{
	static const char *const writers[] = {"INSERT", "UPDATE", "DELETE", "MERGE", NULL};
	static const char *const routines[] = {"FUNCTION", "PROCEDURE", "ROUTINE", "AGGREGATE", NULL};
	static const char *const row_locks[] = {"UPDATE", "SHARE", "NO", "KEY", NULL};
	if (sql_token_is_word(before, "FOR") && sql_token_is_one_of(token, row_locks))
		seen->locks_rows = true;
	else if (!sql_token_is_word(before, "KEY")) /* FOR NO KEY UPDATE */
		seen->writes |= sql_token_is_one_of(token, writers);
	seen->into |= sql_token_is_word(token, "INTO");
	seen->from |= sql_token_is_word(token, "FROM");
	seen->analyze |= sql_token_is_word(token, "ANALYZE") || sql_token_is_word(token, "ANALYSE");
	seen->function |= sql_token_is_one_of(token, routines);
	seen->to_savepoint |= sql_token_is_word(token, "TO");
}

static struct words_seen look_at_words(struct span sql, bool (*is_user_function)(const void *context, struct span name),
				       const void *context)
{
	struct words_seen seen = {0};
	struct sql_lexer lexer;
	sql_lexer_init(&lexer, SQL_POSTGRESQL, sql.p, sql.len);
	struct sql_token before = {.kind = SQL_TOKEN_END};
	for (struct sql_token token; (token = sql_lexer_next_solid(&lexer)).kind != SQL_TOKEN_END; before = token) {
		bool named = before.kind == SQL_TOKEN_WORD || before.kind == SQL_TOKEN_QUOTED_NAME;
		if (token.kind == SQL_TOKEN_WORD)
			see_word(&seen, &token, &before);
		else if (named && !seen.user_function && span_equal_str(token.text, "("))
			seen.user_function = asks_user_function(&before, is_user_function, context);
	}
	return seen;
}

static struct statement_shape shape_of_control(const struct sql_token *first, const struct words_seen *seen)
{
	struct statement_shape shape = {.kind = LEDGER_KIND_CONTROL, .is_control = true};
	shape.begins_transaction = sql_token_is_word(first, "BEGIN") || sql_token_is_word(first, "START");
	shape.commits = sql_token_is_word(first, "COMMIT") || sql_token_is_word(first, "END") ||
			sql_token_is_word(first, "PREPARE");
	shape.returns_to_savepoint = sql_token_is_word(first, "ROLLBACK") && seen->to_savepoint;
	return shape;
}

static struct statement_shape shape_of_query(const struct words_seen *seen)
{
	struct statement_shape shape = {.kind = LEDGER_KIND_READ, .runs_code = seen->user_function};
	if (seen->writes)
		shape.kind = LEDGER_KIND_DATA;
	else if (seen->into)
		shape.kind = LEDGER_KIND_DDL; /* SELECT … INTO makes a table */
	else if (seen->user_function)
		shape.kind = LEDGER_KIND_UNKNOWN;
	shape.is_plain_read = shape.kind == LEDGER_KIND_READ && !seen->locks_rows;
	return shape;
}

struct statement_shape statement_shape_of(struct span sql,
					  bool (*is_user_function)(const void *context, struct span name),
					  const void *context)
{
	static const char *const control[] = {"BEGIN",	 "START",     "COMMIT",	    "END",	  "ROLLBACK",
					      "ABORT",	 "SAVEPOINT", "RELEASE",    "SET",	  "RESET",
					      "DISCARD", "PREPARE",   "DEALLOCATE", "LISTEN",	  "UNLISTEN",
					      "NOTIFY",	 "SHOW",      "CLOSE",	    "CHECKPOINT", NULL};
	static const char *const queries[] = {"SELECT", "WITH", "VALUES",  "TABLE", "EXPLAIN",
					      "FETCH",	"MOVE", "DECLARE", NULL};
	static const char *const data[] = {"INSERT", "UPDATE", "DELETE", "MERGE", "TRUNCATE", NULL};
	struct sql_lexer lexer;
	sql_lexer_init(&lexer, SQL_POSTGRESQL, sql.p, sql.len);
	struct sql_token first = sql_lexer_next_solid(&lexer);
	while (span_equal_str(first.text, "(")) /* (SELECT …) UNION … */
		first = sql_lexer_next_solid(&lexer);
	struct words_seen seen = look_at_words(sql, is_user_function, context);
	struct statement_shape shape = {.kind = LEDGER_KIND_DDL, .runs_code = seen.user_function};
	if (first.kind == SQL_TOKEN_END)
		return (struct statement_shape){.kind = LEDGER_KIND_CONTROL, .is_control = true};
	if (sql_token_is_one_of(&first, control))
		return shape_of_control(&first, &seen);
	if (sql_token_is_one_of(&first, queries)) {
		if (sql_token_is_word(&first, "EXPLAIN") && !seen.analyze)
			return (struct statement_shape){.kind = LEDGER_KIND_READ, .is_plain_read = true};
		return shape_of_query(&seen);
	}
	if (sql_token_is_one_of(&first, data)) {
		shape.kind = LEDGER_KIND_DATA;
	} else if (sql_token_is_word(&first, "COPY")) {
		shape.kind = seen.from && !seen.to_savepoint ? LEDGER_KIND_DATA : LEDGER_KIND_READ;
	} else if (sql_token_is_word(&first, "LOCK")) {
		shape.kind = LEDGER_KIND_CONTROL;
		shape.needs_transaction = true;
	} else if (sql_token_is_word(&first, "EXECUTE")) {
		shape.kind = LEDGER_KIND_UNKNOWN;
	} else if (sql_token_is_word(&first, "CALL") || sql_token_is_word(&first, "DO")) {
		shape.kind = LEDGER_KIND_UNKNOWN;
		shape.runs_code = true;
		shape.ends_transactions = sql_token_is_word(&first, "CALL") || body_commits(sql);
	} else if (sql_token_is_word(&first, "CREATE")) {
		shape.defines_function = seen.function;
		shape.runs_code = shape.runs_code && !seen.function; /* it is defined here, not called */
	}
	return shape;
}
