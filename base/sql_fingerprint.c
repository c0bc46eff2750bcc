/*
 * Templates, fingerprints and redacted text: see sql_fingerprint.h. The template must give back every byte, so it is a
 * plain pass over the tokens. The fingerprint must be the same for one line of application code however it was called:
 * its spacing is made from the tokens alone, lists shrink to one element, and all of it is hashed before it is cut.
 */
#include "sql_fingerprint.h"

#include <xxhash.h>

#define NORMALIZED_MAX ((size_t)64 * 1024 * 1024)

bool sql_template_split(enum sql_dialect dialect, struct span text, struct strbuf *out, struct span *literals,
			size_t max, size_t *count)
{
	*count = 0;
	if (text.len && memchr(text.p, '\0', text.len))
		return false;
	struct sql_lexer lexer;
	sql_lexer_init(&lexer, dialect, text.p, text.len);
	/* The template is never longer than the text and a byte. */
	char *start = strbuf_reserve(out, text.len + 1);
	if (!start)
		return false;
	char *p = start;
	size_t copied = 0;
	struct sql_token token;
	while (sql_lexer_next_literal(&lexer, &token)) {
		if (*count == max)
			return false;
		literals[(*count)++] = token.text;
		size_t at = (size_t)(token.text.p - text.p);
		memcpy(p, text.p + copied, at - copied);
		p += at - copied;
		*p++ = '\0';
		copied = at + token.text.len;
	}
	if (text.len > copied) {
		memcpy(p, text.p + copied, text.len - copied);
		p += text.len - copied;
	}
	strbuf_advance(out, (size_t)(p - start));
	return true;
}

bool sql_template_expand(struct span template_text, const struct span *literals, size_t count, struct strbuf *out)
{
	const char *p = template_text.p;
	size_t left = template_text.len;
	for (size_t i = 0; i < count; i++) {
		const char *gap = left ? memchr(p, '\0', left) : NULL;
		if (!gap)
			return false;
		strbuf_add(out, p, (size_t)(gap - p));
		strbuf_add(out, literals[i].p, literals[i].len);
		left -= (size_t)(gap - p) + 1;
		p = gap + 1;
	}
	if (left && memchr(p, '\0', left))
		return false;
	strbuf_add(out, p, left);
	return true;
}

/* What the last token written was, as far as spacing and signs need to know. */
enum before {
	BEFORE_START,
	BEFORE_OPERAND,	 /* a name, a literal, a closing bracket: a sign behind it is an operator */
	BEFORE_KEYWORD,	 /* a word behind which an expression or a bracket begins */
	BEFORE_OPERATOR, /* one of + - * / < > = … */
	BEFORE_OPEN,	 /* ( [ . or :: */
	BEFORE_COMMA
};

struct normalizer {
	struct sql_lexer lexer;
	struct sql_token token; /* the next one, comments and white space passed over */
	bool gap;		/* there was something between it and the one before */
	struct strbuf out;
	enum before before;
	bool values_tuple; /* the tuple that ended last is one of a list of tuples */
	size_t depth;
	uint64_t lists;	   /* bit d: the bracket at depth d (up to 63) holds a list of values: IN (…), ARRAY[…] */
	bool list_next;	   /* the next opening bracket begins such a list */
	bool rows_next;	   /* the next opening bracket begins a row of VALUES */
	size_t rows_depth; /* depth inside the row of VALUES or of IN ((…), (…)) that is open, 0 for none */
};

static void normalizer_advance(struct normalizer *n)
{
	n->gap = false;
	for (;;) {
		n->token = sql_lexer_next(&n->lexer);
		if (n->token.kind != SQL_TOKEN_SPACE && n->token.kind != SQL_TOKEN_COMMENT)
			return;
		n->gap = true;
	}
}

/* Words behind which a sign belongs to the literal, and a bracket is set off. */
static bool is_keyword(const struct sql_token *token)
{
	static const char *const words[] = {
		"ALL",	 "AND",	   "AS",     "BETWEEN", "BY",	    "CASE",   "DISTINCT",  "ELSE",
		"FROM",	 "HAVING", "ILIKE",  "IN",	"INTERVAL", "IS",     "JOIN",	   "LIKE",
		"LIMIT", "NOT",	   "OFFSET", "ON",	"OR",	    "RETURN", "RETURNING", "SELECT",
		"SET",	 "THEN",   "TO",     "UNION",	"VALUES",   "WHEN",   "WHERE"};
	if (token->text.len > 9)
		return false;
	for (size_t i = 0; i < sizeof(words) / sizeof(*words); i++) {
		if (sql_token_is_word(token, words[i]))
			return true;
	}
	return false;
}

