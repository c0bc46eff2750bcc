/* Sums of hashes, by the server: see column_digest.h. */
#include "column_digest.h"

#include "mem.h"
#include "row_compare.h"

#define QUERY_MAX    ((size_t)4 << 20)
#define COLUMNS_ONCE 400 /* columns in one question: a row has 1,664 entries at most (MaxTupleAttributeNumber) */

/*
 * hashtextextended() of one text with one seed is the same on every server of a version (hashfunc.c); collation C has
 * no say in it. A record's text tells NULL from '' and a comma in a value from one between two.
 */
static void open_hash(struct strbuf *query)
{
	strbuf_add_str(query, "pg_catalog.hashtextextended(");
}

static void close_hash(struct strbuf *query, const char *seed)
{
	strbuf_addf(query, "::pg_catalog.text COLLATE \"C\", %s)", seed);
}

static void add_column(struct strbuf *query, const char *name)
{
	strbuf_add_str(query, "t.");
	check_add_name(query, name);
}

/* The key's columns have one name on both sides. */
static void add_key_hash(const struct digest_request *request, struct strbuf *query)
{
	const struct data_table *table = request->tables[0];
	bool first = true;
	strbuf_add_str(query, ", LATERAL (SELECT ");
	open_hash(query);
	strbuf_add_str(query, "ROW(");
	for (size_t i = 0; i < table->column_count; i++) {
		if (!table->columns[i].in_key)
			continue;
		if (!first)
			strbuf_add_str(query, ", ");
		add_column(query, table->columns[i].name);
		strbuf_add_str(query, "::pg_catalog.text");
		first = false;
	}
	strbuf_add_char(query, ')');
	close_hash(query, "0");
	strbuf_add_str(query, " AS k OFFSET 0) k"); /* OFFSET: once for each row, not for each column */
}

static void add_row_sum(const struct digest_request *request, int side, struct strbuf *query)
{
	strbuf_add_str(query, ", pg_catalog.sum(");
	open_hash(query);
	strbuf_add_str(query, "ROW(");
	for (size_t i = 0; i < request->column_count; i++) {
		if (i)
			strbuf_add_str(query, ", ");
		add_column(query, request->columns[side][i]->name);
		strbuf_add_str(query, "::pg_catalog.text");
	}
	strbuf_add_char(query, ')');
	close_hash(query, "0");
	strbuf_add_char(query, ')');
}

static bool wants_row_sum(const struct digest_request *request)
{
	return !request->with_key && request->column_count > 1;
}

/* count(*), then count and sum of each column from `from` to `to`, then the rows' sum behind the first part. */
static void build_query(const struct digest_request *request, int side, size_t from, size_t to, struct strbuf *query)
{
	strbuf_add_str(query, "SELECT pg_catalog.count(*)");
	for (size_t i = from; i < to; i++) {
		const char *name = request->columns[side][i]->name;
		strbuf_add_str(query, ", pg_catalog.count(");
		add_column(query, name);
		strbuf_add_str(query, "::pg_catalog.text), pg_catalog.sum("); /* a row of NULLs counts as a value */
		open_hash(query);
		add_column(query, name);
		close_hash(query, request->with_key ? "k.k" : "0");
		strbuf_add_char(query, ')');
	}
	if (from == 0 && wants_row_sum(request))
		add_row_sum(request, side, query);
	row_compare_add_from(query, request->tables[side]);
	if (request->with_key)
		add_key_hash(request, query);
}

static char *text_or_empty(const PGresult *result, int column)
{
	return mem_strdup(PQgetisnull(result, 0, column) ? "" : PQgetvalue(result, 0, column));
}

static void take_part(const struct digest_request *request, const PGresult *result, size_t from, size_t to,
		      struct table_digest *digest)
{
	int column = 1;
	digest->rows = pg_conn_int(result, 0, 0, 0);
	for (size_t i = from; i < to; i++) {
		digest->columns[i].values = pg_conn_int(result, 0, column++, 0);
		digest->columns[i].sum = text_or_empty(result, column++);
	}
	if (from == 0 && wants_row_sum(request))
		digest->row_sum = text_or_empty(result, column);
}

static enum check_answer run_part(const struct digest_request *request, size_t from, size_t to,
				  struct table_digest digests[2], char why[100], struct error *err)
{
	struct strbuf queries[2];
	const char *texts[2];
	PGresult *results[2] = {NULL, NULL};
	for (int side = 0; side < 2; side++) {
		strbuf_init(&queries[side], QUERY_MAX);
		build_query(request, side, from, to, &queries[side]);
		texts[side] = queries[side].data;
	}
	enum check_answer answer = check_server_ask(request->servers, texts, 2, request->limits, results, why, err);
	for (int side = 0; side < 2; side++) {
		if (answer == CHECK_ANSWERED)
			take_part(request, results[side], from, to, &digests[side]);
		PQclear(results[side]);
		strbuf_release(&queries[side]);
	}
	return answer;
}

enum check_answer table_digest_run(const struct digest_request *request, struct table_digest digests[2], char why[100],
				   struct error *err)
{
	for (int side = 0; side < 2; side++) {
		memset(&digests[side], 0, sizeof(digests[side]));
		digests[side].columns = mem_zalloc(request->column_count + 1, sizeof(*digests[side].columns));
		digests[side].count = request->column_count;
	}
	enum check_answer answer = CHECK_ANSWERED;
	size_t from = 0;
	do {
		size_t to = request->column_count - from > COLUMNS_ONCE ? from + COLUMNS_ONCE : request->column_count;
		answer = run_part(request, from, to, digests, why, err);
		from = to;
	} while (answer == CHECK_ANSWERED && from < request->column_count);
	return answer;
}

void table_digest_release(struct table_digest *digest)
{
	for (size_t i = 0; digest->columns && i < digest->count; i++)
		free(digest->columns[i].sum);
	free(digest->columns);
	free(digest->row_sum);
	memset(digest, 0, sizeof(*digest));
}

int64_t table_digest_count(struct check_server *server, const struct data_table *table, const char *column,
			   const struct check_limits *limits, enum check_answer *answer, char why[100],
			   struct error *err)
{
	struct strbuf query;
	PGresult *result = NULL;
	int64_t count = -1;
	strbuf_init(&query, QUERY_MAX);
	strbuf_add_str(&query, "SELECT pg_catalog.count(");
	if (column)
		add_column(&query, column);
	else
		strbuf_add_char(&query, '*');
	strbuf_add_char(&query, ')');
	row_compare_add_from(&query, table);
	const char *text = query.data;
	*answer = check_server_ask(&server, &text, 1, limits, &result, why, err);
	if (*answer == CHECK_ANSWERED)
		count = pg_conn_int(result, 0, 0, -1);
	PQclear(result);
	strbuf_release(&query);
	return count;
}
