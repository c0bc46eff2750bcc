/* Whether a statement changes nothing: see sql_read_only.h. */
#include "sql_read_only.h"

/* With these a statement may begin. EXPLAIN is not among them: with ANALYZE it runs what it explains. */
static const char *const harmless_starts[] = {
	"SELECT", "WITH",     "VALUES", "TABLE",     "SHOW",	"SET",	 "RESET", "BEGIN", "START", "COMMIT",
	"END",	  "ROLLBACK", "ABORT",	"SAVEPOINT", "RELEASE", "CLOSE", "FETCH", "MOVE",  NULL,
};

/* Words anywhere in a query that make it a writer, or that take locks which a reader would not. */
static const char *const writing_words[] = {
	"INSERT",
	"UPDATE",
	"DELETE",
	"MERGE",
	"INTO",
	"SHARE",
	"NEXTVAL",
	"SETVAL",
	"PG_NOTIFY",
	"LO_CREAT",
	"LO_CREATE",
	"LO_UNLINK",
	"LO_PUT",
	"LO_FROM_BYTEA",
	"LO_IMPORT",
	"DBLINK",
	"DBLINK_EXEC",
	"SET_CONFIG",
	"PG_ADVISORY_LOCK",
	"PG_ADVISORY_XACT_LOCK",
	"PG_TRY_ADVISORY_LOCK",
	"PG_TERMINATE_BACKEND",
	"PG_CANCEL_BACKEND",
	"GET_LOCK",
	NULL,
};

static bool is_one_of(const struct sql_token *token, const char *const *words)
{
	for (size_t i = 0; words[i]; i++) {
		if (sql_token_is_word(token, words[i]))
			return true;
	}
	return false;
}

bool sql_is_read_only(enum sql_dialect dialect, struct span text)
{
	struct sql_lexer lexer;
	bool at_start = true;
	sql_lexer_init(&lexer, dialect, text.p, text.len);
	for (;;) {
		struct sql_token token = sql_lexer_next(&lexer);
		switch (token.kind) {
		case SQL_TOKEN_END:
			return true;
		case SQL_TOKEN_SPACE:
		case SQL_TOKEN_COMMENT:
			break;
		case SQL_TOKEN_SEMICOLON:
			at_start = true;
			break;
		default:
			/* "(SELECT …) UNION …" begins with a parenthesis. */
			if (at_start && span_equal_str(token.text, "("))
				break;
			if (at_start && (token.kind != SQL_TOKEN_WORD || !is_one_of(&token, harmless_starts)))
				return false;
			if (token.kind == SQL_TOKEN_WORD && is_one_of(&token, writing_words))
				return false;
			at_start = false;
		}
	}
}
