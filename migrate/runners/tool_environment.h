/*
 * The environment in which a migration tool finds the clone, and no other server: libpq's variables and those that
 * other tools read in their place. The table of names is in docs/migration-tools.md.
 */
#ifndef TOOL_ENVIRONMENT_H
#define TOOL_ENVIRONMENT_H

#include <stddef.h>

/* Where the tool is to go. The password is known to the proxy alone, and for as long as it lives. */
struct tool_place {
	const char *url;    /* postgresql://… */
	const char *scheme; /* in place of postgresql in the variables that hold a URL; NULL: as it is */
	const char *user;
	const char *password;
	const char *database;
	int port; /* of 127.0.0.1 */
};

struct tool_environment {
	char **variables; /* NULL-terminated "NAME=value" */
	size_t count;
	size_t capacity;
};

/* names (may be NULL) are further variables that get the URL. */
void tool_environment_init(struct tool_environment *environment, const struct tool_place *place,
			   const char *const *names, size_t name_count);
/* value is copied. */
void tool_environment_add(struct tool_environment *environment, const char *name, const char *value);
void tool_environment_release(struct tool_environment *environment);
/* Names of our own variables that lead to other servers: for process_options.without. */
extern const char *const tool_environment_without[];

#endif
