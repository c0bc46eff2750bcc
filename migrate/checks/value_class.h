/*
 * What became of a value when its column got another type or its row was rewritten: the same value in another spelling
 * (12.50 and 12.5000), or lost in a way that has a name. Values are looked at here and go no further: what leaves is a
 * class (requirement C7).
 *
 * Texts are the server's, under the settings of check_server.h: ISO dates in UTC, shortest exact floats.
 */
#ifndef VALUE_CLASS_H
#define VALUE_CLASS_H

#include "span.h"

#include <stdbool.h>

/* What the two types have in common decides how their texts are compared. */
enum value_family {
	VALUE_OTHER, /* by text alone */
	VALUE_NUMBER,
	VALUE_TEXT,
	VALUE_BOOL,
	VALUE_TIME, /* date, timestamp, timestamptz */
	VALUE_JSON,
	VALUE_UUID
};
/* By the name of the base type in pg_type: "int4", "varchar". */
enum value_family value_family_of(const char *type_name);

enum value_class {
	VALUE_CLASS_SAME,
	VALUE_CLASS_NULLED,	     /* a value became NULL */
	VALUE_CLASS_EMPTIED,	     /* a value became the empty string */
	VALUE_CLASS_ROUNDED,	     /* less digits, or less of a second, than before */
	VALUE_CLASS_TRUNCATED,	     /* its beginning is left */
	VALUE_CLASS_TRAILING_SPACES, /* only spaces at its end went */
	VALUE_CLASS_LEADING_ZEROS,   /* 007 became 7 */
	VALUE_CLASS_CASE,	     /* letters changed between upper and lower case */
	VALUE_CLASS_NON_ASCII,	     /* had characters beyond ASCII, and has none */
	VALUE_CLASS_NOT_A_NUMBER,    /* NaN or infinity became something else, or the reverse */
	VALUE_CLASS_TIME_DROPPED,    /* the date is left */
	VALUE_CLASS_ZONE_SHIFT,	     /* read as UTC, another time by whole quarters of an hour, 26 h at most */
	VALUE_CLASS_FILLED,	     /* NULL became a value */
	VALUE_CLASS_CHANGED,	     /* into something else */
	VALUE_CLASS_COUNT
};
/* "nulled", "time_zone_shift", … */
const char *value_class_name(enum value_class value_class);
/* True when the old value cannot be had back from the new one. */
bool value_class_is_loss(enum value_class value_class);

/* A NULL is a span without a pointer. With `same_type` the texts decide whether anything changed at all. */
enum value_class value_classify(enum value_family old_family, enum value_family new_family, bool same_type,
				struct span before, struct span after);

#endif
