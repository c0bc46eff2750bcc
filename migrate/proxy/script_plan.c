/* A query of several statements: see script_plan.h. */
#include "script_plan.h"

#include "mem.h"
#include "sql_lexer.h"

#define WORDS_MAX 4

static size_t first_words(struct span sql, struct sql_token words[WORDS_MAX])
{
	struct sql_lexer lexer;
	size_t count = 0;
	sql_lexer_init(&lexer, SQL_POSTGRESQL, sql.p, sql.len);
	while (count < WORDS_MAX) {
		struct sql_token token = sql_lexer_next(&lexer);
		if (token.kind == SQL_TOKEN_END)
			break;
		if (token.kind != SQL_TOKEN_SPACE && token.kind != SQL_TOKEN_COMMENT)
			words[count++] = token;
	}
	return count;
}

static bool is_any(const struct sql_token *token, const char *const *words)
{
	for (; *words; words++) {
		if (sql_token_is_word(token, *words))
			return true;
	}
	return false;
}

enum transaction_word script_transaction_word(struct span sql)
{
	static const char *const opens[] = {"BEGIN", "START", NULL};
	static const char *const closes[] = {"COMMIT", "END", "ROLLBACK", "ABORT", NULL};
	static const char *const within[] = {"SAVEPOINT", "RELEASE", NULL};
	static const char *const noise[] = {"WORK", "TRANSACTION", NULL};
	struct sql_token words[WORDS_MAX];
	size_t count = first_words(sql, words);
	if (count == 0)
		return WORD_NONE;
	if (is_any(&words[0], opens))
		return WORD_OPENS;
	if (is_any(&words[0], within))
		return WORD_WITHIN;
	if (sql_token_is_word(&words[0], "PREPARE") && count > 1 && sql_token_is_word(&words[1], "TRANSACTION"))
		return WORD_OTHER;
	if (!is_any(&words[0], closes))
		return WORD_NONE;
	size_t next = count > 1 && is_any(&words[1], noise) ? 2 : 1;
	if (next >= count)
		return WORD_CLOSES;
	return sql_token_is_word(&words[next], "TO") ? WORD_WITHIN : WORD_OTHER;
}

bool script_begins_with(struct span sql, const char *word)
{
	struct sql_token words[WORDS_MAX];
	return first_words(sql, words) > 0 && sql_token_is_word(&words[0], word);
}

bool script_wants_block(struct span sql)
{
	return script_begins_with(sql, "LOCK") || script_begins_with(sql, "DECLARE");
}

void script_init(struct script *script, const char *text)
{
	*script = (struct script){.text = text, .len = strlen(text)};
	struct span sql;
	size_t pos = 0;
	while (sql_script_next(SQL_POSTGRESQL, (struct span){script->text, script->len}, &pos, &sql)) {
		MEM_GROW(script->pieces, script->count, script->capacity);
		script->pieces[script->count++] = sql;
	}
}

void script_release(struct script *script)
{
	free(script->pieces);
	script->pieces = NULL;
}

bool script_plan_split(const struct script *script, bool open)
{
	for (size_t i = 0; i < script->count; i++) {
		switch (script_transaction_word(script->pieces[i])) {
		case WORD_NONE:
			break;
		case WORD_OPENS:
			if (open)
				return false;
			open = true;
			break;
		case WORD_CLOSES:
			if (!open)
				return false;
			open = false;
			break;
		case WORD_WITHIN:
			if (!open)
				return false;
			break;
		case WORD_OTHER:
		default:
			return false;
		}
	}
	return true;
}
