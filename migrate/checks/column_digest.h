/*
 * A table in one number per column: the sum of its values' hashes, taken by the server in one pass, so that rows may
 * come in any order. A value's hash depends on its row's key, where there is one: two rows that swapped their values
 * differ. Without a key one more sum is over whole rows.
 */
#ifndef COLUMN_DIGEST_H
#define COLUMN_DIGEST_H

#include "check_server.h"
#include "data_tables.h"

#include <stdbool.h>
#include <stdint.h>

struct column_digest {
	int64_t values; /* that are not NULL */
	char *sum;	/* as text: more than 64 bits */
};

struct table_digest {
	int64_t rows;
	struct column_digest *columns; /* as many as were asked for */
	char *row_sum;		       /* of whole rows, without a key; else NULL */
	size_t count;
};

/* Which columns of which two tables; names are those on either side. with_key: both have the key of the first. */
struct digest_request {
	struct check_server *servers[2];
	const struct data_table *tables[2];
	const struct data_column *const *columns[2];
	size_t column_count;
	bool with_key;
	const struct check_limits *limits;
};

/* Both at once. digests[i] are to be released whatever the answer. */
enum check_answer table_digest_run(const struct digest_request *request, struct table_digest digests[2], char why[100],
				   struct error *err);
void table_digest_release(struct table_digest *digest);
/* Rows alone, or those with a value in one column (may be NULL); -1 when there is no answer. */
int64_t table_digest_count(struct check_server *server, const struct data_table *table, const char *column,
			   const struct check_limits *limits, enum check_answer *answer, char why[100],
			   struct error *err);

#endif
