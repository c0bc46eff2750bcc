/* What statements waited for, in the reports: made of queries[].waits and query_waits of the document. */
#ifndef REPORT_QUERY_WAITS_H
#define REPORT_QUERY_WAITS_H

#include "strbuf.h"

#include <jansson.h>
#include <stdbool.h>

/* A statement that became slower or was blocked, and of which there are samples enough in that window. */
bool report_query_waits_is_told(const json_t *query);
/* Behind the table of queries: a fold with both lanes' waits before, during and after. */
void report_add_query_waits(const json_t *document, struct strbuf *out);

/* What stands out of a query's waits: the event whose share on the migrating lane is farthest above the other two. */
struct report_wait {
	const char *event;
	const json_t *now;    /* cell of the migrating lane in the query's window */
	const json_t *before; /* ... of the same lane before */
	const json_t *beside; /* ... of the baseline in that window */
};
/* False when there is none. */
bool report_query_waits_find(const json_t *query, struct report_wait *out);
/* "71 % of 140", "too few samples (3)", "not sampled"; plain text. */
void report_query_waits_share(const json_t *cell, const char *event, struct strbuf *out);

#endif
