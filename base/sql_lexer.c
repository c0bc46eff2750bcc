/*
 * SQL text cut into tokens: see sql_lexer.h. It is on the path of every statement of a log, so it decides by one look
 * into a table of character classes and jumps with memchr where a token can be long (strings, comments). No state is
 * kept between tokens but the position; no token allocates.
 */
#include "sql_lexer.h"

#include <stdint.h>

enum char_class {
	CLASS_OTHER, /* operators, brackets and control characters: one character each */
	CLASS_SPACE,
	CLASS_WORD,  /* what a name may begin with; every byte of a multi-byte character */
	CLASS_DIGIT, /* may go on a name, and begin a number */
	CLASS_DOLLAR,
	CLASS_QUOTE,
	CLASS_DOUBLE_QUOTE,
	CLASS_BACKTICK,
	CLASS_SEMICOLON,
	CLASS_DOT,
	CLASS_DASH,
	CLASS_SLASH,
	CLASS_HASH,
	CLASS_QUESTION
};

#define W	 CLASS_WORD
#define D	 CLASS_DIGIT
#define S	 CLASS_SPACE
#define WORDS_16 W, W, W, W, W, W, W, W, W, W, W, W, W, W, W, W

static const uint8_t class_of[256] = {
	0,
	0,
	0,
	0,
	0,
	0,
	0,
	0,
	0,
	S,
	S,
	S,
	S,
	S,
	0,
	0, /* \t \n \v \f \r */
	0,
	0,
	0,
	0,
	0,
	0,
	0,
	0,
	0,
	0,
	0,
	0,
	0,
	0,
	0,
	0, /* */
	S,
	0,
	CLASS_DOUBLE_QUOTE,
	CLASS_HASH,
	CLASS_DOLLAR,
	0,
	0,
	CLASS_QUOTE, /* space to ' */
	0,
	0,
	0,
	0,
	0,
	CLASS_DASH,
	CLASS_DOT,
	CLASS_SLASH, /* ( to / */
	D,
	D,
	D,
	D,
	D,
	D,
	D,
	D,
	D,
	D,
	0,
	CLASS_SEMICOLON,
	0,
	0,
	0,
	CLASS_QUESTION, /* 0 to ? */
	0,
	W,
	W,
	W,
	W,
	W,
	W,
	W,
	W,
	W,
	W,
	W,
	W,
	W,
	W,
	W, /* @ A to O */
	W,
	W,
	W,
	W,
	W,
	W,
	W,
	W,
	W,
	W,
	W,
	0,
	0,
	0,
	0,
	W, /* P to Z, _ */
	CLASS_BACKTICK,
	W,
	W,
	W,
	W,
	W,
	W,
	W,
	W,
	W,
	W,
	W,
	W,
	W,
	W,
	W, /* ` a to o */
	W,
	W,
	W,
	W,
	W,
	W,
	W,
	W,
	W,
	W,
	W,
	0,
	0,
	0,
	0,
	0, /* p to z */
	WORDS_16,
	WORDS_16,
	WORDS_16,
	WORDS_16,
	WORDS_16,
	WORDS_16,
	WORDS_16,
	WORDS_16,
};

#undef W
#undef D
#undef S
#undef WORDS_16

static inline unsigned classify(char c)
{
	return class_of[(unsigned char)c];
}

static inline bool is_name_char(char c)
{
	unsigned class = classify(c);
	return class == CLASS_WORD || class == CLASS_DIGIT || class == CLASS_DOLLAR;
}

static inline bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static inline char peek(const struct sql_lexer *lexer, size_t pos)
{
	return pos < lexer->len ? lexer->text[pos] : '\0';
}

void sql_lexer_init(struct sql_lexer *lexer, enum sql_dialect dialect, const char *text, size_t len)
{
	*lexer = (struct sql_lexer){.text = text, .len = len, .dialect = dialect};
}

