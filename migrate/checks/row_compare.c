/* Streamed rows, merged by key: see row_compare.h. */
#include "row_compare.h"

#include <stdlib.h>

/*
 * A value longer than this comes as its beginning, with length and MD5 behind it: equal or not stays exact, and a row
 * fits into memory.
 */
#define LONG_VALUE	8192
#define LONG_VALUE_HEAD "4096" /* characters */
#define QUERY_MAX	((size_t)1 << 20)
#define KEY_COLUMNS_MAX 32

static bool is_integer(const struct data_column *column)
{
	return strcmp(column->base_type, "int2") == 0 || strcmp(column->base_type, "int4") == 0 ||
	       strcmp(column->base_type, "int8") == 0;
}

static bool is_text(const struct data_column *column)
{
	return value_family_of(column->base_type) == VALUE_TEXT;
}

bool row_compare_has_key(const struct data_table *before, const struct data_table *after)
{
	size_t found = 0;
	for (size_t i = 0; i < before->column_count; i++) {
		const struct data_column *column = &before->columns[i];
		if (!column->in_key)
			continue;
		const struct data_column *other = data_table_find_column(after, column->name);
		if (!other || ++found > KEY_COLUMNS_MAX)
			return false;
		/* 1 and 1.0 are one number and two texts: only integers of any size, texts of any kind, or one type. */
		bool integers = is_integer(column) && is_integer(other);
		bool texts = is_text(column) && is_text(other);
		if (!integers && !texts && strcmp(column->base_type, other->base_type) != 0)
			return false;
	}
	return found > 0;
}

void row_compare_add_from(struct strbuf *query, const struct data_table *table)
{
	strbuf_add_str(query, table->kind == 'p' || table->kind == 'm' ? " FROM " : " FROM ONLY ");
	check_add_name(query, table->schema);
	strbuf_add_char(query, '.');
	check_add_name(query, table->name);
	strbuf_add_str(query, " t");
}

/* The column's text: t."total"::text. */
static void add_text(struct strbuf *query, const char *column)
{
	strbuf_add_str(query, "t.");
	check_add_name(query, column);
	strbuf_add_str(query, "::pg_catalog.text");
}

/* Whether both sides' streams come in the order of integers, or of their texts' bytes. */
static bool orders_by_number(const struct data_column *before, const struct data_column *after)
{
	return is_integer(before) && is_integer(after);
}

static void add_key_order(struct strbuf *query, const struct check_server *server, const struct data_column *before,
			  const struct data_column *after, const char *name)
{
	if (orders_by_number(before, after)) {
		strbuf_add_str(query, "t.");
		check_add_name(query, name);
	} else if (server->byte_order) {
		add_text(query, name);
		strbuf_add_str(query, " COLLATE \"C\"");
	} else { /* the order of what the client gets, not of the server's encoding */
		strbuf_add_str(query, "pg_catalog.convert_to(");
		add_text(query, name);
		strbuf_add_str(query, ", 'UTF8')");
	}
}

/* Two fields: the value or its beginning, and '' or what stands for the rest. */
static void add_value(struct strbuf *query, const char *column)
{
	strbuf_add_str(query, ", CASE WHEN pg_catalog.octet_length(");
	add_text(query, column);
	strbuf_addf(query, ") <= %d THEN ", LONG_VALUE);
	add_text(query, column);
	strbuf_add_str(query, " ELSE pg_catalog.left(");
	add_text(query, column);
	strbuf_add_str(query, ", " LONG_VALUE_HEAD ") END, CASE WHEN pg_catalog.octet_length(");
	add_text(query, column);
	strbuf_addf(query, ") > %d THEN pg_catalog.octet_length(", LONG_VALUE);
	add_text(query, column);
	strbuf_add_str(query, ") || pg_catalog.md5(");
	add_text(query, column);
	strbuf_add_str(query, ") ELSE '' END");
}

