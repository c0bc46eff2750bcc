/* The data of two clones compared: see data_check.h. */
#include "data_check.h"

#include "clock.h"
#include "column_digest.h"
#include "mem.h"
#include "row_compare.h"

#define NAME_LISTED 400

/* A check under way. */
struct state {
	const struct data_check *check;
	struct check_results *results;
	struct check_server servers[2];
	struct data_tables tables[2];
};

/* One pair of tables. */
struct table_pair {
	const struct data_table *before;
	const struct data_table *after;
	const struct data_column **shared[2]; /* of the same type on both sides */
	size_t shared_count;
	struct row_column *suspects; /* a sum or the type differs */
	size_t suspect_count;
	bool with_key;
	bool one_row_sum; /* the sum over whole rows is equal, or there is none */
	struct table_digest digests[2];
};

int data_check_count(const char *url, struct data_tables *tables, struct error *err)
{
	struct check_server server;
	memset(tables, 0, sizeof(*tables));
	int rc = check_server_open(url, &server, err);
	if (rc == 0) {
		rc = data_tables_load(&server, tables, err);
		check_server_close(&server);
	}
	return rc;
}

static int ended(enum check_answer answer, const struct error *err)
{
	return answer == CHECK_ENDED ? -err->code : 0;
}

/* A rename keeps the number in the catalog, and both are clones of one database. */
static const struct data_table *find_pair(const struct state *s, const struct data_table *before)
{
	const struct data_table *after = data_tables_find(&s->tables[1], before->shown);
	if (after)
		return after;
	after = data_tables_find_oid(&s->tables[1], before->oid);
	return after && !data_tables_find(&s->tables[0], after->shown) ? after : NULL;
}

static const struct data_column *find_column_pair(const struct data_table *from, const struct data_table *to,
						  const struct data_column *column)
{
	const struct data_column *found = data_table_find_column(to, column->name);
	if (found || from->oid != to->oid)
		return found;
	for (size_t i = 0; i < to->column_count; i++) {
		if (to->columns[i].number == column->number && !data_table_find_column(from, to->columns[i].name))
			return &to->columns[i];
	}
	return NULL;
}

static struct check_data *add(struct state *s, const char *relation, const struct data_column *column, const char *kind)
{
	return check_results_add_data(s->results, s->check->phase, relation, column ? column->name : NULL, kind);
}

static void set_not_checked(struct check_data *data, const char *why)
{
	data->state = CHECK_NOT_CHECKED;
	free(data->reason);
	data->reason = mem_strdup(why);
}

static struct check_writes writes_of(const struct data_table *table, const struct data_tables *then)
{
	static const struct check_writes none;
	const struct data_table *old = then ? data_tables_find_oid(then, table->oid) : NULL;
	return check_writes_since(&table->writes, old ? &old->writes : &none);
}

/* Why a table is not read at all; NULL when it can be. */
static const char *unreadable(const struct state *s, const struct data_table *table, char text[100])
{
	int64_t limit = s->check->limits.table_bytes;
	int64_t deadline_ns = s->check->limits.deadline_ns;
	if (deadline_ns && clock_mono_ns() >= deadline_ns)
		return CHECK_NO_TIME;
	if (table->kind == 'f')
		return "a foreign table: its rows are elsewhere";
	if (table->kind == 'm' && !table->populated)
		return "a materialized view that is not populated";
	if (limit <= 0 || table->size_bytes <= limit)
		return NULL;
	(void)snprintf(text, 100, "%lld MB, more than --check-table-limit", (long long)(table->size_bytes >> 20));
	return text;
}

/* A table that the other side does not have. */
static int check_removed_table(struct state *s, const struct data_table *table, struct error *err)
{
	char why[100] = "";
	struct check_data *data = add(s, table->shown, NULL, "removed_table");
	const char *cannot = unreadable(s, table, why);
	data->state = CHECK_DIFFERS;
	data->reason = mem_strdup("the table is not there any more");
	if (cannot) {
		set_not_checked(data, cannot);
		return 0;
	}
	enum check_answer answer;
	data->rows_before = table_digest_count(&s->servers[0], table, NULL, &s->check->limits, &answer, why, err);
	if (answer != CHECK_ANSWERED)
		set_not_checked(data, why);
	else
		data->lost = data->rows_before;
	return ended(answer, err);
}