/* Behind the quote that closes what begins at pos (the first byte inside); doubled quotes stay inside. */
static size_t skip_quoted(const struct sql_lexer *lexer, size_t pos, char quote)
{
	while (pos < lexer->len) {
		const char *end = memchr(lexer->text + pos, quote, lexer->len - pos);
		if (!end)
			break;
		pos = (size_t)(end - lexer->text) + 1;
		if (peek(lexer, pos) != quote || pos >= lexer->len)
			return pos;
		pos++;
	}
	return lexer->len;
}

/* As above where a backslash takes the next byte with it. */
static size_t skip_escaped(const struct sql_lexer *lexer, size_t pos, char quote)
{
	while (pos < lexer->len) {
		char c = lexer->text[pos++];
		if (c == '\\') {
			pos++;
		} else if (c == quote) {
			if (pos >= lexer->len || lexer->text[pos] != quote)
				return pos;
			pos++;
		}
	}
	return lexer->len;
}

/*
 * An E'' string goes on behind white space with a line end in it ('…' newline '…', manual 4.1.2.1), and in that part
 * backslashes count too, so it has to be one token.
 */
static size_t skip_escape_string(const struct sql_lexer *lexer, size_t pos)
{
	for (;;) {
		pos = skip_escaped(lexer, pos, '\'');
		size_t next = pos;
		bool line_end = false;
		while (next < lexer->len && classify(lexer->text[next]) == CLASS_SPACE) {
			line_end = line_end || lexer->text[next] == '\n' || lexer->text[next] == '\r';
			next++;
		}
		if (!line_end || next >= lexer->len || lexer->text[next] != '\'')
			return pos;
		pos = next + 1;
	}
}

static size_t skip_line(const struct sql_lexer *lexer, size_t pos)
{
	const char *end = pos < lexer->len ? memchr(lexer->text + pos, '\n', lexer->len - pos) : NULL;
	return end ? (size_t)(end - lexer->text) : lexer->len;
}

/* pos is behind the opening slash and star. PostgreSQL's block comments nest. */
static size_t skip_block_comment(const struct sql_lexer *lexer, size_t pos)
{
	size_t depth = 1;
	while (pos + 1 < lexer->len) {
		char c = lexer->text[pos];
		if (c == '*' && lexer->text[pos + 1] == '/') {
			pos += 2;
			if (--depth == 0)
				return pos;
		} else if (c == '/' && lexer->text[pos + 1] == '*' && lexer->dialect == SQL_POSTGRESQL) {
			pos += 2;
			depth++;
		} else {
			pos++;
		}
	}
	return lexer->len;
}

/* $1, $$…$$ or $tag$…$tag$ at start; a lone $ is punctuation. */
static enum sql_token_kind lex_dollar(struct sql_lexer *lexer, size_t start)
{
	size_t pos = start + 1;
	if (is_digit(peek(lexer, pos))) {
		while (is_digit(peek(lexer, pos)))
			pos++;
		lexer->pos = pos;
		return SQL_TOKEN_PARAMETER;
	}
	while (pos < lexer->len && lexer->text[pos] != '$' && is_name_char(lexer->text[pos]))
		pos++;
	if (peek(lexer, pos) != '$') {
		lexer->pos = start + 1;
		return SQL_TOKEN_PUNCTUATION;
	}
	pos++;
	const char *end = memmem(lexer->text + pos, lexer->len - pos, lexer->text + start, pos - start);
	lexer->pos = end ? (size_t)(end - lexer->text) + (pos - start) : lexer->len;
	return SQL_TOKEN_STRING;
}

static size_t skip_digits(const struct sql_lexer *lexer, size_t pos)
{
	while (is_digit(peek(lexer, pos)) || (peek(lexer, pos) == '_' && is_digit(peek(lexer, pos + 1))))
		pos++;
	return pos;
}

static size_t skip_radix(const struct sql_lexer *lexer, size_t pos)
{
	while (pos < lexer->len && classify(lexer->text[pos]) != CLASS_DOLLAR && is_name_char(lexer->text[pos]))
		pos++;
	return pos;
}

