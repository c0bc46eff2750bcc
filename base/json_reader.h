/*
 * Reading a JSON document of known shape that may be damaged: each member is taken with its kind and range checked, and
 * the first that is not what it should be is remembered, so that a reader goes on without a test behind every line
 * and the caller asks once, at the end.
 */
#ifndef JSON_READER_H
#define JSON_READER_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

struct json_reader {
	const char *bad; /* name of the first member that is missing, of another kind or out of range; NULL: none */
};

void json_reader_fail(struct json_reader *reader, const char *key);
/* min when it is bad. */
int64_t json_reader_int(struct json_reader *reader, const json_t *object, const char *key, int64_t min, int64_t max);
/* A number times scale, rounded: seconds as nanoseconds. Bad from 9e18 on. */
int64_t json_reader_scaled(struct json_reader *reader, const json_t *object, const char *key, double scale);
bool json_reader_bool(struct json_reader *reader, const json_t *object, const char *key);
/* To be freed. NULL for a null that may be; "" when it is bad. */
char *json_reader_string(struct json_reader *reader, const json_t *object, const char *key, bool may_be_null);
/* NULL when anything is bad so far, or it has more than max entries. */
const json_t *json_reader_array(struct json_reader *reader, const json_t *object, const char *key, size_t max);

#endif
