/*
 * Any bytes as a log of some format, from bytes to items: what is read in pieces is what is read at once, all bytes are
 * taken, every record is accounted for, and no session's times go back. Aborts where that does not hold.
 */
#ifndef SUPPORT_LOG_H
#define SUPPORT_LOG_H

#include "log_format.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

void fuzz_log(const struct log_format *format, const uint8_t *data, size_t size);

#endif