/* start is at a digit, or at a dot with a digit behind it. */
static enum sql_token_kind lex_number(struct sql_lexer *lexer, size_t start)
{
	size_t pos = start;
	char radix = (char)(peek(lexer, pos + 1) | 0x20);
	if (lexer->text[pos] == '0' && (radix == 'x' || radix == 'o' || radix == 'b') && pos + 2 < lexer->len &&
	    is_name_char(lexer->text[pos + 2])) {
		lexer->pos = skip_radix(lexer, pos + 2);
		return SQL_TOKEN_NUMBER;
	}
	pos = skip_digits(lexer, pos);
	/* "1..10" is a range of PL/pgSQL, not a number with two dots. */
	if (peek(lexer, pos) == '.' && peek(lexer, pos + 1) != '.')
		pos = skip_digits(lexer, pos + 1);
	if ((peek(lexer, pos) | 0x20) == 'e') {
		size_t exponent = pos + 1;
		if (peek(lexer, exponent) == '+' || peek(lexer, exponent) == '-')
			exponent++;
		if (is_digit(peek(lexer, exponent)))
			pos = skip_digits(lexer, exponent);
	}
	lexer->pos = pos;
	if (lexer->dialect == SQL_MYSQL && pos < lexer->len && is_name_char(lexer->text[pos]) &&
	    !memchr(lexer->text + start, '.', pos - start)) {
		/* MySQL's names may begin with digits (9.2). */
		while (lexer->pos < lexer->len && is_name_char(lexer->text[lexer->pos]))
			lexer->pos++;
		return SQL_TOKEN_WORD;
	}
	return SQL_TOKEN_NUMBER;
}

/* A name, a key word, or the prefix of a string: E'' B'' X'' N'' U&'' U&"". */
static enum sql_token_kind lex_word(struct sql_lexer *lexer, size_t start)
{
	size_t pos = start + 1;
	while (pos < lexer->len && is_name_char(lexer->text[pos]))
		pos++;
	lexer->pos = pos;
	if (pos != start + 1 || pos >= lexer->len)
		return SQL_TOKEN_WORD;
	char prefix = (char)(lexer->text[start] | 0x20);
	char next = lexer->text[pos];
	bool is_mysql = lexer->dialect == SQL_MYSQL;
	if (next == '\'' && prefix == 'e' && !is_mysql) {
		lexer->pos = skip_escape_string(lexer, pos + 1);
		return SQL_TOKEN_STRING;
	}
	if (next == '\'' && (prefix == 'b' || prefix == 'x' || prefix == 'n')) {
		lexer->pos = is_mysql ? skip_escaped(lexer, pos + 1, '\'') : skip_quoted(lexer, pos + 1, '\'');
		return SQL_TOKEN_STRING;
	}
	if (next == '&' && prefix == 'u' && !is_mysql) {
		char quote = peek(lexer, pos + 1);
		if (quote == '\'' || quote == '"') {
			lexer->pos = skip_quoted(lexer, pos + 2, quote);
			return quote == '\'' ? SQL_TOKEN_STRING : SQL_TOKEN_QUOTED_NAME;
		}
	}
	return SQL_TOKEN_WORD;
}

static bool at_dash_comment(const struct sql_lexer *lexer, size_t start)
{
	if (peek(lexer, start + 1) != '-')
		return false;
	/* MySQL wants white space or a control character behind the dashes (9.7), so that 5--1 stays a subtraction. */
	if (lexer->dialect == SQL_MYSQL && start + 2 < lexer->len)
		return (unsigned char)lexer->text[start + 2] <= ' ';
	return true;
}