/* A column that the other side does not have: how much was in it. */
static int check_removed_column(struct state *s, const struct table_pair *pair, const struct data_column *column,
				struct error *err)
{
	char why[100] = "";
	struct check_data *data = add(s, pair->before->shown, column, "removed_column");
	enum check_answer answer;
	data->type_before = mem_strdup(column->type);
	data->rows_before = pair->digests[0].rows;
	data->rows_after = pair->digests[1].rows;
	data->lost =
		table_digest_count(&s->servers[0], pair->before, column->name, &s->check->limits, &answer, why, err);
	data->state = data->lost > 0 ? CHECK_DIFFERS : CHECK_SAME;
	data->reason = mem_strdup("the column is not there any more");
	if (answer != CHECK_ANSWERED) {
		data->lost = 0;
		set_not_checked(data, why);
	}
	return ended(answer, err);
}

static void add_suspect(struct table_pair *pair, const struct data_column *before, const struct data_column *after)
{
	pair->suspects = mem_realloc(pair->suspects, pair->suspect_count + 1, sizeof(*pair->suspects));
	struct row_column *suspect = &pair->suspects[pair->suspect_count++];
	memset(suspect, 0, sizeof(*suspect));
	suspect->before = before;
	suspect->after = after;
}

/* Columns on both sides: of one type (their sums decide), or of two (their values do). */
static void pair_columns(struct table_pair *pair)
{
	size_t n = pair->before->column_count + 1;
	pair->shared[0] = mem_zalloc(n, sizeof(*pair->shared[0]));
	pair->shared[1] = mem_zalloc(n, sizeof(*pair->shared[1]));
	for (size_t i = 0; i < pair->before->column_count; i++) {
		const struct data_column *column = &pair->before->columns[i];
		const struct data_column *other = find_column_pair(pair->before, pair->after, column);
		if (!other)
			continue;
		if (strcmp(column->type, other->type) != 0) {
			add_suspect(pair, column, other);
			continue;
		}
		pair->shared[0][pair->shared_count] = column;
		pair->shared[1][pair->shared_count++] = other;
	}
}

static void release_pair(struct table_pair *pair)
{
	table_digest_release(&pair->digests[0]);
	table_digest_release(&pair->digests[1]);
	free(pair->shared[0]);
	free(pair->shared[1]);
	free(pair->suspects);
}

static enum check_answer digest_pair(struct state *s, struct table_pair *pair, char why[100], struct error *err)
{
	const struct digest_request request = {
		.servers = {&s->servers[0], &s->servers[1]},
		.tables = {pair->before, pair->after},
		.columns = {pair->shared[0], pair->shared[1]},
		.column_count = pair->shared_count,
		.with_key = pair->with_key,
		.limits = &s->check->limits,
	};
	enum check_answer answer = table_digest_run(&request, pair->digests, why, err);
	if (answer != CHECK_ANSWERED)
		return answer;
	const struct table_digest *a = &pair->digests[0], *b = &pair->digests[1];
	for (size_t i = 0; i < pair->shared_count; i++) {
		if (a->columns[i].values != b->columns[i].values || strcmp(a->columns[i].sum, b->columns[i].sum) != 0)
			add_suspect(pair, pair->shared[0][i], pair->shared[1][i]);
	}
	pair->one_row_sum = !a->row_sum || strcmp(a->row_sum, b->row_sum) == 0;
	return CHECK_ANSWERED;
}

static bool same_type(const struct row_column *column)
{
	return strcmp(column->before->type, column->after->type) == 0;
}

static struct check_data *add_column(struct state *s, const struct table_pair *pair, const struct row_column *column)
{
	struct check_data *data =
		add(s, pair->before->shown, column->before, same_type(column) ? "column" : "type_change");
	data->type_before = mem_strdup(column->before->type);
	data->type_after = mem_strdup(column->after->type);
	data->rows_before = pair->digests[0].rows;
	data->rows_after = pair->digests[1].rows;
	return data;
}

static void add_classes(struct check_data *data, const struct row_column *column)
{
	for (int i = VALUE_CLASS_SAME + 1; i < VALUE_CLASS_COUNT; i++) {
		check_data_add_class(data, value_class_name((enum value_class)i), column->classes[i]);
		data->changed += column->classes[i];
		if (value_class_is_loss((enum value_class)i))
			data->lost += column->classes[i];
	}
	data->state = data->changed ? CHECK_DIFFERS : CHECK_SAME;
}

