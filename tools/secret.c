/* Passwords on the command line: see secret.h. */
#include "secret.h"

#include "mem.h"

#include <stdlib.h>
#include <string.h>

static bool scrub_range(char *begin, const char *end)
{
	bool any = begin < end;
	for (; begin < end; begin++)
		*begin = 'x';
	return any;
}

/*
 * scheme://user:PASSWORD@host: the last '@' before the path ends it, as a password may hold one that is not escaped, or
 * a '?' or '#': to libpq only '@' and '/' end it.
 */
static bool scrub_authority(char *text)
{
	bool any = false;
	for (char *scheme = strstr(text, "://"); scheme; scheme = strstr(scheme + 3, "://")) {
		char *authority = scheme + 3;
		char *end = authority + strcspn(authority, "/ \t\n");
		char *at = NULL;
		for (char *c = authority; c < end; c++) {
			if (*c == '@')
				at = c;
		}
		if (!at)
			continue;
		char *colon = memchr(authority, ':', (size_t)(at - authority));
		if (colon)
			any |= scrub_range(colon + 1, at);
	}
	return any;
}

bool secret_scrub(char *text)
{
	static const char *const names[] = {"password=", "sslpassword=", NULL};
	bool any = scrub_authority(text);
	for (size_t i = 0; names[i]; i++) {
		for (char *p = strstr(text, names[i]); p; p = strstr(p + 1, names[i])) {
			char *value = p + strlen(names[i]);
			any |= scrub_range(value, value + strcspn(value, "& \t\n"));
		}
	}
	return any;
}

char **secret_take_arguments(int argc, char **argv, bool *found)
{
	char **copy = mem_zalloc((size_t)argc + 1, sizeof(*copy));
	*found = false;
	for (int i = 0; i < argc; i++) {
		copy[i] = mem_strdup(argv[i]);
		*found |= secret_scrub(argv[i]);
	}
	return copy;
}
