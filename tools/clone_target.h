/* The one target of a command that changes it: reached, and known to be a clone. */
#ifndef CLONE_TARGET_H
#define CLONE_TARGET_H

#include "error.h"

#include <stdbool.h>

/* *version, to be freed, is that of its server. The errors are those of pg_target.h. */
int clone_target_check(const char *url, bool known_clone, char **version, struct error *err);

#endif
