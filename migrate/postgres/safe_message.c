/*
 * A server's error message without the values in it: see safe_message.h.
 *
 * Sources: PostgreSQL manual, appendix A (classes), and errmsg() calls of those classes: 22 and XX quote values, 23 and
 * 42 quote names only, but for a syntax error's near-token, and P0 is whatever the code that raised it says.
 */
#include "safe_message.h"

#include "mem.h"
#include "strbuf.h"

#include <ctype.h>

#define MESSAGE_MAX 1000

/* Classes whose messages name objects, never values. */
static bool class_is_safe(const char *sqlstate)
{
	static const char classes[][3] = {"08", "0A", "23", "25", "26", "28", "2B", "2D", "34", "3B",
					  "3D", "3F", "40", "42", "44", "53", "54", "55", "57", "58"};
	for (size_t i = 0; i < sizeof(classes) / sizeof(*classes); i++) {
		if (strncmp(sqlstate, classes[i], 2) == 0)
			return true;
	}
	return false;
}

/* Each "…" and each number becomes ?; a message in another language has other quotes, so it is cut at the first byte
 * that is not ASCII. */
static void drop_quoted(const char *text, struct strbuf *out)
{
	while (*text && (unsigned char)*text < 0x80) {
		if (isdigit((unsigned char)*text)) {
			/* "4711 is outside the valid range": values stand without quotes too. */
			strbuf_add_char(out, '?');
			text += strspn(text, "0123456789.");
			continue;
		}
		if (*text != '"') {
			strbuf_add_char(out, *text++);
			continue;
		}
		strbuf_add_str(out, "\"?\"");
		const char *last = strrchr(text + 1, '"'); /* a value may hold quotes itself */
		if (!last)
			return;
		text = last + 1;
	}
	if (*text)
		strbuf_add_str(out, "…");
}

static bool is_plain_word(const char *p, size_t len)
{
	if (len == 0 || !(isalpha((unsigned char)p[0]) || p[0] == '_'))
		return false;
	for (size_t i = 0; i < len; i++) {
		if (!isalnum((unsigned char)p[i]) && p[i] != '_')
			return false;
	}
	return true;
}

/* The near-token only if it is a word: it may as well be a literal. */
static void add_syntax_error(const char *primary, struct strbuf *out)
{
	const char *open = strchr(primary, '"'), *close = strrchr(primary, '"');
	if (!open || close == open) {
		drop_quoted(primary, out);
		return;
	}
	if (is_plain_word(open + 1, (size_t)(close - open - 1)))
		strbuf_add_str(out, primary);
	else
		drop_quoted(primary, out);
}

static void add_place(const struct safe_message_place *place, struct strbuf *out)
{
	uint32_t line = place->line;
	int column = 1, character = 1;
	for (size_t i = 0; i < place->sql.len && character < place->position; i++) {
		unsigned char next = i + 1 < place->sql.len ? (unsigned char)place->sql.p[i + 1] : 0;
		if ((next & 0xc0) == 0x80)
			continue; /* inside of a UTF-8 character */
		character++;
		column++;
		if (place->sql.p[i] == '\n') {
			line++;
			column = 1;
		}
	}
	/* On its first line the statement may not begin in column 1, and what stands before it is not known here. */
	if (line == place->line)
		strbuf_addf(out, " (line %u, character %d of the statement)", (unsigned)line, column);
	else
		strbuf_addf(out, " (line %u, column %d)", (unsigned)line, column);
}

char *safe_message(const char *sqlstate, const char *primary, const struct safe_message_place *place)
{
	struct strbuf out;
	strbuf_init(&out, MESSAGE_MAX);
	if (!sqlstate || !primary || !*primary)
		strbuf_add_str(&out, "the server gave no reason");
	else if (strncmp(sqlstate, "P0", 2) == 0)
		strbuf_add_str(&out, "raised by a function or DO block of the database");
	else if (strcmp(sqlstate, "42601") == 0)
		add_syntax_error(primary, &out);
	else if (class_is_safe(sqlstate))
		strbuf_add_str(&out, primary);
	else
		drop_quoted(primary, &out);
	if (place->position > 0)
		add_place(place, &out);
	return strbuf_detach(&out);
}
