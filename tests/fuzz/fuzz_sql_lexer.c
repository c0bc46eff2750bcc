/* Any text: tokens cover it, template and literals give it back, statements lie inside it, nothing reads past its end.
 */
#include "sql_fingerprint.h"

#include <stdint.h>

#define LITERALS_MAX 1024

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool right)
{
	if (!right)
		abort();
}

static void check_tokens(enum sql_dialect dialect, struct span text)
{
	struct sql_lexer lexer;
	sql_lexer_init(&lexer, dialect, text.p, text.len);
	const char *at = text.p;
	for (;;) {
		struct sql_token token = sql_lexer_next(&lexer);
		check(token.text.p == at);
		at += token.text.len;
		if (token.kind == SQL_TOKEN_END)
			break;
		check(token.text.len > 0);
	}
	check(at == text.p + text.len);
}

static void check_template(enum sql_dialect dialect, struct span text)
{
	static struct span literals[LITERALS_MAX];
	struct strbuf template_text, back;
	strbuf_init(&template_text, 1 << 24);
	strbuf_init(&back, 1 << 24);
	size_t count;
	if (sql_template_split(dialect, text, &template_text, literals, LITERALS_MAX, &count)) {
		struct span split = {template_text.data, template_text.len};
		check(sql_template_expand(split, literals, count, &back));
		check(back.len == text.len && (text.len == 0 || memcmp(back.data, text.p, text.len) == 0));
	}
	strbuf_release(&template_text);
	strbuf_release(&back);
}

static void check_dialect(enum sql_dialect dialect, struct span text)
{
	check_tokens(dialect, text);
	check_template(dialect, text);
	struct span statement;
	size_t pos = 0;
	while (sql_script_next(dialect, text, &pos, &statement))
		check(statement.p >= text.p && statement.p + statement.len <= text.p + text.len && statement.len > 0);
	struct strbuf out;
	strbuf_init(&out, 1 << 24);
	check(sql_fingerprint(dialect, text, &out) == sql_fingerprint(dialect, text, NULL));
	check(out.len <= SQL_FINGERPRINT_TEXT_MAX + 3);
	sql_redact(dialect, text, &out);
	strbuf_release(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	/* a copy of its own, so that a read past the end is seen */
	char *copy = malloc(size ? size : 1);
	if (!copy)
		return 0;
	if (size)
		memcpy(copy, data, size);
	struct span text = {copy, size};
	check_dialect(SQL_POSTGRESQL, text);
	check_dialect(SQL_MYSQL, text);
	free(copy);
	return 0;
}
