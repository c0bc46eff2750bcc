/* A growing byte string with a ceiling: see strbuf.h. */
#include "strbuf.h"

#include "mem.h"

#include <assert.h>
#include <stdarg.h>

/* What an empty buffer points at, so that data is never NULL. Nobody writes to it: capacity 0 says so. */
static char empty[1];

void strbuf_init(struct strbuf *buf, size_t max)
{
	buf->data = empty;
	buf->len = 0;
	buf->capacity = 0;
	buf->max = max;
	buf->overflow = false;
}

void strbuf_release(struct strbuf *buf)
{
	if (buf->capacity)
		free(buf->data);
	strbuf_init(buf, buf->max);
}

void strbuf_clear(struct strbuf *buf)
{
	buf->len = 0;
	buf->overflow = false;
	if (buf->capacity)
		buf->data[0] = '\0';
}

/* Room for extra more bytes and a NUL; false, with overflow set, when the ceiling forbids it. */
static bool reserve(struct strbuf *buf, size_t extra)
{
	if (extra > buf->max - buf->len) {
		buf->overflow = true;
		return false;
	}
	size_t need = buf->len + extra + 1;
	if (need > buf->capacity) {
		size_t capacity = buf->capacity ? buf->capacity * 2 : 64;
		if (capacity < need)
			capacity = need;
		buf->data = mem_realloc(buf->capacity ? buf->data : NULL, capacity, 1);
		buf->capacity = capacity;
	}
	return true;
}

void strbuf_add(struct strbuf *buf, const void *data, size_t len)
{
	if (!reserve(buf, len))
		return;
	if (len)
		memcpy(buf->data + buf->len, data, len);
	buf->len += len;
	buf->data[buf->len] = '\0';
}

void strbuf_add_str(struct strbuf *buf, const char *text)
{
	strbuf_add(buf, text, strlen(text));
}

void strbuf_add_char(struct strbuf *buf, char c)
{
	strbuf_add(buf, &c, 1);
}

char *strbuf_reserve(struct strbuf *buf, size_t len)
{
	return reserve(buf, len) ? buf->data + buf->len : NULL;
}

void strbuf_advance(struct strbuf *buf, size_t len)
{
	assert(buf->len + len < buf->capacity);
	buf->len += len;
	buf->data[buf->len] = '\0';
}

void strbuf_addf(struct strbuf *buf, const char *format, ...)
{
	va_list args;
	va_list again;
	va_start(args, format);
	va_copy(again, args);
	int len = vsnprintf(NULL, 0, format, args);
	if (len > 0 && reserve(buf, (size_t)len)) {
		(void)vsnprintf(buf->data + buf->len, (size_t)len + 1, format, again);
		buf->len += (size_t)len;
	}
	va_end(again);
	va_end(args);
}

void strbuf_truncate(struct strbuf *buf, size_t len)
{
	assert(len <= buf->len);
	buf->len = len;
	if (buf->capacity)
		buf->data[len] = '\0';
}

char *strbuf_detach(struct strbuf *buf)
{
	char *text = buf->capacity ? buf->data : mem_strdup("");
	strbuf_init(buf, buf->max);
	return text;
}
