/* Replay files made by hand for tests: sessions, statements and times as the test says. */
#ifndef REPLAY_BUILDER_H
#define REPLAY_BUILDER_H

#include "replay_file.h"

#include <stdint.h>

struct replay_builder;

/* Fails the test on any error. */
struct replay_builder *replay_builder_new(const char *path);
uint32_t replay_builder_session(struct replay_builder *builder, const char *user, const char *database);
/* Items in order of time (milliseconds from the file's start). */
void replay_builder_connect(struct replay_builder *builder, uint32_t session, int at_ms);
void replay_builder_simple(struct replay_builder *builder, uint32_t session, int at_ms, const char *sql);
/* values: NULL-terminated list of texts; "\\N" stands for NULL. */
void replay_builder_execute(struct replay_builder *builder, uint32_t session, int at_ms, const char *name,
			    const char *sql, const char *const *values);
void replay_builder_cancel(struct replay_builder *builder, uint32_t session, int at_ms);
void replay_builder_disconnect(struct replay_builder *builder, uint32_t session, int at_ms);
/* Writes the file and frees the builder. */
void replay_builder_finish(struct replay_builder *builder);

#endif
