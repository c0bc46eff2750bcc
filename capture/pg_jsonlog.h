/*
 * PostgreSQL's jsonlog (15 and later): one object a line, flat, its strings escaped so that no line end is in them.
 * Source: PostgreSQL manual, 20.8.5 "Using JSON-Format Log Output", and write_jsonlog(). Also CloudNativePG's lines,
 * which hold csvlog's fields by name in an object "record" of their own: {"level":"info","logger":"postgres",
 * "record":{"log_time":…}}; what its other loggers say is the operator's, and counts as background.
 */
#ifndef PG_JSONLOG_H
#define PG_JSONLOG_H

#include "log_format.h"

extern const struct log_format pg_jsonlog_format;

#endif