static bool is_char(const struct sql_token *token, char c)
{
	return token->kind == SQL_TOKEN_PUNCTUATION && *token->text.p == c;
}

static bool is_value(const struct sql_token *token)
{
	return token->kind == SQL_TOKEN_STRING || token->kind == SQL_TOKEN_NUMBER || token->kind == SQL_TOKEN_PARAMETER;
}

static void add_space(struct normalizer *n)
{
	if (n->before != BEFORE_START && n->before != BEFORE_OPEN)
		strbuf_add_char(&n->out, ' ');
}

static void add_value(struct normalizer *n)
{
	/* "?, ?" inside a list: the comma goes too */
	bool in_list = n->depth < 64 && n->depth > 0 && (n->lists >> n->depth & 1);
	if (in_list && n->before == BEFORE_COMMA && n->out.len >= 2 && n->out.data[n->out.len - 2] == '?') {
		strbuf_truncate(&n->out, n->out.len - 1);
		n->before = BEFORE_OPERAND;
		return;
	}
	add_space(n);
	strbuf_add_char(&n->out, '?');
	n->before = BEFORE_OPERAND;
}

static void add_word(struct normalizer *n)
{
	add_space(n);
	for (size_t i = 0; i < n->token.text.len; i++) {
		char c = n->token.text.p[i];
		strbuf_add_char(&n->out, c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c);
	}
	n->before = is_keyword(&n->token) ? BEFORE_KEYWORD : BEFORE_OPERAND;
	n->list_next = sql_token_is_word(&n->token, "IN") || sql_token_is_word(&n->token, "ARRAY");
	n->rows_next = sql_token_is_word(&n->token, "VALUES");
}

/* Passes over ", (…)" as often as it comes; the token is the comma behind a row's closing bracket. */
static bool skip_rows(struct normalizer *n)
{
	struct normalizer ahead = *n;
	normalizer_advance(&ahead);
	if (!is_char(&ahead.token, '('))
		return false;
	size_t depth = 0;
	do {
		if (is_char(&ahead.token, '('))
			depth++;
		else if (is_char(&ahead.token, ')'))
			depth--;
		normalizer_advance(&ahead);
	} while (depth > 0 && ahead.token.kind != SQL_TOKEN_END);
	n->lexer = ahead.lexer;
	n->token = ahead.token;
	n->gap = ahead.gap;
	return true;
}

static void add_open(struct normalizer *n, char c)
{
	bool inside_list = n->depth > 0 && n->depth < 64 && (n->lists >> n->depth & 1);
	if (n->before != BEFORE_OPERAND)
		add_space(n);
	strbuf_add_char(&n->out, c);
	n->depth++;
	if (n->depth < 64) {
		uint64_t bit = UINT64_C(1) << n->depth;
		n->lists = n->list_next ? n->lists | bit : n->lists & ~bit;
	}
	if (n->rows_next || (inside_list && c == '('))
		n->rows_depth = n->depth;
	n->list_next = false;
	n->rows_next = false;
	n->before = BEFORE_OPEN;
}

static void add_close(struct normalizer *n, char c)
{
	strbuf_add_char(&n->out, c);
	n->values_tuple = n->rows_depth != 0 && n->rows_depth == n->depth;
	if (n->values_tuple)
		n->rows_depth = 0;
	if (n->depth > 0)
		n->depth--;
	n->before = BEFORE_OPERAND;
}

static void add_operator(struct normalizer *n, char c)
{
	bool joins = n->before == BEFORE_OPERATOR && !n->gap && c != '+' && c != '-';
	if (!joins)
		add_space(n);
	strbuf_add_char(&n->out, c);
	n->before = BEFORE_OPERATOR;
}