static enum sql_token_kind lex_other(struct sql_lexer *lexer, size_t start, unsigned class)
{
	bool is_mysql = lexer->dialect == SQL_MYSQL;
	lexer->pos = start + 1;
	switch (class) {
	case CLASS_QUOTE:
		lexer->pos = is_mysql ? skip_escaped(lexer, start + 1, '\'') : skip_quoted(lexer, start + 1, '\'');
		return SQL_TOKEN_STRING;
	case CLASS_DOUBLE_QUOTE:
		/* A string in MySQL unless ANSI_QUOTES is set. */
		lexer->pos = is_mysql ? skip_escaped(lexer, start + 1, '"') : skip_quoted(lexer, start + 1, '"');
		return is_mysql ? SQL_TOKEN_STRING : SQL_TOKEN_QUOTED_NAME;
	case CLASS_BACKTICK:
		if (!is_mysql)
			return SQL_TOKEN_PUNCTUATION;
		lexer->pos = skip_quoted(lexer, start + 1, '`');
		return SQL_TOKEN_QUOTED_NAME;
	case CLASS_SEMICOLON:
		return SQL_TOKEN_SEMICOLON;
	case CLASS_DASH:
		if (!at_dash_comment(lexer, start))
			return SQL_TOKEN_PUNCTUATION;
		lexer->pos = skip_line(lexer, start + 2);
		return SQL_TOKEN_COMMENT;
	case CLASS_SLASH:
		if (peek(lexer, start + 1) != '*')
			return SQL_TOKEN_PUNCTUATION;
		lexer->pos = skip_block_comment(lexer, start + 2);
		return SQL_TOKEN_COMMENT;
	case CLASS_HASH:
		if (!is_mysql)
			return SQL_TOKEN_PUNCTUATION;
		lexer->pos = skip_line(lexer, start + 1);
		return SQL_TOKEN_COMMENT;
	case CLASS_QUESTION:
		return is_mysql ? SQL_TOKEN_PARAMETER : SQL_TOKEN_PUNCTUATION;
	default:
		return SQL_TOKEN_PUNCTUATION;
	}
}

struct sql_token sql_lexer_next(struct sql_lexer *lexer)
{
	size_t start = lexer->pos;
	struct sql_token token = {SQL_TOKEN_END, {lexer->text + start, 0}};
	if (start >= lexer->len)
		return token;
	unsigned class = classify(lexer->text[start]);
	switch (class) {
	case CLASS_SPACE:
		lexer->pos++;
		while (lexer->pos < lexer->len && classify(lexer->text[lexer->pos]) == CLASS_SPACE)
			lexer->pos++;
		token.kind = SQL_TOKEN_SPACE;
		break;
	case CLASS_WORD:
		token.kind = lex_word(lexer, start);
		break;
	case CLASS_DIGIT:
		token.kind = lex_number(lexer, start);
		break;
	case CLASS_DOT:
		if (is_digit(peek(lexer, start + 1))) {
			token.kind = lex_number(lexer, start);
		} else {
			/* ".." is one, so that 1..2 does not end in the number .2 */
			lexer->pos += peek(lexer, start + 1) == '.' ? 2 : 1;
			token.kind = SQL_TOKEN_PUNCTUATION;
		}
		break;
	case CLASS_DOLLAR:
		if (lexer->dialect == SQL_POSTGRESQL) {
			token.kind = lex_dollar(lexer, start);
		} else {
			token.kind = lex_word(lexer, start);
		}
		break;
	default:
		token.kind = lex_other(lexer, start, class);
	}
	if (lexer->pos > lexer->len)
		lexer->pos = lexer->len;
	token.text.len = lexer->pos - start;
	return token;
}

/* One character that is a token of its own, or white space: nothing of it can be or begin a literal. */
static inline bool is_plain(unsigned class)
{
	return class == CLASS_OTHER || class == CLASS_SPACE || class == CLASS_SEMICOLON;
}

