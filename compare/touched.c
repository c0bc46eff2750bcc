/* Which statements use what the migration touched: see touched.h. */
#include "touched.h"

#include "ledger_index.h"
#include "mem.h"
#include "sql_lexer.h"

#include <ctype.h>
#include <strings.h>
#include <uthash.h>

#define NAME_MAX_BYTES 260

struct touched_name {
	char name[NAME_MAX_BYTES]; /* bare, as the catalog spells it */
	bool locked;
	UT_hash_handle hh;
};

/* As a hash: a migration may touch thousands, and each word of each statement is looked up. */
struct touched {
	struct touched_name *names;
};

struct touched_names {
	struct touched all;
};

/* A name's catalog spelling: unquoted in lower case, quoted without quotes. False for a token that is no name. */
static bool token_name(const struct sql_token *token, char out[NAME_MAX_BYTES])
{
	size_t n = 0;
	if (token->kind == SQL_TOKEN_WORD) {
		for (; n < token->text.len && n < NAME_MAX_BYTES - 1; n++)
			out[n] = (char)tolower((unsigned char)token->text.p[n]);
	} else if (token->kind == SQL_TOKEN_QUOTED_NAME && token->text.len >= 2) {
		char quote = token->text.p[token->text.len - 1];
		size_t i = 0;
		while (i < token->text.len && token->text.p[i] != quote)
			i++;
		for (i++; i + 1 < token->text.len && n < NAME_MAX_BYTES - 1; i++) {
			out[n++] = token->text.p[i];
			if (token->text.p[i] == quote)
				i++;
		}
	} else {
		return false;
	}
	out[n] = '\0';
	return n > 0;
}

/* A part of a relation's name: up to a dot that is not in quotes. */
static const char *skip_part(const char *p)
{
	for (bool quoted = false; *p && (quoted || *p != '.'); p++)
		quoted ^= *p == '"';
	return p;
}

/* The name without its schema and, as tokens are compared, without the quotes that SQL needs: shop."Order Lines". */
static void bare_name(const char *relation, char out[NAME_MAX_BYTES])
{
	const char *end = skip_part(relation);
	const char *p = *end == '.' ? end + 1 : relation;
	size_t n = 0;
	bool quoted = *p == '"';
	for (p += quoted; *p && n < NAME_MAX_BYTES - 1; p++) {
		if (quoted && *p == '"' && *++p != '"')
			break; /* the closing one; two of them stand for one */
		out[n++] = *p;
	}
	out[n] = '\0';
}

static void add_name(struct touched *touched, const char *name, bool locked)
{
	if (!*name)
		return;
	struct touched_name *added;
	HASH_FIND_STR(touched->names, name, added);
	if (added) {
		added->locked |= locked;
		return;
	}
	added = mem_zalloc(1, sizeof(*added));
	(void)snprintf(added->name, sizeof(added->name), "%s", name);
	added->locked = locked;
	HASH_ADD_STR(touched->names, name, added);
}

static void clear_names(struct touched *touched)
{
	struct touched_name *name;
	struct touched_name *next;
	HASH_ITER (hh, touched->names, name, next) {
		HASH_DEL(touched->names, name);
		free(name);
	}
}

static void add_relation(struct touched *touched, const char *relation)
{
	char name[NAME_MAX_BYTES];
	bare_name(relation, name);
	add_name(touched, name, true);
}

static bool is_noise_word(const char *name)
{
	static const char *const words[] = {"if",	    "exists", "not",	    "only",
					    "concurrently", "column", "constraint", NULL};
	for (size_t i = 0; words[i]; i++) {
		if (strcmp(name, words[i]) == 0)
			return true;
	}
	return false;
}

static bool introduces_object(const struct sql_token *token)
{
	static const char *const words[] = {"TABLE",  "ON",   "VIEW", "FUNCTION", "PROCEDURE", "SEQUENCE", "TYPE",
					    "DOMAIN", "INTO", "FROM", "UPDATE",	  "RENAME",    "TO",	   NULL};
	for (size_t i = 0; words[i]; i++) {
		if (sql_token_is_word(token, words[i]))
			return true;
	}
	return false;
}

