/* Is there room for the clones? Asked before hours of copying rather than found out at their end. */
#ifndef CLONE_SPACE_H
#define CLONE_SPACE_H

#include "clone.h"
#include "clone_source.h"
#include "error.h"

/* ERR_INTERNAL with both sizes when there is not. What cannot be known (a source that does not say its size) passes. */
int clone_space_check(const struct clone_source *source, const struct clone_set *set, struct error *err);

#endif
