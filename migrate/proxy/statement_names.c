/* Texts of prepared statements and portals: see statement_names.h. */
#include "statement_names.h"

#include "mem.h"

#include <uthash.h>

struct named_statement {
	char *name;
	char *text;
	char *bind;
	struct named_portal portal;
	UT_hash_handle hh;
};

static struct named_statement *find(struct named_statement *table, const char *name)
{
	struct named_statement *found = NULL;
	HASH_FIND_STR(table, name, found);
	return found;
}

static void drop(struct statement_names *names, struct named_statement **table, struct named_statement *entry)
{
	if (!entry)
		return;
	HASH_DEL(*table, entry);
	names->text_bytes -= entry->portal.text_len + entry->portal.bind_len;
	free(entry->name);
	free(entry->text);
	free(entry->bind);
	free(entry);
}

static void drop_all(struct statement_names *names, struct named_statement **table)
{
	struct named_statement *entry, *next;
	HASH_ITER (hh, *table, entry, next)
		drop(names, table, entry);
}

static char *keep(struct statement_names *names, struct span bytes, const char **out, size_t *out_len)
{
	*out = NULL;
	*out_len = 0;
	if (!bytes.p || names->text_bytes + bytes.len > STATEMENT_TEXTS_MAX)
		return NULL;
	char *copy = mem_alloc(bytes.len + 1);
	memcpy(copy, bytes.p, bytes.len);
	copy[bytes.len] = '\0';
	names->text_bytes += bytes.len;
	*out = copy;
	*out_len = bytes.len;
	return copy;
}

static void add(struct statement_names *names, struct named_statement **table, const char *name, struct span text,
		struct span bind)
{
	drop(names, table, find(*table, name));
	if (HASH_COUNT(*table) >= STATEMENT_NAMES_MAX)
		return;
	struct named_statement *entry = mem_zalloc(1, sizeof(*entry));
	entry->name = mem_strdup(name);
	entry->text = keep(names, text, &entry->portal.text, &entry->portal.text_len);
	entry->bind = keep(names, bind, &entry->portal.bind, &entry->portal.bind_len);
	HASH_ADD_KEYPTR(hh, *table, entry->name, strlen(entry->name), entry);
}

void statement_names_release(struct statement_names *names)
{
	drop_all(names, &names->statements);
	drop_all(names, &names->portals);
}

void statement_names_prepare(struct statement_names *names, const char *name, struct span text)
{
	add(names, &names->statements, name, text, (struct span){NULL, 0});
}

void statement_names_bind(struct statement_names *names, const char *portal, const char *statement, struct span raw)
{
	const struct named_statement *from = find(names->statements, statement);
	struct span text = from ? (struct span){from->portal.text, from->portal.text_len} : (struct span){NULL, 0};
	add(names, &names->portals, portal, text, raw);
}

struct named_portal *statement_names_portal(struct statement_names *names, const char *portal)
{
	struct named_statement *entry = find(names->portals, portal);
	return entry ? &entry->portal : NULL;
}

void statement_names_close(struct statement_names *names, char kind, const char *name)
{
	struct named_statement **table = kind == 'S' ? &names->statements : &names->portals;
	drop(names, table, find(*table, name));
}

void statement_names_drop_portals(struct statement_names *names)
{
	drop_all(names, &names->portals);
}

void statement_names_drop_unnamed(struct statement_names *names)
{
	drop(names, &names->statements, find(names->statements, ""));
	drop(names, &names->portals, find(names->portals, ""));
}
