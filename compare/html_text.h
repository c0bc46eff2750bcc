/* Text into HTML: escaping, and the small formats that a report repeats. */
#ifndef HTML_TEXT_H
#define HTML_TEXT_H

#include "strbuf.h"

#include <jansson.h>

/* Escaped for element content and quoted attributes; control characters become spaces. */
void html_add_text(struct strbuf *out, const char *text);
/* As above, cut after max characters with … behind it. */
void html_add_cut(struct strbuf *out, const char *text, size_t max);
/* "2.31 s", "134 ms" from milliseconds. */
void html_add_ms(struct strbuf *out, double ms);
/* "1.2 GB", with a sign where with_sign is set; "–" for null. */
void html_add_bytes(struct strbuf *out, const json_t *value, int with_sign);
/* 412, 19.6, 0.034: three digits, or the whole of an integer. */
void html_add_number(struct strbuf *out, double value);

/* Fields of a document: "" and 0 for what is not there. */
const char *html_text_of(const json_t *object, const char *key);
double html_number_of(const json_t *object, const char *key);
/* "1 statement", "412 statements": a member's number with what it counts. */
void html_add_count(struct strbuf *out, const json_t *object, const char *key, const char *what);

#endif
