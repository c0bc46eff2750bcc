/*
 * rehearse.ini: ./rehearse.ini, else $XDG_CONFIG_HOME/rehearse.ini (~/.config where that is not set), or the file that
 * --config names. [rehearse] holds for every command, [COMMAND] for one; other sections ([thresholds]) belong to
 * whoever asks for them. Read with libinih: "name = value", ";" or "#" begins a comment.
 */
#ifndef CONFIG_H
#define CONFIG_H

#include "error.h"

#include <stddef.h>

struct config_entry {
	char *section;
	char *name; /* as written: stall.max{table=orders} is one name */
	char *value;
	int line;
};

struct config {
	char *path;		      /* NULL when there is no file */
	struct config_entry *entries; /* in the file's order */
	size_t count;
	size_t capacity;
};

/* path NULL or empty: search; it is fine when there is none. ERR_DATA with file and line when it cannot be understood.
 */
int config_load(const char *path, struct config *config, struct error *err);
void config_release(struct config *config);
/* The entry of that section after `previous` (NULL: the first one), NULL when there is no further one. */
const struct config_entry *config_next(const struct config *config, const char *section,
				       const struct config_entry *previous);

#endif