bool sql_lexer_next_literal(struct sql_lexer *lexer, struct sql_token *token)
{
	size_t pos = lexer->pos;
	while (pos < lexer->len) {
		unsigned class = classify(lexer->text[pos]);
		if (is_plain(class)) {
			pos++;
			continue;
		}
		lexer->pos = pos;
		if (class == CLASS_WORD) {
			size_t start = pos++;
			while (pos < lexer->len && is_name_char(lexer->text[pos]))
				pos++;
			/* a single letter may be a string's prefix */
			if (pos != start + 1 || pos >= lexer->len ||
			    (lexer->text[pos] != '\'' && lexer->text[pos] != '&'))
				continue;
		}
		*token = sql_lexer_next(lexer);
		pos = lexer->pos;
		if (token->kind == SQL_TOKEN_STRING || token->kind == SQL_TOKEN_NUMBER)
			return true;
	}
	lexer->pos = lexer->len;
	return false;
}

bool sql_token_is_word(const struct sql_token *token, const char *upper)
{
	if (token->kind != SQL_TOKEN_WORD)
		return false;
	for (size_t i = 0; i < token->text.len; i++) {
		char c = token->text.p[i];
		if (c >= 'a' && c <= 'z')
			c = (char)(c - 'a' + 'A');
		if (upper[i] == '\0' || c != upper[i])
			return false;
	}
	return upper[token->text.len] == '\0';
}

bool sql_token_is_one_of(const struct sql_token *token, const char *const *uppers)
{
	for (; *uppers; uppers++) {
		if (sql_token_is_word(token, *uppers))
			return true;
	}
	return false;
}

struct sql_token sql_lexer_next_solid(struct sql_lexer *lexer)
{
	struct sql_token token;
	do {
		token = sql_lexer_next(lexer);
	} while (token.kind == SQL_TOKEN_SPACE || token.kind == SQL_TOKEN_COMMENT);
	return token;
}

/* How deep a statement is inside brackets (CREATE RULE … DO (…; …)) and BEGIN ATOMIC … END. */
struct nesting {
	size_t brackets;
	size_t blocks; /* BEGIN ATOMIC and the CASEs inside it, which END closes too */
	bool after_begin;
};

static void nesting_advance(struct nesting *nesting, const struct sql_token *token)
{
	bool after_begin = nesting->after_begin;
	nesting->after_begin = false;
	if (token->kind == SQL_TOKEN_PUNCTUATION) {
		if (*token->text.p == '(')
			nesting->brackets++;
		else if (*token->text.p == ')' && nesting->brackets > 0)
			nesting->brackets--;
	} else if (token->kind == SQL_TOKEN_WORD) {
		if (after_begin && sql_token_is_word(token, "ATOMIC"))
			nesting->blocks++;
		else if (nesting->blocks > 0 && sql_token_is_word(token, "CASE"))
			nesting->blocks++;
		else if (nesting->blocks > 0 && sql_token_is_word(token, "END"))
			nesting->blocks--;
		else
			nesting->after_begin = sql_token_is_word(token, "BEGIN");
	}
}

bool sql_script_next(enum sql_dialect dialect, struct span script, size_t *pos, struct span *statement)
{
	struct sql_lexer lexer;
	sql_lexer_init(&lexer, dialect, script.p, script.len);
	lexer.pos = *pos;
	struct nesting nesting = {0, 0, false};
	const char *first = NULL;
	const char *last = NULL;
	for (;;) {
		struct sql_token token = sql_lexer_next(&lexer);
		if (token.kind == SQL_TOKEN_SPACE || token.kind == SQL_TOKEN_COMMENT)
			continue;
		bool ends = token.kind == SQL_TOKEN_END ||
			    (token.kind == SQL_TOKEN_SEMICOLON && nesting.brackets == 0 && nesting.blocks == 0);
		if (ends && first) {
			*pos = lexer.pos;
			*statement = (struct span){first, (size_t)(last - first)};
			return true;
		}
		if (token.kind == SQL_TOKEN_END) {
			*pos = lexer.pos;
			return false;
		}
		if (ends)
			continue;
		nesting_advance(&nesting, &token);
		if (!first)
			first = token.text.p;
		last = token.text.p + token.text.len;
	}
}
