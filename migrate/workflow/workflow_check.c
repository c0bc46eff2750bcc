/* What can be said about a migration before it runs: see workflow_check.h. */
#include "workflow_check.h"

#include "mem.h"
#include "workflow_sql.h"

#include <stdarg.h>

#define NOTE_MAX 1000

void workflow_check_note(struct workflow_folder *folder, const char *format, ...)
{
	char text[NOTE_MAX];
	va_list args;
	va_start(args, format);
	(void)vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	MEM_GROW(folder->notes, folder->note_count, folder->note_capacity);
	folder->notes[folder->note_count++] = mem_strdup(text);
}

/* Where the transaction is ours, nothing in the file may end it or be unable to run in it. */
static int check_statement(const struct workflow_meta *meta, const struct migration_statement *statement, unsigned kind,
			   struct error *err)
{
	if (!meta->transaction)
		return 0;
	if (kind & WORKFLOW_SQL_TRANSACTION)
		return error_set(err, ERR_DATA,
				 "%s:%u: %.*s in a migration that is one transaction; take it out, or set "
				 "\"transaction\" to false",
				 statement->file, statement->line, (int)strcspn(statement->sql.p, " \t\r\n;"),
				 statement->sql.p);
	if (kind & WORKFLOW_SQL_FIRST)
		return error_set(
			err, ERR_DATA,
			"%s:%u: comes too late in a transaction that is ours; set \"transaction\" to false, and "
			"write BEGIN and COMMIT into the file",
			statement->file, statement->line);
	if (kind & WORKFLOW_SQL_OUTSIDE)
		return error_set(err, ERR_DATA,
				 "%s:%u: cannot run inside a transaction; set \"transaction\" to false, and keep it in "
				 "a migration of its own",
				 statement->file, statement->line);
	return 0;
}

/* A file that ends inside a transaction of its own would have it rolled back, and pass for done. */
static int check_file(const struct workflow_meta *meta, const struct migration *sql, struct error *err)
{
	const struct migration_statement *open = NULL;
	for (size_t i = 0; i < sql->statement_count; i++) {
		const struct migration_statement *statement = &sql->statements[i];
		unsigned kind = workflow_sql_look(statement->sql);
		int rc = check_statement(meta, statement, kind, err);
		if (rc)
			return rc;
		if (kind & WORKFLOW_SQL_TRANSACTION)
			open = kind & WORKFLOW_SQL_BEGIN ? statement : NULL;
	}
	return open ? error_set(err, ERR_DATA, "%s:%u: the transaction that begins here is not ended", open->file,
				open->line)
		    : 0;
}

/* The first statements of some kind. */
struct firsts {
	const struct migration_statement *data;
	const struct migration_statement *ddl;
};

static void note_data(struct workflow_folder *folder, const struct workflow_migration *migration,
		      const struct firsts *first)
{
	const struct workflow_meta *meta = &migration->meta;
	if (first->data && first->ddl)
		workflow_check_note(folder,
				    "%s:%u: amends data beside DDL (line %u)%s; put it into a migration of its own",
				    first->data->file, first->data->line, first->ddl->line,
				    meta->transaction ? ", whose locks are held until that is done" : "");
	else if (first->data && !meta->data)
		workflow_check_note(folder, "%s:%u: amends data; set \"data\" to true", first->data->file,
				    first->data->line);
	if (meta->data && migration->up.statement_count > 0 && !first->data)
		workflow_check_note(folder, "%s: \"data\" is true, and no statement is seen to amend any",
				    migration->up_path);
}

static void note_way_back(struct workflow_folder *folder, const struct workflow_migration *migration)
{
	bool written = migration->down.statement_count > 0;
	if (migration->meta.reversible && !written && migration->up.statement_count > 0)
		workflow_check_note(folder,
				    "%s: holds no statement; write the way back, or set \"reversible\" to false",
				    migration->down_path);
	if (!migration->meta.reversible && written)
		workflow_check_note(folder, "%s: is never run, as \"reversible\" is false", migration->down_path);
}

int workflow_check_migration(struct workflow_folder *folder, struct workflow_migration *migration, struct error *err)
{
	struct firsts first = {0};
	int rc = check_file(&migration->meta, &migration->up, err);
	if (rc == 0)
		rc = check_file(&migration->meta, &migration->down, err);
	if (rc)
		return rc;
	for (size_t i = 0; i < migration->up.statement_count; i++) {
		const struct migration_statement *statement = &migration->up.statements[i];
		unsigned kind = workflow_sql_look(statement->sql);
		if ((kind & WORKFLOW_SQL_DATA) && !first.data)
			first.data = statement;
		if ((kind & WORKFLOW_SQL_DDL) && !first.ddl)
			first.ddl = statement;
		if (kind & WORKFLOW_SQL_ALL_ROWS)
			workflow_check_note(folder, "%s:%u: has no WHERE: every row of the table is changed at once",
					    statement->file, statement->line);
	}
	migration->amends_data = first.data != NULL;
	note_data(folder, migration, &first);
	note_way_back(folder, migration);
	return 0;
}
