/*
 * The schema as facts: the questions to PostgreSQL's catalogs (12 to 18) whose rows together say all of a schema that a
 * dump would, object by object and property by property, by name and never by OID. Each row is a fact: kind, object,
 * attribute, value, and the kind and name of what the object is a part of.
 */
#ifndef CATALOG_QUERY_H
#define CATALOG_QUERY_H

#include <stddef.h>

#define CATALOG_QUERY_COLUMNS 6

/* NULL-terminated. What names the subject in messages ("indexes"). */
struct catalog_query {
	const char *what;
	const char *sql;
};
extern const struct catalog_query catalog_queries[];

#endif
