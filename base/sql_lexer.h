/*
 * SQL text cut into tokens, as far as that is possible without a grammar: enough to find literals, statement ends and
 * words, at the speed of parsing a log. Never fails: a text cut in the middle of a literal ends with that literal.
 *
 * Sources: PostgreSQL manual, 4.1 Lexical Structure (standard_conforming_strings on: only E'' takes backslashes, dollar
 * quotes, nested comments); MySQL manual, 9.1 Literal Values and 9.7 Comments.
 */
#ifndef SQL_LEXER_H
#define SQL_LEXER_H

#include "span.h"

#include <stdbool.h>
#include <stddef.h>

enum sql_dialect {
	SQL_POSTGRESQL,
	SQL_MYSQL
};

enum sql_token_kind {
	SQL_TOKEN_END,
	SQL_TOKEN_SPACE,   /* a run of white space */
	SQL_TOKEN_COMMENT, /* to the end of the line (without its line end), or a block comment with those inside it */
	SQL_TOKEN_WORD,	   /* a key word or an unquoted name: orders_2024 is one */
	SQL_TOKEN_QUOTED_NAME, /* "name", or `name` in MySQL; with U& in front where there is one */
	SQL_TOKEN_STRING, /* a string literal with its prefix (E, B, X, N, U&) and its quotes, or a dollar-quoted one */
	SQL_TOKEN_NUMBER, /* an unsigned numeric literal */
	SQL_TOKEN_PARAMETER, /* $1, or ? in MySQL */
	SQL_TOKEN_SEMICOLON,
	SQL_TOKEN_PUNCTUATION /* one of ( ) [ ] , . : or an operator, one character each unless the lexer needs more */
};

struct sql_token {
	enum sql_token_kind kind;
	struct span text; /* into the lexer's input */
};

struct sql_lexer {
	const char *text;
	size_t len;
	size_t pos;
	enum sql_dialect dialect;
};

void sql_lexer_init(struct sql_lexer *lexer, enum sql_dialect dialect, const char *text, size_t len);
/* The next token; SQL_TOKEN_END, with an empty text, at the end and from then on. Tokens cover the input without gaps.
 */
struct sql_token sql_lexer_next(struct sql_lexer *lexer);
/* The next one that is neither space nor comment. */
struct sql_token sql_lexer_next_solid(struct sql_lexer *lexer);
/* Passes over all up to the next string or number, faster than token by token. False at the end. */
bool sql_lexer_next_literal(struct sql_lexer *lexer, struct sql_token *token);
/* True for the token's text equal to an upper-case key word, whatever its case. */
bool sql_token_is_word(const struct sql_token *token, const char *upper);
/* The same for one of several, the list closed by NULL. */
bool sql_token_is_one_of(const struct sql_token *token, const char *const *uppers);

/*
 * The next statement of a script: from *pos to before its semicolon, without white space and comments around it, *pos
 * moved behind the semicolon. False at the end. Empty statements are passed over. A semicolon inside BEGIN ATOMIC … END
 * (SQL-standard function bodies) does not end a statement.
 */
bool sql_script_next(enum sql_dialect dialect, struct span script, size_t *pos, struct span *statement);

#endif