/* The objects that a statement of the migration names: "ALTER TABLE IF EXISTS shop.orders RENAME TO purchases". */
static void add_named_objects(struct touched *touched, const char *sql)
{
	struct sql_lexer lexer;
	bool expecting = false;
	bool after_dot = false;
	char name[NAME_MAX_BYTES];
	char last[NAME_MAX_BYTES] = "";
	sql_lexer_init(&lexer, SQL_POSTGRESQL, sql, strlen(sql));
	for (;;) {
		struct sql_token token = sql_lexer_next(&lexer);
		if (token.kind == SQL_TOKEN_SPACE || token.kind == SQL_TOKEN_COMMENT)
			continue;
		bool dot = token.kind == SQL_TOKEN_PUNCTUATION && token.text.len == 1 && *token.text.p == '.';
		if (dot && *last) {
			after_dot = true;
			continue;
		}
		bool named = token_name(&token, name);
		if (named && after_dot) {
			(void)snprintf(last, sizeof(last), "%s", name);
			after_dot = false;
			continue;
		}
		add_name(touched, last, false);
		last[0] = '\0';
		after_dot = false;
		if (token.kind == SQL_TOKEN_END)
			return;
		if (named && expecting && !is_noise_word(name) && !introduces_object(&token)) {
			(void)snprintf(last, sizeof(last), "%s", name);
			expecting = false;
		} else if (introduces_object(&token)) {
			expecting = true;
		} else if (!named) {
			expecting = false;
		}
	}
}

struct touched *touched_new(const struct ledger *ledger)
{
	struct touched *touched = mem_zalloc(1, sizeof(*touched));
	for (size_t i = 0; i < ledger->statement_count; i++) {
		const struct ledger_statement *s = &ledger->statements[i];
		for (size_t l = 0; l < s->lock_count; l++) {
			/* A reader's lock changes nothing for anybody. */
			if (!ledger_lock_is_system(&s->locks[l]) && strcmp(s->locks[l].mode, "AccessShareLock") != 0)
				add_relation(touched, s->locks[l].relation);
		}
		for (size_t r = 0; r < s->rewrite_count; r++)
			add_relation(touched, s->rewrites[r]);
		if (s->sql)
			add_named_objects(touched, s->sql);
	}
	return touched;
}

void touched_free(struct touched *touched)
{
	if (!touched)
		return;
	clear_names(touched);
	free(touched);
}

static bool find(const struct touched *touched, const char *text, bool only_locked)
{
	struct sql_lexer lexer;
	char name[NAME_MAX_BYTES];
	if (!touched->names)
		return false;
	sql_lexer_init(&lexer, SQL_POSTGRESQL, text, strlen(text));
	for (struct sql_token token = sql_lexer_next(&lexer); token.kind != SQL_TOKEN_END;
	     token = sql_lexer_next(&lexer)) {
		if (!token_name(&token, name))
			continue;
		const struct touched_name *found;
		HASH_FIND_STR(touched->names, name, found);
		if (found && (found->locked || !only_locked))
			return true;
	}
	return false;
}

bool touched_by_lock(const struct touched *touched, const char *fingerprint_text)
{
	return find(touched, fingerprint_text, true);
}

bool touched_at_all(const struct touched *touched, const char *fingerprint_text)
{
	return find(touched, fingerprint_text, false);
}

bool touched_names_relation(const char *text, const char *relation)
{
	struct touched one = {0};
	add_relation(&one, relation);
	bool found = find(&one, text, true);
	clear_names(&one);
	return found;
}

struct touched_names *touched_names_new(void)
{
	return mem_zalloc(1, sizeof(struct touched_names));
}

void touched_names_free(struct touched_names *names)
{
	if (!names)
		return;
	clear_names(&names->all);
	free(names);
}

void touched_names_add(struct touched_names *names, const char *text)
{
	struct sql_lexer lexer;
	char name[NAME_MAX_BYTES];
	sql_lexer_init(&lexer, SQL_POSTGRESQL, text, strlen(text));
	for (struct sql_token token = sql_lexer_next(&lexer); token.kind != SQL_TOKEN_END;
	     token = sql_lexer_next(&lexer)) {
		if (token_name(&token, name))
			add_name(&names->all, name, true);
	}
}

bool touched_names_have(const struct touched_names *names, const char *relation)
{
	char name[NAME_MAX_BYTES];
	const struct touched_name *found;
	bare_name(relation, name);
	HASH_FIND_STR(names->all.names, name, found);
	return found != NULL;
}
