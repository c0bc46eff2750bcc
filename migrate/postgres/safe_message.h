/*
 * A server's error message without the values in it, for ledgers and reports. Which messages can hold a value is known
 * by the SQLSTATE's class; DETAIL, which often does, is never used.
 */
#ifndef SAFE_MESSAGE_H
#define SAFE_MESSAGE_H

#include "span.h"

#include <stdint.h>

struct safe_message_place {
	struct span sql; /* the statement that failed */
	uint32_t line;	 /* its first line in its file */
	int position;	 /* the server's, in characters from 1; 0 when it gave none */
};

/* To be freed. sqlstate and primary may be NULL. */
char *safe_message(const char *sqlstate, const char *primary, const struct safe_message_place *place);

#endif