/* Suspects row by row, some at a time. */
static int compare_by_key(struct state *s, struct table_pair *pair, int64_t *removed, int64_t *added, struct error *err)
{
	for (size_t from = 0; from < pair->suspect_count || from == 0; from += ROW_COLUMNS_MAX) {
		char why[100] = "";
		size_t left = pair->suspect_count - from;
		struct row_compare compare = {.before = &s->servers[0],
					      .after = &s->servers[1],
					      .before_table = pair->before,
					      .after_table = pair->after,
					      .columns = pair->suspects + from,
					      .column_count = left < ROW_COLUMNS_MAX ? left : ROW_COLUMNS_MAX,
					      .limits = &s->check->limits};
		enum check_answer answer = row_compare_run(&compare, why, err);
		if (answer == CHECK_ENDED)
			return ended(answer, err);
		for (size_t i = 0; i < compare.column_count; i++) {
			struct check_data *data = add_column(s, pair, &compare.columns[i]);
			if (answer == CHECK_ANSWERED)
				add_classes(data, &compare.columns[i]);
			else
				set_not_checked(data, why);
		}
		if (answer == CHECK_ANSWERED) {
			*removed = compare.rows_removed;
			*added = compare.rows_added;
		}
		if (pair->suspect_count == 0)
			break;
	}
	return 0;
}

/* No key: what the column's values were and are, as a whole. Only texts that are equal are equal values. */
static int compare_without_key(struct state *s, struct table_pair *pair, struct error *err)
{
	for (size_t i = 0; i < pair->suspect_count; i++) {
		char why[100] = "";
		struct row_column *suspect = &pair->suspects[i];
		struct row_compare compare = {.before = &s->servers[0],
					      .after = &s->servers[1],
					      .before_table = pair->before,
					      .after_table = pair->after,
					      .columns = suspect,
					      .column_count = 1,
					      .limits = &s->check->limits};
		enum check_answer answer = row_compare_values(&compare, why, err);
		struct check_data *data = add_column(s, pair, suspect);
		if (answer == CHECK_ENDED)
			return ended(answer, err);
		if (answer != CHECK_ANSWERED) {
			set_not_checked(data, why);
			continue;
		}
		bool equal = compare.rows_removed == 0 && compare.rows_added == 0;
		if (!equal && !same_type(suspect)) {
			set_not_checked(data,
					"no key to pair rows by, and the two types write their values differently");
			continue;
		}
		data->state = equal ? CHECK_SAME : CHECK_DIFFERS;
		data->changed = compare.rows_removed > compare.rows_added ? compare.rows_removed : compare.rows_added;
		check_data_add_class(data, "not_there_any_more", compare.rows_removed);
		check_data_add_class(data, "not_there_before", compare.rows_added);
		data->reason = mem_strdup("no key to pair rows by: values compared as a set");
	}
	return 0;
}

static void fill_table(struct state *s, struct check_data *data, const struct table_pair *pair)
{
	data->writes[0] = writes_of(pair->before, s->check->before_then);
	data->writes[1] = writes_of(pair->after, s->check->after_then);
	if (strcmp(pair->before->shown, pair->after->shown) != 0)
		data->reason = mem_printf("is %.*s now", NAME_LISTED, pair->after->shown);
}

static bool has_suspect_key(const struct table_pair *pair)
{
	for (size_t i = 0; i < pair->suspect_count; i++) {
		if (pair->suspects[i].before->in_key)
			return true;
	}
	return false;
}

/* Where sums differ, or types do, or the numbers of rows. */
static int look_closer(struct state *s, struct table_pair *pair, size_t entry, struct error *err)
{
	int64_t removed = 0, added = 0;
	int64_t rows[2] = {pair->digests[0].rows, pair->digests[1].rows};
	bool type_changes = pair->suspect_count > 0;
	int rc = 0;
	if (pair->with_key && (type_changes || rows[0] != rows[1] || has_suspect_key(pair)))
		rc = compare_by_key(s, pair, &removed, &added, err);
	else if (!pair->with_key)
		rc = compare_without_key(s, pair, err);
	if (!pair->with_key) {
		removed = rows[0] > rows[1] ? rows[0] - rows[1] : 0;
		added = rows[1] > rows[0] ? rows[1] - rows[0] : 0;
	}
	struct check_data *data = &s->results->data[entry]; /* entries behind it may have moved it */
	data->lost = removed;
	data->changed = added;
	data->state = removed || added || !pair->one_row_sum ? CHECK_DIFFERS : CHECK_SAME;
	if (removed && pair->after->partitions < pair->before->partitions)
		(void)snprintf(data->kind, sizeof(data->kind), "removed_partition");
	if (!pair->one_row_sum && pair->suspect_count == 0 && rows[0] == rows[1] && !data->reason)
		data->reason = mem_strdup("each column has its values, but not in the same rows");
	return rc;
}

