/*
 * A growing byte string with a ceiling. Always NUL-terminated once something was added, but it may hold NULs itself:
 * len rules. The ceiling is given at init, because most of what goes in comes from logs and servers; what would pass it
 * is not added, and `overflow` stays set until strbuf_clear(). Check it once, at the end of a run of adds.
 */
#ifndef STRBUF_H
#define STRBUF_H

#include <stdbool.h>
#include <stddef.h>

struct strbuf {
	char *data; /* "" before the first add; never NULL */
	size_t len;
	size_t capacity;
	size_t max; /* most bytes that len may reach */
	bool overflow;
};

void strbuf_init(struct strbuf *buf, size_t max);
/* Frees the memory; the buffer may be used again with the same ceiling. */
void strbuf_release(struct strbuf *buf);
/* Empties it and keeps the memory. */
void strbuf_clear(struct strbuf *buf);
void strbuf_add(struct strbuf *buf, const void *data, size_t len);
void strbuf_add_str(struct strbuf *buf, const char *text);
void strbuf_add_char(struct strbuf *buf, char c);
/*
 * Room for at least len more bytes, for those who write them themselves and then say with strbuf_advance() how many
 * they were. NULL, with overflow set, when the ceiling forbids it.
 */
char *strbuf_reserve(struct strbuf *buf, size_t len);
/* len bytes of the room were written. */
void strbuf_advance(struct strbuf *buf, size_t len);
void strbuf_addf(struct strbuf *buf, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* Cuts to len bytes; a longer len than it has is an error of the caller. */
void strbuf_truncate(struct strbuf *buf, size_t len);
/* Hands the string over, to be freed with free(), and starts empty. */
char *strbuf_detach(struct strbuf *buf);

#endif
