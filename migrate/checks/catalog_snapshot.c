/* A schema as sorted facts, compared: see catalog_snapshot.h. */
#include "catalog_snapshot.h"

#include "catalog_query.h"
#include "check_server.h"
#include "mem.h"
#include "sql_fingerprint.h"

#define SHOWN_MAX      300    /* bytes of a definition that are shown */
#define SEPARATOR      '\x1f' /* between the names of "column order" */
#define DEFINITION_MAX ((size_t)16 * 1024 * 1024)

struct catalog_fact {
	char *kind;
	char *object;
	char *attribute;
	char *value;
	char *parent_kind; /* "" for none */
	char *parent;
};

enum form {
	FORM_PLAIN,
	FORM_SQL,    /* may hold literals: shown without them */
	FORM_HIDDEN, /* free text, or what may be a secret: only that it changed */
	FORM_ORDER   /* names, of which those on both sides count */
};

static const struct {
	const char *attribute;
	enum form form;
	bool mild;
} attributes[] = {
	{"definition", FORM_SQL, false},	 {"default", FORM_SQL, false},
	{"generated", FORM_SQL, false},		 {"partition bound", FORM_SQL, false},
	{"comment", FORM_HIDDEN, true},		 {"settings", FORM_HIDDEN, false},
	{"foreign options", FORM_HIDDEN, false}, {"column order", FORM_ORDER, true},
	{"statistics target", FORM_PLAIN, true}, {"clustered", FORM_PLAIN, true},
};

static void find_attribute(const char *attribute, enum form *form, bool *mild)
{
	*form = FORM_PLAIN;
	*mild = false;
	for (size_t i = 0; i < sizeof(attributes) / sizeof(*attributes); i++) {
		if (strcmp(attributes[i].attribute, attribute) == 0) {
			*form = attributes[i].form;
			*mild = attributes[i].mild;
		}
	}
}

static int compare_objects(const struct catalog_fact *a, const struct catalog_fact *b)
{
	int order = strcmp(a->kind, b->kind);
	return order ? order : strcmp(a->object, b->object);
}

/* An object's own fact, with the attribute "", is its first. */
static int compare_facts(const void *a, const void *b)
{
	const struct catalog_fact *x = a, *y = b;
	int order = compare_objects(x, y);
	return order ? order : strcmp(x->attribute, y->attribute);
}

static void take_rows(struct catalog_snapshot *snapshot, const PGresult *result)
{
	for (int row = 0; row < PQntuples(result); row++) {
		if (PQgetisnull(result, row, 3))
			continue; /* nothing to say */
		MEM_GROW(snapshot->facts, snapshot->count, snapshot->capacity);
		snapshot->facts[snapshot->count++] = (struct catalog_fact){
			mem_strdup(PQgetvalue(result, row, 0)), mem_strdup(PQgetvalue(result, row, 1)),
			mem_strdup(PQgetvalue(result, row, 2)), mem_strdup(PQgetvalue(result, row, 3)),
			mem_strdup(PQgetvalue(result, row, 4)), mem_strdup(PQgetvalue(result, row, 5))};
	}
}

int catalog_snapshot_load(const char *url, struct catalog_snapshot *snapshot, struct error *err)
{
	struct check_server server;
	memset(snapshot, 0, sizeof(*snapshot));
	int rc = check_server_open(url, &server, err);
	if (rc < 0)
		return rc;
	rc = pg_conn_run(server.conn, "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY", "schema", err);
	for (const struct catalog_query *query = catalog_queries; rc == 0 && query->what; query++) {
		PGresult *result = NULL;
		rc = pg_conn_query(server.conn, query->sql, query->what, &result, err);
		if (rc == 0 && PQnfields(result) != CATALOG_QUERY_COLUMNS)
			rc = error_set(err, ERR_INTERNAL, "%s: the question has %d columns", query->what,
				       PQnfields(result));
		if (rc == 0)
			take_rows(snapshot, result);
		PQclear(result);
	}
	check_server_close(&server);
	if (rc < 0)
		return error_context(err, "reading the schema");
	if (snapshot->count)
		qsort(snapshot->facts, snapshot->count, sizeof(*snapshot->facts), compare_facts);
	return 0;
}

void catalog_snapshot_release(struct catalog_snapshot *snapshot)
{
	for (size_t i = 0; i < snapshot->count; i++) {
		free(snapshot->facts[i].kind);
		free(snapshot->facts[i].object);
		free(snapshot->facts[i].attribute);
		free(snapshot->facts[i].value);
		free(snapshot->facts[i].parent_kind);
		free(snapshot->facts[i].parent);
	}
	free(snapshot->facts);
	memset(snapshot, 0, sizeof(*snapshot));
}

static bool has_object(const struct catalog_snapshot *snapshot, char *kind, char *object)
{
	char none[] = "";
	const struct catalog_fact wanted = {.kind = kind, .object = object, .attribute = none};
	return snapshot->count &&
	       bsearch(&wanted, snapshot->facts, snapshot->count, sizeof(*snapshot->facts), compare_facts) != NULL;
}

/* What the object is a part of came or went with it: that is said already. */
static bool goes_with_parent(const struct catalog_fact *fact, const struct catalog_snapshot *other)
{
	return *fact->parent_kind && !has_object(other, fact->parent_kind, fact->parent);
}

