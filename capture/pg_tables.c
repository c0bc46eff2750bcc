/*
 * The tables of a statement: see pg_tables.h. libpg_query gives the parse tree as JSON; whatever in it has a "relname"
 * is a table, unless it is the name of a WITH query.
 */
#include "pg_tables.h"

#include "mem.h"

#include <jansson.h>
#include <pg_query.h>

#define SQL_MAX	  ((size_t)1024 * 1024)
#define DEPTH_MAX 200

struct walk {
	struct pg_tables *out;
	const char *with[PG_TABLES_MAX];
	size_t with_count;
};

static bool is_with(const struct walk *walk, const char *name)
{
	for (size_t i = 0; i < walk->with_count; i++) {
		if (strcmp(walk->with[i], name) == 0)
			return true;
	}
	return false;
}

static void add_table(struct walk *walk, const char *schema, const char *name)
{
	struct pg_tables *out = walk->out;
	if ((!schema && is_with(walk, name)) || out->count == PG_TABLES_MAX)
		return;
	char *full = schema ? mem_printf("%s.%s", schema, name) : mem_strdup(name);
	for (size_t i = 0; i < out->count; i++) {
		if (strcmp(out->names[i], full) == 0) {
			free(full);
			return;
		}
	}
	out->names[out->count++] = full;
}

/* Twice over the tree: first the names of WITH queries, then the tables. */
static void visit(struct walk *walk, json_t *node, bool tables, int depth)
{
	size_t index;
	const char *key;
	json_t *value;
	if (depth == 0)
		return;
	if (json_is_array(node)) {
		json_array_foreach (node, index, value)
			visit(walk, value, tables, depth - 1);
		return;
	}
	const char *table = json_string_value(json_object_get(node, "relname"));
	const char *with = json_string_value(json_object_get(node, "ctename"));
	if (tables && table)
		add_table(walk, json_string_value(json_object_get(node, "schemaname")), table);
	if (!tables && with && walk->with_count < PG_TABLES_MAX)
		walk->with[walk->with_count++] = with;
	json_object_foreach (node, key, value)
		visit(walk, value, tables, depth - 1);
}

/* {"stmts":[{"stmt":{"SelectStmt":…}}]}: "Select" */
static void set_kind(struct pg_tables *out, json_t *tree)
{
	json_t *first = json_object_get(json_array_get(json_object_get(tree, "stmts"), 0), "stmt");
	void *at = json_object_iter(first);
	const char *name = at ? json_object_iter_key(at) : "";
	size_t len = strlen(name);
	if (len > 4 && strcmp(name + len - 4, "Stmt") == 0)
		len -= 4;
	(void)snprintf(out->kind, sizeof(out->kind), "%.*s", (int)(len < sizeof(out->kind) ? len : 0), name);
}

bool pg_tables_read(struct span sql, struct pg_tables *out)
{
	*out = (struct pg_tables){0};
	if (sql.len > SQL_MAX || memchr(sql.p, '\0', sql.len))
		return false;
	char *text = mem_strndup(sql.p, sql.len);
	PgQueryParseResult result = pg_query_parse(text);
	json_error_t why;
	json_t *tree = result.error ? NULL : json_loads(result.parse_tree, JSON_ALLOW_NUL, &why);
	if (tree) {
		struct walk walk = {.out = out};
		visit(&walk, tree, false, DEPTH_MAX);
		visit(&walk, tree, true, DEPTH_MAX);
		set_kind(out, tree);
		json_decref(tree);
	}
	pg_query_free_parse_result(result);
	free(text);
	return tree != NULL;
}

void pg_tables_release(struct pg_tables *tables)
{
	for (size_t i = 0; i < tables->count; i++)
		free(tables->names[i]);
	tables->count = 0;
}
