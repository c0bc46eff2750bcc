/* Memory that is there or the program ends: see mem.h. */
#include "mem.h"

#include <stdarg.h>
#include <unistd.h>

static void *check(void *got)
{
	if (!got) {
		static const char text[] = "rehearse: out of memory\n";
		(void)!write(STDERR_FILENO, text, sizeof(text) - 1);
		_exit(70);
	}
	return got;
}

void *mem_alloc(size_t size)
{
	return check(malloc(size ? size : 1));
}

void *mem_zalloc(size_t count, size_t size)
{
	return check(calloc(count ? count : 1, size ? size : 1));
}

void *mem_realloc(void *old, size_t count, size_t size)
{
	return check(reallocarray(old, count ? count : 1, size ? size : 1));
}

char *mem_strdup(const char *text)
{
	return check(strdup(text));
}

char *mem_strndup(const char *text, size_t len)
{
	char *copy = mem_alloc(len + 1);
	memcpy(copy, text, len);
	copy[len] = '\0';
	return copy;
}

char *mem_printf(const char *format, ...)
{
	char *text = NULL;
	va_list args;
	va_start(args, format);
	if (vasprintf(&text, format, args) < 0)
		text = NULL;
	va_end(args);
	return check(text);
}
