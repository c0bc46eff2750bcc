/* A look at the sessions as bytes: see health_look.c. Between the writer and the reader of health logs; nobody else
 * includes this. */
#ifndef HEALTH_LOOK_H
#define HEALTH_LOOK_H

#include "byte_code.h"
#include "health_log.h"

/* *clock_us is that of the look before in the same chunk, 0 in front of a chunk's first. active is sorted by pid. */
void health_look_put(struct strbuf *out, const struct health_look *look, int64_t *clock_us);
/* room: of HEALTH_LOOK_MAX. False when it is none. */
bool health_look_get(struct byte_reader *r, size_t event_count, int64_t *clock_us, struct health_active *room,
		     struct health_look *look);

#endif
