/*
 * The configuration of a clone's server: the source's, and ours over it, so that the clone behaves like its source, can
 * reach nobody, meets nobody, and logs who waits for whom and no statement.
 */
#ifndef CLONE_CONFIG_H
#define CLONE_CONFIG_H

#include "clone.h"
#include "clone_source.h"
#include "error.h"

#include <stddef.h>

/* Writes the configuration of the clone, whose data directory is there. */
int clone_config_write(const struct clone_source *source, const struct clone *clone, struct error *err);
/* The same for a copy of another clone that was configured: what came with its source goes along. */
int clone_config_copy(const struct clone_source *source, const struct clone *from, const struct clone *clone,
		      struct error *err);
/* Puts a file of that name into the clone's folder, its user's. */
int clone_config_save(const struct clone_source *source, const struct clone *clone, const char *name, const char *text,
		      size_t len, struct error *err);

#endif
