/* A piece of somebody else's bytes: not owned, not NUL-terminated. A NULL p is SQL's NULL, or "not there". */
#ifndef SPAN_H
#define SPAN_H

#include <stdbool.h>
#include <stddef.h>
#include <string.h>

struct span {
	const char *p;
	size_t len;
};

static inline struct span span_from_str(const char *text)
{
	return (struct span){text, text ? strlen(text) : 0};
}

static inline bool span_equal(struct span a, struct span b)
{
	return a.len == b.len && (a.p == b.p || (a.p && b.p && memcmp(a.p, b.p, a.len) == 0));
}

__attribute__((always_inline)) static inline bool span_equal_str(struct span a, const char *text)
{
	return span_equal(a, span_from_str(text));
}

/* Inlined always: with a constant prefix its length, and the comparison, are settled when it is compiled. */
__attribute__((always_inline)) static inline bool span_starts_with(struct span a, const char *prefix)
{
	size_t len = strlen(prefix);
	return a.len >= len && memcmp(a.p, prefix, len) == 0;
}

#endif
