/*
 * SQLSTATE codes as numbers: five characters of 0-9 and A-Z in base 36, plus 1, so that 0 is "none". Codes of our own,
 * for what no server said, are in class HR.
 */
#ifndef SQLSTATE_H
#define SQLSTATE_H

#include <stdint.h>

#define SQLSTATE_TEXT_MAX 6

#define SQLSTATE_UNKNOWN	 "HR000" /* an error whose code the log does not say */
#define SQLSTATE_UNFINISHED	 "HR001" /* still running when the run ended: censored */
#define SQLSTATE_CONNECTION_LOST "08006" /* the connection ended without a word */
#define SQLSTATE_CANNOT_CONNECT	 "08001" /* no connection, and no server's word why */

/* 0 when text is not five such characters (NULL and "" included, and "00000", which is success). */
uint32_t sqlstate_pack(const char *text);
/* out gets "" for 0. */
void sqlstate_unpack(uint32_t packed, char out[SQLSTATE_TEXT_MAX]);

#endif