static char *cut(struct strbuf *text)
{
	size_t n = SHOWN_MAX;
	if (text->len > n) {
		while (n > 0 && ((unsigned char)text->data[n] & 0xc0) == 0x80)
			n--;
		strbuf_truncate(text, n);
		strbuf_add_str(text, "…");
	}
	return strbuf_detach(text);
}

/* A value as a report may show it; NULL for one that is not there. */
static char *shown(const char *value, enum form form)
{
	struct strbuf text;
	if (!value)
		return NULL;
	if (form == FORM_HIDDEN)
		return mem_strdup("(not shown)");
	strbuf_init(&text, DEFINITION_MAX);
	if (form == FORM_SQL)
		sql_redact(SQL_POSTGRESQL, span_from_str(value), &text);
	else
		strbuf_add_str(&text, value);
	return cut(&text);
}

static bool is_name_in(const char *name, size_t len, const char *list)
{
	while (list && *list) {
		size_t n = strcspn(list, "\x1f");
		if (n == len && memcmp(list, name, n) == 0)
			return true;
		list += n + (list[n] == SEPARATOR);
	}
	return false;
}

/* "a, b, c": the names of one list that are in the other one too. */
static char *common_names(const char *list, const char *other)
{
	struct strbuf text;
	strbuf_init(&text, DEFINITION_MAX);
	while (*list) {
		size_t n = strcspn(list, "\x1f");
		if (is_name_in(list, n, other)) {
			if (text.len)
				strbuf_add_str(&text, ", ");
			strbuf_add(&text, list, n);
		}
		list += n + (list[n] == SEPARATOR);
	}
	return strbuf_detach(&text);
}

static void add_difference(struct check_differences *out, enum check_change change, const struct catalog_fact *fact,
			   const char *before, const char *after)
{
	enum form form;
	bool mild;
	find_attribute(fact->attribute, &form, &mild);
	struct check_difference *difference = check_differences_add(out);
	if (!difference)
		return;
	difference->change = change;
	difference->mild = mild;
	difference->kind = mem_strdup(fact->kind);
	difference->object = mem_strdup(fact->object);
	difference->attribute = mem_strdup(fact->attribute);
	if (!*fact->attribute)
		return;
	difference->before = shown(before, form);
	difference->after = shown(after, form);
	if (form == FORM_SQL && before && after && strcmp(difference->before, difference->after) == 0) {
		free(difference->after);
		difference->after = mem_strdup("(the same but for a literal, a comment or what is cut)");
	}
}

static void compare_order(struct check_differences *out, const struct catalog_fact *x, const struct catalog_fact *y)
{
	char *before = common_names(x->value, y->value);
	char *after = common_names(y->value, x->value);
	if (strcmp(before, after) != 0)
		add_difference(out, CHECK_CHANGED, x, before, after);
	free(before);
	free(after);
}

static void compare_values(struct check_differences *out, const struct catalog_fact *x, const struct catalog_fact *y)
{
	enum form form;
	bool mild;
	if (strcmp(x->value, y->value) == 0)
		return;
	find_attribute(x->attribute, &form, &mild);
	if (form == FORM_ORDER)
		compare_order(out, x, y);
	else
		add_difference(out, CHECK_CHANGED, x, x->value, y->value);
}

/* Where migration tools write what they have done; their first run makes it, and no rollback takes it away. */
static bool is_history(const char *object)
{
	static const char *const names[] = {"alembic_version",
					    "flyway_schema_history",
					    "schema_migrations",
					    "ar_internal_metadata",
					    "django_migrations",
					    "databasechangelog",
					    "knex_migrations",
					    "goose_db_version",
					    "_prisma_migrations",
					    "rehearse_migrations",
					    NULL};
	const char *dot = strchr(object, '.');
	for (size_t i = 0; dot && names[i]; i++) {
		if (strncmp(dot + 1, names[i], strlen(names[i])) == 0) /* and its sequence, its lock */
			return true;
	}
	return false;
}

/* Facts of one side alone, up to where the object ends: it came or went, or it has or lost an attribute. */
static size_t take_one_side(const struct catalog_snapshot *of, size_t i, const struct catalog_snapshot *other,
			    bool gone, struct check_differences *out)
{
	const struct catalog_fact *fact = &of->facts[i];
	if (*fact->attribute) {
		add_difference(out, CHECK_CHANGED, fact, gone ? fact->value : NULL, gone ? NULL : fact->value);
		return i + 1;
	}
	if (!goes_with_parent(fact, other)) {
		size_t listed = out->count;
		add_difference(out, gone ? CHECK_REMOVED : CHECK_ADDED, fact, NULL, NULL);
		if (!gone && out->count > listed)
			out->items[listed].mild = is_history(fact->object);
	}
	while (i < of->count && compare_objects(fact, &of->facts[i]) == 0)
		i++;
	return i;
}

void catalog_snapshot_compare(const struct catalog_snapshot *before, const struct catalog_snapshot *after,
			      struct check_differences *out)
{
	size_t i = 0, k = 0;
	while (i < before->count || k < after->count) {
		int order = i == before->count	? 1
			    : k == after->count ? -1
						: compare_facts(&before->facts[i], &after->facts[k]);
		if (order < 0) {
			i = take_one_side(before, i, after, true, out);
		} else if (order > 0) {
			k = take_one_side(after, k, before, false, out);
		} else {
			compare_values(out, &before->facts[i], &after->facts[k]);
			i++;
			k++;
		}
	}
}