static void build_query(const struct row_compare *compare, bool of_before, struct strbuf *query)
{
	const struct check_server *server = of_before ? compare->before : compare->after;
	const struct data_table *table = compare->before_table; /* whose key it is */
	bool first = true;
	strbuf_add_str(query, "COPY (SELECT ");
	for (size_t i = 0; i < table->column_count; i++) {
		if (!table->columns[i].in_key)
			continue;
		if (!first)
			strbuf_add_str(query, ", ");
		add_text(query, table->columns[i].name);
		first = false;
	}
	for (size_t i = 0; i < compare->column_count; i++)
		add_value(query, of_before ? compare->columns[i].before->name : compare->columns[i].after->name);
	row_compare_add_from(query, of_before ? compare->before_table : compare->after_table);
	strbuf_add_str(query, " ORDER BY ");
	first = true;
	for (size_t i = 0; i < table->column_count; i++) {
		const struct data_column *column = &table->columns[i];
		if (!column->in_key)
			continue;
		if (!first)
			strbuf_add_str(query, ", ");
		add_key_order(query, server, column, data_table_find_column(compare->after_table, column->name),
			      column->name);
		first = false;
	}
	strbuf_add_str(query, ") TO STDOUT");
}

static int compare_bytes(struct span a, struct span b)
{
	if (!a.p || !b.p)
		return (a.p != NULL) - (b.p != NULL);
	int order = memcmp(a.p, b.p, a.len < b.len ? a.len : b.len);
	return order ? order : (a.len > b.len) - (a.len < b.len);
}

static int64_t to_int(struct span text)
{
	char copy[32] = "";
	if (text.p && text.len < sizeof(copy))
		memcpy(copy, text.p, text.len);
	return strtoll(copy, NULL, 10);
}

static int compare_keys(const struct row_compare *compare, const struct check_stream *before,
			const struct check_stream *after)
{
	size_t field = 0;
	for (size_t i = 0; i < compare->before_table->column_count; i++) {
		const struct data_column *column = &compare->before_table->columns[i];
		if (!column->in_key)
			continue;
		struct span a = before->fields[field], b = after->fields[field];
		const struct data_column *other = data_table_find_column(compare->after_table, column->name);
		int64_t x = to_int(a), y = to_int(b);
		int order = orders_by_number(column, other) ? (x > y) - (x < y) : compare_bytes(a, b);
		if (order)
			return order;
		field++;
	}
	return 0;
}

static size_t key_fields(const struct data_table *table)
{
	size_t n = 0;
	for (size_t i = 0; i < table->column_count; i++)
		n += table->columns[i].in_key;
	return n;
}

/* Beginnings that are equal with rests that are not: what is shorter may have been cut, or changed behind them. */
static enum value_class classify_long(struct span before, struct span after, struct span before_rest,
				      struct span after_rest, bool texts)
{
	if (span_equal(before, after) && span_equal(before_rest, after_rest))
		return VALUE_CLASS_SAME;
	bool cut = texts && after.p && after_rest.len == 0 && after.len < before.len &&
		   memcmp(before.p, after.p, after.len) == 0;
	return cut ? VALUE_CLASS_TRUNCATED : VALUE_CLASS_CHANGED;
}

static void classify_row(struct row_compare *compare, const struct check_stream *before,
			 const struct check_stream *after)
{
	size_t field = key_fields(compare->before_table);
	for (size_t i = 0; i < compare->column_count; i++, field += 2) {
		struct row_column *column = &compare->columns[i];
		struct span a = before->fields[field], b = after->fields[field];
		struct span a_rest = before->fields[field + 1], b_rest = after->fields[field + 1];
		enum value_family x = value_family_of(column->before->base_type);
		enum value_family y = value_family_of(column->after->base_type);
		bool is_long = a.p && b.p && (a_rest.len || b_rest.len);
		enum value_class found =
			is_long ? classify_long(a, b, a_rest, b_rest, x == VALUE_TEXT && y == VALUE_TEXT)
				: value_classify(x, y, strcmp(column->before->type, column->after->type) == 0, a, b);
		column->compared++;
		column->classes[found]++;
	}
}

typedef int (*order_fn)(const struct row_compare *compare, const struct check_stream *before,
			const struct check_stream *after);
typedef void (*classify_fn)(struct row_compare *compare, const struct check_stream *before,
			    const struct check_stream *after);

