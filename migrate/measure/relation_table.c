/* The relations of the migrating database: see relation_table.h. */
#include "relation_table.h"

#include "mem.h"
#include "sql_lexer.h"
#include "strbuf.h"

#include <ctype.h>

#define MEASURE_ALL_MAX 1000
#define MEASURE_TRIES	3
#define OID_LIST_MAX	((size_t)256 * 1024)

static const char load_sql[] = "SELECT " RELATION_COLUMNS " FROM pg_catalog.pg_class c" RELATION_JOINS
			       " WHERE c.relkind IN ('r', 'p', 'i', 'I', 'm', 'S', 'v', 'f', 't')";

void relation_table_init(struct relation_table *table)
{
	memset(table, 0, sizeof(*table));
}

static void free_relation(struct relation *relation)
{
	free(relation->name);
	free(relation->former_name);
	free(relation);
}

void relation_table_release(struct relation_table *table)
{
	struct relation *relation, *next;
	HASH_ITER (hh, table->by_oid, relation, next) {
		HASH_DEL(table->by_oid, relation);
		free_relation(relation);
	}
	relation_table_init(table);
}

struct relation *relation_table_find(const struct relation_table *table, uint32_t oid)
{
	struct relation *relation = NULL;
	HASH_FIND(hh, table->by_oid, &oid, sizeof(oid), relation);
	return relation;
}

static void take_name(struct relation *relation, const char *name)
{
	free(relation->former_name);
	relation->former_name = NULL;
	if (relation->name && strcmp(relation->name, name) == 0)
		return;
	relation->former_name = relation->name;
	relation->name = mem_strdup(name);
}

struct relation *relation_table_update(struct relation_table *table, const PGresult *result, int row, int column,
				       struct relation_change *change)
{
	uint32_t oid = (uint32_t)pg_conn_int(result, row, column, 0);
	struct relation *relation = relation_table_find(table, oid);
	uint32_t filenode = (uint32_t)pg_conn_int(result, row, column + 3, 0);
	bool valid = PQgetvalue(result, row, column + 6)[0] == 't';
	*change = (struct relation_change){.created = !relation};
	if (!relation) {
		relation = mem_zalloc(1, sizeof(*relation));
		relation->oid = oid;
		relation->size_bytes = RELATION_SIZE_UNKNOWN;
		relation->valid = true;
		HASH_ADD(hh, table->by_oid, oid, sizeof(oid), relation);
	}
	change->rewritten = relation->filenode && filenode && relation->filenode != filenode;
	change->became_invalid = relation->valid && !valid;
	take_name(relation, PQgetvalue(result, row, column + 1));
	relation->kind = PQgetvalue(result, row, column + 2)[0];
	relation->filenode = filenode;
	relation->table_oid = (uint32_t)pg_conn_int(result, row, column + 4, 0);
	relation->ours = PQgetvalue(result, row, column + 5)[0] == 't';
	relation->valid = valid;
	relation->dropped = false;
	relation->seen = table->loads;
	return relation;
}

static void remove_unseen(struct relation_table *table,
			  void (*report)(void *context, const struct relation *relation,
					 const struct relation_change *change),
			  void *context)
{
	const struct relation_change gone = {.dropped = true};
	struct relation *relation, *next;
	HASH_ITER (hh, table->by_oid, relation, next) {
		if (relation->seen == table->loads)
			continue;
		if (report && !relation->dropped)
			report(context, relation, &gone);
		HASH_DEL(table->by_oid, relation);
		free_relation(relation);
	}
}

int relation_table_load(struct relation_table *table, PGconn *conn,
			void (*report)(void *context, const struct relation *relation,
				       const struct relation_change *change),
			void *context, struct error *err)
{
	PGresult *result = NULL;
	int rc = pg_conn_query(conn, load_sql, "reading the relations", &result, err);
	if (rc)
		return rc;
	table->loads++;
	for (int i = 0; i < PQntuples(result); i++) {
		struct relation_change change;
		const struct relation *relation = relation_table_update(table, result, i, 0, &change);
		if (report && (change.created || change.rewritten || change.became_invalid))
			report(context, relation, &change);
	}
	PQclear(result);
	remove_unseen(table, report, context);
	return 0;
}

void relation_table_forget_locks(struct relation_table *table)
{
	for (struct relation *relation = table->by_oid; relation; relation = relation->hh.next)
		relation->held_rank = 0;
}

bool relation_has_size(const struct relation *relation)
{
	return relation->ours && (relation->kind == 'r' || relation->kind == 'm' || relation->kind == 'S');
}

bool relation_is_index(const struct relation *relation)
{
	return relation->kind == 'i' || relation->kind == 'I';
}

