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

/* --notify URL, --notify=URL: who knows a webhook's address can post to it. All of it goes but for the scheme. */
static void scrub_webhook(const char *before, char *word)
{
	char *value = NULL;
	if (before && strcmp(before, "--notify") == 0)
		value = word;
	else if (strncmp(word, "--notify=", 9) == 0)
		value = word + 9;
	if (!value)
		return;
	char *scheme = strstr(value, "://");
	(void)scrub_range(scheme ? scheme + 3 : value, value + strlen(value));
}

char **secret_take_arguments(int argc, char **argv, bool *found)
{
	char **copy = mem_zalloc((size_t)argc + 1, sizeof(*copy));
	*found = false;
	for (int i = 0; i < argc; i++) {
		copy[i] = mem_strdup(argv[i]);
		*found |= secret_scrub(argv[i]);
		scrub_webhook(i > 0 ? copy[i - 1] : NULL, argv[i]);
	}
	return copy;
}