static void add_punctuation(struct normalizer *n)
{
	char c = *n->token.text.p;
	switch (c) {
	case '(':
	case '[':
		add_open(n, c);
		break;
	case ')':
	case ']':
		add_close(n, c);
		break;
	case ',':
		strbuf_add_char(&n->out, c);
		n->before = BEFORE_COMMA;
		break;
	case '.':
	case ':':
		strbuf_add_char(&n->out, c);
		n->before = BEFORE_OPEN;
		break;
	default:
		add_operator(n, c);
	}
}

/* The token is a sign that belongs to a literal behind it. */
static bool is_sign_of_literal(const struct normalizer *n)
{
	if ((!is_char(&n->token, '-') && !is_char(&n->token, '+')) || n->before == BEFORE_OPERAND)
		return false;
	struct normalizer ahead = *n;
	normalizer_advance(&ahead);
	return ahead.token.kind == SQL_TOKEN_NUMBER;
}

static void normalize_token(struct normalizer *n)
{
	if (n->token.kind != SQL_TOKEN_WORD && n->token.kind != SQL_TOKEN_PUNCTUATION) {
		n->list_next = false;
		n->rows_next = false;
	}
	if (is_value(&n->token)) {
		add_value(n);
	} else if (n->token.kind == SQL_TOKEN_WORD) {
		add_word(n);
	} else if (n->token.kind == SQL_TOKEN_PUNCTUATION) {
		add_punctuation(n);
	} else if (n->token.kind == SQL_TOKEN_SEMICOLON) {
		strbuf_add_char(&n->out, ';');
		n->before = BEFORE_KEYWORD;
	} else {
		add_space(n);
		strbuf_add(&n->out, n->token.text.p, n->token.text.len);
		n->before = BEFORE_OPERAND;
	}
}

static void normalize(struct normalizer *n, enum sql_dialect dialect, struct span text)
{
	*n = (struct normalizer){.before = BEFORE_START};
	strbuf_init(&n->out, NORMALIZED_MAX);
	sql_lexer_init(&n->lexer, dialect, text.p, text.len);
	normalizer_advance(n);
	while (n->token.kind != SQL_TOKEN_END) {
		bool after_tuple = n->values_tuple;
		n->values_tuple = false;
		if (after_tuple && is_char(&n->token, ',') && skip_rows(n)) {
			n->values_tuple = true;
			continue;
		}
		if (!is_sign_of_literal(n))
			normalize_token(n);
		normalizer_advance(n);
	}
	while (n->out.len > 0 && (n->out.data[n->out.len - 1] == ';' || n->out.data[n->out.len - 1] == ' '))
		strbuf_truncate(&n->out, n->out.len - 1);
}

/* Up to max bytes, without cutting a UTF-8 character in two. */
static size_t cut_length(const struct strbuf *text, size_t max)
{
	size_t len = max;
	while (len > 0 && ((unsigned char)text->data[len] & 0xc0) == 0x80)
		len--;
	return len;
}

uint64_t sql_fingerprint(enum sql_dialect dialect, struct span text, struct strbuf *out)
{
	struct normalizer n;
	normalize(&n, dialect, text);
	uint64_t hash = XXH3_64bits(n.out.data, n.out.len);
	if (out && n.out.len <= SQL_FINGERPRINT_TEXT_MAX) {
		strbuf_add(out, n.out.data, n.out.len);
	} else if (out) {
		strbuf_add(out, n.out.data, cut_length(&n.out, SQL_FINGERPRINT_TEXT_MAX));
		strbuf_add_str(out, "…");
	}
	strbuf_release(&n.out);
	return hash ? hash : 1;
}

void sql_redact(enum sql_dialect dialect, struct span text, struct strbuf *out)
{
	struct sql_lexer lexer;
	sql_lexer_init(&lexer, dialect, text.p, text.len);
	for (;;) {
		struct sql_token token = sql_lexer_next(&lexer);
		if (token.kind == SQL_TOKEN_END)
			return;
		if (token.kind == SQL_TOKEN_STRING || token.kind == SQL_TOKEN_NUMBER)
			strbuf_add_char(out, '?');
		else if (token.kind == SQL_TOKEN_COMMENT)
			strbuf_add_char(out, ' '); /* a comment separates words */
		else
			strbuf_add(out, token.text.p, token.text.len);
	}
}