static int check_pair(struct state *s, const struct data_table *before, const struct data_table *after,
		      struct error *err)
{
	char why[100] = "";
	struct table_pair pair = {.before = before, .after = after, .with_key = row_compare_has_key(before, after)};
	size_t entry = s->results->data_count;
	struct check_data *data = add(s, before->shown, NULL, "table");
	fill_table(s, data, &pair);
	const char *cannot = unreadable(s, before, why);
	if (!cannot)
		cannot = unreadable(s, after, why);
	if (cannot) {
		set_not_checked(data, cannot);
		return 0;
	}
	pair_columns(&pair);
	enum check_answer answer = digest_pair(s, &pair, why, err);
	int rc = ended(answer, err);
	data->columns = (int64_t)(pair.shared_count);
	data->rows_before = pair.digests[0].rows;
	data->rows_after = pair.digests[1].rows;
	if (answer != CHECK_ANSWERED) {
		data->rows_before = data->rows_after = -1;
		set_not_checked(data, why);
	} else {
		rc = look_closer(s, &pair, entry, err);
	}
	for (size_t i = 0; rc == 0 && answer == CHECK_ANSWERED && i < before->column_count; i++) {
		if (!find_column_pair(before, after, &before->columns[i]))
			rc = check_removed_column(s, &pair, &before->columns[i], err);
	}
	release_pair(&pair);
	return rc;
}

/* A sequence that went back gives numbers that are taken. */
static void check_sequences(struct state *s)
{
	for (size_t i = 0; i < s->tables[0].sequence_count; i++) {
		const struct data_sequence *before = &s->tables[0].sequences[i];
		const struct data_sequence *after = data_tables_find_sequence(&s->tables[1], before->shown);
		if (!before->used || !before->known || !after)
			continue; /* one that is gone is a difference of the schema */
		bool back = !after->used || (before->increment > 0 ? after->last_value < before->last_value
								   : after->last_value > before->last_value);
		if (after->known && after->used && after->last_value == before->last_value)
			continue;
		struct check_data *data = add(s, before->shown, NULL, "sequence");
		data->state = CHECK_DIFFERS;
		data->changed = 1;
		data->lost = after->known && back;
		data->reason =
			mem_strdup(back ? "went back: it will give numbers that it has given already" : "went on");
		if (!after->known)
			set_not_checked(data, "permission denied");
	}
}

static void show_progress(const struct state *s, size_t done)
{
	if (s->check->progress)
		s->check->progress(s->check->progress_context, done, s->tables[0].count);
}

static int check_tables(struct state *s, struct error *err)
{
	int rc = 0;
	for (size_t i = 0; rc == 0 && i < s->tables[0].count; i++) {
		show_progress(s, i);
		const struct data_table *before = &s->tables[0].tables[i];
		const struct data_table *after = find_pair(s, before);
		rc = after ? check_pair(s, before, after, err) : check_removed_table(s, before, err);
	}
	show_progress(s, s->tables[0].count); /* also when it ends early */
	return rc;
}

int data_check_run(const struct data_check *check, struct check_results *results, struct error *err)
{
	struct state s = {.check = check, .results = results};
	int rc = check_server_open(check->before_url, &s.servers[0], err);
	if (rc == 0)
		rc = check_server_open(check->after_url, &s.servers[1], err);
	for (int i = 0; rc == 0 && i < 2; i++)
		rc = data_tables_load(&s.servers[i], &s.tables[i], err);
	if (rc == 0)
		rc = check_tables(&s, err);
	if (rc == 0 && check->phase != CHECK_LANES)
		check_sequences(&s);
	if (rc == 0 && s.tables[0].large_objects > 0)
		check_results_skip(results, "large objects", "their contents are not compared");
	for (int i = 0; i < 2; i++) {
		data_tables_release(&s.tables[i]);
		check_server_close(&s.servers[i]);
	}
	return rc < 0 ? error_context(err, "data checks") : 0;
}
