/* Reading a JSON document of known shape: see json_reader.h. */
#include "json_reader.h"

#include "mem.h"

#include <math.h>

#define SCALED_MAX 9e18 /* what an int64_t holds */

void json_reader_fail(struct json_reader *reader, const char *key)
{
	if (!reader->bad)
		reader->bad = key;
}

int64_t json_reader_int(struct json_reader *reader, const json_t *object, const char *key, int64_t min, int64_t max)
{
	const json_t *value = json_object_get(object, key);
	int64_t number = json_integer_value(value);
	if (json_is_integer(value) && number >= min && number <= max)
		return number;
	json_reader_fail(reader, key);
	return min;
}

int64_t json_reader_scaled(struct json_reader *reader, const json_t *object, const char *key, double scale)
{
	const json_t *value = json_object_get(object, key);
	double number = json_number_value(value) * scale;
	if (json_is_number(value) && fabs(number) < SCALED_MAX)
		return llround(number);
	json_reader_fail(reader, key);
	return 0;
}

bool json_reader_bool(struct json_reader *reader, const json_t *object, const char *key)
{
	const json_t *value = json_object_get(object, key);
	if (!json_is_boolean(value))
		json_reader_fail(reader, key);
	return json_is_true(value);
}

char *json_reader_string(struct json_reader *reader, const json_t *object, const char *key, bool may_be_null)
{
	const json_t *value = json_object_get(object, key);
	if (json_is_string(value))
		return mem_strdup(json_string_value(value));
	if (may_be_null && json_is_null(value))
		return NULL;
	json_reader_fail(reader, key);
	return mem_strdup("");
}

const json_t *json_reader_array(struct json_reader *reader, const json_t *object, const char *key, size_t max)
{
	const json_t *value = json_object_get(object, key);
	if (!json_is_array(value) || json_array_size(value) > max)
		json_reader_fail(reader, key);
	return reader->bad ? NULL : value;
}