/* Both streams to their ends; `classify` may be NULL. */
static enum check_answer merge(struct row_compare *compare, struct check_stream streams[2], order_fn order_of,
			       classify_fn classify, char why[100], struct error *err)
{
	enum check_answer answer = check_stream_next(&streams[0], why, err);
	if (answer == CHECK_ANSWERED)
		answer = check_stream_next(&streams[1], why, err);
	while (answer == CHECK_ANSWERED && !(streams[0].ended && streams[1].ended)) {
		int order = streams[0].ended ? 1 : streams[1].ended ? -1 : order_of(compare, &streams[0], &streams[1]);
		compare->rows_removed += order < 0;
		compare->rows_added += order > 0;
		if (order == 0 && classify)
			classify(compare, &streams[0], &streams[1]);
		if (order <= 0)
			answer = check_stream_next(&streams[0], why, err);
		if (order >= 0 && answer == CHECK_ANSWERED)
			answer = check_stream_next(&streams[1], why, err);
	}
	return answer;
}

static enum check_answer run_streams(struct row_compare *compare, const struct strbuf queries[2], order_fn order_of,
				     classify_fn classify, char why[100], struct error *err)
{
	struct check_stream streams[2];
	compare->rows_removed = compare->rows_added = 0;
	enum check_answer answer =
		check_stream_open(&streams[0], compare->before, queries[0].data, compare->limits, why, err);
	if (answer != CHECK_ANSWERED)
		return answer;
	answer = check_stream_open(&streams[1], compare->after, queries[1].data, compare->limits, why, err);
	if (answer == CHECK_ANSWERED) {
		answer = merge(compare, streams, order_of, classify, why, err);
		check_stream_close(&streams[1]);
	}
	check_stream_close(&streams[0]);
	return answer;
}

enum check_answer row_compare_run(struct row_compare *compare, char why[100], struct error *err)
{
	struct strbuf queries[2];
	for (int i = 0; i < 2; i++) {
		strbuf_init(&queries[i], QUERY_MAX);
		build_query(compare, i == 0, &queries[i]);
	}
	enum check_answer answer = run_streams(compare, queries, compare_keys, classify_row, why, err);
	strbuf_release(&queries[0]);
	strbuf_release(&queries[1]);
	return answer;
}

/* One field: the text, or for a long one its beginning and its MD5; in the order of its bytes, NULLs first. */
static void build_value_query(const struct check_server *server, const struct data_table *table, const char *column,
			      struct strbuf *query)
{
	strbuf_add_str(query, "COPY (SELECT v FROM (SELECT CASE WHEN pg_catalog.octet_length(");
	add_text(query, column);
	strbuf_addf(query, ") <= %d THEN ", LONG_VALUE);
	add_text(query, column);
	strbuf_add_str(query, " ELSE pg_catalog.left(");
	add_text(query, column);
	strbuf_add_str(query, ", " LONG_VALUE_HEAD ") || pg_catalog.md5(");
	add_text(query, column);
	strbuf_add_str(query, ") END AS v");
	row_compare_add_from(query, table);
	strbuf_add_str(query, server->byte_order
				      ? ") x ORDER BY v COLLATE \"C\" NULLS FIRST) TO STDOUT"
				      : ") x ORDER BY pg_catalog.convert_to(v, 'UTF8') NULLS FIRST) TO STDOUT");
}

static int compare_values(const struct row_compare *compare, const struct check_stream *before,
			  const struct check_stream *after)
{
	(void)compare;
	return compare_bytes(before->fields[0], after->fields[0]);
}

enum check_answer row_compare_values(struct row_compare *compare, char why[100], struct error *err)
{
	struct strbuf queries[2];
	strbuf_init(&queries[0], QUERY_MAX);
	strbuf_init(&queries[1], QUERY_MAX);
	build_value_query(compare->before, compare->before_table, compare->columns[0].before->name, &queries[0]);
	build_value_query(compare->after, compare->after_table, compare->columns[0].after->name, &queries[1]);
	enum check_answer answer = run_streams(compare, queries, compare_values, NULL, why, err);
	strbuf_release(&queries[0]);
	strbuf_release(&queries[1]);
	return answer;
}
