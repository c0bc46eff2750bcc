/* Errors that travel up with context: see error.h. */
#include "error.h"

#include <errno.h>
#include <stdarg.h>

/* A message is one line: what comes from a server or a file may hold line ends and control characters. */
static void flatten(char *text)
{
	for (char *p = text; *p; p++) {
		if ((unsigned char)*p < 0x20 || *p == 0x7f)
			*p = ' ';
	}
	size_t len = strlen(text);
	while (len > 0 && text[len - 1] == ' ')
		text[--len] = '\0';
}

static int set_from_list(struct error *err, enum error_code code, const char *format, va_list args)
	__attribute__((format(printf, 3, 0)));

static int set_from_list(struct error *err, enum error_code code, const char *format, va_list args)
{
	err->code = (int)code;
	(void)vsnprintf(err->text, sizeof(err->text), format, args);
	flatten(err->text);
	return -err->code;
}

int error_set(struct error *err, enum error_code code, const char *format, ...)
{
	va_list args;
	va_start(args, format);
	int rc = set_from_list(err, code, format, args);
	va_end(args);
	return rc;
}

int error_set_errno(struct error *err, enum error_code code, const char *format, ...)
{
	int saved = errno;
	va_list args;
	va_start(args, format);
	int rc = set_from_list(err, code, format, args);
	va_end(args);
	size_t len = strlen(err->text);
	(void)snprintf(err->text + len, sizeof(err->text) - len, ": %s", strerror(saved));
	return rc;
}

int error_context(struct error *err, const char *format, ...)
{
	char inner[ERROR_TEXT_MAX];
	memcpy(inner, err->text, sizeof(inner));
	va_list args;
	va_start(args, format);
	(void)vsnprintf(err->text, sizeof(err->text), format, args);
	va_end(args);
	size_t len = strlen(err->text);
	(void)snprintf(err->text + len, sizeof(err->text) - len, ": %s", inner);
	flatten(err->text);
	return -err->code;
}

void error_clear(struct error *err)
{
	err->code = 0;
	err->text[0] = '\0';
}
