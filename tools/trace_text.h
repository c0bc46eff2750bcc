/*
 * Text for a terminal of a certain width: padded, cut, wrapped, and always without control characters, since it may
 * come from a migration or a server. Widths are columns; a character counts as one.
 */
#ifndef TRACE_TEXT_H
#define TRACE_TEXT_H

#include "strbuf.h"

#include <stddef.h>
#include <stdint.h>

/* "0.4 ms", "412 ms", "1.24 s", "2 min 05 s", "3 h 12 min" */
void trace_text_duration(int64_t ns, char *out, size_t size);
/* "1.2 MB", powers of 1024; negative ones too */
void trace_text_bytes(int64_t bytes, char *out, size_t size);
/* "200,000" */
void trace_text_number(int64_t number, char *out, size_t size);
/* Exactly so wide; longer text is cut at its end, or, for paths, at its beginning, with … for what is gone. */
void trace_text_pad(struct strbuf *out, const char *text, int width);
void trace_text_pad_end(struct strbuf *out, const char *text, int width);
/* One line and its end; white space folded. */
void trace_text_cut(struct strbuf *out, const char *text, int width);
/* As many lines as it takes; those after the first are indented. The first begins in column `indent` already. */
void trace_text_wrap(struct strbuf *out, const char *text, int indent, int width);

#endif
