/* A JSON document in a file: see json_file.h. */
#include "json_file.h"

#include "mem.h"
#include "out_file.h"
#include "strbuf.h"

#include <unistd.h>

int json_file_load(const char *path, json_t **out, struct error *err)
{
	json_error_t why;
	if (access(path, R_OK) != 0)
		return error_set_errno(err, ERR_DATA, "%s: cannot open", path);
	json_t *document = json_load_file(path, JSON_REJECT_DUPLICATES, &why);
	if (!document)
		return error_set(err, ERR_DATA, "%s:%d: %s", path, why.line, why.text);
	*out = document;
	return 0;
}

int json_file_save(const char *path, const json_t *document, struct error *err)
{
	char *text = json_dumps(document, JSON_INDENT(1) | JSON_REAL_PRECISION(12));
	if (!text)
		return error_set(err, ERR_INTERNAL, "%s: the document cannot be written as JSON", path);
	size_t len = strlen(text);
	text[len] = '\n';
	int rc = out_file_save(path, text, len + 1, err);
	free(text);
	return rc;
}

/* Length of the valid UTF-8 sequence at p (RFC 3629: no surrogates, nothing overlong), 0 when there is none. */
static size_t utf8_sequence(const unsigned char *p, size_t left)
{
	if (p[0] < 0x80)
		return 1;
	size_t n = p[0] >= 0xf0 ? 4 : p[0] >= 0xe0 ? 3 : 2;
	if (p[0] < 0xc2 || p[0] > 0xf4 || left < n)
		return 0;
	for (size_t i = 1; i < n; i++) {
		if ((p[i] & 0xc0) != 0x80)
			return 0;
	}
	if ((p[0] == 0xe0 && p[1] < 0xa0) || (p[0] == 0xed && p[1] > 0x9f) || (p[0] == 0xf0 && p[1] < 0x90) ||
	    (p[0] == 0xf4 && p[1] > 0x8f))
		return 0;
	return n;
}

json_t *json_from_bytes(const char *text, size_t len)
{
	json_t *direct = json_stringn(text, len);
	if (direct)
		return direct;
	struct strbuf clean;
	strbuf_init(&clean, len * 3 + 1);
	const unsigned char *p = (const unsigned char *)text;
	for (size_t i = 0; i < len;) {
		size_t n = utf8_sequence(p + i, len - i);
		if (n)
			strbuf_add(&clean, p + i, n);
		else
			strbuf_add_str(&clean, "\xef\xbf\xbd");
		i += n ? n : 1;
	}
	json_t *cleaned = json_stringn(clean.data, clean.len);
	strbuf_release(&clean);
	return cleaned;
}

json_t *json_text(const char *text)
{
	return text ? json_from_bytes(text, strlen(text)) : json_null();
}

void json_put(json_t *object, const char *key, json_t *value)
{
	(void)json_object_set_new(object, key, value);
}
