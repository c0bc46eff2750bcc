/*
 * What a statement is, apart from its values. Three readings of one text:
 *
 * - the *template*: the text byte by byte with each literal (string, number; not NULL, TRUE, parameters or quoted
 * names) replaced by one NUL byte, and the literals beside it. sql_template_expand() gives back the very text. Comments
 * stay in the template as they are, so that nothing is lost.
 * - the *fingerprint*: normalised text and its 64-bit hash: comments dropped, white space folded, words in lower case,
 *   literals and parameters as ?, IN lists and VALUES lists of any length the same, a leading sign of a literal
 * dropped. Quoted names keep their case. Statements of one application line of code share it.
 * - the *redacted* text, for people: as written, case and line breaks kept, every literal as ?, comments dropped (they
 *   may hold anything).
 */
#ifndef SQL_FINGERPRINT_H
#define SQL_FINGERPRINT_H

#include "span.h"
#include "sql_lexer.h"
#include "strbuf.h"

#include <stdint.h>

/* A longer normalised text is cut, with … behind it; the hash covers all of it. */
#define SQL_FINGERPRINT_TEXT_MAX 4096

/*
 * Appends the template to out and sets literals[0..*count) to the literals' spans in text. False when text holds a NUL
 * byte or more than max literals: the caller then keeps the text as one literal under the template "\0".
 */
bool sql_template_split(enum sql_dialect dialect, struct span text, struct strbuf *out, struct span *literals,
			size_t max, size_t *count);
/* Appends the text that the template and its literals came from. False when their numbers differ. */
bool sql_template_expand(struct span template_text, const struct span *literals, size_t count, struct strbuf *out);

/* Appends the normalised text to out (may be NULL) and returns its hash (XXH3, 64 bits; never 0). */
uint64_t sql_fingerprint(enum sql_dialect dialect, struct span text, struct strbuf *out);

void sql_redact(enum sql_dialect dialect, struct span text, struct strbuf *out);

#endif
