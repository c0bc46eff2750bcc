/* A JSON document in a file: read whole, written under a temporary name. */
#ifndef JSON_FILE_H
#define JSON_FILE_H

#include "error.h"

#include <jansson.h>

/* ERR_DATA with file and line when it is not there or not JSON. *out is a new reference. */
int json_file_load(const char *path, json_t **out, struct error *err);
/* Indented, keys in insertion order, a line end at the end. Does not take the reference. */
int json_file_save(const char *path, const json_t *document, struct error *err);
/* Text from a log or a server as a JSON string: bytes that are not UTF-8 become U+FFFD. A new reference. */
json_t *json_from_bytes(const char *text, size_t len);
/* The same of a whole string; null for NULL. */
json_t *json_text(const char *text);
/* Puts a member into an object, and takes the reference. */
void json_put(json_t *object, const char *key, json_t *value);

#endif
