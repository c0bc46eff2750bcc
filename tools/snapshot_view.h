/* How the commands about snapshots show a clone that there is a record of: as a JSON object, and in words. */
#ifndef SNAPSHOT_VIEW_H
#define SNAPSHOT_VIEW_H

#include "clone_list.h"

#include <jansson.h>
#include <stdint.h>

#define SNAPSHOT_WORDS_MAX 32

/* A new reference. */
json_t *snapshot_to_json(const struct clone_entry *entry, int64_t now_wall_ns);
/* "running", "stopped", or why cleanup would remove it. */
const char *snapshot_state(const struct clone_entry *entry);
/* "1.2 GB", "-" for a negative number. */
const char *snapshot_size(int64_t bytes, char out[SNAPSHOT_WORDS_MAX]);
/* "3 h 20 min"; "over" for a negative time. */
const char *snapshot_span(int64_t ns, char out[SNAPSHOT_WORDS_MAX]);

#endif