/* The words and quoted names of a statement, in lower case: which relations it may be about. */
struct mention {
	char *word;
	UT_hash_handle hh;
};

static char *lower_case(const char *text, size_t len)
{
	char *lower = mem_strndup(text, len);
	for (char *p = lower; *p; p++)
		*p = (char)tolower((unsigned char)*p);
	return lower;
}

struct mention *relation_mentions_new(struct span sql)
{
	struct mention *all = NULL;
	struct sql_lexer lexer;
	sql_lexer_init(&lexer, SQL_POSTGRESQL, sql.p, sql.len);
	for (;;) {
		struct sql_token token = sql_lexer_next(&lexer);
		if (token.kind == SQL_TOKEN_END)
			return all;
		if (token.kind != SQL_TOKEN_WORD && token.kind != SQL_TOKEN_QUOTED_NAME)
			continue;
		char *word = lower_case(token.text.p, token.text.len);
		struct mention *mention = NULL;
		HASH_FIND_STR(all, word, mention);
		if (mention) {
			free(word);
			continue;
		}
		mention = mem_zalloc(1, sizeof(*mention));
		mention->word = word;
		HASH_ADD_KEYPTR(hh, all, mention->word, strlen(mention->word), mention);
	}
}

void relation_mentions_free(struct mention *all)
{
	struct mention *mention, *next;
	HASH_ITER (hh, all, mention, next) {
		HASH_DEL(all, mention);
		free(mention->word);
		free(mention);
	}
}

bool relation_is_mentioned(const struct relation *relation, struct mention *mentions)
{
	const char *dot = strrchr(relation->name, '.');
	const char *name = dot ? dot + 1 : relation->name;
	char *lower = lower_case(name, strlen(name)), *quoted = mem_printf("\"%s\"", lower);
	struct mention *bare = NULL, *in_quotes = NULL;
	HASH_FIND_STR(mentions, lower, bare);
	HASH_FIND_STR(mentions, quoted, in_quotes);
	free(lower);
	free(quoted);
	return bare || in_quotes;
}

/* "{1,2,3}" of the tables to be measured, whose sizes become unknown; false when there are none. */
static bool list_measured(const struct relation_table *table, struct span sql, bool only_named, struct strbuf *list)
{
	size_t count = 0;
	struct relation *relation;
	for (relation = table->by_oid; relation; relation = relation->hh.next)
		count += relation_has_size(relation);
	bool all = !only_named && count <= MEASURE_ALL_MAX;
	struct mention *mentions = all ? NULL : relation_mentions_new(sql);
	for (relation = table->by_oid; relation; relation = relation->hh.next) {
		bool listed = relation_has_size(relation) && (all || relation_is_mentioned(relation, mentions));
		if (listed)
			strbuf_addf(list, "%c%u", list->len ? ',' : '{', (unsigned)relation->oid);
		if (listed || !only_named)
			relation->size_bytes = RELATION_SIZE_UNKNOWN;
	}
	relation_mentions_free(mentions);
	strbuf_add_char(list, '}');
	return list->len > 1 && !list->overflow;
}

void relation_table_measure(struct relation_table *table, PGconn *conn, struct span sql, bool only_named)
{
	/* Those that are locked are passed over; one that gets locked in between costs the lock_timeout and a new try.
	 */
	static const char measure_sql[] =
		"SELECT c.oid, pg_catalog.pg_total_relation_size(c.oid) FROM pg_catalog.pg_class c"
		" WHERE c.oid = ANY ($1::oid[]) AND NOT EXISTS (SELECT FROM pg_catalog.pg_locks l"
		" WHERE l.relation = c.oid AND l.mode = 'AccessExclusiveLock')";
	struct strbuf list;
	strbuf_init(&list, OID_LIST_MAX);
	PGresult *result = NULL;
	if (list_measured(table, sql, only_named, &list)) {
		const char *const values[] = {list.data};
		for (int i = 0; i < MEASURE_TRIES; i++) {
			PQclear(result);
			result = PQexecParams(conn, measure_sql, 1, NULL, values, NULL, NULL, 0);
			if (PQresultStatus(result) == PGRES_TUPLES_OK)
				break;
		}
	}
	for (int i = 0; PQresultStatus(result) == PGRES_TUPLES_OK && i < PQntuples(result); i++) {
		struct relation *relation = relation_table_find(table, (uint32_t)pg_conn_int(result, i, 0, 0));
		if (relation)
			relation->size_bytes = pg_conn_int(result, i, 1, RELATION_SIZE_UNKNOWN);
	}
	PQclear(result);
	strbuf_release(&list);
}
