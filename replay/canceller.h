/* Sends cancel requests from a thread of its own, because sending one means connecting and waiting. */
#ifndef CANCELLER_H
#define CANCELLER_H

#include "driver.h"

struct canceller;

struct canceller *canceller_start(const struct driver *driver);
/* Takes the request over. */
void canceller_submit(struct canceller *canceller, struct driver_cancel *cancel);
/*
 * Sends what is left and frees; NULL is fine. Waits three seconds at most: against a server that answers nobody the
 * thread is left to itself.
 */
void canceller_free(struct canceller *canceller);

#endif
