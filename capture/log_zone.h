/*
 * Time stamps of logs as UTC. A log's zone is an abbreviation (log_timezone's %Z), which names no offset by itself:
 * UTC, GMT, Z and numeric ones ("+02", "-0330") are read exactly; any other needs the zone's full name from the user
 * (--log-timezone Europe/Berlin), in which the abbreviation also tells the two halves of the hour that clocks repeat.
 * Without it such a log is refused: a guess would shift a recording by hours.
 */
#ifndef LOG_ZONE_H
#define LOG_ZONE_H

#include "error.h"
#include "span.h"

#include <stdbool.h>
#include <stdint.h>

struct log_zone;

/*
 * name: a zone of the system's time zone database, or NULL. While a named zone is open the process's TZ is that zone,
 * so there is one at a time. ERR_USAGE when there is no such zone.
 */
int log_zone_open(const char *name, struct log_zone **out, struct error *err);
void log_zone_free(struct log_zone *zone);
bool log_zone_is_named(const struct log_zone *zone);

/*
 * Reads "2026-11-21 20:08:01.123 UTC" (the fraction, of up to 9 digits, may be missing). Returns 0, 1 when the text is
 * no stamp, or a negative code with err set when its zone is not known.
 */
int log_zone_parse(struct log_zone *zone, struct span text, int64_t *out_ns, struct error *err);

/*
 * A time that a person gives: RFC 3339 ("2026-11-21T20:08:00.5+01:00"), or without a zone, and then local time of the
 * named zone, else UTC; seconds may be missing. False when it is none.
 */
/* zone may be NULL. */
bool log_zone_parse_given(const struct log_zone *zone, const char *text, int64_t *out_ns);

#endif
